"""The program that is killed: the real recorder, a real journal and a real archive in a folder.

It says each acknowledgement as one JSON line, only after the recorder gave it. In a folder of
its own it can be run by hand: python -m rig.durability.victim FOLDER --crash-at NAME:2
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from firmware_py.recorder.archive import Archive
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.store import journal as store
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.disk import Disk
from firmware_py.recorder.store.files import make_folder
from hal.types import RecorderSample
from rig.durability.crash_points import CrashPoints, replace_in
from rig.durability.story import Kind, Planned, panel_set, planned, setup
from rig.durability.weaken import WEAKENINGS

TRIES = 3  # of an intent or a report, 2 s apart: the disk is looked at once a second
PAUSE_US = 2_000_000

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One life. Exposures `first_number` to `last_number` of the seed's story are made.

    `resend_number`: an exposure whose report is sent again, as the unit does when it did not
    hear of it. `checkpoint_count`: pages in the WAL until SQLite moves them (None: as ever),
    so that short lives see that, too.
    """

    seed: int
    first_number: int = 1
    last_number: int = 6
    resend_number: int | None = None
    crash_at: str | None = None
    weaken: str | None = None
    checkpoint_count: int | None = None


def journal_path(folder: Path) -> Path:
    return folder / "state" / "journal.db"


def run_folder(folder: Path) -> Path:
    return folder / "run"


def live(plan: Plan, folder: Path, say: Say) -> None:
    """Until the end, the kill, or an error that nobody expected (said as `crash`)."""
    try:
        points = CrashPoints(plan.crash_at)
        if plan.weaken:
            WEAKENINGS[plan.weaken]()
        _checkpoint_early(plan.checkpoint_count)
        points.wrap()
        _live(plan, folder, say, points)
    except Exception:
        say({"crash": traceback.format_exc()})


def _live(plan: Plan, folder: Path, say: Say, points: CrashPoints) -> None:
    try:
        make_folder(journal_path(folder).parent)
        make_folder(run_folder(folder))
        journal = store.Journal(journal_path(folder))
    except (JournalError, OSError) as error:
        say({"refused": "open", "told": [str(error)]})
        return
    archive = Archive(run_folder(folder), panel_set())
    disk = Disk((run_folder(folder), journal_path(folder).parent), needed_bytes=1)
    recorder = Recorder(setup(), journal, archive=archive, disk=disk)
    recorder.resume(planned(plan.seed, plan.first_number).intent.at_us)
    say({"started": True})
    victim = _Victim(recorder, journal, say, points)
    if plan.resend_number is not None:
        victim.resend(planned(plan.seed, plan.resend_number))
    for number in range(plan.first_number, plan.last_number + 1):
        victim.make(planned(plan.seed, number))
    try:
        journal.close()
    except OSError as error:
        say({"closing": str(error)})
    say({"end": True})


class _Victim:
    def __init__(
        self, recorder: Recorder, journal: store.Journal, say: Say, points: CrashPoints
    ) -> None:
        self._recorder = recorder
        self._journal = journal
        self._say = say
        self._points = points

    def make(self, one: Planned) -> None:
        """Without a durable intent there is no beam, and so no more of this exposure."""
        if not self._tried(one, "intent", lambda: self._recorder.intent(one.intent)):
            return
        if one.kind is Kind.EARLY:
            self._hand_in(one)
        self._tried(one, "dose", lambda: self._recorder.report(one.report))
        if one.frame is not None:
            if one.kind is not Kind.EARLY:
                self._hand_in(one)
            self._acknowledged(one, "image", one.report.end_us or 0)

    def resend(self, one: Planned) -> None:
        self._tried(one, "dose", lambda: self._recorder.report(one.report))

    def _hand_in(self, one: Planned) -> None:
        assert one.frame is not None
        self._recorder.frame(one.message, one.frame.stop_us)

    def _tried(self, one: Planned, what: str, act: Callable[[], None]) -> bool:
        for attempt in range(TRIES):
            act()
            if self._acknowledged(one, what, one.intent.at_us + attempt * PAUSE_US):
                return True
        return False

    def _acknowledged(self, one: Planned, what: str, now_us: int) -> bool:
        sample = self._recorder.sample(now_us)
        told = list(self._recorder.told)
        self._recorder.told.clear()
        if _named(sample, what) == one.shot_id:
            self._points.reach(f"before_{what}_acknowledge")
            line: dict[str, Any] = {"ack": what, "story": one.number}
            if what == "intent":
                line["number"] = self._journal.number(one.shot_id)
            self._say(line)
            return True
        shown = {"told": told, "disk_ok": sample.disk_ok, "image_failed": sample.image_failed}
        self._say({"refused": what, "story": one.number, **shown})
        return False


def _named(sample: RecorderSample, what: str) -> str | None:
    by_step = {
        "intent": sample.intent_durable,
        "dose": sample.dose_saved,
        "image": sample.image_saved,
    }
    return by_step[what]


def _checkpoint_early(pages_count: int | None) -> None:
    if pages_count is None:
        return

    def open_database(path: str, *, durable: bool) -> Any:
        connection = real(path, durable=durable)
        connection.execute(f"PRAGMA wal_autocheckpoint={pages_count}")
        return connection

    real = replace_in(store, "open_database", open_database)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", default=1, show_default=True)
@click.option("--first", default=1, show_default=True, help="First exposure of the story.")
@click.option("--last", default=6, show_default=True, help="Last exposure of the story.")
@click.option("--crash-at", metavar="NAME[:N]", help="SIGKILL there, at the n-th time.")
@click.option("--weaken", type=click.Choice(sorted(WEAKENINGS)))
def main(
    folder: Path, seed: int, first: int, last: int, crash_at: str | None, weaken: str | None
) -> None:
    """Record a seed's exposures in FOLDER, and say what was acknowledged."""

    def say(line: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()

    plan = Plan(seed=seed, first_number=first, last_number=last, crash_at=crash_at, weaken=weaken)
    live(plan, folder, say)


if __name__ == "__main__":
    main()
