"""Follows one life of a routine: tells the person what to do, keeps every result, and ends.

The unit decides what is programmed and when; the person's press starts each beam. This
looks, tells and writes down. Whatever happens, the unit ends a beam in the ordinary way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from firmware_py.routines.engine import Stamp
from firmware_py.routines.spec import Spec
from rig.exposure import uninterrupted
from rig.routines.people import Person
from rig.routines.seats import Seat
from rig.unit_states import IN_SEQUENCE, LATCHED

LOOK_S = 0.1
INHIBITED_S = 2.0  # in a simulated room: samples of the first scans may still be missing
ARC_TOLD_S = 12.0  # an IXS tells of an arc for 10 s, and starts no beam meanwhile
UNCURED_S = 20.0  # a fault that a reset does not clear
SETTLE_S = 5.0
COOLS = "TUBE_HEAT"  # passes by itself


class View:
    """What is shown meanwhile; this one shows nothing."""

    def step(self, index: int, step: Mapping[str, Any]) -> None: ...

    def result(self, index: int, result: Mapping[str, Any]) -> None: ...

    def line(self, line: Mapping[str, Any]) -> None: ...

    def say(self, text: str) -> None: ...


@dataclass(slots=True)
class Ending:
    """How this life of the routine ended. `verdict` and `suspended` are the routine's own."""

    verdict: dict[str, Any] | None = None
    suspended: dict[str, Any] | None = None
    interrupted: bool = False
    refused: list[str] = field(default_factory=list)  # inhibits that stayed
    faults: list[str] = field(default_factory=list)  # latched, and no reset cleared them
    timed_out: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return bool(
            self.verdict or self.suspended or self.interrupted or self.refused or self.faults
        ) or self.timed_out  # fmt: skip


class Follow:
    def __init__(
        self,
        seat: Seat,
        person: Person,
        *,
        wait_s: float,
        patient: bool,
        view: View,
        keep: Callable[[Ending], None],
    ) -> None:
        """`keep`: called after every result, before the next shot can be pressed.

        `patient`: a real person may cure an inhibit; a simulated room's stays.
        """
        self._seat, self._person, self._view, self._keep = seat, person, view, keep
        self._wait_s, self._patient = wait_s, patient
        self._state = "BOOT"
        self._looked_s: float | None = None
        self._place = (-1, "")
        self._wanted: str | None = None  # the shot that a press was asked for
        self._asking: str | None = None
        self._inhibited: tuple[list[str], float] | None = None
        self._latched_s: float | None = None
        self._waits_s: float | None = None
        self._begun = False
        self.ending = Ending()

    def run(self, spec: Spec, stamp: Stamp, results: Sequence[Mapping[str, Any]]) -> Ending:
        """`results`: of the lives before. Raises DxrigError when a process ends by itself."""
        self.ending.results = [dict(one) for one in results]
        try:
            self._seat.start()
            self._seat.begin(spec, stamp, results)
            self._begun = True
            while not self.ending.over:
                self._go_on()
        except KeyboardInterrupt:
            self.ending.interrupted = True
            with uninterrupted():
                self._stop()
        finally:
            with uninterrupted():
                self._person.leave()
                self._seat.end()
        return self.ending

    def _go_on(self) -> None:
        lines = self._seat.news()
        for line in lines:
            self._view.line(line)
            if line["kind"] == "state":
                self._entered(line["to"], line)
        now_s = self._seat.now_s()
        if lines or self._looked_s is None or now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._look(self._seat.status(), now_s)

    def _entered(self, state: str, line: Mapping[str, Any]) -> None:
        self._state = state
        if state in LATCHED:
            told = ", ".join(line.get("faults", []))
            self.ending.events.append(f"{state}: {told}")
            self._view.say(f"{state}: {told}")
        else:
            self._latched_s = None
        if state != "STANDBY":
            self._inhibited = None
        self._person.entered(state)

    def _look(self, status: Mapping[str, Any], now_s: float) -> None:
        routine = status["routine"]
        self._take_results(routine["step_index"])
        self.ending.verdict, self.ending.suspended = routine["verdict"], routine["suspended"]
        self.ending.interrupted |= bool(routine["interrupted"]) and self._state == "STANDBY"
        step = routine["step"]
        if step is None or self.ending.over:
            return
        place = (routine["step_index"], step["is"])  # a question may be asked again before it
        if place != self._place:
            self._place = place
            self._waits_s = now_s
            self._view.step(place[0], step)
        if step["is"] == "Ask":
            self._ask(step)
        elif self._state in LATCHED:
            self._look_at_fault(status, now_s)
        elif step["is"] == "Fire" and self._state == "STANDBY" and routine["shot"]:
            self._look_at_standby(status, step, routine["shot"], now_s)
        if self._state in IN_SEQUENCE or step["is"] == "Pause":
            self._waits_s = now_s
        elif self._waits_s is not None and now_s - self._waits_s > self._wait_s:
            self.ending.timed_out = True

    def _take_results(self, count: int) -> None:
        have = len(self.ending.results)
        if count <= have:
            return
        for index, result in enumerate(self._seat.results(have), have):
            self.ending.results.append(result)
            if result.get("faults"):
                self.ending.events.append(f"fault: {', '.join(result['faults'])}")
            self._view.result(index, result)
        self._keep(self.ending)

    def _ask(self, step: Mapping[str, Any]) -> None:
        key = str(step["key"])
        if self._asking != key:
            self._asking = key
            self._person.asked(key, str(step["text"]))
        who = self._person.answer()
        if who is not None:
            self._seat.confirm(key, who)
            self._asking = None

    def _look_at_standby(
        self, status: Mapping[str, Any], step: Mapping[str, Any], shot: str, now_s: float
    ) -> None:
        told = [one for one in status["inhibits"] if one["code"] != COOLS]
        codes = [one["code"] for one in status["inhibits"]]
        if (status["shot"] or {}).get("shot_id") != shot:
            return  # programmed in this scan: the next one judges it
        if codes != (self._inhibited[0] if self._inhibited else []):
            self._inhibited = (codes, now_s) if codes else None
            for one in status["inhibits"]:
                self._view.say(f"waits: {one['text']} {one['action']}")
        if not codes:
            if step["kind"] != "dark" and self._wanted != shot:
                self._wanted = shot
                self._person.wanted(str(step["note"]), _hold_s(step["technique"]))
            return
        if COOLS in codes:
            self._waits_s = now_s
        limit_s = ARC_TOLD_S if "ARC" in codes else INHIBITED_S
        lasting = self._inhibited is not None and now_s - self._inhibited[1] > limit_s
        if told and lasting and not self._patient:
            self.ending.refused = [one["code"] for one in told]

    def _look_at_fault(self, status: Mapping[str, Any], now_s: float) -> None:
        if self._latched_s is None:
            self._latched_s = now_s
        waits = status["reset_waits_for"]
        self._person.latched("; ".join(one["text"] for one in waits))
        if not self._patient and now_s - self._latched_s > UNCURED_S:
            self.ending.faults = [one["code"] for one in status["faults"]]

    def _stop(self) -> None:
        """The ordinary end of a beam, and time for its dose, frame and result to be saved."""
        if not self._begun:
            return
        self._view.say("ending the beam and saving what was recorded")
        self._seat.stop()
        end_s = self._seat.now_s() + SETTLE_S
        self._person.leave()
        while self._is_busy() and self._seat.now_s() < end_s:
            for line in self._seat.news():
                if line["kind"] == "state":
                    self._state = line["to"]
        self._take_results(int(self._seat.status()["routine"]["step_index"]))

    def _is_busy(self) -> bool:
        """A shot is under way, or its result is to come; of what latched none comes soon."""
        return self._state not in LATCHED and bool(self._seat.status()["routine"]["busy"])


def _hold_s(technique: Mapping[str, Any]) -> float:
    """How long stage 2 is to be held, about."""
    ms = (
        technique["ms"]
        if technique["ms"] is not None
        else 1000 * technique["mas"] / technique["ma"]
    )
    return round(float(ms) / 1000, 1)
