"""Any order of actions and faults breaks no property; each bug that is planted is found.

`DXRIG_RULE_EXAMPLES=2000` plays so many longer stories, at random, and shrinks what it finds;
a failure prints the story and the line that repeats it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from firmware_py.decide import account, interlocks, states
from firmware_py.decide.memory import State
from tests.planted_bugs import BUGS, Patch, deaf_to, instead, never
from tests.rule_machine import SEEN, RuleMachine

LONG = int(os.environ.get("DXRIG_RULE_EXAMPLES", "0"))
STORY = settings(
    max_examples=LONG or 50,
    stateful_step_count=30 if LONG else 12,
    derandomize=not LONG,
    phases=[Phase.generate, *([Phase.shrink] if LONG else [])],  # shrinking takes minutes
    deadline=None,
    database=None,
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
# What is found is known; how it shrinks is of no interest.
HUNT = settings(
    STORY, max_examples=400, stateful_step_count=8, phases=[Phase.generate], derandomize=True
)
S = State


@pytest.mark.slow
@pytest.mark.timeout(300 + 10 * LONG)  # a busy machine is no failure
@pytest.mark.req("SR-01", "SR-04", "SR-09", "SR-17", "SR-28", "SR-41", "SR-45", "SR-52", "SR-53")
def test_no_order_of_actions_and_faults_breaks_a_property() -> None:
    SEEN.clear()
    run_state_machine_as_test(RuleMachine, settings=STORY)
    reached = {state.value for state in S} - {"LOCKED"}
    assert reached <= set(SEEN), f"never reached: {reached - set(SEEN)}"
    assert min(SEEN["imaging beam"], SEEN["no receptor beam"]) >= 10
    assert SEEN["FAULT"] >= 10


def planted(name: str) -> Callable[[Patch], None]:
    return next(bug.plant for bug in BUGS if bug.name == name)


def no_charge(patch: Patch) -> None:
    patch.setattr(account, "_bound_mas", lambda *_: 0.001)


@dataclass(frozen=True)
class Hunt:
    bug: str
    plant: Callable[[Patch], None]
    found_as: str
    words: tuple[str, ...]  # what may happen in the stories: the cause, and things beside it


def hunt(bug: str, found_as: str, *words: str) -> Hunt:
    return Hunt(bug, planted(bug), found_as, words)


HUNTS = (
    hunt("the release after a beam is not waited for", "without a release",
         "programme the next", "door glitch", "press reset"),
    hunt("no window is asked for", "onto a panel that is",
         "panel's window opens late", "panel is stuck", "release"),
    hunt("no intent is asked for", "a beam without a(ny| durable) intent",
         "recorder hangs", "disk full", "recorder in order"),
    hunt("stage 2 does not end the beam", "the switch is released",
         "release stage 2", "ask for no stop", "arc"),
    hunt("a stop does not end the beam", "a stop is requested",
         "ask for a stop", "ask for no stop", "release"),
    hunt("the enable relay is held in FAULT", "in FAULT the unit holds enable",
         "open door", "close door", "press e-stop"),
    hunt("a welded enable relay is not seen", "over a welded enable relay",
         "enable relay welds", "release", "press"),
    Hunt("an open door is not seen", deaf_to(interlocks, "room_causes", "DOOR_OPEN"),
         "a protective contact is open", ("open door", "close door", "release")),
    Hunt("the bound of an unknown dose is too small", no_charge, "mAs, and it had",
         ("release", "release stage 2", "ask for a stop")),
    Hunt("a reset alone leads out of LOCKED",
         instead(S.LOCKED, "key_turned_and_reset", states.reset_with_cause_gone),
         "LOCKED was left", ("pair bridged", "release")),
    Hunt("nothing leads out of LOCKED", instead(S.LOCKED, "key_turned_and_reset", never),
         "still LOCKED", ("enable relay welds", "release", "press")),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("hunt", HUNTS if LONG else HUNTS[:3], ids=lambda hunt: hunt.bug)
def test_a_planted_bug_is_found_by_some_story(hunt: Hunt, monkeypatch: pytest.MonkeyPatch) -> None:
    hunt.plant(monkeypatch)
    machine = type("Hunter", (RuleMachine,), {"words": hunt.words})
    with pytest.raises(AssertionError, match=hunt.found_as):
        run_state_machine_as_test(machine, settings=HUNT)
