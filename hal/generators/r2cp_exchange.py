"""R2CP's conversation: one question at a time, OFF beside it, and what the peer says unasked.

`hal/exchange.py` fits devices that only answer. Here the hub asks too (heart-beat), events come at
any time and share their function with answers, and the one certain thing is MSG_PROCESSED: it names
the sequence number of its question. So:

- A GET is answered when MSG_PROCESSED of its sequence and an ANSWER of its entry have both come, in
  either order (4.2: the order is not stated). The newest ANSWER counts. An error needs no ANSWER.
- An ANSWER has no number: a late one could pass for the next of its entry. After a time-out only
  a question of another entry (protocol version) is asked, and nothing else believed before its
  answer: TCP keeps the order, so whatever was late has come by then.
- OFF leaves at once, whatever is outstanding, with a number of its own.
- The link is read whether or not somebody waits, so no frame is cut by a pause.

Unverified against a device.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hal.generators.r2cp_block import Assembler
from hal.generators.r2cp_wire import (
    ANSWER,
    ASK_VERSION,
    ENTRIES,
    GET,
    PROCESSED,
    SEQUENCE_MAX,
    Frame,
    Function,
    Node,
    Question,
    encode,
    frames_of,
    heartbeat_answer,
    processed,
)
from hal.now import Now
from hal.ports import ByteLink, LinkError, WireError


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`data`: of a GET that was answered OK, else b""."""

    question: Question
    result_code: int
    data: bytes
    asked_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """MSG_PROCESSED of a question that nobody waits for, such as an OFF."""

    sequence_index: int
    result_code: int


Heard = Answer | Processed | Frame  # a Frame: an event, or an answer to nothing


@dataclass(slots=True, kw_only=True)
class _Pending:
    question: Question
    sequence_index: int
    asked_us: int
    deadline_us: int
    result_code: int | None = None
    data: bytes | None = None


class Exchange:
    def __init__(self, link: ByteLink, *, timeout_us: int) -> None:
        self._link = link
        self._timeout_us = timeout_us
        self._buffer = bytearray()
        self._blocks = Assembler()
        self._sequence_index = 0
        self._pending: _Pending | None = None
        self._distrust = False  # after a time-out, until the protocol version has been told
        self.timeouts_count = 0
        self.garbage_count = 0
        self.down: str | None = None  # the port's own failure, for people

    @property
    def free(self) -> bool:
        """A question asked now would leave now."""
        return self._pending is None and not self._distrust

    @property
    def waiting_for(self) -> Question | None:
        return None if self._pending is None else self._pending.question

    def read(self, now: Now) -> list[Heard]:
        """What has arrived, in order; heart-beats are answered here."""
        try:
            self._buffer += self._link.read(now.t_us)
            self.down = None
        except LinkError as error:
            self._lose(str(error))
            return []
        heard = [said for frame in self._frames() for said in self._hear(now, frame)]
        if self._pending is not None and now.reached(self._pending.deadline_us):
            self._expire(now)
        return heard

    def ask(self, now: Now, question: Question) -> None:
        """Sends if `free`; ON is never queued."""
        if self.free:
            self._send(now, question)

    def settle(self, now: Now) -> None:
        """After a time-out: the question whose answer can't be mistaken."""
        if self._distrust and self._pending is None:
            self._send(now, ASK_VERSION)

    def overtake(self, now: Now, question: Question) -> int:
        """Leaves at once; its MSG_PROCESSED comes as `Processed` with the number given back."""
        return self._put(now, question)

    def tell(self, now: Now, question: Question) -> None:
        """An EVENT of ours: nothing answers it (4.2)."""
        self._put(now, question)

    def start_anew(self) -> None:
        """After a silence longer than any reply takes: nothing late can come any more."""
        self._pending = None
        self._distrust = False

    # --- out

    def _send(self, now: Now, question: Question) -> None:
        sequence_index = self._put(now, question)
        self._pending = _Pending(
            question=question,
            sequence_index=sequence_index,
            asked_us=now.t_us,
            deadline_us=now.t_us + self._timeout_us,
        )
        now.wake(self._pending.deadline_us)

    def _put(self, now: Now, question: Question) -> int:
        self._sequence_index = self._sequence_index % SEQUENCE_MAX + 1
        self._write(now, question.framed(self._sequence_index))
        return self._sequence_index

    def _write(self, now: Now, frame: Frame) -> None:
        try:
            self._link.write(now.t_us, encode(frame))
        except LinkError as error:
            self.down = str(error)

    # --- in

    def _frames(self) -> Iterator[Frame]:
        """Those for us; BLOCK packets put together."""
        before_bytes = len(self._buffer)
        taken_bytes = 0
        for frame in frames_of(self._buffer):
            taken_bytes += 8 + len(frame.data)
            if frame.target not in (Node.APPLICATION, Node.BROADCAST):
                continue
            try:
                whole = self._blocks.add(frame) if frame.function is Function.BLOCK else frame
            except WireError:
                self.garbage_count += 1
                continue
            if whole is not None:
                yield whole
        self.garbage_count += before_bytes - taken_bytes != len(self._buffer)

    def _hear(self, now: Now, frame: Frame) -> Iterator[Heard]:
        if frame.function is PROCESSED:
            yield from self._hear_processed(frame)
        elif frame.function is GET and frame.is_of("heartbeat"):
            self._beat(now, frame)
        elif frame.function is ANSWER:
            yield from self._hear_answer(frame)

    def _hear_processed(self, frame: Frame) -> Iterator[Heard]:
        try:
            sequence_index, result_code = processed(frame)
        except WireError:
            self.garbage_count += 1
            return
        pending = self._pending
        if pending is None or sequence_index != pending.sequence_index:
            yield Processed(sequence_index=sequence_index, result_code=result_code)
        elif (frame.index, frame.subindex) == ENTRIES[pending.question.name].address:
            pending.result_code = result_code
            yield from self._complete(pending)

    def _hear_answer(self, frame: Frame) -> Iterator[Heard]:
        pending = self._pending
        awaited = pending is not None and pending.question.function is GET
        if pending is None or not awaited or not frame.is_of(pending.question.name):
            yield frame
            return
        pending.data = frame.data
        yield from self._complete(pending)

    def _complete(self, pending: _Pending) -> Iterator[Heard]:
        if pending.result_code is None:
            return
        needs_data = pending.question.function is GET and pending.result_code == 0
        # "all messages" is answered by events, and by nothing where none is active (4.5)
        if needs_data and pending.data is None and pending.question.name != "messages":
            return
        self._pending = None
        if pending.question is ASK_VERSION:
            self._distrust = False
        yield Answer(
            question=pending.question,
            result_code=pending.result_code,
            data=(pending.data or b"") if needs_data else b"",
            asked_us=pending.asked_us,
        )

    def _beat(self, now: Now, frame: Frame) -> None:
        self._sequence_index = self._sequence_index % SEQUENCE_MAX + 1
        self._write(
            now,
            Frame(
                sequence_index=self._sequence_index, target=frame.issuer, issuer=Node.APPLICATION,
                index=frame.index, subindex=frame.subindex, function=ANSWER,
                data=heartbeat_answer(frame),
            ),
        )  # fmt: skip

    # --- trouble

    def _expire(self, now: Now) -> None:
        """A header that garbage has faked may have swallowed the answer: look again behind it."""
        self.timeouts_count += 1
        self._pending = None
        self._distrust = True
        del self._buffer[:1]
        now.wake(now.t_us)

    def _lose(self, why: str) -> None:
        """A new connection knows nothing of the old one's questions."""
        self.down = why
        self._buffer.clear()
        self._pending = None
        self._distrust = False
