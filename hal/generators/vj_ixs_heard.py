"""An IXS conversation told in words: what each frame is, and a reply by the question before it.

Queries are answered with the bare value, so a reply alone says nothing ("1" to STAT, or to
WSTAT?). It is read as the answer to the newest question that it can be one of.
"""

from __future__ import annotations

from collections import deque

from hal.generators.vj_ixs_wire import (
    ECHO,
    FAULT_BITS,
    Monitor,
    Question,
    Reply,
    parse_command,
    parse_reply,
    take_text,
)
from hal.listener import WireListener
from hal.ports import Direction, Kind, WireError

OPEN_COUNT_MAX = 4  # questions that may wait for a reply: OFF overtakes one

# What an argument means where it is no quantity, and what such a command does.
_SAYS = {
    "ENBL0": (Kind.STOP, "stop"),
    "ENBL1": (Kind.BEAM, "start"),
    "OT00000": (Kind.ACT, "exposure time 0: continuous"),
    "WDOG00": (Kind.ACT, "watchdog off"),
    "WDOG01": (Kind.ACT, "watchdog on"),
    "CLR": (Kind.ACT, "clear faults"),
    "CDEN0": (Kind.ACT, "temperature cut-off off"),
    "CDEN1": (Kind.ACT, "temperature cut-off on"),
    "BUZZENBL0": (Kind.ACT, "buzzer off"),
    "BUZZENBL1": (Kind.ACT, "buzzer on"),
    "LRAD0": (Kind.ACT, "leakage warning off"),
    "LRAD1": (Kind.ACT, "leakage warning on"),
}
# 2.3: ENBL0 answers a stop, a start that was refused, and one that entered pre-warning.
_ECHOES = {"ENBL1": "started", "ENBL0": "not on: stopped, refused, or in pre-warning"}


def listener() -> WireListener[str]:
    return WireListener(_Wire())


class _Wire:
    def __init__(self) -> None:
        self._open: deque[Question] = deque(maxlen=OPEN_COUNT_MAX)

    def take(self, direction: Direction, buffer: bytearray) -> str | None:
        return take_text(buffer)

    def tell(self, direction: Direction, frame: str) -> tuple[Kind, str]:
        if direction is Direction.FROM_DEVICE:
            return Kind.REPLY, self._reply(frame)
        question = parse_command(frame)
        self._open.append(question)
        return _asked(question)

    def _reply(self, text: str) -> str:
        for question in reversed(self._open):
            try:
                reply = parse_reply(question.command, text)
            except WireError:
                continue
            while self._open.popleft() is not question:
                pass  # older ones were never answered
            return _answered(question, text, reply)
        parse_command(text)  # an echo says itself what it is; else WireError
        return f"{_echo(text)}, and nobody was heard to ask"


def _asked(question: Question) -> tuple[Kind, str]:
    """The kind and the words of a command."""
    command = question.command
    if question.text in _SAYS:
        return _SAYS[question.text]
    if command.form is not ECHO:
        return Kind.QUERY, f"{_short(question)}?"
    kind, short = Kind.SET, _short(question)
    if command.name == "WDOG":
        kind, short = Kind.ACT, "watchdog time"
    return kind, f"{short} {(question.count or 0) / command.per_unit:g} {command.unit}"


def _short(question: Question) -> str:
    return question.command.meaning.split(",")[0].rstrip("?")


def _echo(text: str) -> str:
    return _ECHOES.get(text) or f"echo: {_asked(parse_command(text))[1]}"


def _answered(question: Question, text: str, reply: Reply) -> str:
    command = question.command
    if command.form is ECHO:
        differs = "" if text == question.text or text in _ECHOES else ", which is not as asked"
        return _echo(text) + differs
    if isinstance(reply, Monitor):
        return (
            f"monitor: {reply.kv:.1f} kV, {reply.ma:.4f} mA, oil {reply.oil_c:.1f} C, "
            f"filament {reply.filament_a:.3f} A, battery {reply.battery_v:.2f} V"
        )
    if isinstance(reply, tuple):
        named = [f"bit {at} {FAULT_BITS[at].name}" for at, is_set in enumerate(reply) if is_set]
        return f"faults: {', '.join(named) or 'none'}"
    if command.form.pattern == "[01]":
        return f"{_short(question)}? {'yes' if reply else 'no'}"
    return f"{_short(question)}: {reply} {command.unit}".rstrip()
