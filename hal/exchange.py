"""One question at a time over a byte link.

The rules, for every request-reply device:
- One question is outstanding; the next waits for its reply or its time-out.
- OFF pre-empts: its bytes leave at once even while a reply is outstanding, and leave
  again after that reply (or its time-out), because a device without a buffer may have
  missed the first. ON is never queued: `ask` sends now or returns False.
- After a time-out nothing received is believed until a reply that can't be mistaken
  has come (`resync_question`), or, where a protocol has none, until the longest reply
  time has passed in silence.
- Any valid reply proves the link alive (`heard_us`); how old a *status* is, is the
  driver's second, separate limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hal.now import Now
from hal.ports import ByteLink, LinkError, WireError

Q = TypeVar("Q")
R = TypeVar("R")
Q_contra = TypeVar("Q_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Codec(Protocol[Q_contra, R_co]):
    """Bytes both ways for one protocol, client side."""

    def encode(self, question: Q_contra) -> bytes: ...

    def decode(self, question: Q_contra, buffer: bytearray) -> R_co | None:
        """The reply to `question`, consumed from `buffer`; None = more bytes are needed.

        Raises WireError after it has consumed what can't be that reply.
        """


@dataclass(frozen=True, slots=True)
class Answer(Generic[Q, R]):
    question: Q
    reply: R
    asked_us: int


class Exchange(Generic[Q, R]):
    def __init__(
        self,
        link: ByteLink,
        codec: Codec[Q, R],
        *,
        timeout_us: int,
        longest_reply_us: int = 0,
        resync_question: Q | None = None,
    ) -> None:
        """`longest_reply_us` is the silence after which a late reply can no longer come."""
        self._link = link
        self._codec = codec
        self._timeout_us = timeout_us
        self._longest_reply_us = longest_reply_us
        self._resync_question = resync_question
        self._buffer = bytearray()
        self._question: Q | None = None
        self._asked_us = 0
        self._deadline_us = 0
        self._owed: tuple[Q, int] | None = None  # OFF that must leave again
        self._quiet_until_us: int | None = None  # not None: nothing received is believed
        self._resyncing = False
        self.heard_us: int | None = None
        self.timeouts_count = 0
        self.garbage_count = 0
        self.unasked = b""  # in the newest read: what answered nothing
        self.down: str | None = None  # the port's own failure, for people

    @property
    def free(self) -> bool:
        """A question asked now would leave now."""
        return self._question is None and self._quiet_until_us is None and self._owed is None

    @property
    def waiting_for(self) -> Q | None:
        return self._question

    def read(self, now: Now) -> Answer[Q, R] | None:
        """Take what has arrived; the answer to the outstanding question, if it is complete."""
        self.unasked = b""
        try:
            data = self._link.read(now.t_us)
            self.down = None
        except LinkError as error:
            self.down = str(error)
            data = b""
        self._buffer += data
        if self._question is None:
            self._discard(len(self._buffer))
            self._end_quiet(now)
            return None
        answer = self._decode()
        if answer is None and now.reached(self._deadline_us):
            self._expire(now)
        return answer

    def ask(self, now: Now, question: Q, timeout_us: int | None = None) -> bool:
        """Send `question` in this poll, or not at all (False)."""
        if not self.free:
            return False
        self._send(now, question, timeout_us or self._timeout_us)
        return True

    def preempt(self, now: Now, question: Q, timeout_us: int | None = None) -> None:
        """Send OFF at once; where a reply is outstanding, OFF leaves again after it.

        It doesn't end the distrust after a time-out: that waits for the resync question.
        """
        if self._question is None:
            if self._owed is not None:  # the device may answer both: the stray one is not believed
                self._quiet_until_us = now.t_us + self._longest_reply_us
            self._owed = None
            self._send(now, question, timeout_us or self._timeout_us)
        elif self._owed is None and self._question != question:
            self._put(now, question)
            self._owed = (question, timeout_us or self._timeout_us)

    def settle(self, now: Now) -> None:
        """Send what is owed: OFF after the reply that it overtook, then the resync question."""
        if self._question is not None:
            return
        if self._owed is not None:
            self.preempt(now, *self._owed)
        elif self._quiet_until_us is not None and self._resync_question is not None:
            self._resyncing = True
            self._send(now, self._resync_question, self._timeout_us)

    def _end_quiet(self, now: Now) -> None:
        if self._quiet_until_us is None or self._resync_question is not None:
            return
        if now.reached(self._quiet_until_us):
            self._quiet_until_us = None

    def _send(self, now: Now, question: Q, timeout_us: int) -> None:
        self._buffer.clear()
        self._question = question
        self._asked_us = now.t_us
        self._deadline_us = now.t_us + timeout_us
        now.wake(self._deadline_us)
        self._put(now, question)

    def _put(self, now: Now, question: Q) -> None:
        try:
            self._link.write(now.t_us, self._codec.encode(question))
        except LinkError as error:
            self.down = str(error)

    def _decode(self) -> Answer[Q, R] | None:
        assert self._question is not None
        while self._buffer:
            before = bytes(self._buffer)
            try:
                reply = self._codec.decode(self._question, self._buffer)
            except WireError:
                self.garbage_count += 1
                if len(self._buffer) == len(before):
                    self._buffer.clear()  # a codec that drops nothing would stop us for ever
                self.unasked += before[: len(before) - len(self._buffer)]
                continue
            if reply is None:
                return None
            answer = Answer(self._question, reply, self._asked_us)
            self._question = None
            self._discard(len(self._buffer))  # it can't be the reply to what was not asked yet
            self.heard_us = self._asked_us
            if self._resyncing:
                self._resyncing = False
                self._quiet_until_us = None
            return answer
        return None

    def _expire(self, now: Now) -> None:
        self.timeouts_count += 1
        self._question = None
        self._resyncing = False
        self._buffer.clear()
        self._quiet_until_us = now.t_us + self._longest_reply_us
        now.wake(now.t_us)

    def _discard(self, count_bytes: int) -> None:
        if count_bytes:
            self.garbage_count += 1
            self.unasked += bytes(self._buffer)
            self._buffer.clear()
