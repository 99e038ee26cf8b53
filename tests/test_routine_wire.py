"""Routines over real ports, processes and time: cut short by a kill, and what a cold tube may."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from rig.exit_codes import DONE, REFUSED
from rig.sim_server import SHOWN_COUNT
from tests.live_bench import LiveBench, children_of, ended, live_bench, until
from tests.routine_bench import bench_file, must_hold_stage_2

pytestmark = [pytest.mark.wire, pytest.mark.slow, pytest.mark.timeout(120)]

# Two pulses of 3 s at 40 kV.
TINY = {
    "minutes": "[[72, 0.13]]", "cold_minutes": "[[72, 0.13]]", "kv": "[40.0]", "on_s": "3.0",
    "off_s": "1.0",
}  # fmt: skip


class Cold:
    """A bench whose tube has rested for 40 days."""

    def __init__(self, live: LiveBench, path: Path) -> None:
        self.live, self._bench = live, ("--bench", str(path))

    def run(self, command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.live.run(command, *self._bench, *arguments)

    def start(self, command: str, *arguments: str) -> subprocess.Popen[str]:
        return self.live.start(command, *self._bench, *arguments)

    def expose(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("expose", "--ma", "0.5", "--ms", "200", *arguments)

    @property
    def beams(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.live.show()["beams"]
        return found

    def held_beams(self) -> int:
        """How many there were, each with stage 2 held by the wiring's own record."""
        log = [(one["t_us"], one["net"], one["closed"]) for one in self.live.show()["nets"]]
        assert len(log) < SHOWN_COUNT  # all that there was
        return must_hold_stage_2(log, [(one["on_us"], one["off_us"]) for one in self.beams])

    @property
    def kept(self) -> dict[str, Any]:
        """Of the routine that is under way; {} where none is."""
        try:
            found: dict[str, Any] = json.loads(
                (self.live.state / "routine-warmup.json").read_text(encoding="utf-8")
            )
        except FileNotFoundError:
            return {}
        return found

    def intents(self) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(self.live.state / "journal.db")) as journal:
            rows = journal.execute("SELECT detail FROM intent").fetchall()
        return [json.loads(detail)["shot"] for (detail,) in rows]

    def acknowledge_what_is_open(self) -> int:
        found = json.loads(self.run("recover", "--json").stdout)["open"]
        for one in found:
            self.run(
                "recover", "--acknowledge", one["shot_id"], "--who", "A. Meier", "--why", "a test"
            )
        return len(found)


@pytest.fixture
def cold(tmp_path: Path) -> Iterator[Cold]:
    path = bench_file(tmp_path, warmup=TINY)
    with live_bench(tmp_path, "--idle", "40d", bench=str(path)) as live:
        yield Cold(live, path)


@pytest.mark.req("SR-16")
def test_a_cold_tube_makes_no_high_kv_but_in_a_deferred_emergency(cold: Cold) -> None:
    refused = cold.expose("--kvp", "80")
    assert refused.returncode == REFUSED
    assert "warm" in refused.stderr
    assert cold.beams == []
    allowed = cold.expose("--kvp", "80", "--defer-warmup", "trauma, no time")
    assert allowed.returncode == DONE, allowed.stderr
    assert len(cold.beams) == 1
    (shot,) = cold.intents()
    assert (shot["technique"]["kv"], shot["deferred"]) == (80, "trauma, no time")
    too_much = cold.expose("--kvp", "100", "--defer-warmup", "trauma, no time")
    assert too_much.returncode == REFUSED
    low = cold.expose("--kvp", "60")
    assert low.returncode == DONE, low.stderr
    assert len(cold.beams) == 2


@pytest.mark.req("SR-16")
def test_a_warm_up_that_was_killed_in_the_beam_goes_on_and_leaves_a_warm_tube(cold: Cold) -> None:
    killed = cold.start("warmup", "--json")
    until(lambda: len(cold.beams) == 2)
    os.killpg(killed.pid, signal.SIGKILL)
    ended(killed)
    until(lambda: not children_of(cold.live.folder))
    assert all(beam["off_us"] is not None for beam in cold.beams)
    before = cold.kept
    assert len(before["results"]) == 3  # question, pulse, pause
    cold.acknowledge_what_is_open()

    done = cold.run("warmup", "--json")
    assert done.returncode == DONE, done.stderr + done.stdout
    answer = json.loads(done.stdout)
    assert (answer["verdict"], answer["resumed_from"]) == ("passed", 3)
    assert answer["routine"] == before["routine_id"]
    assert len(answer["runs"]) == 2
    assert cold.kept == {}
    assert cold.held_beams() == 3
    ids = [shot["shot_id"] for shot in cold.intents()]
    assert len(set(ids)) == len(ids) == 3
    again = cold.run("warmup")
    assert again.stdout.startswith("No warm-up is needed: ")
    warm = cold.expose("--kvp", "80")
    assert warm.returncode == DONE, warm.stderr


def test_an_uncalibrated_panel_makes_no_image(tmp_path: Path) -> None:
    with live_bench(tmp_path, "--uncalibrated") as live:
        done = live.run("expose", "--kvp", "70", "--mas", "0.3")
        assert done.returncode == REFUSED
        assert "run `dxrig calibrate offset`, then gain and defects" in done.stderr
        assert live.show()["beams"] == []
        assert not (live.state / "journal.db").exists()
