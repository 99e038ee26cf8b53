"""`dxrig sim show phantom`: the list, the facts, the picture, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from rig.cli import main
from rig.sim_show.phantom import View, command, looked_at, radiograph
from sim import beam
from sim.phantoms import NAMES, PHANTOMS

VIEW = View(
    kvp=70.0, sid_mm=1000.0, size_px=100, width_mm=None, focus_mm=0.0, lift_mm=0.0, scatter=False,
    grid_ratio=0.0,
)  # fmt: skip
SMALL = ("--size-px", "100")


def show(*arguments: str) -> Result:
    done = CliRunner().invoke(main, ["sim", "show", "phantom", *arguments], prog_name="dxrig")
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


def facts(*arguments: str) -> dict[str, object]:
    done = show(*arguments, *SMALL, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)["phantom"]
    return found


def test_without_a_name_it_lists_them_all_a_line_each() -> None:
    lines = show().stdout.splitlines()
    assert lines[0].split() == ["phantom", "what", "it", "is"]
    assert [line.split()[0] for line in lines[1:]] == list(NAMES)
    listed = json.loads(show("--json").stdout)
    assert listed["schema"] == 1
    assert listed["phantoms"] == [{"name": p.name, "about": p.about} for p in PHANTOMS.values()]


def test_a_flat_s_facts_are_its_aluminium_and_what_comes_through() -> None:
    found = facts("flat_rqa5", "--kvp", "70")
    behind = beam.kerma_ugy(70.0, 1.0, aluminium_mm=beam.INHERENT_MM_AL + 21.0)
    through = behind / beam.kerma_ugy(70.0, 1.0)
    assert found["materials_max_mm"] == {"aluminium": 21.0}
    assert (found["collimated"], found["verified"], found["kvp"]) == (False, False, 70.0)
    assert found["arrives_least"] == found["arrives_median"] == found["arrives_most"]
    assert found["arrives_median"] == pytest.approx(through, rel=0.01)


@pytest.mark.parametrize(
    ("name", "mm"),
    [
        ("edge", {"tungsten": 1.0}),
        ("bars", {"lead": 0.1}),
        ("low_contrast", {"aluminium": 2.0, "pmma": 100.0}),
        ("none", {}),
    ],
)
def test_materials_are_told_with_their_most_mm(name: str, mm: dict[str, float]) -> None:
    assert facts(name)["materials_max_mm"] == mm


def test_optics_are_seen() -> None:
    bare, scattered, gridded = (
        facts("pmma_100", *more)["arrives_median"]
        for more in ((), ("--scatter",), ("--scatter", "--grid-ratio", "10"))
    )
    assert isinstance(bare, float)
    assert isinstance(scattered, float)
    assert isinstance(gridded, float)
    assert gridded < bare < scattered
    assert facts("chest")["width_mm"] == 350.0
    assert facts("border")["width_mm"] == 200.0
    assert facts("border", "--width-mm", "50")["arrives_least"] == 1.0  # inside its opening
    lifted = facts("border", "--width-mm", "100", "--lift-mm", "200", "--sid-mm", "400")
    assert lifted["arrives_least"] == 1.0  # twice as large


def test_a_picture_and_the_facts_are_written(tmp_path: Path) -> None:
    places = {form: tmp_path / f"bars.{form}" for form in ("png", "svg", "json")}
    for place in places.values():
        done = show("bars", *SMALL, "--out", str(place))
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[-1] == f"{place} is written."
    with Image.open(places["png"]) as picture:
        assert picture.size == (100, 100)
        shown = np.asarray(picture.convert("L"))
    part = looked_at("bars", VIEW)[1]
    assert np.abs(shown.astype(int) - radiograph(part)).max() <= 1
    svg = places["svg"].read_text()
    assert "bars, 70 kV: simulated" in svg
    written = json.loads(places["json"].read_text())
    assert written == {"schema": 1, "phantom": facts("bars")}
    again = tmp_path / "again.svg"
    show("bars", *SMALL, "--out", str(again))
    assert again.read_text() == svg


def test_a_radiograph_shows_dense_things_bright_and_even_ones_even() -> None:
    part = np.ones((40, 40), np.float32)
    assert int(radiograph(part).max()) == 0
    part[10:30, 10:30] = 0.01
    part[15:20, 15:20] = 0.1
    seen = radiograph(part)
    assert int(seen[12, 12]) == 255 > int(seen[17, 17]) > int(seen[0, 0]) == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("ches",), "no phantom 'ches'; there are hand, none, "),
        (("chest", "--out", "x.gif"), "x.gif: write to a file that ends in .svg, .png or .json"),
        (
            ("--out", "x.png"),
            "--out needs the NAME of a phantom; `dxrig sim show phantom` lists them",
        ),
        (
            ("chest", "--size-px", "20", "--out", "/nowhere/x.png"),
            "/nowhere/x.png: No such file or directory",
        ),
        (("chest", "--kvp", "200"), "200.0 is not in the range 20<=x<=150"),
        (("chest", "--lift-mm", "300"), "300.0 is not in the range 0<=x<=250"),
    ],
)
def test_what_can_not_be_is_refused_with_what_can(arguments: tuple[str, ...], told: str) -> None:
    done = show(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_its_help_has_examples() -> None:
    assert command.epilog is not None
    assert "dxrig sim show phantom chest --out chest.png" in command.epilog
