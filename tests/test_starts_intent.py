"""SR-11 and SR-52: nothing leaves for a beam before its intent is on disk; no room, no beam.

The order is taken from two spies: one on the journal, after the commit, and one on the bytes
that the unit sends. A second reader of the journal's file sees what is really committed.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from firmware_py.decide.memory import State
from firmware_py.record import Recording
from firmware_py.recorder.store.database import StorageError
from firmware_py.recorder.store.disk import Disk, needed_bytes
from firmware_py.recorder.store.exposures import read_exposures
from firmware_py.recorder.store.journal import Journal
from hal.ports import RecorderPort
from rig import run_model
from tests.model_runs import run, told_on
from tests.whole_unit import ON, SCAN_US, Whole, a_shot, brought_to

S = State
NEEDED_BYTES = needed_bytes(256, 256)
Order = list[tuple[str, str]]


def with_free(free_bytes: int, folder: Path) -> Whole:
    disk = Disk((folder,), needed_bytes=NEEDED_BYTES, free=lambda _: free_bytes)
    return Whole(disk=disk).until(S.STANDBY)


# --- SR-11


@pytest.mark.req("SR-11", "F75")
def test_with_just_the_reserve_a_press_prepares_and_a_beam_follows(tmp_path: Path) -> None:
    whole = with_free(NEEDED_BYTES, tmp_path)
    whole.do("press")
    whole.until(S.EXPOSE).pass_us(300_000)
    assert whole.beams == 1


@pytest.mark.req("SR-11", "F75")
def test_one_byte_under_the_reserve_is_refused_before_the_contactor_closes(tmp_path: Path) -> None:
    whole = with_free(NEEDED_BYTES - 1, tmp_path)
    whole.do("press")
    whole.until(S.RELEASE_WAIT)
    assert whole.unit.memory.refused == ("DISK",)
    whole.pass_us(2_000_000)
    assert "PREP" not in whole.path()
    assert (whole.beams, whole.sent(ON)) == (0, [])
    assert "contactor" not in {net for _, net, closed in whole.world.wiring.log if closed}
    assert whole.journal.exposures() == []


@pytest.mark.req("SR-11", "F75")
def test_a_disk_that_fills_in_ready_means_no_beam(tmp_path: Path) -> None:
    free = [NEEDED_BYTES]
    disk = Disk((tmp_path,), needed_bytes=NEEDED_BYTES, free=lambda _: free[0])
    whole = brought_to(S.READY, disk=disk)
    free[0] -= 1
    whole.pass_us(1_500_000)  # asked at most once a second
    whole.do("press")
    whole.until(S.FAULT)
    assert whole.path()[-2:] == ["INTERLOCK_CHECK", "FAULT"]
    assert whole.unit.memory.faults == ("INTENT_NOT_DURABLE",)
    assert (whole.beams, whole.sent(ON)) == (0, [])


# --- SR-52: a disk that does not keep it


class Broken(Journal):
    """The commit of an intent fails, as after an fsync that failed."""

    def __init__(self, failures: int = 1_000_000) -> None:
        super().__init__(":memory:", durable=False)
        self.failures = failures

    def add_intent(self, **facts: Any) -> int:
        if self.failures:
            self.failures -= 1
            raise StorageError("Writing intent: disk I/O error")
        return super().add_intent(**facts)


@pytest.mark.req("SR-11", "SR-52", "F76")
def test_an_intent_whose_commit_fails_means_a_fault_at_the_deadline_and_no_beam() -> None:
    whole = brought_to(S.PREP, journal=Broken())
    whole.do("press")
    whole.until(S.FAULT)
    assert whole.path()[4:] == ["PREP", "FAULT"]
    assert whole.unit.memory.faults == ("INTENT_NOT_DURABLE",)
    waited_us = whole.entered_us(S.FAULT) - whole.entered_us(S.PREP)
    assert waited_us == whole.unit.memory.limits.prep_us
    assert (whole.beams, whole.sent(ON)) == (0, [])
    assert whole.journal.exposures() == []


class Late:
    """A recorder whose acknowledgement of the intent comes so much later: an fsync that stalls."""

    def __init__(self, port: RecorderPort, stall_us: int) -> None:
        self._port = port
        self._port._latency_us["intent_durable"] = stall_us  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


@pytest.mark.req("SR-52", "F86")
def test_prep_waits_for_a_stalled_commit_and_the_beam_with_it() -> None:
    for stall_us in (5_000, 200_000, 2_000_000):
        whole = Whole(wrap=lambda port, us=stall_us: Late(port, us)).until(S.STANDBY)  # type: ignore[misc]
        whole.do("press")
        whole.until(S.EXPOSE).pass_us(50_000)
        prep_us, ready_us = whole.entered_us(S.PREP), whole.entered_us(S.READY)
        (durable_us,) = (
            line.t_us for line in whole.of("recorder") if line.data.get("intent_durable")
        )
        assert durable_us == prep_us + stall_us
        assert ready_us >= durable_us
        assert whole.sent(ON)[0] > durable_us


# --- SR-52: the order, in every run


class SpyJournal(Journal):
    order: Order

    def add_intent(self, *, shot_id: str, **facts: Any) -> int:
        number = super().add_intent(shot_id=shot_id, **facts)
        self.order.append(("intent", shot_id))
        return number


class SpyRecording(Recording):
    order: Order

    def sent(self, link: str, data: bytes) -> None:
        super().sent(link, data)
        if ON in data:
            self.order.append(("on", link))


def orders_of(name: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Order, int]:
    """What was committed and what was sent, in order; how many beams there were."""
    order: Order = []
    SpyJournal.order = SpyRecording.order = order
    monkeypatch.setattr(run_model, "Journal", SpyJournal)
    monkeypatch.setattr(run_model, "Recording", SpyRecording)
    _, seen = run(name)
    return order, len(seen.beams)


def late_ons(order: Order) -> int:
    """ON without an intent of its own before it."""
    intents = {index for index, (what, _) in enumerate(order) if what == "intent"}
    count, free = 0, 0
    for index, (what, _) in enumerate(order):
        free += index in intents
        if what == "on":
            count += free == 0
            free = 0
    return count


@pytest.mark.req("SR-52", "F69")
@pytest.mark.parametrize("name", told_on("portable"))  # ON as its wire has it
def test_in_each_scenario_an_intent_is_committed_before_each_on(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    order, beams = orders_of(name, monkeypatch)
    assert late_ons(order) == 0, order
    assert [what for what, _ in order].count("on") >= beams


def test_the_scenarios_have_beams_that_were_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    order, beams = orders_of("clean_by_mas", monkeypatch)
    assert (order, beams) == ([("intent", "clean_by_mas-1"), ("on", "generator")], 1)


def test_an_on_before_its_intent_is_found() -> None:
    assert late_ons([("on", "generator"), ("intent", "a")]) == 1
    assert late_ons([("intent", "a"), ("on", "generator"), ("on", "generator")]) == 1


@pytest.mark.req("SR-52")
def test_a_second_reader_finds_the_intent_in_the_file_when_on_leaves(tmp_path: Path) -> None:
    """Committed is what another connection sees, at the moment at which the byte is written."""
    path = tmp_path / "journal.db"
    whole = Whole(journal=Journal(path)).until(S.STANDBY)
    before = read_exposures(path)
    seen: list[list[str]] = []
    sent = whole.tape.sent

    def watched(link: str, data: bytes) -> None:
        if ON in data:
            seen.append([row.shot_id for row in read_exposures(path)])
        sent(link, data)

    whole.tape.sent = watched  # type: ignore[method-assign]
    whole.do("press")
    whole.until(S.EXPOSE).pass_us(100_000)
    assert before == []
    assert seen == [["shot-1"]]
    whole.journal.close()


def test_the_second_reader_sees_nothing_that_is_not_committed(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    Journal(path).close()
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    columns = [row[1] for row in writer.execute("PRAGMA table_info(intent)")]
    marks = ", ".join("?" for _ in columns)
    values = [1 if name in ("number", "planned_mas", "maximum_mas") else "{}" for name in columns]
    writer.execute(f"INSERT INTO intent VALUES ({marks})", values)
    assert read_exposures(path) == []
    writer.execute("ROLLBACK")
    writer.close()


@pytest.mark.req("SR-52")
def test_the_intent_of_the_beam_is_that_of_the_shot_and_its_scan(tmp_path: Path) -> None:
    whole = brought_to(S.EXPOSE)
    (row,) = whole.journal.exposures()
    assert (row.shot_id, row.planned_mas, row.beam) == ("shot-1", 0.3, None)
    assert row.maximum_mas == pytest.approx(a_shot().technique.ma * 1.1)
    assert whole.entered_us(S.READY) > whole.entered_us(S.PREP) + SCAN_US
