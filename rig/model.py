"""The model rung: unit and world in one process, real wire bytes, time that jumps.

Between two scans the world runs from event to event; the next scan is the grid point at
which something can change at all. `jump=False` executes every grid point: the trace must
be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from firmware_py.assemble import OPTIONAL_LINKS, Links, build_unit
from firmware_py.config import UnitConfig
from firmware_py.last_words import LastWords
from firmware_py.record import Recording
from firmware_py.trace import Line
from firmware_py.unit import Unit
from hal.frame_pipes import frame_pipe
from hal.links import pipe
from hal.now import NEVER_US, grid_us
from hal.ports import FrameLink, RecorderPort
from rig.bench import Bench
from rig.bench_checks import AED
from rig.drivers import must_drive_beam
from sim.beam import INHERENT_MM_AL
from sim.build import Ends, Setting, build_world
from sim.chambers import ChamberSetting
from sim.device import FrameOutlet
from sim.optics import Optics
from sim.pixels import PixelModel
from sim.world import World

if TYPE_CHECKING:
    from sim.makers_tool import DropFolder

TCP_LATENCY_US = 150
FRAME_BYTES_PER_US = 125.0  # gigabit Ethernet
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # when a folder's files begin, on the model rung


def setting_of(bench: Bench, seed: int | None = None) -> Setting:
    """What the simulator must know of a bench. Raises UsageError for a codec-only generator."""
    unit = bench.unit
    must_drive_beam(unit.generator.driver)
    worn = unit.panel.battery
    return Setting(
        seed=bench.sim.seed if seed is None else seed,
        ambient_c=bench.sim.ambient_c,
        driver=unit.generator.driver,
        dialect=unit.generator.dialect,
        kind=unit.generator.model,
        full_scale_kv=unit.generator.full_scale_kv,
        full_scale_ma=unit.generator.full_scale_ma,
        room_driver=unit.room.driver,
        room_map=unit.room.map,
        room_pulse_ms=unit.room.enable_pulse_ms,
        room_watchdog_ms=unit.room.watchdog_ms,
        interlock_pair=tuple(bench.wiring.interlock_pair),
        safety_relay=tuple(bench.wiring.safety_relay),
        panel_id=unit.panel.panel_id,
        rows_px=unit.panel.rows_px,
        columns_px=unit.panel.columns_px,
        pitch_mm=unit.panel.pitch_mm,
        bits_stored=unit.panel.bits_stored,
        window_us=unit.panel.window_ms * 1000,
        frame_format=bench.sim.frame_format,
        sid_mm=unit.geometry.sid_mm,
        field_mm=(unit.geometry.field_rows_mm, unit.geometry.field_columns_mm),
        aluminium_mm=aluminium_of(unit),
        optics=optics_of(unit),
        aec=chambers_of(unit),
        lines=lines_of(unit),
        detects=unit.panel.driver == AED,
        supply=bench.sim.supply or ("mains" if unit.battery is None else "battery"),
        duty=bench.sim.duty,
        panel_battery_h=None if worn is None else (worn.idle_h, worn.working_h),
        collimator_driver=unit.collimator.driver if unit.collimator else None,
        dap_driver=unit.dap.driver if unit.dap else None,
    )


def aluminium_of(unit: UnitConfig) -> float:
    """The simulated tube's filtration: the bench's; where none is said, what any tube has."""
    own = unit.tube
    said = own.filter_material == "ALUMINUM" and own.filter_mm > 0.0
    return own.filter_mm if said else INHERENT_MM_AL


def optics_of(unit: UnitConfig) -> Optics:
    """The bench's focal spot and grid, and a patient who scatters: what `as_bench` sets at once."""
    own = Optics(focus_mm=unit.tube.focal_spot_mm, fall_off=True, heel=True, scatter=True)
    place = unit.receptor
    if place is None or place.grid_ratio is None:
        return own
    assert place.grid_lines_per_cm is not None
    return replace(
        own,
        grid_ratio=place.grid_ratio,
        grid_lines_per_cm=place.grid_lines_per_cm,
        grid_focus_mm=place.grid_focus_mm,
    )


def lines_of(unit: UnitConfig) -> dict[str, Any] | None:
    """What the desk of a panel on lines takes."""
    own = unit.panel.lines
    if own is None:
        return None
    return own.model_dump(include={"handshake", "channels", "device_id"})


def chambers_of(unit: UnitConfig) -> ChamberSetting | None:
    own = unit.aec
    if own is None:
        return None
    return ChamberSetting(
        chambers=own.chambers,
        cutoffs_ugy={int(number): cutoff_ugy for number, cutoff_ugy in own.cutoffs_ugy},
        density_most_index=own.density_most_index,
        density_pct=own.density_pct,
        response_us=round(own.response_ms * 1000),
        sid_mm=unit.geometry.sid_mm,
    )


class ModelRung:
    """A simulated room with, for most of the time, a unit in it."""

    def __init__(
        self,
        bench: Bench,
        *,
        seed: int | None = None,
        jump: bool = True,
        poll_all: bool = False,
        pixels: PixelModel | None = None,
    ) -> None:
        self.bench = bench
        self.world: World
        self.t_us = 0
        self.folder: DropFolder | None = None  # where the panel's tool drops its frames
        self.scan_us = bench.unit.limits.scan_ms * 1000
        self._jump = jump
        self._poll_all = poll_all
        wire = bench.unit.generator
        generator, generator_end = pipe(baud=wire.baud, bits=wire.form.bits_count)
        room, room_end = pipe(latency_us=TCP_LATENCY_US)
        panel, panel_end = frame_pipe(latency_us=TCP_LATENCY_US)
        self.frames, frames_end = self._frame_line()
        beside = {
            name: pipe(baud=own.baud)
            for name in OPTIONAL_LINKS
            if (own := getattr(bench.unit, name)) is not None
        }
        near = {name: ends[0] for name, ends in beside.items()}
        self._links = Links(generator=generator, room=room, panel=panel, **near)
        ends = Ends(
            generator=generator_end,
            room=room_end,
            panel_control=panel_end,
            panel_data=frames_end,
            **{name: far for name, (_, far) in beside.items()},
        )
        self.world = build_world(setting_of(bench, seed), ends, pixels)
        self.unit: Unit | None = None
        self.scan_count = 0
        self._frozen_us: int | None = None
        self._late_us = 0
        self.on_lines: Callable[[Sequence[Line]], None] = lambda lines: None

    def _frame_line(self) -> tuple[FrameLink, FrameOutlet]:
        """Where frames are taken, and where the panel puts them."""
        if self.bench.folder is None:
            return frame_pipe(latency_us=TCP_LATENCY_US, bytes_per_us=FRAME_BYTES_PER_US)
        from firmware_py.recorder.folder_files import folder_link
        from rig.observe.makers_file import raw_file
        from sim.makers_tool import DropFolder, ToolOfPanel

        config = self.bench.folder
        folder = DropFolder(lambda: self.t_us, pattern=config.files)
        tool = ToolOfPanel(folder, lambda pixels: raw_file(pixels, config))
        self.folder = folder
        link = folder_link(folder, config, self.bench.unit.panel, EPOCH)
        return link, tool

    def start_unit(
        self,
        recorder: Callable[[FrameLink], RecorderPort],
        recording: Recording | None = None,
        *,
        heat_j: float = 0.0,
        warm: bool = True,
        aec_lock: str | None = None,
        words: Callable[[int], LastWords] | None = None,
    ) -> Unit:
        """`words`: the last ones of this unit, as in `build_unit`; a run has none."""
        port = recorder(self.frames)
        self._frozen_us = None
        self.unit = build_unit(
            self.bench.unit,
            self._links,
            port,
            recording,
            poll_all=self._poll_all,
            recorder_link=self.frames,
            start_us=self.t_us,
            heat_j=heat_j,
            warm=warm,
            aec_lock=aec_lock,
            words=words,
        )
        return self.unit

    def kill_unit(self) -> None:
        """SIGKILL: no more scans, no more bytes; what is under way stays under way."""
        self.unit = None

    def pass_time(self, duration_us: int) -> None:
        """The room goes on without a unit: it is switched off."""
        assert self.unit is None, "a unit that runs is scanned"
        self.t_us = grid_us(self.t_us + duration_us, self.scan_us)
        self.world.advance(self.t_us)

    def freeze_unit(self, *, frozen: bool) -> None:
        """SIGSTOP and SIGCONT: the next scan is late by as long as it took."""
        if frozen:
            self._frozen_us = self.world.t_us
        elif self._frozen_us is not None:
            self._late_us, self._frozen_us = self.world.t_us - self._frozen_us, None

    def scan(self, until_us: int = NEVER_US) -> None:
        """Let time pass up to the next scan that matters (at most to `until_us`) and scan."""
        t_us = self._next_scan_us(until_us) if self._jump else self.t_us + self.scan_us
        self.world.advance(t_us)
        self.t_us = t_us
        if self.unit is not None and self._frozen_us is None:
            late_us, self._late_us = self._late_us, 0
            self.scan_count += 1
            self.on_lines(self.unit.scan(t_us, late_us))

    def run_until(self, done: Callable[[], bool], deadline_us: int) -> bool:
        """Scan until `done()` or virtual time is up; True when done."""
        while not done():
            if self.t_us >= deadline_us:  # us-compare: the clock itself
                return False
            self.scan(deadline_us)
        return True

    def _next_scan_us(self, until_us: int) -> int:
        while True:
            first_us = max(self.t_us + self.scan_us, self.world.t_us)  # it may have been frozen
            runs = self.unit is not None and self._frozen_us is None
            wanted_us = self.unit.next_us() if runs and self.unit else NEVER_US
            target_us = grid_us(max(first_us, min(wanted_us, until_us)), self.scan_us)
            if not self.world.event(target_us):
                return target_us
