"""Bit rot, the judge who must see what is planted, and the command."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from firmware_py.recorder.archive import differences
from firmware_py.recorder.store.schema import COLUMNS, teach
from rig.cli import main
from rig.durability import check, cuts, sweep
from rig.durability.heard import Heard
from rig.durability.lives import lived
from rig.durability.rot import run_rot
from rig.durability.story import Kind, planned
from rig.durability.verdict import Verdict, judge
from rig.durability.victim import Plan, journal_path, live, run_folder
from tests.test_durability import SEED, heard_of

# --- bit rot


def test_a_bit_that_turned_in_a_kept_file_is_found_or_harmless(tmp_path: Path) -> None:
    files, _, _ = run_rot(80, SEED, tmp_path)
    assert files.lost == []
    assert files.runs_count == 40


def test_a_damaged_image_is_told_as_an_image_that_differs(tmp_path: Path) -> None:
    """One bit in the value representation of a tag, in a file whose journal row is sound."""
    lived(Plan(seed=SEED), tmp_path)
    path = kept(Kind.IMAGE, "processing.dcm")(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"\x08\x00\x18\x00UI", b"\x08\x00\x18\x00Ui"))
    assert differences(path.parent) != []


def test_a_bit_that_turned_in_the_journal_is_found_or_harmless(tmp_path: Path) -> None:
    _, journal, _ = run_rot(80, SEED, tmp_path)
    assert (journal.lost, journal.noted) == ([], [])


def test_a_bit_that_turned_in_the_journals_log_is_found_or_harmless(tmp_path: Path) -> None:
    _, _, log = run_rot(80, SEED, tmp_path)
    assert (log.lost, log.noted) == ([], [])


# --- the judge, and what it must see


def sql(statement: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        journal_path(folder).with_suffix(".witness").unlink()
        with closing(sqlite3.connect(journal_path(folder))) as connection, connection:
            teach(connection)
            connection.execute(statement)
            for table, columns in COLUMNS.items():  # a loss that no seal betrays
                sealed = f"seal('{table}', {', '.join(columns)})"
                connection.execute(f"UPDATE {table} SET seal = {sealed}")

    return change


def shot_of(kind: Kind) -> str:
    return next(p.shot_id for p in (planned(SEED, n) for n in range(1, 7)) if p.kind is kind)


def kept(kind: Kind, name: str) -> Callable[[Path], Path]:
    return lambda folder: run_folder(folder) / "exposures" / shot_of(kind) / name


def spoil(path_of: Callable[[Path], Path], content: bytes | None) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = path_of(folder)
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)

    return change


RAW, IMAGE, NO_BEAM = (shot_of(kind) for kind in (Kind.RAW, Kind.IMAGE, Kind.NO_BEAM))
PLANTED: dict[str, tuple[Callable[[Path], None], str]] = {
    "an intent is gone": (
        sql(f"DELETE FROM dose WHERE shot_id = '{NO_BEAM}'"),
        f"{NO_BEAM}: dose is gone",
    ),
    "another dose": (
        sql(f"UPDATE dose SET mas = 0.5 WHERE shot_id = '{RAW}'"),
        f"{RAW}: dose reads 0.5 mAs",
    ),
    "an unknown dose became zero": (
        sql("UPDATE dose SET mas = 0 WHERE mas IS NULL"),
        f"{shot_of(Kind.UNKNOWN)}: dose reads 0 mAs",
    ),
    "another bound": (
        sql(f"UPDATE intent SET maximum_mas = 9 WHERE shot_id = '{RAW}'"),
        f"{RAW}: intent has number",
    ),
    "another number": (
        sql(f"UPDATE intent SET number = 77 WHERE shot_id = '{RAW}'"),
        f"{RAW}: intent has number 77",
    ),
    "other UIDs": (
        sql(f"UPDATE intent SET detail = '{{\"shot\": {{}}}}' WHERE shot_id = '{RAW}'"),
        f"{RAW}: intent has other UIDs",
    ),
    "no row of an image": (
        sql(f"DELETE FROM image WHERE shot_id = '{IMAGE}'"),
        f"{IMAGE}: image is gone from the journal",
    ),
    "a file is gone": (
        spoil(kept(Kind.IMAGE, "presentation.dcm"), None),
        f"{IMAGE}: image is damaged: presentation.dcm is gone",
    ),
    "a file is empty": (
        spoil(kept(Kind.IMAGE, "processing.dcm"), b""),
        f"{IMAGE}: image is damaged: processing.dcm has another sha256",
    ),
    "a frame is empty": (
        spoil(kept(Kind.IMAGE, "frame.stream"), b""),
        f"{IMAGE}: image is damaged: frame.stream has another sha256",
    ),
    "a frame of nobody": (
        spoil(lambda folder: run_folder(folder) / "exposures/stray-0001.raw", b"x"),
        "stray-0001.raw: a frame of nobody",
    ),
    "a folder without an intent": (
        spoil(lambda folder: run_folder(folder) / "exposures/D9-00001/frame.stream", b"x"),
        "D9-00001: a folder without an intent",
    ),
    "no journal": (
        spoil(journal_path, b"no database at all, but long enough to be read" * 20),
        "all 17 that were acknowledged: Opening the journal: the file is no journal",
    ),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_the_judge_names_a_planted_loss(planted: str, tmp_path: Path) -> None:
    heard = heard_of(tmp_path, Plan(seed=SEED), lambda plan: lived(plan, tmp_path))
    assert judge(tmp_path, SEED, heard).lost == []
    change, words = PLANTED[planted]
    change(tmp_path)
    assert words in "\n".join(judge(tmp_path, SEED, heard).lost)


def test_a_step_that_is_refused_without_a_word_is_a_loss_and_a_traceback_too(
    tmp_path: Path,
) -> None:
    heard = heard_of(tmp_path, Plan(seed=SEED), lambda plan: lived(plan, tmp_path))
    heard.take([
        {"refused": "intent", "story": 7, "told": [], "disk_ok": True, "image_failed": None},
        {"refused": "intent", "story": 8, "told": ["the disk is full"], "disk_ok": True},
        {"refused": "image", "story": 9, "told": [], "disk_ok": False},
        {"crash": "Traceback ..."},
    ])  # fmt: skip
    assert judge(tmp_path, SEED, heard).lost == [
        "crashed: Traceback ...", "D1-00007: intent: neither acknowledged nor told",
    ]  # fmt: skip


def test_a_victim_that_breaks_says_where(tmp_path: Path) -> None:
    said: list[dict[str, object]] = []
    live(Plan(seed=SEED, crash_at="nowhere"), tmp_path, said.append)
    (line,) = said
    assert "no crash point 'nowhere'" in str(line["crash"])


def test_a_story_is_the_same_whenever_it_is_told_and_has_each_kind_in_six() -> None:
    assert planned(7, 3) == planned(7, 3)
    assert planned(7, 3) != planned(8, 3)
    for first in (1, 7):
        assert {planned(SEED, n).kind for n in range(first, first + 6)} == set(Kind)


# --- the command


def test_the_command_answers_as_json() -> None:
    options = ["--kills", "2", "--cuts", "0", "--no-sweep", "--rot", "8", "--json"]
    done = CliRunner().invoke(main, ["check", "durability", *options])
    answer = json.loads(done.stdout)
    assert done.exit_code == 0, done.output
    assert [row["what"] for row in answer["rows"]] == [
        "kills", "bit rot: files", "bit rot: journal", "bit rot: journal's log",
    ]  # fmt: skip
    assert answer["rows"][0]["runs_count"] == 2


def test_without_fuse_the_command_says_what_it_skips(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cuts, sweep):
        monkeypatch.setattr(module, "why_not", lambda: "no /dev/fuse")
    done = CliRunner().invoke(main, ["check", "durability", "--kills", "0", "--rot", "0"])
    assert done.exit_code == 0, done.output
    assert done.stdout.count("skipped: no /dev/fuse") == 2


def test_a_loss_is_told_with_what_repeats_it_and_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(_folder: Path, _seed: int, _heard: Heard) -> Verdict:
        return Verdict(acknowledged_count=3, lost=["D1-00001: dose is gone"], noted=["odd"])

    monkeypatch.setattr("rig.durability.kills.judge", lossy)
    options = ["--kills", "1", "--cuts", "0", "--no-sweep", "--rot", "0"]
    done = CliRunner().invoke(main, ["check", "durability", *options])
    assert done.exit_code == 1
    where = "kill 0 (before_intent_commit:1, seed 1)"
    assert f"lost: {where}: D1-00001: dose is gone\n" in done.stdout
    assert f"noted: {where}: odd\n" in done.stdout


def test_many_of_one_sort_are_told_once() -> None:
    lines = [f"cut {n} (seed 1): D1-0000{n}: gone with 7" for n in (1, 2, 3)]
    assert check.in_short([*lines, "cut 9 (seed 1): other"]) == [
        "cut 1 (seed 1): D1-00001: gone with 7 (and 2 more like it)", "cut 9 (seed 1): other",
    ]  # fmt: skip
