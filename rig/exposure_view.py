"""An exposure for people: its states as they come, and what came of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from rig.answers import answer_table
from rig.why import in_words

STATE_WIDTH = len("INTERLOCK_CHECK")
COLOURS = {
    "STANDBY": "green", "READY": "green", "EXPOSE": "yellow", "FAULT": "red", "LOCKED": "red",
}  # fmt: skip


def coloured(state: str, width: int = 0) -> str:
    """Ready green, beam yellow, fault red; the word says it without the colour, too."""
    return styled(f"{state:<{width}}", fg=COLOURS.get(state), bold=state in COLOURS)


def styled(text: str, **style: Any) -> str:
    """A dumb terminal shows escape codes as rubbish; what is no terminal gets none from click."""
    return text if os.environ.get("TERM") == "dumb" else click.style(text, **style)


class LiveLines:
    """A line for each state and each reading, on stderr."""

    def __init__(self, progress: str, *, person: bool) -> None:
        """`person`: somebody must be told what to press, whatever `progress` says."""
        self._lines = progress == "plain" or (progress == "auto" and sys.stderr.isatty())
        self._person = person or self._lines
        self._kv: float | None = None
        self._ma: float | None = None

    def say(self, text: str) -> None:
        if self._person:
            click.echo(f"  >> {text}", err=True)

    def show(self, line: dict[str, Any]) -> None:
        if not self._lines:
            return
        if line["kind"] == "state":
            told = f"{coloured(line['to'], STATE_WIDTH)}  {in_words(line['why'])}"
            click.echo(f"{line['t_us'] / 1000:10.1f} ms  {told}", err=True)
        elif line["kind"] == "generator":
            self._reading(line)

    def _reading(self, line: dict[str, Any]) -> None:
        self._kv, self._ma = line.get("kv", self._kv), line.get("ma", self._ma)
        changed = "kv" in line or "ma" in line
        if changed and self._kv is not None and self._ma is not None:
            told = f"{self._kv:.1f} kV  {self._ma:.2f} mA  indicated"
            click.echo(f"{line['t_us'] / 1000:10.1f} ms  {told}", err=True)


def tell_result(made: dict[str, Any]) -> None:
    """`made`: the command's answer."""
    for row in made["timeline"]:
        why = row["why"] + _faults(row["faults"])
        click.echo(f"{row['t_ms'] / 1000:8.3f} s  {coloured(row['state'], STATE_WIDTH)}  {why}")
    click.echo()
    answer_table(("", "asked for", "indicated"), _asked_and_indicated(made))
    if made.get("dap"):
        from rig.exposures.words import dap_text

        click.echo(f"Dose-area product: {dap_text(made['dap'])}")
    click.echo()
    click.echo(f"Ended by: {made['end_reason'] or 'nothing: no exposure was begun'}")
    click.echo(f"Files in {made['run']}")
    for path in made["files"].values():
        click.echo(f"  {Path(path).relative_to(made['run'])}")


def _faults(codes: list[str]) -> str:
    return f": {', '.join(codes)}" if codes else ""


def _asked_and_indicated(made: dict[str, Any]) -> list[tuple[str, str, str]]:
    asked, seen = made["technique"], made["measured"]
    rows = [
        ("kV", f"{asked['kv']:g}", _number(seen["kv"], ".1f")),
        ("mA", f"{asked['ma']:g}", _number(seen["ma"], ".3f")),
    ]
    ms = f"{asked['ms']:g}" if asked["ms"] is not None else "-"
    mas = f"{asked['mas']:g}" if asked["mas"] is not None else "-"
    if asked.get("aec"):
        mas = f"AEC: {asked['aec']['expected_mas']:g}, back-up {asked['aec']['backup_mas']:g}"
    return [
        *rows,
        ("ms", ms, _number(seen["beam_ms"], ".0f")),
        ("mAs", mas, _dose(seen)),
    ]


def _dose(seen: dict[str, Any]) -> str:
    if seen["mas"] is None and seen["maximum_mas"] is not None:
        return f"unknown, at most {seen['maximum_mas']:g}"
    return _number(seen["mas"], ".3f")


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
