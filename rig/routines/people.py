"""Who stands at the bench while a routine runs: a person who is told, or a simulated one.

Nothing here starts a beam. The simulated person presses, confirms and resets through the
simulated room, and exists only there.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from hal.now import Now
from rig.exit_codes import DxrigError, UsageError
from rig.simulator import ask
from sim.script import do
from sim.world import World

RELEASE_AT = frozenset({"READOUT", "RELEASE_WAIT", "FAULT", "LOCKED"})
RESET_HELD_S = 0.2

# What a simulated person does when asked; afterwards the room is as it was.
_DOES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "no receptor": (("panel", {"in_beam": False}),),
    "open field": (("panel", {"in_beam": True}), ("phantom", {"name": "none"})),
}
_AFTERWARDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("panel", {"in_beam": True}),
    ("phantom", {"name": "hand"}),
)


class Person(Protocol):
    def wanted(self, told: str, hold_s: float) -> None:
        """A shot is programmed, nothing inhibits it, and it needs a press."""

    def entered(self, state: str) -> None: ...

    def asked(self, key: str, text: str) -> None: ...

    def answer(self) -> str | None:
        """Who confirmed what was asked; None = nobody yet."""

    def latched(self, told: str) -> None:
        """FAULT or LOCKED; `told`: what a reset waits for, or "" when it would do."""

    def leave(self) -> None:
        """It is over, whatever came of it."""


class Room(Protocol):
    """A simulated room, in this process or in another."""

    def do(self, verb: str, args: Mapping[str, Any]) -> None: ...

    def now_s(self) -> float: ...


class WorldRoom:
    def __init__(self, world: World) -> None:
        self._world = world

    def do(self, verb: str, args: Mapping[str, Any]) -> None:
        do(self._world, verb, args)

    def now_s(self) -> float:
        return self._world.t_us / 1e6


class FarRoom:
    """That of a `dxrig sim up`."""

    def __init__(self, simulator: dict[str, Any], now_s: Callable[[], float]) -> None:
        self._simulator, self.now_s = simulator, now_s

    def do(self, verb: str, args: Mapping[str, Any]) -> None:
        ask(self._simulator, {"kind": "do", "verb": verb, "args": dict(args)})


class SimulatedPerson:
    def __init__(self, room: Room, name: str = "simulated person") -> None:
        self._room, self._name = room, name
        self._pressed = False
        self._answer: str | None = None
        self._reset_s: float | None = None

    def wanted(self, told: str, hold_s: float) -> None:
        if not self._pressed:
            self._pressed = True
            self._room.do("press", {"stage": 1})

    def entered(self, state: str) -> None:
        if state == "READY" and self._pressed:
            self._room.do("press", {"stage": 2})
        elif state in RELEASE_AT:
            self._release()

    def asked(self, key: str, text: str) -> None:
        if key not in _DOES:
            raise UsageError(f"a simulated person can't do what is asked: {text}")
        for verb, args in _DOES[key]:
            self._room.do(verb, args)
        self._answer = self._name

    def answer(self) -> str | None:
        answer, self._answer = self._answer, None
        return answer

    def latched(self, told: str) -> None:
        """Presses reset as a person would: not before the cause is gone, and not for ever."""
        now = Now(round(self._room.now_s() * 1e6))
        if self._reset_s is not None:
            if now.reached(round((self._reset_s + RESET_HELD_S) * 1e6)):
                self._room.do("release reset", {})
                self._reset_s = None
        elif not told:
            self._room.do("press reset", {})
            self._reset_s = self._room.now_s()

    def leave(self) -> None:
        with suppress(DxrigError):  # the simulator may have ended
            self._release()
            for verb, args in _AFTERWARDS:
                self._room.do(verb, args)

    def _release(self) -> None:
        if self._reset_s is not None:
            self._room.do("release reset", {})
            self._reset_s = None
        if self._pressed:
            self._pressed = False
            self._room.do("release", {})


class RealPerson:
    """Is told what to do; confirms with the Enter key, under the operator's name."""

    def __init__(self, say: Callable[[str], None], operator: str) -> None:
        self._say, self._operator = say, operator
        self._asked = False
        self._told = ""
        self._hold_s = 0.0

    def wanted(self, told: str, hold_s: float) -> None:
        self._hold_s = hold_s
        self._say(f"{told}: press stage 1 and hold it")

    def entered(self, state: str) -> None:
        if state == "READY":
            self._say(f"ready: press stage 2 and hold it, {self._hold_s:g} s, until the beam ends")
        elif state == "READOUT":
            self._say("the beam has ended: release the handswitch")

    def asked(self, key: str, text: str) -> None:
        self._asked = True
        self._say(f"{text} Then press Enter.")

    def answer(self) -> str | None:
        if not self._asked or not select.select([sys.stdin], [], [], 0)[0]:
            return None
        if not sys.stdin.readline():
            raise UsageError("nobody is there to confirm: standard input has ended")
        self._asked = False
        return self._operator

    def latched(self, told: str) -> None:
        text = told or "press reset"
        if text != self._told:
            self._told = text
            self._say(text)

    def leave(self) -> None:
        return None
