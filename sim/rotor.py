"""A rotating anode: run up, kept at speed, braked. Speed is a straight line from where it was.

Phases and that the start is refused until the end of the run-up are the reference's (2.6 of
qc-and-physics.md, Varian B-100), as are 2700-3600 rpm. 1.5 s to full speed is in the range that
was told from memory for low speed (0.8-1.5 s), 5 s to a stand is R2CP's "about".

What the stator takes is heat: boosted 120 V and 4.0 A, running 50-60 V (Varian B-100, which says
E x I x t x power factor). That its current goes with the volts, and the power factor, are *chosen*;
a stuck or slow rotor is boosted as long as its starter is set to; the brake's heat is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hal.now import NEVER_US, Now, earliest_us, latest_us
from sim.injection import Injection, fresh

FULL_RPM = 3_000.0
RUN_UP_US, BRAKE_US = 1_500_000, 5_000_000  # stand to full speed, and back
PREHEAT_US = 1_100_000  # chosen: no sooner after the order is READY told; most filaments are hot
ALLOWED_US = 10_000_000  # on time for an exposure that is in a battery's figures (GE AMX-II)
MINUTE_US = 60_000_000
POWER_FACTOR = 0.5
BOOST_V, RUN_V = 120.0, 55.0
BOOST_W = BOOST_V * 4.0 * POWER_FACTOR
RUN_W = BOOST_W * (RUN_V / BOOST_V) ** 2
INJECTIONS = {
    "rotor_slow_us": Injection(
        "it needs so long to full speed, from the next run-up on: a bad bearing (F24)",
        None,
        int,
        between=(RUN_UP_US, 60_000_000),
    ),
    "rotor_starts_count": Injection(
        "its starter allows so many starts in 60 s and then lets it stand; a Spellman PMX 2",
        None,
        int,
        between=(1, 60),
    ),
    "rotor_stuck": Injection("the rotor stands, whatever is ordered (F24)"),
    "rotor_lies": Injection("at speed is told from the order on, wherever it is (F13)"),
}


@dataclass(slots=True)
class Run:
    """The stator is boosted, then kept at its running volts until it is braked."""

    on_us: int
    boosted_us: int  # until then
    off_us: int | None = None


class Rotor:
    rotor_slow_us: int | None
    rotor_starts_count: int | None
    rotor_stuck: bool
    rotor_lies: bool

    def __init__(
        self,
        ordered: Callable[[int, bool], None] = lambda t_us, on: None,
        hot_us: Callable[[], int] = lambda: 0,
    ) -> None:
        """`ordered`: hears when it shall turn and when no more; `hot_us`: the filament, when."""
        self._ordered, self._hot_us = ordered, hot_us
        self._from_us, self._from_rpm, self._run_up_us = 0, 0.0, RUN_UP_US
        self._wanted_us: int | None = None  # since when it shall turn
        self._starts_us: list[int] = []  # of the last minute
        self._long_us = 0  # see `long_us`
        self._runs: list[Run] = []  # see `stator`
        fresh(self, INJECTIONS)

    def run_up(self, t_us: int) -> None:
        if self._wanted_us is None and self._may_start(Now(t_us)):
            self._starts_us.append(t_us)
            self._turn(t_us, t_us)
            self._runs.append(Run(t_us, self._planned_us()))

    def _may_start(self, now: Now) -> bool:
        recent = [at_us for at_us in self._starts_us if not now.reached(at_us + MINUTE_US)]
        self._starts_us = recent
        return self.rotor_starts_count is None or len(recent) < self.rotor_starts_count

    def brake(self, t_us: int) -> None:
        if self._wanted_us is not None:
            self._long_us = self.long_us(t_us)
            self._turn(t_us, None)
            self._runs[-1].off_us = t_us

    def _turn(self, t_us: int, wanted_us: int | None) -> None:
        self._ordered(t_us, wanted_us is not None)
        self._from_rpm, self._from_us = self.rpm(t_us), t_us
        self._wanted_us = wanted_us
        self._run_up_us = RUN_UP_US if self.rotor_slow_us is None else self.rotor_slow_us

    def rpm(self, t_us: int) -> float:
        if self.rotor_stuck:
            return 0.0
        age_us = t_us - self._from_us
        if self._wanted_us is None:
            return max(0.0, self._from_rpm - FULL_RPM * age_us / BRAKE_US)
        return min(FULL_RPM, self._from_rpm + FULL_RPM * age_us / self._run_up_us)

    def at_speed(self, now: Now) -> bool:
        """As its starter tells it."""
        if self._wanted_us is None:
            return False
        told_us = latest_us(self.full_us(), self._wanted_us + PREHEAT_US, self._hot_us())
        return self.rotor_lies or now.reached(told_us)

    def full_us(self) -> int:
        """When it turns at full speed."""
        if self._wanted_us is None or self.rotor_stuck:
            return NEVER_US
        return self._planned_us()

    def _planned_us(self) -> int:
        return self._from_us + round((1.0 - self._from_rpm / FULL_RPM) * self._run_up_us)

    def stator(self, from_us: int, to_us: int) -> Iterator[tuple[int, int, float]]:
        """(from, to, W) of what its windings took in between, which is not before `forget`."""
        for run in self._runs:
            off_us = to_us if run.off_us is None else run.off_us
            boosted_us = earliest_us(run.boosted_us, off_us)
            for begun_us, done_us, watts in (
                (run.on_us, boosted_us, BOOST_W),
                (boosted_us, off_us, RUN_W),
            ):
                begun_us, done_us = latest_us(begun_us, from_us), earliest_us(done_us, to_us)
                yield begun_us, latest_us(begun_us, done_us), watts

    def forget(self, before_us: int) -> None:
        """Nobody asks for the windings before that any more."""
        over = Now(before_us)
        self._runs = [r for r in self._runs if r.off_us is None or not over.reached(r.off_us)]

    def long_us(self, t_us: int) -> int:
        """How long it has been kept turning beyond ALLOWED_US, of every time that it was."""
        if self._wanted_us is None:
            return self._long_us
        return self._long_us + max(0, t_us - self._wanted_us - ALLOWED_US)
