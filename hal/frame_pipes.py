"""Message links in memory, and a tap: the model rung's half of `hal.frames`, without ZeroMQ."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import ceil
from typing import Protocol

from hal.now import NEVER_US, Now, latest_us
from hal.ports import ByteLink, FrameLink, LinkError


class _Lane:
    """One direction: whole messages under way, one behind the other."""

    def __init__(self, latency_us: int, bytes_per_us: float | None) -> None:
        self._latency_us = latency_us
        self._bytes_per_us = bytes_per_us
        self._under_way: deque[tuple[int, list[bytes]]] = deque()  # (arrives, message)
        self._free_us = 0
        self.arrival_us = NEVER_US  # of the oldest message

    def put(self, t_us: int, message: list[bytes]) -> None:
        self._free_us = latest_us(t_us, self._free_us) + self._transfer_us(message)
        self._under_way.append((self._free_us + self._latency_us, list(message)))
        self.arrival_us = self._under_way[0][0]

    def take(self, t_us: int) -> list[list[bytes]]:
        now = Now(t_us)
        taken: list[list[bytes]] = []
        while now.reached(self.arrival_us):
            taken.append(self._under_way.popleft()[1])
            self.arrival_us = self._under_way[0][0] if self._under_way else NEVER_US
        return taken

    def _transfer_us(self, message: list[bytes]) -> int:
        if self._bytes_per_us is None:
            return 0
        return ceil(sum(len(part) for part in message) / self._bytes_per_us)


class PipeFrames:
    """One end of an in-memory message line."""

    has_peer = True

    def __init__(self, inbound: _Lane, outbound: _Lane) -> None:
        self._inbound = inbound
        self._outbound = outbound

    def read(self, t_us: int) -> list[list[bytes]]:
        return self._inbound.take(t_us)

    def write(self, t_us: int, message: list[bytes]) -> None:
        self._outbound.put(t_us, message)

    def arrival_us(self) -> int:
        return self._inbound.arrival_us

    def close(self) -> None:
        return None


def frame_pipe(
    *, latency_us: int = 0, bytes_per_us: float | None = None
) -> tuple[PipeFrames, PipeFrames]:
    """The two ends; 125 bytes/us is gigabit Ethernet without its headers, None no pacing."""
    there, back = _Lane(latency_us, bytes_per_us), _Lane(latency_us, bytes_per_us)
    return PipeFrames(there, back), PipeFrames(back, there)


class FrameSink(Protocol):
    def got_message(self, link: str, message: list[bytes]) -> None: ...

    def sent_message(self, link: str, message: list[bytes]) -> None: ...

    def failed(self, link: str, why: str) -> None: ...

    def not_sent(self, link: str, why: str) -> None: ...


class TapFrames:
    """Hands on everything, and tells a sink what passed (the message form of `TapLink`)."""

    def __init__(self, name: str, link: FrameLink, sink: FrameSink) -> None:
        self.name = name
        self._link = link
        self._sink = sink

    def read(self, t_us: int) -> Sequence[list[bytes]]:
        try:
            messages = self._link.read(t_us)
        except LinkError as error:
            self._sink.failed(self.name, str(error))
            raise
        for message in messages:
            self._sink.got_message(self.name, message)
        return messages

    def write(self, t_us: int, message: list[bytes]) -> None:
        self._sink.sent_message(self.name, message)
        try:
            self._link.write(t_us, message)
        except LinkError as error:
            self._sink.not_sent(self.name, str(error))
            raise

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()


class BytesOfFrames:
    """A `ByteLink` over a `FrameLink`: for a panel that is spoken to in bytes."""

    def __init__(self, link: FrameLink) -> None:
        self._link = link

    def read(self, t_us: int) -> bytes:
        return b"".join(part for message in self._link.read(t_us) for part in message)

    def write(self, t_us: int, data: bytes) -> None:
        self._link.write(t_us, [data])

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()


class FramesOfBytes:
    """The other way round: each read is one message, whatever the bytes in it are."""

    def __init__(self, link: ByteLink) -> None:
        self._link = link

    def read(self, t_us: int) -> Sequence[list[bytes]]:
        data = self._link.read(t_us)
        return [[data]] if data else []

    def write(self, t_us: int, message: list[bytes]) -> None:
        self._link.write(t_us, b"".join(message))

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()
