"""The demo, judged from outside: by its answer, by its files, and by other people's programs."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result

from firmware_py.recorder.archive import reprocess
from rig.bench_names import BENCHES
from rig.cli import main
from sim.phantom import EDGES, Edge
from tests.find_edge import found_px
from tests.peers import require_peer

ON_PORTABLE = ("--bench", "portable")
PITCH_MM = 0.8
PEDESTAL_COUNT = 100.0
RUNGS = ["model", pytest.param("wire", marks=pytest.mark.wire)]
PICTURES = ("processing", "presentation")


def dxrig(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@pytest.fixture(scope="module", params=RUNGS)
def answer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What `dxrig demo --json` says, its files lying beside."""
    out = tmp_path_factory.mktemp(request.param)
    result = dxrig("demo", *ON_PORTABLE, "--rung", request.param, "--out", str(out), "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout) | {"asked_rung": request.param, "out": str(out)}


def test_the_answer_says_where_how_and_what(answer: Any) -> None:
    assert (answer["schema"], answer["rung"]) == (1, answer["asked_rung"])
    assert answer["run"] == answer["out"]
    assert (answer["end_reason"], answer["fault"], answer["problems"]) == ("planned end", None, [])
    assert answer["technique"] == {"kv": 80.0, "ma": 0.5, "mas": 0.5, "ms": None}
    measured = answer["measured"]
    assert measured["instrument"] == "indicated by the generator"
    assert measured["kv"] == pytest.approx(80.0, rel=0.01)
    assert measured["mas"] == pytest.approx(0.5, abs=0.02)
    assert [entry["state"] for entry in answer["timeline"]] == [
        "BOOT", "SELF_TEST", "RELEASE_WAIT", "STANDBY", "PREP", "READY",
        "INTERLOCK_CHECK", "EXPOSE", "READOUT", "RELEASE_WAIT", "STANDBY",
    ]  # fmt: skip
    assert set(answer["files"]) == {*PICTURES, "preview", "curve", "trace", "record"}
    assert all(Path(file).stat().st_size > 0 for file in answer["files"].values())


def test_it_replays_equal(answer: Any) -> None:
    result = dxrig("replay", answer["run"], "--json")
    assert (result.exit_code, json.loads(result.stdout)["differences"]) == (0, [])


@pytest.mark.peer
@pytest.mark.parametrize("picture", PICTURES)
def test_dciodvfy_finds_no_error(picture: str, answer: Any) -> None:
    command = [require_peer("dciodvfy"), answer["files"][picture]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert any(line.startswith("DXImage") for line in lines)
    assert [line for line in lines if line.startswith(("Error", "Abort"))] == []


@pytest.mark.peer
@pytest.mark.parametrize("picture", PICTURES)
def test_dcmtk_renders_it(picture: str, answer: Any, tmp_path: Path) -> None:
    image = tmp_path / "image.pgm"
    command = [require_peer("dcmj2pnm"), "--min-max-window", answer["files"][picture], str(image)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    head, pixels = image.read_bytes()[:15], image.read_bytes()[-256 * 256 :]
    assert head.split()[:3] == [b"P5", b"256", b"256"]
    assert len(set(pixels)) > 100  # a picture, not a grey card


def _pixels(answer: Any, picture: str) -> Any:
    return pydicom.dcmread(answer["files"][picture]).pixel_array


def test_for_processing_holds_the_corrected_frame(answer: Any) -> None:
    made = reprocess(Path(answer["files"]["processing"]).parent)
    assert (_pixels(answer, "processing") == made.processing_pixels).all()


@pytest.mark.parametrize("edge", EDGES, ids=lambda edge: edge.name)
def test_the_phantom_s_edges_stand_where_the_geometry_says(edge: Edge, answer: Any) -> None:
    corrected = _pixels(answer, "processing").astype(float)
    density = -np.log(np.maximum(corrected - PEDESTAL_COUNT, 4.0))
    assert abs(found_px(density, edge, PITCH_MM)) <= 1.0
    if edge.name == "field bottom":
        return  # burned-in words stand there
    if edge.name.startswith("field"):  # black outside, by an electronic shutter
        edge = replace(edge, denser_after=not edge.denser_after)
    presented = _pixels(answer, "presentation").astype(float)
    assert abs(found_px(presented, edge, PITCH_MM)) <= 1.0


def test_the_picture_lies_inside_its_window(answer: Any) -> None:
    dataset = pydicom.dcmread(answer["files"]["presentation"])
    low, high = np.percentile(dataset.pixel_array, [5, 95])
    center, width = float(dataset.WindowCenter), float(dataset.WindowWidth)
    assert center - width / 2 <= low < high <= center + width / 2


# --- as people type it


def _tree(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def test_two_demos_of_one_seed_leave_identical_files(tmp_path: Path) -> None:
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        out = str(tmp_path / name)
        words = ("demo", *ON_PORTABLE, "--rung", "model", "--seed", seed, "--out", out)
        assert dxrig(*words).exit_code == 0
    a, b, c = (_tree(tmp_path / name) for name in "abc")
    assert a == b
    assert a.keys() - c.keys() == {name for name in a if name.startswith("panel-set-")}
    frame = "exposures/demo-1/frame.stream"
    assert a[frame] != c[frame]


def test_people_get_a_timeline_both_techniques_the_files_and_what_ends_a_beam(
    tmp_path: Path,
) -> None:
    out = tmp_path / "run"
    words = ("demo", *ON_PORTABLE, "--rung", "model", "--kvp", "70", "--mas", "0.4")
    result = dxrig(*words, "--out", str(out))
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "   0.930 s  EXPOSE           everything needed is true in one scan\n" in text
    assert "        kV        70.0        70" in text
    assert "       mAs       0.400       0.4" in text
    assert "indicated by the generator, not measured" in text
    assert "Ended by: planned end\n" in text
    assert f"Files in {out}\n" in text
    assert "exposures/demo-1/presentation.dcm" in text
    assert "unit dead or stopped -> kV off      270 ms  relay pulse\n" in text
    assert text.endswith("Not a cleared medical device.\n")
    assert "  0.930 s  EXPOSE\n" in result.stderr  # progress, for those who wait
    assert max(map(len, text.replace(str(out), "").splitlines())) <= 100


def test_without_out_each_demo_has_a_folder_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    words = ("demo", *ON_PORTABLE, "--rung", "model", "--json")
    answers = [json.loads(dxrig(*words).stdout) for _ in range(2)]
    first, second = (Path(answer["run"]) for answer in answers)
    assert first != second
    assert first.parent == second.parent == tmp_path / "dxrig" / "portable" / "runs"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--kvp", "130"], "kvp = 130 kV is outside 30 to 120 kV"),
        (
            ["--mas", "1", "--ms", "100"],
            "give one of --mas, --ms and --aec: one of them ends the beam",
        ),
        (["--ms", "100"], "give --mas, or --ma with --ms, or --aec"),
        (["--seed", "-1"], "Invalid value for '--seed': -1 is not in the range 0<=x<=4294967295."),
        (["--bench", "portabel"], "no bench 'portabel'; did you mean 'portable'?"),
    ],
)
def test_what_the_bench_would_refuse_is_said_before_anything_starts(
    words: list[str], message: str, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = dxrig("demo", *ON_PORTABLE, "--out", str(out), "--json", *words)
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["code"], error["message"]) == (2, 2, message)
    assert not out.exists()


def test_a_state_folder_of_no_use_is_told_before_the_headline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "state").write_text("a file is in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    done = CliRunner().invoke(
        main, ["demo", *ON_PORTABLE, "--progress", "plain"], prog_name="dxrig"
    )
    where = tmp_path / "state" / "dxrig" / "portable" / "runs"
    assert done.exit_code == 2
    assert done.stderr.startswith("dxrig: ")
    assert str(where.parent) in done.stderr.splitlines()[0]
    assert "Demo on bench" not in done.output


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = dxrig("demo", "--rung", "model", "--out", str(tmp_path))
    assert result.exit_code == 2
    assert result.stderr.endswith(f"{tmp_path}: is not empty; name a new or an empty folder\n")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("rung", RUNGS)
def test_the_demo_shows_the_mobile_unit_unless_asked_otherwise(rung: str, tmp_path: Path) -> None:
    result = dxrig("demo", "--rung", rung, "--out", str(tmp_path / "run"))
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"One exposure on bench mobile, {rung} rung, all simulated"
    assert lines[1].startswith("R2CP: unverified, may need the vendor's ICD")
    assert max(map(len, lines[:3])) <= 79
    assert "        kV        80.0" in result.stdout
    assert "        mA     100.000" in result.stdout
    assert "Ended by: planned end\n" in result.stdout
    folder = tmp_path / "run" / "exposures" / "demo-1"
    dataset = pydicom.dcmread(folder / "presentation.dcm", stop_before_pixels=True)
    assert (dataset.PositionerType, dataset.Grid, dataset.FocalSpots) == ("NONE", "NONE", 1.2)
    assert dataset.DistanceSourceToDetector == 1200


def test_a_room_s_bucky_and_grid_stand_in_the_image(tmp_path: Path) -> None:
    dxrig("demo", "--bench", "room", "--rung", "model", "--out", str(tmp_path / "run"))
    folder = tmp_path / "run" / "exposures" / "demo-1"
    dataset = pydicom.dcmread(folder / "processing.dcm", stop_before_pixels=True)
    assert (dataset.PositionerType, dataset.DistanceSourceToDetector) == ("COLUMN", 1150)
    assert list(dataset.Grid) == ["FIXED", "FOCUSED"]
    assert (dataset.GridFocalDistance, list(dataset.GridAspectRatio), dataset.GridPitch) == (
        1150, [10, 1], 0.25,
    )  # fmt: skip


def test_a_bench_without_a_typical_shot_is_asked_what_to_make(tmp_path: Path) -> None:
    text = (BENCHES / "portable.toml").read_text(encoding="utf-8").partition("[typical]")[0]
    file = tmp_path / "mine.toml"
    file.write_text(text, encoding="utf-8")
    result = dxrig("demo", "--bench", str(file), "--rung", "model")
    assert (result.exit_code, result.stderr) == (
        2, "dxrig: bench portable has no [typical] shot: give --kvp, and --mas or --ms\n",
    )  # fmt: skip
