"""Hazard, requirement, test, result, commit: one table of what is held by which test."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hal.faults import FAULTS
from rig.bench_names import ROOT
from rig.exit_codes import UsageError
from rig.requirements import (
    STATES,
    Requirement,
    Requirements,
    TestResult,
    gaps_of,
    unknown_ids,
)
from rig.trace_scan import NOT_RUN, named

LATEST = ROOT / "build" / "requirements.json"  # `tools/dev.py test` writes it
PARTS = ("goal", "bench", "verify", "later", "source", "unverified", "missing", "reviewed")


@dataclass(frozen=True, slots=True)
class Results:
    tests: tuple[TestResult, ...] = ()
    commit: str | None = None
    whole_suite: bool = False


def latest_results() -> Results:
    """Of the newest run of the whole suite here; without one, which tests name what."""
    return load_results(LATEST) if LATEST.is_file() else Results(named())


def load_results(file: Path) -> Results:
    """What `pytest --requirements-json FILE` wrote."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        tests = tuple(
            TestResult(test["test"], tuple(test["ids"]), test["kind"], test["result"])
            for test in content["tests"]
        )
        return Results(tests, content["commit"], content["whole_suite"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file}: no results of `pytest --requirements-json FILE` ({error})"
        ) from None


def matrix(requirements: Requirements, results: Results) -> dict[str, Any]:
    """Everything that the JSON answer and the page show. Gaps only where tests ran.

    `verified`: every clause has its test, as far as the results say. `open`: the others.
    """
    items = [_item(item, results) for item in requirements.items]
    counts = Counter(item.state for item in requirements.items)
    unknown = unknown_ids(requirements, results.tests)
    orphans = orphans_of(requirements, results.tests)
    verified = [item["id"] for item in items if item["state"] == "met" and not item["gaps"]]
    return {
        "commit": results.commit,
        "whole_suite": results.whole_suite,
        "known": len(items),
        "verified": verified,
        "open": [item["id"] for item in items if item["id"] not in verified],
        "orphans": len(orphans),
        "unknown": len(unknown),
        "counts": {state: counts[state] for state in STATES},
        "hazards": [
            asdict(hazard) | {"requirements": _against(hazard.id, requirements.items)}
            for hazard in requirements.hazards
        ],
        "requirements": items,
        "gaps": [*unknown, *orphans, *(gap for item in items for gap in item["gaps"])],
    }


def orphans_of(requirements: Requirements, tests: Sequence[TestResult]) -> list[str]:
    """Links that lead nowhere: a hazard, a fault's requirement, or what is met and untested."""
    known = {item.id for item in requirements.items}
    named = {code for test in tests for code in test.ids}
    hazards = [h for h in requirements.hazards if not _against(h.id, requirements.items)]
    untested = [item for item in requirements.items if item.state == "met" and item.id not in named]
    return [
        *(f"{hazard.id}: no requirement is against it" for hazard in hazards),
        *(f"{f.code}: no requirement {f.sr}" for f in FAULTS.values() if f.sr not in known),
        *(f"{item.id}: no test names it" for item in untested if tests),
    ]


def _against(hazard: str, items: Sequence[Requirement]) -> list[str]:
    return [item.id for item in items if hazard in item.hazards]


def _item(item: Requirement, results: Results) -> dict[str, Any]:
    tests = [test for test in results.tests if item.id in test.ids]
    return {
        "id": item.id,
        "title": item.title,
        "text": item.text,
        "hazards": list(item.hazards),
        "state": item.state,
        **{part: item.values.get(part, "") for part in PARTS},
        "changed": item.changed,
        "tests": [{"test": t.test, "kind": t.kind, "result": t.result} for t in tests],
        "gaps": gaps_of(item, tests, whole=results.whole_suite),
    }


def outcome(item: dict[str, Any]) -> str:
    """One word for the tests of a requirement."""
    words = [test["result"] for test in item["tests"]]
    if not words:
        return "-"
    return next((word for word in ("failed", "passed", "skipped") if word in words), NOT_RUN)


def page(content: dict[str, Any], *, software: str) -> str:
    """One HTML file that asks nobody for anything."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("rig", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["outcome"] = outcome
    template = environment.get_template("trace_page.html.j2")
    by_id = {item["id"]: item for item in content["requirements"]}
    return template.render(trace=content, by_id=by_id, software=software)
