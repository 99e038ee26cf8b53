"""The IXS wire: commands, fault bits, and frames both ways; no I/O, no time.

Modelled on the public firmware ICD SPC-P314 (R3 of 2018-04-03, R4 of 2023-10-10); not
checked against hardware. Section numbers are those of the project's protocol reference.
Frames are `STX text CR`: no checksum, no buffering, one command at a time. Set commands
echo mnemonic and value, queries return the bare value; no error reply is defined.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hal.ports import WireError

Dialect = Literal["R3", "R4"]

REPLY_US = 100_000  # 2.1: "less than 100 ms plus output ramp time"; typical units need 3 ms
RAMP_US = 500_000  # SPC-P366: rise time < 0.5 s to within 1 %

# --- 1 COMMANDS: section 2.3 [V] ------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitor:
    kv: float
    ma: float
    oil_c: float
    filament_a: float
    battery_v: float


Faults = tuple[bool, ...]
Reply = int | str | Monitor | Faults


@dataclass(frozen=True, slots=True)
class Form:
    """What a reply looks like: whole text, longest length, meaning."""

    pattern: str
    longest_bytes: int
    read: Callable[[re.Match[str]], Reply]


def _monitor(match: re.Match[str]) -> Monitor:
    kv, ma, oil, filament, battery = (int(field) for field in match.groups())
    return Monitor(
        kv=kv / 10, ma=ma / 10_000, oil_c=oil / 10, filament_a=filament / 1000,
        battery_v=battery / 100,
    )  # fmt: skip


ECHO = Form("", 0, lambda match: int(match[1]) if match.lastindex else match[0])
BIT = Form(r"[01]", 1, lambda match: int(match[0]))
TWO_DIGITS = Form(r"\d\d", 2, lambda match: int(match[0]))
OK = Form(r"OK", 2, lambda match: match[0])
MODEL = Form(r".{15}", 15, lambda match: match[0].strip())
SERIAL = Form(r".{13}", 13, lambda match: match[0].strip())
REVISION = Form(r"\w\d{3}", 4, lambda match: match[0])
HOURS = Form(r"\d{5} \d\d", 8, lambda match: match[0])
# The sign is R4's; both dialects and 11 or 12 bits are taken in either (2.2).
MONITOR = Form(r"(\d{4}) (\d{5}) ([+-]?\d{4}) (\d{4}) (\d{4})", 26, _monitor)
FAULTS = Form(
    r"[01]( [01]){10,11}", 23, lambda match: tuple(bit == "1" for bit in match[0].split())
)


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    meaning: str
    digits: int  # of the argument; 0 = takes none
    per_unit: int  # counts on the wire per unit
    unit: str
    maximum: int  # counts; kV and mA: SPC-P366
    form: Form
    dialects: str = "R3 R4"

    @property
    def reply_pattern(self) -> str:
        if self.form is not ECHO:
            return self.form.pattern
        return rf"{self.name}(\d{{{self.digits}}})" if self.digits else self.name

    @property
    def reply_bytes(self) -> int:
        return self.form.longest_bytes if self.form is not ECHO else len(self.name) + self.digits


_ROWS = (
    # name, meaning, digits, counts per unit, unit, most counts, reply
    Command("VP", "tube voltage", 4, 10, "kV", 1200, ECHO),
    Command("CP", "tube current", 5, 10_000, "mA", 10_000, ECHO),
    Command("OT", "exposure time, 0 = continuous", 5, 100, "s", 99_999, ECHO),
    Command("PTM", "pre-warning time", 2, 1, "s", 60, ECHO),
    Command("PTST", "pre-warning time?", 0, 1, "s", 0, TWO_DIGITS),
    Command("PSTAT", "in pre-warning?", 0, 1, "", 0, BIT),
    Command("ENBL", "1 start: has it started? 0 stop", 1, 1, "", 1, ECHO),
    Command("STAT", "X-ray on?", 0, 1, "", 0, BIT),
    Command("MON", "monitor", 0, 1, "", 0, MONITOR, "R3"),
    Command("MOD", "monitor, signed temperature", 0, 1, "", 0, MONITOR, "R4"),
    Command("FLT", "fault bits, 11", 0, 1, "", 0, FAULTS, "R3"),
    Command("FLD", "fault bits, 12", 0, 1, "", 0, FAULTS, "R4"),
    Command("CLR", "clear faults", 0, 1, "", 0, ECHO),
    Command("WDOG", "watchdog: 0 off, 1 on, 2-30 its time", 2, 1, "s", 30, ECHO),
    Command("WSTAT", "watchdog on?", 0, 1, "", 0, BIT),
    Command("WDTE", "keep-alive, does nothing", 0, 1, "", 0, OK),
    Command("MNUM", "model number", 0, 1, "", 0, MODEL),
    Command("SNUM", "serial number", 0, 1, "", 0, SERIAL),
    Command("FREV", "com port echo", 0, 1, "", 0, REVISION),
    Command("XTM", "X-ray-on time, hours and minutes", 0, 1, "", 0, HOURS),
    Command("BUZZENBL", "buzzer on or off", 1, 1, "", 1, ECHO),
    Command("BUZZENBLSTAT", "buzzer on?", 0, 1, "", 0, BIT),
    Command("CDEN", "temperature cut-off on or off", 1, 1, "", 1, ECHO, "R4"),
    Command("CDENSTAT", "temperature cut-off on?", 0, 1, "", 0, BIT, "R4"),
    Command("LRAD", "leakage warning, only while X-ray is on", 1, 1, "", 1, ECHO, "R4"),
)
COMMANDS = {command.name: command for command in _ROWS}


@dataclass(frozen=True, slots=True)
class FaultBit:
    name: str  # as the device model calls it (`GeneratorModel.fault_bits`)
    code: str  # of hal.faults
    shuts_down: bool  # HV off, and no start before CLR


FAULT_BITS = (  # section 2.4, bit 0 first
    FaultBit("duty_cycle", "GENERATOR_UNKNOWN", False),  # "not used on this model"
    FaultBit("over_voltage", "OVER_VOLTAGE", True),
    FaultBit("power_limit", "OVER_POWER", True),
    FaultBit("over_current", "OVER_CURRENT", True),
    FaultBit("arc", "ARC", False),  # a warning for 10 s; the fourth in 10 s latches, same bit
    FaultBit("over_temperature", "OVER_TEMPERATURE", True),
    FaultBit("anode_over_voltage", "OVER_VOLTAGE", True),
    FaultBit("cathode_over_voltage", "OVER_VOLTAGE", True),
    FaultBit("interlock_open", "INTERLOCK_OPEN", True),
    FaultBit("regulation", "REGULATION", True),
    FaultBit("battery_low", "BATTERY_LOW", True),
    FaultBit("under_temperature", "UNDER_TEMPERATURE", False),  # R4 only
)
INTERLOCK_BIT = 8

# --- 2 encode and decode, both ways -------------------------------------------------------------

STX, CR = 0x02, 0x0D
LONGEST_TEXT_BYTES = max(command.reply_bytes for command in _ROWS)  # R4's monitor: 26


@dataclass(frozen=True, slots=True)
class Question:
    command: Command
    count: int | None = None  # the argument as it stands on the wire

    @property
    def text(self) -> str:
        argument = "" if self.count is None else f"{self.count:0{self.command.digits}d}"
        return self.command.name + argument


def question(name: str, value: float | None = None) -> Question:
    """`value` in the command's unit; ValueError outside its range."""
    command = COMMANDS[name]
    if value is None:
        return Question(command)
    count = round(value * command.per_unit)
    if not 0 <= count <= command.maximum:
        most = command.maximum / command.per_unit
        raise ValueError(f"{name} must be 0-{most:g} {command.unit}, got {value!r}")
    return Question(command, count)


def frame(text: str) -> bytes:
    return bytes((STX, *text.encode("ascii"), CR))


def take_text(buffer: bytearray) -> str | None:
    """The next frame's text, consumed; None = more bytes are needed.

    Raises WireError after it has dropped what can't be a frame.
    """
    start = buffer.find(STX)
    if buffer and start != 0:
        raise _dropped(buffer, start if start > 0 else len(buffer), "bytes outside a frame")
    end, next_start = buffer.find(CR), buffer.find(STX, 1)
    if next_start > 0 and not 0 < end < next_start:
        raise _dropped(buffer, next_start, "a frame without end")
    so_far_bytes = end if end > 0 else len(buffer)
    if so_far_bytes > 1 + LONGEST_TEXT_BYTES:
        raise _dropped(buffer, end + 1 or len(buffer), "longer than any frame")
    if end < 0:
        return None
    text = bytes(buffer[1:end])
    if not all(0x20 <= byte <= 0x7E for byte in text):
        raise _dropped(buffer, end + 1, "bytes that are no text")
    del buffer[: end + 1]
    return text.decode("ascii")


def _dropped(buffer: bytearray, count_bytes: int, why: str) -> WireError:
    noise = bytes(buffer[:count_bytes])
    del buffer[:count_bytes]
    return WireError(f"{why}: {noise.hex(' ')}")


def parse_reply(command: Command, text: str) -> Reply:
    match = re.fullmatch(command.reply_pattern, text)
    if match is None:
        raise WireError(f"{text!r} is no reply to {command.name}")
    return command.form.read(match)


def parse_command(text: str) -> Question:
    """What a device reads; WireError for what the ICD doesn't define."""
    match = re.fullmatch(r"([A-Z]+)(\d*)", text)
    command = COMMANDS.get(match[1]) if match else None
    if match is None or command is None:
        raise WireError(f"{text!r} is no command")
    argument = match[2]
    widths = (1, 2) if command.name == "WDOG" else (command.digits,)
    if len(argument) not in widths or int(argument or 0) > command.maximum:
        raise WireError(f"{text!r}: {command.name} takes {command.digits} digits")
    return Question(command, int(argument) if argument else None)


class Codec:
    def encode(self, question: Question) -> bytes:
        return frame(question.text)

    def decode(self, question: Question, buffer: bytearray) -> Reply | None:
        text = take_text(buffer)
        return None if text is None else parse_reply(question.command, text)


ON, OFF = question("ENBL", 1), question("ENBL", 0)
STATUS, CLEAR, ALIVE = question("STAT"), question("CLR"), question("WDTE")
READ_MONITOR = {"R3": question("MON"), "R4": question("MOD")}
READ_FAULTS = {"R3": question("FLT"), "R4": question("FLD")}


def exchange_us(question: Question, baud: int) -> int:
    """Longest permitted question and reply: characters both ways and the ICD's reply time."""
    characters = len(question.text) + question.command.reply_bytes + 4  # STX and CR, twice
    ramp_us = RAMP_US if question == ON else 0
    return math.ceil(characters * 10e6 / baud) + REPLY_US + ramp_us
