"""The hard-wired chain: who opens pair and contactor, in which microsecond, without a unit."""

from __future__ import annotations

import itertools
import tomllib

import pytest

from hal.now import Now
from hal.room_io.mapped_table import COILS
from sim.room import SimRoom
from sim.wiring import (
    CONTACTOR_DROP_US,
    CONTACTOR_PULL_US,
    ENABLE_DROP_US,
    ENABLE_PULL_US,
    LOG_COUNT,
    NETS,
    SAFETY_RELAY_DROP_US,
    Relay,
    Wiring,
)
from tests.project import ROOT

MS = 1_000
PORTABLE = tuple(
    tomllib.loads((ROOT / "rig/benches/portable.toml").read_text())["wiring"]["interlock_pair"]
)


class Fed:
    """What hangs on the chain; writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int, str, bool]] = []

    def set_interlock(self, t_us: int, closed: bool) -> None:
        self.told.append((t_us, "pair", closed))

    def set_supply(self, t_us: int, closed: bool) -> None:
        self.told.append((t_us, "supply", closed))

    def last(self, name: str) -> tuple[int, bool]:
        return next((t_us, closed) for t_us, what, closed in reversed(self.told) if what == name)


class Chain:
    """Wiring and room, run like the world does: from event to event."""

    def __init__(self, pair: tuple[str, ...] = PORTABLE) -> None:
        self.fed = Fed()
        self.wiring = Wiring(self.fed, pair)
        self.room = SimRoom(self.wiring)
        self.t_us = 0
        self.run(0)

    def run(self, to_us: int) -> None:
        while True:
            now = Now(self.t_us)
            self.wiring.advance(now)
            self.room.advance(now)
            self.wiring.advance(now)
            if now.next_us > to_us:
                break
            self.t_us = now.next_us
        self.t_us = to_us

    def contact(self, at_us: int, name: str, closed: bool) -> None:
        self.run(at_us)
        self.wiring.set_contact(at_us, name, closed)

    def enabled(self) -> Chain:
        """Stage 2 held, enable relay and contactor pulled in."""
        self.wiring.set_contact(self.t_us, "stage_1", True)
        self.wiring.set_contact(self.t_us, "stage_2", True)
        self.wiring.drive_enable(self.t_us, True)
        self.wiring.drive_contactor(self.t_us, True)
        self.run(100 * MS)
        return self


# --- the pair


@pytest.mark.parametrize("pair", [PORTABLE, NETS], ids=["portable", "all nets"])
def test_the_pair_is_closed_when_each_of_its_contacts_is_and_never_else(
    pair: tuple[str, ...],
) -> None:
    for closed in itertools.product((False, True), repeat=len(pair)):
        wanted = dict(zip(pair, closed, strict=True))
        chain = Chain(pair)
        set_nets(chain, {name: wanted.get(name, False) for name in NETS})
        seen = {name: state for _, name, state in chain.wiring.log}
        assert {name: seen[name] for name in pair} == wanted
        assert seen["interlock_pair"] == all(closed), wanted
        assert chain.fed.last("pair")[1] == all(closed), wanted


def set_nets(chain: Chain, wanted: dict[str, bool]) -> None:
    """Relays first, contacts last: within its drop time the safety relay outlasts its loop."""
    chain.wiring.drive_enable(0, wanted["enable"])
    if not wanted["safety_relay"]:
        chain.contact(0, "door", False)
    chain.run(50 * MS)
    for name in ("door", "estop", "stage_1", "stage_2", "key"):
        chain.contact(50 * MS, name, wanted[name])


def test_a_contact_that_the_wiring_has_not_is_named() -> None:
    with pytest.raises(ValueError, match="unknown contact 'dor'"):
        Wiring(Fed(), ("door", "dor"))
    with pytest.raises(ValueError, match="safety_relay: unknown contact 'enable'"):
        Wiring(Fed(), NETS, ("door", "enable"))
    with pytest.raises(ValueError, match="no contact 'dor'; there are stage_1, stage_2, door"):
        Wiring(Fed()).set_contact(0, "dor", True)


@pytest.mark.parametrize("name", ["door", "estop", "stage_2"])
def test_a_contact_of_the_pair_opens_it_in_the_same_microsecond(name: str) -> None:
    chain = Chain().enabled()
    assert chain.fed.last("pair")[1]
    chain.contact(123_456, name, False)
    assert chain.fed.last("pair") == (123_456, False)


def test_stage_1_and_the_key_are_not_in_the_portables_pair() -> None:
    chain = Chain().enabled()
    chain.contact(123_456, "stage_1", False)
    chain.contact(123_456, "key", False)
    assert chain.fed.last("pair")[1]


# --- the latching safety relay


@pytest.mark.parametrize("name", ["door", "estop"])
def test_a_glitch_of_one_millisecond_drops_the_safety_relay_for_good(name: str) -> None:
    chain = Chain().enabled()
    chain.contact(200 * MS, name, False)
    chain.contact(201 * MS, name, True)
    chain.run(5_000 * MS)
    opened = [(t_us, net) for t_us, net, closed in chain.wiring.log if t_us and not closed]
    assert (200 * MS + SAFETY_RELAY_DROP_US, "safety_relay") in opened
    assert chain.fed.last("pair") == (200 * MS + SAFETY_RELAY_DROP_US, False)
    assert not chain.wiring.safety_relay


def test_reset_closes_the_safety_relay_when_the_loop_is_closed() -> None:
    chain = Chain().enabled()
    chain.contact(200 * MS, "door", False)
    chain.contact(300 * MS, "reset", True)
    chain.contact(310 * MS, "reset", False)
    assert not chain.wiring.safety_relay
    chain.contact(400 * MS, "door", True)
    assert not chain.wiring.safety_relay
    chain.contact(500 * MS, "reset", True)
    assert chain.wiring.safety_relay
    assert chain.fed.last("pair") == (500 * MS, True)


def test_a_reset_that_is_held_or_stuck_closes_nothing() -> None:
    chain = Chain()
    chain.contact(100 * MS, "reset", True)
    chain.contact(200 * MS, "door", False)
    chain.contact(201 * MS, "door", True)
    chain.contact(300 * MS, "door", False)
    chain.contact(400 * MS, "door", True)
    chain.contact(500 * MS, "reset", True)
    chain.run(1_000 * MS)
    assert not chain.wiring.safety_relay


def test_a_reset_during_the_drop_time_closes_nothing() -> None:
    chain = Chain()
    chain.contact(200 * MS, "door", False)
    chain.contact(201 * MS, "door", True)
    chain.contact(202 * MS, "reset", True)
    chain.run(1_000 * MS)
    assert not chain.wiring.safety_relay


# --- relays


def test_the_enable_relay_pulls_and_drops_after_its_own_times() -> None:
    chain = Chain()
    chain.wiring.drive_enable(0, True)
    chain.run(100 * MS)
    chain.wiring.drive_enable(100 * MS, False)
    chain.run(200 * MS)
    moves = [(t_us, closed) for t_us, net, closed in chain.wiring.log if net == "enable"]
    assert moves == [(0, False), (ENABLE_PULL_US, True), (100 * MS + ENABLE_DROP_US, False)]


def test_a_coil_that_is_back_before_the_drop_time_opens_nothing() -> None:
    chain = Chain()
    chain.wiring.drive_enable(0, True)
    chain.run(100 * MS)
    chain.wiring.drive_enable(100 * MS, False)
    chain.run(100 * MS + ENABLE_DROP_US - 1)
    chain.wiring.drive_enable(chain.t_us, True)
    chain.run(300 * MS)
    moves = [(t_us, closed) for t_us, net, closed in chain.wiring.log if net == "enable"]
    assert moves == [(0, False), (ENABLE_PULL_US, True)]


def test_a_welded_contact_stays_closed_once_it_has_closed() -> None:
    relay = Relay(8 * MS, 5 * MS)
    relay.welded = True
    relay.advance(Now(0))
    assert not relay.contact
    relay.drive(0, True)
    relay.advance(Now(8 * MS))
    relay.drive(10 * MS, False)
    relay.advance(Now(1_000 * MS))
    assert relay.contact


def test_a_welded_enable_relay_leaves_the_other_contacts_to_open_the_pair() -> None:
    chain = Chain().enabled()
    chain.wiring.enable.welded = True
    chain.wiring.drive_enable(100 * MS, False)
    chain.run(500 * MS)
    assert chain.fed.last("pair")[1]
    chain.contact(500 * MS, "stage_2", False)
    assert chain.fed.last("pair") == (500 * MS, False)


# --- the contactor


def test_the_contactor_is_fed_through_the_safety_relay() -> None:
    chain = Chain().enabled()
    assert chain.fed.last("supply") == (CONTACTOR_PULL_US, True)
    chain.contact(200 * MS, "estop", False)
    chain.run(1_000 * MS)
    dropped_us = 200 * MS + SAFETY_RELAY_DROP_US + CONTACTOR_DROP_US
    assert chain.fed.last("supply") == (dropped_us, False)


def test_the_contactor_does_not_pull_while_the_safety_relay_is_open() -> None:
    chain = Chain()
    chain.contact(0, "estop", False)
    chain.run(100 * MS)
    chain.wiring.drive_contactor(100 * MS, True)
    chain.run(1_000 * MS)
    assert chain.fed.last("supply") == (0, False)


def test_a_welded_contactor_keeps_the_supply_and_the_pair_opens_all_the_same() -> None:
    chain = Chain().enabled()
    chain.wiring.contactor.welded = True
    chain.contact(200 * MS, "estop", False)
    chain.run(1_000 * MS)
    assert chain.fed.last("supply")[1]
    assert chain.fed.last("pair") == (200 * MS, False)


# --- the unit is dead


@pytest.mark.parametrize("pulse_us", [100 * MS, 200 * MS, 300 * MS])
def test_when_the_unit_dies_the_pair_opens_after_pulse_and_drop_time(pulse_us: int) -> None:
    chain = Chain().enabled()
    enable = COILS.index("enable")
    last_us = 100 * MS
    for last_us in range(100 * MS, 700 * MS, 5 * MS):  # each scan triggers again
        chain.run(last_us)
        chain.room.pulse_coil(last_us, enable, pulse_us)
    assert chain.fed.last("pair")[1]
    chain.run(5_000 * MS)
    assert chain.fed.last("pair") == (last_us + pulse_us + ENABLE_DROP_US, False)


def test_the_door_opens_the_pair_whether_or_not_the_unit_lives() -> None:
    chain = Chain().enabled()
    chain.contact(150 * MS, "door", False)
    assert chain.fed.last("pair") == (150 * MS, False)


# --- the log


def test_the_log_holds_each_move_of_each_net_once_and_in_order() -> None:
    chain = Chain()
    chain.contact(1 * MS, "stage_2", True)
    chain.contact(1 * MS, "stage_2", True)
    chain.wiring.drive_enable(1 * MS, True)
    chain.run(50 * MS)
    chain.contact(60 * MS, "door", False)
    chain.run(100 * MS)
    assert list(chain.wiring.log)[-6:] == [
        (1 * MS, "stage_2", True),
        (9 * MS, "enable", True),
        (9 * MS, "interlock_pair", True),
        (60 * MS, "door", False),
        (60 * MS, "interlock_pair", False),
        (68 * MS, "safety_relay", False),
    ]
    assert len(chain.wiring.log) == len(set(chain.wiring.log))


def test_a_room_that_stands_for_weeks_keeps_its_newest_moves_only() -> None:
    chain = Chain()
    for count in range(LOG_COUNT):
        chain.contact((count + 1) * MS, "stage_1", count % 2 == 0)
    chain.contact(20_000 * MS, "key", False)
    assert len(chain.wiring.log) == LOG_COUNT
    assert chain.wiring.log[-1] == (20_000 * MS, "key", False)


def test_the_safety_relay_watches_the_contacts_of_the_bench_file_and_no_other() -> None:
    chain = Chain()
    chain.wiring = Wiring(chain.fed, ("safety_relay",), ("estop",))
    chain.contact(1 * MS, "door", False)
    chain.run(100 * MS)
    assert chain.wiring.safety_relay
    chain.contact(200 * MS, "estop", False)
    chain.run(300 * MS)
    assert not chain.wiring.safety_relay
