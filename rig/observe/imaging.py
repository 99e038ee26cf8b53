"""What takes the maker's images on this bench: nothing, a simulated tool, or the real folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from firmware_py.recorder.setup import Setup
from rig.bench import Bench
from rig.observe.picture_process import Beside, Imaging, Inline
from rig.observe.room import SimulatedRoom, WatchedRoom
from rig.state_dir import run_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """`noted`: what the journal's rows say of them."""

    imaging: Imaging | None = None
    image_us: int = 0
    noted: dict[str, Any] = field(default_factory=dict)
    close: Callable[[], object] = lambda: None


def images_for(bench: Bench, setup: Setup, room: WatchedRoom, state: Path) -> Images:
    """Raises DeviceError where the folder can't be listed."""
    config = bench.folder
    if config is None:
        return Images()
    run_dir = run_folder(state / "runs", bench.name, setup.started_at, uuid4().hex[:6])
    if config.path == "sim" and isinstance(room, SimulatedRoom):
        imaging: Imaging = simulated(bench, setup, room, run_dir)
    else:
        imaging = Beside(setup, config, run_dir)
    return Images(
        imaging=imaging,
        image_us=round(config.image_s * 1e6),
        noted={
            "imaged": True,
            "corrected": config.corrected,
            "run_dir": os.path.relpath(run_dir, state),
        },
        close=imaging.close,
    )


def simulated(bench: Bench, setup: Setup, room: SimulatedRoom, run_dir: Path) -> Inline:
    """A maker's tool in the simulated room, and what takes its files, in the same virtual time."""
    from rig.observe.makers_file import writer
    from rig.observe.pictures import Pictures
    from sim.makers_tool import MakersTool
    from sim.pixels import PixelModel

    assert bench.folder is not None
    panel, geometry = bench.unit.panel, bench.unit.geometry
    pixels = PixelModel(
        rows_px=panel.rows_px,
        columns_px=panel.columns_px,
        pitch_mm=panel.pitch_mm,
        seed=bench.sim.seed,
        bits=panel.bits_stored,
        sid_mm=geometry.sid_mm,
        field_mm=(geometry.field_rows_mm, geometry.field_columns_mm),
    )
    encode = writer(bench.folder, bench.unit.panel, setup.started_at)
    room.world.tool = MakersTool(
        pixels, encode, lambda: room.world.t_us, pattern=bench.folder.files
    )
    return Inline(Pictures(setup, bench.folder, room.world.tool, run_dir))
