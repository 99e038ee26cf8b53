"""`dxrig doctor --bounds` of every bench, held against the simulator's own clock.

The beam's end is the simulated tube's own, HV below 10 %; the unit's record is not asked. For
the slower layers the quicker ones are taken away: a pair without its switch, a bridged pair
with a welded contactor.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from firmware_py.bounds import Bound
from firmware_py.decide.controller import step as decide
from hal.types import Inputs, PanelState
from rig.bench import Bench, load_bench
from rig.bench_names import shipped_benches
from rig.doctor_bounds import bounds_of
from rig.judge import Seen
from rig.scenario import Scenario, StepSection
from rig.scenario_on import makes_no_beam
from tests.model_runs import run, scenario

BENCHES = tuple(
    name for name in sorted(shipped_benches()) if makes_no_beam(load_bench(name)) is None
)
BY_CHAIN = (
    ("released_in_expose", "release", "release -> kV off"),
    ("door_opens_in_expose", "open door", "door or e-stop -> kV off"),
    ("emergency_stop", "press e-stop", "door or e-stop -> kV off"),
    ("unit_killed_in_beam", "kill unit", "unit dead or stopped -> kV off"),
    ("unit_stopped_in_beam", "stop unit", "unit dead or stopped -> kV off"),
)


def step(do: str, **args: Any) -> StepSection:
    return StepSection(event="beam_on", after_ms=300.0, do=do, args=args)


def released(*more: StepSection) -> Scenario:
    told = scenario("released_in_expose")
    return told.model_copy(update={"step": [*told.step[:2], *more, *told.step[2:]]})


def bound_of(bench: Bench, what: str) -> Bound:
    return next(bound for bound in bounds_of(bench) if bound.what == what)


def took_us(seen: Seen, action: str) -> int:
    action_us, (beam,) = seen.action_us(action), seen.beams
    assert action_us is not None
    assert beam.gone_us is not None
    return beam.gone_us - action_us


def test_these_are_the_benches_that_make_a_beam() -> None:
    assert BENCHES == ("cabinet", "industrial", "mobile", "portable", "room")


@pytest.mark.parametrize("name", BENCHES)
@pytest.mark.parametrize(("story", "action", "what"), BY_CHAIN)
def test_each_beam_is_gone_within_the_bench_s_bound(
    name: str, story: str, action: str, what: str
) -> None:
    bench = load_bench(name)
    _, seen = run(story, on=bench)
    assert 0 < took_us(seen, action) <= bound_of(bench, what).bound_us


@pytest.mark.req("SR-17")
@pytest.mark.parametrize("name", BENCHES)
def test_the_enable_output_alone_ends_a_beam_within_its_bound(name: str) -> None:
    bench = load_bench(name)
    pair = bench.wiring.model_copy(update={"interlock_pair": ("enable",)})
    _, seen = run(released(), on=replace(bench, wiring=pair))
    quicker_us = bound_of(bench, "release -> kV off").bound_us
    found = bound_of(bench, "release -> kV off, by the enable output alone")
    assert 0 < took_us(seen, "release") <= found.bound_us
    assert found.bound_us > quicker_us


@pytest.mark.req("SR-17", "SR-33")
@pytest.mark.parametrize("name", BENCHES)
def test_the_off_command_alone_ends_a_beam_within_its_bound(name: str) -> None:
    """No contact acts any more; mAs that the generator ends by itself lie far behind."""
    bench = load_bench(name)
    told = released(step("wiring", pair_bridged=True), step("weld", relay="contactor"))
    _, seen = run(told, on=bench)
    found = bound_of(bench, "release -> kV off, by the OFF command alone")
    assert 0 < took_us(seen, "release") <= found.bound_us
    (beam,) = seen.beams
    assert beam.gone_us is not None
    assert beam.gone_us - beam.on_us < 1_900_000  # not the planned end, which is at 2 s


@cache
def clean(name: str) -> tuple[Inputs, ...]:
    """What each scan of a clean exposure read."""
    seen: list[Inputs] = []

    def noting(memory: Any, inputs: Inputs) -> Any:
        seen.append(inputs)
        return decide(memory, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("firmware_py.unit.step", noting)
        run("clean_by_mas", on=load_bench(name), jump=False)
    return tuple(seen)


def in_beam(name: str) -> Iterator[Inputs]:
    """The scans from the first status that shows a beam to the last one."""
    return (inputs for inputs in clean(name) if inputs.generator.beam_on)


@pytest.mark.req("SR-09")
@pytest.mark.parametrize("name", BENCHES)
def test_no_interlock_sample_in_a_beam_is_older_than_its_bound(name: str) -> None:
    ages_us = [inputs.t_us - inputs.room.taken_us for inputs in in_beam(name)]
    assert len(ages_us) > 100
    found = bound_of(load_bench(name), "age of the interlock sample")
    assert 0 < max(ages_us) <= found.bound_us


@pytest.mark.req("SR-27")
@pytest.mark.parametrize("name", BENCHES)
def test_no_status_in_a_beam_is_older_than_its_bound(name: str) -> None:
    taken = [(i.t_us, i.generator.beam_taken_us) for i in in_beam(name)]
    ages_us = [t_us - taken_us for t_us, taken_us in taken if taken_us is not None]
    assert len(ages_us) > 100
    found = bound_of(load_bench(name), "age of the generator's status in the beam")
    assert 0 < max(ages_us) <= found.bound_us


@pytest.mark.req("SR-10")
@pytest.mark.parametrize("name", BENCHES)
def test_the_window_is_open_within_its_bound(name: str) -> None:
    opened = next(i for i in clean(name) if i.panel.state is PanelState.INTEGRATING)
    before = [i for i in clean(name) if i.t_us < opened.t_us]
    asked = next(i for i in before if i.room.stage_2)  # INTERLOCK_CHECK asks for it
    found = bound_of(load_bench(name), "window request -> integrating")
    assert 0 < opened.t_us - asked.t_us <= found.bound_us


@pytest.mark.req("SR-21", "SR-28")
@pytest.mark.parametrize("name", ["cabinet", "industrial"])
@pytest.mark.parametrize("ends", [{"ms": 1000.0, "beam_s": None}, {"beam_s": 1.0}])
def test_without_a_timer_a_lost_off_ends_a_beam_by_the_relay_s_pulse(
    name: str, ends: dict[str, Any]
) -> None:
    told = scenario("generator_ignores_off")
    shot = told.shot.model_copy(update=ends)
    bench = load_bench(name)
    _, seen = run(told.model_copy(update={"shot": shot}), on=bench)
    ended_us = next(line["t_us"] for line in seen.of("state") if line["from"] == "EXPOSE")
    (beam,), found = seen.beams, bound_of(bench, "planned end -> kV off, though OFF is lost")
    assert beam.gone_us is not None
    assert 0 < beam.gone_us - ended_us <= found.bound_us
