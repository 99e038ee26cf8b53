"""From a fresh panel to a set that corrects: against the truth of the simulated one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from firmware_py.recorder.image.correct import PEDESTAL_COUNT, Pixels, correct
from firmware_py.recorder.image.maps import PanelSet, require
from firmware_py.recorder.image.uniformity import judge_residual, uniformity
from rig.bench import Bench
from rig.cli import main
from rig.exit_codes import REFUSED
from rig.model import ModelRung, setting_of
from rig.panel_sets import store_of
from rig.routines.follow import View
from rig.routines.panel_plan import panel_spec
from rig.routines.work import Order, Work
from rig.run_model import LAG_RHYTHM_US, STARTED_AT, valid_set
from sim.build import pixel_model
from sim.lag import shares
from sim.pixels import PixelModel
from tests.routine_bench import bench_file, held_beams, quick_bench

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

SMALL = {"rows_px": "128", "columns_px": "128", "pitch_mm": "1.6"}
ORDER = ("offset", "gain", "defects", "lag")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A bench whose panel was calibrated in the order of the book."""

    bench: Bench
    state: Path
    answers: dict[str, dict[str, Any]]
    refused: Result  # of `defects` before there was a gain map
    pixels: PixelModel

    def set_of(self, number: int) -> PanelSet:
        return store_of(self.state, self.bench.unit).load(number)

    @property
    def panel_set(self) -> PanelSet:
        found = store_of(self.state, self.bench.unit).current()
        assert found is not None
        return found

    def value(self, kind: str, what: str) -> Any:
        (found,) = (one for one in self.answers[kind]["values"] if one["what"] == what)
        return found["value"]

    def frame(self, phantom: str, number: int = 9001) -> Pixels:
        """A new one, of the bench's own quality, into a window of a second."""
        return self.pixels.frame(1.0, 70.0, 1_000_000, number, phantom)

    @property
    def pitch_mm(self) -> float:
        return self.bench.unit.panel.pitch_mm


def calibrate(kind: str, path: Path, state: Path) -> Result:
    return CliRunner().invoke(
        main,
        ["calibrate", kind, "--bench", str(path), "--rung", "model", "--state", str(state),
         "--operator", "A. Meier", "--json"],
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Calibrated]:
    folder = tmp_path_factory.mktemp("calibrated")
    path, state = bench_file(folder, panel=SMALL), folder / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "home"))
        patch.setenv("XDG_CONFIG_HOME", str(folder / "settings"))
        answers = {"offset": json.loads(calibrate("offset", path, state).stdout)}
        refused = calibrate("defects", path, state)
        answers |= {kind: json.loads(calibrate(kind, path, state).stdout) for kind in ORDER[1:]}
        bench = quick_bench(folder, panel=SMALL)
        pixels = pixel_model(setting_of(bench))
        yield Calibrated(bench=bench, state=state, answers=answers, refused=refused, pixels=pixels)


# --- the sets


def test_every_part_passes_and_makes_a_set_of_its_own(done: Calibrated) -> None:
    assert {kind: done.answers[kind]["verdict"] for kind in ORDER} == dict.fromkeys(ORDER, "passed")
    assert [done.answers[kind]["set"] for kind in ORDER] == [1, 2, 3, 4]
    assert [done.answers[kind]["missing"] for kind in ORDER] == [
        ["gain", "defects"], ["defects"], [], [],
    ]  # fmt: skip


def test_defects_before_a_gain_map_are_refused(done: Calibrated) -> None:
    assert done.refused.exit_code == REFUSED
    assert json.loads(done.refused.stdout)["error"]["message"] == (
        "panel SIM-PANEL-1 has no gain map yet; run `dxrig calibrate gain` first"
    )
    assert not list((done.state / "records").glob("defects-*"))[1:]


def test_the_set_is_whole_and_of_this_panel_on_this_unit(done: Calibrated) -> None:
    panel_set = done.panel_set
    assert panel_set.complete
    assert set(panel_set.parts) == set(ORDER)
    at = panel_set.created
    require(
        panel_set, panel_id="SIM-PANEL-1", rows_px=128, columns_px=128, at=at,
        unit_serial="SIM-0001",
    )  # fmt: skip


def test_every_part_says_who_made_it_when_and_how_long_it_holds(done: Calibrated) -> None:
    days = {"offset": 1, "gain": 365, "defects": 365, "lag": 365}
    for kind, part in done.panel_set.parts.items():
        assert (part.operator, part.valid_until - part.created) == (
            "A. Meier", timedelta(days=days[kind]),
        )  # fmt: skip
    routines = {kind: done.panel_set.parts[kind].routine for kind in ORDER}
    made_by = {kind: done.answers[kind]["routine"] for kind in ORDER}
    assert routines == made_by | {"offset": made_by["lag"]}  # each makes its own offset first


def test_the_quality_of_the_flats_stands_in_the_set(done: Calibrated) -> None:
    assert done.panel_set.beam_quality == "70 kV, 2.5 mm aluminum added"
    detail = done.panel_set.parts["gain"].detail
    assert detail["frames_count"] == 16
    assert 12 <= detail["level_pct"] <= 25
    assert detail["sid_mm"] == 1000


def test_records_have_values_shots_and_pictures(done: Calibrated) -> None:
    record = json.loads(Path(done.answers["gain"]["record"]).read_text(encoding="utf-8"))
    assert (record["kind"], record["verdict"], record["panel"]) == ("gain", "passed", "SIM-PANEL-1")
    assert record["operator"] == "A. Meier"
    assert set(record["pictures"]) == {"A flat before", "The same flat, corrected", "Gain map"}
    for picture in record["pictures"].values():
        assert (Path(done.answers["gain"]["record"]).parent / picture["file"]).is_file()
    assert record["shots"]


def test_nothing_is_left_of_routines_that_have_ended(done: Calibrated) -> None:
    assert not list(done.state.glob("routine*.json"))


# --- against the truth


def test_the_offset_is_the_panels_own(done: Calibrated) -> None:
    good = ~done.panel_set.defects
    error = done.set_of(1).offset - done.pixels.maps(1_000_000).offset
    assert abs(float(np.median(error[good]))) < 0.1
    assert float(np.abs(error[good]).max()) < 3.0  # 32 frames of 2 counts, and the near-limit noisy


def test_the_gain_is_the_panels_own(done: Calibrated) -> None:
    truth = done.pixels.maps(1_000_000)
    sound = ~(truth.defects | np.logical_or.reduce(list(truth.near_limit.values())))
    ratio = done.panel_set.gain[sound] / truth.gain[sound]
    assert float(np.std(ratio / np.mean(ratio))) < 0.003


def test_the_curve_is_the_panels_bow(done: Calibrated) -> None:
    """1 % of a signal at full scale is missing."""
    a, b = done.panel_set.linearity
    assert done.pixels.bow_pct == 1.0
    assert a + b == pytest.approx(0.01, abs=0.01)


def test_lag_shares_are_the_panels_own(done: Calibrated) -> None:
    """Of its truth in the rhythm of the routine; 0.1 ‰ is half a count of these frames."""
    wanted = shares(*LAG_RHYTHM_US)
    assert wanted == pytest.approx((0.00566, 0.00091, 0.00014, 0.00002), abs=5e-6)
    assert done.panel_set.lag == pytest.approx(wanted, rel=0.03, abs=1e-4)
    assert valid_set(done.bench, done.pixels, STARTED_AT).lag == wanted


def test_the_defects_are_the_injected_pixels_beyond_their_limit_and_no_others(
    done: Calibrated,
) -> None:
    truth = done.pixels.maps(1_000_000)
    wrong = np.argwhere(done.panel_set.defects != truth.defects)
    assert wrong.tolist() == []
    for name, near in truth.near_limit.items():
        assert near.any(), name
        assert not (done.panel_set.defects & near).any(), name


def test_every_class_has_as_many_pixels_as_were_injected(done: Calibrated) -> None:
    truth = done.pixels.maps(1_000_000).classes
    counts = done.panel_set.parts["defects"].detail["classes"]
    found = {name.replace("-", "_"): count for name, count in counts.items() if count}
    assert found == {name: int(mask.sum()) for name, mask in truth.items()}


def test_no_line_but_the_planted_one_is_told(done: Calibrated) -> None:
    dead = done.pixels.maps(1_000_000).classes["dead"]
    planted = [column for column in range(128) if dead[-40:, column].all()]
    assert len(planted) == 1
    assert done.value("defects", "lines, partial ones too") == 1


# --- what it is worth


def test_a_new_flat_is_even_to_two_percent(done: Calibrated) -> None:
    flat = correct(done.frame("none"), done.panel_set).pixels
    found = uniformity(flat, done.pitch_mm)
    assert judge_residual(found).ok
    assert max(found.signal.local_pct, found.signal.global_pct) <= 2.0
    raw = uniformity(done.frame("none") - np.uint16(200), done.pitch_mm)
    assert raw.signal.global_pct > 2.0


def test_no_pixel_of_a_new_flat_stands_out(done: Calibrated) -> None:
    flat = correct(done.frame("none"), done.panel_set).pixels.astype(np.float64) - PEDESTAL_COUNT
    assert float(np.abs(flat / np.median(flat) - 1.0).max()) < 0.1


def test_a_phantom_looks_as_with_perfect_maps(done: Calibrated) -> None:
    raw = done.frame("hand", 9002)
    perfect = valid_set(done.bench, done.pixels, STARTED_AT)
    ours, theirs = (
        correct(raw, one).pixels.astype(np.float64) - PEDESTAL_COUNT
        for one in (done.panel_set, perfect)
    )
    lit = theirs > 200
    ratio = ours[lit] / theirs[lit]
    assert float(np.abs(ratio / np.median(ratio) - 1.0).max()) < 0.02


# --- cut short in an open field


class AfterLevel(View):
    """Ctrl-C after the first flat; whatever is in the beam is written down."""

    def __init__(self, *, interrupt: bool) -> None:
        self._interrupt = interrupt

    def result(self, index: int, result: Any) -> None:
        if self._interrupt and result.get("beam"):
            raise KeyboardInterrupt


def test_a_calibration_that_goes_on_has_its_field_cleared_again(tmp_path: Path) -> None:
    """The simulated person leaves a hand on the panel; the next flat must not show it."""
    bench = quick_bench(tmp_path, panel=SMALL)
    state = tmp_path / "state"
    state.mkdir()
    seen: list[tuple[str, bool]] = []
    rungs: list[ModelRung] = []

    def watch(rung: ModelRung) -> None:
        rungs.append(rung)
        panel, tell = rung.world.panel, rung.world.on_event

        def on_event(t_us: int, name: str) -> None:
            tell(t_us, name)
            seen.append((panel.phantom_name, panel.in_beam))

        rung.world.on_event = on_event

    order = Order(
        bench=bench, spec=panel_spec("defects", bench.unit), state=state, ports=None, before=watch
    )
    first = Work(order, AfterLevel(interrupt=True)).run()
    assert first.verdict == "interrupted"
    assert rungs[0].world.panel.phantom_name == "hand"
    second = Work(order, AfterLevel(interrupt=False)).run()
    assert (second.verdict, second.resumed_from > 32) == ("passed", True)
    assert set(seen) == {("none", True)}
    assert sum(held_beams(rung) for rung in rungs) == 18
