"""Bit rot: one bit at a time is turned round in a finished folder, and all of it read again.

A flip is found when reading ends with an error that names it, or a sha256 or a picture made
again differs, or a person is told of the exposure; found unnamed when reading ends by an
exception that nobody promised; harmless when all that is read is as before; else it is unseen,
and that is a loss. In the journal the rows' seals and the second witness find what SQLite's
pages and its log, which it takes to end where it is damaged, don't.
"""

from __future__ import annotations

import random
import shutil
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from firmware_py.recorder.archive import FRAME, differences, read_frame
from firmware_py.recorder.exposure_record import ImageError
from firmware_py.recorder.image import maps
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.journal import Journal
from rig.durability.kept import files_wrong
from rig.durability.lives import lived
from rig.durability.rows import Row, timed
from rig.durability.story import shot_id
from rig.durability.victim import Plan, journal_path, run_folder

TABLES = ("intent", "dose", "image")
STORIES = range(1, 7)
VERDICTS = FOUND, UNNAMED, HARMLESS, UNSEEN = "found", "found unnamed", "harmless", "unseen"
UNTOLD = "nothing tells of another"
TOLD = "told"

Flip = Callable[[random.Random], tuple[str, str]]  # the verdict, and where it was


def run_rot(count: int, seed: int, work: Path) -> list[Row]:
    """Half of the flips in kept files, three in eight in the journal, the rest in a log (WAL)."""
    closed, killed = work / "closed", work / "killed"
    lived(Plan(seed=seed), closed)
    lived(Plan(seed=seed, crash_at="before_dose_acknowledge:6"), killed)
    files = Row("bit rot: files")
    journal = Row("bit rot: journal")
    log = Row("bit rot: journal's log")
    _flips(files, files.lost, count // 2, seed, lambda c: flip_in_files(closed, seed, c))
    _flips(
        journal, journal.lost, count - count // 2 - count // 8, seed,
        lambda c: flip_in_journal(closed, "journal.db", seed, c),
    )  # fmt: skip
    _flips(
        log, log.lost, count // 8, seed,
        lambda c: flip_in_journal(killed, "journal.db-wal", seed, c),
    )  # fmt: skip
    return [files, journal, log]


def _flips(row: Row, unseen: list[str], count: int, seed: int, flip: Flip) -> None:
    with timed(row):
        verdicts: Counter[str] = Counter()
        for number in range(count):
            verdict, where = flip(random.Random(f"{seed}/{row.what}/{number}"))
            verdicts[verdict] += 1
            line = f"flip {number} (seed {seed}): {where}"
            if verdict == UNSEEN:
                unseen.append(line)
            elif verdict == UNNAMED:
                row.noted.append(line)
        row.runs_count = count
        row.detail = ", ".join(f"{verdicts[name]} {name}" for name in VERDICTS)


def flip_in_journal(folder: Path, name: str, seed: int, chance: random.Random) -> tuple[str, str]:
    """The verdict, and where the flip was. The folder stays as it is."""
    copy = folder.parent / "flipped"
    state = journal_path(folder).parent

    def read(*, flipped: bool) -> tuple[dict[str, object], str]:
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(state, journal_path(copy).parent)
        where = _flip(journal_path(copy).with_name(name), chance) if flipped else ""
        return _rows(journal_path(copy), seed), where

    before, _ = read(flipped=False)
    try:
        after, where = read(flipped=True)
    except JournalError as error:
        return FOUND, str(error)
    except Exception as error:
        return UNNAMED, f"{name}: reading ends by {type(error).__name__}: {error}"
    told = [name for name, value in after.items() if value == TOLD]
    if told:
        return FOUND, f"{where}: {told[0]} is told to somebody"
    changed = [name for name, value in before.items() if after.get(name) != value]
    more = f" and {len(changed) - 2} more" if len(changed) not in (0, 1, 2) else ""
    return (UNSEEN if changed else HARMLESS), f"{where}: {UNTOLD} {', '.join(changed[:2])}{more}"


def flip_in_files(folder: Path, seed: int, chance: random.Random) -> tuple[str, str]:
    """In any file of the run, each as likely as the other; it is put right again."""
    run = run_folder(folder)
    path = chance.choice(sorted(p for p in run.rglob("*") if p.is_file()))
    content = path.read_bytes()
    before = _meaning(path)
    where = _flip(path, chance)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pydicom says beside its answer
            if _wrong(folder):
                return FOUND, where
            if _meaning(path) == before:
                return HARMLESS, where
    except Exception as error:
        return UNNAMED, f"{where}: reading ends by {type(error).__name__}: {error}"
    finally:
        path.write_bytes(content)
    return UNSEEN, f"{where}: {UNTOLD} content"


def _flip(path: Path, chance: random.Random) -> str:
    data = bytearray(path.read_bytes())
    at, bit = chance.randrange(len(data)), chance.randrange(8)
    data[at] ^= 1 << bit
    path.write_bytes(data)
    return f"{path.parent.name}/{path.name} byte {at} bit {bit}"


def _rows(path: Path, seed: int) -> dict[str, object]:
    """All that the journal says, by table and exposure; TOLD of what a person is told of.

    Raises JournalError.
    """
    with closing(Journal(path)) as journal:
        found: dict[str, object] = {
            f"row of {row.shot_id}": TOLD
            if row.incomplete or row.shot_id in journal.restored
            else row
            for row in journal.exposures()
        }
        for shot in (shot_id(seed, story) for story in STORIES):
            for table in TABLES:
                try:
                    found[f"{table} of {shot}"] = journal.detail(table, shot)
                except ValueError as error:
                    raise JournalError(f"{table} of {shot} is no JSON: {error}") from error
        return found


def _wrong(folder: Path) -> list[str]:
    """What the checks that there are say of the kept files."""
    run = run_folder(folder)
    found: list[str] = []
    with closing(Journal(journal_path(folder))) as journal:
        for row in journal.exposures():
            detail = journal.detail("image", row.shot_id)
            if detail is None:
                continue
            found += files_wrong(run, detail)
            try:
                found += differences(run / "exposures" / row.shot_id)
            except (ImageError, OSError) as error:
                found.append(str(error))
    return found


def _meaning(path: Path) -> object:
    """What a reader gets of it; a frame's header holds bytes that nobody reads."""
    if path.name == FRAME:
        return read_frame(path.parent)
    if path.suffix == ".npz":
        return maps.load(path).sha256
    return path.read_bytes()
