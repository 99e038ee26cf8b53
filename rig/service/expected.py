"""What each contact and output should be in a state of the unit; None = either may be right.

Without a unit the question is whether a press could be granted: the contacts of STANDBY.
"""

from __future__ import annotations

from collections.abc import Mapping

from rig.unit_states import LATCHED

_FREE = {
    "stage_1": False,
    "stage_2": False,
    "door": True,
    "estop": True,
    "chain": True,
    "key": True,
    "reset": False,
    "lamp_current": False,
}
_OFF = dict.fromkeys(
    ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor", "prep", "expose"), False
)
_TESTING = {"lamp_current": None, "beam_lamp": None, "buzzer": None, "enable": None}
_PREPARED = {"stage_1": True, "stage_2": None, "contactor": True, "prep": True}
_DIFFER: dict[str, Mapping[str, bool | None]] = {  # from STANDBY
    "BOOT": {"stage_1": None, "stage_2": None},
    "SELF_TEST": {"stage_1": None, "stage_2": None, **_TESTING},
    "PREP": _PREPARED,
    "READY": {**_PREPARED, "ready_lamp": True},
    "INTERLOCK_CHECK": {**_PREPARED, "stage_2": True, "ready_lamp": True, "enable": True},
    "EXPOSE": {
        **_PREPARED, "stage_2": True, "enable": True, "expose": True,
        "beam_lamp": None, "lamp_current": None, "buzzer": None,  # once the beam is there
    },
    "READOUT": {"stage_1": None, "stage_2": None, "beam_lamp": None, "lamp_current": None},
}  # fmt: skip
_AFTER_A_FAULT = {"reset": None, "beam_lamp": None, "lamp_current": None, "buzzer": None}


def expected(state: str) -> dict[str, bool | None]:
    """`state`: of the unit; "" = none runs. In FAULT and LOCKED what a reset waits for."""
    differ = _AFTER_A_FAULT if state in LATCHED else _DIFFER.get(state, {})
    return {**_FREE, **_OFF, **differ}


def as_expected(found: bool | None, wanted: bool | None) -> bool | None:
    """None: nothing is expected, or nothing is known."""
    return None if wanted is None or found is None else found is wanted
