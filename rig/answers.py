"""Answers on stdout: JSON for programs, a table for people."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Sequence
from typing import Any

import click

BESIDE_COLUMN = (
    3  # characters of frame and padding that each column brings; and one more at the end
)


def answer_json(content: dict[str, Any]) -> None:
    click.echo(json.dumps({"schema": 1, **content}))


def on_terminal() -> bool:
    return sys.stdout.isatty()


def answer_table(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Framed on a terminal; plain columns elsewhere, for grep and diff."""
    if on_terminal():
        _framed(headings, rows, title)
        return
    if title:
        click.echo(title)
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def answer_line(text: str) -> None:
    """A sentence: wrapped between words on a terminal; one line elsewhere, for grep."""
    if on_terminal():
        text = click.wrap_text(text, shutil.get_terminal_size().columns, subsequent_indent="  ")
    click.echo(text)


def plain(value: float, digits_count: int = 3) -> str:
    """So many significant digits, all digits before the point, and never an exponent."""
    from decimal import Decimal

    if abs(value) >= 10.0 ** (digits_count - 1):
        return f"{value:z.0f}"
    return f"{Decimal(f'{value:z.{digits_count}g}'):f}"


def _framed(headings: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    from rich.console import Console  # 112 ms
    from rich.table import Table
    from rich.text import Text

    console = Console()
    columns = list(zip(headings, *rows, strict=True))
    roomy, tight = (console.width - len(columns) * beside - 1 for beside in (3, 1))
    padding = 1 if sum(map(_longest_word, columns)) <= roomy else 0
    table = Table(title=title or None, title_justify="left", padding=(0, padding))
    widths = _widths(columns, roomy if padding else tight)
    for heading, width in zip(headings, widths, strict=True):
        table.add_column(Text(heading), width=width, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _widths(columns: Sequence[Sequence[str]], room: int) -> list[int]:
    """Of columns that fit into `room` together; nothing is cut, it goes on in the next line.

    The widest gives way first, down to its longest word. The first column holds the names that
    people type: it stays whole unless it takes half of the room. Only then are words folded.
    """
    widths = [max(map(len, column)) for column in columns]
    words = [_longest_word(column) for column in columns]
    if widths[0] <= room // 2:
        words[0] = widths[0]
    for least in (words, [1] * len(columns)):
        while sum(widths) > room:
            loose = [index for index, width in enumerate(widths) if width > least[index]]
            if not loose:
                break
            widths[max(loose, key=lambda index: widths[index])] -= 1
    return widths


def _longest_word(column: Sequence[str]) -> int:
    return max(len(word) for cell in column for word in cell.split() or [""])
