"""SR-09 in full: of all rows of the truth table exactly one begins a beam.

`step` itself is asked, for every combination of what must be true in INTERLOCK_CHECK, each
input being right or wrong in the way that its sample can be wrong. Then each contact of the
room alone, through the whole unit: open, stale, stuck and garbage.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import states
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from hal.types import GeneratorState, Inputs, PanelState, Requests
from tests.samples import (
    LIMITS,
    SHOT,
    T_US,
    held,
    inputs,
    kept,
    memory,
    panel,
    ready_generator,
)
from tests.test_controller_properties import plant_row
from tests.whole_unit import ON, Whole, brought_to

S = State
SINCE_US = T_US - 50_000
BEFORE = memory(S.INTERLOCK_CHECK, since_us=SINCE_US, stage_2_since_us=T_US - 100_000)
# A wrong input, and the fault that this scan latches for it; None = the check waits, or ends.
WRONG: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "stage 1 held": ("room", {"stage_1": False}, None),
    "stage 2 held": ("room", {"stage_2": False}, None),
    "door closed": ("room", {"door": False}, "DOOR_OPEN"),
    "e-stop pulled": ("room", {"estop": False}, "ESTOP"),
    "chain closed": ("room", {"chain": False}, "CHAIN_OPEN"),
    "key on": ("room", {"key": False}, "KEY_OFF"),
    "room fresh": ("room", {"taken_us": T_US - LIMITS.room_age_us}, "ROOM_IO_LOST"),
    "generator ready": ("generator", {"state": GeneratorState.PREPARING}, None),
    "technique confirmed": (
        "generator",
        {"confirmed": replace(SHOT.technique, kv=SHOT.technique.kv + 0.1)},
        None,
    ),
    "pair closed": ("generator", {"interlock_closed": False}, None),
    "pair fresh": ("generator", {"interlock_taken_us": SINCE_US - 1}, None),
    "window open": ("panel", {"state": PanelState.READY}, None),
    "intent durable": ("recorder", {"intent_durable": "shot-0"}, None),
    "recorder alive": ("recorder", {"alive": False}, None),
}
# What the first table leaves out; looked at with each other.
WRONG_TOO: dict[str, tuple[str, dict[str, Any], str | None]] = {
    "room answers": ("room", {"link_ok": False}, "ROOM_IO_LOST"),
    "generator answers": ("generator", {"state": GeneratorState.OFFLINE}, "GENERATOR_LINK_LOST"),
    "generator sound": ("generator", {"faults": ("REGULATION",)}, "REGULATION"),
    "pair known": ("generator", {"interlock_taken_us": None}, None),
    "status off": ("generator", {"beam_on": None}, None),
    "status fresh": ("generator", {"beam_taken_us": SINCE_US - 1}, None),
    "no beam yet": ("generator", {"beam_on": True, "beam_taken_us": T_US}, "STRAY_BEAM"),
    "right panel": ("panel", {"panel_id": "P2"}, None),
    "window long enough": ("panel", {"window_us": 1_000_000}, None),
    "window of this check": ("panel", {"window_open_us": SINCE_US - 1}, None),
    "panel fresh": ("panel", {"taken_us": T_US - LIMITS.panel_age_us}, "PANEL_LINK_LOST"),
    "panel sound": ("panel", {"faults": ("PANEL_ERROR",)}, "PANEL_ERROR"),
    "disk has room": ("recorder", {"disk_ok": False}, None),
    "nobody says stop": ("requests", {"stop": True}, None),
    "shot unchanged": ("requests", {"shot": replace(SHOT, exam_id="E-7")}, None),
}


def all_true() -> Inputs:
    return inputs(
        room=held(),
        generator=ready_generator(),
        panel=panel(state=PanelState.INTEGRATING, window_open_us=T_US - 5_000),
        recorder=kept(),
        requests=Requests(shot=SHOT),
    )


def rows(
    table: dict[str, tuple[str, dict[str, Any], str | None]],
) -> Iterator[tuple[frozenset[str], Inputs]]:
    """Every combination: what is wrong in it, and the inputs."""
    samples = all_true()
    parts = {part: [name for name in table if table[name][0] == part] for part, _, _ in
             table.values()}  # fmt: skip
    choices = [
        [
            (wrong, replace(getattr(samples, part), **_changes(table, wrong)))
            for count in range(len(names) + 1)
            for wrong in itertools.combinations(names, count)
        ]
        for part, names in parts.items()
    ]
    for row in itertools.product(*choices):
        wrong = frozenset(name for names, _ in row for name in names)
        changed = dict(zip(parts, (sample for _, sample in row), strict=True))
        yield wrong, replace(samples, **changed)


def _changes(
    table: dict[str, tuple[str, dict[str, Any], str | None]], wrong: tuple[str, ...]
) -> dict[str, Any]:
    return {name: value for one in wrong for name, value in table[one][1].items()}


def beams_of(
    table: dict[str, tuple[str, dict[str, Any], str | None]], before: Memory = BEFORE
) -> tuple[int, list[frozenset[str]]]:
    """(rows, those that begin a beam)"""
    count, begun = 0, []
    for wrong, now in rows(table):
        count += 1
        after, outputs = step(before, now)
        if outputs.expose_from_us is not None or after.state is S.EXPOSE or outputs.expose_line:
            begun.append(wrong)
    return count, begun


@pytest.mark.req("SR-01", "SR-09", "SR-10", "SR-52")
def test_of_16384_rows_of_the_chain_the_one_where_all_is_true_begins_a_beam() -> None:
    assert beams_of(WRONG) == (16_384, [frozenset()])


@pytest.mark.req("SR-07", "SR-09", "SR-10", "SR-11", "SR-12", "SR-34")
def test_of_32768_rows_of_the_rest_the_one_where_all_is_true_begins_a_beam() -> None:
    assert beams_of(WRONG_TOO) == (32_768, [frozenset()])


@pytest.mark.req("SR-09")
def test_one_wrong_of_each_table_begins_nothing() -> None:
    for one, other in itertools.product(WRONG, WRONG_TOO):
        now = all_true()
        for part, changes, _ in (WRONG[one], WRONG_TOO[other]):
            now = replace(now, **{part: replace(getattr(now, part), **changes)})
        assert step(BEFORE, now)[1].expose_from_us is None, (one, other)


@pytest.mark.req("SR-09")
@pytest.mark.parametrize("name", [*WRONG, *WRONG_TOO])
def test_one_wrong_input_is_told_by_its_own_name_in_that_scan(name: str) -> None:
    part, changes, fault = (WRONG | WRONG_TOO)[name]
    now = all_true()
    after, outputs = step(BEFORE, replace(now, **{part: replace(getattr(now, part), **changes)}))
    assert outputs.expose_from_us is None
    assert after.faults == (() if fault is None else (fault,))
    if fault is None:
        assert after.state in (S.INTERLOCK_CHECK, S.RELEASE_WAIT)
    else:
        assert after.state in (S.FAULT, S.LOCKED)
        assert (outputs.enable, outputs.contactor) == (False, False)


def test_every_condition_of_the_exit_row_has_a_column() -> None:
    """Each field that the row may read is made wrong by some column: none is left out."""
    fields = {
        (part, name) for part, changes, _ in (*WRONG.values(), *WRONG_TOO.values())
        for name in changes
    }  # fmt: skip
    read = _fields_read(lambda now: step(BEFORE, now), all_true())
    expected = {(part, name) for part, name in read if part in ("room", "generator", "panel")}
    not_asked_for_a_start = {
        ("room", "reset"), ("room", "lamp_current"),  # for the way out, and for the next press
        ("generator", "off_confirmed_us"),
        ("generator", "kv"), ("generator", "ma"), ("generator", "monitor_taken_us"),
        ("panel", "kept"),  # of earlier shots
        ("generator", "on_sent_us"), ("generator", "on_answered_us"), ("generator", "refused"),
    }  # fmt: skip
    assert expected - fields <= not_asked_for_a_start


def _fields_read(call: Callable[[Inputs], object], now: Inputs) -> set[tuple[str, str]]:
    """Which fields of the samples are looked at while `call` runs."""
    seen: set[tuple[str, str]] = set()

    class Spy:
        def __init__(self, part: str, sample: object) -> None:
            self._part, self._sample = part, sample

        def __getattr__(self, name: str) -> Any:
            seen.add((self._part, name))
            return getattr(self._sample, name)

    parts = ("room", "generator", "panel", "recorder")
    call(replace(now, **{part: Spy(part, getattr(now, part)) for part in parts}))  # type: ignore[arg-type]
    return seen


# --- the tables can fail


@pytest.mark.parametrize(
    ("forgotten", "name"),
    [("_window_open", "window open"), ("_recorder_ready", "intent durable")],
)
def test_a_condition_that_is_forgotten_is_found(
    monkeypatch: pytest.MonkeyPatch, forgotten: str, name: str
) -> None:
    monkeypatch.setattr(states, forgotten, lambda view: True)
    short = {one: WRONG[one] for one in ("stage 2 held", "door closed", name)}
    assert beams_of(short) == (8, [frozenset(), frozenset({name})])


def test_a_row_that_looks_at_one_stage_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    forgetful = states.Row(S.INTERLOCK_CHECK, S.EXPOSE, lambda view: view.inputs.room.stage_1)
    forgetful.when.__name__ = "everything_true_in_this_scan"
    plant_row(monkeypatch, "everything_true_in_this_scan", forgetful)
    short = {one: WRONG[one] for one in ("stage 1 held", "pair closed")}
    assert beams_of(short) == (4, [frozenset(), frozenset({"pair closed"})])


# --- each contact of the room alone, through the whole unit

CONTACTS = {
    "stage_1": None,
    "stage_2": None,
    "door": "DOOR_OPEN",
    "estop": "ESTOP",
    "key": "KEY_OFF",
}


def just_before_the_beam() -> Whole:
    return brought_to(S.INTERLOCK_CHECK)


def no_beam_follows(whole: Whole) -> None:
    whole.pass_us(1_500_000)
    assert whole.beams == 0
    assert whole.sent(ON) == []
    assert "EXPOSE" not in whole.path()


def test_the_way_before_these_would_have_been_a_beam() -> None:
    whole = just_before_the_beam()
    whole.until(S.EXPOSE)
    whole.pass_us(100_000)
    assert (whole.beams, len(whole.sent(ON))) == (1, 1)


@pytest.mark.req("SR-09")
@pytest.mark.parametrize("contact", CONTACTS)
def test_a_contact_that_opens_before_the_beam_means_none(contact: str) -> None:
    whole = just_before_the_beam()
    whole.world.set_contact(contact, False)
    no_beam_follows(whole)
    fault = CONTACTS[contact]
    expected = S.RELEASE_WAIT if fault is None else S.FAULT
    assert whole.path()[7] == expected.value
    if fault is not None:
        assert fault in whole.unit.memory.faults


@pytest.mark.req("SR-09")
@pytest.mark.parametrize("contact", CONTACTS)
def test_a_contact_that_is_stale_means_no_beam(contact: str) -> None:
    """The module falls silent when the contact opens: what it said last is believed no longer."""
    whole = just_before_the_beam()
    whole.world.room_device.silent = True
    whole.world.set_contact(contact, False)
    no_beam_follows(whole)
    assert "ROOM_IO_LOST" in whole.unit.memory.faults
    entered_us = whole.entered_us(S.FAULT)
    assert whole.unit.inputs is not None
    limit_us = whole.unit.memory.limits.room_age_us
    assert entered_us - whole.unit.inputs.room.taken_us <= limit_us + 5_000


@pytest.mark.req("SR-09")
@pytest.mark.parametrize("contact", ["stage_2", "door", "estop"])
def test_a_contact_that_is_stuck_in_the_module_is_ended_by_the_chain(contact: str) -> None:
    """The module says closed for ever; the contact itself stands in the generator's pair."""
    whole = just_before_the_beam()
    room, lie = whole.world.room, list(whole.world.room.inputs(whole.t_us))
    room.inputs = lambda t_us: lie  # type: ignore[method-assign]
    whole.world.set_contact(contact, False)
    no_beam_follows(whole)
    assert whole.state is S.FAULT
    assert whole.unit.memory.faults == ("INTERLOCK_OPEN",)


@pytest.mark.req("SR-09")
@pytest.mark.parametrize("garbage", [b"\xff" * 12, b"\0", b"GET / HTTP/1.1\r\n\r\n"])
def test_garbage_of_the_module_is_no_closed_contact(garbage: bytes) -> None:
    whole = just_before_the_beam()
    device = whole.world.room_device
    device.silent = True  # its own answers are lost in the noise
    for late_us in range(0, 300_000, 4_000):
        whole.world.at(whole.t_us + late_us, lambda t_us: device.link.write(t_us, garbage))
    no_beam_follows(whole)
    assert "ROOM_IO_LOST" in whole.unit.memory.faults
