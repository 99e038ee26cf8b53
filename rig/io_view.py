"""The room's contacts and outputs for people: a table that lives on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hal.types import CONTACTS, Outputs, RoomSample
from rig.service.expected import as_expected, expected
from rig.service.pins import OUTPUTS, TITLES, Pin

if TYPE_CHECKING:
    from rich.table import Table

IS = {  # closed, open
    "stage_1": ("pressed", "open"),
    "stage_2": ("pressed", "open"),
    "door": ("closed", "OPEN"),
    "estop": ("pulled out", "PRESSED"),
    "chain": ("closed", "OPEN"),
    "key": ("on", "OFF"),
    "reset": ("pressed", "open"),
    "lamp_current": ("flows", "none"),
} | dict.fromkeys(OUTPUTS, ("ON", "off"))
ALONE = {  # what may be tested; never two at a time, so never enable and contactor together
    "ready_lamp": Outputs(ready_lamp=True),
    "beam_lamp": Outputs(beam_lamp=True),
    "buzzer": Outputs(buzzer=True),
    "enable": Outputs(enable=True),
    "contactor": Outputs(contactor=True),
}
HEADINGS = ("pin", "terminal", "contact", "is", "expected", "", "last change")
JUDGED = {True: "ok", False: "NOT OK", None: ""}
LIVE_S = 0.1
Row = tuple[str, ...]


class Contacts:
    """What each contact is, what it should be, and how long ago it changed while we looked."""

    def __init__(self, pins: Mapping[str, Pin]) -> None:
        self._pins = pins
        self._changed_s: dict[str, float] = {}
        self._found: dict[str, bool] = {}

    def take(self, sample: RoomSample | Mapping[str, Any]) -> None:
        found = plain(sample)
        for name, closed in found.items():
            if self._found and self._found[name] is not closed:
                self._changed_s[name] = time.monotonic()
        self._found = found

    def rows(self, coils: Mapping[str, bool | None], state: str = "") -> list[Row]:
        """`state`: of the unit that runs; "" = none does."""
        wanted = expected(state)
        found: dict[str, bool | None] = {**self._found, **{n: coils.get(n) for n in OUTPUTS}}
        rows: list[Row] = []
        for name, pin in self._pins.items():
            closed = found.get(name)
            good = JUDGED[as_expected(closed, wanted[name])]
            told = (
                word(name, closed),
                word(name, wanted[name]) if wanted[name] is not None else "",
            )
            rows.append((pin.place, pin.terminal, TITLES[name], *told, good, self._age(name)))
        return rows

    def _age(self, name: str) -> str:
        at_s = self._changed_s.get(name)
        return "" if at_s is None else f"{time.monotonic() - at_s:.1f} s ago"


def word(name: str, closed: bool | None) -> str:
    return "not known" if closed is None else IS[name][0 if closed else 1]


def plain(sample: RoomSample | Mapping[str, Any]) -> dict[str, bool]:
    if isinstance(sample, RoomSample):
        return {name: getattr(sample, name) for name in CONTACTS}
    return {name: bool(sample[name]) for name in CONTACTS}


def facts(
    pins: Mapping[str, Pin], found: Mapping[str, bool | None], state: str
) -> list[dict[str, Any]]:
    """For programs: each contact and output with its pin, value and what it should be."""
    wanted = expected(state)
    return [
        {
            "name": name, "pin": pin.place, "terminal": pin.terminal, "closed": found.get(name),
            "expected": wanted[name], "as_expected": as_expected(found.get(name), wanted[name]),
        }
        for name, pin in pins.items()
    ]  # fmt: skip


def live(title: str, rows: Callable[[], Sequence[Row]]) -> None:
    """Redraw until KeyboardInterrupt; `rows` also polls the room."""
    from rich.console import Console  # 112 ms
    from rich.live import Live

    with Live(_table(title, rows()), console=Console(), refresh_per_second=10) as shown:
        drawn_s = time.monotonic()
        while True:
            found = rows()
            if time.monotonic() - drawn_s > LIVE_S:
                drawn_s = time.monotonic()
                shown.update(_table(title, found))


def _table(title: str, rows: Sequence[Row]) -> Table:
    from rich.table import Table

    table = Table(title=title, title_justify="left", caption="Ctrl-C ends it")
    for heading in HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row, style="bold" if row[5] == JUDGED[False] else None)
    return table


def on_terminal() -> bool:
    return sys.stdout.isatty()
