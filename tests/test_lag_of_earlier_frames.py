"""What a frame still holds of the ones before it is taken out, and the same again later."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from firmware_py.recorder.archive import differences, reprocess
from firmware_py.recorder.earlier_frames import LAG_GAP_US
from firmware_py.recorder.image.correct import PEDESTAL_COUNT
from tests.exposures import intent, message, report
from tests.test_recorder import Rig, panel_set

OFFSET = 100
LAG = (0.02, 0.01)
WINDOW_US = 1_000_000
READOUT_US = 300_000


def flat(counts: int) -> bytes:
    return np.full((64, 64), OFFSET + counts, "<u2").tobytes()


def expose(rig: Rig, shot_id: str, counts: int, start_us: int = 0) -> None:
    rig.recorder.intent(intent(shot_id))
    rig.recorder.report(report(shot_id))
    times = {"start_us": start_us, "stop_us": start_us + WINDOW_US}
    frame = message(shot_id, pixels=flat(counts), **times)
    rig.recorder.frame(frame, start_us + WINDOW_US + READOUT_US)


def signal(folder: Path, shot_id: str) -> int:
    pixels = reprocess(folder / "exposures" / shot_id).processing_pixels
    assert pixels.min() == pixels.max()
    return int(pixels[0, 0]) - PEDESTAL_COUNT


def test_the_shares_of_the_frames_before_are_subtracted_by_their_age(tmp_path: Path) -> None:
    rig = Rig(tmp_path, panel_set=panel_set(lag=LAG))
    for shot_id, counts in (("S1", 10_000), ("S2", 1_200), ("S3", 1_200)):
        expose(rig, shot_id, counts)
    assert rig.told == ""
    assert signal(tmp_path, "S1") == 10_000
    assert signal(tmp_path, "S2") == 1_200 - 200
    assert signal(tmp_path, "S3") == 1_200 - 24 - 100  # of S2 one frame ago, of S1 two


def test_the_record_names_the_frames_so_that_the_image_can_be_made_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path, panel_set=panel_set(lag=LAG))
    for shot_id in ("S1", "S2", "S3", "S4"):
        expose(rig, shot_id, 3_000)
    content = json.loads((tmp_path / "exposures/S4/exposure.json").read_text())
    assert content["earlier"] == [[2, "S2"], [1, "S3"]]
    assert differences(tmp_path / "exposures/S4") == []
    (tmp_path / "exposures/S3/frame.stream").unlink()
    try:
        found = differences(tmp_path / "exposures/S4")
    except OSError as error:
        found = [str(error)]
    assert "S3" in found[0]


def test_a_panel_whose_lag_is_not_known_is_left_as_it_is(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    expose(rig, "S1", 10_000)
    expose(rig, "S2", 1_200)
    assert signal(tmp_path, "S2") == 1_200
    content = json.loads((tmp_path / "exposures/S2/exposure.json").read_text())
    assert content["earlier"] == []


def test_a_damaged_frame_counts_as_one_that_the_panel_has_read_out(tmp_path: Path) -> None:
    rig = Rig(tmp_path, panel_set=panel_set(lag=LAG))
    expose(rig, "S1", 10_000)
    broken = message("S2", pixels=flat(0))
    rig.recorder.frame([broken[0], b"no header", *broken[2:]], 0)
    expose(rig, "S3", 1_200)
    assert signal(tmp_path, "S3") == 1_200 - 100


def test_after_three_seconds_of_rest_nothing_is_taken_out(tmp_path: Path) -> None:
    rig = Rig(tmp_path, panel_set=panel_set(lag=LAG))
    expose(rig, "S1", 10_000, 0)
    expose(rig, "S2", 1_200, WINDOW_US + LAG_GAP_US - 1)
    expose(rig, "S3", 1_200, 2 * WINDOW_US + 2 * LAG_GAP_US)
    assert signal(tmp_path, "S2") == 1_200 - 200
    assert signal(tmp_path, "S3") == 1_200
