"""The beam lamp says what the generator indicates, not what was ordered."""

from __future__ import annotations

import pytest

from firmware_py.decide.memory import State
from tests.plant import SCAN_US
from tests.samples import LIMITS
from tests.test_shot_changed import Press

S = State


def pressed() -> Press:
    press = Press()
    press.plant.press()
    return press


@pytest.mark.req("SR-35")
def test_an_order_that_the_generator_does_not_follow_lights_nothing() -> None:
    press = pressed()
    press.plant.spoil("on unanswered")
    ordered = False
    for _ in range(300):
        press.scan()
        ordered = ordered or press.outputs.expose_from_us is not None
        assert not press.outputs.beam_lamp
    assert ordered


@pytest.mark.req("SR-35")
def test_a_beam_that_nobody_ordered_is_lit_in_the_scan_that_sees_it() -> None:
    press = Press()
    press.plant.release()
    for _ in range(LIMITS.fall_us // SCAN_US + 2):  # a status "on" may lag so long
        press.scan()
    press.plant.spoil("stray beam")
    press.scan()
    assert press.outputs.beam_lamp
    assert press.memory.state is S.LOCKED


@pytest.mark.req("SR-35")
def test_a_beam_of_one_sample_is_seen_for_300_ms() -> None:
    press = pressed()
    while not press.outputs.beam_lamp:
        press.scan()
    press.plant.release()
    lit = 0
    while press.outputs.beam_lamp:
        lit += 1
        press.scan()
    assert LIMITS.lamp_us == 300_000
    assert lit * SCAN_US >= LIMITS.lamp_us
