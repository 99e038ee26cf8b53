"""One exposure with a fresh unit: start it, follow it, end it, and say how it went.

The person at the handswitch decides; this only programmes the shot, watches, and keeps
the record. Whatever happens, the unit ends the beam in the ordinary way first.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hal.types import Shot
from rig.exit_codes import DEVICE, DONE, ENDED, REFUSED
from rig.hand import Hand
from rig.session import Session
from rig.unit_states import IN_SEQUENCE, LATCHED

STEP_S = 0.02
INHIBITS_EVERY_S = 0.25
INHIBITS_LAST_S = 1.0  # samples of the first scans may still be missing
SILENT_S = 2.0  # without a line: the unit is asked whether it lives (READY alone may last 15 s)
SETTLE_S = 5.0  # after a fault in the beam: dose and frame are still on their way
IN_BEAM = frozenset({"EXPOSE", "READOUT"})
WAITING = LATCHED | {"STANDBY"}
END_REASON = {"planned end": DONE, "handswitch released": ENDED, "stop requested": ENDED}

# No beam, and not because a device failed: the unit refused for safety.
FOR_SAFETY = frozenset({
    "DOOR_OPEN", "ESTOP", "CHAIN_OPEN", "KEY_OFF", "INTERLOCK_OPEN", "HANDSWITCH_STUCK",
    "HANDSWITCH_CLOSED", "AEC_LOCKED", "LAMP_FAILED", "INTENT_NOT_DURABLE", "DISK",
    "SID_WRONG", "FIELD_OFF_PANEL",
})  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """What was seen. Faults and inhibits are `{"code", "text", "action"}`."""

    state: str = "BOOT"
    faults: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # the unit refused the press
    inhibits: list[str] = field(default_factory=list)  # ... or would have
    report: dict[str, Any] | None = None
    saved: set[str] = field(default_factory=set)  # dose_saved, image_saved, image_failed
    interrupted: bool = False
    timed_out: bool = False
    was_standby: bool = False
    exposed: bool = False

    def take(self, line: dict[str, Any]) -> None:
        if line["kind"] == "state":
            self.state = line["to"]
            self.faults = list(line.get("faults", []))
            self.was_standby |= self.state == "STANDBY"
            self.exposed |= self.state == "EXPOSE"
        elif line["kind"] == "refused":
            self.refused = list(line["because"])
        elif line["kind"] == "report":
            self.report = line
        elif line["kind"] == "recorder":
            self.saved |= {n for n in ("dose_saved", "image_saved", "image_failed") if line.get(n)}

    @property
    def over(self) -> bool:
        """Back in STANDBY after an attempt, or latched."""
        ended = self.report is not None or bool(self.refused)
        return self.state in LATCHED or (ended and self.state == "STANDBY")

    @property
    def waits(self) -> bool:
        """For a person: a press, a cure, or the release of a switch held since the start."""
        held = self.state == "RELEASE_WAIT" and not self.was_standby
        return held or self.state in WAITING

    @property
    def settled(self) -> bool:
        """After a fault in the beam: nothing is on its way any more."""
        if self.report is None:
            return not self.exposed  # its end is not proved yet
        if not self.report["beam"]:
            return True
        has_image = bool(self.saved & {"image_saved", "image_failed"})
        return "dose_saved" in self.saved and has_image

    @property
    def told(self) -> list[str]:
        """Codes for people: what latched, else what refused the press, else how the beam ended."""
        ended_by = self.report["fault"] if self.report is not None else None
        return self.faults or self.refused or self.inhibits or ([ended_by] if ended_by else [])

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return ENDED
        if self.report is not None and self.report["beam"]:
            return DEVICE if self.faults else END_REASON.get(self.report["reason"], DEVICE)
        return self._without_beam()

    def _without_beam(self) -> int:
        fault = self.report["fault"] if self.report is not None else next(iter(self.faults), None)
        if fault is not None:
            return REFUSED if fault in FOR_SAFETY else DEVICE
        if self.report is not None and self.report["reason"] == "generator refused":
            return DEVICE
        if self.faults:
            return DEVICE
        return REFUSED if self.refused or self.inhibits else ENDED


class Exposure:
    """`say`: a sentence for the person; `show`: every line of the trace."""

    def __init__(
        self,
        session: Session,
        shot: Shot,
        hand: Hand,
        *,
        wait_s: float,
        patient: bool,
        say: Callable[[str], None] = lambda text: None,
        show: Callable[[dict[str, Any]], None] = lambda line: None,
    ) -> None:
        """`patient`: an inhibit is told and waited for; else it ends the attempt at once."""
        self._session, self._shot, self._hand = session, shot, hand
        self._wait_s, self._patient = wait_s, patient
        self._say, self._show = say, show
        self._taken_count = 0  # lines of the session
        self._look_s = 0.0
        self._heard_s = 0.0
        self._inhibited_since_s: float | None = None
        self.outcome = Outcome()

    def make(self) -> Outcome:
        """Raises DeviceError or Refused when a process ends by itself; all is ended then, too."""
        try:
            self._session.start()
            if self._session.heat.doubt:
                self._say(self._session.heat.doubt)
            self._session.program(self._shot)
            self._follow()
        except KeyboardInterrupt:
            self.outcome.interrupted = True
            with uninterrupted():
                self._stop()
        finally:
            with uninterrupted():
                self._hand.let_go()
                self._session.end()
            self._take_the_rest()
        return self.outcome

    def _stop(self) -> None:
        """The ordinary end of a beam, and time for its dose and frame to be saved."""
        self._say("ending the beam and saving what was recorded")
        if not self._session.bus_endpoint:
            return  # it had not begun
        self._session.ask("stop")
        end_s = time.monotonic() + SETTLE_S
        while self._busy() and time.monotonic() < end_s:
            self._step()

    def _busy(self) -> bool:
        return self.outcome.state in IN_SEQUENCE or not self.outcome.settled

    def _take_the_rest(self) -> None:
        for line in self._session.lines[self._taken_count :]:
            self.outcome.take(line)
            self._show(line)

    def _follow(self) -> None:
        deadline_s = time.monotonic() + self._wait_s
        self._heard_s = time.monotonic()
        while not self._over() and not self._hopeless():
            self._step()
            if self.outcome.waits and time.monotonic() > deadline_s:
                self.outcome.timed_out = True
                return
        end_s = time.monotonic() + SETTLE_S
        while not self.outcome.settled and time.monotonic() < end_s:
            self._step()

    def _over(self) -> bool:
        """A person may cure a fault that came before any press: it is told and waited for."""
        outcome = self.outcome
        curable = self._patient and outcome.was_standby and outcome.report is None
        return outcome.over and not (curable and outcome.state in LATCHED)

    def _step(self) -> None:
        """Raises DeviceError, too, when the unit neither says nor answers anything."""
        self._session.check(in_beam=self.outcome.state in IN_BEAM)
        if time.monotonic() - self._heard_s > SILENT_S:
            self._session.ask("status")
            self._heard_s = time.monotonic()
        for line in self._session.news(STEP_S):
            self._heard_s = time.monotonic()
            self._taken_count += 1
            self.outcome.take(line)
            self._show(line)
            if line["kind"] == "state":
                self._entered(line["to"])

    def _entered(self, state: str) -> None:
        if state == "STANDBY" and self.outcome.over:
            return
        if state in LATCHED:
            self._say(f"{', '.join(self.outcome.faults)}: cure it, then `dxrig reset`")
        if state == "STANDBY":
            self._look_for_inhibits()
            if self.outcome.inhibits:
                return  # the hand waits for the way to be free
        self._hand.entered(state)

    def _hopeless(self) -> bool:
        """In STANDBY and still inhibited: nobody needs to press to know."""
        if self.outcome.state != "STANDBY" or not self.outcome.inhibits:
            return False
        if time.monotonic() >= self._look_s:
            self._look_for_inhibits()
            if not self.outcome.inhibits:
                self._hand.entered("STANDBY")
                return False
        since_s = self._inhibited_since_s or time.monotonic()
        return not self._patient and time.monotonic() - since_s > INHIBITS_LAST_S

    def _look_for_inhibits(self) -> None:
        self._look_s = time.monotonic() + INHIBITS_EVERY_S
        told = self._session.ask("status").get("inhibits", [])
        codes = [one["code"] for one in told]
        if self._patient and codes != self.outcome.inhibits:
            for one in told:
                self._say(f"a press would be refused: {one['text']} {one['action']}")
        if not codes:
            self._inhibited_since_s = None
        elif self._inhibited_since_s is None:
            self._inhibited_since_s = time.monotonic()
        self.outcome.inhibits = codes


@contextmanager
def uninterrupted() -> Iterator[None]:
    """The end takes a moment and is bounded: a second Ctrl-C does not cut the record short."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    try:
        before = [(number, signal.signal(number, signal.SIG_IGN)) for number in numbers]
    except ValueError:  # not in the main thread
        before = []
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
