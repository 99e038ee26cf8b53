"""Hazard, requirement, test, result, commit: one table of what is held by which test."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rig.exit_codes import UsageError
from rig.requirements import (
    STATES,
    Requirement,
    Requirements,
    TestResult,
    gaps_of,
    unknown_ids,
)

PARTS = ("goal", "bench", "verify", "later", "source", "unverified", "missing", "reviewed")


@dataclass(frozen=True, slots=True)
class Results:
    tests: tuple[TestResult, ...] = ()
    commit: str | None = None
    whole_suite: bool = False


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
    """Everything that the JSON answer and the page show. Gaps only where tests ran."""
    items = [_item(item, results) for item in requirements.items]
    counts = Counter(item.state for item in requirements.items)
    return {
        "commit": results.commit,
        "whole_suite": results.whole_suite,
        "counts": {state: counts[state] for state in STATES},
        "hazards": [
            asdict(hazard) | {"requirements": _against(hazard.id, requirements.items)}
            for hazard in requirements.hazards
        ],
        "requirements": items,
        "unknown": unknown_ids(requirements, results.tests),
        "gaps": [gap for item in items for gap in item["gaps"]],
    }


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
    return next((word for word in ("failed", "passed", "skipped") if word in words), "not run")


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
