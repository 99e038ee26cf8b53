"""Lists that must stay equal are one list; where words are added to it, the order is the same."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

from firmware_py.decide.memory import State
from hal.types import CONTACTS, RoomSample
from rig.service.pins import pins
from rig.unit_states import IN_SEQUENCE, LATCHED, STATES
from sim import wiring

ROOT = Path(__file__).parents[1]


def test_every_contact_is_a_field_of_the_sample_and_is_shown_in_its_order() -> None:
    assert [f.name for f in fields(RoomSample) if f.name in CONTACTS] == list(CONTACTS)
    shown = [name for name, pin in pins({}).items() if pin.kind == "input"]
    assert tuple(shown) == CONTACTS
    assert [name for name in CONTACTS if name not in ("chain", "lamp_current")] == list(
        wiring.CONTACTS  # those that a hand, a door or a key moves
    )


def test_the_sets_of_states_are_the_units() -> None:
    assert tuple(state.value for state in State) == STATES
    assert set(STATES) >= IN_SEQUENCE | LATCHED
    assert {"PREP", "READY", "INTERLOCK_CHECK", "EXPOSE", "READOUT"} == IN_SEQUENCE
    assert {"FAULT", "LOCKED"} == LATCHED


def test_asking_for_them_loads_nothing_heavy() -> None:
    heavy = ("pydantic", "numpy", "transitions", "pymodbus", "zmq", "serial")
    script = f"import sys, rig.unit_states; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
