"""PTW MULTIDOS, the device's side: answers, delays, refusals. What it measures is the model's.

Modelled on the public manual D177.131.2/0. Where it is silent this desk chooses, and each choice
is *synthetic*: the block check (see multidos_wire.py), 20 ms to an answer, E02 for STA in rate
mode (the manual's example), a question that comes while another's answer is due is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hal.meters.multidos_wire import TELEGRAMS, Data, data_text, encode, take_line
from hal.now import Now
from hal.ports import WireError

REPLY_US = 20_000
ZEROING_US = 28_000_000


class Measuring(Protocol):
    """What stands behind the desk. `unit`: as DU tells it, such as Gy."""

    identity: str  # "3.10" and the unit's word, as PTW tells it
    serial: str  # six characters
    unit: str

    def data(self, t_us: int) -> Data: ...

    def key(self, t_us: int, word: str) -> bool:
        """RES, STA, HLD, INT, NUL, M0, M1; False: not in this context (E02)."""


@dataclass(frozen=True, slots=True)
class _Due:
    at_us: int
    text: str


class Desk:
    def __init__(self, model: Measuring) -> None:
        self._model = model
        self._buffer = bytearray()
        self._due: _Due | None = None
        self.in_menu = False  # every order is refused: E03

    def receive(self, now: Now, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            try:
                line = take_line(self._buffer)
            except WireError:
                continue
            if line is None:
                return
            if self._due is None:
                self._answer(now, line)

    def poll(self, now: Now) -> bytes:
        if self._due is None or not now.reached(self._due.at_us):
            return b""
        text, self._due = self._due.text, None
        return encode(text)

    def _answer(self, now: Now, line: str) -> None:
        delay_us = ZEROING_US if line == "NUL" and not self.in_menu else REPLY_US
        self._due = _Due(now.t_us + delay_us, self._reply(now.t_us, line))
        now.wake(self._due.at_us)

    def _reply(self, t_us: int, line: str) -> str:
        shown = {
            "PTW": f"MULTIDOS {self._model.identity}",
            "SER": f"SER{self._model.serial}",
            "DU": f"DU{self._model.unit}",
        }
        if line in shown:
            return shown[line]
        if line == "D":
            return data_text(self._model.data(t_us))
        if line == "S":
            return f"S{self._model.data(t_us).status}"
        if line not in TELEGRAMS:
            return "E01"
        if self.in_menu:
            return "E03"
        return line if self._model.key(t_us, line) else "E02"
