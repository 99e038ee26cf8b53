"""What is kept of a run's rotten files, and the list of what was done to them.

    RUN/quarantine/SHOT-processing.dcm-20261122T122748Z      never overwritten: -2, -3 follow
    RUN/quarantine/quarantine.jsonl                          a line an event, appended and synced

A file gets its second name here before anything happens to its first: so at no time, kill or
power cut, is there none. Nothing is deleted, and an own name keeps two apart (F79, F83).
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from firmware_py.recorder.store.files import make_folder, sync_folder, write_file
from rig.exposures.wrong import sha256_of

FOLDER, LOG = "quarantine", "quarantine.jsonl"
AGAIN = ".again"  # beside the file whose place it will take; only a killed repair leaves one
ASIDE, REPLACED, LEFT, SOUND = "put aside", "replaced", "left in its place", "as saved again"
_NO_SECOND_NAME = (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOSYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`file`, `kept`: relative to the run. Sums are sha256; None: not known."""

    at: str  # ISO 8601, UTC
    event: str  # ASIDE, REPLACED, LEFT, SOUND
    exposure: str
    file: str
    why: str
    kept: str | None = None
    expected: str | None = None
    found: str | None = None


def read_events(run: Path) -> list[Event]:
    """In order. What can't be read of the list is left out: it is told, never relied on."""
    try:
        lines = (run / FOLDER / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return list(_events(lines))


class Quarantine:
    """Of one run. Everything raises OSError, and has then changed no file under its own name."""

    def __init__(self, run: Path, at: datetime) -> None:
        """`at`: when the repair began, UTC."""
        self._run = run
        self._at = at
        self._folder = run / FOLDER

    def take(self, path: Path, exposure: str, *, why: str, expected: str | None = None) -> Path:
        """A second name for a file, durable and in the list; the file stays where it is.

        The same file again, after a repair that was killed, gets no third.
        """
        make_folder(self._folder)
        stem = f"{exposure}-{path.name}" if exposure else path.name
        found = None
        with suppress(OSError):  # a bad sector needs no reading to get a second name
            found = sha256_of(path)
        kept = self._known(path, stem, found)
        if kept is None:
            kept = self._new(stem)
            _second_name(path, kept)
            sync_folder(self._folder)
        if not any(one.event == ASIDE and one.kept == self._name(kept) for one in self._events()):
            self.note(
                ASIDE, path, exposure, why=why, expected=expected, found=found, kept=kept
            )  # fmt: skip
        return kept

    def replace(
        self, path: Path, exposure: str, content: bytes, *, why: str, how: str
    ) -> Path | None:
        """`content`, once durable, takes the file's place; where the old one is kept."""
        beside = path.with_name(path.name + AGAIN)
        kept = None
        try:
            expected = write_file(beside, [content])
            if os.path.lexists(path):
                kept = self.take(path, exposure, why=why, expected=expected)
            else:
                make_folder(self._folder)
            os.replace(beside, path)
            sync_folder(path.parent)
        except OSError:
            for half in (beside, beside.with_name(beside.name + ".part")):
                with suppress(OSError):
                    half.unlink()
            raise
        self.note(REPLACED, path, exposure, why=how, expected=expected, found=expected, kept=kept)
        return kept

    def note(
        self,
        event: str,
        path: Path,
        exposure: str,
        *,
        why: str,
        expected: str | None = None,
        found: str | None = None,
        kept: Path | None = None,
    ) -> None:
        """Durable when it returns."""
        one = Event(
            at=self._at.isoformat(timespec="seconds"), event=event, exposure=exposure,
            file=self._name(path), why=why, kept=None if kept is None else self._name(kept),
            expected=expected, found=found,
        )  # fmt: skip
        self._append(json.dumps({"schema": 1, **asdict(one)}) + "\n")

    def note_once(
        self,
        event: str,
        path: Path,
        exposure: str,
        *,
        why: str,
        expected: str | None,
        found: str | None,
    ) -> None:
        """Unless the last that was said of the file is the same."""
        last = self.last(path)
        if last is None or (last.event, last.why, last.found) != (event, why, found):
            self.note(event, path, exposure, why=why, expected=expected, found=found)

    def last(self, path: Path) -> Event | None:
        name = self._name(path)
        return next((one for one in reversed(self._events()) if one.file == name), None)

    def keep(self, name: str, content: bytes) -> Path:
        """Content that belongs nowhere else; the same is kept once."""
        make_folder(self._folder)
        for path in sorted(self._folder.glob(f"{name}-*")):
            with suppress(OSError):
                if path.read_bytes() == content:
                    return path
        kept = self._new(name)
        write_file(kept, [content])
        return kept

    def _events(self) -> list[Event]:
        return read_events(self._run)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._run).as_posix()

    def _new(self, stem: str) -> Path:
        path = self._folder / f"{stem}-{self._at:%Y%m%dT%H%M%SZ}"
        number = 1
        while os.path.lexists(path):
            number += 1
            path = self._folder / f"{stem}-{self._at:%Y%m%dT%H%M%SZ}-{number}"
        return path

    def _known(self, path: Path, stem: str, found: str | None) -> Path | None:
        for kept in sorted(self._folder.glob(f"{stem}-*")):
            with suppress(OSError):
                if kept.samefile(path) or (found is not None and sha256_of(kept) == found):
                    return kept
        return None

    def _append(self, line: str) -> None:
        make_folder(self._folder)
        log = self._folder / LOG
        torn = log.exists() and log.stat().st_size > 0 and not log.read_bytes().endswith(b"\n")
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        with open(handle, "wb") as file:
            file.write(b"\n" * torn + line.encode())
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self._folder)


def _second_name(path: Path, kept: Path) -> None:
    try:
        os.link(path, kept)
    except OSError as error:  # a stick's file system knows no second name
        if error.errno not in _NO_SECOND_NAME:
            raise
        with path.open("rb") as file:
            write_file(kept, iter(lambda: file.read(1 << 20), b""))


def _events(lines: list[str]) -> Iterator[Event]:
    for line in lines:
        try:
            content = json.loads(line)
            content.pop("schema", None)
            yield Event(**content)
        except (ValueError, TypeError, AttributeError):
            continue
