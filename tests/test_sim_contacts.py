"""Contacts that stick, bounce or flicker; inputs and coils of the I/O that lie."""

from __future__ import annotations

import pytest

from hal.room_io.mapped_table import COILS
from hal.types import CONTACTS
from sim.script import ScriptError
from tests.sim_world import SimWorld, sim_world


@pytest.fixture
def made() -> SimWorld:
    return sim_world()


def inputs(made: SimWorld) -> dict[str, bool]:
    return dict(zip(CONTACTS, made.world.room.inputs(made.t_us), strict=True))


def contacts(made: SimWorld) -> dict[str, bool]:
    return made.world.wiring.contacts


# --- contacts


@pytest.mark.req("F44")
def test_a_contact_that_is_stuck_stays_in_chain_and_input_and_is_freed_to_where_the_hand_is(
    made: SimWorld,
) -> None:
    made.do("press")
    made.do("stick", contact="stage_2")
    made.do("release")
    assert (contacts(made)["stage_1"], contacts(made)["stage_2"]) == (False, True)
    assert inputs(made)["stage_2"]
    made.after_ms(100).do("free", contact="stage_2")
    assert not contacts(made)["stage_2"]
    assert made.moves("stage_2") == [(0, True), (100_000, False)]


@pytest.mark.req("F45")
def test_a_stage_that_is_broken_never_closes(made: SimWorld) -> None:
    made.do("stick", contact="stage_1", closed=False)
    made.do("press")
    assert (contacts(made)["stage_1"], contacts(made)["stage_2"]) == (False, True)
    made.do("free", contact="stage_1")
    assert contacts(made)["stage_1"]


@pytest.mark.req("F43")
def test_a_contact_may_be_stuck_where_the_hand_never_put_it(made: SimWorld) -> None:
    made.do("stick", contact="stage_2", closed=True)
    made.do("press")
    made.do("release")
    assert contacts(made)["stage_2"]
    made.do("stick", contact="stage_2", closed=False)
    assert not contacts(made)["stage_2"]
    made.do("free", contact="stage_2")
    assert not contacts(made)["stage_2"]


def test_a_reset_that_is_stuck_resets_nothing(made: SimWorld) -> None:
    made.do("glitch", contact="door", ms=5)
    made.after_ms(50).do("stick", contact="reset")
    made.do("press reset")
    assert not made.world.wiring.safety_relay
    made.do("free", contact="reset")
    assert made.world.wiring.safety_relay  # the finger is still on it: it closes now


# --- inputs and coils


@pytest.mark.parametrize("name", CONTACTS)
def test_a_stuck_input_shows_its_value_and_the_contact_itself_works(
    made: SimWorld, name: str
) -> None:
    before = inputs(made)
    made.do("stick", input=name, closed=not before[name])
    assert inputs(made) == before | {name: not before[name]}
    assert contacts(made)["door"]
    assert made.world.wiring.safety_relay
    made.do("free", input=name)
    assert inputs(made) == before


def test_an_input_may_be_stuck_as_it_is_while_its_contact_moves(made: SimWorld) -> None:
    made.do("stick", input="door")
    made.do("open door")
    made.after_ms(20)
    assert (inputs(made)["door"], inputs(made)["chain"]) == (True, False)


@pytest.mark.parametrize("name", COILS)
def test_a_stuck_coil_is_read_back_as_ordered_and_stays_as_it_was(
    made: SimWorld, name: str
) -> None:
    index = COILS.index(name)
    made.do("stick", coil=name)
    made.world.room.set_coil(made.t_us, index, True)
    made.world.poke()
    made.after_ms(100)
    assert made.world.room.coils(made.t_us)[index]
    assert not made.world.room.lit()[name]
    assert not made.world.wiring.enable.contact
    assert not made.world.wiring.contactor.contact
    made.do("free", coil=name)
    made.after_ms(100)
    assert made.world.room.lit()[name]
    assert made.world.wiring.enable.contact is (name == "enable")
    assert made.world.wiring.contactor.contact is (name == "contactor")


def test_a_coil_that_is_stuck_closed_outlives_its_pulse(made: SimWorld) -> None:
    made.world.room.pulse_coil(0, COILS.index("enable"), 200_000)
    made.world.poke()
    made.after_ms(100).do("stick", coil="enable")
    made.after_ms(10_000)
    assert not made.world.room.coils(made.t_us)[COILS.index("enable")]
    assert made.moves("enable") == [(8_000, True)]
    made.do("free", coil="enable")
    made.after_ms(10)
    assert made.moves("enable") == [(8_000, True), (10_105_000, False)]


def test_a_lamp_that_is_stuck_dark_draws_no_current(made: SimWorld) -> None:
    made.do("stick", coil="beam_lamp", closed=False)
    made.world.room.set_coil(0, COILS.index("beam_lamp"), True)
    assert not inputs(made)["lamp_current"]


# --- wiring


def test_a_bridged_pair_is_closed_whatever_its_contacts_do(made: SimWorld) -> None:
    made.do("wiring", pair_bridged=True)
    made.do("open door")
    made.after_ms(100)
    assert made.moves("interlock_pair") == [(0, True)]
    made.do("wiring", pair_bridged=False)
    made.after_ms(0)
    assert made.moves("interlock_pair") == [(0, True), (100_000, False)]


def test_a_welded_safety_relay_keeps_the_contactor_and_not_the_pair(made: SimWorld) -> None:
    made.supplied()
    made.do("wiring", safety_relay_welded=True)
    made.do("open door")
    made.after_ms(100)
    assert inputs(made)["chain"]
    assert made.moves("contactor") == [(20_000, True)]
    assert made.moves("interlock_pair") == [(8_000, True), (50_000, False)]


def test_a_relay_that_is_no_longer_welded_follows_its_coil(made: SimWorld) -> None:
    made.contactor(True)
    made.after_ms(100).do("weld", relay="contactor")
    made.contactor(False)
    made.after_ms(100)
    assert made.moves("contactor") == [(20_000, True)]
    made.do("heal", what="wiring")
    made.after_ms(100)
    assert made.moves("contactor") == [(20_000, True), (215_000, False)]


# --- bounce, glitch, press often


@pytest.mark.req("F46")
def test_a_contact_bounces_at_the_times_that_are_given(made: SimWorld) -> None:
    made.do("press")
    made.after_ms(10).do("bounce", contact="stage_2", at_ms=[0, 1.5, 4, 20])
    made.after_ms(100)
    assert made.moves("stage_2") == [
        (0, True), (10_000, False), (11_500, True), (14_000, False), (30_000, True),
    ]  # fmt: skip


@pytest.mark.req("F53", "SR-42")
@pytest.mark.parametrize("ms", [1, 5])
def test_a_glitch_of_the_door_is_latched_at_the_source(made: SimWorld, ms: int) -> None:
    made.after_ms(10).do("glitch", contact="door", ms=ms)
    made.after_ms(100)
    assert made.moves("door") == [(10_000, False), (10_000 + ms * 1_000, True)]
    assert made.moves("safety_relay") == [(18_000, False)]


@pytest.mark.req("F47")
def test_ten_presses_a_second_are_half_closed_and_half_open(made: SimWorld) -> None:
    made.after_ms(10).do("press often", times=3, per_s=10)
    made.after_ms(1_000)
    wanted = [(10_000 + 50_000 * step, step % 2 == 0) for step in range(6)]
    assert made.moves("stage_2") == made.moves("stage_1") == wanted


# --- what can't be


@pytest.mark.parametrize(
    ("verb", "args", "told"),
    [
        ("stick", {}, "needs exactly one of contact, input, coil"),
        ("stick", {"contact": "door", "coil": "prep"}, "needs exactly one of contact, input, coil"),
        ("stick", {"contact": "dor"}, "no contact 'dor'; there are stage_1, "),
        ("stick", {"input": "lamp"}, "no input 'lamp'; there are stage_1, .*lamp_current"),
        ("stick", {"coil": "lamp"}, "no coil 'lamp'; there are ready_lamp, "),
        ("stick", {"coil": "prep", "closed": 1}, "closed = 1: must be true or false"),
        ("free", {}, "needs exactly one of contact, input, coil"),
        ("free", {"contact": "dor"}, "no contact 'dor'"),
        ("free", {"input": "dor"}, "no input 'dor'"),
        ("free", {"coil": "dor"}, "no coil 'dor'"),
        ("bounce", {"contact": "dor", "at_ms": [1]}, "no contact 'dor'"),
        ("bounce", {"contact": "door", "at_ms": []}, r"at_ms = \[\]: must be a list of 1 to 1000"),
        ("bounce", {"contact": "door", "at_ms": 5}, "at_ms = 5: must be a list"),
        ("bounce", {"contact": "door", "at_ms": ["x"]}, "at_ms = 'x': must be a number"),
        ("bounce", {"contact": "door", "at_ms": [-1]}, "at_ms = -1: must be 0 to 600000"),
        ("bounce", {"contact": "door", "at_ms": [2, 2]}, r"at_ms = \[2, 2\]: each time must be la"),
        ("glitch", {"contact": "door", "ms": 0}, "ms = 0: must be 0.001 to 600000"),
        ("glitch", {"contact": "dor", "ms": 1}, "no contact 'dor'"),
        ("press often", {"times": 0, "per_s": 10}, "times = 0: must be 1 to 1000"),
        ("press often", {"times": 1, "per_s": "fast"}, "per_s = 'fast': must be a number"),
        ("press often", {"times": 1, "per_s": 1000}, "per_s = 1000: must be 0.1 to 200"),
    ],
)
def test_what_can_not_be_is_refused_and_moves_nothing(
    made: SimWorld, verb: str, args: dict[str, object], told: str
) -> None:
    with pytest.raises(ScriptError, match=f"^{told}"):
        made.do(verb, **args)
    made.after_ms(1_000)
    assert [t_us for t_us, _, _ in made.world.wiring.log if t_us] == []
