"""One cell: an injection in a state, what the unit makes of it, and whether that is right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from hal.now import latest_us, since
from hal.types import EndReason, Technique
from rig.injections import DEAD, ENDED, HELD, NONE, NOTHING, OUTCOMES, InjectionSection
from rig.matrix.bounds import Parts, bounded
from rig.matrix.cures import cure_of
from rig.matrix.general import broken
from rig.matrix.person import Person
from rig.matrix.places import Place
from rig.matrix.room import Room
from rig.matrix.seen import Aftermath, Told, aftermath

DEADLINE_US = 90_000_000  # of virtual time: every deadline of the unit fits in, twice
REST_MS = 100.0  # after the person has nothing more to do
DEAD_MS = 3_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """How long one class of reaction took, beside this bench's bound and the goal."""

    letter: str
    took_us: int
    bound_us: int
    goal_us: int | None = None

    @property
    def share(self) -> float:
        return self.took_us / self.bound_us


@dataclass(slots=True, kw_only=True)
class Result:
    """`told`: the first code, or an outcome; `left_scans`: from the injection on."""

    id: str
    state: str
    moment: str
    told: str
    expected: str
    beams: int
    left_scans: int | None = None
    took: list[Took] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)  # wrong, and known: a defect not yet mended

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Result:
        return cls(**data | {"took": [Took(**took) for took in data["took"]]})


def run_cell(
    row: InjectionSection, place: Place, room: Room, person: Person, parts: Parts
) -> Result:
    """The room is used up by it: whoever wants to go on works on a copy (a forked process)."""
    injected_us = room.world.t_us
    cure = cure_of(row, room)
    person.cures.append(cure)
    person.clears = True
    for step in row.steps(place.state):
        if step.after_ms:
            room.after(step.after_ms, step.do, step.args)
        else:
            room.act(step.do, step.args)
    last_ms = row.last_ms(place.state)
    room.at(last_ms, lambda: _go_on(room, person))
    settled = _settled(row.over_ms(place.state), room, person)
    seen = aftermath(place, injected_us, room, person, settled=settled)
    return judged(row, seen, parts, room.technique)


def _go_on(room: Room, person: Person) -> None:
    """Where the person waited for nothing but this; elsewhere the hand is at work already."""
    if room.state in ("RELEASE_WAIT", "FAULT", "LOCKED"):
        person.saw(room.state)


def _settled(over_ms: float, room: Room, person: Person) -> bool:
    room.pass_ms(over_ms + 1)
    if room.state == "":
        room.pass_ms(DEAD_MS)
        return True
    settled = room.run_until(lambda: person.idle, DEADLINE_US)
    room.pass_ms(REST_MS)
    return settled


# --- judged


def judged(row: InjectionSection, seen: Aftermath, parts: Parts, technique: Technique) -> Result:
    place = seen.place
    result = Result(
        id=row.id,
        state=place.state,
        moment=place.moment,
        told=outcome(seen),
        expected=row.expected(place.state, place.moment),
        beams=len(seen.beams_after()),
    )
    if seen.left_us is not None:
        result.left_scans = (seen.left_us - seen.injected_us) // parts.scan_us
    result.took = list(_took(row, seen, parts, technique))
    result.wrong = [
        *_told_wrong(row, seen, result),
        *_prevented(row, seen, result),
        *_ended(row, seen, result),
        *_too_slow(result),
        *_let_go(row, seen, result),
        *broken(seen, parts, stray=row.stray),
    ]
    defect = row.defect_of(place.state, place.moment)
    if defect and result.wrong:
        result.open, result.wrong = result.wrong, []
    elif defect:
        result.wrong = [f"is as its row says: take it out of defect_in ({defect})"]
    return result


def outcome(seen: Aftermath) -> str:
    if seen.told:
        return seen.told[0].code
    if seen.ended_in == "":
        return DEAD
    held = any(after in ("FAULT", "LOCKED") for _, _, after in seen.looked)
    if held or seen.ended_in in ("FAULT", "LOCKED"):
        return HELD
    reasons = [report["reason"] for report in seen.after("report")]
    if not reasons:
        return NOTHING
    return NONE if set(reasons) == {EndReason.PLANNED.value} else ENDED


def _told_wrong(row: InjectionSection, seen: Aftermath, result: Result) -> Iterator[str]:
    if result.told != result.expected:
        others = [told.code for told in seen.told[1:]]
        also = f" (then {', '.join(others)})" if others else ""
        yield f"told {result.told}{also}, expected {result.expected}"


def _prevented(row: InjectionSection, seen: Aftermath, result: Result) -> Iterator[str]:
    """P: no beam begins any more, in every state but the one in which E counts."""
    state = seen.place.state
    if "P" not in row.classes or result.expected == NONE or state == "EXPOSE":
        return
    if state in row.beam_in:
        return
    if result.beams and not row.stray:
        yield f"{result.beams} beams after the injection, expected none"


def _ended(row: InjectionSection, seen: Aftermath, result: Result) -> Iterator[str]:
    if _ends_here(row, seen, result) and seen.beam_then() is None:
        yield "no beam was on when the injection came: E can't be judged"


def _ends_here(row: InjectionSection, seen: Aftermath, result: Result) -> bool:
    return "E" in row.classes and seen.place.state == "EXPOSE" and result.expected != NONE


def _too_slow(result: Result) -> Iterator[str]:
    for took in result.took:
        if not 0 <= took.took_us <= took.bound_us:  # us-compare: two durations
            goal = "" if took.goal_us is None else f", goal {took.goal_us / 1000:g} ms"
            yield (
                f"class {took.letter} took {took.took_us / 1000:.3f} ms, "
                f"bound {took.bound_us / 1000:g} ms{goal}"
            )


def _let_go(row: InjectionSection, seen: Aftermath, result: Result) -> Iterator[str]:
    """L: the fault outlasts its cause, and goes by reset (LOCKED: by key and reset)."""
    if "L" not in row.classes:
        return
    latched = [told for told in seen.told if told.latched]
    if result.expected not in OUTCOMES and not latched and not _refused(seen):
        yield "nothing was latched"
    for name, cause_gone, _ in seen.looked:
        if cause_gone not in (name, "LOCKED"):
            yield f"{name} healed by itself when the cause was gone: {cause_gone}"
    locked = seen.looked and seen.looked[-1][:2] == ("FAULT", "LOCKED")  # it takes the key now
    if seen.looked and seen.looked[-1][2] in ("FAULT", "LOCKED") and not locked:
        yield f"{seen.looked[-1][0]} did not go by reset"


def _refused(seen: Aftermath) -> bool:
    """An inhibit keeps nothing latched: nothing has begun that could go on."""
    return bool(seen.told) and not seen.told[0].latched


# --- how long it took


def _took(
    row: InjectionSection, seen: Aftermath, parts: Parts, technique: Technique
) -> Iterator[Took]:
    expected = row.expected(seen.place.state, seen.place.moment)
    beam = seen.beam_then()
    if "E" in row.classes and beam and beam.gone_us and row.bound and expected != NONE:
        bound = bounded(row.bound, parts, technique)
        took_us = beam.gone_us - seen.injected_us
        yield Took(letter="E", took_us=took_us, bound_us=bound.bound_us, goal_us=bound.goal_us)
    if seen.told and expected != NONE:
        yield from _told_took(row, seen, parts, technique)
    if "R" in row.classes:
        yield from _saved(seen, parts)


def _told_took(
    row: InjectionSection, seen: Aftermath, parts: Parts, technique: Technique
) -> Iterator[Took]:
    """From what people did or what went wrong, whichever came last, to the code."""
    first = seen.told[0]
    from_us = latest_us(_caused_us(row, seen, first), first.from_us)
    if first.source == "STANDBY" and not first.latched and seen.pressed_us is not None:
        from_us = latest_us(seen.pressed_us, from_us)
    from_us = min(from_us, first.t_us)  # told at once, while a later step was still to come
    bound_us = _deadline_us(first, seen.place, row, parts, technique)
    for letter in "PTL":
        if letter in row.classes and not (letter == "P" and seen.place.state == "EXPOSE"):
            yield Took(letter=letter, took_us=first.t_us - from_us, bound_us=bound_us)


def _caused_us(row: InjectionSection, seen: Aftermath, first: Told) -> int:
    """The last step of the injection; its first one where the code came before the last."""
    last_us = seen.injected_us + round(row.last_ms(seen.place.state) * 1000)
    return last_us if since(first.t_us, last_us) else seen.injected_us


def _deadline_us(
    told: Told, place: Place, row: InjectionSection, parts: Parts, technique: Technique
) -> int:
    """Of the state that was left; a refusal needs one look at the room."""
    limits = parts.limits
    if told.source == "STANDBY" and not told.latched:
        return parts.room.sample_age_us + parts.scan_us
    own_us = {
        "BOOT": limits.boot_us,
        "SELF_TEST": limits.self_test_us,
        "PREP": limits.prep_us,
        "READY": limits.ready_us,
        "INTERLOCK_CHECK": limits.interlock_check_us,
        "READOUT": limits.readout_us,
        "RELEASE_WAIT": limits.release_us,
    }.get(told.source)
    if own_us is None:  # EXPOSE by the row's own bound; STANDBY, FAULT, LOCKED by looking
        own = row.told_bound or row.bound
        bound = own if own is not None and place.state == "EXPOSE" else "back-up time"
        own_us = bounded(bound, parts, technique).bound_us
    return own_us + parts.scan_us


def _saved(seen: Aftermath, parts: Parts) -> Iterator[Took]:
    """R: the end of the first beam -> its dose is saved."""
    beam = next((b for b in seen.beams if b.gone_us and since(b.gone_us, seen.injected_us)), None)
    if beam is None or beam.gone_us is None:
        return
    saved_us = next(
        (
            line["t_us"]
            for line in seen.of("recorder")
            if line.get("dose_saved") and since(line["t_us"], beam.on_us)
        ),
        None,
    )
    if saved_us is not None and since(saved_us, beam.gone_us):
        bound_us = parts.limits.readout_us + parts.limits.off_confirm_us
        yield Took(letter="R", took_us=saved_us - beam.gone_us, bound_us=bound_us)
