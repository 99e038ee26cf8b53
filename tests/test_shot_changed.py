"""What is frozen at PREP is never edited: a change in any scan before the beam means no beam."""

from __future__ import annotations

import pytest

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from hal.types import Outputs
from tests.plant import Plant
from tests.samples import LIMITS

STAGE_2_AFTER = 12  # scans after stage 1: READY has been reached by then
S = State


class Press:
    """A plant in STANDBY whose switch is pressed in two steps, scan by scan."""

    def __init__(self) -> None:
        self.plant, self.memory, self.outputs = Plant(), Memory(limits=LIMITS), Outputs()
        while self.memory.state is not S.STANDBY:
            self.scan()
        self.plant.press_stage_1()

    def scan(self) -> None:
        self.memory, self.outputs = step(self.memory, self.plant.inputs())
        self.plant.obey(self.outputs)
        self.plant.pass_scans()

    def scan_of_press(self, number: int) -> None:
        if number == STAGE_2_AFTER:
            self.plant.press()
        self.scan()


def scans_before_the_beam() -> int:
    """How many scans of the press end without a beam; READY has its share of them."""
    press = Press()
    seen: list[State] = []
    while press.memory.state is not S.EXPOSE:
        press.scan_of_press(len(seen))
        seen.append(press.memory.state)
    assert {S.PREP, S.READY, S.INTERLOCK_CHECK} < set(seen)
    assert seen[STAGE_2_AFTER - 1] is S.READY
    return len(seen) - 1


@pytest.mark.req("SR-07")
@pytest.mark.parametrize("edit", ["shot edited", "no shot"])
def test_a_change_in_any_scan_between_press_and_beam_drops_the_preparation(edit: str) -> None:
    for changed in range(1, scans_before_the_beam() + 1):
        press = Press()
        for number in range(changed):
            press.scan_of_press(number)
        press.plant.spoil(edit)
        press.scan_of_press(changed)
        assert (press.memory.state, press.memory.why) == (S.RELEASE_WAIT, "shot_changed"), changed
        press.plant.press()
        for _ in range(200):
            press.scan()
            assert press.outputs.expose_from_us is None, changed
            assert press.memory.state is S.RELEASE_WAIT, "a new press is needed"
