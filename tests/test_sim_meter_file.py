"""From a simulated beam to a judged import: the meter's table goes the way of any maker's."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from rig.sim_meter import HEADERS, MAP, table
from tests.live_bench import LiveBench, live_bench

READING = {
    "ended_at": "2026-11-22T23:59:59.900000+01:00", "kv": 70.234, "kerma_ugy": 276.099,
    "time_ms": 48.25, "hvl_mm_al": 2.5927, "mas": 4.95, "on_us": 0, "off_us": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


def test_a_row_says_when_the_beam_ended_in_utc_and_what_was_read() -> None:
    rows = list(csv.reader(table([READING]).splitlines()))
    assert rows == [
        ["Model", "SIM-METER"],
        ["Serial number", "M0001"],
        list(HEADERS),
        ["2026-11-22", "22:59:59", "70.23", "0.27610", "48.25", "2.593"],
    ]


@pytest.mark.wire
def test_a_drifted_divider_passes_the_generators_word_and_fails_the_imported_meters(
    live: LiveBench, tmp_path: Path
) -> None:
    live.do("generator", kv_factor=1.15)
    shot = live.run("expose", "--kvp", "70", "--ma", "1", "--ms", "400", "--json")
    live.do("generator", kv_factor=1.0)
    assert shot.returncode == 0, shot.stderr
    assert json.loads(shot.stdout)["measured"]["kv"] == pytest.approx(70, abs=1)
    file = tmp_path / "my meter.csv"
    done = live.here("sim", "meter", str(file))
    assert (done.returncode, done.stdout) == (
        0, f"{file}: 1 row; import it: dxrig meter import '{file}' --map {MAP}\n",
    )  # fmt: skip
    stated = ("--uncertainty", "kv=2", "--uncertainty", "time=1", "--json")
    judged = live.run("meter", "import", str(file), "--map", MAP, *stated)
    answer = json.loads(judged.stdout)
    assert judged.returncode == 1, judged.stdout
    (kv,) = (one for one in answer["findings"] if one["test"] == "kv")
    assert kv["found"] == pytest.approx(15.0, abs=1.4)  # % of what was indicated
    assert kv["verdict"] == "fail"


@pytest.mark.wire
def test_a_file_that_is_there_is_not_overwritten(live: LiveBench, tmp_path: Path) -> None:
    file = tmp_path / "meter.csv"
    file.write_text("mine")
    done = live.here("sim", "meter", str(file))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"dxrig: {file}: File exists\n"
    assert file.read_text() == "mine"
