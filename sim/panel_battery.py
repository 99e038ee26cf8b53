"""A wireless panel's battery: what is left, in closed form, and when nothing is.

It is known by how long it lasts, idle and at work; both are choices of a bench file, as a data
sheet would have them. In its dock it charges, and the dock feeds the panel; switched off it loses
itself slowly. Both times are *chosen*. Only the charge counts, so one watt-hour is as good a size
as another.
"""

from __future__ import annotations

from hal.now import NEVER_US, earliest_us
from sim.battery import Battery

HOUR_US = 3_600_000_000
DOCK_H = 2.5  # empty to full, whatever the panel does meanwhile
OFF_H = 720.0  # full to empty, switched off


class PanelBattery(Battery):
    capacity_j = 3600.0

    def __init__(self, *, idle_h: float, working_h: float, charge: float = 1.0) -> None:
        super().__init__(charge)
        self._hours = {False: idle_h, True: working_h}
        self._working, self._off, self.docked = False, False, False
        self._since_us = 0
        self.shown_pct: float | None = None  # a fault: its meter stands at this, whatever is left

    def follow(self, t_us: int, working: bool) -> None:
        """From now on it takes as much as that."""
        self._book(t_us)
        self._working = working

    def switch(self, t_us: int, on: bool) -> None:
        self._book(t_us)
        self._off = not on

    def dock(self, t_us: int, docked: bool) -> None:
        self._book(t_us)
        self.docked = docked

    def feeds(self) -> bool:
        """False: nobody answers. As of the last change."""
        return self.docked or self.charge > 0

    def _book(self, t_us: int) -> None:
        self.take(self._taken_j(t_us))
        self._since_us = t_us

    def charge_to(self, t_us: int, charge: float) -> None:
        """As a dock leaves it. ValueError beyond 0..1."""
        if not 0.0 <= charge <= 1.0:
            raise ValueError(f"charge = {charge:g}: must be 0 to 1")
        self.charge, self._since_us = charge, t_us

    def pct(self, t_us: int) -> int:
        left_pct = 100 * self.left(self._taken_j(t_us))
        return round(left_pct if self.shown_pct is None else self.shown_pct)

    def empty_us(self) -> int:
        """When nothing will be left, if it goes on as it does."""
        if self.docked:
            return NEVER_US
        if self.charge <= 0:
            return self._since_us
        lasts_us = round(self.charge * self._lasts_h() * HOUR_US)
        return earliest_us(self._since_us + lasts_us, NEVER_US)

    def _lasts_h(self) -> float:
        """From full to empty; less than 0: it charges."""
        if self.docked:
            return -DOCK_H
        return OFF_H if self._off else self._hours[self._working]

    def _taken_j(self, t_us: int) -> float:
        hours = (t_us - self._since_us) / HOUR_US
        return self.capacity_j * hours / self._lasts_h()
