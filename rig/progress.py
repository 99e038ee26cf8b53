"""Progress for whoever waits. The answer goes to stdout; this goes where it does not disturb it.

`auto` shows a bar on a terminal and nothing elsewhere, `plain` a line a piece of work on
stderr, `none` nothing.
"""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

progress_option = click.option(
    "--progress",
    type=click.Choice(["auto", "plain", "none"]),
    default="auto",
    show_default=True,
    help="A bar on a terminal, lines on stderr, or nothing.",
)


def wants_live(progress: str) -> bool:
    return progress == "auto" and sys.stderr.isatty()


class Bar:
    """How many of `total` are done. Lines said meanwhile stand above the bar."""

    def __init__(self, progress: str, total: int, what: str) -> None:
        self._plain, self._total, self._done = progress == "plain", total, 0
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        if wants_live(progress):
            self._bar = _bar()
            self._task = self._bar.add_task(what, total=total)

    def __enter__(self) -> Bar:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def say(self, line: str) -> None:
        """A line of the answer, on stdout."""
        if self._bar is None or not sys.stdout.isatty():
            click.echo(line)
            return
        self._bar.stop()  # the bar leaves, the line comes, the bar is drawn below it
        click.echo(line)
        self._bar.start()

    def advance(self, name: str) -> None:
        self._done += 1
        if self._plain:
            click.echo(f"{self._done}/{self._total} {name}", err=True)
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task)


def _bar() -> Progress:
    from rich.console import Console  # 112 ms
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
