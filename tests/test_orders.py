"""What all drivers of a beam share: orders, steps of a preparation, and a device that is silent.

Each driver's contract (`contract_generator.py`) holds the same rules over its wire; here they stand
alone, to the microsecond.
"""

from __future__ import annotations

import pytest

from hal.generators._orders import ON_EXPIRES_US, Orders
from hal.generators._silence import Silence
from hal.generators._steps import TRIES, Steps
from hal.now import NEVER_US, Now
from hal.types import GeneratorState, Technique

ONE = Technique(kv=80.0, ma=0.5, mas=0.4)
OTHER = Technique(kv=70.0, ma=0.5, mas=0.4)
ORDER_US = 100_000


def prepared(technique: Technique = ONE) -> Orders:
    """Confirmed, and a status says that there is no beam."""
    orders = Orders()
    orders.follow_technique(Now(0), technique)
    orders.confirm(Now(0))
    orders.saw_beam(Now(0), False, 0)
    return orders


def ordered(orders: Orders | None = None) -> Orders:
    orders = orders or prepared()
    assert orders.follow_beam(Now(ORDER_US), ORDER_US)
    return orders


def in_beam() -> Orders:
    orders = ordered()
    assert leaves(orders) == "ON"
    orders.accept(Now(ORDER_US + 10_000), beam_on=True, beam_taken_us=ORDER_US + 5_000)
    return orders


def leaves(orders: Orders, *, first: str | None = None, ready: bool = True) -> str | None:
    now = Now(ORDER_US + 5_000)
    return orders.start(now, "ON", look="STATUS", first=first, ready=ready)


# --- ON ------------------------------------------------------------------------------------------


def test_in_the_beginning_nothing_is_prepared_or_ordered_and_only_off_is_due() -> None:
    orders = Orders()
    assert not any((orders.prepared, orders.spent, orders.beam_ordered, orders.on_open))
    assert not any((orders.clear_due, orders.ended_alone, orders.refusal))
    assert orders.off_due


def test_without_an_order_no_on_leaves() -> None:
    assert leaves(prepared()) is None


def test_on_leaves_once_and_what_the_last_beam_showed_is_forgotten() -> None:
    orders = ordered()
    orders.set(Now(0), kv=80.0, ma=0.5, monitor_taken_us=1, beam_mas=0.4, account_taken_us=2)
    assert orders.on_open
    assert orders.start(Now(ORDER_US + 5_000), "ON", look="STATUS") == "ON"
    sample = orders.sample
    assert (orders.on_open, orders.spent) == (False, True)
    assert (sample.on_sent_us, sample.on_answered_us) == (ORDER_US + 5_000, None)
    assert (sample.beam_on, sample.beam_taken_us, sample.confirmed) == (None, None, ONE)
    shown = (sample.kv, sample.ma, sample.monitor_taken_us, sample.beam_mas)
    assert (*shown, sample.account_taken_us) == (None,) * 5


def test_what_was_not_ready_when_it_was_ordered_gets_no_on_later() -> None:
    orders = Orders()
    orders.follow_technique(Now(0), ONE)
    ordered(orders)
    orders.saw_beam(Now(ORDER_US), False, 0)
    orders.confirm(Now(ORDER_US))
    assert leaves(orders) is None


def test_what_the_driver_itself_found_not_ready_when_it_was_ordered_gets_no_on_later() -> None:
    orders = prepared()
    orders.follow_beam(Now(ORDER_US), ORDER_US, ready=False)
    assert leaves(orders) is None


def test_what_is_no_longer_ready_gets_no_on() -> None:
    assert leaves(ordered(), ready=False) is None


@pytest.mark.parametrize("beam_on", [True, None])
def test_on_waits_for_a_status_that_shows_no_beam(beam_on: bool | None) -> None:
    orders = ordered()
    orders.saw_beam(Now(ORDER_US), beam_on, ORDER_US)
    assert leaves(orders, first="KEY") == "STATUS"
    assert (orders.on_open, orders.sample.on_sent_us) == (True, None)


def test_what_the_device_needs_first_leaves_first() -> None:
    orders = ordered()
    assert leaves(orders, first="KEY") == "KEY"
    assert (orders.on_open, orders.sample.on_sent_us) == (True, None)
    assert leaves(orders) == "ON"


def test_an_order_expires_to_the_microsecond_and_says_when() -> None:
    orders = ordered()
    early = Now(ORDER_US + ON_EXPIRES_US - 1)
    orders.follow_beam(early, ORDER_US)
    assert (orders.on_open, orders.sample.refused) == (True, False)
    assert early.next_us == ORDER_US + ON_EXPIRES_US
    orders.follow_beam(Now(ORDER_US + ON_EXPIRES_US), ORDER_US)
    assert (orders.on_open, orders.sample.refused) == (False, True)


def test_an_on_that_has_left_does_not_expire() -> None:
    orders = in_beam()
    now = Now(ORDER_US + ON_EXPIRES_US)
    assert not orders.follow_beam(now, ORDER_US)
    assert (orders.sample.refused, now.next_us) == (False, NEVER_US)


def test_another_order_begins_with_nothing_of_the_one_before() -> None:
    orders = ordered()
    orders.refuse(Now(ORDER_US + 1), "filament")
    assert (orders.sample.refused, orders.refusal) == (True, "filament")
    assert orders.follow_beam(Now(200_000), None)
    assert (orders.on_open, orders.sample.refused) == (False, True)
    orders.off_answered(Now(200_001))
    orders.acked_us = 200_002
    assert orders.follow_beam(Now(300_000), 300_000)
    assert [orders.acked_us, orders.refusal, orders.sample.refused] == [None, "", False]
    assert orders.sample.off_confirmed_us is None


def test_a_beam_is_awaited_from_the_answer_to_on_until_it_is_seen_or_not_ordered() -> None:
    orders = ordered()
    assert not orders.beam_awaited
    orders.acked_us = ORDER_US + 1
    assert orders.beam_awaited
    orders.accept(Now(ORDER_US + 2))
    assert (orders.beam_awaited, orders.sample.on_answered_us) == (False, ORDER_US + 2)
    orders = ordered()
    orders.acked_us = ORDER_US + 1
    orders.follow_beam(Now(200_000), None)
    assert not orders.beam_awaited


# --- the technique -------------------------------------------------------------------------------


def test_another_technique_voids_what_was_prepared() -> None:
    orders = prepared()
    assert not orders.follow_technique(Now(1), ONE)
    assert (orders.prepared, orders.sample.confirmed) == (True, ONE)
    assert orders.follow_technique(Now(2), OTHER)
    assert (orders.prepared, orders.sample.confirmed, orders.technique) == (False, None, OTHER)


def test_one_preparation_is_good_for_one_beam() -> None:
    orders = in_beam()
    assert not orders.follow_technique(Now(200_000), ONE)
    orders.follow_beam(Now(200_000), None)
    assert not orders.follow_technique(Now(200_000), ONE)  # its beam is still on
    orders.saw_beam(Now(210_000), False, 205_000)
    assert orders.follow_technique(Now(215_000), ONE)
    assert (orders.prepared, orders.spent, orders.sample.confirmed) == (False, False, None)


def test_a_beam_that_is_ordered_anew_needs_a_preparation_of_its_own() -> None:
    orders = in_beam()
    orders.saw_beam(Now(200_000), False, 195_000)
    assert orders.follow_beam(Now(205_000), 205_000)
    assert leaves(orders) is None


# --- OFF -----------------------------------------------------------------------------------------


def test_a_beam_counts_as_on_until_off_was_answered() -> None:
    orders = Orders()
    assert orders.off_due
    orders.off_answered(Now(7))
    assert (orders.off_due, orders.sample.off_confirmed_us) == (False, 7)


def test_off_is_due_after_an_order_and_not_while_it_lasts() -> None:
    orders = prepared()
    orders.off_answered(Now(1))
    ordered(orders)
    assert not orders.off_due
    orders.off_answered(Now(ORDER_US))  # of an OFF that left before
    assert orders.sample.off_confirmed_us is None
    orders.follow_beam(Now(200_000), None)
    assert orders.off_due


def test_a_beam_that_nobody_ordered_makes_off_due_again() -> None:
    orders = prepared()
    orders.off_answered(Now(1))
    orders.saw_beam(Now(2), None, 1)
    assert not orders.off_due
    orders.saw_beam(Now(3), True, 2)
    assert orders.off_due


def test_an_ordered_beam_alone_makes_no_off_due() -> None:
    orders = in_beam()
    orders.off_wanted = False
    orders.saw_beam(Now(200_000), True, 195_000)
    assert not orders.off_wanted


# --- what a status shows -------------------------------------------------------------------------


def test_the_first_off_after_a_beam_is_told_once() -> None:
    orders = in_beam()
    assert not orders.saw_beam(Now(200_000), True, 195_000)
    assert not orders.saw_beam(Now(210_000), None, 205_000)
    assert orders.saw_beam(Now(220_000), False, 215_000)
    assert not orders.saw_beam(Now(230_000), False, 225_000)
    assert (orders.sample.beam_on, orders.sample.beam_taken_us) == (False, 225_000)


@pytest.mark.parametrize(("ordered_still", "alone"), [(True, True), (False, False)])
def test_a_beam_that_ends_while_it_is_ordered_has_ended_alone(
    ordered_still: bool, alone: bool
) -> None:
    orders = in_beam()
    if not ordered_still:
        orders.follow_beam(Now(200_000), None)
    orders.saw_beam(Now(210_000), False, 205_000)
    assert orders.ended_alone is alone
    orders.cleared()
    assert not orders.ended_alone


def test_a_beam_that_never_was_has_not_ended_alone() -> None:
    orders = ordered()
    assert leaves(orders) == "ON"
    orders.saw_beam(Now(200_000), False, 195_000)
    assert not orders.ended_alone


def test_in_beam_is_from_its_acceptance_to_its_end() -> None:
    assert not ordered().in_beam
    orders = in_beam()
    assert orders.in_beam
    orders.saw_beam(Now(200_000), None, 195_000)
    assert orders.in_beam
    orders.saw_beam(Now(210_000), False, 205_000)
    assert not orders.in_beam


def test_a_lost_reply_leaves_no_beam_off_and_no_beam_lost() -> None:
    orders = prepared()
    orders.lost_reply(Now(1))
    assert orders.sample.beam_on is None
    orders = in_beam()
    orders.lost_reply(Now(200_000))
    assert orders.sample.beam_on is True


def test_of_a_lost_device_nothing_is_known_and_off_is_due() -> None:
    orders = prepared()
    orders.off_answered(Now(1))
    orders.set(Now(1), interlock_closed=True)
    orders.lost_device(Now(2))
    sample = orders.sample
    assert (sample.beam_on, sample.interlock_closed, sample.confirmed) == (None, None, None)
    assert (orders.off_due, orders.prepared, orders.technique) == (True, False, ONE)


# --- clearing, and what is shown -----------------------------------------------------------------


def test_faults_are_cleared_once_for_an_order() -> None:
    orders = Orders()
    orders.follow_clear(None)
    assert not orders.clear_due
    orders.follow_clear(5)
    assert orders.clear_due
    orders.cleared()
    orders.follow_clear(5)
    orders.follow_clear(None)
    assert not orders.clear_due
    orders.follow_clear(6)
    assert orders.clear_due


def test_whoever_sees_a_change_looks_again_at_once() -> None:
    orders, now = Orders(), Now(10)
    orders.set(now, kv=None, state=GeneratorState.OFFLINE)
    assert now.next_us == NEVER_US
    orders.set(now, kv=80.0)
    assert now.next_us == 10


def test_the_worst_of_what_is_true_is_shown() -> None:
    orders = in_beam()

    def state(*, offline: bool = False, faulty: bool = False, ready: bool = True) -> str:
        return orders.state(offline=offline, faulty=faulty, ready=ready).name

    assert state(offline=True, faulty=True) == "OFFLINE"
    assert state(faulty=True) == "BEAM"
    orders.saw_beam(Now(200_000), False, 195_000)
    assert state(faulty=True) == "FAULT"
    assert state() == "READY"
    assert state(ready=False) == "PREPARING"
    orders.follow_technique(Now(210_000), OTHER)
    assert state() == "PREPARING"
    orders.follow_technique(Now(220_000), None)
    assert state() == "STANDBY"


# --- steps ---------------------------------------------------------------------------------------


def two() -> list[str]:
    return ["kV", "mA"]


def test_steps_are_asked_one_after_the_other_and_the_last_answer_is_told() -> None:
    steps: Steps[str] = Steps()
    assert [steps.first, steps.next(two), steps.next(two)] == [None, "kV", "kV"]
    assert steps.first == "kV"
    assert not steps.took()
    assert steps.next(two) == "mA"
    assert steps.took()


def test_a_wrong_answer_begins_the_steps_anew_and_the_third_is_a_fault() -> None:
    steps: Steps[str] = Steps()
    for tries_count in range(1, TRIES):
        steps.next(two)
        steps.took()
        assert not steps.took("mA was 7")
        assert (steps.tries_count, steps.failed, steps.first) == (tries_count, "", None)
    assert steps.next(two) == "kV"
    assert not steps.took("kV was 7")
    assert (steps.failed, steps.next(two)) == ("kV was 7", None)


def test_a_technique_that_can_not_be_has_failed_and_is_not_tried_again() -> None:
    steps: Steps[str] = Steps()
    begun: list[int] = []

    def begin() -> list[str]:
        begun.append(1)
        raise ValueError("kv must be 30-120 kV")

    assert (steps.next(begin), steps.next(begin)) == (None, None)
    assert (steps.failed, begun) == ("kv must be 30-120 kV", [1])


# --- silence -------------------------------------------------------------------------------------


def answering() -> Silence:
    silence = Silence()
    assert silence.offline
    silence.answered()
    return silence


def test_silence_runs_from_the_first_question_without_an_answer() -> None:
    silence, now = answering(), Now(1_000)
    silence.owed(now, 500)
    assert now.next_us == 1_500
    silence.owed(Now(1_400), 500)
    early = Now(1_499)
    assert not silence.lost(early, port_down=False)
    assert early.next_us == 1_500
    assert silence.lost(Now(1_500), port_down=False)
    assert silence.offline


def test_a_device_is_lost_once_until_it_answers() -> None:
    silence = answering()
    assert silence.lost(Now(1), port_down=True)
    assert not silence.lost(Now(2), port_down=True)
    silence.answered()
    assert not silence.lost(Now(3), port_down=False)
    assert silence.lost(Now(4), port_down=True)


def test_nothing_is_owed_after_an_answer_or_by_whoever_comes_next() -> None:
    for done in (Silence.answered, Silence.forget):
        silence = answering()
        silence.owed(Now(0), 500)
        done(silence)
        later = Now(10_000)
        assert not silence.lost(later, port_down=False)
        assert later.next_us == NEVER_US
