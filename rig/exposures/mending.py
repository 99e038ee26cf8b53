"""One exposure put right where that can be proved, and kept aside in any case.

In this order, because what comes later is made of what comes first: left-overs, raw frame,
record, panel set, images. Nothing is raised that a disk can cause: the row says it, and what
could not be put right stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from firmware_py.recorder.archive import FRAME, RECORD
from rig.exposures import quarantine as log
from rig.exposures.leftovers import NO_LOSS, Leftover, give_back, leftovers, stray_halves
from rig.exposures.made_again import NotAgainError
from rig.exposures.mended import ASIDE, GIVEN_BACK, LEFT, Mended
from rig.exposures.panel_set import needed_set, wrong_set
from rig.exposures.quarantine import Quarantine
from rig.exposures.sources import Had, Sources, UnprovedError
from rig.exposures.stored import Stored
from rig.exposures.wrong import Wrong, sha256_of, wrong_file


class Mending:
    def __init__(self, sources: Sources, at: datetime) -> None:
        """`at`: when the repair began, UTC."""
        self._sources = sources
        self._at = at
        self._sets: set[Path] = set()

    def exposure(self, one: Stored, run_ids: Sequence[str]) -> Iterator[Mended]:
        """`run_ids`: all exposures of its run, oldest first."""
        shot_id = one.exposure.shot_id
        if one.folder is None:
            if one.sha256:
                yield _folder_is_gone(one)
            return
        kept = Quarantine(one.folder.parents[1], self._at)
        yield from self._leftovers(kept, shot_id, lambda: list(leftovers(one)))
        had = self._sources.of(one, run_ids)
        for name in (FRAME, RECORD):
            yield from self._file(kept, one, name, had)
        yield from self._panel_set(kept, one)
        for name in sorted(one.sha256.keys() - {FRAME, RECORD}):
            yield from self._file(kept, one, name, had)

    def run(self, run: Path) -> Iterator[Mended]:
        """What belongs to no exposure of it."""
        yield from self._leftovers(
            Quarantine(run, self._at), "", lambda: list(stray_halves(run))
        )  # fmt: skip

    def _file(
        self, kept: Quarantine, one: Stored, name: str, had: Callable[[str], Had]
    ) -> Iterator[Mended]:
        if one.folder is None or name not in one.sha256:
            return
        path, shot_id = one.folder / name, one.exposure.shot_id
        wrong = wrong_file(path, one.sha256[name])
        if wrong is None:
            _say_sound(kept, path, shot_id, one.sha256[name])
        elif not wrong.may_be_replaced:
            yield _left(wrong, shot_id, f"{wrong.what}; it may be sound")
        else:
            yield _replaced(kept, wrong, shot_id, lambda: had(name))

    def _panel_set(self, kept: Quarantine, one: Stored) -> Iterator[Mended]:
        needed = needed_set(one)
        if needed is None or needed[0] in self._sets:
            return
        path, sha256 = needed
        self._sets.add(path)
        if what := wrong_set(path, sha256):
            # of its content: npz files of the same content may differ
            wrong = Wrong(path=path, expected="", found=None, what=what)
            run = path.parent
            yield _replaced(
                kept, wrong, one.exposure.shot_id, lambda: self._sources.panel_set(run, sha256)
            )

    def _leftovers(
        self, kept: Quarantine, shot_id: str, listed: Callable[[], list[Leftover]]
    ) -> Iterator[Mended]:
        try:
            found = listed()
        except OSError as error:
            yield Mended(
                exposure=shot_id, file=Path(str(error.filename)).name, found="can't be read",
                done=LEFT, why=_told(error),
            )  # fmt: skip
            return
        for one in found:
            yield _cleared(kept, one, shot_id)


def _replaced(kept: Quarantine, wrong: Wrong, shot_id: str, had: Callable[[], Had]) -> Mended:
    try:
        new = had()
        place = kept.replace(
            wrong.path, shot_id, new.content, why=wrong.what, how=f"{new.done} {new.how}"
        )
    except UnprovedError as error:
        return _beside(kept, wrong, shot_id, error)
    except NotAgainError as error:
        with suppress(OSError):
            kept.note_once(
                log.LEFT, wrong.path, shot_id, why=wrong.what,
                expected=wrong.expected or None, found=wrong.found,
            )  # fmt: skip
        return _left(wrong, shot_id, str(error))
    except OSError as error:
        return _left(wrong, shot_id, _told(error))
    return Mended(
        exposure=shot_id, file=wrong.path.name, found=wrong.what, done=new.done,
        path=wrong.path, kept=place, expected=wrong.expected or None, sha256=wrong.found,
    )  # fmt: skip


def _beside(kept: Quarantine, wrong: Wrong, shot_id: str, error: UnprovedError) -> Mended:
    """What the journal vouches for has its name; what nobody does lies where a person finds it."""
    try:
        place = kept.keep(f"{shot_id}-{wrong.path.name}-made-again", error.content)
        kept.note_once(
            log.LEFT, wrong.path, shot_id, why=wrong.what,
            expected=wrong.expected or None, found=wrong.found,
        )  # fmt: skip
    except OSError as trouble:
        return _left(wrong, shot_id, _told(trouble))
    return _left(wrong, shot_id, str(error), place)


def _cleared(kept: Quarantine, one: Leftover, shot_id: str) -> Mended:
    place, sha256 = None, None
    try:
        if one.what not in NO_LOSS:
            sha256 = sha256_of(one.path)
            place = kept.take(one.path, shot_id, why=one.what)
        give_back(one.path)
    except OSError as error:
        done, why = LEFT, _told(error)
    else:
        done, why = (GIVEN_BACK if place is None else ASIDE), ""
    return Mended(
        exposure=shot_id, file=one.path.name, found=one.what, done=done, why=why,
        path=one.path, kept=place, sha256=sha256,
    )  # fmt: skip


def _say_sound(kept: Quarantine, path: Path, shot_id: str, sha256: str) -> None:
    """Of what a repair that was killed put right, or a person from a backup."""
    with suppress(OSError):  # the file is what it was: nothing is wrong with it
        last = kept.last(path)
        if last is not None and last.event in (log.ASIDE, log.LEFT):
            kept.note(log.SOUND, path, shot_id, why="", expected=sha256, found=sha256)


def _folder_is_gone(one: Stored) -> Mended:
    return Mended(
        exposure=one.exposure.shot_id, file=f"{len(one.sha256)} files", found="missing", done=LEFT,
        why="they are not where they were saved; put the run's folder back from a backup",
    )  # fmt: skip


def _left(wrong: Wrong, shot_id: str, why: str, kept: Path | None = None) -> Mended:
    return Mended(
        exposure=shot_id, file=wrong.path.name, found=wrong.what, done=LEFT, why=why,
        path=wrong.path, kept=kept, expected=wrong.expected or None, sha256=wrong.found,
    )  # fmt: skip


def _told(error: OSError) -> str:
    said = (error.strerror or str(error)).lower()
    return f"{said}; nothing is lost. Free space, or check the disk, then repair again"
