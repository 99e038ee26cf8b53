"""A simulated panel that speaks one of `hal.handshakes`' tables over lines, or detects by itself.

States are segments with an end, as in `sim.detector`. What a document does not say is
synthetic: a grant after `grant_us`, a window of `window_us`, a read-out of `readout_us`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.handshakes import TO_PANEL, Ends, Handshake, Signal, level
from hal.now import NEVER_US, Now


@dataclass(frozen=True, slots=True, kw_only=True)
class LineTimes:
    grant_us: int = 120_000
    window_us: int = 1_000_000
    readout_us: int = 300_000


class SimLinePanel:
    """`set_levels` is what the generator's side drives, `levels` what the panel answers.

    Injections are plain attributes: `late_grant_us` more until the grant, `never_grants`,
    `grants_unasked`, `stuck_grant` (it stays after the window), `error`.
    """

    def __init__(self, table: Handshake, times: LineTimes | None = None) -> None:
        self.late_grant_us = 0
        self.never_grants = self.grants_unasked = self.stuck_grant = self.error = False
        self.frames_count = 0  # read out
        self._table, self._times = table, times or LineTimes()
        self._active = dict.fromkeys(table.lines, False)
        self._phase, self._until_us = "idle", NEVER_US

    def set_levels(self, t_us: int, levels: dict[str, bool]) -> None:
        self.advance(Now(t_us))
        was = self._active.get(Signal.REQUEST, False)
        for signal, name in self._table.lines.items():
            if signal in TO_PANEL:
                self._active[signal] = levels[name] is level(self._table, signal, True)
        asked = self._active.get(Signal.REQUEST, False)
        if asked and not was and self._phase == "idle":
            until_us = t_us + self._times.grant_us + self.late_grant_us
            self._enter("preparing", NEVER_US if self.never_grants else until_us)
        elif was and not asked:
            self._dropped(t_us)
        self.advance(Now(t_us))  # a grant may take no time

    def levels(self, t_us: int) -> dict[str, bool]:
        self.advance(Now(t_us))
        granted = self._phase == "window" or self.grants_unasked
        granted = granted or (self.stuck_grant and self._phase == "readout")
        active = {
            Signal.GRANT: granted,
            Signal.ERROR: self.error,
            Signal.SYSTEM_READY: self._phase in ("idle", "preparing", "window"),
        }
        return {
            self._table.lines[signal]: level(self._table, signal, is_on)
            for signal, is_on in active.items()
            if signal in self._table.lines
        }

    def advance(self, now: Now) -> None:
        while now.reached(self._until_us):
            at_us = self._until_us
            match self._phase:
                case "preparing":
                    self._enter("window", at_us + self._times.window_us)
                case "window":
                    self._enter("readout", at_us + self._times.readout_us)
                case "readout":
                    self.frames_count += 1
                    self._enter("idle", NEVER_US)
                case _:
                    self._enter("idle", NEVER_US)

    def _dropped(self, t_us: int) -> None:
        if self._phase == "preparing":
            lockout_us = self._table.lockout_us
            self._enter("idle" if lockout_us is None else "locked out", t_us + (lockout_us or 0))
        elif self._phase == "window" and Ends.DROP in self._table.ends:
            self._enter("readout", t_us + self._times.readout_us)

    def _enter(self, phase: str, until_us: int) -> None:
        self._phase, self._until_us = phase, until_us


class SimAedPanel:
    """Triggers by itself: by X-rays, or by a knock. `light` and `knock` are told by the test."""

    def __init__(self, table: Handshake, times: LineTimes | None = None) -> None:
        self._table, self._times = table, times or LineTimes()
        self._armed_us = table.arm_us[0] if table.arm_us else 0
        self._until_us = NEVER_US  # the end of the window, then of the read-out
        self._reading = False
        self.frames_count = 0

    def shaken(self, t_us: int) -> None:
        """By light or by a knock: the panel can't tell them apart."""
        self.advance(Now(t_us))
        if self._until_us == NEVER_US and Now(t_us).reached(self._armed_us):
            self._until_us = t_us + self._times.window_us

    def triggered(self, t_us: int) -> bool:
        self.advance(Now(t_us))
        return self._until_us != NEVER_US

    def advance(self, now: Now) -> None:
        while now.reached(self._until_us):
            if not self._reading:
                self._reading, self._until_us = True, self._until_us + self._times.readout_us
                continue
            self.frames_count += 1
            recover_us = (self._table.recover_us or 0) + (
                self._table.arm_us[0] if self._table.arm_us else 0
            )
            self._armed_us = self._until_us + recover_us
            self._reading, self._until_us = False, NEVER_US
