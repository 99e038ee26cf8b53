"""What was seen after an injection: what was told and when, which beams, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hal.now import NEVER_US, since
from hal.types import ShotKind
from rig.judge import BeamSeen, Seen
from rig.matrix.person import Person
from rig.matrix.places import Place
from rig.matrix.room import Room
from rig.run_folder import as_dict
from rig.run_model import beams_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A code that people see. `source`: the state that the unit left with it; `from_us`: since."""

    t_us: int
    code: str
    source: str
    from_us: int
    latched: bool


@dataclass(slots=True, kw_only=True)
class Aftermath:
    """`left_us`: the scan in which the unit left EXPOSE, when it was there at the injection."""

    place: Place
    injected_us: int
    settled: bool
    ended_in: str
    told: list[Told]
    beams: list[BeamSeen]
    left_us: int | None
    pressed_us: int | None
    cured_us: int | None
    lines: list[dict[str, Any]]
    on_sent_us: list[int]
    nets: list[tuple[int, str, bool]]
    looked: list[tuple[str, str, str]]
    incomplete: list[str]
    lives_from_us: list[int] = field(default_factory=list)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]

    def after(self, kind: str) -> list[dict[str, Any]]:
        """Lines of this kind since the injection."""
        return [line for line in self.of(kind) if since(line["t_us"], self.injected_us)]

    def as_seen(self) -> Seen:
        """As the scenarios' judge takes it."""
        return Seen(lines=self.lines, beams=self.beams, kind=ShotKind.IMAGING)

    def beam_then(self) -> BeamSeen | None:
        """The beam that was on when the injection came."""
        for beam in self.beams:
            off_us = NEVER_US if beam.off_us is None else beam.off_us
            if since(self.injected_us, beam.on_us) and since(off_us, self.injected_us):
                return beam
        return None

    def beams_after(self) -> list[BeamSeen]:
        """Those that began while the cause was there."""
        cured_us = NEVER_US if self.cured_us is None else self.cured_us
        after = [beam for beam in self.beams if since(beam.on_us, self.injected_us)]
        return [beam for beam in after if not since(beam.on_us, cured_us)]


def aftermath(
    place: Place, injected_us: int, room: Room, person: Person, *, settled: bool
) -> Aftermath:
    lines = [as_dict(line) for line in room.lines]
    return Aftermath(
        place=place,
        injected_us=injected_us,
        settled=settled,
        ended_in=room.state,
        told=_told(lines, injected_us),
        beams=beams_of(room.world),
        left_us=_left_us(lines, injected_us) if place.state == "EXPOSE" else None,
        pressed_us=person.pressed_us,
        cured_us=person.cured_us,
        lines=lines,
        on_sent_us=room.on_sent_us,
        nets=list(room.world.wiring.log),
        looked=person.looked,
        incomplete=[exposure.shot_id for exposure in room.store.journal.incomplete()],
        lives_from_us=[life.from_us for life in room.lives],
    )


def _told(lines: list[dict[str, Any]], injected_us: int) -> list[Told]:
    """Newly latched faults and refusals since the injection, in order."""
    found: list[Told] = []
    entry: dict[str, Any] = {"t_us": 0, "to": ""}
    left = entry
    known: set[str] = set()
    for line in lines:
        if line["kind"] == "state":
            left, entry = entry, line
            codes = [code for code in line.get("faults", ()) if code not in known]
            known = set(line.get("faults", ()))
        elif line["kind"] == "refused":
            codes = list(line["because"])
        else:
            continue
        if since(line["t_us"], injected_us):
            latched = line["kind"] == "state"
            found += [_told_by(line["t_us"], code, left, latched=latched) for code in codes]
    return found


def _told_by(t_us: int, code: str, left: dict[str, Any], *, latched: bool) -> Told:
    return Told(t_us=t_us, code=code, source=left["to"], from_us=left["t_us"], latched=latched)


def _left_us(lines: list[dict[str, Any]], injected_us: int) -> int | None:
    return next(
        (
            line["t_us"]
            for line in lines
            if line["kind"] == "state"
            and line["from"] == "EXPOSE"
            and since(line["t_us"], injected_us)
        ),
        None,
    )
