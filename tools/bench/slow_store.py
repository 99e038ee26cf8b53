"""Is the scan later while the store stalls? `python -m tools.bench.slow_store`

Wire rung: unit and recorder as processes, simulated devices on real ports. Journal, witness and
the run's folder lie on a disk in memory (FUSE), and in every other run each sync takes so long
there: fsync, fdatasync, a write with O_DSYNC. Runs with and without in turn, so that a slow
moment of the machine hits both. In a beam the recorder syncs nothing, so somebody else on that
disk does, all the time. Where the recorder itself waits for so long that the unit gives up on it,
which --whole-disk brings about, the run is judged up to there, and told.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firmware_py.record import read_record
from firmware_py.recorder.image.maps import save
from rig.bench import Bench, load_bench
from rig.durability.mount import Mount, MountError, why_not
from rig.durability.trouble import Trouble
from rig.exit_codes import DxrigError
from rig.model import setting_of
from rig.run_model import shot_of, valid_set
from rig.run_wire import Simulator
from rig.scenario import ShotSection
from rig.session import Session
from rig.simulator import with_ports
from sim.build import pixel_model
from tools.bench.lateness import (
    Run,
    Verdict,
    figures_us,
    histogram,
    pooled,
    side_by_side,
    verdicts,
)

SCHEMA = 1
RUNS, EXPOSURES, STALL_MS = 5, 3, 200.0
SHOT = ShotSection(kv=60.0, ma=0.5, mas=0.5)  # 1 s
FINGER_S = 0.1
LOOK_S = 0.01
LIMIT_S = 30.0  # from one state to another
DISK_START_S, DISK_EXPOSURE_S = 60, 60  # at most: then the disk ends itself
NEIGHBOUR_S = 0.02  # between two syncs of somebody else
LINGER_S = 5.0  # of scans after the unit gave up on the recorder
WAITED_FOR = frozenset({"INTENT_NOT_DURABLE", "DOSE_NOT_SAVED", "RECORDER_LOST", "DISK"})
OUTSIDE = 1  # exit code, as everywhere in dxrig


class RecorderWaitsError(DxrigError):
    """What the recorder owed did not come in time: no beam for it (SR-52), and no late scan."""


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    reason = why_not()
    if reason is not None:
        print(json.dumps({"schema": SCHEMA, "skipped": reason}) if asked.json
              else f"skipped, for no disk that stalls can be mounted here: {reason}")  # fmt: skip
        return 0
    runs = list[Run]()
    try:
        for number in range(2 * asked.runs):
            print(f"run {number + 1} of {2 * asked.runs} ...", file=sys.stderr, flush=True)
            stall_ms = asked.stall_ms if number % 2 else 0.0
            runs.append(measured(asked.exposures, stall_ms, whole_disk=asked.whole_disk))
            if not asked.json:
                print(_row(runs[-1]), flush=True)
    except (DxrigError, MountError) as error:
        print(f"slow_store: with a stall of {stall_ms:g} ms: {error}", file=sys.stderr)
        return OUTSIDE
    found = verdicts(runs)
    print(json.dumps(as_dict(runs, found, asked)) if asked.json else text(runs, found))
    return 0 if all(verdict.holds for verdict in found) else OUTSIDE


def measured(exposures: int, stall_ms: float, *, whole_disk: bool = False) -> Run:
    """One life of a unit with its recorder. Raises DxrigError, MountError.

    `whole_disk`: nobody is served while a sync stalls, those who only write neither. Else it
    keeps waiting who asked for it, as with ext4 on a device that is slow to flush.
    """
    with tempfile.TemporaryDirectory(prefix="dxrig-") as name:
        folder = Path(name)
        (folder / "before").mkdir()
        disk = Mount(
            folder / "disk",
            Trouble(sync_stall_ms=stall_ms),
            before=folder / "before",
            after=folder / "after",
            ordinary=not whole_disk,
            longest_s=DISK_START_S + DISK_EXPOSURE_S * exposures,
        )
        with disk, _neighbour(disk.at / "neighbour"):
            life = _live(load_bench("portable"), folder, disk.at, exposures, bears=whole_disk)
    return Run(
        stalls=stall_ms > 0,
        late_us=life.late_us(),
        beam_late_us=life.beam_late_us(),
        syncs_count=disk.counts["sync"],
        stalled_count=len(disk.stalled_ms),
        waited_for=life.waited_for,
    )


@contextmanager
def _neighbour(path: Path) -> Iterator[None]:
    """Another program on the same disk, which writes and syncs all the time."""
    over = threading.Event()

    def syncs() -> None:
        with path.open("wb", buffering=0) as file:
            while not over.wait(NEIGHBOUR_S):
                file.write(b"x")
                os.fsync(file.fileno())

    thread = threading.Thread(target=syncs)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


# --- a life


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """`scans`: (t_us, late_us) of each; `states`: (t_us, entered) in order, by the same clock.

    `waited_for`: as in `Run`.
    """

    scans: Sequence[tuple[int, int]]
    states: Sequence[tuple[int, str]]
    waited_for: str = ""

    def late_us(self) -> tuple[int, ...]:
        """From the first STANDBY to the last: start and end are other processes' work, too.

        Where the unit gave up on its recorder, until some seconds after that.
        """
        standby_us = [t_us for t_us, state in self.states if state == "STANDBY"]
        given_up_us = self.states[-1][0] + round(LINGER_S * 1e6)
        return self._within(standby_us[0], given_up_us if self.waited_for else standby_us[-1])

    def beam_late_us(self) -> tuple[int, ...]:
        spans = zip(self.states, self.states[1:], strict=False)
        beams = [(one[0], two[0]) for one, two in spans if one[1] == "EXPOSE"]
        return tuple(late_us for beam in beams for late_us in self._within(*beam))

    def _within(self, from_us: int, to_us: int) -> tuple[int, ...]:
        return tuple(late_us for t_us, late_us in self.scans
                     if from_us < t_us <= to_us)  # fmt: skip # us-compare: of a file


def _live(bench: Bench, folder: Path, disk: Path, exposures: int, *, bears: bool = False) -> Life:
    """`bears`: a recorder that waits too long ends the exposures, and is no error."""
    waited_for = ""
    simulator = Simulator(bench, folder, seed=bench.sim.seed)
    session: Session | None = None
    try:
        session = _session(bench, folder, disk, simulator)
        session.start()
        at_us = _until(session, "STANDBY", after_us=-1)
        for number in range(exposures):
            session.program(shot_of(bench, SHOT, f"slow-store-{number}"))
            at_us = _expose(session, simulator, at_us)
    except RecorderWaitsError as error:
        if not bears:
            raise
        waited_for = str(error)
        time.sleep(LINGER_S + LOOK_S)
    finally:
        if session is not None:
            session.end()
        simulator.end()
    assert session is not None
    _, scans, trouble = read_record(session.folder / "record.bin")
    if trouble:
        raise DxrigError(f"the record ends too early: {trouble}")
    return Life(
        scans=[(scan.t_us, scan.late_us) for scan in scans if not scan.safe],
        states=[(line["t_us"], line["to"]) for line in session.lines if line["kind"] == "state"],
        waited_for=waited_for,
    )


def _session(bench: Bench, folder: Path, disk: Path, simulator: Simulator) -> Session:
    started_at, panel_set = datetime.now(UTC), folder / "panel-set.npz"
    save(valid_set(bench, pixel_model(setting_of(bench)), started_at), panel_set)
    (disk / "run" / "work").mkdir(parents=True)
    return Session(
        bench=bench,
        unit=with_ports(bench.unit, simulator.facts),
        folder=disk / "run",
        state=disk / "state",
        simulated=True,
        panel_set=panel_set,
        started_at=started_at,
    )


def _expose(session: Session, simulator: Simulator, at_us: int) -> int:
    """From STANDBY to STANDBY, which comes when the image is saved; when that was."""
    time.sleep(FINGER_S)
    simulator.ask("press", stage=1)
    at_us = _until(session, "READY", after_us=at_us)
    simulator.ask("press", stage=2)
    at_us = _until(session, "READOUT", after_us=at_us)
    simulator.ask("do", verb="release")
    return _until(session, "STANDBY", after_us=at_us)


def _until(session: Session, state: str, *, after_us: int) -> int:
    """When the unit entered this state, later than that; by its own clock.

    Raises DxrigError when a fault or a refusal comes first, a process is gone, or it takes too
    long; RecorderWaitsError where that is the recorder's.
    """
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        session.drain()
        for line in session.lines:
            t_us: int = line["t_us"]
            if line["kind"] not in ("state", "refused") or t_us <= after_us:  # us-compare: a trace
                continue
            codes = [*line.get("faults", ()), *line.get("because", ())]
            if codes:
                kind = RecorderWaitsError if WAITED_FOR.issuperset(codes) else DxrigError
                told = line.get("to", "a refusal")
                raise kind(f"{told} instead of {state}: {', '.join(codes)}")
            if line.get("to") == state:
                return t_us
        session.check()
        time.sleep(LOOK_S)
    raise DxrigError(f"no {state} within {LIMIT_S:g} s")


# --- what people and programs read


def _row(run: Run) -> str:
    store = "stalls" if run.stalls else "prompt"
    cells = [
        f"{name}: " + ", ".join(f"{key} {us:>4}" for key, us in figures_us(late_us).items())
        + f" us of {len(late_us):>4} scans"
        for name, late_us in (("all", run.late_us), ("in the beam", run.beam_late_us)) if late_us
    ]  # fmt: skip
    cells.append(f"{run.stalled_count} of {run.syncs_count} syncs stalled")
    return f"  {store}  {'; '.join([*cells, run.waited_for] if run.waited_for else cells)}"


def text(runs: Sequence[Run], found: Sequence[Verdict]) -> str:
    return "\n".join([*side_by_side(runs), *(f"  {verdict}" for verdict in found)])


def as_dict(
    runs: Sequence[Run], found: Sequence[Verdict], asked: argparse.Namespace
) -> dict[str, Any]:
    kinds = {"without": False, "with": True}
    return {
        "schema": SCHEMA,
        "stall_ms": asked.stall_ms,
        "whole_disk": asked.whole_disk,
        "exposures_count": asked.exposures,
        "runs": [run.as_dict() for run in runs],
        "below_us": {k: histogram(pooled(runs, stalls=stalls)) for k, stalls in kinds.items()},
        "verdicts": [verdict.as_dict() for verdict in found],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.bench.slow_store", description=__doc__)
    parser.add_argument("--runs", type=_count, default=RUNS, metavar="N",
                        help=f"of each kind (default {RUNS})")  # fmt: skip
    parser.add_argument("--exposures", type=_count, default=EXPOSURES, metavar="N",
                        help=f"in each run (default {EXPOSURES})")  # fmt: skip
    parser.add_argument("--stall-ms", type=_stall_ms, default=STALL_MS, metavar="MS",
                        help=f"of each sync, 1 to 1000 (default {STALL_MS:g})")  # fmt: skip
    parser.add_argument("--whole-disk", action="store_true",
                        help="a sync that stalls keeps everybody from the disk")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    return parser


def _count(text: str) -> int:
    return int(_number(text, 1, 100, int))


def _stall_ms(text: str) -> float:
    return _number(text, 1, 1000, float)


def _number(text: str, least: int, most: int, kind: type[int] | type[float]) -> float:
    try:
        number = kind(text)
    except ValueError:
        number = least - 1
    if least <= number <= most:
        return number
    raise argparse.ArgumentTypeError(f"must be a number from {least} to {most}, got {text!r}")


if __name__ == "__main__":
    sys.exit(main())
