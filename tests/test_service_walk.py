"""The visit that the service tools are for: "the mobile stops after PREP", from call to proof."""

from __future__ import annotations

import json
import re
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rig.cli import main
from tests.live_bench import LiveBench, ended, live_bench

pytestmark = pytest.mark.wire

SHOT = ("expose", "--bench", "mobile", "--kvp", "80", "--mas", "1")
WITHIN_S = 20


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench"), bench="mobile") as bench:
        yield bench


@pytest.fixture
def here(live: LiveBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this process see that bench."""
    for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, live.environment[name])
    monkeypatch.setenv("DXRIG_BENCH", "mobile")


def dxrig(*words: str | Path, code: int) -> dict[str, Any]:
    done = CliRunner().invoke(main, [*map(str, words), "--json"], prog_name="dxrig")
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout))


def not_ok(answer: dict[str, Any]) -> list[str]:
    return [one["pin"] for one in answer["pins"] if one["as_expected"] is False]


def until_told(process: subprocess.Popen[str], word: str) -> None:
    assert process.stderr is not None
    line = ""
    while word not in line:
        assert select.select([process.stderr], [], [], WITHIN_S)[0]
        line = process.stderr.readline()
        assert line, "it ended before"


def test_a_contact_that_opens_in_prep_is_found_mended_and_proved(
    live: LiveBench, here: None, tmp_path: Path
) -> None:
    start, end = tmp_path / "start.json", tmp_path / "end.json"
    dxrig("snapshot", "take", start, code=0)

    shot = live.start(*SHOT, "--hand", "auto", "--progress", "plain")
    until_told(shot, "PREP")
    live.do("stick", contact="door", closed=False)
    assert ended(shot).returncode == 4
    found = dxrig("why", code=0)
    assert (found["layer"], found["pin"]["name"]) == ("interlock contact", "door")
    # The safety relay drops 8 ms after its loop opened: one look at the room may show both.
    told = r"Door \(input 2\) opened( \(and CHAIN_OPEN\))? in PREP: the unit ended the sequence "
    assert re.fullmatch(told + r"before any beam\.", found["sentence"])
    assert not_ok(dxrig("io", "--once", code=0)) == ["input 2", "input 4"]

    live.do("free", contact="door")
    live.do("press reset")
    live.do("release reset")
    assert not_ok(dxrig("io", "--once", code=0)) == []
    assert live.run(*SHOT).returncode == 0

    dxrig("snapshot", "take", end, code=0)
    compared = dxrig("snapshot", "compare", start, end, code=1)
    changed = {one["key"]: (one["a"], one["b"]) for one in compared["changed"]}
    assert changed["devices.generator.counters.exposure_count"] == (0, 1)
    assert changed["counters.with_beam"] == (0, 1)
    assert [one["codes"][0] for one in compared["new_errors"]] == ["DOOR_OPEN"]
    ends = [one["end_reason"] for one in compared["new_runs"]]
    assert ends == ["planned end", "ended before the beam"]
    told = CliRunner().invoke(main, ["snapshot", "compare", str(start), str(end)]).stdout
    assert "  devices.generator.counters.exposure_count: 0 -> 1" in told.splitlines()
