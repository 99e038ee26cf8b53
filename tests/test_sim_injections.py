"""What a scenario may set in the models: each name exists, has its range, and is taken back."""

from __future__ import annotations

from typing import Any

import pytest

from hal.types import CONTACTS
from sim import (
    battery,
    capacitors,
    chambers,
    detector_faults,
    device,
    filtration,
    generator_faults,
    generator_wires,
    meter,
    mishaps,
    optics,
    radiographic,
    room,
    rotor,
    wiring,
)
from sim.in_place import faults_in_place
from sim.injection import Injection, Table, fresh, inject
from sim.script import INJECTED, NotOnThisBenchError, ScriptError, do
from tests.sim_world import SimWorld, sim_world

TABLES: dict[str, Table] = {
    "generator": generator_faults.INJECTIONS | battery.INJECTIONS | generator_wires.IXS_DESK,
    "panel": detector_faults.INJECTIONS | device.FRAMES,
    "wiring": wiring.INJECTIONS,
    "room": room.INJECTIONS,
    "line": device.LINE,
    "meter": meter.INJECTIONS,
    "optics": optics.INJECTIONS | filtration.INJECTIONS,
}
ROTARY: Table = rotor.INJECTIONS | generator_wires.R2CP_DESK
ALL = [("vj_ixs", verb, name) for verb, table in TABLES.items() for name in table]
ALL += [("r2cp", "generator", name) for name in ROTARY]


def world_of(driver: str) -> tuple[SimWorld, dict[str, Table]]:
    """With the tables whose names are known there."""
    mine = {"generator": {**generator_faults.INJECTIONS, **ROTARY}} if driver == "r2cp" else {}
    return sim_world(driver=driver), TABLES | mine


@pytest.fixture
def made() -> SimWorld:
    return sim_world()


def targets(made: SimWorld, verb: str) -> mishaps.Targets:
    if verb == "line":
        return [(made.world.generator_device, device.LINE)]
    return mishaps.targets_of(made.world, verb)


def value_now(made: SimWorld, verb: str, name: str) -> Any:
    (target,) = (target for target, table in targets(made, verb) if name in table)
    return getattr(target, name)


def harmful(injection: Injection) -> Any:
    """Something that it may be and is not when all is well."""
    if isinstance(injection.harmless, bool):
        return not injection.harmless
    if injection.words:
        return injection.words[-1]
    if isinstance(injection.harmless, str) or injection.kind is str:
        return "OTHER"
    return injection.between[1]


def test_every_table_is_known_to_its_verb() -> None:
    others = (
        generator_wires.GENIX3D_DESK
        | chambers.INJECTIONS
        | capacitors.INJECTIONS
        | radiographic.INJECTIONS
    )  # of other benches
    generator = {**TABLES["generator"], **ROTARY, **others}
    assert {verb: set(INJECTED[verb]) for verb in TABLES} == {
        verb: set(table) for verb, table in (TABLES | {"generator": generator}).items()
    }


@pytest.mark.parametrize(("driver", "verb", "name"), ALL)
def test_every_injection_is_harmless_at_first_and_is_set_and_healed(
    driver: str, verb: str, name: str
) -> None:
    made, tables = world_of(driver)
    injection = tables[verb][name]
    more = {"device": "generator"} if verb == "line" else {}
    assert value_now(made, verb, name) == injection.harmless
    made.do(verb, **more, **{name: harmful(injection)})
    assert value_now(made, verb, name) == harmful(injection) != injection.harmless
    made.do("heal", what=verb)
    healed = injection.harmless if injection.heals else harmful(injection)
    assert value_now(made, verb, name) == healed


@pytest.mark.parametrize(("driver", "verb", "name"), ALL)
def test_every_injection_refuses_what_it_can_not_be(driver: str, verb: str, name: str) -> None:
    made, tables = world_of(driver)
    injection = tables[verb][name]
    more = {"device": "generator"} if verb == "line" else {}
    wrong: list[Any] = [[1], {"a": 1}]
    if not isinstance(harmful(injection), str):
        wrong.append("OTHER")
    if not isinstance(harmful(injection), bool) and not isinstance(harmful(injection), str):
        least, most = injection.between
        wrong += [True, least - 1, most + 1, float("nan"), float("inf")]
    if injection.words:
        wrong += ["NOT-A-WORD", 3]
    for value in wrong:
        with pytest.raises(ScriptError, match=f"^{name} = .*: must be "):
            made.do(verb, **more, **{name: value})
    assert value_now(made, verb, name) == injection.harmless


@pytest.mark.parametrize(
    ("driver", "verb", "args", "told"),
    [
        ("r2cp", "generator", {"wrong_echo": "CP"}, "no injection 'wrong_echo' here; there are"),
        ("r2cp", "false command", {"text": "ENBL1"}, "no texts; there is only 'ON'"),
        ("r2cp", "lose answer", {"device": "generator", "text": "ENBL1"}, "are no texts"),
        ("r2cp", "line", {"device": "generator", "wrong_baud": True}, "needs a serial line"),
        ("vj_ixs", "generator", {"rotor_stuck": True}, "this bench has no rotor"),
    ],
)
def test_what_only_other_benches_have_is_told_as_that(
    driver: str, verb: str, args: dict[str, Any], told: str
) -> None:
    with pytest.raises(NotOnThisBenchError, match=told):
        sim_world(driver=driver).do(verb, **args)


def test_a_wire_that_the_simulator_does_not_know_has_no_words_for_on_and_off(
    made: SimWorld,
) -> None:
    made.world.generator_wire = generator_wires.wire_of("another")
    for verb in ("lose OFF once", "false command"):
        with pytest.raises(NotOnThisBenchError, match=r"does not know O(N|FF) on this"):
            made.do(verb)


def test_every_injection_has_its_line_of_explanation() -> None:
    short = [name for table in TABLES.values() for name, one in table.items() if len(one.text) < 12]
    assert short == []


class Model:
    """A target of a planted table."""


def test_of_several_values_none_is_set_when_one_is_wrong() -> None:
    table = {"a": Injection("first"), "b": Injection("second", 1.0, between=(0.0, 2.0))}
    model = Model()
    fresh(model, table)
    with pytest.raises(ValueError, match=r"b = 3: must be 0 to 2"):
        inject([(model, table)], {"a": True, "b": 3})
    assert vars(model) == {"a": False, "b": 1.0}
    with pytest.raises(ValueError, match=r"no injection 'c' here; there are a, b"):
        inject([(model, table)], {"a": True, "c": True})
    assert vars(model) == {"a": False, "b": 1.0}


@pytest.mark.parametrize(
    ("injection", "value", "told"),
    [
        (Injection("t"), 1, "x = 1: must be true or false"),
        (Injection("t", 0), 1.5, "x = 1.5: must be a whole number"),
        (Injection("t", 0, between=(0, 9)), 10, "x = 10: must be 0 to 9"),
        (Injection("t", None, int), 1.5, "x = 1.5: must be a whole number"),
        (Injection("t", None, float), "hot", "x = 'hot': must be a number"),
        (Injection("t", None, str), 5, "x = 5: must be a text"),
        (Injection("t", None, bool), None, "x = None: must be true or false"),
        (Injection("t", "", words=("", "VP")), "vp", "x = 'vp': must be one of VP"),
    ],
)
def test_a_refusal_says_what_is_allowed(injection: Injection, value: object, told: str) -> None:
    with pytest.raises(ValueError, match="must be") as refused:
        injection.check("x", value)
    assert str(refused.value) == told


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("rotor_slow_us", 1000, "rotor"),
        ("capacitors_lost_pct", 5.0, "capacitors"),
        ("chamber_dead", "centre", "chambers"),
        ("preheat_low_pct", 5.0, "preheated filament"),
    ],
)
def test_a_part_that_the_bench_has_not_got_is_named(
    made: SimWorld, name: str, value: object, part: str
) -> None:
    with pytest.raises(NotOnThisBenchError) as refused:
        do(made.world, "generator", {"kv_off_pct": 5.0, name: value})
    assert str(refused.value) == f"this bench has no {part} ({name})"
    assert made.world.generator.kv_off_pct == 0.0


# --- heal


def test_heal_takes_back_what_is_no_attribute_too(made: SimWorld) -> None:
    made.do("battery", volts=20.0)
    made.do("weld", relay="contactor")
    made.do("stick", contact="door", closed=False)
    made.do("stick", input="key", closed=False)
    made.do("stick", coil="beam_lamp", closed=True)
    made.do("lose answer", device="room")
    made.do("lose OFF once")
    made.do("power off", device="panel")
    made.do("heal", what="all")
    world = made.world
    assert world.generator.battery.stuck_v is None
    assert not world.wiring.contactor.welded
    assert world.wiring.contacts["door"]
    seen = zip(CONTACTS, world.room.inputs(0), strict=True)
    assert [name for name, closed in seen if closed] == ["door", "estop", "chain", "key"]
    assert not world.room.lit()["beam_lamp"]
    assert (world.room_device.lose_answer, world.generator_device.lose_once) == (None, b"")
    assert world.panel_device.powered


def test_what_is_in_place_is_told_until_it_is_healed(made: SimWorld) -> None:
    assert faults_in_place(made.world) == {}
    made.do("generator", kv_off_pct=5.0)
    made.do("optics", grid_ratio=10.0, grid_upside_down=True)  # a grid alone is no fault
    made.do("battery", volts=20.0)
    made.do("weld", relay="contactor")
    made.do("stick", contact="door", closed=False)
    made.do("stick", input="key", closed=False)
    made.do("stick", coil="beam_lamp", closed=True)
    made.do("line", device="room", delay_ms=40.0)
    made.do("power off", device="panel")
    assert faults_in_place(made.world) == {
        "generator": {"kv_off_pct": 5.0, "battery volts": 20.0},
        "optics": {"grid_upside_down": True},
        "welded": {"contactor": True},
        "stuck": {"contact door": False, "input key": False, "coil beam_lamp": True},
        "line room": {"delay_ms": 40.0},
        "line panel": {"powered": False},
    }
    made.do("heal", what="all")
    assert faults_in_place(made.world) == {}


@pytest.mark.parametrize(("driver", "verb", "name"), ALL)
def test_every_fault_is_told_by_its_name(driver: str, verb: str, name: str) -> None:
    made, tables = world_of(driver)
    injection = tables[verb][name]
    place, device = ("line generator", {"device": "generator"}) if verb == "line" else (verb, {})
    made.do(verb, **device, **{name: harmful(injection)})
    told = {place: {name: harmful(injection)}} if injection.heals else {}
    assert faults_in_place(made.world) == told


def test_heal_of_one_place_lets_the_others_be(made: SimWorld) -> None:
    made.do("generator", ignore_off=True)
    made.do("panel", stuck=True)
    made.do("heal", what="panel")
    assert (made.world.generator.ignore_off, made.world.panel.stuck) == (True, False)


def test_heal_does_not_close_what_latched(made: SimWorld) -> None:
    made.do("trip generator", bit="regulation")
    made.do("glitch", contact="door", ms=1)
    made.after_ms(20).do("heal", what="all")
    assert "regulation" in made.world.generator.fault_bits(made.t_us)
    assert not made.world.wiring.safety_relay


def test_heal_says_which_places_there_are(made: SimWorld) -> None:
    places = "generator, panel, room, wiring, collimator, dap, meter, optics, line"
    told = f"what = 'bench': must be all, {places}"
    with pytest.raises(ScriptError, match=told):
        do(made.world, "heal", {"what": "bench"})
