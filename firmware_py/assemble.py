"""A unit from its configuration and its links: the same on all rungs and in replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firmware_py.bounds import dead_us, limits
from firmware_py.config import UnitConfig
from firmware_py.decide.memory import Memory
from firmware_py.last_words import LastWords
from firmware_py.record import Recording
from firmware_py.unit import Arrivals, Beside, Devices, NoArrivals, Unit
from hal.collimators import open_collimator
from hal.detectors import open_panel
from hal.frame_pipes import TapFrames
from hal.generators import open_generator
from hal.meters import open_dap
from hal.ports import ByteLink, FrameLink, RecorderPort
from hal.room_io import open_room_io
from hal.tap_link import TapLink

LINKS = ("generator", "room", "panel")
OPTIONAL_LINKS = ("collimator", "dap")  # sections of a bench file that it may go without


def link_names(config: UnitConfig) -> tuple[str, ...]:
    """Of this bench, in the order of its records."""
    return (*LINKS, *(name for name in OPTIONAL_LINKS if getattr(config, name) is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """The unit's ends."""

    generator: ByteLink
    room: ByteLink
    panel: FrameLink
    collimator: ByteLink | None = None
    dap: ByteLink | None = None


def tapped(links: Links, recording: Recording) -> Links:
    return Links(
        generator=TapLink("generator", links.generator, recording),
        room=TapLink("room", links.room, recording),
        panel=TapFrames("panel", links.panel, recording),
        collimator=_tap("collimator", links.collimator, recording),
        dap=_tap("dap", links.dap, recording),
    )


def _tap(name: str, link: ByteLink | None, recording: Recording) -> ByteLink | None:
    return None if link is None else TapLink(name, link, recording)


def open_devices(
    config: UnitConfig,
    links: Links,
    recorder: RecorderPort,
    recorder_link: Arrivals | None = None,
) -> Devices:
    generator = open_generator(
        config.generator.driver, links.generator, **config.generator.options()
    )
    return Devices(
        room=open_room_io(config.room.driver, links.room, config.room),
        generator=generator,
        panel=open_panel(config.panel.driver, links.panel, **config.panel.options()),
        recorder=recorder,
        room_link=links.room,
        generator_link=links.generator,
        panel_link=links.panel,
        recorder_link=recorder_link or NoArrivals(),
        beside=_beside(config, links),
    )


def _beside(config: UnitConfig, links: Links) -> Beside:
    collimator = meter = None
    if config.collimator is not None:
        assert links.collimator is not None
        collimator = open_collimator(config.collimator.driver, links.collimator)
    if config.dap is not None:
        assert links.dap is not None
        meter = open_dap(config.dap.driver, links.dap)
    return Beside(
        collimator=collimator, collimator_link=links.collimator, meter=meter, meter_link=links.dap
    )


def build_unit(
    config: UnitConfig,
    links: Links,
    recorder: RecorderPort,
    recording: Recording | None = None,
    *,
    poll_all: bool = True,
    recorder_link: Arrivals | None = None,
    start_us: int = 0,
    heat_j: float = 0.0,
    warm: bool = True,
    aec_lock: str | None = None,
    words: Callable[[int], LastWords] | None = None,
) -> Unit:
    """`heat_j`: what earlier runs left in the tube, at `start_us`; `warm`: it is warmed up;
    `aec_lock`: the fault of the last automatic exposure, if that locks AEC.

    `words`: makes the last words, from how long this bench's beam outlives a unit that died, in us.
    """
    devices = open_devices(
        config, tapped(links, recording) if recording else links, recorder, recorder_link
    )
    bench_limits = limits(
        config,
        devices.generator.capabilities,
        devices.room.capabilities,
        devices.panel.capabilities,
    )
    memory = Memory(
        limits=bench_limits,
        since_us=start_us,
        warm=warm,
        heat_j=heat_j,
        heat_us=start_us,
        aec_lock=aec_lock,
    )
    outlives_us = dead_us(devices.generator.capabilities, devices.room.capabilities)
    said = words(outlives_us) if words else None
    return Unit(devices, memory, recording, poll_all=poll_all, words=said)
