"""A tap in a byte link: hands on what passes, and tells it."""

from __future__ import annotations

from typing import Protocol

from hal.ports import ByteLink, LinkError


class TapSink(Protocol):
    def got(self, link: str, data: bytes) -> None: ...

    def sent(self, link: str, data: bytes) -> None: ...

    def failed(self, link: str, why: str) -> None:
        """A read raised LinkError."""

    def not_sent(self, link: str, why: str) -> None:
        """A write raised LinkError: that of the latest `sent`."""


class TapLink:
    """Hands on everything, and tells a sink what passed: the layer that replay substitutes."""

    def __init__(self, name: str, link: ByteLink, sink: TapSink) -> None:
        self.name = name
        self._link = link
        self._sink = sink

    def read(self, t_us: int) -> bytes:
        try:
            data = self._link.read(t_us)
        except LinkError as error:
            self._sink.failed(self.name, str(error))
            raise
        if data:
            self._sink.got(self.name, data)
        return data

    def write(self, t_us: int, data: bytes) -> None:
        self._sink.sent(self.name, data)
        try:
            self._link.write(t_us, data)
        except LinkError as error:
            self._sink.not_sent(self.name, str(error))
            raise

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()
