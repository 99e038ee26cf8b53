"""A flat panel with its control on ZeroMQ DEALER/ROUTER and its frames on PUSH/PULL.

The control messages are SYNTHETIC: no maker publishes such a wire, so this one is ours.
What they mean follows public handshakes: request and window are the Canon CXDI-80C's
RX_REQ and RX_COM (protocols.md 9.1.1), the state names are the project's (9.3). Frames
are Stream V1 (hal/stream_v1.py). Not checked against any panel.

One JSON object is one message of one part:

    controller -> panel   {"v":2,"n":7,"do":"request","shot":"S-1"}
    panel -> controller   {"v":2,"n":7,"ok":true,"state":"preparing","panel":"SIM-PANEL-1",
                           "window_ms":5000,"frames":0,"kept":[],"error":null}
    panel, on each change {"v":2,"event":"state","k":3,"state":"readout","panel":...,
                           "window_ms":...,"frames":...,"kept":[...]}
    panel, to a second controller {"v":2,"event":"refused","error":"busy"}

`n` counts the questions and `k` the changes; both only go up. T_PREP, request to window,
is 0-300 ms. A request dropped before its window opened opens none, and a panel like
Canon's then needs about 1 s before it works again: the state says so ("recover").

A frame stays in the panel's memory until `free` names its shot, and `resend` sends it once
more; `kept` lists what is there, the oldest first. Version 1 had no memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hal.frame_memory import FrameMemory
from hal.now import Now
from hal.ports import FrameLink, LinkError, PanelCapabilities, PanelModel, WireError
from hal.stream_v1 import ID_CHARS, encode_end, encode_image, encode_start
from hal.strict_json import MAX_INTEGER, dumps, flag, integer, loads, shown, text, texts
from hal.types import Outputs, PanelSample, PanelState

# --- 1 commands ---------------------------------------------------------------------------------

COMMANDS = {  # what the panel may answer in `error`, beside "fault"
    "identify": (),
    "status": (),
    "prepare": ("no_consumer",),  # frames would have nowhere to go
    "standby": (),
    "request": ("not_ready", "shot_used"),  # needs "shot"
    "drop": (),  # ends the request, and with it the window; always granted
    "resend": ("no_consumer", "not_kept", "working"),  # needs "shot"
    "free": (),  # needs "shot"; always granted
}
NAMES_SHOT = ("request", "resend", "free")
ERRORS = ("fault", *dict.fromkeys(error for errors in COMMANDS.values() for error in errors))
VERSION = 2
CONTROL_BYTES = 4096
KEPT_COUNT_MAX = 32
WINDOW_MS_MAX = 60_000

# --- 2 encode and decode ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    n: int
    do: str
    shot: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    state: PanelState
    panel_id: str
    window_ms: int
    frame_count: int
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    n: int  # of the question
    ok: bool
    status: Status
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    k: int
    status: Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The panel serves another controller."""

    error: str


def encode(message: Question | Reply | Event | Refused) -> list[bytes]:
    fields: dict[str, Any] = {"v": VERSION}
    match message:
        case Question(n=n, do=do, shot=shot):
            fields |= {"n": n, "do": do} | ({} if shot is None else {"shot": shot})
        case Reply(n=n, ok=ok, status=status, error=error):
            fields |= {"n": n, "ok": ok, **_status_fields(status), "error": error}
        case Event(k=k, status=status):
            fields |= {"event": "state", "k": k, **_status_fields(status)}
        case _:
            fields |= {"event": "refused", "error": message.error}
    return [dumps(fields)]


def decode_question(message: Sequence[bytes]) -> Question:
    fields = _fields(message)
    do = text(fields, "do", 16)
    if do not in COMMANDS:
        raise WireError(f"do: must be one of {', '.join(COMMANDS)}, got {do!r}")
    needs_shot = do in NAMES_SHOT
    _only(fields, {"v", "n", "do"} | ({"shot"} if needs_shot else set()))
    return Question(
        n=integer(fields, "n", 1, MAX_INTEGER),
        do=do,
        shot=text(fields, "shot", ID_CHARS) if needs_shot else None,
    )


def decode_answer(message: Sequence[bytes]) -> Reply | Event | Refused:
    fields = _fields(message)
    if "event" not in fields:
        return _decode_reply(fields)
    if fields["event"] == "refused":
        _only(fields, {"v", "event", "error"})
        return Refused(error=text(fields, "error", 40))
    if fields["event"] != "state":
        raise WireError(f"event: must be state or refused, got {shown(fields['event'])}")
    _only(fields, {"v", "event", "k", *STATUS_KEYS})
    return Event(k=integer(fields, "k", 1, MAX_INTEGER), status=_decode_status(fields))


def _decode_reply(fields: dict[str, Any]) -> Reply:
    _only(fields, {"v", "n", "ok", "error", *STATUS_KEYS})
    ok, error = flag(fields, "ok"), fields["error"]
    if (error is None) != ok or error not in (None, *ERRORS):
        raise WireError(f"error: must be null if ok, else one of {ERRORS}, got {shown(error)}")
    n = integer(fields, "n", 1, MAX_INTEGER)
    return Reply(n=n, ok=ok, status=_decode_status(fields), error=error)


STATUS_KEYS = ("state", "panel", "window_ms", "frames", "kept")
REPORTED = {state.value: state for state in PanelState if state is not PanelState.DISCONNECTED}


def _status_fields(status: Status) -> dict[str, Any]:
    return {
        "state": status.state.value,
        "panel": status.panel_id,
        "window_ms": status.window_ms,
        "frames": status.frame_count,
        "kept": list(status.kept),
    }


def _decode_status(fields: dict[str, Any]) -> Status:
    state = text(fields, "state", 16)
    if state not in REPORTED:
        raise WireError(f"state: must be one of {', '.join(REPORTED)}, got {state!r}")
    return Status(
        state=REPORTED[state],
        panel_id=text(fields, "panel", ID_CHARS),
        window_ms=integer(fields, "window_ms", 1, WINDOW_MS_MAX),
        frame_count=integer(fields, "frames", 0, MAX_INTEGER),
        kept=texts(fields, "kept", KEPT_COUNT_MAX, ID_CHARS),
    )


def _fields(message: Sequence[bytes]) -> dict[str, Any]:
    if len(message) != 1:
        raise WireError(f"a control message has 1 part, got {len(message)}")
    fields = loads(message[0], max_bytes=CONTROL_BYTES)
    integer(fields, "v", VERSION, VERSION)
    return fields


def _only(fields: dict[str, Any], keys: set[str]) -> None:
    if fields.keys() != keys:
        raise WireError(f"keys must be {sorted(keys)}, got {shown(sorted(fields))}")


# --- 3 the unit's side --------------------------------------------------------------------------

LOST_COUNT = 3  # replies in a row
WINDOW_REQUEST_US = 300_000  # T_PREP, Canon CXDI-80C (protocols.md 9.1.1)
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


# --- 4 the panel's side -------------------------------------------------------------------------

REFUSAL = encode(Refused(error="busy"))  # for hal.frames.RouterLink
USED_COUNT = 256
DISARMED = ("init", "idle", "error")


class Desk:
    """Answers for a panel model. Control and data leave apart: `poll` and `frames`."""

    def __init__(self, model: PanelModel, *, reply_us: int = 500) -> None:
        self.consumer_present = True  # False: nobody takes frames, so nothing is prepared
        self.garbage_count = 0
        self._model = model
        self._reply_us = reply_us
        self._replies: deque[tuple[int, Question, str | None]] = deque()  # (leaves, ...)
        self._used: deque[str] = deque(maxlen=USED_COUNT)
        self._state: str | None = None
        self._event_k = 0
        self._series: int | None = None  # started and not ended
        self._series_start_us = 0

    def receive(self, now: Now, message: list[bytes]) -> None:
        """Take one control message; `poll` follows in the same scan."""
        self._model.advance(now)
        try:
            question = decode_question(message)
        except WireError:
            self.garbage_count += 1
            return
        error = self._obey(now.t_us, question)
        self._replies.append((now.t_us + self._reply_us, question, error))

    def poll(self, now: Now) -> list[list[bytes]]:
        """Control messages that leave now."""
        self._model.advance(now)
        leaving = self._event(now.t_us)
        while self._replies and now.reached(self._replies[0][0]):
            _, question, error = self._replies.popleft()
            status = self._status(now.t_us)
            leaving.append(
                encode(Reply(n=question.n, ok=error is None, status=status, error=error))
            )
        return leaving

    def frames(self, now: Now) -> list[list[bytes]]:
        """Data messages that leave now; a series ends when the panel is no longer armed."""
        self._model.advance(now)
        leaving: list[list[bytes]] = []
        for frame in self._model.take_frames(now.t_us):
            if frame.series != self._series:
                leaving += self._end_series()
                leaving.append(encode_start(frame.series))
                self._series, self._series_start_us = frame.series, frame.start_us
            leaving.append(encode_image(frame, self._series_start_us))
        if self._model.state(now.t_us) in DISARMED:
            leaving += self._end_series()
        return leaving

    def _obey(self, t_us: int, question: Question) -> str | None:
        """Do it; or the reason why not."""
        state = self._model.state(t_us)
        match question.do:
            case "drop":
                self._model.drop_request(t_us)
            case "standby":
                self._model.standby(t_us)
            case "prepare" | "request" if state == "error":
                return "fault"
            case "prepare" if not self.consumer_present:
                return "no_consumer"
            case "prepare":
                self._model.prepare(t_us)
            case "request":
                return self._request(t_us, state, question.shot or "")
            case "resend":
                return self._resend(t_us, state, question.shot or "")
            case "free":
                self._model.free(t_us, question.shot or "")
        return None

    def _request(self, t_us: int, state: str, shot: str) -> str | None:
        if shot in self._used:
            return "shot_used"  # a repeated message must not open a second window
        if state != "ready":
            return "not_ready"
        self._used.append(shot)
        self._model.request_window(t_us, shot)
        return None

    def _resend(self, t_us: int, state: str, shot: str) -> str | None:
        if not self.consumer_present:
            return "no_consumer"
        if state in ("integrating", "readout"):
            return "working"
        return None if self._model.resend(t_us, shot) else "not_kept"

    def _event(self, t_us: int) -> list[list[bytes]]:
        before, self._state = self._state, self._model.state(t_us)
        if before in (None, self._state):
            return []
        self._event_k += 1
        return [encode(Event(k=self._event_k, status=self._status(t_us)))]

    def _status(self, t_us: int) -> Status:
        return Status(
            state=REPORTED[self._model.state(t_us)],
            panel_id=self._model.panel_id,
            window_ms=self._model.window_us() // 1000,
            frame_count=self._model.frame_count(),
            kept=self._model.kept(),
        )

    def _end_series(self) -> list[list[bytes]]:
        series, self._series = self._series, None
        return [] if series is None else [encode_end(series)]
