"""The unit's states by name, as status answers and traces have them: sets come from the unit."""

from __future__ import annotations

from collections.abc import Iterable

from firmware_py.decide import supervisor
from firmware_py.decide.memory import State


def _names(states: Iterable[State]) -> frozenset[str]:
    return frozenset(state.value for state in states)


STATES = tuple(state.value for state in State)
IN_SEQUENCE = _names(supervisor.IN_SEQUENCE)  # from PREP to READOUT
LATCHED = _names(supervisor.LATCHED)
