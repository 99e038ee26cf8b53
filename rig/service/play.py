"""A device played from a tap: each command is answered as the device answered it then.

Honest for what was asked while the tap ran, and silent for everything else. A command asked
several times gets its replies in their order, then the last one again; the delays are the
recorded ones. A Modbus TCP reply gets the transaction number of the new question.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from hal.now import NEVER_US, since
from hal.ports import Direction
from rig.service.tape import Passage

TRANSACTION_BYTES = 2  # in front of each Modbus TCP frame


@dataclass(slots=True)
class _Told:
    """The replies to one command: (delay, bytes)."""

    replies: deque[tuple[int, bytes]] = field(default_factory=deque)

    def next(self) -> tuple[int, bytes]:
        return self.replies.popleft() if len(self.replies) > 1 else self.replies[0]


class Played:
    """A ByteLink. `numbered`: the frames are Modbus TCP's."""

    def __init__(self, passages: Sequence[Passage], link: str, *, numbered: bool) -> None:
        self._numbered = numbered
        self._known: dict[bytes, _Told] = {}
        self._leaving: deque[tuple[int, bytes]] = deque()
        self._learn([one for one in passages if one.link == link and one.data])

    def _learn(self, passages: Sequence[Passage]) -> None:
        asked: Passage | None = None
        replied_us, reply = 0, b""
        for passage in passages:
            if passage.direction is Direction.TO_DEVICE:
                self._keep(asked, replied_us, reply)
                asked, reply = passage, b""
            else:
                reply += passage.data
                replied_us = passage.t_us
        self._keep(asked, replied_us, reply)

    def _keep(self, asked: Passage | None, replied_us: int, reply: bytes) -> None:
        if asked is not None and reply:
            told = self._known.setdefault(self._key(asked.data), _Told())
            told.replies.append((replied_us - asked.t_us, reply))

    def _key(self, data: bytes) -> bytes:
        return data[TRANSACTION_BYTES:] if self._numbered else data

    def read(self, t_us: int) -> bytes:
        data = b""
        while self._leaving and since(t_us, self._leaving[0][0]):
            data += self._leaving.popleft()[1]
        return data

    def write(self, t_us: int, data: bytes) -> None:
        told = self._known.get(self._key(data))
        if told is None:
            return
        delay_us, reply = told.next()
        if self._numbered:
            reply = data[:TRANSACTION_BYTES] + reply[TRANSACTION_BYTES:]
        self._leaving.append((t_us + delay_us, reply))

    def arrival_us(self) -> int:
        return self._leaving[0][0] if self._leaving else NEVER_US

    def close(self) -> None:
        return None
