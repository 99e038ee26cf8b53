"""`dxrig sim show panel`: formulae that images of the simulated panel follow, and its defects."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.backends.backend_agg import FigureCanvasAgg

from rig.bench import load_bench
from rig.cli import main
from rig.exit_codes import USAGE
from rig.model import setting_of
from rig.sim_show.panel_picture import draw, heading
from sim.build import pixel_model
from sim.image_truth import ImageTruth
from sim.scintillator import quality

BENCH = ("--bench", "portable")
DIGITS = 5e-5  # five of them are told
FINE = (*BENCH, "--pitch-mm", "0.139")


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["sim", "show", "panel", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


@cache
def answer(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(*arguments, "--json"))
    assert found["schema"] == 1
    return found


def test_the_panel_is_the_benchs_in_rqa5_unless_something_else_is_said() -> None:
    found = answer(*BENCH)
    assert found["panel"] == {
        "rows_px": 256, "columns_px": 256, "pitch_mm": 0.8, "bits_stored": 14, "seed": 1,
        "nyquist_per_mm": 0.625,
    }  # fmt: skip
    beam = found["beam"]
    assert (beam["quality"], beam["kvp"], beam["cu_mm"]) == ("RQA5", 70.0, 0.0)
    assert beam["total_al_mm"] == pytest.approx(23.8, abs=0.1)
    assert beam["fluence_per_mm2_per_ugy"] == pytest.approx(600 / 0.14**2, rel=0.05)
    assert beam["absorbed_pct"] == pytest.approx(89.6, abs=0.4)
    assert [one["kerma_ugy"] for one in found["doses"]] == [0.25, 1.0, 2.5, 10.0]
    assert found["mtf_half_per_mm"] is None  # beyond Nyquist of 0.8 mm


def test_the_curves_are_the_formulae() -> None:
    found = answer(*FINE, "--kvp", "80", "--total-al-mm", "3", "--dose-ugy", "2", "--cu-mm", "0.1")
    truth = ImageTruth(pitch_mm=0.139, quality=quality(80.0, 3.0, 0.1))
    per_mm = np.linspace(0.0, 0.5 / 0.139, 101)
    assert found["per_mm"] == pytest.approx(per_mm, rel=DIGITS)
    assert found["mtf"] == pytest.approx(truth.mtf(per_mm), rel=DIGITS)
    (dose,) = found["doses"]
    assert dose["dqe"] == pytest.approx(truth.dqe(per_mm, 2.0), rel=DIGITS)
    assert dose["nnps_mm2"] == pytest.approx(truth.nnps_mm2(per_mm, 0.0 * per_mm, 2.0), rel=DIGITS)
    assert truth.mtf(found["mtf_half_per_mm"]) == pytest.approx(0.5, abs=1e-3)


def test_doses_are_told_from_the_least_to_the_most() -> None:
    found = answer(*FINE, "--dose-ugy", "5", "--dose-ugy", "0.5")
    assert [one["kerma_ugy"] for one in found["doses"]] == [0.5, 5.0]
    assert found["doses"][0]["dqe"][0] < found["doses"][1]["dqe"][0]


def test_the_response_ends_where_frames_saturate() -> None:
    found = answer(*BENCH, "--kvp", "80")["response"]
    model = pixel_model(setting_of(load_bench("portable")))
    alike = np.abs(model.maps(0).gain - 1.0) < 0.005
    alike &= ~model.maps(0).defects
    ugy = found["saturates_at_ugy"]
    for kerma_ugy, low, high in ((0.99 * ugy, 0.0, 0.02), (1.01 * ugy, 0.98, 1.0)):
        raw = model.frame(kerma_ugy / 78.436, 80.0, 0, 5, "none")
        assert low <= np.mean(raw[alike] == found["full_scale_counts"]) <= high
    half = model.frame(0.5 * ugy / 78.436, 80.0, 0, 5, "none") - model.maps(0).offset
    curve = np.interp(0.5 * ugy, found["kerma_ugy"], found["counts"])
    assert np.mean(half[alike]) == pytest.approx(curve, rel=0.003)


def test_bench_and_panel_are_named_and_no_legend_lies_on_a_curve() -> None:
    six = [
        word for dose in ("0.1", "0.25", "1", "2.5", "10", "40") for word in ("--dose-ugy", dose)
    ]
    for words in (BENCH, ("--bench", "mobile"), (*BENCH, "--dose-ugy", "1"), (*BENCH, *six)):
        content = answer(*words)
        assert content["bench"] == ("mobile" if "mobile" in words else "portable")
        assert heading(content).startswith(f"Simulated panel of bench {content['bench']}, ")
        figure = draw(content)
        FigureCanvasAgg(figure).draw()  # type: ignore[no-untyped-call]
        axes = figure.axes[1]
        legend = axes.get_legend()
        assert legend is not None
        lowest_px = legend.get_window_extent().y0
        for line in axes.lines:
            assert line.get_window_extent().y1 < lowest_px, words


def test_noise_is_the_electronics_at_first_and_the_quanta_then() -> None:
    noise = answer(*FINE)["noise"]
    assert noise["sigma_counts"][0] == pytest.approx(noise["dark_counts"], rel=0.02)
    assert noise["sigma_counts"][-1] == pytest.approx(noise["quanta_counts"][-1], rel=0.01)
    assert noise["electronic_counts"] == 2.0


def test_defects_are_those_of_the_benchs_own_panel() -> None:
    maps = pixel_model(setting_of(load_bench("portable"))).maps(0)
    found = answer(*BENCH)["defects"]
    assert found["beyond_limit"] == {name: int(m.sum()) for name, m in maps.classes.items()}
    assert found["near_limit"] == {name: int(m.sum()) for name, m in maps.near_limit.items()}
    assert found["total"] == int(maps.defects.sum())
    other = answer(*BENCH, "--seed", "2")["defects"]
    assert other["beyond_limit"]["dead"] != found["beyond_limit"]["dead"]


def test_the_text_has_the_figures_that_people_ask_for() -> None:
    lines = [line.split() for line in shown(*FINE).splitlines()]
    assert ["MTF", "is", "0.5", "at", "1.26", "mm-1"] in lines
    assert ["at", "mm-1", "0.1", "0.2", "0.3", "0.5", "1", "1.5", "2", "2.5", "3"] in lines
    (mtf,) = (line for line in lines if line[:2] == ["MTF", "0.994"])
    assert mtf[4:] == ["0.869", "0.619", "0.409", "0.269", "0.179", "0.121"]
    assert any(line[:2] == ["DQE,", "2.5"] for line in lines)
    assert ["noisy", "13", "6"] in lines


def test_frequencies_beyond_nyquist_are_left_out() -> None:
    lines = [line.split() for line in shown(*BENCH).splitlines()]
    assert ["at", "mm-1", "0.1", "0.2", "0.3", "0.5"] in lines
    assert ["MTF", "is", "0.5", "at", "beyond", "Nyquist"] in lines


def test_a_dose_beyond_full_scale_has_no_dqe_and_says_so(tmp_path: Path) -> None:
    arguments = (*FINE, "--dose-ugy", "1000", "--dose-ugy", "2.5")
    low, high = answer(*arguments)["doses"]
    assert (low["saturated"], high["saturated"]) == (False, True)
    assert (high["dqe"], high["nnps_mm2"]) == (None, None)
    lines = shown(*arguments).splitlines()
    assert "1000 uGy: beyond full scale (85 uGy), no DQE" in lines
    assert not any(line.startswith("DQE, 1000") for line in lines)
    at_the_end = answer(*FINE, "--dose-ugy", "84", "--dose-ugy", "86")["doses"]
    assert [one["saturated"] for one in at_the_end] == [False, True]
    picture = tmp_path / "panel.svg"
    shown(*FINE, "--dose-ugy", "1000", "--out", str(picture))
    assert "1000 uGy: beyond full scale" in picture.read_text(encoding="utf-8")


def test_what_the_panel_remembers_is_told_by_time() -> None:
    found = answer(*FINE)
    lag, ghost = found["lag"], found["ghost"]
    shares = dict(zip(lag["gap_s"], lag["share_pct"], strict=True))
    assert (lag["window_s"], shares[0.0], shares[3.0]) == (1.0, 3.9639, 0.064491)
    gains = dict(zip(ghost["after_min"], ghost["gain_pct"], strict=True))
    assert (gains[0.0], gains[30.0]) == (0.1, pytest.approx(0.2 * 0.22313 / 1.22313, rel=1e-4))
    lines = [" ".join(line.split()) for line in shown(*FINE).splitlines()]
    assert "lag in the second that begins 0, 0.5, 1, 3 s later 4, 1.2, 0.66, 0.064 %" in lines
    assert "ghost in the gain after full scale, and 30 minutes later 0.1, 0.036 %" in lines


def test_numbers_for_programs_have_five_digits() -> None:
    def digits(part: Any) -> int:
        if isinstance(part, dict):
            return max(map(digits, part.values()))
        if isinstance(part, list):
            return max(map(digits, part), default=0)
        return (
            len(f"{part:.17g}") if isinstance(part, float) and part != float(f"{part:.5g}") else 0
        )

    assert digits(answer(*FINE)) == 0


@pytest.mark.parametrize(("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_the_charts_are_the_same_bytes_twice(tmp_path: Path, suffix: str, start: bytes) -> None:
    files = [tmp_path / f"{name}{suffix}" for name in "ab"]
    for file in files:
        told = shown(*FINE, "--out", str(file))
        assert told == f"{file} is written.\n"
    first, second = (file.read_bytes() for file in files)
    assert first.startswith(start)
    assert first == second


def test_the_numbers_go_into_a_file_as_into_an_answer(tmp_path: Path) -> None:
    file = tmp_path / "panel.json"
    printed = shown(*FINE, "--out", str(file), "--json")
    assert json.loads(file.read_text(encoding="utf-8")) == json.loads(printed)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--quality", "RQA11"), "did you mean RQA1"),
        (("--quality", ""), "no radiation quality ''; there are RQR2"),
        (("--quality", "RQA5", "--kvp", "70"), "--quality sets kV and filters"),
        (("--total-al-mm", "3"), "--total-al-mm and --cu-mm go with --kvp"),
        (("--out", "panel.pdf"), "write to a file that ends in .svg, .png or .json"),
        (("--out", "/nowhere/panel.json"), "No such file or directory"),
        (tuple(7 * ["--dose-ugy", "1"]), "7 doses, 6 at most"),
    ],
)
def test_what_can_not_be_shown_is_refused_with_the_reason(
    arguments: tuple[str, ...], words: str
) -> None:
    result = CliRunner().invoke(main, ["sim", "show", "panel", *BENCH, *arguments])
    assert result.exit_code == USAGE
    assert words in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("option", "value"), [("--kvp", "10"), ("--pitch-mm", "0"), ("--dose-ugy", "0")]
)
def test_a_number_out_of_its_range_is_refused_with_the_range(option: str, value: str) -> None:
    result = CliRunner().invoke(main, ["sim", "show", "panel", *BENCH, option, value])
    assert result.exit_code == USAGE
    assert "is not in the range" in result.output
