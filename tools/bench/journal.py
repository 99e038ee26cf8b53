"""`dxrig exposures list` and `show` as whole processes, over a hundred and over ten thousand."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from firmware_py.recorder.store.journal import Journal
from tools.bench.timing import Benchmark, Case, in_turn

ROOT = Path(__file__).parents[2]
FEW_COUNT, MANY_COUNT = 100, 10_000
SMALL_PARENT = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
LIST, SHOW = ("list", "--last", "50"), ("show", "50")


def journal(seconds: float, many_count: int = MANY_COUNT) -> Benchmark:
    with tempfile.TemporaryDirectory(prefix="dxrig-") as name:
        few, many = (_state(Path(name) / str(n), n) for n in (FEW_COUNT, many_count))
        cases = [
            _case(words, home, count)
            for words in (LIST, SHOW)
            for home, count in ((few, FEW_COUNT), (many, many_count))
        ]
        measured = in_turn(*cases, seconds=seconds)
    return Benchmark(
        name="journal",
        about="the list of the newest 50, and one exposure, from call to end",
        cases=measured,
    )


def _state(home: Path, count: int) -> Path:
    """A portable bench's state with that many exposures, written as the recorder writes them."""
    state = home / "dxrig" / "portable"
    state.mkdir(parents=True)
    started = datetime(2026, 1, 1, tzinfo=UTC)
    with closing(Journal(state / "journal.db", durable=False)) as journal:
        for number in range(1, count + 1):
            _exposure(journal, f"x-{number:012d}", started + timedelta(minutes=number))
    return home


def _exposure(journal: Journal, shot_id: str, at: datetime) -> None:
    shot = {"kind": "imaging", "technique": {"kv": 70.0, "ma": 1.0, "mas": 2.0}}
    uids = {f"{name} uid": f"2.25.{'7' * 36}" for name in ("study", "event", "image", "series")}
    files = dict.fromkeys(("frame.stream", "processing.dcm", "presentation.dcm"), "0" * 64)
    journal.add_intent(
        shot_id=shot_id, at=at, exam_id="TEST", planned_mas=2.0, maximum_mas=4.0,
        detail={"shot": shot, "uids": uids},
    )  # fmt: skip
    journal.add_dose(
        shot_id=shot_id, at=at, beam=True, mas=2.0, reason="planned end", detail={"kv": 70.0}
    )
    journal.add_image(shot_id=shot_id, at=at, detail={"files": files})


def _case(words: tuple[str, ...], home: Path, count: int) -> Case:
    command = [sys.executable, "-m", "rig", "exposures", *words]
    environment = os.environ | {"XDG_STATE_HOME": str(home), "DXRIG_BENCH": "portable"}

    def run() -> None:
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)

    return Case(
        name=f"{words[0]}, of {count}",
        run=run,
        figures=lambda one_us: {"peak_mib": peak_mib(command, environment)},
    )


def peak_mib(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Of memory. A process counts what its parent held when it began, so that one is small here."""
    done = subprocess.run(
        [sys.executable, "-S", "-c", SMALL_PARENT, *command],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(done.stdout) / 1024
