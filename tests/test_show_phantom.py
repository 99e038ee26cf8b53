"""`dxrig sim show phantom`: the list, the facts, the picture, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray
from PIL import Image

from rig.cli import main
from rig.sim_show.optics_words import optics_words
from rig.sim_show.phantom import View, command, looked_at
from rig.sim_show.phantom_picture import is_even, radiograph
from sim import beam
from sim.optics import INJECTIONS, PLAIN, Optics, SimOptics
from sim.phantoms import NAMES, PHANTOMS

VIEW = View(kvp=70.0, sid_mm=1000.0, size_px=100, width_mm=None, optics=PLAIN)
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


@pytest.mark.parametrize(
    "words", [("--kvp", "70"), ("--scatter",), ("--set", "heel=true"), ("--lift-mm", "0")]
)
def test_an_option_of_one_phantom_needs_its_name(words: tuple[str, ...]) -> None:
    refused = show(*words)
    told = f"{words[0]}: needs the NAME of a phantom; `dxrig sim show phantom` lists them"
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert told in refused.stderr


def test_a_phantom_is_known_in_either_case() -> None:
    assert facts("Hand") == facts("hand")
    assert "no phantom 'Hnad'" in show("Hnad").stderr


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


@pytest.mark.parametrize("level", [1.0, 0.7, 0.02, 1e-9])
def test_what_is_even_is_grey_however_little_arrives(level: float) -> None:
    part = np.full((40, 40), level, np.float32)
    assert is_even(part)
    assert set(radiograph(part, 0.7).flat) <= {127, 128}  # a half, by rounding


def test_a_hundredth_more_or_less_is_seen_and_not_taken_for_a_great_difference() -> None:
    part = np.full((40, 40), 0.30, np.float32)
    part[:, 20:] *= 0.99
    seen = radiograph(part)
    assert not is_even(part)
    assert 60 < int(seen[0, 0]) < 128 < int(seen[0, 30]) < 195


def test_the_window_begins_at_the_thinnest_of_a_body_and_not_at_the_open_beam() -> None:
    """Lungs are dark then, as people set it; the open beam is black anyhow."""
    part = np.full((200, 200), 1.0, np.float32)
    part[10:190, 10:190] = np.geomspace(0.2, 0.01, 180)
    seen = radiograph(part)
    assert int(seen[0, 0]) == 0
    assert int(seen[100, 14]) < 10
    assert int(seen[100, 188]) > 245


def test_a_body_with_much_light_beside_it_keeps_its_thin_rim() -> None:
    part = np.full((200, 200), 1.0, np.float32)
    part[50:150, 50:150] = np.geomspace(0.6, 0.01, 100)
    seen = radiograph(part)
    assert int(seen[0, 0]) == 0
    assert int(seen[100, 52]) == pytest.approx(255 * np.log(0.6) / np.log(0.01), abs=5)


def test_behind_a_grid_the_open_beam_is_what_it_lets_through() -> None:
    part = np.full((200, 200), 0.7, np.float32)
    part[10:190, 10:190] = 0.7 * np.geomspace(0.85, 0.05, 180)
    seen, bare = (radiograph(*one).astype(int) for one in ((part, 0.7), (part / 0.7, 1.0)))
    assert np.abs(seen - bare).max() <= 1
    assert np.abs(radiograph(part).astype(int) - bare).max() > 2  # the rim counts as a body then


def test_the_soft_edge_of_lead_keeps_its_greys() -> None:
    part = np.full((200, 200), 1.0, np.float32)
    part[:, 100:] = 1e-6
    part[:, 99] = 0.3
    seen = radiograph(part)
    assert 0 == int(seen[0, 50]) < int(seen[0, 99]) < int(seen[0, 150]) == 255


def test_the_picture_of_an_even_thing_says_so_and_how_much_arrives(tmp_path: Path) -> None:
    place = tmp_path / "flat.png"
    assert show("flat_rqa5", "--size-px", "300", "--out", str(place)).exit_code == 0
    with Image.open(place) as picture:
        assert picture.size == (300, 300)
        shown = np.asarray(picture.convert("L"))
    assert int(shown[5, 5]) == pytest.approx(127.5, abs=0.5)
    assert (shown < 60).mean() > 0.005  # letters and a scale
    drawn = tmp_path / "flat.svg"
    show("flat_rqa5", *SMALL, "--out", str(drawn))
    assert "even: 3.51 % of the open beam at 70 kV" in drawn.read_text()


def test_a_radiograph_shows_dense_things_bright() -> None:
    part = np.ones((40, 40), np.float32)
    part[10:30, 10:30] = 0.01
    part[15:20, 15:20] = 0.1
    seen = radiograph(part)
    assert int(seen[12, 12]) == 255 > int(seen[17, 17]) > int(seen[0, 0]) == 0


# --- optics


def test_facts_say_how_it_was_looked_at() -> None:
    found = facts("hand", "--sid-mm", "1500", "--lift-mm", "30", "--set", "focus_mm=0.6",
                  "--scatter", "--grid-ratio", "8", "--set", "grid_focus_mm=1150")  # fmt: skip
    assert (found["sid_mm"], found["total_al_mm"]) == (1500.0, 2.5)
    assert found["optics"] == {name: one.harmless for name, one in INJECTIONS.items()} | {
        "focus_mm": 0.6, "lift_mm": 30.0, "scatter": True, "grid_ratio": 8.0,
        "grid_focus_mm": 1150.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "middle_pct"),
    [("pmma_100", (55, 70)), ("pmma_200", (70, 85)), ("hand", (2, 12)), ("edge", (0, 0))],
)
def test_scatter_is_told_though_it_is_not_in_the_picture(
    name: str, middle_pct: tuple[float, float]
) -> None:
    found = facts(name)
    least, most = middle_pct
    assert isinstance(found["scatter_pct_middle"], float)
    assert least <= found["scatter_pct_middle"] <= most
    scattered = facts(name, "--scatter")
    assert scattered["scatter_pct_middle"] == found["scatter_pct_middle"]
    now, before = (one["behind_median"] for one in (scattered, found))
    assert isinstance(now, float)
    assert isinstance(before, float)
    assert (now > 1.05 * before) == (most > 0)


def test_the_open_beam_is_told_as_a_grid_leaves_it() -> None:
    assert facts("hand")["open_part"] == 1.0
    assert facts("hand", "--grid-ratio", "8")["open_part"] == 0.7


def test_a_chest_s_mediastinum_has_the_scatter_that_was_measured() -> None:
    """About 90 % without a grid, and behind 12:1 more than half (Niklason et al. 1981)."""
    bare, gridded = (
        facts("chest", "--kvp", "110", *more)["scatter_pct_middle"]
        for more in ((), ("--grid-ratio", "12"))
    )
    assert bare == pytest.approx(90.0, abs=3.0)
    assert gridded == pytest.approx(57.0, abs=5.0)


@pytest.mark.parametrize(
    ("arguments", "row"),
    [
        (("border",), "behind it (on 17 % of the picture) mostly under 0.001 % to "),
        (("edge",), "behind it (on 30 % of the picture) 0.0091 % of the open beam"),
        (("pmma_100",), "3.9 % of the open beam"),
        (("none",), "100 % everywhere"),
        (("none", "--set", "grid_ratio=10"), "70 % everywhere"),
        (("none", "--set", "heel=true"), "86 % to 105 %, median 100 %"),
        (
            ("none", "--grid-ratio", "10", "--set", "grid_upside_down=true"),
            "under 0.001 % to 68.6 %, median 0.7 %",
        ),
        (
            ("none", "--grid-ratio", "10", "--set", "grid_stands_still=true", "--width-mm", "20"),
            "65.6 % to 76.5 %, median 65.8 %",
        ),
    ],
)
def test_what_arrives_is_told_of_what_lies_there(arguments: tuple[str, ...], row: str) -> None:
    (line,) = [x for x in show(*arguments, *SMALL).stdout.splitlines() if x.startswith("air kerma")]
    assert line.split(maxsplit=2)[2].startswith(row)


@pytest.mark.parametrize(
    ("arguments", "optics", "scatter"),
    [
        (("hand",), "plain: a point focus", "not in the picture; it would be 6 % of what"),
        (("pmma_100", "--scatter"), "scatter = true", "62 % of what arrives in the middle, "),
        (("none", "--set", "heel=true"), "heel = true", "none arrives"),
        (("bars", "--set", "grid_off_mm=30", "--grid-ratio", "10"),
         "grid_ratio = 10, grid_off_mm = 30", "none arrives"),
    ],
)  # fmt: skip
def test_optics_and_scatter_have_a_row_each(
    arguments: tuple[str, ...], optics: str, scatter: str
) -> None:
    rows = {line.split()[0]: line for line in show(*arguments, *SMALL).stdout.splitlines()}
    assert rows["optics"].split(maxsplit=1)[1].startswith(optics)
    assert rows["scatter"].split(maxsplit=1)[1].startswith(scatter)


def test_a_room_says_of_its_optics_what_is_not_plain() -> None:
    room = SimOptics(Optics(focus_mm=1.2, grid_ratio=10.0, grid_focus_mm=1150.0))
    assert optics_words(asdict(room.now())) == (
        "plain: a point focus, all on the panel, no scatter, no grid"
    )
    room.arrange(as_bench=True)
    room.grid_upside_down = True
    assert optics_words(asdict(room.now())) == (
        "focus_mm = 1.2, grid_ratio = 10, grid_focus_mm = 1150, grid_upside_down = true"
    )


def test_a_grid_that_is_upside_down_leaves_a_band_and_the_heel_a_slope() -> None:
    def part(optics: Optics) -> NDArray[np.float32]:
        return looked_at("none", replace(VIEW, width_mm=350.0, optics=optics))[1]

    turned = part(Optics(grid_ratio=10.0, grid_upside_down=True))
    assert turned[50, 50] == pytest.approx(0.70, abs=0.03)
    assert turned[50, 10] == turned[50, 90] == 0.0
    shaded = part(Optics(heel=True))
    assert shaded[2, 50] < 0.95 < 1.02 < shaded[97, 50]
    assert np.ptp(shaded[2]) == 0.0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("chest", "--set", "grid_ration=8"), "grid_ration: there are focus_mm, lift_mm, "),
        (("chest", "--set", "grid_ration=8"), "did you mean 'grid_ratio'?"),
        (("chest", "--set", "grid_ratio=99"), "--set grid_ratio = 99: must be 0 to 20"),
        (("chest", "--set", "grid_ratio=NaN"), "--set grid_ratio = nan: must be "),
        (("chest", "--set", "scatter=1"), "--set scatter = 1: must be "),
        (("chest", "--set", "scatter"), "--set scatter: write name=value"),
        (("chest", "--set", "lost_filtration_mm=1"), "lost_filtration_mm: there are "),
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
