"""A unit that died or fell silent: what ends the beam all the same, and what is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from firmware_py.bounds import UNIT_DEAD
from rig.bench import Bench
from rig.doctor_bounds import bounds_of
from rig.exit_codes import DeviceError
from rig.recovery import Open, open_exposures
from rig.unit_states import IN_SEQUENCE


def what_follows(bench: Bench, state: Path, lines: Sequence[dict[str, Any]]) -> str:
    """`lines`: the session's, after its end. "" = no sequence had begun, nothing is left."""
    began = any(line["kind"] == "state" and line["to"] in IN_SEQUENCE for line in lines)
    found: list[Open] = []
    with suppress(DeviceError):  # the journal can't be read: `dxrig recover` tells why
        found = open_exposures(state)
    sentences = [_outputs(bench)] if found or began else []
    sentences += [_incomplete(one) for one in found]
    if found:
        sentences.append(f"Next: `dxrig recover --bench {bench.name}`")
    return "".join(f". {sentence}" for sentence in sentences)


def _outputs(bench: Bench) -> str:
    dead = next(bound for bound in bounds_of(bench) if bound.what == UNIT_DEAD)
    by = _ENDS[dead.layer]
    return f"Without the unit {by}: kV off within {dead.bound_us / 1000:g} ms on this bench"


_ENDS = {
    "relay pulse": "the outputs drop by their relay pulse",
    "module watchdog": "the outputs drop by the room module's watchdog",
    "watchdog": "the generator's watchdog ends a beam",
    "device timer": "the generator's own timer ends a beam",
}


def _incomplete(one: Open) -> str:
    return (
        f"Exposure {one.shot_id} is recorded as incomplete: {one.missing} missing, dose {one.dose}"
    )
