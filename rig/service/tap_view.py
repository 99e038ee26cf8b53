"""The lines of a tap as people read them, what is left out of them, and the summary."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click

from firmware_py.config import UnitConfig
from hal.ports import Direction, Heard
from rig.service.hearing import ERRORS, Hearing
from rig.service.tape import Passage

KEPT_COUNT = 10_000  # frames in the answer of --json: the newest
ARROWS = {Direction.TO_DEVICE: "->", Direction.FROM_DEVICE: "<-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    links: tuple[str, ...]
    grep: str = ""
    errors: bool = False


class TapView:
    """Times are those of the passages, shown in ms since the first one."""

    def __init__(
        self,
        unit: UnitConfig,
        wanted: Wanted,
        *,
        raw: bool,
        as_json: bool,
        write: Callable[[str], None] = click.echo,
    ) -> None:
        """`write`: takes a line; it must not wait where traffic waits for it."""
        self._write = write
        self._hearing = Hearing(unit)
        self._wanted = wanted
        self._raw, self._as_json = raw, as_json
        self._start_us: int | None = None
        self._last_us = 0
        self.kept: deque[dict[str, Any]] = deque(maxlen=KEPT_COUNT)
        self.left_out_count = 0  # older ones, which `kept` has no room for

    def take(self, passage: Passage) -> None:
        if passage.link not in self._wanted.links:
            return
        self._last_us = passage.t_us
        if self._start_us is None:
            self._start_us = passage.t_us
        if passage.trouble:
            self._trouble(passage)
        elif passage.message:
            parts = list(passage.message)
            heard = self._hearing.message(passage.link, passage.direction, passage.t_us, parts)
            self._show(passage.link, [heard])
        else:
            self._show_rest(passage.t_us)
            found = self._hearing.take(
                passage.link, passage.direction, passage.t_us, passage.data
            )  # fmt: skip
            self._show(passage.link, found)

    def pause(self, t_us: int) -> bool:
        """Nothing may have come for a while: never a reason to end."""
        self._show_rest(t_us)
        return False

    def end(self) -> None:
        """Nothing more will come: what waits for its end never gets it."""
        self._show_rest(self._last_us, ended=True)

    def say(self, text: str) -> None:
        """To the person, beside the answer."""
        click.echo(text, err=self._as_json)
        sys.stdout.flush()

    def _show_rest(self, t_us: int, *, ended: bool = False) -> None:
        for link, heard in self._hearing.rest(t_us, ended=ended):
            self._show(link, [heard])

    def _trouble(self, passage: Passage) -> None:
        self._hearing.counts[passage.link].lost += "is back" not in passage.trouble
        self._line(passage.t_us, passage.link, "!!", "port", passage.trouble, b"")

    def _show(self, link: str, found: Iterable[Heard]) -> None:
        for heard in found:
            if not self._wanted.errors or heard.kind in ERRORS:
                arrow, kind = ARROWS[heard.direction], heard.kind.value
                self._line(heard.t_us, link, arrow, kind, heard.text, heard.raw)

    def _line(self, t_us: int, link: str, arrow: str, kind: str, text: str, data: bytes) -> None:
        if self._wanted.grep not in text:
            return
        t_ms = (t_us - (self._start_us or 0)) / 1000
        row = {"t_ms": t_ms, "link": link, "way": arrow, "kind": kind, "text": text}
        self.left_out_count += len(self.kept) == KEPT_COUNT
        self.kept.append({**row, "raw": data.hex(" ")})
        if self._as_json:
            return
        self._write(f"{t_ms:11.3f} {link:<9} {arrow} {kind:<7} {text}")
        if self._raw and data:
            self._write(f"{'':24} {data.hex(' ')}")

    def summary(self) -> dict[str, Any]:
        counts = self._hearing.counts
        return {link: counts[link].as_dict() for link in self._wanted.links if link in counts}

    def tell_summary(self) -> None:
        click.echo("")
        for link, counts in self.summary().items():
            if counts["frames_to_device"] or counts["frames_from_device"] or counts["port_lost"]:
                click.echo(f"{link}: {_told(counts)}")


def _told(counts: dict[str, Any]) -> str:
    longest_ms = counts["longest_reply_ms"]
    slow = "no reply" if longest_ms is None else f"{longest_ms:.1f} ms ({counts['slowest']})"
    lost = f", port lost {counts['port_lost']} times" if counts["port_lost"] else ""
    return (
        f"{counts['frames_to_device']} frames to the device, {counts['frames_from_device']} back, "
        f"{counts['errors']} errors{lost}\n  longest reply {slow}"
    )
