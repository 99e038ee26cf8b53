"""One simulated bench: a generator, a room, a panel, and the wires between them.

The caller hands in the devices' ends of the links: pipes on the model rung, ports on the
wire rung. Nothing else leads in or out but the wiring's contacts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hal.collimators import open_collimator_desk
from hal.detectors.line_panel_desk import Desk as LineDesk
from hal.detectors.stream_panel_desk import Desk as PanelDesk
from hal.generators import open_desk
from hal.generators.vj_ixs_wire import Dialect
from hal.meters import open_dap_desk
from hal.now import Now
from hal.ports import ByteLink, Desk, FrameLink
from hal.room_io import open_room_desk
from sim import beam
from sim.aed_desk import AedDesk
from sim.aed_sensor import AedSensor
from sim.battery import Supply
from sim.cabinet import CabinetModel
from sim.chambers import Chambers, ChamberSetting
from sim.detector import PanelTimes, SimPanel
from sim.device import FrameOutlet, Mechanism, MessageDesk, PanelDevice, WireDevice
from sim.duty_guard import duty_of
from sim.filtration import SimFilter
from sim.generator import MonoblockModel
from sim.generator_wires import wire_of
from sim.geometry import SimGeometry
from sim.meter import SimMeter
from sim.mischief_links import MischiefFrames, MischiefLink, MischiefOutlet
from sim.optics import PLAIN, Optics
from sim.panel_battery import PanelBattery
from sim.pixels import PixelModel
from sim.radiographic import RATINGS, RadiographicModel
from sim.room import SimRoom
from sim.sensors import SimCollimator, SimDap
from sim.supply import SupplyModel
from sim.wiring import LOOP, NETS, Wiring
from sim.world import World

# By the name of the driver whose protocol it speaks.
MODELS: dict[str, type[MonoblockModel]] = {
    "genix3d": CabinetModel,
    "r2cp": RadiographicModel,
    "spellman": SupplyModel,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ends:
    """The devices' ends of the links."""

    generator: ByteLink
    room: ByteLink
    panel_control: FrameLink
    panel_data: FrameOutlet
    collimator: ByteLink | None = None
    dap: ByteLink | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is simulated, in plain values."""

    seed: int = 1
    ambient_c: float = 22.0
    driver: str = "vj_ixs"  # whose desk stands before the generator, and which model it is
    room_driver: str = "waveshare"
    room_map: str | None = None  # None: the driver's own
    room_pulse_ms: int = 200  # as set in the module, where its map leaves it there
    room_watchdog_ms: int | None = None
    dialect: Dialect = "R3"
    kind: str | None = None  # of a driver that speaks for several models, and their full scale
    full_scale_kv: float | None = None
    full_scale_ma: float | None = None
    interlock_pair: tuple[str, ...] = NETS
    safety_relay: tuple[str, ...] = LOOP
    panel_id: str = "SIM-PANEL-1"
    rows_px: int = 256
    columns_px: int = 256
    pitch_mm: float = 0.8
    bits_stored: int = 14
    window_us: int = 5_000_000
    frame_format: str = "<"  # how the panel sends its frames: hal.frame_codec.FORMATS
    sid_mm: float = 1000.0
    field_mm: tuple[float, float] = (200.0, 200.0)
    aluminium_mm: float = beam.INHERENT_MM_AL  # the tube's total filtration
    optics: Optics = PLAIN  # the bench's own; a world begins with plain ones
    aec: ChamberSetting | None = None  # None: no chambers
    lines: Mapping[str, Any] | None = None  # of a panel on lines: what its desk takes
    detects: bool = False  # ... which is not asked, but detects X-rays by itself
    supply: Supply = "battery"  # of a radiographic generator; what others run on is their kind's
    duty: str | None = None  # one of sim.duty_guard.DUTIES: the energy rule that it keeps
    panel_battery_h: tuple[float, float] | None = None  # lasts idle, at work; None: tethered
    collimator_driver: str | None = None  # None: it tells nothing
    dap_driver: str | None = None  # None: no meter in the beam


def pixel_model(setting: Setting) -> PixelModel:
    return PixelModel(
        rows_px=setting.rows_px,
        columns_px=setting.columns_px,
        pitch_mm=setting.pitch_mm,
        seed=setting.seed,
        bits=setting.bits_stored,
        sid_mm=setting.sid_mm,
        field_mm=setting.field_mm,
        aluminium_mm=setting.aluminium_mm,
    )


def generator_model(setting: Setting) -> MonoblockModel:
    """Of the kind that speaks this protocol; an unknown one is taken for a monoblock."""
    kind = MODELS.get(setting.driver, MonoblockModel)
    own = {"ratings": replace(RATINGS, supply=setting.supply)} if kind is RadiographicModel else {}
    model = kind(seed=setting.seed, ambient_c=setting.ambient_c, **own)
    model.duty = duty_of(setting.duty)
    return model


def generator_desk(setting: Setting, model: MonoblockModel) -> Desk:
    """Dialects are a matter of the IXS, kinds one of drivers that speak for several models."""
    own: dict[str, object] = {"dialect": setting.dialect} if setting.driver == "vj_ixs" else {}
    if setting.kind is not None:
        own = {name: getattr(setting, name) for name in ("kind", "full_scale_kv", "full_scale_ma")}
    return open_desk(setting.driver, model, **own)


def room_desk(setting: Setting, room: SimRoom) -> Desk:
    return open_room_desk(
        setting.room_driver,
        room,
        setting.room_map,
        pulse_ms=setting.room_pulse_ms,
        watchdog_ms=setting.room_watchdog_ms,
    )


def _times(setting: Setting) -> PanelTimes:
    """One that detects by itself integrates from its trigger on."""
    if setting.detects:
        return PanelTimes(window_us=setting.window_us, t_prep_us=0)
    return PanelTimes(window_us=setting.window_us)


def panel_desk_of(setting: Setting, panel: SimPanel, sensor: AedSensor) -> MessageDesk:
    if setting.lines is not None and setting.detects:
        return AedDesk(panel, sensor.sees, **setting.lines)
    if setting.lines is not None:
        return LineDesk(panel, **setting.lines)
    return PanelDesk(panel, frame_format=setting.frame_format)


def panel_battery(setting: Setting) -> PanelBattery | None:
    if setting.panel_battery_h is None:
        return None
    idle_h, working_h = setting.panel_battery_h
    return PanelBattery(idle_h=idle_h, working_h=working_h)


def build_world(setting: Setting, ends: Ends, pixels: PixelModel | None = None) -> World:
    """`pixels`: handed in when it was built already (its maps take the time)."""
    generator = generator_model(setting)
    wiring = Wiring(generator, setting.interlock_pair, setting.safety_relay)
    room = SimRoom(wiring)
    geometry = SimGeometry(
        sid_mm=setting.sid_mm, field_mm=setting.field_mm, bench_optics=setting.optics
    )
    tube_filter = SimFilter(setting.aluminium_mm)
    panel = SimPanel(
        panel_id=setting.panel_id,
        pixels=pixels or pixel_model(setting),
        kerma_source=generator.light,
        times=_times(setting),
        battery=panel_battery(setting),
        geometry=geometry,
        tube_filter=tube_filter,
    )
    if setting.aec is not None:
        patient = lambda: panel.phantom_name  # noqa: E731 (it moves)
        generator.chambers = Chambers(
            setting.aec,
            patient,
            seed=setting.seed,
            geometry=geometry,
            tube_filter=tube_filter,
        )
    generator_device = WireDevice(
        MischiefLink(ends.generator),
        generator_desk(setting, generator),
        generator.advance,
    )
    room_device = WireDevice(MischiefLink(ends.room), room_desk(setting, room), room.advance)
    control, outlet = MischiefFrames(ends.panel_control), MischiefOutlet(ends.panel_data)
    size_mm = (setting.rows_px * setting.pitch_mm, setting.columns_px * setting.pitch_mm)
    sensor = AedSensor(
        panel, generator.light, geometry=geometry, tube_filter=tube_filter, size_mm=size_mm
    )
    panel_desk = panel_desk_of(setting, panel, sensor)
    panel_device = PanelDevice(control, outlet, panel_desk, panel.advance, panel.alive)
    collimator = SimCollimator(geometry)
    meter = SimDap(geometry, generator.lights, tube_filter)
    beside = dict(_beside(setting, ends, collimator, meter))
    return World(
        generator=generator,
        wiring=wiring,
        room=room,
        panel=panel,
        geometry=geometry,
        tube_filter=tube_filter,
        meter=SimMeter(setting.seed),
        generator_device=generator_device,
        room_device=room_device,
        panel_device=panel_device,
        collimator=collimator if "collimator" in beside else None,
        dap=meter if "dap" in beside else None,
        beside=beside,
        generator_wire=wire_of(setting.driver),
        # In this order within one instant: what relays do is seen by the devices at once.
        parts=[
            Mechanism(wiring.advance), room_device, generator_device, panel_device, outlet,
            *beside.values(),
        ],
    )  # fmt: skip


def _beside(
    setting: Setting, ends: Ends, collimator: SimCollimator, meter: SimDap
) -> Iterator[tuple[str, WireDevice]]:
    """What only some benches have; neither has timers of its own."""
    if setting.collimator_driver is not None:
        assert ends.collimator is not None
        desk = open_collimator_desk(setting.collimator_driver, collimator)
        yield "collimator", WireDevice(MischiefLink(ends.collimator), desk, _no_timers)
    if setting.dap_driver is not None:
        assert ends.dap is not None
        desk = open_dap_desk(setting.dap_driver, meter)
        yield "dap", WireDevice(MischiefLink(ends.dap), desk, _no_timers)


def _no_timers(now: Now) -> None:
    return None
