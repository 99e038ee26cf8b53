"""SR-45: each device frozen in each state: the way out is taken at its deadline, and named.

Frozen = it hears nothing and says nothing from the scan on that entered the state. Beside each
pair stand where it leads, the fault, and from what the deadline counts; within one scan of that
the state is left. Where nothing is said the state goes on without the device, and that is so.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from firmware_py.decide import supervisor
from firmware_py.decide.memory import State
from hal.generators._silence import SILENCE_US
from hal.generators.vj_ixs_ratings import capabilities
from hal.types import Inputs
from tests.model_runs import bench
from tests.test_layer_two import Failing
from tests.whole_unit import ON, SCAN_US, Whole, brought_to

S = State
DEVICES = ("generator", "room", "panel", "recorder")
Due = Callable[[Whole, int], int]  # (unit, when the state was entered) -> the deadline
LONG_US = 25_000_000  # longer than the longest deadline
STATUS_AGE_US = capabilities(bench().unit.generator.baud).status_age_us


def limit(name: str) -> Due:
    return lambda whole, entered_us: entered_us + int(getattr(whole.unit.memory.limits, name))


def _inputs(whole: Whole) -> Inputs:
    assert whole.unit.inputs is not None
    return whole.unit.inputs


def room_age(whole: Whole, entered_us: int) -> int:
    """From when the newest answer was asked for."""
    return _inputs(whole).room.taken_us + whole.unit.memory.limits.room_age_us


def panel_age(whole: Whole, entered_us: int) -> int:
    """PREP gives a panel that was asked seldom its whole age once more."""
    prep = "PREP" if whole.path()[-2:] == ["PREP", "FAULT"] else ""
    newest_us = max(_inputs(whole).panel.taken_us, entered_us if prep else 0)
    return newest_us + whole.unit.memory.limits.panel_age_us


def reply_owed(patience_us: int) -> Due:
    """From the first question that was not answered, once the answers before it had come."""

    def due(whole: Whole, entered_us: int) -> int:
        answered_us = _inputs(whole).generator.taken_us
        asked = [t_us for t_us, link, _ in whole.tape.all_sent
                 if link == "generator" and t_us > answered_us]  # fmt: skip
        return max(asked[0], whole.tape.got_us["generator"]) + patience_us

    return due


LOST = reply_owed(SILENCE_US)
READOUT_END = limit("readout_us")
WAYS: dict[tuple[State, str], tuple[State, tuple[str, ...], Due]] = {
    (S.BOOT, "generator"): (
        S.FAULT, ("SELF_TEST_TIMEOUT", "GENERATOR_LINK_LOST"), limit("boot_us")),
    (S.BOOT, "room"): (S.FAULT, ("SELF_TEST_TIMEOUT", "ROOM_IO_LOST"), limit("boot_us")),
    (S.BOOT, "panel"): (S.FAULT, ("SELF_TEST_TIMEOUT", "PANEL_LINK_LOST"), limit("boot_us")),
    (S.BOOT, "recorder"): (S.FAULT, ("SELF_TEST_TIMEOUT", "RECORDER_LOST"), limit("boot_us")),
    (S.SELF_TEST, "room"): (
        S.FAULT, ("SELF_TEST_TIMEOUT", "ROOM_IO_LOST"), limit("self_test_us")),
    (S.PREP, "generator"): (S.FAULT, ("GENERATOR_LINK_LOST",), LOST),
    (S.PREP, "room"): (S.FAULT, ("ROOM_IO_LOST",), room_age),
    (S.PREP, "panel"): (S.FAULT, ("PANEL_LINK_LOST",), panel_age),
    (S.PREP, "recorder"): (S.FAULT, ("INTENT_NOT_DURABLE",), limit("prep_us")),
    (S.READY, "generator"): (S.FAULT, ("GENERATOR_LINK_LOST",), LOST),
    (S.READY, "room"): (S.FAULT, ("ROOM_IO_LOST",), room_age),
    (S.READY, "panel"): (S.FAULT, ("PANEL_LINK_LOST",), panel_age),
    (S.READY, "recorder"): (S.RELEASE_WAIT, (), limit("ready_us")),
    (S.INTERLOCK_CHECK, "generator"): (
        S.FAULT, ("GENERATOR_LINK_LOST", "INTERLOCK_OPEN"), limit("interlock_check_us")),
    (S.INTERLOCK_CHECK, "room"): (S.FAULT, ("ROOM_IO_LOST",), room_age),
    (S.INTERLOCK_CHECK, "panel"): (S.FAULT, ("PANEL_LINK_LOST",), panel_age),
    (S.INTERLOCK_CHECK, "recorder"): (
        S.FAULT, ("INTENT_NOT_DURABLE",), limit("interlock_check_us")),
    (S.EXPOSE, "generator"): (S.FAULT, ("GENERATOR_STATUS_OLD",), limit("beam_start_us")),
    (S.EXPOSE, "room"): (S.FAULT, ("ROOM_IO_LOST",), room_age),
    (S.EXPOSE, "panel"): (S.FAULT, ("PANEL_LINK_LOST",), panel_age),
    (S.READOUT, "generator"): (S.FAULT, ("GENERATOR_LINK_LOST",), reply_owed(STATUS_AGE_US)),
    (S.READOUT, "room"): (S.FAULT, ("ROOM_IO_LOST",), room_age),
    (S.READOUT, "recorder"): (S.FAULT, ("DOSE_NOT_SAVED",), READOUT_END),
    (S.RELEASE_WAIT, "generator"): (S.FAULT, ("HANDSWITCH_STUCK",), limit("release_us")),
    (S.RELEASE_WAIT, "room"): (
        S.FAULT, ("SELF_TEST_TIMEOUT", "ROOM_IO_LOST"), limit("release_us")),
    (S.RELEASE_WAIT, "panel"): (S.FAULT, ("HANDSWITCH_STUCK",), limit("release_us")),
    (S.RELEASE_WAIT, "recorder"): (S.FAULT, ("HANDSWITCH_STUCK",), limit("release_us")),
}  # fmt: skip
# The state goes on as ever: it does not need this device, or it waits for a person.
AS_EVER: dict[tuple[State, str], State] = {
    (S.SELF_TEST, "generator"): S.RELEASE_WAIT,
    (S.SELF_TEST, "panel"): S.RELEASE_WAIT,
    (S.SELF_TEST, "recorder"): S.RELEASE_WAIT,
    (S.EXPOSE, "recorder"): S.READOUT,  # SR-31: the planned end
    (S.READOUT, "panel"): S.RELEASE_WAIT,  # its frame was on the way already
    **{(state, device): state for state in (S.STANDBY, S.FAULT, S.LOCKED) for device in DEVICES},
}


def frozen(state: State, device: str) -> tuple[Whole, int]:
    """The unit when it has left the state, or after 25 s; when it had entered it."""
    frozen_us = brought_to(state).t_us
    if device == "recorder":
        whole = brought_to(state, wrap=lambda port: Failing(port, frozen_us + SCAN_US, "dies"))
    else:
        whole = brought_to(state)
        getattr(whole.world, f"{device}_device").silent = True
    if state is S.BOOT and device == "recorder":  # it never was there
        whole = Whole(wrap=lambda port: Failing(port, 0, "dies"))
        whole.scan()
    entered_us = whole.unit.memory.since_us
    whole.rung.run_until(lambda: whole.state is not state, whole.t_us + LONG_US)
    return whole, entered_us


@pytest.mark.req("SR-45", "SR-27", "F11", "F60")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("state", State)
def test_a_frozen_device_ends_each_state_at_its_deadline(state: State, device: str) -> None:
    whole, entered_us = frozen(state, device)
    memory = whole.unit.memory
    if (state, device) in AS_EVER:
        assert memory.state is AS_EVER[state, device]
        return
    dest, faults, due = WAYS[state, device]
    assert (memory.state, memory.faults[: len(faults)]) == (dest, faults)
    due_us = due(whole, entered_us)
    assert due_us <= whole.t_us <= due_us + SCAN_US
    assert whole.outputs_are_safe()


def test_every_pair_of_state_and_device_has_its_way() -> None:
    assert {*WAYS, *AS_EVER} == {(state, device) for state in State for device in DEVICES}
    assert not set(WAYS) & set(AS_EVER)


@pytest.mark.req("SR-45")
@pytest.mark.parametrize("device", DEVICES)
def test_in_standby_a_frozen_device_refuses_the_press_by_name(device: str) -> None:
    names = {"generator": "GENERATOR_LINK_LOST", "panel": "PANEL_LINK_LOST",
             "recorder": "RECORDER_LOST"}  # fmt: skip
    whole, _ = frozen(S.STANDBY, device)
    whole.do("press")
    whole.pass_us(2_000_000)
    if device == "room":
        assert whole.state is S.STANDBY  # nobody sees the press
    else:
        assert whole.state is S.RELEASE_WAIT
        assert names[device] in whole.unit.memory.refused
    assert (whole.beams, whole.sent(ON)) == (0, [])


def test_a_deadline_that_is_forgotten_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_OVERDUE", {})
    whole, _ = frozen(S.BOOT, "panel")
    assert whole.state is S.BOOT
    assert whole.t_us > LONG_US
