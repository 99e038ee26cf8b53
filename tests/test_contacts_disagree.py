"""A loop that is open and a safety relay that is closed: one of the two lies (SR-09, SR-49)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from hal.types import RoomSample
from tests.samples import LIMITS, T_US, inputs, memory, room

S = State


def seen(before: Memory, t_us: int, **contacts: bool) -> Memory:
    return step(before, inputs(t_us, room=room(t_us, **contacts)))[0]


@pytest.mark.req("SR-09", "SR-49")
@pytest.mark.parametrize("contact", ["door", "estop"])
@pytest.mark.parametrize("state", [S.STANDBY, S.RELEASE_WAIT, S.FAULT])
def test_a_chain_that_stays_closed_100_ms_after_its_loop_opened_locks(
    contact: str, state: State
) -> None:
    before = memory(state, tested_us=T_US, faults=("DOOR_OPEN",) if state is S.FAULT else ())
    first = seen(before, T_US, **{contact: False})
    last = seen(first, T_US + LIMITS.chain_us - 5_000, **{contact: False})
    assert first.disagree_us == T_US
    assert last.state is not S.LOCKED
    locked = seen(last, T_US + LIMITS.chain_us, **{contact: False})
    assert locked.state is S.LOCKED
    assert locked.faults[-1] == "CHAIN_STUCK"


@pytest.mark.req("SR-09")
def test_a_relay_that_drops_in_time_is_in_order_however_long_the_door_is_open() -> None:
    now = seen(memory(S.STANDBY, tested_us=T_US), T_US, door=False)
    now = seen(now, T_US + 20_000, door=False, chain=False)
    assert now.disagree_us is None
    assert seen(now, T_US + 10_000_000, door=False, chain=False).state is S.STANDBY


@pytest.mark.req("SR-09")
def test_a_room_that_says_nothing_accuses_nobody() -> None:
    now = seen(memory(S.STANDBY, tested_us=T_US), T_US, door=False)
    lost = step(now, inputs(T_US + 200_000, room=RoomSample(taken_us=T_US)))[0]
    assert lost.disagree_us is None
    assert lost.state is S.STANDBY


def test_a_door_that_the_relay_does_not_watch_proves_nothing() -> None:
    limits = replace(LIMITS, safety_relay=("estop",))
    before = memory(S.STANDBY, tested_us=T_US, limits=limits)
    assert seen(before, T_US, door=False).disagree_us is None
    assert seen(before, T_US, estop=False).disagree_us == T_US
