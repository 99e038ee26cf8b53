"""A driver and a desk on one modelled line, in virtual time, with hands on the wire."""

from __future__ import annotations

from collections.abc import Callable

from hal.links import PipeLink, pipe
from hal.now import NEVER_US, Now
from hal.ports import ByteLink, Desk, Generator, LinkError
from hal.types import GeneratorSample, Outputs
from tests.fake_generator import FakeModel

SCAN_US = 5_000


class Tapped:
    """The unit's end of the line: remembers what was sent, and can be pulled out."""

    def __init__(self, link: PipeLink) -> None:
        self._link = link
        self.sent: list[tuple[int, bytes]] = []
        self.gone = ""

    def read(self, t_us: int) -> bytes:
        if self.gone:
            raise LinkError(self.gone)
        return self._link.read(t_us)

    def write(self, t_us: int, data: bytes) -> None:
        if self.gone:
            raise LinkError(self.gone)
        self.sent.append((t_us, data))
        self._link.write(t_us, data)

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()


class GeneratorBench:
    """`edit` sees each reply before it leaves, `hear` each command before it is obeyed."""

    def __init__(
        self,
        make_driver: Callable[[ByteLink], Generator],
        make_desk: Callable[[FakeModel], Desk],
        *,
        baud: int = 9600,
        now_type: type[Now] = Now,
    ) -> None:
        unit_end, self.device_end = pipe(baud=baud)
        self.link = Tapped(unit_end)
        self.model = FakeModel()
        self.driver = make_driver(self.link)
        self.desk = make_desk(self.model)
        self.t_us = 0
        self.next_us = 0
        self.outputs = Outputs()
        self.edit: Callable[[bytes], bytes] = lambda reply: reply
        self.hear: Callable[[bytes], bytes] = lambda command: command
        self._now_type = now_type
        self._desk_next_us = NEVER_US

    @property
    def sent(self) -> list[tuple[int, bytes]]:
        return self.link.sent

    def sent_times(self, data: bytes) -> list[int]:
        """When these bytes left; a frame may also carry a number of its own."""
        return [t_us for t_us, sent in self.sent if data in sent]

    def left_now(self, data: bytes) -> bool:
        """The newest that left holds these bytes, and left in this scan."""
        t_us, sent = self.sent[-1]
        return t_us == self.t_us and data in sent

    def scan(self, outputs: Outputs | None = None, *, when_due: bool = False) -> GeneratorSample:
        """One scan 5 ms later; `when_due`: the driver is polled only if it must be."""
        self.t_us += SCAN_US
        self._run_device()
        is_new = outputs is not None and outputs != self.outputs
        self.outputs = outputs if outputs is not None else self.outputs
        wake_us = min(self.next_us, self.link.arrival_us())
        if not when_due or is_new or wake_us - self.t_us <= 0:
            now = self._now_type(self.t_us)
            self.driver.read(now)
            self.driver.write(now, self.outputs)
            self.next_us = now.next_us
        return self.driver.sample

    def run(self, duration_us: int, outputs: Outputs | None = None) -> GeneratorSample:
        for _ in range(duration_us // SCAN_US):
            self.scan(outputs)
        return self.driver.sample

    def run_until(
        self, wanted: Callable[[GeneratorSample], object], outputs: Outputs | None = None
    ) -> GeneratorSample:
        """Scans until the sample is as wanted; 5 s at most."""
        for _ in range(1000):
            if wanted(self.scan(outputs)):
                return self.driver.sample
        raise AssertionError(f"never came: {self.driver.sample}")

    def _run_device(self) -> None:
        """The device lives between the scans: each of its events at its own microsecond."""
        while True:
            event_us = min(self._desk_next_us, self.device_end.arrival_us())
            if event_us - self.t_us > 0:
                return
            now = Now(event_us)
            if self.device_end.arrival_us() == event_us:  # a whole command, never a part
                self.desk.receive(now, self.hear(self.device_end.read(event_us)))
            reply = self.desk.poll(now)
            if reply:
                self.device_end.write(event_us, self.edit(reply))
            self._desk_next_us = now.next_us
