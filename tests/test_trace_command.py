"""`dxrig trace`: what is held by which test, as a table, JSON and a page; and reviews."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rig import requirements, trace_matrix
from rig.cli import main
from rig.requirements import TESTED, Hazard, Requirements, TestResult, load_requirements
from rig.trace_matrix import orphans_of
from rig.trace_scan import named

OURS = load_requirements()


def dxrig(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in arguments], prog_name="dxrig")


def ran(ids: Sequence[str], kind: str, outcome: str = "passed") -> dict[str, Any]:
    return {"test": f"tests/test_x.py::test_{kind}", "ids": ids, "kind": kind, "result": outcome}


@pytest.fixture
def everything() -> dict[str, Any]:
    """Results in which each requirement has what it asks for."""
    tests = [ran([item.id for item in OURS.items if kind in item.verify], kind) for kind in TESTED]
    return {"schema": 1, "commit": "abc1234", "whole_suite": True, "tests": tests}


def written(content: object, folder: Path) -> Path:
    file = folder / "results.json"
    file.write_text(json.dumps(content), encoding="utf-8")
    return file


def item_of(content: dict[str, Any], code: str) -> dict[str, Any]:
    (found,) = [item for item in content["requirements"] if item["id"] == code]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the newest run's results would lie."""
    monkeypatch.setattr(trace_matrix, "LATEST", tmp_path / "requirements.json")
    return tmp_path / "requirements.json"


@pytest.mark.usefixtures("never_run")
def test_without_results_it_says_what_is_met_in_part_and_open() -> None:
    done = dxrig("trace")
    assert done.exit_code == 0, done.output
    states = [item.state for item in OURS.items]
    counted = f"{states.count('met')} met, {states.count('part')} in part, "
    *rows, counts, hint = done.stdout.splitlines()
    assert counts == f"{counted}{states.count('open')} open"
    assert hint.startswith("No test was run: these are the tests that name each.")
    assert len(rows) == 61
    assert any(row.startswith("SR-41") and " not run " in row for row in rows)


@pytest.mark.usefixtures("never_run")
def test_known_verified_and_open_are_told_and_no_link_leads_nowhere() -> None:
    content = json.loads(dxrig("trace", "--json").stdout)
    assert (content["known"], content["orphans"], content["unknown"]) == (60, 0, 0)
    met = [item.id for item in OURS.items if item.state == "met"]
    assert content["verified"] == met
    assert sorted(content["verified"] + content["open"]) == sorted(item.id for item in OURS.items)


def test_the_newest_run_counts_when_none_is_named(
    never_run: Path, everything: dict[str, Any]
) -> None:
    never_run.write_text(json.dumps(everything), encoding="utf-8")
    done = dxrig("trace")
    assert done.exit_code == 0, done.output
    assert "Results of the whole suite at commit abc1234; this is " in done.stdout
    for test in everything["tests"]:
        test["result"] = "failed"
    never_run.write_text(json.dumps(everything), encoding="utf-8")
    content = json.loads(dxrig("trace", "--json").stdout)
    assert content["verified"] == []


def test_a_planted_orphan_of_each_sort_is_told() -> None:
    hazard = Hazard("H-99", "Nobody minds this one", "")
    without = [item for item in OURS.items if item.id != "SR-09"]
    planted = Requirements((*OURS.hazards, hazard), tuple(without))
    tests = [TestResult("tests/test_x.py::test_y", ("SR-02",), "model", "passed")]
    told = orphans_of(planted, tests)
    assert "H-99: no requirement is against it" in told
    assert "DOOR_OPEN: no requirement SR-09" in told
    assert "SR-08: no test names it" in told
    assert not any(text.startswith("SR-02") for text in told)


def test_the_tests_are_read_without_running_them(tmp_path: Path) -> None:
    text = """
import pytest
pytestmark = pytest.mark.req("SR-03")
CASES = [pytest.param(1, marks=pytest.mark.req("F06"))]

@pytest.mark.wire
@pytest.mark.req("SR-01", "SR-02")
def test_one() -> None:
    raise RuntimeError("not run")

def test_of_nothing() -> None: ...
"""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_planted.py").write_text(text, encoding="utf-8")
    (tmp_path / "rig" / "scenarios").mkdir(parents=True)
    (tmp_path / "rig" / "scenarios" / "one.toml").write_text('covers = ["SR-17"]\n', "utf-8")
    assert named(tmp_path) == (
        TestResult("tests/test_planted.py::test_one", ("SR-01", "SR-02"), "wire", "not run"),
        TestResult("tests/test_planted.py", ("SR-03", "F06"), "model", "not run"),
        TestResult("rig/scenarios/one.toml", ("SR-17",), "model", "not run"),
    )


def test_with_the_results_each_has_tests_kinds_and_the_commit(
    everything: dict[str, Any], tmp_path: Path
) -> None:
    done = dxrig("trace", "--results", written(everything, tmp_path), "--json")
    assert done.exit_code == 0, done.output
    content = json.loads(done.stdout)
    assert (content["schema"], content["commit"], content["gaps"]) == (1, "abc1234", [])
    release = item_of(content, "SR-17")
    assert [test["kind"] for test in release["tests"]] == ["model", "wire"]
    assert item_of(content, "SR-23")["missing"].startswith("a wire that carries the chambers' ramp")
    named = {code for hazard in content["hazards"] for code in hazard["requirements"]}
    assert named == {item.id for item in OURS.items}


def test_a_planted_gap_is_told_and_is_exit_code_1(
    everything: dict[str, Any], tmp_path: Path
) -> None:
    for test in everything["tests"]:
        test["ids"] = [code for code in test["ids"] if code != "SR-05"]
    done = dxrig("trace", "--results", written(everything, tmp_path))
    assert done.exit_code == 1
    assert done.stdout.splitlines()[-1] == "SR-05: no passing test of kind model"


def test_of_a_part_of_the_suite_no_gap_is_claimed(
    everything: dict[str, Any], tmp_path: Path
) -> None:
    everything |= {"whole_suite": False, "tests": []}
    assert dxrig("trace", "--results", written(everything, tmp_path)).exit_code == 0


def test_an_unknown_id_in_the_results_is_exit_code_1(
    everything: dict[str, Any], tmp_path: Path
) -> None:
    everything["tests"].append(ran(["SR-99"], "model"))
    done = dxrig("trace", "--results", written(everything, tmp_path))
    assert done.exit_code == 1
    assert "no requirement SR-99" in done.stdout


@pytest.mark.parametrize("content", [[], {"tests": [{}]}, "text"])
def test_a_file_that_holds_no_results_is_told(content: object, tmp_path: Path) -> None:
    done = dxrig("trace", "--results", written(content, tmp_path))
    assert done.exit_code == 2
    assert "no results of `pytest --requirements-json FILE`" in done.stderr


def test_the_page_leads_from_hazard_to_result_and_asks_nobody(
    everything: dict[str, Any], tmp_path: Path
) -> None:
    everything["tests"].append(ran(["SR-05"], "<script>"))
    html = tmp_path / "trace.html"
    assert dxrig("trace", "--results", written(everything, tmp_path), "--html", html).exit_code == 0
    page = html.read_text(encoding="utf-8")
    places = [page.index(text) for text in ("H-02 A beam", "SR-17", "test_wire (wire): passed")]
    assert places[0] < places[1]
    assert "abc1234" in page
    assert "not a cleared medical device" in page
    assert all(item.id in page for item in OURS.items)
    assert "<script>" not in page
    assert not any(text in page for text in ("http:", "https:", "src="))


# --- reviews -----------------------------------------------------------------------------------


@pytest.fixture
def own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of ours, in which somebody changed SR-17."""
    file = Path(shutil.copy(requirements.FILE, tmp_path))
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("A release in EXPOSE drops", "A release drops"), encoding="utf-8")
    monkeypatch.setattr(requirements, "FILE", file)
    monkeypatch.setattr(requirements.load_requirements, "__defaults__", (file,))
    return file


@pytest.mark.usefixtures("own_file", "never_run")
def test_a_changed_text_is_told_until_somebody_has_reviewed_it() -> None:
    told = "SR-17: its text changed since its tests were reviewed"
    done = dxrig("trace")
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, told)
    done = dxrig("trace", "--review", "SR-17", "--who", "A. Reviewer")
    assert done.exit_code == 0, done.output
    assert dxrig("trace").exit_code == 0


def test_a_review_changes_one_line_and_holds_name_and_day(own_file: Path) -> None:
    before = own_file.read_text(encoding="utf-8").splitlines()
    assert dxrig("trace", "--review", "SR-17", "--who", " A.  Reviewer\n").exit_code == 0
    after = own_file.read_text(encoding="utf-8").splitlines()
    (changed,) = [new for old, new in zip(before, after, strict=True) if old != new]
    line, _, day = changed.rpartition(", ")
    assert line.startswith("- reviewed: ")
    assert line.endswith(" by A. Reviewer")
    assert len(day) == len("2026-11-22")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--review", "SR-17"), "go together"),
        (("--who", "A. Reviewer"), "go together"),
        (("--review", "SR-17", "--who", " "), "go together"),
        (("--review", "SR-99", "--who", "A. Reviewer"), "no requirement SR-99"),
    ],
)
def test_a_review_needs_a_requirement_and_a_name(
    own_file: Path, arguments: tuple[str, ...], told: str
) -> None:
    before = own_file.read_text(encoding="utf-8")
    done = dxrig("trace", *arguments)
    assert done.exit_code == 2
    assert told in done.stderr
    assert own_file.read_text(encoding="utf-8") == before
