"""What a bench can promise, from what its drivers say of themselves; no device is asked."""

from __future__ import annotations

from firmware_py.bounds import Bound, bounds
from hal.detectors import open_panel
from hal.frame_pipes import frame_pipe
from hal.room_io import open_room_io
from rig.bench import Bench
from rig.drivers import generator_of, nobody


def bounds_of(bench: Bench) -> list[Bound]:
    unit = bench.unit
    generator = generator_of(unit.generator, nobody())
    room = open_room_io(unit.room.driver, nobody(), unit.room)
    panel = open_panel(unit.panel.driver, frame_pipe()[0], **unit.panel.options())
    return bounds(
        unit,
        generator.capabilities,
        room.capabilities,
        panel.capabilities,
        tuple(bench.wiring.interlock_pair),
    )
