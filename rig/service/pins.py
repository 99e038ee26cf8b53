"""Where a contact or an output is: address in the unit's I/O map, and this bench's terminal.

Addresses are the design's (hard-wired chain, I/O map); terminal labels are the bench file's
`[terminals]`. A contact is named the same way everywhere: door (input 2, X1:3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hal.types import CONTACTS

TITLES = {
    "stage_1": "handswitch stage 1",
    "stage_2": "handswitch stage 2",
    "door": "door",
    "estop": "emergency stop",
    "chain": "safety chain",
    "key": "key switch",
    "reset": "reset button",
    "lamp_current": "beam lamp current",
    "ready_lamp": "ready lamp",
    "beam_lamp": "beam lamp",
    "buzzer": "buzzer",
    "enable": "enable relay",
    "contactor": "contactor",
    "prep": "PREP line",
    "expose": "EXPOSE line",
}
OUTPUTS = ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor", "prep", "expose")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    name: str
    kind: str  # input | coil
    address: int
    terminal: str = ""  # "" = the bench file names none

    @property
    def place(self) -> str:
        return f"{self.kind} {self.address}"

    @property
    def told(self) -> str:
        where = ", ".join(filter(None, (self.place, self.terminal)))
        return f"{TITLES[self.name]} ({where})"


def pins(terminals: Mapping[str, str]) -> dict[str, Pin]:
    """By name: contacts first, then outputs, each in the order of its addresses."""
    kinds = (("input", CONTACTS), ("coil", OUTPUTS))
    return {
        name: Pin(name=name, kind=kind, address=address, terminal=terminals.get(name, ""))
        for kind, names in kinds
        for address, name in enumerate(names)
    }
