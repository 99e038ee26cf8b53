"""EXAMPLE, the device's side: answers and their delay. Physics and timers are the model's.

**Synthetic**, like the device. What this desk chooses where a manual would be silent:
- an unknown or malformed line gets no reply;
- no buffering: a line that comes while another's reply is due is lost, and feeds nothing;
- but STOP is honoured at once, at any time, and takes the place of a START that ramps up;
- a START that is refused is answered at once.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.line_codec import Line
from hal.now import Now
from hal.ports import GeneratorModel, WireError
from tools.example_generator import CODEC, FAULTS, FROM, OFF, TO


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    at_us: int
    data: bytes
    is_start: bool


class Desk:
    def __init__(self, model: GeneratorModel, *, reply_us: int = 3_000) -> None:
        """`reply_us`: line complete -> first byte of the reply."""
        self._model = model
        self._reply_us = reply_us
        self._buffer = bytearray()
        self._due: list[Due] = []

    def receive(self, now: Now, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            try:
                text = CODEC.take(TO, self._buffer)
                if text is None:
                    return
                self._obey(now, CODEC.read(TO, text))
            except WireError:
                continue

    def poll(self, now: Now) -> bytes:
        leaving = [due for due in self._due if now.reached(due.at_us)]
        self._due = [due for due in self._due if due not in leaving]
        return b"".join(due.data for due in leaving)

    def _obey(self, now: Now, line: Line) -> None:
        if line != OFF and any(not now.reached(due.at_us) for due in self._due):
            return
        self._model.command_seen(now.t_us)
        name = line.row.name
        if name == "status?":
            self._reply(now, "status", *self._status(now.t_us))
        elif name == "identity?":
            words = f"{self._model.model_number} {self._model.serial_number}"
            self._reply(now, "identity", words)
        elif name == "start":
            self._start(now)
        else:
            self._set(now.t_us, name, line.values)
            self._reply(now, f"echo: {name}", *line.values)

    def _start(self, now: Now) -> None:
        if self._model.start(now.t_us):
            self._reply(now, "echo: start", after_us=self._model.ramp_us())
        else:
            self._reply(now, "refused")

    def _set(self, t_us: int, name: str, values: tuple[float | str, ...]) -> None:
        value = float(values[0]) if values else 0.0
        match name:
            case "voltage":
                self._model.set_kv(t_us, value)
            case "current":
                self._model.set_ma(t_us, value)
            case "exposure time":
                self._model.set_time_us(t_us, round(value * 1000))
            case "watchdog":
                self._model.set_watchdog(t_us, on=True, limit_us=round(value * 1_000_000))
            case "clear faults":
                self._model.clear_faults(t_us)
            case "stop":
                self._due = [due for due in self._due if not due.is_start]
                self._model.stop(t_us)

    def _status(self, t_us: int) -> tuple[float | str, ...]:
        """Beam, interlock, fault bits, kV, mA; a value that leaves its field shows the end."""
        reading, names = self._model.reading(t_us), self._model.fault_bits(t_us)
        bits = sum(1 << bit for bit, row in enumerate(FAULTS) if row[0] in names)
        return (
            f"{self._model.beam_on(t_us):d}",
            f"{'interlock_open' not in names:d}",
            bits,
            min(max(reading.kv, 0.0), 120.0),
            min(max(reading.ma, 0.0), 10.0),
        )

    def _reply(self, now: Now, name: str, *values: float | str, after_us: int = 0) -> None:
        at_us = max([now.t_us + self._reply_us + after_us, *(due.at_us for due in self._due)])
        data = CODEC.encode(CODEC.row(FROM, name), *values)
        self._due.append(Due(at_us=at_us, data=data, is_start=name == "echo: start"))
        now.wake(at_us)
