"""Answers on stdout: JSON for programs, a table for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import click


def answer_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps({"schema": 1, **content}))


def answer_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Framed on a terminal; plain columns elsewhere, for grep and diff."""
    if sys.stdout.isatty():
        _framed(headings, rows, title)
        return
    if title:
        click.echo(title)
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _framed(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich.console import Console  # 112 ms
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left")
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)
