"""The versions of a panel's calibration set: `set-0001.npz` and so on, and `sets.json`.

A file is never changed once it has its name, so that going back is exact. A version exists
when `sets.json` names it: written last, in one step. Whatever a kill leaves before that
is ignored, and told by `problems`. The caller holds the bench's lock; dates are handed in.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from firmware_py.recorder.image import maps, set_history
from firmware_py.recorder.image.maps import PanelSet, PanelSetError
from firmware_py.recorder.image.set_history import History, Version
from firmware_py.recorder.store.files import make_folder, sync_folder, write_file

_NAME = re.compile(r"set-(\d{4,9})\.npz")


def panel_folder(state: Path, panel_id: str) -> Path:
    """STATE/panels/PANEL; a dot is quoted too, so that no panel is called `..`."""
    return state / "panels" / quote(panel_id, safe="").replace(".", "%2E")


class SetStore:
    """All the sets of one panel. What can't be done raises PanelSetError, in words for people."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    # --- asking

    def current_number(self) -> int | None:
        history = self._history()
        return history.current_number if history else None

    def current(self) -> PanelSet | None:
        """None: this panel was never calibrated."""
        number = self.current_number()
        return None if number is None else self.load(number)

    def load(self, number: int) -> PanelSet:
        """Only what is whole, and the very set that was once stored under this number."""
        history = self._history()
        if history is None:
            raise PanelSetError(f"{self.folder}: there is no calibration set yet")
        try:
            return self._loaded(history, number)
        except PanelSetError as error:
            raise PanelSetError(f"{error}; {history.there_are(but=number)}") from error

    def history(self) -> list[Version]:
        """Oldest first; rollbacks have rows of their own."""
        history = self._history()
        return list(history.rows) if history else []

    def problems(self) -> list[str]:
        """What is not as it should be among the files; content is only checked by `load`."""
        history = self._history()
        made = history.made() if history else []
        on_disk = self._numbers_on_disk()
        missing = {row.number for row in made if not row.pruned} - on_disk
        unknown = on_disk - {row.number for row in made}
        return [f"{self.path(number)}: is missing" for number in sorted(missing)] + [
            f"{self.path(number)}: is not in sets.json; a run that was killed left it, "
            "and it is not used"
            for number in sorted(unknown)
        ]

    def path(self, number: int) -> Path:
        return self.folder / f"set-{number:04d}.npz"

    # --- changing

    def add(
        self,
        panel_set: PanelSet,
        *,
        changed: str,
        operator: str,
        routine: str,
        at: datetime,
        verdict: str = "passed",
    ) -> int:
        """Stores a new version, which becomes the current one. Raises OSError, too."""
        _with_zone(at)
        history = self._history()
        if history is not None and history.panel_id != panel_set.panel_id:
            raise PanelSetError(
                f"{self.folder} is of panel {history.panel_id}, not of {panel_set.panel_id}"
            )
        number = self._next_number(history)
        version = Version(
            number=number,
            kind="made",
            at=at,
            operator=operator,
            changed=changed,
            from_version=history.current_number if history else None,
            why=routine,
            verdict=verdict,
            sha256=panel_set.sha256,
            parts=set_history.dates_of(panel_set),
        )
        make_folder(self.folder)
        maps.save(panel_set, self.path(number))
        sync_folder(self.folder)  # the name, too, before anything speaks of it
        rows = (*history.rows, version) if history else (version,)
        after = History(panel_id=panel_set.panel_id, current_number=number, rows=rows)
        after = set_history.pruned(after)
        self._write(after)
        self._remove_pruned(after)
        return number

    def rollback(self, number: int | None, *, operator: str, why: str, at: datetime) -> int:
        """An earlier version becomes current again; None: the one that this was made from."""
        _with_zone(at)
        if not (operator.strip() and why.strip()):
            raise PanelSetError("going back to an earlier set needs a name and a reason")
        history = self._history()
        if history is None:
            raise PanelSetError(f"{self.folder}: there is no calibration set yet")
        target = _before_current(history) if number is None else number
        if target == history.current_number:
            there_are = history.there_are(but=target)
            raise PanelSetError(f"version {target} is the current one already; {there_are}")
        panel_set = self.load(target)
        row = Version(
            number=target,
            kind="rollback",
            at=at,
            operator=operator,
            changed="",
            from_version=history.current_number,
            why=why,
            verdict="",
            sha256=panel_set.sha256,
            parts=set_history.dates_of(panel_set),
        )
        self._write(replace(history, current_number=target, rows=(*history.rows, row)))
        return target

    # --- files

    def _loaded(self, history: History, number: int) -> PanelSet:
        version = history.version(number)
        path = self.path(number)
        if version is None:
            raise PanelSetError(f"{self.folder}: no version {number}")
        if version.pruned:
            raise PanelSetError(f"{path}: version {number} was removed to save space")
        if not path.exists():
            raise PanelSetError(f"{path}: version {number} is missing")
        panel_set = maps.load(path)
        if panel_set.sha256 != version.sha256:
            raise PanelSetError(
                f"{path} is not the set that was stored as version {number}: its sha256 is "
                f"{panel_set.sha256[:12]}, not {version.sha256[:12]}"
            )
        return panel_set

    @property
    def _json(self) -> Path:
        return self.folder / "sets.json"

    def _history(self) -> History | None:
        try:
            return set_history.read(self._json.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except PanelSetError as error:
            raise PanelSetError(f"{self._json} {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise PanelSetError(f"{self._json} can't be read: {error}") from error

    def _write(self, history: History) -> None:
        write_file(self._json, [set_history.written(history).encode()])

    def _next_number(self, history: History | None) -> int:
        """Past what a killed run may have left: no file is ever overwritten."""
        known = {row.number for row in history.made()} if history else set()
        return max(known | self._numbers_on_disk(), default=0) + 1

    def _numbers_on_disk(self) -> set[int]:
        if not self.folder.is_dir():
            return set()
        names = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return {int(name[1]) for name in names if name}

    def _remove_pruned(self, history: History) -> None:
        """After the rows say so. A file that can't go now goes with the next set."""
        for row in history.made():
            if row.pruned:
                with contextlib.suppress(OSError):
                    self.path(row.number).unlink(missing_ok=True)


def _before_current(history: History) -> int:
    current = history.version(history.current_number)
    if current is None or current.from_version is None:
        there_are = history.there_are(but=history.current_number)
        raise PanelSetError(f"version {history.current_number} was made from no other; {there_are}")
    return current.from_version


def _with_zone(at: datetime) -> None:
    if at.tzinfo is None:
        raise PanelSetError("the date of a set needs a time zone")
