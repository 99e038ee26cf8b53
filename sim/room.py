"""The room behind the remote I/O: what its inputs see and what its coils drive.

I/O map of the design, discrete inputs and coils counted from 0; 1 = closed.
"""

from __future__ import annotations

from collections.abc import Sequence

from hal.modbus_server import RefusedError
from hal.now import Now
from hal.room_io.mapped_table import COILS
from hal.types import CONTACTS
from sim.injection import Injection, fresh
from sim.wiring import Wiring

INJECTIONS = {
    "pulse_timer_dead": Injection("a timed pulse never ends by itself"),
    "exception_code": Injection(
        "each request is refused with this Modbus exception, 4 = the device failed (F59)",
        0, between=(0, 255),
    ),
}  # fmt: skip


class SimRoom:
    pulse_timer_dead: bool
    exception_code: int

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring
        self._coils = dict.fromkeys(COILS, False)  # as ordered, and as read back
        self._pulse_end_us: dict[str, int] = {}
        self._stuck_inputs: dict[str, bool] = {}
        self._stuck_coils: dict[str, bool] = {}  # what their contacts do whatever is ordered
        fresh(self, INJECTIONS)

    def inputs(self, t_us: int) -> Sequence[bool]:
        self._answer_or_refuse()
        seen = self._seen() | self._stuck_inputs
        return [seen[name] for name in CONTACTS]

    def _seen(self) -> dict[str, bool]:
        lamp_current = self.lit()["beam_lamp"] and self._wiring.lamp_intact
        found = {"chain": self._wiring.safety_relay, "lamp_current": lamp_current}
        return self._wiring.contacts | found

    def coils(self, t_us: int) -> Sequence[bool]:
        self._answer_or_refuse()
        return list(self._coils.values())

    def lit(self) -> dict[str, bool]:
        """Lamps and relays by name, for people."""
        return self._coils | self._stuck_coils

    # --- what can fail

    def stick_input(self, name: str, closed: bool | None = None) -> None:
        """The module shows this, or what it shows now (None); the contact itself works."""
        _must_know("input", name, CONTACTS)
        self._stuck_inputs[name] = self._seen()[name] if closed is None else closed

    def stick_coil(self, t_us: int, name: str, closed: bool | None = None) -> None:
        """Its relay stays so, or as it is now (None); echo and read-back show what was ordered."""
        _must_know("coil", name, COILS)
        self._stuck_coils[name] = self.lit()[name] if closed is None else closed
        self._drive(t_us, name)

    def stuck(self) -> dict[str, bool]:
        """ "input door", "coil beam_lamp" and their like: whether it is stuck closed."""
        inputs = {f"input {name}": closed for name, closed in self._stuck_inputs.items()}
        return inputs | {f"coil {name}": closed for name, closed in self._stuck_coils.items()}

    def free(self, t_us: int, *, input_name: str | None = None, coil: str | None = None) -> None:
        if input_name is not None:
            _must_know("input", input_name, CONTACTS)
            self._stuck_inputs.pop(input_name, None)
        if coil is not None:
            _must_know("coil", coil, COILS)
            self._stuck_coils.pop(coil, None)
            self._drive(t_us, coil)

    def power(self, t_us: int, on: bool) -> None:
        """Off: all coils drop, pulses are forgotten. It comes back with all coils open."""
        if not on:
            for name in COILS:
                self._set(t_us, name, False)

    # --- what it is told

    def set_coil(self, t_us: int, coil_index: int, closed: bool) -> None:
        """A plain write also ends a running pulse (the module's own rule is not documented)."""
        self._answer_or_refuse()
        self._set(t_us, COILS[coil_index], closed)

    def pulse_coil(self, t_us: int, coil_index: int, duration_us: int) -> None:
        self._answer_or_refuse()
        name = COILS[coil_index]
        self._pulse_end_us[name] = t_us + duration_us
        self._coils[name] = True
        self._drive(t_us, name)

    def advance(self, now: Now) -> None:
        for name, end_us in list(self._pulse_end_us.items()):
            if now.reached(end_us) and not self.pulse_timer_dead:
                del self._pulse_end_us[name]
                self._coils[name] = False
                self._drive(now.t_us, name)

    def _answer_or_refuse(self) -> None:
        if self.exception_code:
            raise RefusedError(self.exception_code)

    def _set(self, t_us: int, name: str, closed: bool) -> None:
        self._pulse_end_us.pop(name, None)
        self._coils[name] = closed
        self._drive(t_us, name)

    def _drive(self, t_us: int, name: str) -> None:
        closed = self.lit()[name]
        if name == "enable":
            self._wiring.drive_enable(t_us, closed)
        elif name == "contactor":
            self._wiring.drive_contactor(t_us, closed)


def _must_know(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ValueError(f"no {what} {name!r}; there are {', '.join(known)}")
