"""The unit's side of a handshake over lines: what to drive, what the panel's answer means.

    IDLE --prepare--> READY --request up, grant up--> INTEGRATING --grant down--> READOUT
    READY --request dropped before the grant, or no grant in time--> RECOVER (the lock-out)

An answer counts only where it was asked for: a grant that stands before the request opens no
window and is told, a grant that comes after the longest time is none. A beam that starts late
or outlasts the window is told too, and ends nothing here: what ends a beam is the unit's scan.
Of what the documents are silent about: a panel with no lock-out time gets `QUIET_US` (ours),
one with no time to its grant needs `grant_limit_us`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from hal.handshakes import TO_PANEL, Ends, Handshake, Signal, level
from hal.now import Now
from hal.types import PanelState

QUIET_US = 1_000_000


class Trouble(Enum):
    """What an answer that came too early, too late or not at all means, for people."""

    GRANT_UNASKED = "the panel enables an exposure that nobody asked for"
    GRANT_LATE = "the panel did not enable the exposure in time"
    REQUEST_SHORT = "the request was dropped before the panel enabled the exposure"
    BEAM_LATE = "the X-rays began late: less of the window is left"
    BEAM_EARLY = "X-rays without an open window"
    BEAM_PAST_WINDOW = "the X-rays outlasted the window"
    DROP_LATE = "the request stayed after the X-rays: the image comes later"
    ERROR = "the panel reports an error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the unit wants in this scan, and what it knows of the beam."""

    prepare: bool = False
    request: bool = False
    beam: bool = False
    frame_came: bool = False  # ends the read-out: no line tells it


class LineHandshake:
    """`step` in each scan; then `state`, `drives` and `troubles` say where it stands."""

    def __init__(
        self, table: Handshake, *, grant_limit_us: int | None = None, seen_late_us: int = 0
    ) -> None:
        """`seen_late_us`: what the way to the lines and back adds to the panel's own time.

        ValueError where neither the document nor the bench says how long a grant may take.
        """
        limit_us = table.grant_us[1] if table.grant_us else grant_limit_us
        if table.is_automatic:
            raise ValueError("a panel with automatic exposure detection has no lines")
        if limit_us is None:
            raise ValueError(f"{table.source} gives no time from request to grant: give a limit")
        self.state = PanelState.IDLE
        self.troubles: list[Trouble] = []  # of this exposure, in order, each once
        self._table = table
        self._limit_us = limit_us + seen_late_us
        self._wish = Wish()
        self._asked_us: int | None = None
        self._granted_us = 0
        self._closed_us = 0
        self._beam_seen = False
        self._beam_end_us: int | None = None
        self._quiet_until_us = 0

    def step(self, now: Now, wish: Wish, levels: Mapping[str, bool]) -> None:
        """`levels`: of the panel's lines, by name."""
        before, self._wish = self._wish, wish
        shown = {
            signal: levels.get(name) is level(self._table, signal, True)
            for signal, name in self._table.lines.items()
            if signal not in TO_PANEL
        }
        if wish.request and not before.request:
            self.troubles.clear()
        if shown.get(Signal.ERROR):
            self._tell(Trouble.ERROR)
            self._asked_us, self.state = None, PanelState.ERROR
            return
        self._follow(now, shown)
        self._watch_beam(now, before)

    def drives(self) -> dict[str, bool]:
        """Levels of the lines that the unit holds."""
        active = {
            Signal.POWERED: True,
            Signal.PREPARE: self._wish.prepare,
            Signal.REQUEST: self._asked_us is not None,
            Signal.BEAM: self._wish.beam,
        }
        return {
            self._table.lines[signal]: level(self._table, signal, is_on)
            for signal, is_on in active.items()
            if signal in self._table.lines
        }

    def _follow(self, now: Now, shown: Mapping[Signal, bool]) -> None:
        granted = shown[Signal.GRANT]
        match self.state:
            case PanelState.INTEGRATING:
                self._integrating(now, granted)
            case PanelState.READOUT:
                if self._wish.frame_came:
                    self._asked_us, self.state = None, PanelState.IDLE
                elif not self._wish.request:
                    self._asked_us = None
            case PanelState.RECOVER:
                if now.reached(self._quiet_until_us):
                    self.state = PanelState.IDLE
            case _ if self._asked_us is not None:
                self._waiting(now, self._asked_us, granted)
            case _:
                self._resting(now, granted, shown.get(Signal.SYSTEM_READY, True))

    def _resting(self, now: Now, granted: bool, panel_ready: bool) -> None:
        prepared = self._wish.prepare and panel_ready
        self.state = PanelState.READY if prepared else PanelState.IDLE
        if self._wish.prepare and not panel_ready:
            self.state = PanelState.PREPARING
        if granted:
            self._tell(Trouble.GRANT_UNASKED)
        elif prepared and self._wish.request:
            self._asked_us = now.t_us
            now.wake(now.t_us + self._limit_us)

    def _waiting(self, now: Now, asked_us: int, granted: bool) -> None:
        """A grant counts up to the longest time, and at it."""
        too_late = now.reached(asked_us + self._limit_us + 1)
        if not self._wish.request:
            self._give_up(now, Trouble.REQUEST_SHORT)
        elif too_late:
            self._give_up(now, Trouble.GRANT_LATE)
        elif granted:
            self.state, self._granted_us = PanelState.INTEGRATING, now.t_us
            self._beam_seen, self._beam_end_us = False, None

    def _give_up(self, now: Now, why: Trouble) -> None:
        self._tell(why)
        self._asked_us, self.state = None, PanelState.RECOVER
        self._quiet_until_us = now.t_us + (self._table.lockout_us or QUIET_US)
        now.wake(self._quiet_until_us)

    def _integrating(self, now: Now, granted: bool) -> None:
        if not self._wish.request:
            self._asked_us = None
        dropped = self._asked_us is None and Ends.DROP in self._table.ends
        if dropped or not granted:
            self.state, self._closed_us = PanelState.READOUT, now.t_us

    def _watch_beam(self, now: Now, before: Wish) -> None:
        if self._wish.beam:
            self._beam_seen = True
            self._during_beam(now)
            return
        if before.beam:
            self._beam_end_us = now.t_us
        self._without_beam(now)

    def _during_beam(self, now: Now) -> None:
        past_us = self._table.past_us[1] if self._table.past_us else 0
        match self.state:
            case PanelState.INTEGRATING:
                pass
            case PanelState.READOUT:
                if now.reached(self._closed_us + past_us + 1):
                    self._tell(Trouble.BEAM_PAST_WINDOW)
            case _:
                self._tell(Trouble.BEAM_EARLY)

    def _without_beam(self, now: Now) -> None:
        beam_us, drop_us = self._table.beam_us, self._table.drop_us
        waits = self.state is PanelState.INTEGRATING and not self._beam_seen
        if beam_us and waits and now.reached(self._granted_us + beam_us[1] + 1):
            self._tell(Trouble.BEAM_LATE)
        held = None if self._asked_us is None else self._beam_end_us
        if drop_us and held is not None and now.reached(held + drop_us[1] + 1):
            self._tell(Trouble.DROP_LATE)

    def _tell(self, trouble: Trouble) -> None:
        if trouble not in self.troubles:
            self.troubles.append(trouble)
