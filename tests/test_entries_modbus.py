"""The room's line as a way in: what a module, or somebody in its place, says begins no beam.

The unit is the client of this line. So nobody can ask it anything there; what comes unasked
is dropped, and what is forged well enough to be believed meets the contact of stage 2 itself,
which stands in the generator's interlock pair.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from firmware_py.decide.memory import State
from hal.ports import ByteLink
from tests.whole_unit import ON, Whole, a_shot, brought_to

S = State
UNIT_ID = 1
ALL_CLOSED = b"\x02\x01\x7f"  # reply to "read inputs": eight of them, all but the lamp closed
EVERY_STATE = tuple(State)


def tcp(transaction: int, pdu: bytes) -> bytes:
    """Modbus TCP (Messaging on TCP/IP Implementation Guide 1.0b, 3.1.3): header and PDU."""
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, UNIT_ID) + pdu


# What a server never sends, or sends to somebody else.
UNASKED: dict[str, Callable[[int], bytes]] = {
    "inputs, another transaction": lambda number: tcp((number + 30_000) % 65536, ALL_CLOSED),
    "inputs, transaction 0": lambda number: tcp(0, ALL_CLOSED),
    "write coil: enable, pulse": lambda number: tcp(number, b"\x05\x02\x03\x00\x02"),
    "write coil: contactor": lambda number: tcp(number, b"\x05\x00\x04\xff\x00"),
    "write coils: all": lambda number: tcp(number, b"\x0f\x00\x00\x00\x08\x01\xff"),
    "write register": lambda number: tcp(number, b"\x06\x00\x00\xff\xff"),
    "exception": lambda number: tcp(number, b"\x82\x04"),
    "RTU, inputs": lambda number: b"\x01\x02\x01\x7f\xe1\xe8",
    "short": lambda number: tcp(number, ALL_CLOSED)[:-1],
    "function 43": lambda number: tcp(number, b"\x2b\x0e\x01\x00"),
}


def _says(link: ByteLink, frame: bytes, t_us: int) -> None:
    link.write(t_us, frame)


def flooded(whole: Whole, for_us: int = 600_000) -> Whole:
    """All of it, again and again, between the module's own answers."""
    link, start_us = whole.world.room_device.link, whole.t_us
    for number in range(for_us // 3_000):
        for make in UNASKED.values():
            whole.world.at(start_us + 3_000 * number, partial(_says, link, make(number)))
    return whole.pass_us(for_us)


@pytest.mark.req("SR-01", "SR-12", "F59")
@pytest.mark.parametrize("state", EVERY_STATE)
def test_no_unasked_frame_begins_a_beam_in_any_state(state: State) -> None:
    whole = brought_to(state, shot=a_shot())
    whole.do("release")
    beams, ordered = whole.beams, len(whole.sent(ON))
    flooded(whole)
    assert (whole.beams, len(whole.sent(ON))) == (beams, ordered)
    assert "EXPOSE" not in whole.path()[9:]


@pytest.mark.req("SR-12")
def test_no_unasked_frame_is_taken_for_a_contact_or_moves_a_relay() -> None:
    whole = flooded(brought_to(S.STANDBY))
    assert whole.state is S.STANDBY
    assert whole.unit.inputs is not None
    room = whole.unit.inputs.room
    assert (room.link_ok, room.stage_1, room.stage_2) == (True, False, False)
    assert not any(whole.world.room.lit().values())
    assert "PREP" not in whole.path()


def answers(whole: Whole) -> Iterator[bytes]:
    """What the unit sent to the module: only questions of a client, none an answer."""
    for _, link, data in whole.tape.all_sent:
        if link == "room":
            yield data


@pytest.mark.req("SR-12")
def test_the_unit_answers_nothing_on_the_room_s_line() -> None:
    """Each transaction is its own and new; a server's answer would carry the asker's."""
    whole = flooded(brought_to(S.STANDBY))
    numbers = [struct.unpack(">H", data[:2])[0] for data in answers(whole)]
    assert len(numbers) > 50
    later = [(number + 1) % 65536 or 1 for number in numbers[:-1]]
    assert numbers[1:] == later


# --- a module that lies in well-formed answers


def lying(whole: Whole, *, closed: tuple[str, ...]) -> None:
    room = whole.world.room
    honest = room.inputs
    names = ("stage_1", "stage_2", "door", "estop", "chain", "key", "reset", "lamp_current")

    def inputs(t_us: int) -> list[bool]:
        seen = dict(zip(names, honest(t_us), strict=True))
        return [seen[name] or name in closed for name in names]

    room.inputs = inputs  # type: ignore[method-assign]


@pytest.mark.req("SR-01", "SR-09")
@pytest.mark.parametrize("state", EVERY_STATE)
def test_a_module_that_says_both_stages_are_held_begins_no_beam_in_any_state(
    state: State,
) -> None:
    """The lie begins when the real switch is let go of; in EXPOSE after ON has left."""
    whole = brought_to(state)
    whole.pass_us(40_000 if state is S.EXPOSE else 0).do("release")
    beams, ordered = whole.beams, len(whole.sent(ON))
    lying(whole, closed=("stage_1", "stage_2"))
    whole.pass_us(3_000_000)
    assert (whole.beams, len(whole.sent(ON))) == (beams, ordered)


@pytest.mark.req("SR-01", "SR-09")
def test_the_lie_goes_as_far_as_the_pair_that_stays_open() -> None:
    whole = brought_to(S.STANDBY)
    lying(whole, closed=("stage_1", "stage_2"))
    whole.until(S.FAULT)
    assert whole.path()[4:] == ["PREP", "READY", "INTERLOCK_CHECK", "FAULT"]
    assert whole.unit.memory.faults == ("INTERLOCK_OPEN",)
    limits = whole.unit.memory.limits
    assert whole.entered_us(S.FAULT) - whole.entered_us(S.INTERLOCK_CHECK) == (
        limits.interlock_check_us
    )
    assert (whole.beams, whole.sent(ON)) == (0, [])


def test_the_same_answers_with_the_real_switch_held_are_a_beam() -> None:
    """So it is the contact that the lies above lack."""
    whole = brought_to(S.STANDBY)
    lying(whole, closed=("stage_1", "stage_2"))
    whole.do("press")
    whole.until(S.EXPOSE).pass_us(300_000)
    assert (whole.beams, len(whole.sent(ON))) == (1, 1)


@pytest.mark.req("SR-12")
def test_a_second_shot_is_programmed_by_the_bus_alone() -> None:
    """The lie presses for ever: each programmed shot meets the same open pair."""
    whole = brought_to(S.STANDBY)
    lying(whole, closed=("stage_1", "stage_2"))
    for number in range(3):
        whole.request(shot=replace(a_shot(), shot_id=f"shot-{number + 2}"))
        whole.pass_us(1_500_000)
    assert (whole.beams, whole.sent(ON)) == (0, [])
