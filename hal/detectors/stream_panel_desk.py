"""The panel's side of the wire in `stream_panel_wire.py`: answers for a panel model."""

from __future__ import annotations

from collections import deque

from hal.detectors.stream_panel_wire import (
    REPORTED,
    Event,
    Question,
    Refused,
    Reply,
    Status,
    decode_question,
    encode,
)
from hal.frame_codec import encode_end, encode_image, encode_start
from hal.now import Now
from hal.ports import PanelModel, WireError

REFUSAL = encode(Refused(error="busy"))  # for hal.frames.RouterLink
USED_COUNT = 256
DISARMED = ("init", "idle", "error")


class Desk:
    """Answers for a panel model. Control and data leave apart: `poll` and `frames`."""

    def __init__(self, model: PanelModel, *, reply_us: int = 500, frame_format: str = "<") -> None:
        """`frame_format`: one of hal.frame_codec.FORMATS."""
        self.consumer_present = True  # False: nobody takes frames, so nothing is prepared
        self.garbage_count = 0
        self._model = model
        self._reply_us = reply_us
        self._frame_format = frame_format
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
                leaving.append(encode_start(frame.series, self._frame_format))
                self._series, self._series_start_us = frame.series, frame.start_us
            leaving.append(encode_image(frame, self._series_start_us, self._frame_format))
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
            battery_pct=self._model.battery_pct(t_us),
        )

    def _end_series(self) -> list[list[bytes]]:
        series, self._series = self._series, None
        return [] if series is None else [encode_end(series, self._frame_format)]
