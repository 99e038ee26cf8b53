"""Lines of text with a check behind them, question and answer: `$TEXT*hh` CR LF.

**Synthetic**: no serial protocol of a collimator's or a DAP meter's is public (protocols.md 8.3).
The frame is the well-known one of NMEA 0183: hh is the exclusive-or of the bytes between $ and *,
as two capital hex digits, so that each flipped bit of a value is seen. What the lines say stands
in the device's own file, as a table of `line_codec.Row`.
"""

from __future__ import annotations

from functools import reduce
from operator import xor

from hal.exchange import Answer, Exchange
from hal.line_codec import Ended, Line, LineCodec
from hal.now import Now
from hal.ports import ByteLink, Direction, WireError

TIMEOUT_US = 80_000  # 40 bytes at 19200 baud take 21 ms
SILENCE_US = 80_000  # after a time-out: an answer does not say which question it is of
LOST_AFTER_TIMEOUTS_COUNT = 2
LONGEST_BYTES = 40


def check(text: str) -> str:
    return f"{reduce(xor, text.encode('ascii'), 0):02X}"


class Summed:
    """`hal.line_codec.Framing`: a line whose check is wrong is refused, and the next is sound."""

    def __init__(self) -> None:
        self._ended = Ended(start=b"$", end=b"\r\n", longest_bytes=LONGEST_BYTES)

    def frame(self, text: str) -> bytes:
        return self._ended.frame(f"{text}*{check(text)}")

    def take(self, buffer: bytearray) -> str | None:
        line = self._ended.take(buffer)
        if line is None:
            return None
        text, star, said = line.rpartition("*")
        if not star or said != check(text):
            raise WireError(f"{line!r}: its check is wrong")
        return text


class _Asking:
    """`hal.exchange.Codec`: a question is the name of a row, its answer a line that fits it."""

    def __init__(self, table: LineCodec) -> None:
        self._table = table

    def encode(self, question: str) -> bytes:
        return self._table.encode(self._table.row(Direction.TO_DEVICE, question))

    def decode(self, question: str, buffer: bytearray) -> Line | None:
        text = self._table.take(Direction.FROM_DEVICE, buffer)
        return None if text is None else self._table.read(Direction.FROM_DEVICE, text, question)


class Asker:
    """One question at a time. `lost`: two in a row were not answered, or the port is gone."""

    def __init__(self, link: ByteLink, table: LineCodec) -> None:
        self._exchange: Exchange[str, Line] = Exchange(
            link, _Asking(table), timeout_us=TIMEOUT_US, longest_reply_us=SILENCE_US
        )
        self._asked_us: int | None = None
        self._silent_count = 0

    @property
    def lost(self) -> bool:
        down = self._exchange.down is not None
        return down or self._silent_count >= LOST_AFTER_TIMEOUTS_COUNT

    def read(self, now: Now) -> Answer[str, Line] | None:
        before_count = self._exchange.timeouts_count
        answer = self._exchange.read(now)
        if answer is not None:
            self._silent_count = 0
        elif self._exchange.timeouts_count != before_count:
            self._silent_count += 1
        return answer

    def ask(self, now: Now, question: str, *, every_us: int = 0) -> bool:
        """Sent now, or not at all; no sooner than `every_us` after the question before."""
        self._exchange.settle(now)
        if not self._exchange.free:
            return False
        if self._asked_us is not None and not now.reached(self._asked_us + every_us):
            return False
        self._asked_us = now.t_us
        return self._exchange.ask(now, question)


class Answers:
    """The device's side: lines in, answers out after `reply_us`; a wrong line gets none."""

    def __init__(self, table: LineCodec, reply_us: int) -> None:
        self._table, self._reply_us = table, reply_us
        self._buffer = bytearray()
        self._due: list[tuple[int, bytes]] = []

    def receive(self, data: bytes) -> list[str]:
        """The names of the questions that `data` completes."""
        self._buffer += data
        found: list[str] = []
        while True:
            try:
                text = self._table.take(Direction.TO_DEVICE, self._buffer)
                if text is None:
                    return found
                found.append(self._table.read(Direction.TO_DEVICE, text).row.name)
            except WireError:
                continue

    def say(self, now: Now, name: str, *values: float | str) -> None:
        row = self._table.row(Direction.FROM_DEVICE, name)
        self._due.append((now.t_us + self._reply_us, self._table.encode(row, *values)))
        now.wake(now.t_us + self._reply_us)

    def poll(self, now: Now) -> bytes:
        if not self._due or not now.reached(self._due[0][0]):
            return b""
        return self._due.pop(0)[1]
