"""One decision: `controller.step` in a scan that changes nothing.

The floor is what `transitions` itself takes for a trigger with four callbacks.
"""

from __future__ import annotations

from collections.abc import Callable

from transitions import Machine

from firmware_py.decide.controller import step
from firmware_py.decide.memory import State
from tools.bench.steady import SteadyRung
from tools.bench.timing import Benchmark, Case, in_turn

CALLS_COUNT = 200


def decision(seconds: float) -> Benchmark:
    rung = SteadyRung(poll_ms=20)
    return Benchmark(
        name="decision",
        about="the decision of one scan that changes nothing",
        cases=in_turn(
            Case(name="transitions, 4 callbacks", run=_trigger(), calls_count=CALLS_COUNT),
            *(_case(rung, state) for state in (State.STANDBY, State.PREP, State.EXPOSE)),
            seconds=seconds,
        ),
    )


def _case(rung: SteadyRung, state: State) -> Case:
    memory, inputs = rung.moment(state)
    return Case(
        name=f"controller.step in {state.value}",
        run=lambda: step(memory, inputs),
        calls_count=CALLS_COUNT,
    )


class _Switch:
    flip: Callable[[], object]

    def yes(self) -> bool:
        return True


def _trigger() -> Callable[[], object]:
    switch = _Switch()
    machine = Machine(switch, states=["on", "off"], initial="on", auto_transitions=False)
    for source, dest in (("on", "off"), ("off", "on")):
        machine.add_transition(
            "flip", source, dest, prepare="yes", conditions="yes", before="yes", after="yes"
        )
    return switch.flip
