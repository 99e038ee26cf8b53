"""Whose hand is on the handswitch. Nothing here starts a beam: both only press, or ask to.

The simulated hand goes through a simulator's own control, which no real room has.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from rig.exit_codes import DxrigError
from rig.simulator import ask
from rig.unit_states import LATCHED

RELEASE_AT = LATCHED | {"READOUT", "RELEASE_WAIT"}


class Hand(Protocol):
    def entered(self, state: str) -> None:
        """The unit is in this state now."""

    def let_go(self) -> None:
        """It is over, whatever came of it."""


class SimulatedHand:
    """Stage 1 in STANDBY, stage 2 at READY, and released when the beam has ended."""

    def __init__(self, simulator: dict[str, Any]) -> None:
        self._simulator = simulator
        self._pressed = False

    def entered(self, state: str) -> None:
        if state == "STANDBY" and not self._pressed:
            self._pressed = True
            ask(self._simulator, {"kind": "press", "stage": 1})
        elif state == "READY":
            ask(self._simulator, {"kind": "press", "stage": 2})
        elif state in RELEASE_AT and self._pressed:
            self.let_go()

    def let_go(self) -> None:
        if self._pressed:
            with suppress(DxrigError):  # the simulator may have ended
                ask(self._simulator, {"kind": "do", "verb": "release", "args": {}})


PROMPTS = {
    "STANDBY": "press stage 1 of the handswitch and hold it",
    "READY": "ready: now press stage 2 and hold it until the beam has ended",
    "READOUT": "the beam has ended: release the handswitch",
}


class PersonsHand:
    """Says what to press, following the states."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._was = ""

    def entered(self, state: str) -> None:
        if state == "RELEASE_WAIT" and self._was in ("SELF_TEST", "PREP", "READY"):
            self._say("release the handswitch")
        elif state in PROMPTS and not (state == "STANDBY" and self._was == "READOUT"):
            self._say(PROMPTS[state])
        self._was = state

    def let_go(self) -> None:
        return None
