"""A device that owes a reply for too long is offline, until it answers again.

The driver says how long is too long: in the beam the age that a status may have, else more.
"""

from __future__ import annotations

from hal.now import Now

SILENCE_US = 500_000  # outside the beam: how long a reply may be owed before the link is lost


class Silence:
    def __init__(self) -> None:
        self.offline = True
        self._until_us: int | None = None  # a reply is owed; offline when none came by then

    def answered(self) -> None:
        self.offline = False
        self._until_us = None

    def owed(self, now: Now, patience_us: int) -> None:
        """A question has no answer yet: time runs from the first such one on."""
        if self._until_us is None:
            self._until_us = now.t_us + patience_us
            now.wake(self._until_us)

    def lost(self, now: Now, *, port_down: bool) -> bool:
        """True in the one scan in which the device is lost."""
        silent = self._until_us is not None and now.reached(self._until_us)
        if self.offline or not (silent or port_down):
            return False
        self.offline = True
        return True

    def forget(self) -> None:
        """Nothing is owed by whoever answers next."""
        self._until_us = None
