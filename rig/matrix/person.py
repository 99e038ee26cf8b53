"""Who works with the unit: presses for an exposure, lets go, and clears a fault as one would.

After an injection the hand goes on: whatever keeps a beam from coming is then the unit or
the chain, and not a hand that gave up. After a fault the cause is taken away first and reset
is pressed later, so that a fault that heals by itself shows.
"""

from __future__ import annotations

from collections.abc import Callable

from rig.drivers import generator_of, nobody
from rig.matrix.room import Room

PRESS_MS, STAGE_2_MS, HOLD_MS, LET_GO_MS = 450.0, 100.0, 100.0, 100.0
CURE_MS, RESET_MS = 100.0, 700.0
KEY_MS, LEFT_MS, UNLOCKED_MS = 450.0, 500.0, 550.0  # after the reset; after it; after the key
BACK_MS = 400.0  # beside the longest exchange: a generator's line is whole, and it is known again
SEEN_MS = 1_000.0  # a press that the unit has not answered by then is not answered at all


class Person:
    def __init__(self, room: Room) -> None:
        self._room = room
        room.on_state = self.saw
        self.wishes = 1  # exposures still wanted
        self.holds = False  # does not let go
        self.clears = False  # takes faults away
        self.cures: list[Callable[[], None]] = []  # what to do about the cause, fault by fault
        self.waits = False  # in the middle of clearing something
        self.pressed_us: int | None = None
        self.cured_us: int | None = None  # when the last cause was taken away
        self.looked: list[tuple[str, str, str]] = []  # (fault or lock, cause gone, after reset)
        generator = generator_of(room.bench.unit.generator, nobody()).capabilities
        # Reset is pressed when the cause is gone, which a slow line is late to show; and the
        # switch is held for long enough to see whether the generator obeys OFF.
        exchange_ms = generator.longest_exchange_us["standby"] / 1000
        self._reset_ms = max(RESET_MS, BACK_MS + 1.5 * exchange_ms)
        self._hold_ms = max(HOLD_MS, 2 * generator.kv_fall_us / 1000)
        self._used = self._turned = False
        self._asked = False  # a press that the unit has not answered yet

    def saw(self, state: str) -> None:
        self._asked = False
        rule = {
            "BOOT": self._start_again,
            "STANDBY": self._press,
            "READY": lambda: self._room.after(STAGE_2_MS, "press"),
            "READOUT": lambda: self._let_go(self._hold_ms),
            "RELEASE_WAIT": lambda: self._let_go(LET_GO_MS),
            "FAULT": self._clear,
            "LOCKED": self._clear,
        }.get(state)
        if rule is not None:
            rule()

    def _start_again(self) -> None:
        """Whoever has to start a unit anew still wants an exposure."""
        self.wishes = max(self.wishes, 1)

    def _press(self) -> None:
        if self.wishes <= 0:
            return
        if self._used:
            self._room.next_shot()
        self._used = True
        self._room.at(PRESS_MS, self._stage_1)

    def _stage_1(self) -> None:
        if self.wishes <= 0 or self._room.state != "STANDBY":
            return  # entered twice meanwhile (one wish, one press), or left by a fault
        self.wishes -= 1
        self.pressed_us = self._room.world.t_us
        self._room.act("press", {"stage": 1})
        self._asked = True
        self._room.at(SEEN_MS, self._given_up)

    def _given_up(self) -> None:
        self._asked = False

    def _let_go(self, ms: float) -> None:
        if not self.holds:
            self._room.after(ms, "release")

    # --- after a fault

    def _clear(self) -> None:
        if not self.clears or self.waits:
            return
        self._let_go(LET_GO_MS)
        if not self.cures:
            return
        self.waits = True
        latched = self._room.state
        self._room.at(CURE_MS, self._cure)
        self._room.at(self._reset_ms - 50, lambda: self._reset(latched))

    def _cure(self) -> None:
        self.cures.pop(0)()
        if not self.cures:
            self.cured_us = self._room.world.t_us

    def _reset(self, latched: str) -> None:
        """Reset alone must do for FAULT and must not for LOCKED: there the key comes first."""
        before = self._room.state
        for ms in (50.0, 250.0):  # the first closes the safety relay, the second clears the fault
            self._room.after(ms, "press reset")
            self._room.after(ms + 100, "release reset")
        if latched == "LOCKED":
            self._room.at(KEY_MS, lambda: self._key(before))
        else:
            self._room.at(LEFT_MS, lambda: self._seen(latched, before))

    def _key(self, before: str) -> None:
        if self._turned and self._room.state != "LOCKED":
            self._seen("LOCKED", before)  # the key was turned when another cause kept it locked
            return
        kept = self._room.state if before == "LOCKED" else before
        self._turned = True
        self._room.after(0, "key off")
        self._room.after(100, "key on")
        for ms in (200.0, 400.0):
            self._room.after(ms, "press reset")
            self._room.after(ms + 100, "release reset")
        self._room.at(UNLOCKED_MS, lambda: self._seen("LOCKED", kept))

    def _seen(self, latched: str, before: str) -> None:
        after = self._room.state
        self.looked.append((latched, before, after))
        self.waits = False
        if after in ("FAULT", "LOCKED"):
            self._clear()  # perhaps there is another cause

    @property
    def idle(self) -> bool:
        """Nothing more is wanted of this unit."""
        state = self._room.state
        if self.waits or self._asked:
            return False
        return state in ("", "FAULT", "LOCKED") or (state == "STANDBY" and not self.wishes)
