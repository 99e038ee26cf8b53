"""Rows of the fault catalogue for tests: `inject(rung, "F31")` does what the row says, now.

A row that the simulated room can't do is an error with its reason, as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rig.injections import HowSection, steps_of
from rig.model import ModelRung
from sim.script import UNIT_VERBS, do

Inject = Callable[[ModelRung, str], None]


@pytest.fixture
def inject() -> Inject:
    return inject_now


def inject_now(rung: ModelRung, injection_id: str) -> None:
    """At the world's present time, later steps after it. Raises UsageError with the reason."""
    for step in steps_of(injection_id, "scenario"):
        at_us = rung.world.t_us + round(step.after_ms * 1000)
        if step.after_ms:
            rung.world.at(at_us, _later(rung, step))
        else:
            _act(rung, step)


def _later(rung: ModelRung, step: HowSection) -> Callable[[int], None]:
    return lambda t_us: _act(rung, step)


def _act(rung: ModelRung, step: HowSection) -> None:
    if step.do not in UNIT_VERBS:
        do(rung.world, step.do, step.args)
    elif step.do == "kill unit":
        rung.kill_unit()
    elif step.do == "start unit":
        raise AssertionError("a unit is started by the test: it needs a recorder")
    else:
        rung.freeze_unit(frozen=step.do == "stop unit")
