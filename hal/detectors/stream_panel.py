"""The unit's side of the panel whose wire is in `stream_panel_wire.py`: it asks, and tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hal.detectors.stream_panel_wire import (
    Event,
    Question,
    Refused,
    Reply,
    Status,
    decode_answer,
    encode,
)
from hal.frame_memory import FrameMemory
from hal.handshakes import T_PREP_MAX_US
from hal.now import Now
from hal.ports import FrameLink, LinkError, PanelCapabilities, WireError
from hal.types import Outputs, PanelSample, PanelState

SOURCE = "control: our own wire, synthetic; frames: DECTRIS Stream V1, SIMPLON API reference 1.8"
VERIFIED = "synthetic: no maker publishes such a wire; never checked against a panel"
DRIVES_BEAM = False

LOST_COUNT = 3  # replies in a row
WINDOW_REQUEST_US = T_PREP_MAX_US
READOUT_US = 5_000_000  # a full image, iRay NDT1717MA class (protocols.md 10.2)
AT_WORK = (PanelState.PREPARING, PanelState.READY, PanelState.INTEGRATING, PanelState.READOUT)
SENDS_AGAIN = (PanelState.IDLE, PanelState.READY, PanelState.RECOVER, PanelState.ERROR)


@dataclass(slots=True)
class _Window:
    """One exposure request: what was asked, and what came of it. A window never opens twice."""

    from_us: int | None = None  # Outputs.window_from_us, by which the scan names it
    sent: bool = False
    open_us: int | None = None  # integrating was first seen
    over: bool = False  # ... and then anything else

    def seen(self, now: Now, state: PanelState) -> PanelState:
        if not self.sent or (state is not PanelState.INTEGRATING and self.open_us is None):
            return state
        if state is not PanelState.INTEGRATING:
            self.over = True
        elif self.over:
            return PanelState.READOUT  # the end that was seen stays seen
        elif self.open_us is None:
            self.open_us = now.t_us
        return state


class Driver:
    """Asks one question at a time; `drop` overtakes any other, and all overtake a status.

    Events change the state at once, but only replies prove the link alive and date the
    sample. A reply to a question that is older than the newest event says nothing new
    about the state.
    """

    def __init__(
        self,
        link: FrameLink,
        *,
        fast_poll_us: int = 20_000,  # from the request to the end of the window (F29: 20 ms);
        # the panel tells each change by itself, so this is for an event that was lost
        active_poll_us: int = 20_000,
        idle_poll_us: int = 200_000,
        timeout_us: int = 50_000,
        active_limit_us: int = 250_000,
        idle_limit_us: int = 1_000_000,
        window_request_us: int = WINDOW_REQUEST_US,
        readout_us: int = READOUT_US,
    ) -> None:
        self.capabilities = PanelCapabilities(
            window_request_us=window_request_us,
            readout_us=readout_us,
            sample_age_us=active_poll_us + timeout_us,
        )
        self.sample = PanelSample(taken_us=0)
        self.timeouts_count = 0
        self.garbage_count = 0
        self.late_count = 0  # replies to an earlier question, repeated events
        self.refusal: str | None = None  # why the panel did not do the last thing asked
        self.down: str | None = None  # what is wrong with the link, for people
        self._link = link
        self._fast_poll_us = fast_poll_us
        self._active_poll_us = active_poll_us
        self._idle_poll_us = idle_poll_us
        self._timeout_us = timeout_us
        self._active_limit_us = active_limit_us
        self._idle_limit_us = idle_limit_us
        self._n = 0
        self._question: Question | None = None  # outstanding
        self._last_do = ""
        self._asked_us = -idle_poll_us  # the first question leaves at once
        self._heard_us = 0  # when the newest answered question was asked
        self._lost_count = 0
        self._event_k = 0
        self._overtaken = False  # an event came after the outstanding question was asked
        self._window = _Window()
        self._drop_owed = False
        self._memory = FrameMemory()
        self._outputs = Outputs()

    def read(self, now: Now) -> PanelSample:
        for message in self._arrived(now):
            try:
                answer = decode_answer(message)
            except WireError:
                self.garbage_count += 1
                continue
            self._take(now, answer)
        self._watch(now)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        self._outputs = outputs
        self._follow_window(outputs.window_from_us)
        do, shot = self._wanted(now, outputs)
        if do is not None and self._may_leave(now, do):
            self._ask(now, do, shot)
        elif self._question is None and now.reached(self._asked_us + self._poll_us()):
            self._ask(now, "status")
        self._wake(now)

    # what comes

    def _arrived(self, now: Now) -> Sequence[list[bytes]]:
        try:
            messages = self._link.read(now.t_us)
        except LinkError as error:
            self.down = str(error)
            self._lose()
            return ()
        if messages:
            self.down = None
        return messages

    def _take(self, now: Now, answer: Reply | Event | Refused) -> None:
        match answer:
            case Refused(error=error):
                self.down = f"the panel serves another controller ({error})"
            case Event():
                self._take_event(now, answer)
            case _:
                self._take_reply(now, answer)

    def _take_event(self, now: Now, event: Event) -> None:
        if self.sample.state is PanelState.DISCONNECTED:
            return  # the first reply tells everything
        if event.k <= self._event_k:
            self.late_count += 1
            return
        self._event_k = event.k
        self._overtaken = True
        self._publish(now, event.status)

    def _take_reply(self, now: Now, reply: Reply) -> None:
        question = self._question
        if question is None or reply.n != question.n:
            self.late_count += 1
            return
        self._question = None
        self._lost_count = 0
        self._heard_us = self._asked_us
        self.refusal = reply.error
        if question.do == "drop" and reply.ok:
            self._drop_owed = False
        if self._overtaken:
            self.sample = replace(self.sample, taken_us=self._heard_us)
        else:
            self._publish(now, reply.status)

    def _publish(self, now: Now, status: Status) -> None:
        state = self._window.seen(now, status.state)
        self._memory.see(now, status.kept)
        sample = PanelSample(
            taken_us=self._heard_us,
            state=state,
            panel_id=status.panel_id,
            window_us=status.window_ms * 1000,
            window_open_us=self._window.open_us,
            frame_count=status.frame_count,
            kept=status.kept,
            given_up=self._memory.given_up(now),
            battery_pct=status.battery_pct,
            faults=("PANEL_ERROR",) if state is PanelState.ERROR else (),
        )
        if sample != self.sample:
            self.sample = sample

    def _watch(self, now: Now) -> None:
        if self._question is not None and now.reached(self._asked_us + self._timeout_us):
            self._question = None
            self.timeouts_count += 1
            self._lost_count += 1
            if self._lost_count >= LOST_COUNT:
                self._lose()
        if self.sample.state is not PanelState.DISCONNECTED and now.reached(
            self._heard_us + self._limit_us()
        ):
            self._lose()
        given_up = self._memory.given_up(now)
        if given_up != self.sample.given_up:
            self.sample = replace(self.sample, given_up=given_up)

    def _lose(self) -> None:
        self._event_k = 0
        self._memory.forget()
        if self.sample.state is not PanelState.DISCONNECTED:
            self.sample = PanelSample(taken_us=self.sample.taken_us)

    # what leaves

    def _follow_window(self, from_us: int | None) -> None:
        if from_us == self._window.from_us:
            return
        self._drop_owed = self._drop_owed or self._window.sent
        self._window = _Window(from_us)
        if self.sample.window_open_us is not None:
            self.sample = replace(self.sample, window_open_us=None)

    def _wanted(self, now: Now, outputs: Outputs) -> tuple[str | None, str | None]:
        """What is missing between the commanded and the confirmed state, and of which shot."""
        state, requested = self.sample.state, outputs.window_from_us is not None
        if self._drop_owed or (state is PanelState.INTEGRATING and not self._window.sent):
            return "drop", None
        if requested and not self._window.sent and state is PanelState.READY:
            return ("request" if outputs.window_shot_id else None), outputs.window_shot_id
        if outputs.prepare_panel and state is PanelState.IDLE:
            return "prepare", None
        if not (outputs.prepare_panel or requested) and state in (
            PanelState.PREPARING,
            PanelState.READY,
        ):
            return "standby", None
        if not requested and state in SENDS_AGAIN:
            return self._memory.wanted(now, outputs) or (None, None)
        return None, None

    def _may_leave(self, now: Now, do: str) -> bool:
        """The same again only at the poll's pace; over an outstanding question by rank."""
        if self._question is None:
            return do != self._last_do or now.reached(self._asked_us + self._poll_us())
        if do == "drop":
            return self._question.do != "drop"
        return self._question.do == "status"

    def _ask(self, now: Now, do: str, shot: str | None = None) -> None:
        self._n += 1
        self._memory.asked(now, do, shot)
        self._question = Question(n=self._n, do=do, shot=shot)
        self._window.sent = self._window.sent or do == "request"  # once, whatever comes of it
        self._last_do = do
        self._asked_us = now.t_us
        self._overtaken = False
        try:
            self._link.write(now.t_us, encode(self._question))
        except LinkError as error:
            self.down = str(error)  # a lost question: its time-out is the pace of the retry

    def _wake(self, now: Now) -> None:
        """Deadlines that this write has set or moved, for whom `read` was too early."""
        if self._question is not None:
            now.wake(self._asked_us + self._timeout_us)
        if self.sample.state is not PanelState.DISCONNECTED:
            now.wake(self._heard_us + self._limit_us())

    def _active(self) -> bool:
        outputs = self._outputs
        asked = outputs.prepare_panel or outputs.window_from_us is not None or self._drop_owed
        return asked or self.sample.state in AT_WORK

    def _poll_us(self) -> int:
        waits_for_window = self._window.from_us is not None and not self._window.over
        if waits_for_window or self.sample.state is PanelState.INTEGRATING:
            return self._fast_poll_us
        return self._active_poll_us if self._active() else self._idle_poll_us

    def _limit_us(self) -> int:
        return self._active_limit_us if self._active() else self._idle_limit_us
