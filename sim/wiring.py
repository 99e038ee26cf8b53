"""The hard-wired chain: contacts, relays, safety relay, contactor; no bytes, no unit.

    door -- e-stop -- [safety relay, latching]
    interlock pair (J3-7/J3-8) = door + e-stop + stage 2 + enable + safety relay, in series
    contactor coil  = contactor output + safety relay, in series; feeds the generator

Which contacts stand in pair and loop is the bench file's `[wiring]`. The chain acts whether
or not the unit lives. `log` is the wiring's own record of what every net did and when
(the newest `LOG_COUNT` moves: a simulated room may stand for weeks).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from hal.now import Now
from sim.injection import Injection, fresh

SAFETY_RELAY_DROP_US = 8_000
ENABLE_PULL_US, ENABLE_DROP_US = 8_000, 5_000
CONTACTOR_PULL_US, CONTACTOR_DROP_US = 20_000, 15_000

LOG_COUNT = 10_000
CONTACTS = ("stage_1", "stage_2", "door", "estop", "key", "reset")
INJECTIONS = {
    "lamp_intact": Injection("False: the beam lamp draws no current", True),
    "pair_bridged": Injection("J3-7 and J3-8 are bridged: closed whatever its contacts do"),
    "safety_relay_welded": Injection("the safety relay does not drop"),
}
NETS = ("door", "estop", "stage_1", "stage_2", "key", "enable", "safety_relay")
LOOP = ("door", "estop")


class Fed(Protocol):
    """What hangs on the chain."""

    def set_interlock(self, t_us: int, closed: bool) -> None: ...

    def set_supply(self, t_us: int, closed: bool) -> None: ...


class Relay:
    """A coil and its contact, which follows after the pull-in or drop-out time."""

    def __init__(self, pull_us: int, drop_us: int) -> None:
        self._delay_us = {True: pull_us, False: drop_us}
        self._coil = False
        self._moves_us: int | None = None
        self.contact = False
        self.welded = False  # a fault: once closed, the contact stays so

    def drive(self, t_us: int, coil: bool) -> None:
        if coil is not self._coil:
            self._coil = coil
            self._moves_us = t_us + self._delay_us[coil]

    def advance(self, now: Now) -> None:
        if self._moves_us is not None and now.reached(self._moves_us):
            self._moves_us = None
            self.contact = self._coil or (self.welded and self.contact)

    def free(self, t_us: int) -> None:
        """No longer welded: it follows its coil again."""
        if self.welded and self.contact is not self._coil:
            self._moves_us = t_us + self._delay_us[self._coil]
        self.welded = False


class Wiring:
    lamp_intact: bool
    pair_bridged: bool
    safety_relay_welded: bool

    def __init__(
        self,
        fed: Fed,
        interlock_pair: Sequence[str] = NETS,
        safety_relay: Sequence[str] = LOOP,
    ) -> None:
        """The contacts in series in the generator's pair, and in the safety relay's loop."""
        _must_be("interlock_pair", interlock_pair, NETS)
        _must_be("safety_relay", safety_relay, CONTACTS)
        self._fed = fed
        self._pair = tuple(interlock_pair)
        self._loop_contacts = tuple(safety_relay)
        self.contacts = {name: name in ("door", "estop", "key") for name in CONTACTS}
        self.enable = Relay(ENABLE_PULL_US, ENABLE_DROP_US)
        self.contactor = Relay(CONTACTOR_PULL_US, CONTACTOR_DROP_US)
        fresh(self, INJECTIONS)
        self._hand = dict(self.contacts)  # where each would be if it were not stuck
        self._stuck: set[str] = set()
        self.contactor_coil = False
        self.safety_relay = True  # the room was in order when the simulation began
        self._trip_us: int | None = None
        self._nets: dict[str, bool] = {}
        self.log: deque[tuple[int, str, bool]] = deque(maxlen=LOG_COUNT)
        self.changed = False  # read and cleared by the world: somebody must look again

    def set_contact(self, t_us: int, name: str, closed: bool) -> None:
        self._must_know(name)
        self._hand[name] = closed
        if name in self._stuck:
            return
        pressed = name == "reset" and closed and not self.contacts["reset"]
        self.contacts[name] = closed
        if pressed:
            self._reset()
        self.advance(Now(t_us))

    def stick_contact(self, t_us: int, name: str, closed: bool | None = None) -> None:
        """It stays there, or as it is now (None), whatever the hand does (F44, F45)."""
        self._must_know(name)
        self._stuck.discard(name)
        hand = self._hand[name]
        self.set_contact(t_us, name, self.contacts[name] if closed is None else closed)
        self._hand[name] = hand
        self._stuck.add(name)

    def free_contact(self, t_us: int, name: str) -> None:
        """It goes where the hand is."""
        self._must_know(name)
        self._stuck.discard(name)
        self.set_contact(t_us, name, self._hand[name])

    def stuck(self) -> list[str]:
        return sorted(self._stuck)

    def _must_know(self, name: str) -> None:
        if name not in self.contacts:
            raise ValueError(f"no contact {name!r}; there are {', '.join(CONTACTS)}")

    def drive_enable(self, t_us: int, coil: bool) -> None:
        self.changed = True
        self.enable.drive(t_us, coil)
        self.advance(Now(t_us))

    def drive_contactor(self, t_us: int, coil: bool) -> None:
        self.contactor_coil = coil
        self.changed = True
        self.advance(Now(t_us))

    def advance(self, now: Now) -> None:
        self._safety_relay(now)
        self.enable.advance(now)
        self.contactor.drive(now.t_us, self.contactor_coil and self.safety_relay)
        self.contactor.advance(now)
        self._settle(now.t_us)

    def _safety_relay(self, now: Now) -> None:
        """Latching: a glitch of the loop drops it, only reset closes it again (SR-42)."""
        falls = not self._loop() and self.safety_relay and not self.safety_relay_welded
        if falls and self._trip_us is None:
            self._trip_us = now.t_us + SAFETY_RELAY_DROP_US
        if self._trip_us is not None and now.reached(self._trip_us):
            self.safety_relay, self._trip_us = False, None

    def _reset(self) -> None:
        """The moment of pressing counts: a contact that is held or welded resets nothing."""
        if self._loop():
            self.safety_relay = True

    def _loop(self) -> bool:
        return all(self.contacts[name] for name in self._loop_contacts)

    def _settle(self, t_us: int) -> None:
        self._note(t_us, "safety_relay", self.safety_relay)
        self._note(t_us, "enable", self.enable.contact)
        for name in CONTACTS:
            self._note(t_us, name, self.contacts[name])
        if self._note(t_us, "contactor", self.contactor.contact):
            self._fed.set_supply(t_us, self.contactor.contact)
        pair = self.pair_bridged or all(self._nets[name] for name in self._pair)
        if self._note(t_us, "interlock_pair", pair):
            self._fed.set_interlock(t_us, pair)

    def _note(self, t_us: int, name: str, closed: bool) -> bool:
        """Write down a change of a net; True when it changed."""
        if self._nets.get(name) is closed:
            return False
        self._nets[name] = closed
        self.log.append((t_us, name, closed))
        self.changed = True
        return True


def _must_be(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"[wiring] {what}: unknown contact {name!r}")
