"""How long a tube has rested, from dates that may have gaps, or a clock that ran back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest

from firmware_py.config import WarmupConfig
from firmware_py.routines.idle import Warmth, warmth
from tests.model_runs import bench

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def table() -> WarmupConfig:
    """The shipped bench's: 3 days none, then 5, 10 and 50 min; warm for 8 h."""
    found = bench().unit.warmup
    assert found is not None
    return found


def seen(
    at: datetime,
    warmed_at: datetime | None = NOON,
    beams: Sequence[datetime] = (),
    ambient_c: float | None = 20.0,
) -> Warmth:
    return warmth(table(), warmed_at=warmed_at, beams=beams, at=at, ambient_c=ambient_c)


@pytest.mark.req("SR-16")
@pytest.mark.parametrize("beams", [[], [NOON - HOUR], [NOON - 400 * DAY, NOON - DAY]])
def test_a_tube_that_was_never_warmed_up_is_a_cold_one_whatever_it_did(
    beams: list[datetime],
) -> None:
    found = seen(NOON, warmed_at=None, beams=beams)
    assert found == Warmth(idle_s=None, minutes=50, why="no warm-up of this tube is recorded")
    assert not found.warm


@pytest.mark.req("SR-16")
@pytest.mark.parametrize(
    ("warmed_at", "beams"), [(NOON + HOUR, []), (NOON - DAY, [NOON + HOUR]), (None, [NOON + HOUR])]
)
def test_a_clock_behind_what_was_recorded_is_not_believed(
    warmed_at: datetime | None, beams: list[datetime]
) -> None:
    found = seen(NOON, warmed_at, beams)
    assert (found.idle_s, found.minutes) == (None, 50)
    assert found.why == "the clock is behind what was recorded (2026-03-02 13:00)"


def test_the_rest_counts_from_the_end_of_the_warm_up() -> None:
    assert seen(NOON + 2 * HOUR) == Warmth(
        idle_s=7200.0, minutes=0.0, why="since the tube was last warm"
    )
    assert seen(NOON).idle_s == 0.0


@pytest.mark.parametrize(
    ("rest", "minutes"),
    [
        (3 * DAY - timedelta(microseconds=1), 0),
        (3 * DAY, 5),
        (30 * DAY, 10),
        (90 * DAY, 50),
    ],
)
def test_a_rest_needs_what_the_table_says(rest: timedelta, minutes: float) -> None:
    found = seen(NOON + rest)
    assert (found.minutes, found.warm) == (minutes, minutes == 0)


def test_a_warm_tubes_beam_keeps_it_warm() -> None:
    beams = [NOON + 2 * DAY, NOON + 4 * DAY, NOON + 6 * DAY]
    assert seen(NOON + 8 * DAY, beams=beams).idle_s == 2 * 86_400
    assert seen(NOON + 9 * DAY, beams=beams).minutes == 5


def test_a_cold_tubes_beam_warms_nothing() -> None:
    """After three days' rest the beam was a cold one, and so was what followed it."""
    beams = [NOON + 3 * DAY, NOON + 3 * DAY + HOUR, NOON + 4 * DAY]
    found = seen(NOON + 4 * DAY + HOUR, beams=beams)
    assert (found.idle_s, found.minutes) == (4 * 86_400 + 3600, 5)


def test_beams_before_the_warm_up_count_for_nothing() -> None:
    assert seen(NOON + 3 * DAY, beams=[NOON - HOUR, NOON]).minutes == 5


def test_the_order_of_the_beams_does_not_matter() -> None:
    beams = [NOON + 2 * DAY, NOON + 4 * DAY, NOON + 8 * DAY]
    found = {seen(NOON + 9 * DAY, beams=order).idle_s for order in permutations(beams)}
    assert found == {5 * 86_400.0}


@pytest.mark.parametrize(("rest", "minutes"), [(8 * HOUR, 0), (8 * HOUR + timedelta(seconds=1), 5)])
def test_a_tube_stays_warm_for_some_hours_even_in_the_cold(rest: timedelta, minutes: float) -> None:
    """At 5 degrees the table asks for five minutes after no rest at all."""
    assert seen(NOON + rest, ambient_c=5.0).minutes == minutes
    assert seen(NOON + rest, ambient_c=None).minutes == minutes


def test_in_the_cold_a_beam_within_those_hours_keeps_the_tube_warm() -> None:
    beams = [NOON + 7 * HOUR, NOON + 14 * HOUR]
    assert seen(NOON + 20 * HOUR, beams=beams, ambient_c=0.0).minutes == 0
    assert seen(NOON + 20 * HOUR, beams=beams[1:], ambient_c=0.0).minutes == 5


def test_dates_of_other_zones_are_the_same_moments() -> None:
    berlin = (NOON + HOUR).astimezone(tz=None)
    assert seen(NOON + 2 * HOUR, beams=[berlin]).idle_s == 3600.0


def test_warm_is_what_needs_no_minutes() -> None:
    found = seen(NOON)
    assert found.warm
    assert not replace(found, minutes=5.0).warm
