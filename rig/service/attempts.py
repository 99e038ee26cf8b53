"""What became of each press and each beam, read from the lines of a trace.

An attempt is a press that was refused, a sequence that ended with or without a beam, or a fault
that latched by itself. The trace alone says it, so it is the same for a run that is over, one
that was killed, and one that goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rig.unit_states import IN_SEQUENCE, LATCHED

Lines = Sequence[Mapping[str, Any]]
TOLD_BY_REPORT = ("ready_held_too_long", "shot_changed")  # also "refused" in the same scan


@dataclass(slots=True, kw_only=True)
class Attempt:
    """`contacts`: since when each contact has been as it was at that moment: (closed, t_us)."""

    t_us: int
    why: str  # the row of the sequence that decided, as the trace names it
    from_state: str
    codes: tuple[str, ...] = ()
    report: Mapping[str, Any] | None = None  # None: no sequence, or one that left no report
    beam_on_us: int | None = None  # when the unit first heard that the beam was on
    exposed: bool = False  # EXPOSE was entered
    contacts: dict[str, tuple[bool, int]] = field(default_factory=dict)

    @property
    def shot_id(self) -> str:
        return str(self.report["shot"]) if self.report else ""


def attempts(lines: Lines) -> list[Attempt]:
    """In the order of their decisions: a dose may be reported after a later fault."""
    reader = _Reader()
    found = [one for line in lines for one in reader.take(line)]
    return sorted(found + reader.rest(), key=lambda one: one.t_us)


class _Reader:
    def __init__(self) -> None:
        self._state = ""
        self._t_us = 0
        self._contacts: dict[str, tuple[bool, int]] = {}
        self._exposed = False
        self._beam_on_us: int | None = None
        self._left: Attempt | None = None  # a sequence that has ended, its report still to come

    def take(self, line: Mapping[str, Any]) -> Iterator[Attempt]:
        self._t_us = line["t_us"]
        kind = line["kind"]
        if kind == "room":
            for name, closed in line.items():
                if isinstance(closed, bool):
                    self._contacts[name] = (closed, self._t_us)
        elif kind == "generator" and line.get("beam_on") and self._state == "EXPOSE":
            self._beam_on_us = self._beam_on_us or self._t_us
        elif kind == "state":
            yield from self._entered(line)
        elif kind == "refused" and not self._told(line):
            yield self._attempt("press_refused", "STANDBY", line["because"])
        elif kind == "report":
            yield self._reported(line)
        elif kind == "fault":
            yield self._attempt("unit_stopped", self._state, line["faults"])

    def _entered(self, line: Mapping[str, Any]) -> Iterator[Attempt]:
        before, self._state = self._state, line["to"]
        if self._state == "PREP":
            self._exposed, self._beam_on_us = False, None
        if self._state == "EXPOSE":
            self._exposed = True
        ended = before in IN_SEQUENCE and self._state not in IN_SEQUENCE
        if (ended and before != "READOUT") or (before == "EXPOSE" and self._state == "READOUT"):
            self._left = self._attempt(line["why"], before, line.get("faults", ()))
        elif self._state in LATCHED and before != self._state and line.get("faults"):
            yield self._attempt(line["why"], before, line["faults"])

    def _told(self, line: Mapping[str, Any]) -> bool:
        left = self._left
        return left is not None and left.t_us == line["t_us"] and left.why in TOLD_BY_REPORT

    def _reported(self, line: Mapping[str, Any]) -> Attempt:
        attempt, self._left = self._left, None
        if attempt is None:  # a dark frame has no EXPOSE
            attempt = self._attempt("dark_frame", self._state, ())
        attempt.report = line
        return attempt

    def rest(self) -> list[Attempt]:
        """What the trace ends in the middle of: the unit died there, or goes on."""
        if self._left is not None:
            return [self._left]
        if self._state in IN_SEQUENCE:
            return [self._attempt("trace_ends", self._state, ())]
        return []

    def _attempt(self, why: str, from_state: str, codes: Sequence[str]) -> Attempt:
        return Attempt(
            t_us=self._t_us, why=why, from_state=from_state, codes=tuple(codes),
            beam_on_us=self._beam_on_us, exposed=self._exposed, contacts=dict(self._contacts),
        )  # fmt: skip
