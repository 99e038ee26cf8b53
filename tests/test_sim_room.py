"""The room behind the remote I/O: its map, its coils, and the timed pulse."""

from __future__ import annotations

import pytest

from hal.now import NEVER_US, Now
from hal.room_io.mapped_table import COILS
from hal.types import CONTACTS
from sim.room import SimRoom
from sim.wiring import CONTACTS as MOVED
from sim.wiring import Wiring


class NoGenerator:
    def set_interlock(self, t_us: int, closed: bool) -> None: ...

    def set_supply(self, t_us: int, closed: bool) -> None: ...


def room() -> tuple[SimRoom, Wiring]:
    wiring = Wiring(NoGenerator())
    wiring.advance(Now(0))
    return SimRoom(wiring), wiring


def closed_inputs(made: SimRoom) -> list[str]:
    return [name for name, closed in zip(CONTACTS, made.inputs(0), strict=True) if closed]


def test_the_map_is_the_designs() -> None:
    assert CONTACTS == (
        "stage_1", "stage_2", "door", "estop", "chain", "key", "reset", "lamp_current",
    )  # fmt: skip
    assert COILS[:7] == (
        "ready_lamp", "beam_lamp", "buzzer", "enable", "contactor", "prep", "expose",
    )  # fmt: skip


def test_a_room_in_order_has_door_estop_chain_and_key_closed() -> None:
    assert closed_inputs(room()[0]) == ["door", "estop", "chain", "key"]


@pytest.mark.parametrize("name", MOVED)
def test_each_contact_stands_at_its_own_input_and_moves_no_other(name: str) -> None:
    made, wiring = room()
    before = closed_inputs(made)
    wiring.set_contact(0, name, name not in before)
    assert set(closed_inputs(made)) ^ set(before) == {name}


def test_the_chain_input_is_the_latching_relay_and_not_the_door() -> None:
    made, wiring = room()
    wiring.set_contact(0, "door", False)
    assert "chain" in closed_inputs(made)
    wiring.advance(Now(8_000))
    wiring.set_contact(9_000, "door", True)
    assert closed_inputs(made) == ["door", "estop", "key"]


def test_lamp_current_flows_when_the_beam_lamp_is_driven_and_whole() -> None:
    made, wiring = room()
    made.set_coil(0, COILS.index("beam_lamp"), True)
    assert "lamp_current" in closed_inputs(made)
    wiring.lamp_intact = False
    assert "lamp_current" not in closed_inputs(made)


@pytest.mark.parametrize("coil_index", range(len(COILS)))
def test_each_coil_is_driven_alone(coil_index: int) -> None:
    made, _ = room()
    made.set_coil(0, coil_index, True)
    assert [i for i, closed in enumerate(made.coils(0)) if closed] == [coil_index]
    assert made.lit()[COILS[coil_index]]


def test_a_pulse_ends_by_itself_in_its_microsecond() -> None:
    made, _ = room()
    made.pulse_coil(1_000, 3, 200_000)
    now = Now(1_000)
    made.advance(now)
    assert (now.next_us, made.coils(0)[3]) == (201_000, True)
    made.advance(Now(200_999))
    assert made.coils(0)[3]
    made.advance(Now(201_000))
    assert not made.coils(0)[3]


def test_a_pulse_that_is_triggered_again_runs_from_there() -> None:
    made, _ = room()
    made.pulse_coil(0, 3, 200_000)
    made.pulse_coil(150_000, 3, 200_000)
    made.advance(Now(349_999))
    assert made.coils(0)[3]
    made.advance(Now(350_000))
    assert not made.coils(0)[3]


@pytest.mark.parametrize("closed", [True, False])
def test_a_plain_write_takes_the_pulses_place(closed: bool) -> None:
    made, _ = room()
    made.pulse_coil(0, 3, 200_000)
    made.set_coil(100_000, 3, closed)
    now = Now(100_000)
    made.advance(now)
    assert now.next_us == NEVER_US
    made.advance(Now(9_000_000))
    assert made.coils(0)[3] is closed


def test_pulses_of_two_coils_end_each_in_its_own_time() -> None:
    made, _ = room()
    made.pulse_coil(0, 2, 100_000)
    made.pulse_coil(0, 3, 200_000)
    now = Now(100_000)
    made.advance(now)
    assert (made.coils(0)[2], made.coils(0)[3], now.next_us) == (False, True, 200_000)


def test_a_dead_pulse_timer_holds_the_coil_until_it_is_written() -> None:
    made, wiring = room()
    made.pulse_timer_dead = True
    made.pulse_coil(0, 3, 200_000)
    made.advance(Now(10_000_000))
    wiring.advance(Now(10_000_000))
    assert (made.coils(0)[3], wiring.enable.contact) == (True, True)
    made.set_coil(10_000_000, 3, False)
    assert not made.coils(0)[3]


def test_only_enable_and_contactor_coils_move_relays() -> None:
    made, wiring = room()
    for coil_index, name in enumerate(COILS):
        if name not in ("enable", "contactor"):
            made.set_coil(0, coil_index, True)
    wiring.advance(Now(1_000_000))
    assert (wiring.enable.contact, wiring.contactor.contact) == (False, False)
