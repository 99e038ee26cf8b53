"""The rotating anode's warm-up on the bench `mobile`: its own table, run on its own generator."""

from __future__ import annotations

import pytest

from firmware_py.decide.memory import State
from firmware_py.routines.idle import minutes_after
from firmware_py.routines.warmup import WarmupPlan
from rig.routines.tube import warmup_spec
from rig.run_model import shot_of
from rig.scenario import ShotSection
from tests.model_runs import bench
from tests.test_routine_model import Ran
from tests.whole_unit import Whole


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """After three hours of rest."""
    unit = bench("mobile").unit
    assert unit.warmup is not None
    minutes = minutes_after(unit.warmup, 3 * 3600.0, 20.0)
    return Ran(bench("mobile"), warmup_spec(unit, minutes), tmp_path_factory.mktemp("a") / "state")


@pytest.mark.req("SR-16")
def test_after_two_hours_it_is_two_seconds_at_60_and_at_70_kv_with_100_ma(ran: Ran) -> None:
    """CRCPD H-7: 60-70 kVp, 100 mA on the large focus, 2 s; once at each end of that range."""
    assert (ran.outcome.verdict, ran.outcome.reason) == ("passed", "warmed up to 70 kV")
    assert ran.kvs == [60, 70]
    for course in ran.rung.world.generator.courses:
        assert course.off_us is not None
        assert course.off_us - course.on_us == 2_000_000  # by the generator's own timer
    assert [one["mas"] for one in ran.shots] == pytest.approx([200.0, 200.0], rel=0.01)
    first, second = ran.rung.world.generator.courses
    assert first.off_us is not None
    assert second.on_us - first.off_us >= 20_000_000  # Varian's pause


@pytest.mark.req("SR-10", "SR-16")
def test_no_panel_stands_in_its_beam_and_each_dose_is_written_down(ran: Ran) -> None:
    assert set(ran.in_beam) == {False}
    assert len(ran.ids) == len(set(ran.ids)) == 2


def test_it_takes_from_tube_and_battery_what_its_plan_says(ran: Ran) -> None:
    """26 kJ in the tube, of 1 MJ that a full charge makes there."""
    generator = ran.rung.world.generator
    assert 0.9 - generator.charge(ran.rung.world.t_us) == pytest.approx(0.026, abs=0.001)


@pytest.mark.parametrize(("hours", "pulses"), [(1.9, 0), (2.1, 2), (25.0, 4), (800.0, 8)])
def test_the_longer_the_rest_the_more_pulses(hours: float, pulses: int) -> None:
    unit = bench("mobile").unit
    assert unit.warmup is not None
    minutes = minutes_after(unit.warmup, hours * 3600.0, 20.0)
    plan = warmup_spec(unit, minutes).plan
    assert isinstance(plan, WarmupPlan)
    assert (plan.pulses if minutes else 0) == pulses


@pytest.mark.req("SR-16")
@pytest.mark.parametrize(("kv", "refused"), [(70.0, False), (80.0, True)])
def test_a_cold_tube_is_refused_above_the_kv_of_its_own_warm_up(kv: float, refused: bool) -> None:
    whole = Whole(on=bench("mobile"))
    whole.rung.kill_unit()
    whole.unit = whole.rung.start_unit(whole._recorder, warm=False)
    shot = ShotSection(kv=kv, ma=10.0, mas=1.0)
    whole.request(shot=shot_of(bench("mobile"), shot, "cold-1"))
    whole.until(State.STANDBY)
    whole.do("press", stage=1)
    state = whole.until_any(State.PREP, State.RELEASE_WAIT)
    assert (state is State.RELEASE_WAIT) is refused
    assert whole.told() == (("TUBE_COLD",) if refused else ())
