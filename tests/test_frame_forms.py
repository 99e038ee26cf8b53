"""A whole unit whose panel sends its frames packed, or as CBOR: the image is the same."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from hal.frame_codec import FORMATS
from rig.bench import Bench
from rig.judge import Seen
from rig.run_model import ModelRun
from rig.scenario import StepSection, UntilSection
from tests import model_runs

PACKED = FORMATS[1:]
UNLIKE = ("bs16-lz4<", "cbor")  # lz4< goes wrong as bs16-lz4< does


@cache
def bench(form: str) -> Bench:
    known = model_runs.bench()
    sim = known.sim.model_copy(update={"frame_format": form})
    return replace(known, sim=sim)


def run(
    form: str, folder: Path | None = None, *, until: str = "STANDBY", **wrong: Any
) -> tuple[ModelRun, Seen]:
    clean = model_runs.scenario("clean_by_mas")
    step = StepSection(event="start", after_ms=0, do="panel", args=wrong)
    ended = clean.until if until == "STANDBY" else UntilSection(event=until, nth=1)
    changed = {"step": [*([step] if wrong else []), *clean.step], "until": ended}
    scenario = clean.model_copy(update=changed | {"deadline_s": 60.0})
    return model_runs.run(scenario, folder, on=bench(form))


def _presentation(form: str, folder: Path) -> bytes:
    """Pixels of the image that a run with frames of this form has made."""
    from pydicom import dcmread

    folder.mkdir()
    made, seen = run(form, folder)
    made.finish()
    assert (seen.faults(), seen.image_count, len(seen.beams)) == ([], 1, 1)
    (path,) = folder.rglob("presentation.dcm")
    pixels: bytes = dcmread(path).PixelData
    return pixels


@pytest.mark.parametrize("form", PACKED)
def test_the_image_of_a_packed_frame_is_that_of_a_plain_one(form: str, tmp_path: Path) -> None:
    packed, plain = (_presentation(kind, tmp_path / kind) for kind in (form, "<"))
    assert packed == plain


@pytest.mark.req("SR-56", "F34", "F35")
@pytest.mark.parametrize("form", UNLIKE)
@pytest.mark.parametrize("wrong", [{"damaged_frames": True}, {"short_frame": 1000}])
def test_a_packed_frame_that_is_damaged_or_short_makes_no_image(
    form: str, wrong: dict[str, Any]
) -> None:
    made, seen = run(form, until="FAULT", **wrong)
    assert (seen.faults(), seen.image_count, len(seen.beams)) == (["FRAME_MISSING"], 0, 1)
    assert made.rung.world.panel.kept() == ("clean_by_mas-1",)


@pytest.mark.req("SR-55", "F36", "F37")
@pytest.mark.parametrize("form", UNLIKE)
@pytest.mark.parametrize("wrong", [{"repeated_frames": True}, {"frame_of_before": True}])
def test_a_packed_frame_that_comes_twice_or_late_makes_one_image(
    form: str, wrong: dict[str, Any]
) -> None:
    _, seen = run(form, **wrong)
    assert (seen.faults(), seen.image_count, len(seen.beams)) == ([], 1, 1)
