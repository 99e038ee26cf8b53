"""The script of a simulated room: exact times, the nth event, and words that exist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hal.frame_pipes import frame_pipe
from hal.links import pipe
from sim.build import Ends, Setting, build_world
from sim.script import UNIT_VERBS, VERBS, Script, ScriptError, Step, check, do
from sim.world import World

MS = 1_000


@pytest.fixture
def world() -> World:
    ends = Ends(
        generator=pipe(baud=9600)[1],
        room=pipe()[1],
        panel_control=frame_pipe()[1],
        panel_data=frame_pipe()[1],
    )
    made = build_world(Setting(rows_px=64, columns_px=64), ends)
    made.advance(0)
    return made


def beam(world: World) -> None:
    """A beam without a unit: the contacts and set points by hand."""
    model = world.generator
    model.set_watchdog(0, on=False)
    model.set_kv(0, 80.0)
    model.set_ma(0, 0.5)
    world.wiring.drive_contactor(world.t_us, True)
    world.wiring.drive_enable(world.t_us, True)
    do(world, "press", {})
    world.advance(world.t_us + 50 * MS)
    assert model.start(world.t_us)
    world.poke()


def contact_moves(world: World, name: str) -> list[tuple[int, bool]]:
    return [(t_us, closed) for t_us, net, closed in world.wiring.log if net == name][1:]


# --- when


@pytest.mark.parametrize("after_ms", [0.0, 0.001, 2.5, 700.0])
def test_a_step_is_done_so_many_milliseconds_after_its_event_to_the_microsecond(
    world: World, after_ms: float
) -> None:
    script = Script(world, [Step(event="READY", after_ms=after_ms, do="open door")])
    world.advance(123_457)
    script.event("READY")
    at_us = 123_457 + round(after_ms * 1000)
    world.advance(at_us - 1)
    assert script.done == []
    world.advance(at_us)
    assert script.done == [(at_us, "open door")]
    assert contact_moves(world, "door") == [(at_us, False)]


def test_a_step_waits_for_the_nth_event_and_is_done_once(world: World) -> None:
    script = Script(world, [Step(event="STANDBY", nth=2, do="open door")])
    for count in range(1, 5):
        world.advance(count * 10 * MS)
        script.event("STANDBY")
    world.advance(100 * MS)
    assert script.done == [(20 * MS, "open door")]


def test_other_events_are_not_counted(world: World) -> None:
    script = Script(world, [Step(event="STANDBY", nth=2, do="open door")])
    script.event("STANDBY")
    script.event("READY")
    world.advance(100 * MS)
    assert script.done == []


def test_an_event_of_the_world_is_followed_at_its_own_microsecond(world: World) -> None:
    steps = [
        Step(event="beam_on", after_ms=300.0, do="open door"),
        Step(event="beam_off", after_ms=1.5, do="release"),
    ]
    script = Script(world, steps)
    beam(world)
    on_us = world.generator.courses[0].on_us
    world.advance(on_us + 1_000 * MS)
    off_us = on_us + 300 * MS
    assert world.generator.courses[0].off_us == off_us
    assert script.done == [(off_us, "open door"), (off_us + 1_500, "release")]


def test_steps_of_one_moment_are_done_in_the_order_of_the_script(world: World) -> None:
    order = ["open door", "close door", "press reset"]
    script = Script(world, [Step(event="start", after_ms=1.0, do=verb) for verb in order])
    script.event("start")
    world.advance(1 * MS)
    assert [verb for _, verb in script.done] == order


def test_whoever_listened_before_still_hears_the_world(world: World) -> None:
    heard: list[str] = []
    world.on_event = lambda t_us, name: heard.append(name)
    Script(world, [])
    beam(world)
    world.advance(world.t_us + 1)
    assert heard == ["beam_on"]


def test_verbs_of_the_unit_go_to_the_unit(world: World) -> None:
    told: list[str] = []
    script = Script(world, [Step(event="start", do=verb) for verb in UNIT_VERBS], told.append)
    script.event("start")
    world.advance(0)
    assert told == list(UNIT_VERBS)


# --- what


CONTACT_VERBS = {
    "open door": ("door", False),
    "close door": ("door", True),
    "press e-stop": ("estop", False),
    "pull e-stop": ("estop", True),
    "press reset": ("reset", True),
    "release reset": ("reset", False),
    "key off": ("key", False),
    "key on": ("key", True),
}


@pytest.mark.parametrize(("verb", "moved"), CONTACT_VERBS.items())
def test_a_verb_moves_the_contact_that_it_names(
    world: World, verb: str, moved: tuple[str, bool]
) -> None:
    name, closed = moved
    world.set_contact(name, not closed)
    others = {n: c for n, c in world.wiring.contacts.items() if n != name}
    do(world, verb, {})
    assert world.wiring.contacts == others | {name: closed}


@pytest.mark.parametrize(
    ("verb", "args", "stages"),
    [
        ("press", {}, (True, True)),
        ("press", {"stage": 1}, (True, False)),
        ("press", {"stage": 2}, (True, True)),
    ],
)
def test_a_press_closes_one_stage_or_both(
    world: World, verb: str, args: Mapping[str, Any], stages: tuple[bool, bool]
) -> None:
    do(world, verb, args)
    contacts = world.wiring.contacts
    assert (contacts["stage_1"], contacts["stage_2"]) == stages


@pytest.mark.parametrize(("stage", "stages"), [(1, (False, False)), (2, (True, False))])
def test_a_release_opens_both_stages_or_the_second(
    world: World, stage: int, stages: tuple[bool, bool]
) -> None:
    do(world, "press", {})
    do(world, "release", {"stage": stage})
    contacts = world.wiring.contacts
    assert (contacts["stage_1"], contacts["stage_2"]) == stages


def test_the_remaining_verbs_do_what_they_say(world: World) -> None:
    do(world, "lose OFF once", {})
    do(world, "weld", {"relay": "contactor"})
    do(world, "battery", {"volts": 20.5})
    do(world, "arc", {})
    do(world, "trip generator", {"bit": "regulation"})
    assert world.generator_device.lose_once == b"ENBL0"
    assert (world.wiring.contactor.welded, world.wiring.enable.welded) == (True, False)
    bits = world.generator.fault_bits(0)
    assert bits == {"interlock_open", "battery_low", "arc", "regulation"}


def test_a_phantom_is_put_in_the_beam_and_taken_out(world: World) -> None:
    assert world.panel.phantom_name == "hand"
    do(world, "phantom", {"name": "none"})
    assert world.panel.phantom_name == "none"
    do(world, "phantom", {"name": "hand"})
    assert world.panel.phantom_name == "hand"


@pytest.mark.parametrize(("args", "charge"), [({}, 1.0), ({"charge": 0.25}, 0.25)])
def test_the_battery_is_charged_fully_or_as_far_as_is_said(
    world: World, args: Mapping[str, Any], charge: float
) -> None:
    assert world.generator.charge(world.t_us) == 0.9
    do(world, "charge battery", args)
    assert world.generator.charge(world.t_us) == charge


def test_what_a_beam_took_before_the_charge_is_not_taken_again(world: World) -> None:
    beam(world)
    world.advance(world.t_us + 500 * MS)
    do(world, "release", {})
    world.advance(world.t_us + 100 * MS)
    left = world.generator.charge(world.t_us)
    assert 0.8990 < left < 0.8999  # some 18 J of 216 kJ x 0.49
    do(world, "charge battery", {"charge": 0.9})
    world.advance(world.t_us + 100 * MS)
    assert world.generator.charge(world.t_us) == 0.9


def window_open(world: World) -> None:
    world.panel.prepare(world.t_us)
    world.advance(world.t_us + 200 * MS)
    world.panel.request_window(world.t_us, "shot")
    world.advance(world.t_us + 200 * MS)
    assert world.panel.state(world.t_us) == "integrating"


@pytest.mark.parametrize(
    ("verb", "args", "what"),
    [
        ("phantom", {"name": "none"}, "the phantom"),
        ("panel", {"in_beam": False}, "the panel"),
        ("geometry", {"sid_mm": 1500.0}, "the tube"),
        ("optics", {"lift_mm": 50.0}, "what rays meet"),
    ],
)
def test_nothing_is_moved_while_the_panel_integrates(
    world: World, verb: str, args: Mapping[str, Any], what: str
) -> None:
    window_open(world)
    with pytest.raises(ScriptError, match=f"{what} stays where it is while the panel integrates"):
        do(world, verb, args)
    do(world, "geometry", {"sid_mm": world.geometry.sid_mm})  # where it stands already
    do(world, "panel", {"drop_frame": True})
    assert (world.panel.phantom_name, world.panel.in_beam) == ("hand", True)


# --- words that do not exist


@pytest.mark.parametrize(
    ("verb", "args", "told"),
    [
        (
            "open dor",
            {},
            r"no action 'open dor'; there are press, release, open door, .*"
            r"; did you mean 'open door'\?$",
        ),
        (
            "generator",
            {"kv_off": 3},
            r"generator has no 'kv_off'; there are .*"
            r"; did you mean 'kv_off_pct'\?$",
        ),
        ("press", {"stag": 2}, r"press has no 'stag'; there are stage"),
        ("open door", {"wide": True}, r"open door has no 'wide'; it takes none"),
        ("kill unit", {"hard": True}, r"kill unit has no 'hard'; it takes none"),
        ("generator", {"refuse": True}, r"generator has no 'refuse'; there are refuse_start, "),
        ("generator", {"stop": True}, r"generator has no 'stop'; there are refuse_start, "),
        ("panel", {"_state": 1}, r"panel has no '_state'; there are never_ready, "),
        ("line", {"silent": True}, r"line needs 'device'"),
        ("line", {"device": "room", "quiet": True}, r"line has no 'quiet'; .* device, silent"),
        ("trip generator", {}, r"trip generator needs 'bit'"),
        ("battery", {}, r"battery needs 'volts'"),
        ("phantom", {}, r"phantom needs 'name'"),
        ("charge battery", {"volts": 24.0}, r"charge battery has no 'volts'; there are charge"),
    ],
)
def test_a_word_that_does_not_exist_is_refused_before_anything_happens(
    world: World, verb: str, args: Mapping[str, Any], told: str
) -> None:
    with pytest.raises(ScriptError, match=told):
        check(verb, args)
    with pytest.raises(ScriptError, match=told):
        Script(world, [Step(event="never", do=verb, args=args)])


@pytest.mark.parametrize(
    ("verb", "args", "told"),
    [
        ("press", {"stage": 3}, r"stage = 3: must be 1 or 2"),
        ("release", {"stage": 0}, r"stage = 0: must be 1 or 2"),
        ("line", {"device": "dor", "silent": True}, r"no device 'dor'; there are generator, room"),
        ("weld", {"relay": "lamp"}, r"no relay 'lamp'; there are enable, contactor"),
        ("trip generator", {"bit": "over_kv"}, r"no fault bit 'over_kv'; there are duty_cycle"),
        ("generator", {"refuse_start": "yes"}, r"refuse_start = 'yes': must be true or false"),
        ("generator", {"refuse_start": 1}, r"refuse_start = 1: must be true or false"),
        ("generator", {"ma_factor": "x"}, r"ma_factor = 'x': must be a number"),
        ("generator", {"ma_factor": float("nan")}, r"ma_factor = nan: must be a number"),
        ("battery", {"volts": "low"}, r"volts = 'low': must be a number"),
        ("charge battery", {"charge": "full"}, r"charge = 'full': must be a number"),
        ("charge battery", {"charge": 1.5}, r"charge = 1.5: must be 0 to 1"),
        ("charge battery", {"charge": -0.1}, r"charge = -0.1: must be 0 to 1"),
        ("phantom", {"name": "foot"}, r"no phantom 'foot'; there are hand, none"),
        ("phantom", {"name": 3}, r"no phantom 3; there are hand, none"),
        ("panel", {"in_beam": 0}, r"in_beam = 0: must be true or false"),
        ("kill unit", {}, r"'kill unit' concerns the unit, not the room"),
    ],
)
def test_a_value_that_can_not_be_is_refused(
    world: World, verb: str, args: Mapping[str, Any], told: str
) -> None:
    with pytest.raises(ScriptError, match=told):
        do(world, verb, args)


def test_what_counts_from_the_next_start_on_is_refused_during_the_beam(world: World) -> None:
    beam(world)
    with pytest.raises(ScriptError, match="ma_factor counts from the next start on"):
        do(world, "generator", {"ma_factor": 1.3})


def test_the_battery_is_not_charged_during_a_beam(world: World) -> None:
    beam(world)
    with pytest.raises(ScriptError, match="the battery is not charged during a beam"):
        do(world, "charge battery", {})


def test_every_verb_but_the_units_is_tried_in_a_file() -> None:
    here = {
        "press", "release", "lose OFF once", "weld", "battery", "charge battery", "arc",
        "trip generator", "phantom",
    }  # fmt: skip
    tried = {  # file -> verbs
        "test_sim_injections.py": {
            "generator",
            "panel",
            "wiring",
            "room",
            "line",
            "heal",
            "optics",
            "meter",
        },
        "test_sim_contacts.py": {"stick", "free", "bounce", "glitch", "press often"},
        "test_sim_lines.py": {"lose answer", "garbage", "power off", "power on", "reboot"},
        "test_sim_generator_faults.py": {"false command"},
        "test_mischief.py": {"mischief"},
        "test_batteries.py": {"panel battery"},
        "test_distance.py": {"geometry"},
        "test_sensed_geometry.py": {"collimator", "dap"},
    }
    assert set(VERBS) == set(CONTACT_VERBS) | here | set().union(*tried.values())
    for name, verbs in tried.items():
        text = (Path(__file__).parent / name).read_text(encoding="utf-8")
        assert [verb for verb in verbs if f'"{verb}"' not in text] == []
