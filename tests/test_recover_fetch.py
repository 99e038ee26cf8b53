"""`dxrig recover --fetch`: what a dead run left in the panel's memory becomes its image."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest

from firmware_py.recorder.store.exposures import Exposure, read_exposure, read_exposures
from tests.live_bench import PORTABLE, LiveBench, ended, live_bench, until

pytestmark = pytest.mark.wire
SHORT = ("--kvp", "60", "--ma", "1", "--ms", "200")
LONG = ("--kvp", "60", "--ma", "1", "--ms", "3000")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    """A frame that does not come is waited for during 3 s, not 10 s."""
    folder = tmp_path_factory.mktemp("bench")
    file = folder / "portable.toml"
    assert "readout_ms = 10000" in PORTABLE
    file.write_text(PORTABLE.replace("readout_ms = 10000", "readout_ms = 3000"), encoding="utf-8")
    with live_bench(folder, bench=str(file)) as bench:
        bench.environment["DXRIG_BENCH"] = str(file)
        yield bench


@pytest.fixture
def live(simulator: LiveBench, tmp_path: Path) -> LiveBench:
    """A journal of its own, on the one simulator of this file."""
    return simulator.visit(tmp_path)


def killed(live: LiveBench, when: Any, *technique: str) -> Exposure:
    """An exposure whose unit and recorder die at once: both processes of the run."""
    process = live.start("expose", *technique)
    until(when)
    recorder = recorder_of(live)
    os.kill(json.loads((live.state / "unit.json").read_text())["pid"], signal.SIGKILL)
    os.kill(recorder, signal.SIGKILL)
    assert ended(process).returncode == 3
    return newest(live)


def recorder_of(live: LiveBench) -> int:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        words = path.read_bytes().decode(errors="replace")
        if "firmware_py.recorder" in words and str(live.folder) in words:
            return int(path.parent.name)
    raise AssertionError("no recorder runs")


def newest(live: LiveBench) -> Exposure:
    return read_exposures(live.state / "journal.db")[-1]


def waits_for_its_image(live: LiveBench) -> bool:
    """READOUT begins before the dose is kept."""
    return live.status().get("state") == "READOUT" and newest(live).missing == "image"


def fetch(live: LiveBench) -> tuple[int, dict[str, Any]]:
    done = live.here("recover", "--fetch", "--json")
    return done.returncode, json.loads(done.stdout)


def image_of(live: LiveBench, shot_id: str) -> pydicom.FileDataset:
    found = read_exposure(live.state / "journal.db", shot_id)
    assert found is not None
    intent, image = (json.loads(found[1][table]) for table in ("intent", "image"))
    dataset = pydicom.dcmread(live.state / intent["run_dir"] / image["folder"] / "presentation.dcm")
    assert dataset.IrradiationEventUID == intent["uids"]["irradiation_event"]  # SR-55
    assert dataset.SOPInstanceUID == intent["uids"]["presentation"]
    return dataset


@pytest.mark.req("SR-55", "SR-56")
def test_a_frame_that_was_read_out_after_everybody_had_died_becomes_the_image(
    live: LiveBench,
) -> None:
    live.do("panel", late_frame_us=1_500_000)
    row = killed(live, lambda: waits_for_its_image(live), *SHORT)
    assert row.missing == "image"
    assert live.run("expose", *SHORT).returncode == 4  # blocked until somebody has looked
    until(lambda: live.show()["panel_keeps"])
    code, answer = fetch(live)
    assert (code, answer["open"]) == (0, [])
    assert answer["fetched"] == [{"shot_id": row.shot_id, "said": "fetched, image saved"}]
    assert newest(live).outcome == "complete"
    assert image_of(live, row.shot_id).ExposureTime > 0
    assert live.here("exposures", "verify").returncode == 0
    assert fetch(live) == (0, {"schema": 1, "bench": "portable", "open": [], "fetched": []})
    assert live.run("expose", *SHORT).returncode == 0


@pytest.mark.req("SR-53", "SR-56")
def test_a_beam_of_unknown_dose_gets_its_image_and_still_waits_for_a_person(
    live: LiveBench,
) -> None:
    row = killed(live, lambda: live.show()["beam_on"], *LONG)
    until(lambda: live.show()["panel_keeps"])
    code, answer = fetch(live)
    assert answer["fetched"] == [{"shot_id": row.shot_id, "said": "fetched, image saved"}]
    assert (code, answer["open"][0]["missing"]) == (1, "dose")
    assert newest(live).outcome == "unknown dose"
    assert "ExposureInmAs" not in image_of(live, row.shot_id)


@pytest.mark.req("SR-56")
def test_a_frame_stays_in_the_panel_while_its_line_is_bad_and_comes_when_it_is_mended(
    live: LiveBench,
) -> None:
    live.do("panel", drop_frame=True)
    assert live.run("expose", *SHORT).returncode == 3
    shot_id = newest(live).shot_id
    code, answer = fetch(live)
    assert (code, len(answer["open"])) == (1, 1)
    assert answer["fetched"] == [{
        "shot_id": shot_id,
        "said": "left in the panel: it was asked for three times and did not come whole",
    }]  # fmt: skip
    live.do("panel", drop_frame=False)
    assert fetch(live)[0] == 0
    assert image_of(live, shot_id).ExposureStatus == "NORMAL"


def test_what_can_not_be_asked_is_told_with_exit_code_3(live: LiveBench) -> None:
    process = live.start("expose", *SHORT)
    until(live.status)
    busy = live.here("recover", "--fetch")
    assert busy.returncode == 3
    assert "is in use by `dxrig expose` (process " in busy.stderr
    ended(process)
    live.do("line", device="panel", silent=True)
    silent = live.here("recover", "--fetch")
    assert silent.returncode == 3
    assert silent.stderr.startswith("dxrig: the panel at ")
    assert "does not answer" in silent.stderr
