"""What was seen of a scenario, and whether it is what the scenario expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from hal.now import since
from hal.types import ShotKind
from rig.scenario import ExpectSection


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamSeen:
    """A beam by the simulator's own clock and integral."""

    on_us: int
    off_us: int | None
    gone_us: int | None  # HV below 10 % for good
    mas: float


@dataclass(slots=True, kw_only=True)
class Seen:
    """`lines` are the unit's trace as dictionaries; actions and beams carry the world's stamps."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    beams: list[BeamSeen] = field(default_factory=list)
    actions: list[tuple[int, str]] = field(default_factory=list)
    image_count: int = 0
    incomplete_count: int = 0
    same_clock: bool = True  # the unit's times and the world's are one (model rung)
    kind: ShotKind = ShotKind.IMAGING  # of the shot that was programmed

    def states(self) -> list[str]:
        return [line["to"] for line in self.of("state")]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["kind"] == kind]

    def faults(self) -> list[str]:
        return [code for line in self.of("state") for code in line.get("faults", ())]

    def action_us(self, verb: str) -> int | None:
        return next((t_us for t_us, done in self.actions if done == verb), None)


@dataclass(frozen=True, slots=True)
class Skip:
    """An expectation that can't be judged on this rung: which, and why."""

    text: str


Finding = str | Skip  # a problem, or what was not judged


def problems(expect: ExpectSection, seen: Seen) -> list[str]:
    """Empty: as expected. Each problem says what was expected and what was seen."""
    return [found for found in _findings(expect, seen) if isinstance(found, str)]


def skipped(expect: ExpectSection, seen: Seen) -> list[str]:
    """What the scenario expects and nobody looked at, as "which: why"."""
    return [found.text for found in _findings(expect, seen) if isinstance(found, Skip)]


def _findings(expect: ExpectSection, seen: Seen) -> Iterator[Finding]:
    yield from map(Skip, expect.not_judged)
    for judge in _JUDGES:
        yield from judge(expect, seen)
    for property_of in PROPERTIES:
        yield from property_of(seen)


def _path(expect: ExpectSection, seen: Seen) -> Iterator[str]:
    if seen.states() != expect.path:
        yield f"path {' '.join(seen.states())}, expected {' '.join(expect.path)}"


def _fault(expect: ExpectSection, seen: Seen) -> Iterator[str]:
    first = next(iter(seen.faults()), None)
    if expect.fault is not None and first != expect.fault:
        yield f"fault {first}, expected {expect.fault}"
    if expect.fault is None and first is not None and "FAULT" not in expect.path:
        yield f"unexpected fault {first}"
    refused = [code for line in seen.of("refused") for code in line["because"]]
    if refused != expect.refused:
        yield f"refused because of {refused}, expected {expect.refused}"


def _report(expect: ExpectSection, seen: Seen) -> Iterator[str]:
    reports = seen.of("report")
    if expect.reason is None:
        return
    if len(reports) != 1:
        yield f"{len(reports)} exposure reports, expected 1"
        return
    report = reports[0]
    if report["reason"] != expect.reason:
        yield f"ended by {report['reason']}, expected {expect.reason}"
    if expect.dose_known is not None and (report["mas"] is not None) is not expect.dose_known:
        yield f"indicated mAs {report['mas']}, expected {'known' if expect.dose_known else 'None'}"


def _beams(expect: ExpectSection, seen: Seen) -> Iterator[str]:
    if len(seen.beams) != expect.beams:
        yield f"{len(seen.beams)} beams, expected {expect.beams}"
    on = [beam for beam in seen.beams if beam.off_us is None]
    if on:
        yield f"a beam that began at {on[0].on_us / 1000:.3f} ms never ended"
    if expect.true_mas is not None:
        yield from _true_mas(expect.true_mas, seen)
    if seen.image_count != expect.images:
        yield f"{seen.image_count} images saved, expected {expect.images}"
    if seen.incomplete_count != expect.incomplete:
        yield f"{seen.incomplete_count} incomplete exposures, expected {expect.incomplete}"


def _true_mas(wanted_mas: float, seen: Seen) -> Iterator[str]:
    """IEC 60601-2-54 203.6.4 (unverified clause): +-(10 % + 0.2 mAs), by the true integral."""
    mas = sum(beam.mas for beam in seen.beams)
    if not abs(mas - wanted_mas) <= 0.1 * wanted_mas + 0.2:
        yield f"true charge {mas:.4f} mAs, expected {wanted_mas} +-(10 % + 0.2)"


def _off(expect: ExpectSection, seen: Seen) -> Iterator[str]:
    if expect.off is None:
        return
    action_us, beam = seen.action_us(expect.off.after), next(iter(seen.beams), None)
    if action_us is None or beam is None or beam.gone_us is None:
        yield f"no beam end to compare with '{expect.off.after}'"
        return
    assert expect.off.ms is not None  # rig/scenario_on.py: a promise in this bench's numbers
    took_ms = (beam.gone_us - action_us) / 1000
    if not 0 <= took_ms <= expect.off.ms:
        yield (
            f"HV below 10 % {took_ms:.3f} ms after '{expect.off.after}', "
            f"expected at most {expect.off.ms:g} ms"
        )


def _react(expect: ExpectSection, seen: Seen) -> Iterator[Finding]:
    if expect.react is None:
        return
    if not seen.same_clock:
        yield Skip("react: the unit's trace and the room's actions have clocks of their own here")
        return
    action_us = seen.action_us(expect.react.after)
    entered = _after(seen.of("state"), expect.react.to, action_us)
    if action_us is None or entered is None:
        yield f"'{expect.react.after}' was not followed by {expect.react.to}"
        return
    took_ms = (entered - action_us) / 1000
    if not took_ms <= expect.react.at_most_ms:
        yield f"{expect.react.to} came {took_ms:.3f} ms after '{expect.react.after}'"


def _after(lines: Sequence[dict[str, Any]], state: str, from_us: int | None) -> int | None:
    times = [line["t_us"] for line in lines if line["to"] == state]
    return next((t_us for t_us in times if from_us is not None and since(t_us, from_us)), None)


# --- what must hold in every scenario, whatever it expects


def before_every_beam(seen: Seen) -> Iterator[str]:
    """SR-01, 09, 10, 52: in the scan that orders ON, and as far as the trace has shown it."""
    known: dict[str, Any] = {}
    for line in seen.lines:
        if line["kind"] == "out" and line.get("expose"):
            yield from _missing_before_beam(known, line["t_us"], seen.kind)
        known |= {f"{line['kind']}.{name}": value for name, value in line.items()}


def _missing_before_beam(known: dict[str, Any], t_us: int, kind: ShotKind) -> Iterator[str]:
    if kind is ShotKind.DARK:
        yield f"ON at {t_us / 1000:.3f} ms for a dark frame"
    needed = (
        ("state.to", "EXPOSE"),
        ("room.link_ok", True),
        ("room.stage_1", True),
        ("room.stage_2", True),
        ("room.door", True),
        ("room.estop", True),
        ("room.chain", True),
        ("room.key", True),
        ("generator.state", "ready"),
        ("generator.interlock_closed", True),
        ("generator.beam_on", False),
    )
    wrong = [name for name, value in needed if known.get(name) != value]
    armed = known.get("panel.state") == "integrating"
    if armed is not (kind is ShotKind.IMAGING):
        wrong.append("panel.state" if kind is ShotKind.IMAGING else "a panel that is not armed")
    if not known.get("recorder.intent_durable"):
        wrong.append("recorder.intent_durable")
    if wrong:
        yield f"ON at {t_us / 1000:.3f} ms without {', '.join(wrong)}"


def one_beam_a_press(seen: Seen) -> Iterator[str]:
    presses = sum(line.get("stage_2") is True for line in seen.of("room"))
    orders = sum(line.get("expose") is True for line in seen.of("out"))
    if orders > presses:
        yield f"{orders} beams were ordered by {presses} presses of stage 2"


_JUDGES = (_path, _fault, _report, _beams, _off, _react)
PROPERTIES = (before_every_beam, one_beam_a_press)
