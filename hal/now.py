"""The one way to compare times.

Nobody compares microseconds by hand: predicates, drivers and device models ask
`now.reached(deadline_us)`, and `Now` keeps the earliest deadline that it answered
"not yet". So a component's next event is known by construction: if no byte and no
command arrives before `next_us`, polling the component again changes nothing.
Too early is harmless, too late is a bug. A lint forbids `<` and `>` on `_us` names
outside this file.
"""

NEVER_US = 1 << 62


class Now:
    """One instant, and the earliest later instant that somebody waits for."""

    __slots__ = ("next_us", "t_us")

    def __init__(self, t_us: int) -> None:
        self.t_us = t_us
        self.next_us = NEVER_US

    def reached(self, deadline_us: int) -> bool:
        if self.t_us >= deadline_us:
            return True
        if deadline_us < self.next_us:
            self.next_us = deadline_us
        return False

    def wake(self, at_us: int) -> None:
        """Ask to be polled again at `at_us`, whatever happens."""
        if at_us < self.next_us:
            self.next_us = at_us


def since(event_us: int | None, start_us: int) -> bool:
    """Did the event happen at `start_us` or later? None = it did not happen."""
    return event_us is not None and event_us >= start_us


def earliest_us(*times_us: int) -> int:
    return min(times_us, default=NEVER_US)


def latest_us(*times_us: int) -> int:
    return max(times_us)


def grid_us(t_us: int, period_us: int) -> int:
    """The first point of the scan grid that is not before `t_us`."""
    return -(-t_us // period_us) * period_us
