"""The bench of a slow store: its figures and verdict on given data, and that it still runs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from rig.exit_codes import DeviceError
from tools.bench import slow_store
from tools.bench.lateness import (
    Run,
    figures_us,
    histogram,
    percentile,
    pooled,
    side_by_side,
    verdicts,
)
from tools.bench.slow_store import Life


def run(*late_us: int, stalls: bool = False) -> Run:
    return Run(
        stalls=stalls,
        late_us=late_us,
        beam_late_us=late_us[:1],
        syncs_count=7,
        stalled_count=7 if stalls else 0,
    )


def runs(without_us: Sequence[int], with_us: Sequence[int]) -> list[Run]:
    """Runs in which every scan was as late."""
    return [*(run(us, us) for us in without_us), *(run(us, us, stalls=True) for us in with_us)]


@pytest.mark.parametrize(
    ("share", "found"), [(0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100), (0.0, 1)]
)
def test_a_percentile_is_a_value_that_was_seen(share: float, found: int) -> None:
    assert percentile([*range(100, 0, -1)], share) == found


def test_one_late_scan_of_a_hundred_is_the_worst_and_no_p99() -> None:
    assert figures_us([10] * 99 + [70_000]) == {"p50": 10, "p99": 10, "max": 70_000}
    assert figures_us([10] * 98 + [70_000] * 2) == {"p50": 10, "p99": 70_000, "max": 70_000}


@pytest.mark.parametrize(
    ("with_us", "median_us", "within", "holds"),
    [
        ([21, 25, 29], 25, 3, True),
        ([1, 2, 3], 2, 3, True),  # nobody is late there
        ([29, 29, 900], 29, 2, True),
        ([28, 30, 31], 30, 1, False),
    ],
)
def test_the_median_of_the_runs_with_stalls_must_not_be_above_the_spread_of_those_without(
    with_us: list[int], median_us: int, within: int, holds: bool
) -> None:
    for verdict in verdicts(runs([23, 20, 29], with_us)):
        assert (verdict.least_us, verdict.most_us) == (20, 29)
        assert (verdict.median_us, verdict.within_count, verdict.of_count) == (median_us, within, 3)
        assert verdict.holds is holds


def test_p50_and_p99_are_judged_each_for_itself() -> None:
    late_tail = run(*[10] * 98, 5000, 5000, stalls=True)
    p50, p99 = verdicts([run(*[10] * 100), late_tail])
    assert str(p50) == (
        "p50: with stalls 10 us (median of the runs), not above the spread without, 10 to 10 us; "
        "1 of 1 runs are not above it"
    )
    assert str(p99) == (
        "p99: with stalls 5000 us (median of the runs), ABOVE the spread without, 10 to 10 us; "
        "0 of 1 runs are not above it"
    )


def test_a_histogram_has_an_edge_for_each_doubling() -> None:
    assert histogram([0, 1, 2, 3, 4, 7, 8, 200_000]) == {
        1: 1, 2: 1, 4: 2, 8: 2, 16: 1, 262_144: 1,
    }  # fmt: skip


def test_both_histograms_stand_side_by_side_without_a_gap() -> None:
    found = [run(*[20] * 99, 3), run(*[20] * 3, 2000, stalls=True)]
    assert pooled(found, stalls=True) == [20, 20, 20, 2000]
    lines = side_by_side(found)
    assert [line.split() for line in lines[:5]] == [
        ["late", "scans", "without", "scans", "with", "stalls"],
        ["<", "4", "us", "1", "###", "0"],
        ["<", "8", "us", "0", "0"],
        ["<", "16", "us", "0", "0"],
        ["<", "32", "us", "99", "#" * 30, "3", "#" * 26],
    ]
    assert lines[-1].split() == ["<", "2.0", "ms", "0", "1", "#" * 15]
    assert len(lines) == 11


def test_scans_count_from_the_first_standby_to_the_last_and_those_of_a_beam_apart() -> None:
    names = ("BOOT", "STANDBY", "PREP", "EXPOSE", "READOUT", "STANDBY", "EXPOSE", "FAULT")
    life = Life(
        scans=[(t_us, t_us // 10) for t_us in range(0, 100, 5)],
        states=[(10 * number, name) for number, name in enumerate(names)],
    )
    assert life.late_us() == tuple(t_us // 10 for t_us in range(15, 51, 5))
    assert life.beam_late_us() == (3, 4, 6, 7)


def test_where_the_unit_gave_up_on_its_recorder_scans_count_for_some_seconds_more() -> None:
    life = Life(
        scans=[(t_us, t_us // 1_000_000) for t_us in range(0, 20_000_000, 1_000_000)],
        states=[(0, "STANDBY"), (2_000_000, "PREP"), (4_000_000, "FAULT")],
        waited_for="FAULT instead of READY: INTENT_NOT_DURABLE",
    )
    assert life.late_us() == tuple(range(1, 10))
    assert life.beam_late_us() == ()
    assert figures_us(life.beam_late_us()) == {}


# --- the program


@pytest.fixture
def stalls_ms(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the runs were asked for; each says that its scans were 20 us late."""
    asked: list[float] = []

    def measured(exposures: int, stall_ms: float, *, whole_disk: bool) -> Run:
        asked.append(stall_ms)
        if whole_disk and stall_ms:
            raise DeviceError("FAULT instead of READY: ROOM_IO_LOST")
        return run(20, 20, 20 + int(stall_ms), stalls=stall_ms > 0)

    monkeypatch.setattr(slow_store, "measured", measured)
    monkeypatch.setattr(slow_store, "why_not", lambda: None)
    return asked


def test_runs_are_made_in_turn_and_a_late_p99_is_told_by_the_exit_code(
    stalls_ms: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert slow_store.main(["--runs", "2", "--stall-ms", "50"]) == 1
    assert stalls_ms == [0, 50, 0, 50]
    told = capsys.readouterr().out.splitlines()
    assert told[1] == (
        "  stalls  all: p50   20, p99   70, max   70 us of    3 scans; "
        "in the beam: p50   20, p99   20, max   20 us of    1 scans; 7 of 7 syncs stalled"
    )
    assert [line.split(":")[0].strip() for line in told[-2:]] == ["p50", "p99"]


def test_json_is_one_object_with_runs_histograms_and_verdicts(
    stalls_ms: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert slow_store.main(["--runs", "1", "--stall-ms", "1", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["schema", "stall_ms", "whole_disk", "exposures_count", "runs",
                          "below_us", "verdicts"]  # fmt: skip
    assert told["below_us"] == {"without": {"32": 3}, "with": {"32": 3}}
    assert told["runs"][1] == {
        "stalls": True, "waited_for": "", "scans_count": 3, "beam_scans_count": 1,
        "p50_us": 20, "p99_us": 21, "max_us": 21,
        "beam_p50_us": 20, "beam_p99_us": 20, "beam_max_us": 20,
        "syncs_count": 7, "stalled_count": 7,
    }  # fmt: skip
    assert [(one["name"], one["holds"]) for one in told["verdicts"]] == [
        ("p50", True), ("p99", False),
    ]  # fmt: skip


def test_a_unit_that_faults_while_the_store_stalls_is_told_in_one_line(
    stalls_ms: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert slow_store.main(["--whole-disk"]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == ("slow_store: with a stall of 200 ms: FAULT instead of READY: ROOM_IO_LOST")


def test_without_a_disk_that_can_be_mounted_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slow_store, "why_not", lambda: "/dev/fuse is missing")
    assert slow_store.main([]) == 0
    assert "/dev/fuse is missing" in capsys.readouterr().out
    assert slow_store.main(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "skipped": "/dev/fuse is missing"}


@pytest.mark.parametrize(
    "arguments", [["--runs", "0"], ["--exposures", "x"], ["--stall-ms", "nan"]]
)
def test_a_wrong_number_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        slow_store.main(arguments)
    assert stopped.value.code == 2
    assert f"{arguments[0]}: must be a number from 1 to " in capsys.readouterr().err


@pytest.mark.wire
@pytest.mark.usefixtures("fuse")
@pytest.mark.parametrize("stall_ms", [0.0, 5.0])
def test_a_run_has_scans_in_and_out_of_the_beam_and_syncs_that_stall(stall_ms: float) -> None:
    found = slow_store.measured(1, stall_ms)
    assert len(found.late_us) > len(found.beam_late_us) > 100
    assert found.syncs_count > 20
    assert found.stalled_count == (found.syncs_count if stall_ms else 0)
    assert found.stalls is (stall_ms > 0)
