"""Outcomes as JUnit's XML in the form xunit2, which CI services read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from rig.exit_codes import UsageError
from rig.outcomes import Outcome

Unfinished = tuple[str, str]
"""(bench, scenario)"""

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0


def write_junit(
    path: Path, rung: str, outcomes: Sequence[Outcome], *, unfinished: Sequence[Unfinished] = ()
) -> None:
    """`unfinished`: scenarios that an interruption kept from ending; an error each.

    A scenario that its bench can't show is a skipped case; what a rung can't judge of one is a
    skipped case of its own, beside the scenario's.
    """
    cases = [case for outcome in outcomes for case in _cases(rung, outcome)]
    cases += [_interrupted(_class(rung, bench), name) for bench, name in unfinished]
    suite = ET.Element(
        "testsuite",
        name=f"dxrig {rung}",
        tests=str(len(cases)),
        failures=_count(cases, "failure"),
        errors=_count(cases, "error"),
        skipped=_count(cases, "skipped"),
        time=f"{sum(outcome.seconds for outcome in outcomes):.3f}",
    )
    suite.extend(cases)
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ET.ElementTree(suites).write(path, encoding="utf-8", xml_declaration=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"{path}: the JUnit report can't be written: {why}") from error


def _count(cases: Sequence[ET.Element], what: str) -> str:
    return str(sum(case.find(what) is not None for case in cases))


def _class(rung: str, bench: str) -> str:
    return f"dxrig.{rung}.{bench}"


def _cases(rung: str, outcome: Outcome) -> Iterator[ET.Element]:
    yield _case(rung, outcome)
    for text in outcome.skipped:
        what, _, why = text.partition(": ")
        case = _named(_class(rung, outcome.bench), f"{outcome.name}: {what}", 0.0)
        ET.SubElement(case, "skipped", message=_clean(why))
        yield case


def _case(rung: str, outcome: Outcome) -> ET.Element:
    case = _named(_class(rung, outcome.bench), outcome.name, outcome.seconds)
    properties = ET.SubElement(case, "properties")
    facts = {"title": outcome.title, "trace_sha256": outcome.trace_sha256 or ""}
    for name, value in (*facts.items(), *(("covers", word) for word in outcome.covers)):
        ET.SubElement(properties, "property", name=name, value=_clean(value))
    if outcome.error is not None:
        ET.SubElement(case, "error", message=_clean(outcome.error))
    elif outcome.not_run is not None:
        ET.SubElement(case, "skipped", message=_clean(outcome.not_run))
    elif outcome.problems:
        failure = ET.SubElement(case, "failure", message=_clean(outcome.problems[0]))
        failure.text = _clean("\n".join(outcome.problems))
    return case


def _interrupted(class_name: str, name: str) -> ET.Element:
    case = _named(class_name, name, 0.0)
    ET.SubElement(case, "error", message="interrupted before its end")
    return case


def _named(class_name: str, name: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", classname=class_name, name=name, time=f"{seconds:.3f}")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
