"""SR-14: the edge of what the tube may do, to the last step, and many exposures in a row."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from firmware_py.bounds import tube_data
from firmware_py.decide import interlocks, tube_load
from firmware_py.decide.controller import step
from firmware_py.decide.memory import State
from firmware_py.recorder.store.tube_heat import StoredHeat
from hal.now import Now
from hal.types import Requests, Shot, Technique
from rig import exposure_run
from rig.drivers import generator_of, nobody
from rig.exit_codes import UsageError
from rig.plan import plan
from tests.model_runs import bench as portable
from tests.samples import LIMITS, T_US, inputs, memory, room

S = State
KV = (29.9, 30.0, 75.0, 119.9, 120.0, 120.1)
MA = (0.19, 0.2, 0.5, 1.0, 1.01)
MS = (9, 10, 4500, 4501)


def shot(technique: Technique) -> Shot:
    return Shot(shot_id="shot-2", technique=technique, exam_id="TEST", panel_id="P1")


def inside(kv: float, ma: float, ms: float) -> bool:
    """SPC-P366 R4: 30-120 kV, 0.2-1.0 mA, 120 W; the time is the panel's window and margins."""
    return 30 <= kv <= 120 and 0.2 <= ma <= 1.0 and kv * ma <= 120 and 10 <= ms <= 4500


@pytest.mark.req("SR-14", "SR-05")
@pytest.mark.parametrize(("kv", "ma", "ms"), list(product(KV, MA, MS)))
def test_at_the_edge_of_the_rating_one_step_decides(kv: float, ma: float, ms: float) -> None:
    asked = shot(Technique(kv=kv, ma=ma, ms=float(ms)))
    pressed = inputs(room=room(stage_1=True), requests=Requests(shot=asked))
    after, outputs = step(memory(S.STANDBY, tested_us=T_US), pressed)
    if inside(kv, ma, ms):
        assert (after.state, outputs.technique) == (S.PREP, asked.technique)
    else:
        assert (after.state, after.refused) == (S.RELEASE_WAIT, ("TECHNIQUE",))
        assert outputs.technique is None


@pytest.mark.req("SR-14")
def test_heat_with_this_exposure_may_reach_its_limit_and_not_pass_it() -> None:
    technique = Technique(kv=100.0, ma=1.0, ms=4000.0)
    load_j = tube_load.energy_j(100.0, 4.0)
    for left_j, fits in ((load_j, True), (load_j - 0.001, False)):
        heat_j = LIMITS.tube.heat_max_j - left_j
        warm = memory(S.STANDBY, heat_j=heat_j, heat_us=T_US)
        assert tube_load.fits(warm, technique, Now(T_US), LIMITS) is fits


@pytest.mark.req("SR-14")
def test_quick_repeats_are_refused_before_the_heat_passes_its_limit() -> None:
    """Each adds 400 J and nothing cools: from 92.4 % on, 19 fit and the 20th is refused."""
    technique = Technique(kv=100.0, ma=1.0, ms=4000.0)
    most_j = LIMITS.tube.heat_max_j
    heat_j, made = 0.924 * most_j, 0
    while tube_load.fits(
        memory(S.STANDBY, heat_j=heat_j, heat_us=T_US), technique, Now(T_US), LIMITS
    ):
        heat_j += tube_load.energy_j(100.0, 4.0)
        made += 1
        assert heat_j <= most_j
    assert made == 19
    pressed = inputs(requests=Requests(shot=shot(technique)))
    hot = memory(S.STANDBY, heat_j=heat_j, heat_us=T_US)
    assert interlocks.inhibits(hot, pressed, Now(T_US)) == ("TUBE_HEAT",)


@pytest.mark.req("SR-14")
@pytest.mark.parametrize(("share", "told"), [(0.90, False), (0.9001, True), (1.0, True)])
def test_above_90_percent_the_plan_warns_and_the_exposure_is_made(share: float, told: bool) -> None:
    unit = portable().unit
    generator = generator_of(unit.generator, nobody())
    asked = Technique(kv=100.0, ma=1.0, ms=1000.0)
    before_j = share * unit.tube.heat_max_j - 100.0
    found = plan(unit, generator, asked, heat_before_j=before_j)
    assert any("of its limit" in warning for warning in found.warnings) is told


@pytest.mark.req("SR-14")
def test_above_100_percent_the_plan_refuses_and_says_how_long_to_wait() -> None:
    unit = portable().unit
    generator = generator_of(unit.generator, nobody())
    asked = Technique(kv=100.0, ma=1.0, ms=1000.0)
    with pytest.raises(UsageError, match="wait 1 s"):
        plan(unit, generator, asked, heat_before_j=unit.tube.heat_max_j - 99.9)


@pytest.mark.req("SR-14")
@pytest.mark.parametrize(("share", "told"), [(0.89, ""), (0.95, "reaches 95% of its limit")])
def test_an_exposure_on_a_hot_tube_is_told_beforehand(
    share: float, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tube = portable().unit.tube
    heat = StoredHeat(heat_j=share * tube.heat_max_j - 100.0)
    monkeypatch.setattr(exposure_run, "stored_heat", lambda *_: heat)
    exposure_run._warn(tube, Technique(kv=100.0, ma=1.0, ms=1000.0), Path())
    said = capsys.readouterr().err
    assert (told in said) if told else (said == "")


@pytest.mark.req("SR-16")
def test_a_bench_file_with_the_rules_of_a_pmx_hands_them_to_the_controller() -> None:
    unit = portable().unit
    tube = unit.tube.model_copy(
        update={"gap_ms": 20_000, "duty_window_ms": 120_000, "duty_beam_ms": 5_000}
    )
    data = tube_data(unit.model_copy(update={"tube": tube}))
    assert (data.gap_us, data.duty_window_us, data.duty_beam_us) == (
        20_000_000, 120_000_000, 5_000_000,
    )  # fmt: skip
    assert tube_data(unit).gap_us is None
