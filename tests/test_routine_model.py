"""Routines on the model rung: whole warm-ups in virtual time, by the wiring's own record."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from firmware_py.recorder.store.exposures import read_exposures
from firmware_py.routines.dry_run import dry_run
from firmware_py.routines.engine import Stamp
from firmware_py.routines.spec import Spec
from firmware_py.routines.warmup import WarmupPlan
from rig.bench import Bench
from rig.cli import main
from rig.exit_codes import CHECK_FAILED, ENDED
from rig.model import ModelRung
from rig.replay import replay
from rig.routines import progress
from rig.routines.follow import Follow, View
from rig.routines.inject import arc_at
from rig.routines.people import SimulatedPerson, WorldRoom
from rig.routines.seats import ModelSeat
from rig.routines.tube import conditioning_spec, warmup_spec
from rig.routines.work import Order, Outcome, Work
from rig.run_model import STARTED_AT
from tests.model_runs import pixels
from tests.routine_bench import QUICK, bench_file, held_beams, quick_bench, settled


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return quick_bench(tmp_path_factory.mktemp("bench"))


class Seen(View):
    """What was shown, and where somebody presses Ctrl-C: after the result of that step."""

    def __init__(self, ctrl_c_after: int | None = None) -> None:
        self.said: list[str] = []
        self.steps: list[int] = []
        self._ctrl_c_after = ctrl_c_after

    def say(self, text: str) -> None:
        self.said.append(text)

    def step(self, index: int, step: Mapping[str, Any]) -> None:
        self.steps.append(index)

    def result(self, index: int, result: Mapping[str, Any]) -> None:
        if index == self._ctrl_c_after:
            raise KeyboardInterrupt


class Ran:
    """A routine that was run, the room that it was run in, and what was shown."""

    def __init__(
        self, bench: Bench, spec: Spec, state: Path, *,
        arcs: tuple[float, ...] = (), ctrl_c_after: int | None = None, **order: Any,
    ) -> None:  # fmt: skip
        state.mkdir(exist_ok=True)
        self.rungs: list[ModelRung] = []
        self.in_beam: list[bool] = []
        self._arcs = arcs
        self.view = Seen(ctrl_c_after)
        self.order = Order(
            bench=bench, spec=spec, state=state, ports=None, before=self._before, **order
        )
        self.outcome: Outcome = Work(self.order, self.view).run()

    def _before(self, rung: ModelRung) -> None:
        self.rungs.append(rung)
        self._watch(rung)
        for kv in self._arcs:
            arc_at(rung, kv)

    def _watch(self, rung: ModelRung) -> None:
        """Where the panel stands whenever a beam begins or ends."""
        tell = rung.world.on_event

        def on_event(t_us: int, name: str) -> None:
            tell(t_us, name)
            self.in_beam.append(rung.world.panel.in_beam)

        rung.world.on_event = on_event

    @property
    def rung(self) -> ModelRung:
        (rung,) = self.rungs
        return rung

    @property
    def shots(self) -> list[dict[str, Any]]:
        return [one for one in self.outcome.ending.results if one["result"] == "fired"]

    @property
    def kvs(self) -> list[float]:
        """Of the beams, by the simulator."""
        return [course.kv for course in self.rung.world.generator.courses]

    @property
    def ids(self) -> list[str]:
        return [row.shot_id for row in read_exposures(self.outcome.journal)]


@pytest.fixture(scope="module")
def plain(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(bench, warmup_spec(bench.unit, 0.3), tmp_path_factory.mktemp("plain") / "state")


# --- a warm-up as planned


@pytest.mark.req("SR-16")
def test_a_warm_up_follows_its_plan(plain: Ran) -> None:
    outcome = plain.outcome
    assert (outcome.verdict, outcome.reason) == ("passed", "warmed up to 60 kV")
    assert plain.kvs == [40, 40, 50, 50, 60, 60]
    assert [one["reason"] for one in plain.shots] == ["planned end"] * 6
    for one in plain.shots:
        assert one["beam_ms"] == pytest.approx(2000, abs=100)
        assert one["mas"] == pytest.approx(1.0, rel=0.1)


def test_its_steps_are_those_of_its_dry_run(plain: Ran) -> None:
    run = dry_run(plain.order.spec.routine(), heat_max_j=1e5, cooling_tau_s=900.0)
    assert plain.view.steps == list(range(len(run.rows)))
    assert len(plain.outcome.ending.results) == len(run.rows)
    assert plain.kvs == [shot.technique.kv for shot in run.shots]


@pytest.mark.req("SR-01", "SR-16")
def test_no_beam_of_a_routine_is_made_without_a_held_stage_2(plain: Ran) -> None:
    assert held_beams(plain.rung) == 6


def test_the_panel_is_out_of_the_beam_meanwhile_and_back_afterwards(plain: Ran) -> None:
    assert plain.in_beam == [False] * 12  # at the begin and the end of each
    assert plain.rung.world.panel.in_beam


def test_every_shot_is_in_the_journal_once_with_its_dose(plain: Ran) -> None:
    rows = read_exposures(plain.outcome.journal)
    assert [row.shot_id for row in rows] == [one["shot_id"] for one in plain.shots]
    assert [row.missing for row in rows] == [None] * 6


def test_its_record_replays_equal(plain: Ran) -> None:
    assert replay(plain.outcome.run).differences == ()


def test_nothing_is_kept_of_a_routine_that_has_ended(plain: Ran) -> None:
    assert progress.load(plain.order.state, "warmup") is None


def test_jumping_and_scanning_every_5_ms_give_the_same_results(
    bench: Bench, tmp_path: Path
) -> None:
    plan = WarmupPlan(kv=(40.0,), ma=0.5, pulses=2, on_s=1.0, off_s=1.0)
    spec = Spec(kind="warmup", plan=plan)
    found = []
    for jump in (True, False):
        folder = tmp_path / str(jump)
        (folder / "work").mkdir(parents=True)
        rung = ModelRung(bench, jump=jump, pixels=pixels())
        seat = ModelSeat(
            bench, rung, folder, folder, started_at=STARTED_AT, panel_set=None, warm=False,
            heat_j=0.0,
        )  # fmt: skip
        person = SimulatedPerson(WorldRoom(rung.world))
        follow = Follow(
            seat, person, wait_s=60.0, patient=False, view=View(), keep=lambda ending: None
        )
        ending = follow.run(spec, Stamp(run_id="r-1", panel_id="SIM-PANEL-1"), [])
        found.append((ending, rung.t_us, (folder / "trace.jsonl").read_text(encoding="utf-8")))
    assert found[0] == found[1]
    assert found[0][0].verdict == {"passed": True, "text": "warmed up to 40 kV"}


# --- arcs


def test_an_arc_in_a_warm_up_is_reset_and_its_pulse_made_again(
    bench: Bench, tmp_path: Path
) -> None:
    ran = Ran(bench, warmup_spec(bench.unit, 0.3), tmp_path / "state", arcs=(50.0,))
    assert ran.outcome.verdict == "passed"
    assert ran.kvs == [40, 40, 50, 50, 50, 60, 60]
    assert [one["faults"] for one in ran.shots] == [
        ("ARC",) if number == 2 else () for number in range(7)
    ]
    assert any(" fault: ARC" in event for event in ran.outcome.kept.events)
    assert held_beams(ran.rung) == 7


def test_an_arc_in_conditioning_steps_back_and_repeats(bench: Bench, tmp_path: Path) -> None:
    ran = Ran(bench, conditioning_spec(bench.unit), tmp_path / "state", arcs=(50.0,))
    assert (ran.outcome.verdict, ran.outcome.reason) == ("passed", "conditioned to 60 kV, 1 arc")
    assert ran.kvs == [40, 50, 40, 50, 50, 50, 60, 60, 60]
    assert held_beams(ran.rung) == 9


def test_too_many_arcs_fail_and_nothing_more_is_made(tmp_path: Path) -> None:
    strict = quick_bench(tmp_path, conditioning=QUICK["conditioning"] | {"most_arcs": "1"})
    spec = conditioning_spec(strict.unit)
    ran = Ran(strict, spec, tmp_path / "state", arcs=(50.0, 50.0, 60.0))
    assert (ran.outcome.verdict, ran.outcome.exit_code) == ("failed", CHECK_FAILED)
    assert ran.outcome.reason == "2 arcs in all: call service"
    assert progress.load(ran.order.state, ran.order.spec.kind) is None


# --- the battery


def test_a_small_battery_splits_it_into_sessions_and_the_charge_takes_its_time(
    tmp_path: Path,
) -> None:
    small = quick_bench(tmp_path, battery={"capacity_wh": "2.0"})
    spec = warmup_spec(small.unit, 0.3)
    assert spec.supply is not None
    ran = Ran(small, spec, tmp_path / "state")
    outcome = ran.outcome
    run = dry_run(spec.routine(), heat_max_j=1e5, cooling_tau_s=900.0, supply=spec.supply)
    assert run.sessions > 1
    assert outcome.verdict == "passed"
    assert len(outcome.lives) == outcome.kept.lives == run.sessions
    assert ran.kvs == [40, 40, 50, 50, 60, 60]
    assert ran.rung.t_us > (run.sessions - 1) * 7200 * 10**6
    charged = [event for event in outcome.kept.events if event.endswith(" charged")]
    assert len(charged) == run.sessions - 1
    assert len(set(ran.ids)) == len(ran.ids) == 6
    assert held_beams(ran.rung) == 6


def test_after_a_charge_the_panel_is_taken_out_again(tmp_path: Path) -> None:
    """Each life asks anew; between them the panel stood in the beam."""
    small = quick_bench(tmp_path, battery={"capacity_wh": "2.0"})
    ran = Ran(small, warmup_spec(small.unit, 0.3), tmp_path / "state")
    assert len(ran.outcome.lives) == 2
    assert ran.in_beam == [False] * 12


# --- cut short, and resumed


def cut_short(bench: Bench, state: Path) -> Ran:
    return Ran(bench, warmup_spec(bench.unit, 0.3), state, ctrl_c_after=3)


def test_ctrl_c_ends_it_in_the_ordinary_way_and_keeps_what_was_made(
    bench: Bench, tmp_path: Path
) -> None:
    ran = cut_short(bench, tmp_path / "state")
    outcome = ran.outcome
    assert (outcome.verdict, outcome.exit_code) == ("interrupted", ENDED)
    kept = progress.load(ran.order.state, ran.order.spec.kind)
    assert kept is not None
    assert len(kept.results) == 4
    assert kept.results == json.loads(json.dumps(outcome.ending.results))
    assert held_beams(ran.rung) == 2


def test_it_goes_on_where_it_was_cut_short(bench: Bench, tmp_path: Path) -> None:
    first = cut_short(bench, tmp_path / "state")
    ran = Ran(bench, warmup_spec(bench.unit, 0.3), tmp_path / "state")
    outcome = ran.outcome
    assert (outcome.verdict, outcome.resumed_from, outcome.kept.lives) == ("passed", 4, 2)
    assert ran.view.steps[0] == 4
    assert first.kvs + ran.kvs == [40, 40, 50, 50, 60, 60]
    assert ran.view.said[0].startswith(f"goes on with {outcome.kept.routine_id} after 4 steps")
    assert any(" resumed after 4 steps" in event for event in outcome.kept.events)
    assert len(set(ran.ids)) == len(ran.ids) == 6
    assert len(outcome.lives) == 2
    assert held_beams(ran.rung) == 4


def test_a_ctrl_c_in_the_beam_ends_it_at_once_and_the_rest_of_its_step_is_made_later(
    bench: Bench, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    rungs: list[ModelRung] = []
    order = Order(
        bench=bench, spec=warmup_spec(bench.unit, 0.3), state=state, ports=None,
        before=rungs.append,
    )  # fmt: skip

    class InBeam(Seen):
        def line(self, line: Mapping[str, Any]) -> None:
            courses = rungs[0].world.generator.courses
            if courses and line["t_us"] > courses[0].on_us + 300_000:
                raise KeyboardInterrupt

    outcome = Work(order, InBeam()).run()
    assert outcome.verdict == "interrupted"
    assert held_beams(rungs[0]) == 1
    (course,) = rungs[0].world.generator.courses
    assert course.off_us is not None
    assert 300_000 < course.off_us - course.on_us < 800_000
    (shot,) = (one for one in outcome.ending.results if one["result"] == "fired")
    assert shot["reason"] == "handswitch released"
    assert shot["mas"] == pytest.approx(0.5 * shot["beam_ms"] / 1000, abs=0.05)
    assert Ran(bench, order.spec, state).outcome.verdict == "passed"


def test_a_ctrl_c_before_the_unit_runs_ends_it_too(bench: Bench, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()

    class Early(ModelSeat):
        def start(self) -> None:
            raise KeyboardInterrupt

    rung = ModelRung(bench, pixels=pixels())
    (tmp_path / "work").mkdir()
    seat = Early(
        bench, rung, tmp_path, state, started_at=STARTED_AT, panel_set=None, warm=True, heat_j=0.0
    )
    person = SimulatedPerson(WorldRoom(rung.world))
    follow = Follow(seat, person, wait_s=60, patient=False, view=View(), keep=lambda ending: None)
    spec = warmup_spec(bench.unit, 0.3)
    ending = follow.run(spec, Stamp(run_id="r-1", panel_id="SIM-PANEL-1"), [])
    assert (ending.interrupted, ending.results, ending.verdict) == (True, [], None)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"at": (STARTED_AT - timedelta(hours=2)).isoformat()}, "min ago, more than 30 min"),
        ({"at": (STARTED_AT + timedelta(days=1)).isoformat()}, "the clock is behind"),
        ({"unit_serial": "SIM-0002"}, "it was of another unit, SIM-0002"),
        ({"panel_id": "P2"}, "it was of another panel, P2"),
        ({"spec": {"plan": {}}}, "it was of another plan"),
    ],
)
def test_it_begins_anew_where_going_on_is_not_safe(
    bench: Bench, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    ran = cut_short(bench, tmp_path / "state")
    kept = progress.load(ran.order.state, ran.order.spec.kind)
    assert kept is not None
    replace(kept, **changes).save(ran.order.state)
    spec = warmup_spec(bench.unit, 0.3)
    again = Ran(bench, spec, tmp_path / "state", ctrl_c_after=0)
    assert again.outcome.resumed_from == 0
    assert again.view.said[0].startswith(f"begins anew, {kept.routine_id} is not resumed: ")
    assert why in again.view.said[0]
    assert again.outcome.kept.routine_id != kept.routine_id


def test_somebody_may_begin_anew(bench: Bench, tmp_path: Path) -> None:
    cut_short(bench, tmp_path / "state")
    spec = warmup_spec(bench.unit, 0.3)
    ran = Ran(bench, spec, tmp_path / "state", restart=True, ctrl_c_after=0)
    assert ran.outcome.resumed_from == 0
    assert ran.outcome.kept.lives == 1


def test_a_life_without_a_result_makes_what_was_kept_no_younger(
    bench: Bench, tmp_path: Path
) -> None:
    """Else a tube could rest for hours, half an hour at a time."""
    first = cut_short(bench, tmp_path / "state")
    kept = progress.load(first.order.state, "warmup")
    assert kept is not None

    class AtOnce(Seen):
        def line(self, line: Mapping[str, Any]) -> None:
            raise KeyboardInterrupt

    outcome = Work(first.order, AtOnce()).run()
    assert (outcome.verdict, outcome.resumed_from) == ("interrupted", 4)
    again = progress.load(first.order.state, "warmup")
    assert again is not None
    assert (again.at, len(again.results), again.lives) == (kept.at, 4, 2)


def test_it_goes_on_with_the_battery_that_it_was_planned_with(tmp_path: Path) -> None:
    """Started with little charge and cut short after the first session: the same steps follow."""
    small = quick_bench(tmp_path, battery={"capacity_wh": "2.0"})
    low = warmup_spec(small.unit, 0.3, charge=0.8)
    first = Ran(small, low, tmp_path / "state", ctrl_c_after=7)
    assert (first.outcome.verdict, len(first.outcome.lives)) == ("interrupted", 2)
    ran = Ran(small, warmup_spec(small.unit, 0.3), tmp_path / "state")
    assert (ran.outcome.verdict, ran.outcome.resumed_from) == ("passed", 8)
    assert first.kvs + ran.kvs == [40, 40, 50, 50, 60, 60]


# --- the command


def command(state: Path, bench_path: Path, *arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(
        main,
        ["warmup", "--bench", str(bench_path), "--json", "--rung", "model", "--state", str(state),
         *arguments],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return tmp_path / "state"


def test_a_record_says_what_was_made_and_what_came_of_it(own_state: Path, tmp_path: Path) -> None:
    path = bench_file(tmp_path, **QUICK)
    answer = command(own_state, path, "--idle", "3d", "--arc-at", "60")
    assert (answer["verdict"], answer["kind"], answer["resumed_from"]) == ("passed", "warmup", 0)
    record = json.loads(Path(answer["record"]).read_text(encoding="utf-8"))
    assert (record["kind"], record["verdict"]) == ("warm-up", "passed")
    assert (record["rung"], record["simulated"]) == ("model", True)
    assert record["operator"] == "simulated person"
    assert record["notes"] == "0.3 min by the tube's table: 3 d of rest, as --idle says."
    values = {value["what"]: value["value"] for value in record["values"]}
    assert (values["beams made"], values["arcs"], values["highest kV asked for"]) == (7, 1, 60)
    assert [(row["kv"], row["outcome"]) for row in record["shots"]][-3:] == [
        (60, "planned end, ARC"), (60, "planned end"), (60, "planned end"),
    ]  # fmt: skip
    assert Path(answer["page"]).read_text(encoding="utf-8").startswith("<!")
    assert not (own_state / "routine.json").exists()
    warmed = json.loads((own_state / "tube.json").read_text(encoding="utf-8"))
    assert (warmed["unit_serial"], warmed["routine"]) == ("SIM-0001", answer["routine"])


@pytest.mark.req("SR-16")
@pytest.mark.parametrize(
    ("idle", "minutes", "presses"),
    [("3h", 0, None), ("71h", 0, None), ("3d", 5, 10), ("40d", 10, 20), ("13w", 50, 100)],
)
def test_a_dry_run_follows_the_table_and_touches_nothing(
    own_state: Path, idle: str, minutes: float, presses: int | None
) -> None:
    done = CliRunner().invoke(
        main, ["warmup", "--dry-run", "--bench", "portable", "--idle", idle, "--json"]
    )
    assert done.exit_code == 0
    answer = json.loads(done.stdout)
    assert answer["warmth"]["minutes"] == minutes
    assert answer["needed"] is (presses is not None)
    if presses is not None:
        assert answer["total"]["presses"] == presses
        charging_s = 7200 * (answer["total"]["sessions"] - 1)
        assert answer["total"]["seconds"] - charging_s == pytest.approx(60 * minutes, rel=0.25)
    assert not own_state.exists()


def test_a_warm_tube_is_left_alone(own_state: Path) -> None:
    done = CliRunner().invoke(
        main, ["warmup", "--bench", "portable", "--rung", "model", "--state", str(own_state)]
    )
    assert done.exit_code == 0
    assert done.stdout.startswith("No warm-up is needed: ")


def test_the_settled_nets_are_those_of_the_last_move_at_a_moment() -> None:
    moves = [(0, "a", True), (0, "b", False), (5, "a", False), (5, "b", True)]
    assert list(settled(moves)) == [(0, {"a": True, "b": False}), (5, {"a": False, "b": True})]
