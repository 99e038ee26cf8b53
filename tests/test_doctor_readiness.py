"""`dxrig doctor` says beforehand what an exposure would be refused for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from firmware_py.recorder.store.journal import Journal
from hal.types import EndReason
from rig import announce
from rig.bench import Bench, bench_of
from rig.bench_names import bench_path
from rig.doctor import Verdict
from rig.doctor_readiness import readiness
from rig.model import setting_of
from rig.panel_sets import store_of
from rig.recovery import journal_of
from rig.routines.tube import note_warmed
from rig.run_model import valid_set
from sim.build import pixel_model

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TEXT = bench_path("portable").read_text(encoding="utf-8").replace("256", "64")
TEXT = TEXT.replace("200.0", "50.0")


def bench(rung: str = "model") -> Bench:
    text = TEXT.replace('rung = "model"', f'rung = "{rung}"')
    if rung == "bench":
        for key, url in (("url", "/dev/ttyUSB0"), ("url", "tcp://192.168.1.12:502"),
                         ("control_url", "tcp://192.168.1.13:9001"),
                         ("data_url", "tcp://192.168.1.13:9002")):  # fmt: skip
            text = text.replace(f'{key} = "sim"', f'{key} = "{url}"', 1)
    return bench_of(text, Path("mine.toml"))


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No simulator runs, and the state is this test's own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr(announce, "running", lambda name: None)


def found(one: Bench, state: Path) -> list[tuple[Verdict, str]]:
    return [(finding.verdict, finding.found) for finding in readiness(one, state, NOW)]


def test_a_simulated_bench_is_ready_as_it_starts(tmp_path: Path) -> None:
    assert found(bench(), tmp_path) == [
        (Verdict.OK, "the simulated panel starts with one"),
        (Verdict.OK, "a simulated one starts warm"),
        (Verdict.OK, "a simulated one; the matrix tests it"),
    ]


def test_a_simulator_that_says_otherwise_is_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_at = datetime.now(UTC).isoformat()
    facts: dict[str, Any] = {"uncalibrated": True, "idle_s": 40 * 86_400.0}
    monkeypatch.setattr(announce, "running", lambda name: facts | {"started_at": started_at})
    panel, tube, _ = found(bench(), tmp_path)
    assert panel == (Verdict.NOTE, "none of SIM-PANEL-1")
    assert tube == (
        Verdict.NOTE,
        "not warmed up (40 d since the tube was last warm): 10 min are due",
    )


def test_a_real_bench_without_a_set_or_a_warm_up_is_told(tmp_path: Path) -> None:
    assert found(bench("bench"), tmp_path) == [
        (Verdict.NOTE, "none of SIM-PANEL-1"),
        (Verdict.NOTE, "not warmed up (no warm-up of this tube is recorded): 50 min are due"),
        (Verdict.NOTE, "never seen to end a beam"),
    ]


def test_a_set_that_fits_is_named_and_one_that_expired_is_too(tmp_path: Path) -> None:
    one = bench("bench")
    made = valid_set(one, pixel_model(setting_of(one)), NOW - timedelta(days=1))
    store_of(tmp_path, one.unit).add(
        made, changed="gain", operator="A", routine="r", at=NOW - timedelta(days=1)
    )
    verdict, told = found(one, tmp_path)[0]
    assert (verdict, told[:40]) == (Verdict.OK, "set 1 of SIM-PANEL-1, valid until 2027-0")
    late = readiness(one, tmp_path, NOW + timedelta(days=400))[0]
    assert late.verdict is Verdict.NOTE
    assert "its offset was valid until" in late.found


def test_a_tube_that_was_warmed_is_warm(tmp_path: Path) -> None:
    one = bench("bench")
    state = tmp_path / "dxrig" / one.name
    note_warmed(state, one.unit, datetime.now(UTC) - timedelta(hours=1), "warmup-1")
    verdict, told = found(one, state)[1]
    assert (verdict, told) == (Verdict.OK, "warm: 60 min since the tube was last warm")


# --- the generator's own timer, which only a beam can prove


def exposed(state: Path, at: datetime, *, reason: EndReason, **technique: float) -> None:
    """One exposure in the journal of this bench."""
    shot_id = f"x-{at:%d%H%M}"
    shot = {"technique": {"ms": None} | technique}
    state.mkdir(parents=True, exist_ok=True)
    journal = Journal(journal_of(state), durable=False)
    journal.add_intent(
        shot_id=shot_id, at=at, exam_id="TEST", planned_mas=1.0, maximum_mas=2.0,
        detail={"shot": shot},
    )  # fmt: skip
    journal.add_dose(
        shot_id=shot_id, at=at, beam=True, mas=1.0, reason=reason.value, detail={"shot": shot}
    )
    journal.close()


@pytest.mark.req("SR-46", "SR-49")
@pytest.mark.parametrize(
    ("days", "verdict", "told"),
    [
        (1, Verdict.OK, "ended a beam 24 h ago"),
        (7, Verdict.OK, "ended a beam 7 d ago"),
        (8, Verdict.NOTE, "ended a beam 8 d ago; due every week"),
    ],
)
def test_a_timed_beam_that_ended_as_planned_proves_the_timer_for_a_week(
    days: int, verdict: Verdict, told: str, tmp_path: Path
) -> None:
    exposed(tmp_path, NOW - timedelta(days=days), reason=EndReason.PLANNED, ms=500.0)
    timer = readiness(bench("bench"), tmp_path, NOW)[2]
    assert (timer.verdict, timer.found) == (verdict, told)


@pytest.mark.req("SR-46")
def test_a_beam_by_mas_or_one_that_was_released_proves_nothing_of_the_timer(
    tmp_path: Path,
) -> None:
    exposed(tmp_path, NOW - timedelta(hours=2), reason=EndReason.PLANNED, mas=1.0)
    exposed(tmp_path, NOW - timedelta(hours=1), reason=EndReason.RELEASED, ms=500.0)
    timer = readiness(bench("bench"), tmp_path, NOW)[2]
    assert (timer.verdict, timer.found) == (Verdict.NOTE, "never seen to end a beam")


def test_a_journal_that_can_not_be_read_is_told(tmp_path: Path) -> None:
    journal_of(tmp_path).write_bytes(b"no journal")
    timer = readiness(bench("bench"), tmp_path, NOW)[2]
    assert timer.verdict is Verdict.WRONG
    assert "the file is no journal" in timer.found


def test_a_generator_without_a_timer_has_none_to_prove(tmp_path: Path) -> None:
    text = bench_path("industrial").read_text(encoding="utf-8")
    text = text.replace('rung = "model"', 'rung = "bench"').replace('"sim"', '"/dev/ttyUSB0"', 2)
    for url in ("tcp://192.168.1.13:9001", "tcp://192.168.1.13:9002"):
        text = text.replace('"sim"', f'"{url}"', 1)
    (timer,) = [
        finding
        for finding in readiness(bench_of(text, Path("mine.toml")), tmp_path, NOW)
        if finding.name == "generator's timer"
    ]
    assert (timer.verdict, timer.found.split(":")[0]) == (Verdict.OK, "it has none")
