"""Requirements and the plugin: what is wrong is found, each time in a planted suite."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hal.faults import FAULTS
from rig.doctor_bounds import bounds_of
from rig.exit_codes import ConfigError
from rig.requirements import (
    FILE,
    Requirements,
    TestResult,
    gaps,
    load_requirements,
    parse,
    reviewed,
    unknown_ids,
)
from tests.model_runs import bench as portable
from tests.project import ROOT

OURS = load_requirements()
TWO = """
## H-01 A beam that nobody asked for

Somebody is irradiated.

## SR-01 Only the switch starts

- hazard: H-01
- goal: no beam ever
- bench: as the goal
- verify: model
- source: budget
- state: met
- reviewed: new

A beam starts only by the switch.

## SR-02 AEC has a ceiling

- hazard: H-01
- goal: 600 mAs
- bench: none
- verify: none
- source: budget
- state: open
- missing: AEC
- reviewed: new

It ends at its ceiling.
"""


def agreed(text: str) -> str:
    """The text with the hash of each requirement beside it."""
    for item in parse(text, "two.md").items:
        text = reviewed(text, item.id, "A. Reviewer", "2026-11-22")
    return text


def two(**changes: str) -> Requirements:
    text = agreed(TWO)
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return parse(text, "two.md")


def result(*ids: str, kind: str = "model", outcome: str = "passed") -> TestResult:
    return TestResult("test_a.py::test_b", ids, kind, outcome)


# --- our own -----------------------------------------------------------------------------------


def test_there_are_sixty_requirements_and_each_is_against_a_hazard() -> None:
    assert [item.id for item in OURS.items] == [f"SR-{number:02}" for number in range(1, 61)]
    named = {hazard for item in OURS.items for hazard in item.hazards}
    assert named == {hazard.id for hazard in OURS.hazards}
    assert all(item.hazards for item in OURS.items)


def test_what_has_no_component_yet_is_not_called_met() -> None:
    lacking = (10, 13, 15, 23, 29, 40, 43, 47, 50, 51, 53, 54, 55, *range(57, 61))
    states = {item.id: item.state for item in OURS.items}
    assert [n for n in lacking if states[f"SR-{n:02}"] == "met"] == []


def test_no_requirement_is_called_verified_on_devices() -> None:
    assert [item.id for item in OURS.items if {"bench", "review"} & set(item.verify)] == []


def test_every_text_is_the_one_that_its_hash_is_of() -> None:
    assert [item.id for item in OURS.items if item.changed] == []


def test_what_the_bench_can_promise_is_what_its_devices_say() -> None:
    promised = {item.id: item.values["bench"] for item in OURS.items}
    bounds = [(bound.sr, f"{bound.bound_us / 1000:.0f} ms") for bound in bounds_of(portable())]
    assert len(bounds) >= 9
    assert [bound for bound in bounds if bound[1] not in promised[bound[0]]] == []


def test_every_requirement_of_a_fault_is_known() -> None:
    assert [code for code, row in FAULTS.items() if not OURS.knows(row.sr)] == []


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("- goal: no beam ever\n", "", "SR-01: no line `goal:`"),
        ("verify: model", "verify: modell", "'modell' is none of"),
        ("hazard: H-01\n- goal: no", "hazard: H-09\n- goal: no", "SR-01: no hazard H-09"),
        ("state: met", "state: done", "state 'done' is none of"),
        ("- missing: AEC\n", "", "SR-02: `missing:` says what"),
        ("state: met", "state: part", "SR-01: `missing:` says what"),
        ("state: open", "state: part", "SR-02: what is verified nowhere is open"),
        ("verify: model", "verify: review", "SR-01: no line `review:`"),
        ("- goal: no", "- gaol: far\n- goal: no", "a key nobody knows: 'gaol'"),
        ("## SR-02", "## SR-01", "SR-01: stands here twice"),
        ("A beam starts only by the switch.", "", "SR-01: no text"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(old: str, new: str, told: str) -> None:
    assert old in TWO
    with pytest.raises(ConfigError) as raised:
        parse(TWO.replace(old, new, 1), "two.md")
    assert told in str(raised.value)
    assert all(re.match(r"two\.md:\d+: ", line) for line in raised.value.messages)


def test_line_breaks_change_no_hash_and_words_do() -> None:
    assert not two(**{"starts only by": "starts\nonly  by"}).items[0].changed
    for old in ("starts only", "no beam ever", "verify: model", "source: budget"):
        assert two(**{old: f"{old} wire" if "verify" in old else f"{old} x"}).items[0].changed


def test_how_far_it_is_changes_no_hash() -> None:
    assert not two(**{"state: met": "state: part\n- missing: half of it"}).items[0].changed


@pytest.mark.parametrize("name", ["SR-01", "SR-02", "F01", "F29", "F110"])
def test_known_ids_are_known(name: str) -> None:
    assert two().knows(name)


@pytest.mark.parametrize("name", ["SR-03", "SR-1", "F0", "F00", "F1", "F029", "F111", "sr-01", ""])
def test_ids_that_nobody_gave_are_unknown(name: str) -> None:
    assert unknown_ids(two(), [result(name)]) == [f"test_a.py::test_b: no requirement {name}"]


# --- judging -----------------------------------------------------------------------------------


def test_a_test_of_the_stated_kind_that_passes_is_enough() -> None:
    assert gaps(two(), [result("SR-01")]) == []


@pytest.mark.parametrize("kind", ["peer", "search"])
def test_so_is_one_that_a_peer_judges_or_a_search(kind: str) -> None:
    assert gaps(two(), [result("SR-01", kind=kind)]) == []


@pytest.mark.parametrize(
    "tests",
    [[], [result("SR-02")], [result("SR-01", kind="wire")], [result("SR-01", outcome="skipped")]],
    ids=["none", "another's", "of another kind", "skipped"],
)
def test_anything_else_is_a_gap(tests: list[TestResult]) -> None:
    assert gaps(two(), tests) == ["SR-01: no passing test of kind model"]


def test_one_that_fails_is_told_beside_one_that_passes_also_of_an_open_requirement() -> None:
    tests = [result("SR-01"), result("SR-01", "SR-02", outcome="failed")]
    assert gaps(two(), tests) == [
        f"{code}: test_a.py::test_b failed" for code in ("SR-01", "SR-02")
    ]


def test_a_changed_text_makes_its_tests_suspect() -> None:
    changed = two(**{"only by the switch": "only by both switches"})
    told = "SR-01: its text changed since its tests were reviewed"
    assert gaps(changed, [result("SR-01")]) == [told]


# --- the plugin, in a suite of its own ---------------------------------------------------------

PLANTED = """
import pytest

@pytest.mark.req("SR-01")
@pytest.mark.parametrize("number", [1, 2])
def test_the_switch(number):
    assert number

@pytest.mark.parametrize("f", [pytest.param("a", marks=pytest.mark.req("F29"))])
def test_a_scenario(f):
    assert f

def test_another():
    pass
"""


class Suite:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results.json"
        self.file = folder / "two.md"
        self.file.write_text(agreed(TWO))
        self.write(PLANTED)
        (folder / "pytest.ini").write_text(
            "[pytest]\ntestpaths = tests\naddopts = --strict-markers -p no:cacheprovider\n"
            "markers =\n req(*ids): which\n wire: real\n peer: theirs\n"
        )
        (folder / "conftest.py").write_text("pytest_plugins = ('rig.pytest_requirements',)\n")

    def write(self, text: str) -> None:
        (self.folder / "tests").mkdir(exist_ok=True)
        (self.folder / "tests" / "test_planted.py").write_text(text)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        files = ("--requirements-file", str(self.file), "--requirements-json", str(self.results))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *files, *arguments],
            cwd=self.folder, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip

    def written(self) -> Any:
        return json.loads(self.results.read_text())


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def test_a_suite_without_gaps_passes_and_its_results_are_written(suite: Suite) -> None:
    done = suite.run("--requirements")
    assert done.returncode == 0, done.stdout + done.stderr
    written = suite.written()
    assert (written["schema"], written["whole_suite"]) == (1, True)
    assert written["tests"] == [
        {
            "test": "tests/test_planted.py::test_a_scenario[a]",
            "ids": ["F29"],
            "kind": "model",
            "result": "passed",
        },
        {
            "test": "tests/test_planted.py::test_the_switch",
            "ids": ["SR-01"],
            "kind": "model",
            "result": "passed",
        },
    ]


@pytest.mark.parametrize("arguments", [(), ("-k", "another")], ids=["whole", "a part"])
def test_workers_side_by_side_write_the_same_as_one_run(
    suite: Suite, arguments: tuple[str, ...]
) -> None:
    assert suite.run("--requirements", *arguments).returncode == 0
    alone = suite.written()
    side_by_side = ("-n2", "--dist=loadscope", "--requirements", *arguments)
    assert suite.run(*side_by_side).returncode == 0
    assert suite.written() == alone


def test_workers_side_by_side_see_a_planted_gap(suite: Suite) -> None:
    suite.write(PLANTED.replace('req("SR-01")', 'req("SR-02")'))
    done = suite.run("-n2", "--requirements")
    assert done.returncode == 1
    assert "SR-01: no passing test of kind model" in done.stdout


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('req("SR-01")', 'req("SR-02")'),
        ('@pytest.mark.req("SR-01")', '@pytest.mark.wire\n@pytest.mark.req("SR-01")'),
        ('@pytest.mark.req("SR-01")', '@pytest.mark.skip\n@pytest.mark.req("SR-01")'),
    ],
    ids=["no test", "another kind", "skipped"],
)
def test_a_planted_gap_fails_the_whole_suite(suite: Suite, old: str, new: str) -> None:
    suite.write(PLANTED.replace(old, new))
    done = suite.run("--requirements")
    assert done.returncode == 1
    assert "SR-01: no passing test of kind model" in done.stdout
    assert suite.run().returncode == 0, "only where it was asked for"


def test_one_failed_parameter_fails_the_test(suite: Suite) -> None:
    suite.write(PLANTED.replace("assert number", "assert number == 2"))
    assert suite.run("--requirements").returncode == 1
    assert [test["result"] for test in suite.written()["tests"]] == ["passed", "failed"]


def test_a_planted_change_of_the_text_fails_the_whole_suite(suite: Suite) -> None:
    suite.file.write_text(suite.file.read_text().replace("by the switch", "by two switches"))
    done = suite.run("--requirements")
    assert done.returncode == 1
    assert "SR-01: its text changed since its tests were reviewed" in done.stdout


@pytest.mark.parametrize("chosen", ["tests/test_planted.py::test_another", "-k another"])
def test_a_part_of_the_suite_has_no_gaps(suite: Suite, chosen: str) -> None:
    done = suite.run("--requirements", *chosen.split())
    assert done.returncode == 0, done.stdout
    assert suite.written()["whole_suite"] is False


@pytest.mark.parametrize("arguments", [(), ("--requirements",), ("-k", "another")])
def test_an_unknown_id_ends_every_run(suite: Suite, arguments: tuple[str, ...]) -> None:
    suite.write(PLANTED.replace("SR-01", "SR-99"))
    done = suite.run(*arguments)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "tests/test_planted.py::test_the_switch: no requirement SR-99" in done.stderr


def test_a_file_that_is_wrong_is_told_without_a_traceback(suite: Suite) -> None:
    suite.file.write_text(TWO.replace("state: met", "state: done"))
    done = suite.run()
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "two.md:6: SR-01: state 'done' is none of" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_tests_on_real_ports_and_of_the_bench_are_of_kind_wire(suite: Suite) -> None:
    hil = suite.folder / "tests" / "hil"
    hil.mkdir()
    marked = "import pytest\n\n@pytest.mark.req('SR-02')\ndef test_{0}():\n    pass\n"
    (hil / "test_link.py").write_text(marked.format("link"))
    (suite.folder / "tests" / "test_search_all.py").write_text(marked.format("search"))
    assert suite.run().returncode == 0
    kinds = {test["test"].rpartition("::")[2]: test["kind"] for test in suite.written()["tests"]}
    assert (kinds["test_link"], kinds["test_search"]) == ("wire", "search")


def test_our_own_file_is_the_default() -> None:
    assert FILE == ROOT / "firmware_py" / "requirements.md"
