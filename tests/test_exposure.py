"""Following a unit: one that goes silent is asked, and one that does not answer is ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from firmware_py.recorder.store.tube_heat import COLD
from hal.types import Shot, Technique
from rig import exposure
from rig.exit_codes import DeviceError
from rig.exposure import SILENT_S, STEP_S, Exposure
from rig.session import Session
from tests.live_bench import ROOT, children_of, ended, live_bench, until

SHOT = Shot(shot_id="S1", technique=Technique(kv=70, ma=1, mas=0.5), exam_id="TEST", panel_id="P")
ASK_S = 2.0  # what an unanswered question takes


class SilentSession:
    """A unit that enters a state and says nothing more; made-up time."""

    def __init__(self, state: str, *, answers_count: int) -> None:
        self.t_s = 1000.0
        self.heat = COLD
        self.lines: list[dict[str, Any]] = []
        self.said = [{"kind": "state", "from": "", "to": state, "why": ""}]
        self.answers_count = answers_count
        self.asked: list[float] = []
        self.ended = False

    def monotonic(self) -> float:
        return self.t_s

    def start(self) -> None: ...

    def program(self, shot: Shot) -> None: ...

    def check(self, *, in_beam: bool = False) -> None: ...

    def news(self, timeout_s: float) -> Iterator[dict[str, Any]]:
        self.t_s += timeout_s
        said, self.said = self.said, []
        self.lines += said
        yield from said

    def ask(self, kind: str) -> dict[str, Any]:
        assert kind == "status"
        self.asked.append(self.t_s)
        if len(self.asked) > self.answers_count:
            self.t_s += ASK_S
            raise DeviceError("the unit does not answer")
        return {}

    def end(self) -> None:
        self.ended = True


class NoHand:
    def entered(self, state: str) -> None: ...

    def let_go(self) -> None: ...


def _make(session: SilentSession, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exposure, "time", session)
    Exposure(cast(Session, session), SHOT, NoHand(), wait_s=60, patient=True).make()


@pytest.mark.parametrize("state", ["SELF_TEST", "PREP", "READY", "EXPOSE", "READOUT"])
def test_a_unit_that_says_and_answers_nothing_is_ended_within_seconds(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = SilentSession(state, answers_count=0)
    with pytest.raises(DeviceError, match="the unit does not answer"):
        _make(session, monkeypatch)
    assert session.ended
    assert session.t_s - 1000 <= SILENT_S + ASK_S + 2 * STEP_S


def test_a_unit_that_answers_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    session = SilentSession("READY", answers_count=6)
    with pytest.raises(DeviceError):
        _make(session, monkeypatch)
    between_s = [
        later - sooner for sooner, later in zip(session.asked, session.asked[1:], strict=False)
    ]
    assert len(session.asked) == 7
    assert all(gap_s == pytest.approx(SILENT_S, abs=2 * STEP_S) for gap_s in between_s)


@pytest.mark.wire
@pytest.mark.e2e
def test_an_exposure_whose_unit_was_stopped_ends_with_a_word(tmp_path: Path) -> None:
    with live_bench(tmp_path) as live:
        process = live.start("expose", "--kvp", "70", "--mas", "0.5", "--json")
        unit = live.state / "unit.json"
        trace = "trace.jsonl"

        def prepares() -> bool:
            if not unit.is_file():
                return False
            file = Path(json.loads(unit.read_text())["folder"]) / trace
            return file.is_file() and '"to": "PREP"' in file.read_text()

        until(prepares)
        os.kill(json.loads(unit.read_text())["pid"], signal.SIGSTOP)
        done = ended(process)
        assert done.returncode == 3
        assert "the unit does not answer: its process hangs or is stopped. Without" in done.stdout
        assert "ipc://" not in done.stdout
        assert live.show()["beams"] == []
        assert children_of(tmp_path) == []


INTERRUPTED_FORK = """
import os, signal, subprocess
from rig.session import die_with_parent, signals_wait
os.register_at_fork(before=lambda: os.kill(os.getpid(), signal.SIGINT))
try:
    with signals_wait():
        subprocess.Popen(["true"], preexec_fn=die_with_parent).wait()
except KeyboardInterrupt:
    raise SystemExit(130)
"""


def test_ctrl_c_while_a_process_is_made_is_not_lost() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED_FORK], cwd=ROOT, capture_output=True)
    assert (done.returncode, done.stderr) == (130, b"")


# --- what a unit that has ended said


@pytest.mark.parametrize(
    ("code", "free_bytes", "told"),
    [
        (3, 0, "the disk is full: the run ended, outputs are safe; free space"),
        (3, 1 << 20, "the unit process ended with 3 and said nothing"),
        (4, 1 << 20, "the disk is full: the run ended, outputs are safe; free space"),
        (-9, 0, "the unit process was killed (SIGKILL)"),
    ],
)
def test_a_unit_whose_last_words_had_no_room_is_told_as_a_full_disk(
    code: int, free_bytes: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rig.session.free_bytes", lambda _: free_bytes)
    nobody: Any = None
    session = Session(bench=nobody, unit=nobody, folder=tmp_path, state=tmp_path, simulated=True)
    assert session._last_words("unit", code).endswith(told)
