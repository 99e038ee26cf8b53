"""A conversation cut into frames, each told in one line: what a tap shows.

A protocol gives two functions: `take` cuts the next frame from a buffer, and `tell` says what it
is. The bytes are kept here, so that none is lost and nothing that a peer sends can raise.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from hal.ports import Direction, Heard, Kind, WireError

F = TypeVar("F")


class Wire(Protocol[F]):
    """One protocol, both directions; it may remember questions to read their replies."""

    def take(self, direction: Direction, buffer: bytearray) -> F | None:
        """The next frame, consumed; None = more bytes are needed.

        Raises WireError after it has consumed what can't be a frame: always from the front, and
        at least one byte.
        """

    def tell(self, direction: Direction, frame: F) -> tuple[Kind, str]:
        """WireError for a frame that the protocol's tables do not have."""


class WireListener(Generic[F]):
    """A `hal.ports.Listener` over one `Wire`."""

    def __init__(self, wire: Wire[F]) -> None:
        self._wire = wire
        self._waiting = {direction: bytearray() for direction in Direction}

    def feed(self, direction: Direction, t_us: int, data: bytes) -> list[Heard]:
        buffer = self._waiting[direction]
        buffer += data
        everything, heard = bytes(buffer), []
        while buffer:
            start = len(everything) - len(buffer)
            found = self._next(direction, buffer)
            if found is None:
                break
            raw = everything[start : len(everything) - len(buffer)]
            kind, text = found
            heard.append(Heard(t_us=t_us, direction=direction, raw=raw, kind=kind, text=text))
        return heard

    def _next(self, direction: Direction, buffer: bytearray) -> tuple[Kind, str] | None:
        try:
            frame = self._wire.take(direction, buffer)
        except WireError as error:
            return Kind.NOISE, str(error)
        if frame is None:
            return None
        try:
            return self._wire.tell(direction, frame)
        except WireError as error:
            return Kind.UNKNOWN, f"unknown: {error}"

    def rest(self, t_us: int) -> list[Heard]:
        """Its first byte begins no frame after all; another may begin behind it."""
        return [heard for direction in Direction for heard in self._given_up(direction, t_us)]

    def _given_up(self, direction: Direction, t_us: int) -> list[Heard]:
        heard: list[Heard] = []
        noise, buffer = b"", self._waiting[direction]
        while buffer:
            noise += bytes((buffer.pop(0),))
            behind = self.feed(direction, t_us, b"")
            if behind or not buffer:
                text = f"unfinished: {noise.hex(' ')}"
                heard.append(
                    Heard(t_us=t_us, direction=direction, raw=noise, kind=Kind.NOISE, text=text)
                )
                heard += behind
                noise = b""
        return heard
