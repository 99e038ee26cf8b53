"""The scan: read all, decide, write all, record. Everything else happens elsewhere.

Wherever time comes from, `scan(t_us)` is called with it and reads no clock. With
`poll_all` every device is polled in every scan (wire, bench, replay); without it (model
rung) only those that are due: bytes have arrived, a command changed, or the time came
that the device asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory
from firmware_py.last_words import LastWords
from firmware_py.record import Recording
from firmware_py.trace import Line, Trace
from hal.now import NEVER_US, Now, since
from hal.ports import Collimator, DoseMeter, Generator, Panel, RecorderPort, RoomIO
from hal.types import Inputs, Outputs, RecorderSample, Requests, Shot, Technique


class Arrivals(Protocol):
    def arrival_us(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Devices:
    """The unit's drivers, and the links whose arrivals make each of them due."""

    room: RoomIO
    generator: Generator
    panel: Panel
    recorder: RecorderPort
    room_link: Arrivals
    generator_link: Arrivals
    panel_link: Arrivals
    recorder_link: Arrivals
    beside: Beside = field(default_factory=lambda: Beside())


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """What only some benches have."""

    collimator: Collimator | None = None
    collimator_link: Arrivals | None = None
    meter: DoseMeter | None = None
    meter_link: Arrivals | None = None

    def slots(self) -> Iterator[_Slot]:
        """Last in the scan: nobody waits for them to end a beam."""
        for device, link in (
            (self.collimator, self.collimator_link),
            (self.meter, self.meter_link),
        ):
            if device is not None and link is not None:
                yield _Slot(link, device.read, device.write)


class _Slot:
    """One device in the scan: when it wants to be polled next."""

    def __init__(
        self,
        link: Arrivals,
        read: Callable[[Now], object],
        write: Callable[[Now, Outputs], None],
    ) -> None:
        self.link = link
        self._read = read
        self._write = write
        self.next_us = 0
        self._was_read = False

    def due_us(self) -> int:
        return min(self.next_us, self.link.arrival_us())

    def read(self, t_us: int, *, poll_all: bool) -> None:
        self._was_read = poll_all or self.due_us() <= t_us  # us-compare: the scan's own schedule
        if self._was_read:
            now = Now(t_us)
            self._read(now)
            self.next_us = now.next_us

    def write(self, t_us: int, outputs: Outputs, *, changed: bool) -> None:
        if self._was_read or changed:
            now = Now(t_us)
            self._write(now, outputs)
            self.next_us = min(self.next_us, now.next_us)

    def make_safe(self, t_us: int, outputs: Outputs) -> list[Exception]:
        """Written even where the read fails; what failed, for whoever tells people."""
        found: list[Exception] = []
        try:
            self.read(t_us, poll_all=True)
        except Exception as error:
            found.append(error)
        try:
            self.write(t_us, outputs, changed=True)
        except Exception as error:
            found.append(error)
        return found


class Plan(Protocol):
    """A routine that is stepped by the scan: it programmes, a press starts."""

    def shot(self, now: Now, memory: Memory, inputs: Inputs) -> Shot | None: ...


class Unit:
    def __init__(
        self,
        devices: Devices,
        memory: Memory,
        recording: Recording | None = None,
        *,
        poll_all: bool = True,
        words: LastWords | None = None,
    ) -> None:
        """`words`: where it notes what counts if it dies."""
        self.memory = memory
        self.outputs = Outputs()
        self.trace = Trace()
        self.scan_count = 0
        self.inputs: Inputs | None = None
        self._devices = devices
        self._recording = recording
        self._poll_all = poll_all
        self._words = words
        self._requests = Requests()
        self._plan: Plan | None = None
        self._recorder_sample: RecorderSample | None = None  # the newest one recorded
        recorder = devices.recorder
        self._slots = (
            _Slot(devices.room_link, devices.room.read, devices.room.write),
            _Slot(devices.generator_link, devices.generator.read, devices.generator.write),
            _Slot(devices.panel_link, devices.panel.read, devices.panel.write),
            _Slot(
                devices.recorder_link,
                recorder.read,
                lambda now, outputs: recorder.write(
                    now, outputs.intent, outputs.report, outputs.kept
                ),
            ),
            *devices.beside.slots(),
        )
        self._links = tuple(slot.link for slot in self._slots)
        self._next_us = 0  # by what is known now; bytes may arrive before
        self._enabled_us = 0  # the latest scan that held or spared the enable relay

    def request(self, requests: Requests) -> None:
        """What people and programs outside the scan ask for, from the next scan on."""
        self._requests = requests
        self._next_us = 0

    def follow(self, plan: Plan) -> None:
        """From the next scan on the plan says which shot is programmed."""
        self._plan = plan
        self._next_us = 0

    @property
    def requests(self) -> Requests:
        return self._requests

    @property
    def record_trouble(self) -> OSError | None:
        """Why the record ends before the run does; the unit goes on without it."""
        return self._recording.stopped if self._recording else None

    def effective(self, technique: Technique) -> Technique:
        """As the generator can make it. Raises ValueError with field and range."""
        return self._devices.generator.effective(technique)

    def next_us(self) -> int:
        """If nothing else arrives, a scan before this time changes nothing."""
        return min(self._next_us, *[link.arrival_us() for link in self._links])

    def scan(self, t_us: int, late_us: int = 0) -> Sequence[Line]:
        if self._recording:
            self._recording.scan(t_us, late_us)
        inputs = self._read(t_us, late_us)
        self.memory, outputs = step(self.memory, inputs)
        if self._words:
            self._words.note(inputs, self.memory, outputs)  # before a byte of it leaves
        self._write(t_us, outputs)
        plan_us = self._ask_plan(t_us, inputs)
        self._next_us = min(outputs.next_us, plan_us, *[slot.next_us for slot in self._slots])
        self.inputs = inputs
        self.scan_count += 1
        if self._recording:
            self._recording.end_scan()
        return self.trace.scan(inputs, self.memory, self.outputs)

    def _ask_plan(self, t_us: int, inputs: Inputs) -> int:
        """Programme the next scan's shot; when the plan wants to look again, at the latest."""
        if self._plan is None:
            return NEVER_US
        now = Now(t_us)
        shot = self._plan.shot(now, self.memory, inputs)
        if shot != self._requests.shot:
            self._requests = replace(self._requests, shot=shot)
            return t_us
        return now.next_us

    def _read(self, t_us: int, late_us: int) -> Inputs:
        for slot in self._slots:
            slot.read(t_us, poll_all=self._poll_all)
        devices = self._devices
        if self._recording:
            self._note(self._recording)
        collimator, meter = devices.beside.collimator, devices.beside.meter
        return Inputs(
            t_us=t_us,
            room=devices.room.sample,
            generator=devices.generator.sample,
            panel=devices.panel.sample,
            recorder=devices.recorder.sample,
            geometry=collimator.sample if collimator else None,
            dose=meter.sample if meter else None,
            requests=self._requests,
            late_us=late_us,
        )

    def _note(self, recording: Recording) -> None:
        sample = self._devices.recorder.sample
        if sample is not self._recorder_sample:
            self._recorder_sample = sample
            recording.recorder(sample)
        if self.inputs is None or self.inputs.requests is not self._requests:
            recording.requests(self._requests)

    def _write(self, t_us: int, outputs: Outputs) -> None:
        changed = outputs != self.outputs
        if changed:
            self.outputs = outputs
        if outputs.enable or outputs.enable_lapse:
            self._enabled_us = t_us
        for slot in self._slots:
            slot.write(t_us, self.outputs, changed=changed)

    # --- the runner's last act

    def make_safe(self, t_us: int) -> Exception | None:
        """Drop everything, whatever the state; one device's bug keeps no other from its OFF.

        Returns the first bug, for people.
        """
        if self._recording:
            self._recording.scan(t_us, 0, safe=True)
        self.outputs = Outputs()
        found = [error for slot in self._slots for error in slot.make_safe(t_us, self.outputs)]
        self._next_us = 0
        if self._recording:
            self._recording.end_scan()
        return found[0] if found else None

    def is_safe(self, since_us: int) -> bool:
        """Proven by the devices: no beam since the last ON, and the enable relay open.

        `since_us`: when making safe began; an answer to an earlier OFF proves nothing.
        """
        generator, room = self._devices.generator.sample, self._devices.room.sample
        answered = generator.beam_on is None and since(generator.off_confirmed_us, since_us)
        opened = room.link_ok and room.enable_readback is False
        is_off = generator.beam_on is False or answered
        return is_off and opened and since(room.enable_taken_us, self._enabled_us + 1)


class NoArrivals:
    """For links whose arrivals are not known beforehand (wire, bench)."""

    def arrival_us(self) -> int:
        return NEVER_US
