"""The room's contacts and outputs for people: a table that lives on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from hal.types import Outputs, RoomSample

if TYPE_CHECKING:
    from rich.table import Table

# The unit's I/O map (design.md, section 4): discrete inputs from 0, coils from 0.
CONTACTS = (
    ("stage_1", "handswitch stage 1", "pressed", "open"),
    ("stage_2", "handswitch stage 2", "pressed", "open"),
    ("door", "door", "closed", "OPEN"),
    ("estop", "emergency stop", "pulled out", "PRESSED"),
    ("chain", "safety chain", "closed", "OPEN"),
    ("key", "key switch", "on", "OFF"),
    ("reset", "reset button", "pressed", "open"),
    ("lamp_current", "beam lamp current", "flows", "none"),
)
OUTPUTS = ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor", "prep", "expose")
ALONE = {  # what may be tested; never two at a time, so never enable and contactor together
    "ready_lamp": Outputs(ready_lamp=True),
    "beam_lamp": Outputs(beam_lamp=True),
    "buzzer": Outputs(buzzer=True),
    "enable": Outputs(enable=True),
    "contactor": Outputs(contactor=True),
}
HEADINGS = ("pin", "contact", "is", "last change")
LIVE_S = 0.1
Row = tuple[str, str, str, str]


class Contacts:
    """What each contact is, and how long ago it changed while we looked."""

    def __init__(self) -> None:
        self._changed_s: dict[str, float] = {}
        self._sample: RoomSample | None = None

    def take(self, sample: RoomSample) -> None:
        for name, *_ in CONTACTS:
            before = self._sample
            if before is not None and getattr(before, name) is not getattr(sample, name):
                self._changed_s[name] = time.monotonic()
        self._sample = sample

    def rows(self, coils: Mapping[str, bool | None]) -> list[Row]:
        sample = self._sample
        rows = []
        for index, (name, title, closed, opened) in enumerate(CONTACTS):
            word = (closed if getattr(sample, name) else opened) if sample else "?"
            rows.append((f"input {index}", title, word, self._age(name)))
        for index, name in enumerate(OUTPUTS):
            on = coils.get(name)
            word = "not known" if on is None else "ON" if on else "off"
            rows.append((f"coil {index}", name.replace("_", " "), word, ""))
        return rows

    def _age(self, name: str) -> str:
        at_s = self._changed_s.get(name)
        return "" if at_s is None else f"{time.monotonic() - at_s:.1f} s ago"


def plain(sample: RoomSample) -> dict[str, bool]:
    return {name: getattr(sample, name) for name, *_ in CONTACTS}


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

    table = Table(title=title, title_justify="left", caption="beam inhibited; Ctrl-C ends it")
    for heading in HEADINGS:
        table.add_column(heading)
    for row in rows:
        table.add_row(*row, style="bold" if row[2].isupper() else None)
    return table


def on_terminal() -> bool:
    return sys.stdout.isatty()
