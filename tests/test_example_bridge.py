"""tools/example_bridge.py as a process of its own: what a maker's SDK behind it must do."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_py.recorder.archive import differences, read_frame
from hal.detectors.stream_panel_wire import Event, Question, Refused, Reply, decode_answer, encode
from hal.frame_codec import decode
from hal.frames import DealerLink, PullLink
from hal.ports import LinkError, PanelFrame
from hal.stream_v1 import StreamEnd
from hal.stream_v1_header import StreamStart
from hal.types import PanelState
from tests.live_bench import ended, live_bench
from tests.project import ROOT

RAMP = np.repeat(500 + 8 * np.arange(256, dtype=np.uint16)[:, None], 256, axis=1)
ANY_PORT = "tcp://127.0.0.1:0"


@contextmanager
def bridge(panel: str, window_ms: int = 5000) -> Iterator[tuple[str, str]]:
    """Its endpoints, as it tells them."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tools" / "example_bridge.py"), ANY_PORT, ANY_PORT, panel,
         "256", "256", str(window_ms)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        control, data = json.loads(process.stdout.readline())
        yield control, data
    finally:
        process.kill()
        process.communicate()


class Talk:
    """A controller and a consumer, as dxrig's links are; what they heard."""

    def __init__(self, opened: ExitStack, control: str, data: str | None) -> None:
        self.control = opened.enter_context(closing(DealerLink(control)))
        self.data = opened.enter_context(closing(PullLink(data))) if data else None
        self.n = 0
        self.events: list[Event] = []
        self.frames: list[PanelFrame] = []
        self.messages: list[StreamStart | StreamEnd | PanelFrame] = []
        self.refused: list[str] = []

    def ask(self, do: str, shot: str | None = None) -> Reply | None:
        """None: refused, another controller is served."""
        self.n += 1
        question = encode(Question(n=self.n, do=do, shot=shot))
        replies: list[Reply] = []
        refused_count = len(self.refused)
        self.until(lambda: self._sent(question))
        self.until(lambda: self._heard(replies) or len(self.refused) != refused_count)
        return replies[0] if replies else None

    def until(self, what: Callable[[], object]) -> None:
        for _ in range(6_000):
            if what():
                return
            time.sleep(0.005)
        raise AssertionError("it did not happen in half a minute")

    def listen(self) -> bool:
        self._heard([])
        return True

    def _sent(self, question: list[bytes]) -> bool:
        with suppress(LinkError):  # not connected yet
            self._heard([])
            self.control.write(0, question)
            return True
        return False

    def _heard(self, replies: list[Reply]) -> bool:
        for message in self._read(self.control):
            match decode_answer(message):
                case Reply() as reply:
                    replies.append(reply)
                case Event() as event:
                    self.events.append(event)
                case Refused(error=error):
                    self.refused.append(error)
        for message in self._read(self.data) if self.data else ():
            found = decode(message)
            self.messages.append(found)
            if isinstance(found, PanelFrame):
                self.frames.append(found)
        return bool(replies)

    def _read(self, link: Any) -> list[list[bytes]]:
        try:
            return list(link.read(0))
        except LinkError:
            return []


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def answer(reply: Reply | None) -> tuple[str | None, PanelState]:
    assert reply is not None
    return reply.error, reply.status.state


def test_without_a_consumer_it_does_not_prepare(opened: ExitStack) -> None:
    control, _ = opened.enter_context(bridge("SDK-1"))
    talk = Talk(opened, control, None)
    assert answer(talk.ask("identify")) == (None, PanelState.IDLE)
    assert answer(talk.ask("prepare")) == ("no_consumer", PanelState.IDLE)


def test_it_goes_through_an_exposure_and_keeps_its_frame_until_it_may_go(
    opened: ExitStack,
) -> None:
    ends = opened.enter_context(bridge("SDK-1"))
    talk = Talk(opened, *ends)
    assert answer(talk.ask("request", "S-1")) == ("not_ready", PanelState.IDLE)
    talk.until(lambda: answer(talk.ask("prepare")) == (None, PanelState.READY))
    assert answer(talk.ask("request", "S-1")) == (None, PanelState.INTEGRATING)
    reply = talk.ask("drop")
    assert reply is not None
    assert (reply.status.panel_id, reply.status.frame_count) == ("SDK-1", 1)
    assert reply.status.kept == ("S-1",)
    talk.until(lambda: talk.listen() and talk.frames)
    (frame,) = talk.frames
    assert (frame.shot_id, frame.panel_id, frame.complete) == ("S-1", "SDK-1", True)
    assert frame.pixels == RAMP.astype("<u2").tobytes()
    assert answer(talk.ask("request", "S-1")) == ("shot_used", PanelState.READY)
    assert answer(talk.ask("resend", "S-1")) == (None, PanelState.READY)
    talk.until(lambda: talk.listen() and len(talk.frames) == 2)
    assert talk.frames[1] == frame
    assert answer(talk.ask("free", "S-1")) == (None, PanelState.READY)
    assert answer(talk.ask("resend", "S-1")) == ("not_kept", PanelState.READY)
    assert answer(talk.ask("standby")) == (None, PanelState.IDLE)
    talk.until(lambda: talk.listen() and isinstance(talk.messages[-1], StreamEnd))
    assert isinstance(talk.messages[0], StreamStart)
    wanted = ["ready", "integrating", "readout", "ready", "idle"]
    assert [(event.k, event.status.state.value) for event in talk.events] == [
        *enumerate(wanted, start=1)
    ]


def test_a_window_that_nobody_drops_ends_by_itself_and_its_frame_says_so(
    opened: ExitStack,
) -> None:
    talk = Talk(opened, *opened.enter_context(bridge("SDK-1", window_ms=100)))
    talk.until(lambda: answer(talk.ask("prepare")) == (None, PanelState.READY))
    talk.ask("request", "S-1")
    talk.until(lambda: talk.listen() and talk.frames)
    assert talk.frames[0].complete is False
    assert talk.frames[0].stop_us - talk.frames[0].start_us >= 100_000  # us-compare: a bound


def test_a_second_controller_is_refused_while_the_first_speaks(opened: ExitStack) -> None:
    control, data = opened.enter_context(bridge("SDK-1"))
    first, second = Talk(opened, control, data), Talk(opened, control, None)
    first.ask("status")
    assert second.ask("status") is None
    assert second.refused == ["busy"]


@pytest.mark.wire
@pytest.mark.e2e
def test_dxrig_makes_an_exposure_with_a_panel_behind_a_bridge(
    tmp_path: Path, opened: ExitStack
) -> None:
    """Unit and recorder as they are; generator and room are simulated, the hand is ours."""
    live = opened.enter_context(live_bench(tmp_path))
    control, data = opened.enter_context(bridge("SIM-PANEL-1"))
    file = live.bench_file("mine", control_url=control, data_url=data)
    _tethered(file)
    live.calibrate(file)
    process = live.start(
        "expose", "--bench", str(file), "--kvp", "60", "--mas", "0.3", "--allow-exposure", "--json"
    )
    for words, args in (
        ("press stage 1", {"stage": 1}),
        ("now press stage 2", {"stage": 2}),
        ("beam has ended: release", None),
    ):
        heard(process, words)
        live.do("press" if args else "release", **(args or {}))
    done = ended(process)
    answered = json.loads(done.stdout)
    assert (done.returncode, answered["end_reason"]) == (0, "planned end"), done.stderr
    folder = Path(answered["files"]["presentation"]).parent
    assert differences(folder) == []
    assert read_frame(folder).pixels == RAMP.astype("<u2").tobytes()
    last = Talk(opened, control, None)
    last.until(lambda: (reply := last.ask("status")) is not None and reply.status.kept == ())


def _tethered(file: Path) -> None:
    """The bench's own panel has a battery; what stands behind this bridge has none."""
    text, found = re.subn(r"\[panel\.battery\][^\[]*", "", file.read_text(encoding="utf-8"))
    assert found == 1
    file.write_text(text, encoding="utf-8")


def heard(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if words in line:
            return
    raise AssertionError(f"never said {words!r}: {''.join(said)}")
