"""What must hold in every run of the matrix, whatever was injected."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from firmware_py.bounds import RELAY_DROP_US, SAFETY_RELAY_DROP_US
from hal.now import NEVER_US, since
from rig import judge
from rig.judge import BeamSeen
from rig.matrix.bounds import Parts
from rig.matrix.seen import Aftermath

RELATIVE, ABSOLUTE_MAS = 0.1, 0.2  # IEC 60601-2-54 203.6.4 (unverified clause)


def broken(seen: Aftermath, parts: Parts, *, stray: bool) -> Iterator[str]:
    """`stray`: the injection itself is a beam that nobody commanded."""
    for property_of in judge.PROPERTIES:
        yield from property_of(seen.as_seen())
    yield from _on_outside_expose(seen)
    if not stray:
        yield from _beams_outside_the_chain(seen, parts)
    yield from _never_ended(seen)
    yield from _reports(seen, dose=not stray)


def _on_outside_expose(seen: Aftermath) -> Iterator[str]:
    for t_us in seen.on_sent_us:
        state = _state_at(seen, t_us)
        if state != "EXPOSE":
            yield f"ON was sent at {t_us / 1000:.3f} ms, in {state}"


def _state_at(seen: Aftermath, t_us: int) -> str:
    """After the scan of this time."""
    entered = [line["to"] for line in seen.of("state") if since(t_us, line["t_us"])]
    return str(entered[-1]) if entered else ""


# --- the chain, by its own record


def _beams_outside_the_chain(seen: Aftermath, parts: Parts) -> Iterator[str]:
    """Every beam lies in a held stage 2 and a closed pair, but for the drop time."""
    drop_us = SAFETY_RELAY_DROP_US + RELAY_DROP_US + parts.generator.kv_fall_us
    for beam in seen.beams:
        gone_us = NEVER_US if beam.gone_us is None else beam.gone_us
        for net in ("stage_2", "interlock_pair"):
            opened_us = _open_us(seen, net, beam)
            if opened_us is not None and not since(opened_us + drop_us, gone_us):
                yield (
                    f"a beam from {beam.on_us / 1000:.3f} ms outlasted its {net}, "
                    f"open at {opened_us / 1000:.3f} ms"
                )


def _open_us(seen: Aftermath, net: str, beam: BeamSeen) -> int | None:
    """When the net was first open in the beam; None = it was closed throughout."""
    closed = False
    for t_us, name, is_closed in seen.nets:
        if name != net:
            continue
        if since(beam.on_us, t_us):
            closed = is_closed
        elif not is_closed:
            return t_us
    return None if closed else beam.on_us


def _never_ended(seen: Aftermath) -> Iterator[str]:
    for beam in seen.beams:
        if beam.gone_us is None:
            yield f"the beam of {beam.on_us / 1000:.3f} ms never ended"
    if not seen.settled:
        yield f"no settled end: the unit hangs in {seen.ended_in or 'nothing'}"
    if seen.ended_in not in ("STANDBY", "FAULT", "LOCKED", ""):
        yield f"ended in {seen.ended_in}"


# --- the record


def _reports(seen: Aftermath, *, dose: bool) -> Iterator[str]:
    """One report for each frozen shot of a unit that lived on; the dose covers the truth."""
    for frozen, until_us in _frozen(seen):
        from_us = frozen["t_us"]
        reports = [line for line in seen.of("report") if _between(line, from_us, until_us)]
        if not reports and _died(seen, from_us, until_us):
            continue  # the next life lists it as incomplete: see below
        if len(reports) != 1:
            yield f"{len(reports)} reports of the shot of {from_us / 1000:.3f} ms"
            continue
        if dose:
            yield from _dose(seen, reports[0], from_us, until_us)
    yield from _lost(seen)


def _frozen(seen: Aftermath) -> Iterator[tuple[dict[str, Any], int]]:
    """Each entry of PREP, and the next one."""
    entered = [line for line in seen.of("state") if line["to"] == "PREP"]
    for line, later in zip_longest(entered, entered[1:]):
        yield line, NEVER_US if later is None else later["t_us"]


def _between(line: dict[str, Any], from_us: int, until_us: int) -> bool:
    return since(line["t_us"], from_us) and not since(line["t_us"], until_us)


def _died(seen: Aftermath, from_us: int, until_us: int) -> bool:
    if seen.ended_in == "":
        return True
    starts_us = seen.lives_from_us
    return any(since(life_us, from_us) and since(until_us, life_us) for life_us in starts_us)


def _dose(seen: Aftermath, report: dict[str, Any], from_us: int, until_us: int) -> Iterator[str]:
    beams = [b for b in seen.beams if since(b.on_us, from_us) and not since(b.on_us, until_us)]
    truth_mas = sum(beam.mas for beam in beams)
    if report["mas"] is None and not report["maximum_mas"] >= truth_mas:
        yield f"at most {report['maximum_mas']:.4f} mAs reported, {truth_mas:.4f} were irradiated"
    if report["mas"] is None:
        return
    width_mas = RELATIVE * truth_mas + ABSOLUTE_MAS
    if not abs(report["mas"] - truth_mas) <= width_mas:
        yield f"{report['mas']:.4f} mAs reported, {truth_mas:.4f} were irradiated"
    if beams and not report["beam"]:
        yield f"no beam reported, {truth_mas:.4f} mAs were irradiated"


def _lost(seen: Aftermath) -> Iterator[str]:
    """What was irradiated has an image, or is named as incomplete."""
    named = set(seen.incomplete)
    named |= {line["image_saved"] for line in seen.of("recorder") if line.get("image_saved")}
    for report in seen.of("report"):
        if report["beam"] and report["shot"] not in named:
            yield f"the image of {report['shot']} is neither saved nor named as missing"
