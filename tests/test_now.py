"""The one way to compare times, and what it remembers."""

from __future__ import annotations

from hal.now import NEVER_US, Now, earliest_us, grid_us, latest_us, since


def test_a_deadline_is_reached_at_its_own_microsecond() -> None:
    assert not Now(99).reached(100)
    assert Now(100).reached(100)
    assert Now(101).reached(100)


def test_the_earliest_deadline_not_reached_is_the_next_event() -> None:
    now = Now(100)
    assert now.next_us == NEVER_US
    now.reached(300)
    now.reached(200)
    now.reached(250)
    now.reached(50)
    assert now.next_us == 200


def test_a_wake_moves_the_next_event_forward_only() -> None:
    now = Now(100)
    now.wake(150)
    now.wake(170)
    assert now.next_us == 150
    now.wake(100)
    assert now.next_us == 100


def test_what_never_happened_is_not_since_anything() -> None:
    assert not since(None, 0)
    assert since(0, 0)
    assert not since(99, 100)


def test_nothing_is_never() -> None:
    assert earliest_us() == NEVER_US
    assert (earliest_us(3, 2), latest_us(3, 2)) == (2, 3)


def test_a_grid_point_is_not_before_its_time() -> None:
    assert [grid_us(t_us, 5) for t_us in (0, 1, 5, 6)] == [0, 5, 5, 10]
