"""The versions of a panel's calibration set: exact, whole at every kill, never overwritten."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_py.recorder.image.maps import PanelSet, PanelSetError, Part, save
from firmware_py.recorder.image.set_history import KEPT_COUNT
from firmware_py.recorder.image.sets import SetStore, panel_folder
from rig.set_view import HEADINGS, set_json, set_rows

DAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NAMES = ("offset", "gain", "defects")


def part(day: int, valid_days: int = 90) -> Part:
    created = DAY + timedelta(days=day)
    return Part(created=created, valid_until=created + timedelta(days=valid_days))


def a_set(day: int = 0, *, panel_id: str = "P1") -> PanelSet:
    """Offset of `100 + day` counts; all parts of that day."""
    return PanelSet(
        panel_id=panel_id,
        unit_serial="SIM-0001",
        offset=np.full((8, 8), 100.0 + day, np.float32),
        gain=np.full((8, 8), 2.0, np.float32),
        defects=np.zeros((8, 8), np.bool_),
        parts=dict.fromkeys(NAMES, part(day)),
    )


def newer(panel_set: PanelSet, name: str, day: int) -> PanelSet:
    """The same set with one part of another day."""
    offset = np.full((8, 8), 100.0 + day, np.float32)
    parts = {**panel_set.parts, name: part(day)}
    if name == "offset":
        return replace(panel_set, parts=parts, offset=offset)
    return replace(panel_set, parts=parts)


def add(store: SetStore, panel_set: PanelSet, day: int = 0, changed: str = "offset") -> int:
    at = DAY + timedelta(days=day)
    return store.add(panel_set, changed=changed, operator="A. Meier", routine=f"r-{day}", at=at)


def back(store: SetStore, number: int | None = None, *, why: str = "stripes") -> int:
    return store.rollback(number, operator="B. Kaya", why=why, at=DAY + timedelta(days=50))


@pytest.fixture
def store(tmp_path: Path) -> SetStore:
    return SetStore(panel_folder(tmp_path, "P1"))


def refused(act: Callable[[], Any]) -> str:
    with pytest.raises(PanelSetError) as told:
        act()
    return str(told.value)


def edit(store: SetStore, **changes: Any) -> None:
    path = store.folder / "sets.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# --- adding


def test_a_panel_that_was_never_calibrated_has_no_set(store: SetStore) -> None:
    assert store.current() is None
    assert store.current_number() is None
    assert store.history() == []
    assert store.problems() == []


def test_a_new_set_becomes_the_current_one(store: SetStore) -> None:
    first, second = a_set(0), a_set(1)
    assert (add(store, first), add(store, second, 1)) == (1, 2)
    current = SetStore(store.folder).current()
    assert current is not None
    assert current.sha256 == second.sha256
    assert store.load(1).sha256 == first.sha256


def test_the_history_tells_who_made_which_from_which(store: SetStore) -> None:
    add(store, a_set(0), changed="offset, gain, defects")
    add(store, newer(a_set(0), "gain", 3), 3, changed="gain")
    _, row = store.history()
    assert (row.number, row.kind, row.changed, row.from_version) == (2, "made", "gain", 1)
    assert (row.operator, row.why, row.verdict) == ("A. Meier", "r-3", "passed")
    assert row.at == DAY + timedelta(days=3)
    assert row.parts["gain"].created > row.parts["offset"].created


def test_a_set_of_another_panel_is_refused_and_changes_nothing(store: SetStore) -> None:
    add(store, a_set())
    told = refused(lambda: add(store, a_set(panel_id="P2")))
    assert told == f"{store.folder} is of panel P1, not of P2"
    assert [path.name for path in sorted(store.folder.iterdir())] == ["set-0001.npz", "sets.json"]


def test_a_date_without_a_time_zone_is_refused(store: SetStore) -> None:
    naive = datetime(2026, 3, 2)  # noqa: DTZ001 - this is what must be refused
    told = refused(
        lambda: store.add(a_set(), changed="offset", operator="", routine="", at=naive),
    )
    assert "time zone" in told
    assert not store.folder.exists()


@pytest.mark.parametrize("panel_id", ["..", ".", "a/b", "../../x", "ü €", "P 1"])
def test_no_panels_name_leads_out_of_its_folder(tmp_path: Path, panel_id: str) -> None:
    folder = panel_folder(tmp_path, panel_id)
    assert folder.resolve().parent == (tmp_path / "panels").resolve()
    assert add(SetStore(folder), a_set(panel_id=panel_id)) == 1


# --- going back


def test_going_back_restores_the_very_same_set_and_has_a_row(store: SetStore) -> None:
    first = a_set(0)
    add(store, first)
    bytes_before = store.path(1).read_bytes()
    add(store, a_set(1), 1)
    assert back(store) == 1
    current = store.current()
    assert current is not None
    assert current.sha256 == first.sha256
    assert store.path(1).read_bytes() == bytes_before
    row = store.history()[-1]
    assert (row.kind, row.number, row.from_version) == ("rollback", 1, 2)
    assert (row.operator, row.why, row.sha256) == ("B. Kaya", "stripes", first.sha256)


def test_the_version_before_is_the_one_that_the_current_was_made_from(store: SetStore) -> None:
    for day in range(3):
        add(store, a_set(day), day)
    assert back(store, 1) == 1
    assert add(store, a_set(9), 9) == 4
    assert back(store) == 1
    assert refused(lambda: back(store)) == "version 1 was made from no other; there are: 2, 3, 4"


def test_what_was_left_can_be_returned_to(store: SetStore) -> None:
    add(store, a_set(0))
    add(store, a_set(1), 1)
    back(store)
    assert back(store, 2) == 2
    assert [row.kind for row in store.history()] == ["made", "made", "rollback", "rollback"]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (7, "no version 7; there are: 1, 2"),
        (2, "version 2 is the current one already; there are: 1"),
        (0, "no version 0; there are: 1, 2"),
        (-1, "no version -1; there are: 1, 2"),
    ],
)
def test_a_version_that_cannot_be_gone_back_to_is_refused(
    store: SetStore, number: int, text: str
) -> None:
    add(store, a_set(0))
    add(store, a_set(1), 1)
    assert refused(lambda: back(store, number)).endswith(text)
    assert store.current_number() == 2
    assert len(store.history()) == 2


def test_going_back_needs_a_set_a_name_and_a_reason(store: SetStore) -> None:
    assert refused(lambda: back(store)) == f"{store.folder}: there is no calibration set yet"
    add(store, a_set(0))
    add(store, a_set(1), 1)
    assert "a name and a reason" in refused(lambda: back(store, why=" "))
    assert store.current_number() == 2


def test_going_back_to_a_damaged_version_is_refused_with_what_there_is(store: SetStore) -> None:
    for day in range(3):
        add(store, a_set(day), day)
    content = bytearray(store.path(2).read_bytes())
    content[len(content) // 3] ^= 0x55
    store.path(2).write_bytes(content)
    told = refused(lambda: back(store, 2))
    assert str(store.path(2)) in told
    assert told.endswith("; there are: 1, 3")
    assert store.current_number() == 3


# --- what is not as it should be


def test_a_sound_file_that_is_another_set_is_refused(store: SetStore) -> None:
    add(store, a_set(0))
    save(a_set(5), store.path(1))
    assert "is not the set that was stored as version 1" in refused(store.current)


def test_a_missing_file_is_told_and_the_others_can_still_be_loaded(store: SetStore) -> None:
    add(store, a_set(0))
    add(store, a_set(1), 1)
    store.path(2).unlink()
    assert refused(store.current).endswith("version 2 is missing; there are: 1")
    assert store.problems() == [f"{store.path(2)}: is missing"]
    assert back(store) == 1
    assert store.current() is not None


def test_a_file_that_the_history_does_not_know_is_told_and_never_overwritten(
    store: SetStore,
) -> None:
    add(store, a_set(0))
    save(a_set(7), store.path(2))
    left = store.path(2).read_bytes()
    assert store.current_number() == 1
    assert len(store.problems()) == 1
    assert "not in sets.json" in store.problems()[0]
    assert add(store, a_set(1), 1) == 3
    assert store.path(2).read_bytes() == left


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is damaged"),
        ("[]", "is damaged"),
        ('{"schema": 2}', "has schema 2; this program reads 1"),
        ('{"schema": 1}', "is damaged: 'panel_id' is missing"),
        ("\udcff", "can't be read"),
    ],
)
def test_a_history_that_cannot_be_read_is_told_and_left_as_it_is(
    store: SetStore, text: str, reason: str
) -> None:
    add(store, a_set(0))
    path = store.folder / "sets.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    for act in (store.current, store.history, store.problems, lambda: add(store, a_set(1), 1)):
        told = refused(act)
        assert told.startswith(str(path))
        assert reason in told
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("current", [9, 0, True, None, "1"])
def test_a_current_version_without_a_row_is_damage(store: SetStore, current: object) -> None:
    add(store, a_set(0))
    edit(store, current=current)
    assert "is damaged" in refused(store.current)


# --- a kill


class Killed(BaseException):
    """Nobody's `except Exception` sees it, as nobody sees a SIGKILL."""


class Steps:
    """Counts what reaches the disk, and ends the process before step `last`."""

    def __init__(self, patch: pytest.MonkeyPatch, last: int) -> None:
        self.count, self.last = 0, last
        patch.setattr(os, "fsync", self.counted(os.fsync))
        for name in ("replace", "unlink", "open", "mkdir"):
            patch.setattr(Path, name, self.counted(getattr(Path, name)))

    def counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            if self.count == self.last:
                raise Killed
            return real(*args, **kwargs)

        return step


def kill_everywhere(folder: Path, act: Callable[[SetStore], Any], fresh: Path) -> list[SetStore]:
    """One store for each step of `act` at which a copy of `folder` was left by a kill."""
    left = []
    for last in range(1, 100):
        copy = SetStore(fresh / str(last))
        if folder.exists():
            copy.folder.mkdir(parents=True)
            for path in folder.iterdir():
                (copy.folder / path.name).write_bytes(path.read_bytes())
        with pytest.MonkeyPatch.context() as patch:
            Steps(patch, last)
            try:
                act(copy)
            except Killed:
                left.append(copy)
            else:
                return left
    raise AssertionError("a step more at every try")


def test_a_kill_of_the_first_add_leaves_no_set_or_the_new_one(
    store: SetStore, tmp_path: Path
) -> None:
    left = kill_everywhere(store.folder, lambda one: add(one, a_set(0)), tmp_path)
    assert len(left) > 6
    for one in left:
        current = one.current()
        assert current is None or current.sha256 == a_set(0).sha256
        assert add(one, a_set(3)) >= 1
        assert one.current().sha256 == a_set(3).sha256  # type: ignore[union-attr]


def test_a_kill_of_an_add_leaves_the_old_set_or_the_new_one(
    store: SetStore, tmp_path: Path
) -> None:
    for day in range(KEPT_COUNT + 2):
        add(store, a_set(day), day)
    old, new = a_set(KEPT_COUNT + 1).sha256, a_set(90).sha256
    left = kill_everywhere(store.folder, lambda one: add(one, a_set(90), 90), tmp_path)
    seen = set()
    for one in left:
        current = one.current()
        assert current is not None
        seen.add(current.sha256)
        for row in one.history():
            if not row.pruned:
                assert one.load(row.number).sha256 == row.sha256
        assert all("sets.json" in problem for problem in one.problems())
        before = one.current_number()
        assert add(one, a_set(91), 91) > (before or 0)
        there = sorted(one.folder.glob("*.npz"))
        assert len(there) <= KEPT_COUNT + 1  # and one that a kill may have left unknown
    assert seen == {old, new}


def test_a_kill_while_going_back_leaves_the_one_or_the_other(
    store: SetStore, tmp_path: Path
) -> None:
    add(store, a_set(0))
    add(store, a_set(1), 1)
    left = kill_everywhere(store.folder, lambda one: back(one), tmp_path)
    assert {one.current_number() for one in left} == {1, 2}
    for one in left:
        assert one.current() is not None
        assert one.problems() == []


def test_half_written_files_are_ignored(store: SetStore) -> None:
    add(store, a_set(0))
    for name in ("set-0002.npz.new", "set-0002.npz.part", "sets.json.part", "notes.txt"):
        (store.folder / name).write_bytes(b"PK\x03half")
    assert store.problems() == []
    assert add(store, a_set(1), 1) == 2
    assert store.current().sha256 == a_set(1).sha256  # type: ignore[union-attr]


def test_a_full_disk_leaves_the_old_set_current(
    store: SetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store, a_set(0))

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        add(store, a_set(1), 1)
    monkeypatch.undo()
    assert store.current_number() == 1
    assert add(store, a_set(1), 1) == 2


# --- pruning


def test_old_files_go_and_their_rows_stay(store: SetStore) -> None:
    for day in range(12):
        add(store, a_set(day), day)
    assert [row.number for row in store.history()] == list(range(1, 13))
    assert [row.number for row in store.history() if row.pruned] == [1, 2, 3, 4]
    assert sorted(store.folder.glob("*.npz")) == [store.path(number) for number in range(5, 13)]
    assert store.problems() == []
    assert "version 2 was removed to save space; there are: 5, 6" in refused(lambda: store.load(2))
    assert "removed to save space" in refused(lambda: back(store, 2))


def test_the_version_that_is_the_newest_of_a_part_is_kept(store: SetStore) -> None:
    panel_set = a_set(0)
    add(store, panel_set)
    panel_set = newer(panel_set, "gain", 1)
    add(store, panel_set, 1, changed="gain")
    for day in range(2, 14):
        panel_set = newer(panel_set, "offset", day)
        add(store, panel_set, day)
    kept = [row.number for row in store.history() if not row.pruned]
    # 1: the defect map is of that day; 2: the gain map; 7..14: the newest eight
    assert kept == [1, 2, *range(7, 15)]
    assert store.load(2).parts["gain"].created == DAY + timedelta(days=1)


def test_a_file_that_could_not_be_removed_goes_with_the_next_set(
    store: SetStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(KEPT_COUNT):
        add(store, a_set(day), day)

    def denied(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", denied)
        assert add(store, a_set(20), 20) == KEPT_COUNT + 1
    assert store.path(1).exists()
    assert store.problems() == []
    add(store, a_set(21), 21)
    assert not store.path(1).exists()
    assert not store.path(2).exists()


# --- as `dxrig calibrate list` shows it


def test_the_list_shows_newest_first_and_what_has_expired(store: SetStore) -> None:
    add(store, a_set(0), changed="offset, gain, defects")
    add(store, newer(a_set(0), "offset", 60), 60)
    store.rollback(1, operator="B. Kaya", why="stripes", at=DAY + timedelta(days=61))
    rows = set_rows(store, DAY + timedelta(days=91))
    assert all(len(row) == len(HEADINGS) for row in rows)
    assert [row[0] for row in rows] == ["1", "2", "1"]
    assert rows[0][2:4] == ["back from 2: stripes", "B. Kaya"]
    assert (
        rows[1][4] == "offset 2026-07-30, gain 2026-05-31 (expired), defects 2026-05-31 (expired)"
    )
    assert [row[6] for row in rows] == ["", "", "current"]


def test_the_list_for_programs_is_json(store: SetStore) -> None:
    add(store, a_set(0))
    content = json.loads(json.dumps(set_json(store, DAY)))
    assert content["current"] == 1
    assert content["problems"] == []
    (version,) = content["versions"]
    assert version["sha256"] == a_set(0).sha256
    assert version["parts"]["gain"]["expired"] is False
