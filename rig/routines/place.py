"""Where a routine runs: rung, state, ports, and whose hand is on the switch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from firmware_py.runner import FULL
from rig.bench import Bench
from rig.exit_codes import DeviceError, UsageError
from rig.exposure_run import check_hand
from rig.guards import Ports, ports_of
from rig.state_dir import bench_state, fresh_state, new_folder, private_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a routine runs. `ports`: None on the model rung."""

    rung: str
    state: Path
    ports: Ports | None
    by_hand: bool


@contextmanager
def place_of(
    bench: Bench,
    *,
    rung: str | None,
    at: Path | None,
    hand: str | None,
    state: Path | None,
    out: Path | None,
) -> Iterator[Place]:
    """Raises UsageError, DeviceError, Refused. The model rung has a state of its own."""
    if rung == "model":
        if hand == "none":
            raise UsageError("--hand none: nobody can press on the model rung")
        with _model_state(bench, state, out) as folder:
            yield Place(rung="model", state=folder, ports=None, by_hand=False)
        return
    if state is not None:
        raise UsageError("--state is for --rung model; other rungs keep theirs with the bench")
    ports = ports_of(bench, at=at, rung=rung)
    check_hand(hand, ports)
    by_hand = hand == "none" or not ports.simulated
    yield Place(rung=ports.unit.rung, state=bench_state(bench.name), ports=ports, by_hand=by_hand)


@contextmanager
def _model_state(bench: Bench, state: Path | None, out: Path | None) -> Iterator[Path]:
    if state is not None:
        yield private_folder(state.absolute())
        return
    if out is not None:
        yield private_folder(new_folder(out).absolute() / "state")
        return
    with fresh_state(private_folder(bench_state(bench.name) / "model")) as folder:
        yield folder


@contextmanager
def space_told(state: Path) -> Iterator[None]:
    """A disk that fills up meanwhile is no bug; what was recorded stays."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        why = (error.strerror or str(error)).lower()
        text = f"{state}: {why}; free space and run it again: it goes on where it ended"
        raise DeviceError(text) from error


def operator_of(operator: str | None, place: Place) -> str:
    """Somebody signs for it; a simulated person has a name of its own."""
    if operator is not None and operator.strip():
        return operator.strip()
    if place.by_hand:
        raise UsageError("--operator NAME is needed: the record names who did it")
    return "simulated person"
