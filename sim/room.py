"""The room behind the remote I/O: what its inputs see and what its coils drive.

I/O map of the design, discrete inputs and coils counted from 0; 1 = closed.
"""

from __future__ import annotations

from collections.abc import Sequence

from hal.now import Now
from hal.types import CONTACTS
from sim.wiring import Wiring

COILS = ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor", "prep", "expose", "spare")
INJECTIONS = {"pulse_timer_dead": "a timed pulse never ends by itself"}


class SimRoom:
    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._coils = dict.fromkeys(COILS, False)
        self._pulse_end_us: dict[str, int] = {}
        self.pulse_timer_dead = False

    def inputs(self, t_us: int) -> Sequence[bool]:
        contacts = self._wiring.contacts
        lamp_current = self._coils["beam_lamp"] and self._wiring.lamp_intact
        seen = contacts | {"chain": self._wiring.safety_relay, "lamp_current": lamp_current}
        return [seen[name] for name in CONTACTS]

    def coils(self, t_us: int) -> Sequence[bool]:
        return list(self._coils.values())

    def lit(self) -> dict[str, bool]:
        """Lamps and relays by name, for people."""
        return dict(self._coils)

    def set_coil(self, t_us: int, coil_index: int, closed: bool) -> None:
        """A plain write also ends a running pulse (the module's own rule is not documented)."""
        name = COILS[coil_index]
        self._pulse_end_us.pop(name, None)
        self._drive(t_us, name, closed)

    def pulse_coil(self, t_us: int, coil_index: int, duration_us: int) -> None:
        name = COILS[coil_index]
        self._pulse_end_us[name] = t_us + duration_us
        self._drive(t_us, name, True)

    def advance(self, now: Now) -> None:
        for name, end_us in list(self._pulse_end_us.items()):
            if now.reached(end_us) and not self.pulse_timer_dead:
                del self._pulse_end_us[name]
                self._drive(now.t_us, name, False)

    def _drive(self, t_us: int, name: str, closed: bool) -> None:
        self._coils[name] = closed
        if name == "enable":
            self._wiring.drive_enable(t_us, closed)
        elif name == "contactor":
            self._wiring.drive_contactor(t_us, closed)
