"""`dxrig run` as CI and people meet it: verdicts, exit codes, the report, and an early end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from rig.cli import main
from rig.junit import write_junit
from rig.outcomes import Outcome
from rig.scenario import SHIPPED
from tests.model_runs import NAMES, told_on

CLEAN = (SHIPPED / "released_in_prep.toml").read_text(encoding="utf-8")


def dxrig(*words: str) -> Result:
    return CliRunner().invoke(main, ["run", *words])


def _scenario(folder: Path, name: str, *changes: tuple[str, str]) -> Path:
    text = CLEAN
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file = folder / f"{name}.toml"
    file.write_text(text, encoding="utf-8")
    return file


def _cases(report: Path) -> dict[str, ET.Element]:
    return {case.attrib["name"]: case for case in ET.parse(report).getroot().iter("testcase")}


def test_all_shipped_scenarios_pass_and_say_so(tmp_path: Path) -> None:
    report = tmp_path / "new" / "junit.xml"
    result = dxrig(str(SHIPPED), "--json", "--junit", str(report))
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert {k: answer[k] for k in ("schema", "rung", "passed", "failed", "skipped")} == {
        "schema": 1, "rung": "model", "passed": len(told_on("portable")), "failed": 0, "skipped": 0,
    }  # fmt: skip
    assert [entry["name"] for entry in answer["scenarios"]] == list(NAMES)
    ran = [entry["name"] for entry in answer["scenarios"] if entry["not_run"] is None]
    assert ran == list(told_on("portable"))
    cases = _cases(report)
    for entry in answer["scenarios"]:
        if entry["not_run"] is not None:
            continue
        properties = [p.attrib for p in cases[entry["name"]].iter("property")]
        assert {"name": "trace_sha256", "value": entry["trace_sha256"]} in properties
        covers = [p["value"] for p in properties if p["name"] == "covers"]
        assert covers == entry["covers"] != []


def test_people_get_a_line_each_and_the_total() -> None:
    result = dxrig("released_in_prep", "press_with_door_open")
    assert result.exit_code == 0
    first, second, total = result.stdout.splitlines()
    assert first.startswith("pass  released_in_prep      ")
    assert first.endswith(" s  Handswitch released in PREP")
    assert second.startswith("pass  press_with_door_open  ")
    assert total.startswith("2 passed, 0 failed on the model rung in ")


def test_a_scenario_that_sees_something_else_fails_with_every_problem(tmp_path: Path) -> None:
    wrong = _scenario(tmp_path, "wrong", ("beams = 0", "beams = 1"), ("images = 0", "images = 2"))
    report = tmp_path / "junit.xml"
    result = dxrig(str(wrong), "released_in_prep", "--junit", str(report))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("FAIL  wrong             ")
    assert lines[1:3] == ["      0 beams, expected 1", "      0 images saved, expected 2"]
    assert lines[-1].startswith("1 passed, 1 failed on the model rung in ")
    failure = _cases(report)["wrong"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "0 beams, expected 1"
    assert failure.text == "0 beams, expected 1\n0 images saved, expected 2"
    suite = ET.parse(report).getroot().find("testsuite")
    assert suite is not None
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == (
        "2", "1", "0",
    )  # fmt: skip


def test_the_mistakes_of_all_files_are_told_before_anything_runs(tmp_path: Path) -> None:
    more = '[[step]]\nevent = "start"\ndo = "generator"\nargs = { %s }\n\n[[step]]'
    _scenario(tmp_path, "a", ("[[step]]", more % "kv_fctor = 1.1"))
    _scenario(tmp_path, "b", ("[[step]]", more % 'kv_factor = "much"'))
    _scenario(tmp_path, "c", ("beam_s = 1.0", "kv = 8000.0\nbeam_s = 1.0"))
    result = dxrig(str(tmp_path), "released_in_prep", "--json")
    error = json.loads(result.stdout)["error"]
    told = [message.rpartition("/")[2] for message in error["messages"]]
    assert (result.exit_code, error["code"]) == (2, 2)
    assert told[0].startswith("a.toml:10: step[0].args: generator has no 'kv_fctor'; there are ")
    assert told[1] == "b.toml:10: step[0].args: kv_factor = 'much': must be a number"
    assert told[2].startswith("c.toml:")
    assert len(told) == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["released_in_pep"], "no scenario 'released_in_pep'; did you mean 'released_in_prep'?"),
        (["nowhere/x.toml"], "nowhere/x.toml: no such file or folder"),
        ([], "Missing argument 'PATH|NAME...'."),
        (
            ["clean_by_mas", "--rung", "bench"],
            "Invalid value for '--rung': 'bench' is not one of 'model', 'wire'.",
        ),
    ],
)
def test_usage_mistakes_are_one_clear_message(words: list[str], message: str) -> None:
    result = dxrig(*words, "--json")
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["message"]) == (2, message)


def test_out_keeps_a_folder_a_scenario_that_replays_equal(tmp_path: Path) -> None:
    out = tmp_path / "kept"
    result = dxrig("released_in_prep", "press_with_door_open", "--out", str(out), "--json")
    assert result.exit_code == 0
    for entry in json.loads(result.stdout)["scenarios"]:
        assert entry["folder"] == str(out / entry["name"])
        replayed = CliRunner().invoke(main, ["replay", entry["folder"], "--json"])
        answer = json.loads(replayed.stdout)
        assert (answer["equal"], answer["trace_sha256"]) == (True, entry["trace_sha256"])
    again = dxrig("released_in_prep", "--out", str(out))
    assert (again.exit_code, again.stderr) == (
        2, f"dxrig: {out}: is not empty; name a new or an empty folder\n",
    )  # fmt: skip


def test_plain_progress_goes_to_stderr_and_the_answer_alone_to_stdout() -> None:
    result = dxrig("released_in_prep", "press_with_door_open", "--progress", "plain", "--json")
    assert result.stderr == "1/2 released_in_prep\n2/2 press_with_door_open\n"
    assert json.loads(result.stdout)["passed"] == 2


def test_what_the_rung_cannot_judge_is_said_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passed scenario stays one; what was not judged of it is a skipped case beside it."""
    why = "two clocks"
    monkeypatch.setattr("rig.outcomes.skipped", lambda *_: [f"react: {why}"])
    report = tmp_path / "junit.xml"
    lines = dxrig("released_in_prep", "--junit", str(report)).stdout.splitlines()
    assert lines[0].startswith("pass  released_in_prep  ")
    assert lines[1] == "      skipped: react: two clocks"
    assert lines[2].startswith("1 passed, 0 failed, 1 expectations skipped on the model rung in ")
    suite = ET.parse(report).getroot().find("testsuite")
    assert suite is not None
    assert {name: suite.attrib[name] for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "2", "failures": "0", "errors": "0", "skipped": "1",
    }  # fmt: skip
    cases = _cases(report)
    assert [child.tag for child in cases["released_in_prep"]] == ["properties"]
    (element,) = cases["released_in_prep: react"]
    assert (element.tag, element.attrib) == ("skipped", {"message": why})
    answer = json.loads(dxrig("released_in_prep", "--json").stdout)
    assert (answer["passed"], answer["skipped"]) == (1, 1)
    assert answer["scenarios"][0]["skipped"] == [f"react: {why}"]


def test_what_xml_cannot_hold_is_replaced_in_the_report(tmp_path: Path) -> None:
    outcome = Outcome(
        bench="mine",
        name="odd",
        title="<&>",
        covers=(),
        seconds=0.25,
        problems=("bell \x07 & null \x00",),
    )
    report = tmp_path / "junit.xml"
    write_junit(report, "wire", [outcome], unfinished=[("mine", "next")])
    cases = _cases(report)
    failure, error = cases["odd"].find("failure"), cases["next"].find("error")
    assert failure is not None
    assert error is not None
    assert failure.text == "bell ? & null ?"
    assert error.attrib["message"] == "interrupted before its end"
    assert cases["odd"].attrib == {"classname": "dxrig.wire.mine", "name": "odd", "time": "0.250"}


def _children(pid: int) -> dict[int, str]:
    """Every process below `pid`, with its command line (Linux)."""
    found: dict[int, str] = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        found |= {int(child): command} | _children(int(child))
    return found


def _wait_for(condition: Any, limit_s: float = 20.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.wire
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_processes_and_the_report_is_written(
    number: signal.Signals, tmp_path: Path
) -> None:
    report = tmp_path / "junit.xml"
    words = ("switch_stuck_after_the_end", "panel_never_ready", "--rung", "wire")
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "run", *words, "--junit", str(report)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    _wait_for(lambda: sum("firmware_py " in c for c in _children(process.pid).values()) == 2)
    started = _children(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err.strip()) == (130, "", "dxrig: ended by the operator")
    _wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert [case.find("error") is not None for case in _cases(report).values()] == [True, True]
    assert [path.name for path in tmp_path.iterdir()] == ["junit.xml"]  # nothing temporary stays
