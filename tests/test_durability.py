"""Kills, power cuts, failing disks and bit rot: what was acknowledged is there afterwards.

Short versions; `dxrig check durability` with bigger numbers is the long one. Cuts, failures and
flips are counted and seeded, so they fall at the same places in every run.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from firmware_py.recorder import process
from firmware_py.recorder.process import LOG, Process, RecorderConfig
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.store.database import MEMORY
from firmware_py.recorder.store.journal import Journal
from rig.commands.check import WEAKENINGS as WORDS
from rig.durability.crash_points import POINTS, CrashPoints
from rig.durability.cuts import run_cuts
from rig.durability.heard import Heard
from rig.durability.kills import run_kills
from rig.durability.lives import life, lived
from rig.durability.story import Kind, planned, setup
from rig.durability.sweep import run_sweep
from rig.durability.verdict import CLOSING, NOT_AGAIN, judge
from rig.durability.victim import Plan, journal_path, run_folder
from rig.durability.weaken import WEAKENINGS
from tests.test_durability_disk import needs_fuse

SEED = 1
CUTS = 16


def heard_of(folder: Path, plan: Plan, act: Callable[[Plan], list[dict[str, object]]]) -> Heard:
    heard = Heard()
    heard.take(act(plan))
    assert heard.has_ended, folder
    return heard


# --- kills


@pytest.mark.wire
@pytest.mark.req("SR-52", "SR-53", "SR-55")
@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_crash_point_loses_nothing_that_was_acknowledged(
    point: str, tmp_path: Path
) -> None:
    heard = Heard()
    with life(Plan(seed=SEED, crash_at=point), tmp_path) as victim:
        heard.take(victim.lines())
    assert victim.was_killed
    assert not heard.has_ended
    verdict = judge(tmp_path, SEED, heard)
    assert (verdict.lost, verdict.noted) == ([], [])


@pytest.mark.wire
@pytest.mark.req("SR-52", "SR-53", "SR-55")
def test_kills_at_random_lose_nothing_over_five_lives_in_one_folder(tmp_path: Path) -> None:
    row = run_kills(10, SEED, tmp_path)
    assert row.lost == []
    assert row.runs_count == 10
    assert row.acknowledged_count > 50


@pytest.mark.req("SR-53")
def test_a_dose_that_a_kill_took_away_is_unknown_and_bounded_and_never_zero(
    tmp_path: Path,
) -> None:
    heard = heard_of(tmp_path, Plan(seed=SEED), lambda plan: lived(plan, tmp_path))
    last = max(heard.intents)
    with closing(sqlite3.connect(journal_path(tmp_path))) as connection, connection:
        connection.execute("DELETE FROM image")
        connection.execute("DELETE FROM dose")
    journal_path(tmp_path).with_suffix(".witness").unlink()  # else it would say what they were
    bounds_mas = sum(planned(SEED, number).intent.maximum_mas for number in range(1, last + 1))
    verdict = judge(tmp_path, SEED, heard)
    assert verdict.incomplete_count == last
    assert verdict.known_mas == 0.0
    assert verdict.bound_mas == pytest.approx(bounds_mas)


def test_a_crash_point_that_there_is_not_is_refused_with_all_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"no crash point 'nowhere'; there are before_intent"):
        CrashPoints("nowhere:1")


@pytest.mark.wire
def test_a_victim_can_be_run_and_killed_by_hand(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rig.durability.victim", str(tmp_path)]
    done = subprocess.run(
        [*command, "--seed", "1", "--crash-at", "before_dose_commit:2"],
        capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == -9
    assert [line["story"] for line in said if line.get("ack") == "dose"] == [1]
    assert said[-1]["ack"] == "intent"


# --- power cuts


@needs_fuse
@pytest.mark.wire
@pytest.mark.req("SR-52", "SR-53", "SR-55")
def test_a_power_cut_anywhere_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    row = run_cuts(CUTS, SEED, tmp_path)
    assert row.lost == []
    assert (row.runs_count, row.unreadable_count) == (2 * CUTS, 0)
    assert row.acknowledged_count > 100


@needs_fuse
@pytest.mark.wire
@pytest.mark.parametrize("weaken", ["synchronous-normal", "no-folder-sync", "rename-before-fsync"])
def test_each_promise_that_is_taken_away_is_missed_after_a_power_cut(
    weaken: str, tmp_path: Path
) -> None:
    assert run_cuts(CUTS, SEED, tmp_path, weaken).lost != []


@pytest.mark.wire
def test_a_dose_that_is_committed_after_its_acknowledgement_is_missed_after_a_kill(
    tmp_path: Path,
) -> None:
    row = run_kills(10, SEED, tmp_path, "late-commit")
    assert any("dose is gone" in text for text in row.lost)


def test_every_weakening_has_its_word() -> None:
    assert sorted(WEAKENINGS) == sorted(WORDS)


@needs_fuse
@pytest.mark.wire
def test_images_can_be_made_again_after_a_power_cut(tmp_path: Path) -> None:
    assert [text for text in run_cuts(8, SEED, tmp_path).noted if NOT_AGAIN in text] == []


# --- a disk that fails


@needs_fuse
@pytest.mark.wire
@pytest.mark.req("SR-52", "SR-53")
def test_what_a_failing_disk_did_not_take_is_told_or_not_acknowledged(tmp_path: Path) -> None:
    row = run_sweep(SEED, tmp_path, every=5)
    assert row.lost == []
    assert row.runs_count > 15


@needs_fuse
@pytest.mark.wire
def test_a_sync_error_that_is_ignored_is_missed(tmp_path: Path) -> None:
    row = run_sweep(SEED, tmp_path, "ignore-sync-errors", kinds=["sync"])
    assert row.lost != []


@needs_fuse
@pytest.mark.wire
def test_a_recorder_on_a_failing_disk_ends_in_good_order(tmp_path: Path) -> None:
    noted = run_sweep(SEED, tmp_path, kinds=["remove"]).noted
    assert [text for text in noted if CLOSING in text] == []


def test_a_report_that_was_stored_before_a_restart_is_acknowledged_after_it() -> None:
    """Else the unit waits for `dose_saved` until it shows a fault, though nothing is missing."""
    one = next(p for p in (planned(SEED, n) for n in range(1, 7)) if p.kind is Kind.RAW)
    with closing(Journal(MEMORY, durable=False)) as journal:
        first = Recorder(setup(), journal)
        first.intent(one.intent)
        first.report(one.report)
        first.frame(one.message, 0)
        second = Recorder(setup(), journal)
        assert second.recover() == []
        second.report(one.report)
        assert second.sample(0).dose_saved == one.shot_id


@pytest.mark.wire
def test_a_log_that_can_not_be_written_does_not_end_the_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies on the disk that is full, and what it would say is that the disk is full."""
    monkeypatch.setattr(process, "warm_up", lambda _shape: None)  # seconds of compiling
    run_folder(tmp_path).mkdir()
    (run_folder(tmp_path) / LOG).symlink_to("/dev/full")
    config = RecorderConfig(
        state_dir=journal_path(tmp_path).parent,
        run_dir=run_folder(tmp_path),
        bus=f"ipc://{tmp_path}/bus",
        data_url=f"ipc://{tmp_path}/frames",
        unit=setup().unit,
        started_at=setup().started_at,
        uid_namespace=setup().uid_namespace,
        simulated=True,
    )
    Process(config).close()  # it tells that there is no calibration set
