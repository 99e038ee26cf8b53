"""`dxrig sim show beam`: the simulated beam in numbers, for people, and drawn; of no simulator."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from matplotlib.backends.backend_agg import FigureCanvasAgg

from rig.cli import main
from rig.sim_show import beam_picture
from sim.beam import KEV, spectrum
from tests.spekpy_beams import QUALITIES

SHOW = ("sim", "show")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.delenv("DXRIG_BENCH", raising=False)


def show(*words: str) -> Result:
    return CliRunner().invoke(main, [*SHOW, *words], prog_name="dxrig")


def answer(*words: str) -> dict[str, Any]:
    done = show(*words, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.pop("schema") == 1
    return found


def drawn(path: Path, *words: str) -> bytes:
    assert show("beam", *words, "--out", str(path)).exit_code == 0
    return path.read_bytes()


# --- numbers


def test_a_beam_is_answered_in_the_numbers_that_qc_asks_for() -> None:
    found = answer("beam", "--kvp", "80", "--total-al-mm", "3.0")
    source = found.pop("source")
    assert source == "SpekPy 2.5.4, casim, attenuation pene"
    assert found.pop("quality") is None
    assert found == pytest.approx(
        {
            "kv": 80.0, "total_al_mm": 3.0, "added_al_mm": 0.0, "cu_mm": 0.0, "anode_deg": 12.0,
            "off_axis_mm": 0.0,
            # SpekPy's own words: tests/spekpy_beams.toml, 80 kV and 3 mm Al
            "hvl1_mm_al": 3.07541, "hvl2_mm_al": 4.43348, "homogeneity": 0.693679,
            "mean_energy_kev": 43.9755, "kerma_ugy_per_mas_at_1m": 67.3736,
            "fluence_per_mm2_per_ugy": 19770.4,
        },
        rel=1e-5,
    )  # fmt: skip


def test_without_a_filter_it_is_2_5_mm_of_aluminium() -> None:
    assert answer("beam", "--kvp", "80") == answer("beam", "--kvp", "80", "--total-al-mm", "2.5")


@pytest.mark.parametrize(
    ("words", "filters"),
    [
        (("--total-al-mm", "1.5", "--added-al-mm", "2"), {"aluminium_mm": 3.5}),
        (("--cu-mm", "0.1"), {"copper_mm": 0.1}),
        (("--anode-deg", "16"), {"anode_deg": 16.0}),
        (("--off-axis-mm", "-100"), {"off_axis_mm": -100.0}),
        (("--total-al-mm", "0"), {"aluminium_mm": 0.0}),
    ],
)
def test_every_option_reaches_the_beam(words: tuple[str, ...], filters: dict[str, float]) -> None:
    found, wanted = answer("beam", "--kvp", "70", *words), spectrum(70.0, **filters)
    assert found["kerma_ugy_per_mas_at_1m"] == pytest.approx(wanted.kerma_ugy_per_mas, rel=1e-5)
    assert found["hvl1_mm_al"] == pytest.approx(wanted.hvl_mm_al(), rel=1e-5)


@pytest.mark.parametrize("name", QUALITIES)
def test_a_quality_sets_voltage_and_filters_and_shows_the_published_value(name: str) -> None:
    found, spekpy = answer("beam", "--quality", name), QUALITIES[name]
    assert found["kv"] == spekpy.kv
    assert found["total_al_mm"] + found["added_al_mm"] == pytest.approx(
        spekpy.aluminium_mm, abs=0.001
    )
    assert found["hvl1_mm_al"] == pytest.approx(spekpy.hvl1_mm_al, rel=1e-3)
    assert found["fluence_per_mm2_per_ugy"] == pytest.approx(
        spekpy.fluence_per_mm2_per_ugy, rel=1e-3
    )
    published = found["quality"]
    assert (published["name"], published["edition"]) == (name, "IEC 61267:2005")
    assert published["verified"] is False
    off_pct = 100 * (found["hvl1_mm_al"] / published["hvl1_mm_al"] - 1)
    assert published["hvl1_off_pct"] == pytest.approx(off_pct, abs=0.006)
    assert abs(off_pct) < 2.0


def test_rqa5_takes_21_mm_more_than_rqr5() -> None:
    rqr, rqa = (answer("beam", "--quality", name) for name in ("RQR5", "rqa5"))
    assert (rqr["added_al_mm"], rqa["added_al_mm"]) == (0.0, 21.0)
    assert rqa["total_al_mm"] == rqr["total_al_mm"] == pytest.approx(2.766, abs=0.001)
    assert (rqr["quality"]["homogeneity"], rqa["quality"]["homogeneity"]) == (0.71, None)


def test_people_read_a_table_with_the_published_value_beside_ours() -> None:
    lines = show("beam", "--quality", "RQR5").stdout.splitlines()
    assert lines[0] == "Simulated beam, RQR5 of IEC 61267:2005"
    table = "\n".join(lines)
    assert "70 kV, 2.766 mm Al, tungsten 12 deg" in table
    assert "2.580 mm Al" in table
    assert "2.58 mm Al (+0.0 % here)" in table
    assert lines[-1].startswith("Published values are unverified: to one decimal: UHB RRPPS")
    plain = show("beam", "--kvp", "80", "--cu-mm", "0.1", "--off-axis-mm", "-50").stdout
    assert "80 kV, 2.5 mm Al + 0.1 mm Cu, tungsten 12 deg" in plain
    assert "-50 mm" in plain
    assert "published" not in plain


# --- what is refused


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "say --kvp, such as --kvp 80, or --quality"),
        (("--kvp", "19"), "19.0 is not in the range 20<=x<=150"),
        (("--kvp", "151"), "151.0 is not in the range 20<=x<=150"),
        (("--kvp", "80", "--total-al-mm", "-1"), "-1.0 is not in the range 0<=x<=100"),
        (("--kvp", "80", "--anode-deg", "4"), "anode_deg must be from 5 to 25, got 4"),
        (("--kvp", "80", "--off-axis-mm", "500"), "off_axis_mm must be from -400 to 400, got 500"),
        (("--kvp", "80", "--off-axis-mm", "-250"), "the anode is in the way"),
        (
            ("--kvp", "20", "--added-al-mm", "100", "--cu-mm", "10"),
            "nothing comes through 2.5 mm Al + 100 mm Al + 10 mm Cu at 20 kV: "
            "less than 0.001 uGy/mAs at 1 m",
        ),
        (("--kvp", "80", "--cu-mm", "10.1"), "10.1 is not in the range 0<=x<=10"),
        (("--quality", "RQA11"), "no radiation quality 'RQA11'; did you mean RQA10?"),
        (
            ("--quality", "RQA5", "--kvp", "70", "--added-al-mm", "1"),
            "--quality sets voltage and filters: leave out --kvp, --added-al-mm",
        ),
        (("--kvp", "80", "--out", "beam.pdf"), "beam.pdf: write to a file that ends in .svg, .png"),
        (("--kvp", "80", "--out", "/nowhere/beam.svg"), "--out /nowhere/beam.svg: No such file"),
        (("--kvp", "80", "--out", "/nowhere/beam.json"), "--out /nowhere/beam.json: No such file"),
    ],
)
def test_bad_input_is_told_in_a_line_and_is_usage(words: tuple[str, ...], text: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rig", *SHOW, "beam", *words], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_physics_is_asked_of_no_bench_and_an_unknown_word_is_told_the_nearest() -> None:
    assert (
        "beam asks no simulator: leave out --bench"
        in show("--bench", "mobile", "beam", "--kvp", "80").stderr
    )
    done = show("baem")
    assert done.exit_code == 2
    assert "Did you mean" in done.stderr
    assert "'beam'" in done.stderr


def test_json_may_stand_before_the_word_too() -> None:
    done = show("--json", "beam", "--kvp", "80")
    assert json.loads(done.stdout)["kv"] == 80.0


def test_words_of_the_room_ask_a_running_simulator_as_no_word_does() -> None:
    missing = "no simulator of bench mobile runs"
    for words in ((), ("room",), ("io",), ("beams",), ("meter",), ("nets",)):
        done = show("--bench", "mobile", *words)
        assert (done.exit_code, missing in done.stderr) == (3, True), words
    assert missing in show("io", "--bench", "mobile").stderr


def test_no_number_is_no_number() -> None:
    for words in (
        ("beam", "--kvp", "nan"), ("panel", "--kvp", "nan"), ("panel", "--pitch-mm", "nan"),
        ("panel", "--dose-ugy", "nan"), ("phantom", "hand", "--kvp", "nan"),
        ("phantom", "hand", "--sid-mm", "nan"),
        ("phantom", "hand", "--scatter", "--grid-ratio", "nan"),
    ):  # fmt: skip
        done = show(*words)
        assert (done.exit_code, done.stdout) == (2, ""), words
        assert f"'{words[-2]}': nan is not in the range" in done.stderr, words


def test_options_before_the_word_count_for_each_word(tmp_path: Path) -> None:
    for words in (("phantom",), ("phantom", "hand"), ("panel",), ("tube",), ("faults", "none")):
        assert json.loads(show("--json", *words).stdout)["schema"] == 1, words
    coarse = json.loads(show("--bench", "room", "--json", "panel").stdout)
    assert coarse["panel"]["nyquist_per_mm"] == pytest.approx(0.357, abs=0.001)
    (tmp_path / "x.json").write_text("{}")
    at = show("--at", str(tmp_path / "x.json"), "panel")
    assert (at.exit_code, "panel asks no simulator: leave out --at" in at.stderr) == (2, True)


def test_a_coarse_panel_has_its_sharpness_in_the_table_too() -> None:
    told = show("panel", "--bench", "room").stdout.splitlines()
    assert "at mm-1        0.1    0.2    0.3" in told


def test_the_help_of_every_word_stands_as_it_was_written() -> None:
    for words in (("sim", "meter"), ("sim", "show", "faults"), ("sim", "up")):
        told = CliRunner().invoke(main, [*words, "--help"]).stdout
        assert "\\" not in told, words
        assert "\n    dxrig sim" in told, words


@pytest.mark.parametrize(
    "words",
    [("sim", word) for word in ("do", "meter", "press", "up", "show")]
    + [("sim", "show", word) for word in ("beam", "faults", "panel", "phantom", "supply", "tube")],
)
def test_no_line_of_a_help_is_longer_than_a_screen(words: tuple[str, ...]) -> None:
    told = CliRunner().invoke(main, [*words, "--help"], prog_name="dxrig").stdout
    assert [line for line in told.splitlines() if len(line) > 80] == []


def test_helps_say_ranges_and_what_is_meant() -> None:
    def told(*words: str) -> str:
        return " ".join(CliRunner().invoke(main, [*words, "--help"]).stdout.split())

    beam = told("sim", "show", "beam")
    assert "5 to 25" in beam
    assert "-400 to 400" in beam
    assert "Field mm: so far" in told("sim", "show", "faults")
    assert "Sides %: so much" in told("sim", "show", "faults")
    with_set = told("sim", "do").partition("With --set:")[2].partition("without --set")[0]
    assert '"panel battery"' in with_set


def test_every_word_takes_the_same_copper() -> None:
    for word in ("beam", "panel"):
        thick = show(word, "--kvp", "80", "--cu-mm", "10.1")
        assert thick.exit_code == 2
        assert "10.1 is not in the range 0<=x<=10" in thick.stderr, word
        nothing = show(word, "--kvp", "20", "--cu-mm", "10")
        told = "dxrig: nothing comes through 2.5 mm Al + 10 mm Cu at 20 kV: "
        assert (nothing.exit_code, nothing.stderr.startswith(told)) == (2, True), word


def test_a_beam_that_a_meter_could_still_see_is_shown() -> None:
    assert answer("beam", "--kvp", "80", "--cu-mm", "5")["kerma_ugy_per_mas_at_1m"] > 0.001


def test_a_difference_of_nothing_has_no_minus() -> None:
    table = show("beam", "--quality", "RQA10").stdout
    assert "13.3 mm Al (+0.0 % here)" in table


# --- pictures and data


def test_the_same_beam_is_drawn_to_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.svg", "one.png", "one.json"):
        words = ("--quality", "RQA5")
        assert drawn(tmp_path / name, *words) == drawn(tmp_path / f"again-{name}", *words), name


def test_the_picture_says_what_is_drawn(tmp_path: Path) -> None:
    picture = drawn(tmp_path / "beam.svg", "--kvp", "120", "--cu-mm", "0.2").decode()
    for text in ("Simulated beam, 120 kV, 2.5 mm Al + 0.2 mm Cu, tungsten 12 deg",
                 "uGy/mAs at 1 m", "photon energy, keV", "1st HVL", "2nd HVL",
                 "air kerma left", "W K\u03b1", "W K\u03b2", "mean "):  # fmt: skip
        assert text in picture, text
    soft = drawn(tmp_path / "soft.svg", "--kvp", "60").decode()
    assert "W K" not in soft  # below the K edge


@pytest.mark.parametrize(
    "words",
    [
        ("--kvp", "80"), ("--kvp", "120"), ("--kvp", "150", "--total-al-mm", "0"),
        ("--quality", "RQA6"), ("--quality", "RQA8"), ("--quality", "RQA10"),
    ],
)  # fmt: skip
def test_names_of_lines_lie_on_no_other_name_and_beside_the_mean(words: tuple[str, ...]) -> None:
    facts = answer("beam", *words)
    made = spectrum(
        facts["kv"],
        aluminium_mm=facts["total_al_mm"] + facts["added_al_mm"],
        copper_mm=facts["cu_mm"],
    )
    figure = beam_picture.draw_beam(facts, made)
    photons = figure.axes[0]
    FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
    boxes = {text.get_text(): text.get_window_extent() for text in photons.texts}
    mean_px = photons.transData.transform((facts["mean_energy_kev"], 0.0))[0]
    for name, box in boxes.items():
        others = [other for text, other in boxes.items() if text != name]
        assert not any(box.overlaps(other) for other in others), name
    alpha = next(box for name, box in boxes.items() if "\u03b1" in name)
    assert not alpha.x0 <= mean_px <= alpha.x1
    line_px = photons.transData.transform((beam_picture.K_ALPHA_KEV, 0.0))[0]
    for name, box in boxes.items():
        assert not ("\u03b2" in name and box.x0 <= line_px <= box.x1)
    assert not any("e" in label.get_text() for label in photons.get_yticklabels())
    assert photons.yaxis.get_offset_text().get_text() == ""


def test_the_curve_in_the_picture_is_the_spectrum() -> None:
    one = spectrum(90.0)
    facts = {**answer("beam", "--kvp", "90")}
    photons, aluminium = beam_picture.draw_beam(facts, one).axes
    energies, per_kev = (np.asarray(values) for values in photons.lines[0].get_data())
    assert list(energies) == list(KEV[KEV < 90.0])
    assert list(per_kev) == list(one.fluence_per_mm2[KEV < 90.0] / 0.5)
    thicknesses, left = (np.asarray(values) for values in aluminium.lines[0].get_data())
    assert (thicknesses[0], left[0]) == (0.0, 1.0)
    behind = one.behind({"aluminium": float(thicknesses[20])}).kerma_ugy_per_mas
    assert left[20] == pytest.approx(behind / one.kerma_ugy_per_mas)


def test_the_data_are_the_answer_and_the_spectrum(tmp_path: Path) -> None:
    data = json.loads(drawn(tmp_path / "beam.json", "--kvp", "80"))
    assert data.pop("schema") == 1
    curve = data.pop("fluence_per_mm2_per_mas")
    assert data.pop("kev") == list(KEV)
    assert data == answer("beam", "--kvp", "80")
    assert curve == pytest.approx(list(spectrum(80.0).fluence_per_mm2), rel=1e-5)
    assert sum(curve) == pytest.approx(
        data["fluence_per_mm2_per_ugy"] * data["kerma_ugy_per_mas_at_1m"], rel=1e-5
    )


def test_the_help_needs_no_numbers_to_be_loaded() -> None:
    code = (
        "import sys, rig.commands.sim; "
        "print([n for n in ('numpy', 'matplotlib', 'pydantic') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
