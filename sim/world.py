"""The world beyond the plug: every part polled at its own events, in order of time.

`advance(to_us)` is the same code on both rungs: on the model rung time jumps from event
to event, on the wire rung it is called with the time that really is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush

from hal.now import NEVER_US, Now
from sim.detector import SimPanel
from sim.device import PanelDevice, Part, WireDevice
from sim.filtration import SimFilter
from sim.generator import MonoblockModel
from sim.generator_wires import WIRES, GeneratorWire
from sim.geometry import SimGeometry
from sim.meter import SimMeter
from sim.room import SimRoom
from sim.sensors import SimCollimator, SimDap
from sim.wiring import Wiring


@dataclass
class World:
    generator: MonoblockModel
    wiring: Wiring
    room: SimRoom
    panel: SimPanel
    geometry: SimGeometry
    tube_filter: SimFilter
    generator_device: WireDevice
    room_device: WireDevice
    panel_device: PanelDevice
    parts: list[Part]
    meter: SimMeter = field(default_factory=SimMeter)  # lies in every simulated beam
    collimator: SimCollimator | None = None  # None, and no device: this bench has none
    dap: SimDap | None = None
    beside: dict[str, WireDevice] = field(default_factory=dict)  # their devices
    generator_wire: GeneratorWire = WIRES["vj_ixs"]
    on_event: Callable[[int, str], None] = lambda t_us, name: None
    t_us: int = 0
    heard_at_off_us: list[dict[str, int | None]] = field(default_factory=list)  # beam by beam
    _actions: list[tuple[int, int, Callable[[int], None]]] = field(default_factory=list)
    _count: int = 0

    def at(self, t_us: int, action: Callable[[int], None]) -> None:
        """Do `action` at exactly `t_us` (at once if that has passed)."""
        self._count += 1
        heappush(self._actions, (max(t_us, self.t_us), self._count, action))

    def next_us(self) -> int:
        action_us = self._actions[0][0] if self._actions else NEVER_US
        return min(action_us, *[part.due_us() for part in self.parts])

    def advance(self, to_us: int) -> None:
        while self.event(to_us):
            pass

    def event(self, by_us: int) -> bool:
        """Let time pass to the next event, but not beyond `by_us`; False when there was none."""
        t_us = self.next_us()
        if t_us > by_us:  # us-compare: this is the clock itself
            self.t_us = max(self.t_us, by_us)
            return False
        self._event(max(t_us, self.t_us))
        return True

    def live(self, t_us: int) -> None:
        """Catch up with a clock that really runs, then look at every port: wire rung."""
        self.advance(t_us)
        self.poke()
        self._event(t_us)

    def _event(self, t_us: int) -> None:
        self.t_us = t_us
        if self._actions and self._actions[0][0] <= t_us:  # us-compare: the clock itself
            heappop(self._actions)[2](t_us)
            self.poke()
        for part in self.parts:
            if part.due_us() <= t_us:  # us-compare: the clock itself
                part.poll(Now(t_us))
        if self.wiring.changed:
            self.wiring.changed = False
            self.poke()
        self._tell(t_us)

    def poke(self) -> None:
        """A contact moved: whatever hangs on it looks again."""
        for part in self.parts:
            part.poke(self.t_us)

    def _tell(self, t_us: int) -> None:
        if self.generator.beam_changed:
            self.generator.beam_changed = False
            self.poke()
            on = self.generator.beam_on(t_us)
            if not on:
                self.heard_at_off_us.append(self.heard_us())
                self.meter.follow(self.generator.courses[-1], self.tube_filter.aluminium_mm)
            self.on_event(t_us, "beam_on" if on else "beam_off")

    def heard_us(self) -> dict[str, int | None]:
        """When each device was last spoken to."""
        return {
            "generator": self.generator_device.heard_us,
            "room": self.room_device.heard_us,
            "panel": self.panel_device.heard_us,
            **{name: device.heard_us for name, device in self.beside.items()},
        }

    # --- the hand and the room, by name

    def set_contact(self, name: str, closed: bool) -> None:
        self.wiring.set_contact(self.t_us, name, closed)
        self.poke()
