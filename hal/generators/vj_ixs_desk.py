"""The device's side of the IXS wire: answers, delays, dialect. Physics and timers are the model's.

Modelled on the public firmware ICD SPC-P314. Where the ICD is silent this desk chooses, and
each choice is *synthetic*:
- an unknown, malformed or refused command gets no reply (the ICD defines no error reply);
- a unit of one dialect doesn't know the other's commands (whether MOD units also take MON
  is not known);
- no buffering: a command that comes while another's reply is due is lost, and feeds nothing;
- but ENBL0 is honoured at once at any time. During ENBL1's ramp it takes ENBL1's place: one
  reply comes, ENBL0's;
- ENBL1's own reply comes after the ramp; "not started" comes without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hal.generators.vj_ixs_wire import (
    FAULT_BITS,
    OFF,
    ON,
    Dialect,
    Question,
    frame,
    parse_command,
    take_text,
)
from hal.now import Now
from hal.ports import GeneratorModel, WireError

SWITCHES = ("BUZZENBL", "CDEN", "LRAD")  # known to the protocol; nothing in the model follows them


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    at_us: int
    text: str
    is_start: bool


class Desk:
    """`wrong_echo` and its neighbours are faults of a device; each does nothing when empty."""

    def __init__(
        self, model: GeneratorModel, *, dialect: Dialect = "R3", reply_us: int = 3_000
    ) -> None:
        """`reply_us`: command complete -> first byte of the reply; the ICD allows 100 ms."""
        self._model = model
        self._dialect = dialect
        self._reply_us = reply_us
        self._buffer = bytearray()
        self._due: list[Due] = []
        self._kept = ""  # with `late_replies`: what the next command will get
        self._switches = {"BUZZENBL": 1, "CDEN": 0, "LRAD": 0}
        self.wrong_echo = ""  # the echo of this set command is one off in its last digit (F15)
        self.deaf_to = ""  # this command gets no reply and does nothing (F11)
        self.late_replies = False  # each command gets the reply to the one before it (F16)
        self.status_stuck = ""  # STAT always answers this digit
        self.wrong_serial = ""  # SNUM answers this (F26)

    def receive(self, now: Now, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            try:
                text = take_text(self._buffer)
                if text is None:
                    return
                self._obey(now, parse_command(text), text)
            except WireError:
                continue

    def poll(self, now: Now) -> bytes:
        leaving = [due for due in self._due if now.reached(due.at_us)]
        self._due = [due for due in self._due if due not in leaving]
        return b"".join(frame(due.text) for due in leaving)

    def _obey(self, now: Now, question: Question, text: str) -> None:
        name = question.command.name
        busy = any(not now.reached(due.at_us) for due in self._due)
        if self._dialect not in question.command.dialects or (busy and question != OFF):
            return
        if name == self.deaf_to:
            return
        self._model.command_seen(now.t_us)
        if name == "ENBL":
            self._enable(now, question)
        elif name in self._SET:
            self._SET[name](self._model, now.t_us, question.count or 0)
            self._reply(now, self._echo(question, text))
        elif name in self._SHOW:
            self._reply(now, self._shown(name, now.t_us))
        else:
            self._rest(now, question, text)

    def _echo(self, question: Question, text: str) -> str:
        wrong = question.command.name == self.wrong_echo and question.count is not None
        return f"{text[:-1]}{(int(text[-1]) + 1) % 10}" if wrong else text

    def _shown(self, name: str, t_us: int) -> str:
        if name == "STAT" and self.status_stuck:
            return self.status_stuck
        if name == "SNUM" and self.wrong_serial:
            return f"{self.wrong_serial:13.13}"
        return self._SHOW[name](self._model, t_us)

    def _enable(self, now: Now, question: Question) -> None:
        if question != ON:
            self._due = [due for due in self._due if not due.is_start]
            self._model.stop(now.t_us)
            self._reply(now, OFF.text)
        elif self._model.start(now.t_us):
            self._reply(now, ON.text, after_us=self._model.ramp_us(), is_start=True)
        else:
            self._reply(now, OFF.text, is_start=True)

    def _rest(self, now: Now, question: Question, text: str) -> None:
        name = question.command.name
        if name in ("MON", "MOD"):
            self._reply(now, monitor_text(self._model, now.t_us, signed=name == "MOD"))
        elif name in ("FLT", "FLD"):
            self._reply(now, faults_text(self._model, now.t_us, count=11 + (name == "FLD")))
        elif name in SWITCHES:
            if name != "LRAD" or self._model.beam_on(now.t_us):
                self._switches[name] = question.count or 0
                self._reply(now, text)
        else:
            self._reply(now, str(self._switches[name.removesuffix("STAT")]))

    def _reply(self, now: Now, text: str, *, after_us: int = 0, is_start: bool = False) -> None:
        if self.late_replies:
            text, self._kept = self._kept, text
            if not text:
                return
        at_us = max([now.t_us + self._reply_us + after_us, *(due.at_us for due in self._due)])
        self._due.append(Due(at_us=at_us, text=text, is_start=is_start))
        now.wake(at_us)

    # Set commands are echoed as they came, queries answered with the bare value (2.3).
    _SET: dict[str, Callable[[GeneratorModel, int, int], None]] = {  # noqa: RUF012 (a constant)
        "VP": lambda model, t_us, count: model.set_kv(t_us, count / 10),
        "CP": lambda model, t_us, count: model.set_ma(t_us, count / 10_000),
        "OT": lambda model, t_us, count: model.set_time_us(t_us, count * 10_000 or None),
        "PTM": lambda model, t_us, count: model.set_prewarning_us(t_us, count * 1_000_000),
        "CLR": lambda model, t_us, _count: model.clear_faults(t_us),
        "WDOG": lambda model, t_us, count: set_watchdog(model, t_us, count),
    }
    _SHOW: dict[str, Callable[[GeneratorModel, int], str]] = {  # noqa: RUF012 (a constant)
        "STAT": lambda model, t_us: f"{model.beam_on(t_us):d}",
        "PSTAT": lambda model, t_us: f"{model.in_prewarning(t_us):d}",
        "PTST": lambda model, _t_us: f"{model.prewarning_us() // 1_000_000:02d}",
        "WSTAT": lambda model, _t_us: f"{model.watchdog_on():d}",
        "WDTE": lambda _model, _t_us: "OK",
        "MNUM": lambda model, _t_us: f"{model.model_number:15.15}",
        "SNUM": lambda model, _t_us: f"{model.serial_number:13.13}",
        "FREV": lambda _model, _t_us: "2000",
        "XTM": lambda model, _t_us: hours_text(model.on_time_s()),
    }


def set_watchdog(model: GeneratorModel, t_us: int, count: int) -> None:
    if count in (0, 1):
        model.set_watchdog(t_us, on=count == 1)
    else:
        model.set_watchdog(t_us, on=model.watchdog_on(), limit_us=count * 1_000_000)


def monitor_text(model: GeneratorModel, t_us: int, *, signed: bool) -> str:
    """`vvvv ccccc [s]tttt ffff bbbb`; a value that leaves its field shows the field's end."""
    reading = model.reading(t_us)
    oil = round(reading.oil_c * 10)
    oil_text = f"{oil:+05d}" if signed else f"{_held(oil, 4):04d}"
    return (
        f"{_held(reading.kv * 10, 4):04d} {_held(reading.ma * 10_000, 5):05d} {oil_text} "
        f"{_held(reading.filament_a * 1000, 4):04d} {_held(reading.battery_v * 100, 4):04d}"
    )


def _held(value: float, digits: int) -> int:
    most: int = 10**digits - 1
    return max(0, min(most, round(value)))


def faults_text(model: GeneratorModel, t_us: int, *, count: int) -> str:
    names = model.fault_bits(t_us)
    return " ".join(f"{bit.name in names:d}" for bit in FAULT_BITS[:count])


def hours_text(on_time_s: float) -> str:
    minutes = int(on_time_s // 60)
    return f"{minutes // 60:05d} {minutes % 60:02d}"
