"""Lines that are dead one way or both, slow, noisy or lossy; devices without power."""

from __future__ import annotations

import json

import pytest

from hal.ports import ByteLink
from sim.device import NOISE
from sim.mishaps import devices
from sim.script import ScriptError
from tests.sim_world import MS, SimWorld, sim_world

STAT, OFF_NOW = b"\x02STAT\r", b"\x020\r"
DEVICES = ("generator", "room", "panel")
READ_INPUTS = bytes.fromhex("000100000006 01 02 0000 0008")
QUESTIONS = {"generator": STAT, "room": READ_INPUTS}


@pytest.fixture
def made() -> SimWorld:
    return sim_world()


def write(made: SimWorld, device: str, n: int = 1) -> None:
    if device == "panel":
        made.panel.write(made.t_us, [json.dumps({"v": 3, "n": n, "do": "status"}).encode()])
    else:
        byte_link(made, device).write(made.t_us, QUESTIONS[device])


def byte_link(made: SimWorld, device: str) -> ByteLink:
    return made.generator if device == "generator" else made.room


def said(made: SimWorld, device: str) -> bytes:
    if device == "panel":
        return b"".join(part for message in made.panel.read(made.t_us) for part in message)
    return byte_link(made, device).read(made.t_us)


def answered_after_ms(made: SimWorld, device: str, most_ms: int) -> float | None:
    """In steps of half a millisecond."""
    write(made, device)
    for step in range(1, 2 * most_ms + 1):
        made.after_ms(0.5)
        if said(made, device):
            return step / 2
    return None


HEALTHY_MS = {"generator": 3.0, "room": 1.0, "panel": 0.5}


@pytest.mark.parametrize("device", DEVICES)
def test_a_healthy_device_answers_in_its_own_time(made: SimWorld, device: str) -> None:
    assert answered_after_ms(made, device, 10) == HEALTHY_MS[device]


@pytest.mark.req("F60")
@pytest.mark.parametrize("name", ["silent", "deaf", "mute"])
@pytest.mark.parametrize("device", DEVICES)
def test_a_dead_line_answers_nothing_until_it_is_taken_back(
    made: SimWorld, device: str, name: str
) -> None:
    made.do("line", device=device, **{name: True})
    assert answered_after_ms(made, device, 100) is None
    made.do("line", device=device, **{name: False})
    assert answered_after_ms(made, device, 10) == HEALTHY_MS[device]


@pytest.mark.parametrize(("name", "obeys"), [("silent", False), ("deaf", False), ("mute", True)])
def test_only_a_mute_device_does_what_it_is_told(made: SimWorld, name: str, obeys: bool) -> None:
    made.do("line", device="generator", **{name: True})
    made.world.generator.set_prewarning_us(0, 7_000_000)
    assert made.ask(b"PTM05") == b""
    made.do("line", device="generator", **{name: False})
    assert made.ask(b"PTST") == (b"\x0205\r" if obeys else b"\x0207\r")


def test_a_deaf_device_still_says_what_was_under_way(made: SimWorld) -> None:
    made.generator.write(made.t_us, STAT)
    made.after_ms(1).do("line", device="generator", deaf=True)
    made.after_ms(3)
    assert made.generator.read(made.t_us) == OFF_NOW


@pytest.mark.req("F62")
@pytest.mark.parametrize("delay_ms", [49.0, 51.0, 149.0, 151.0])
@pytest.mark.parametrize("device", DEVICES)
def test_each_answer_is_late_by_what_is_said(made: SimWorld, device: str, delay_ms: float) -> None:
    made.do("line", device=device, delay_ms=delay_ms)
    assert answered_after_ms(made, device, 400) == HEALTHY_MS[device] + delay_ms


def test_answers_keep_their_order_when_the_delay_is_taken_back(made: SimWorld) -> None:
    made.do("line", device="generator", delay_ms=50.0)
    made.generator.write(made.t_us, b"\x02WDTE\r")
    made.after_ms(10).do("line", device="generator", delay_ms=0.0)
    made.generator.write(made.t_us, STAT)
    made.after_ms(42)
    assert made.generator.read(made.t_us) == b""
    made.after_ms(1)
    assert made.generator.read(made.t_us) == b"\x02OK\r" + OFF_NOW


@pytest.mark.req("F58")
def test_another_baud_rate_makes_other_bytes_of_all_in_both_directions(made: SimWorld) -> None:
    made.do("line", device="generator", wrong_baud=True)
    assert made.ask(b"STAT") == b""
    assert made.world.generator_device.heard_us == 0
    made.do("line", device="generator", wrong_baud=False)
    made.generator.write(made.t_us, STAT)
    made.after_ms(1).do("line", device="generator", wrong_baud=True)
    made.after_ms(5)
    heard = made.generator.read(made.t_us)
    assert len(heard) == len(OFF_NOW)
    assert not set(heard) & set(OFF_NOW)


@pytest.mark.req("F65")
@pytest.mark.parametrize(("device", "per_s"), [("generator", 100), ("room", 10_000), ("panel", 7)])
def test_a_flood_brings_so_many_frames_a_second_until_it_is_taken_back(
    made: SimWorld, device: str, per_s: int
) -> None:
    made.do("line", device=device, flood_per_s=per_s)
    made.after_ms(999.999)  # the first comes at once, so the next after 1 s
    assert said(made, device) == NOISE * per_s
    made.do("line", device=device, flood_per_s=0)
    made.after_ms(1_000)
    assert said(made, device) == b""


def test_a_flood_is_paced_to_the_microsecond(made: SimWorld) -> None:
    made.after_ms(5).do("line", device="room", flood_per_s=3)
    times_us = []
    while made.t_us != 1_005 * MS:
        made.world.event(1_005 * MS)
        times_us += [made.t_us] * (len(made.room.read(made.t_us)) // len(NOISE))
    assert times_us == [5_000, 338_333, 671_666, 1_005_000]


@pytest.mark.req("F68")
def test_the_answer_that_holds_a_text_is_lost_once(made: SimWorld) -> None:
    made.do("lose answer", device="generator", text="OK")
    said_texts = [made.ask(text) for text in (b"STAT", b"WDTE", b"WDTE")]
    assert said_texts == [OFF_NOW, b"", b"\x02OK\r"]


@pytest.mark.parametrize("device", DEVICES)
def test_the_next_answer_is_lost_whatever_it_holds(made: SimWorld, device: str) -> None:
    made.do("lose answer", device=device)
    assert answered_after_ms(made, device, 100) is None
    assert answered_after_ms(made, device, 10) == HEALTHY_MS[device]


@pytest.mark.parametrize("device", DEVICES)
def test_garbage_comes_at_once_and_is_the_same_for_a_seed(made: SimWorld, device: str) -> None:
    found = []
    for seed in (1, 1, 2):
        made.do("garbage", device=device, count=40, seed=seed)
        made.after_ms(0)
        found.append(said(made, device))
    assert [len(one) for one in found] == [40, 40, 40]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("fault", [{"silent": True}, {"mute": True}])
def test_a_line_that_is_dead_carries_no_noise(made: SimWorld, fault: dict[str, bool]) -> None:
    made.do("line", device="room", flood_per_s=100, **fault)
    made.do("garbage", device="room")
    made.after_ms(1_000)
    assert said(made, "room") == b""


@pytest.mark.req("F59")
def test_a_module_that_refuses_answers_each_request_with_its_exception(made: SimWorld) -> None:
    close_prep = bytes.fromhex("000200000006 01 05 0005 ff00")
    made.do("room", exception_code=4)
    for request, reply in (
        (READ_INPUTS, "000100000003 01 82 04"),
        (bytes.fromhex("000300000006 01 01 0000 0008"), "000300000003 01 81 04"),
        (close_prep, "000200000003 01 85 04"),
        (bytes.fromhex("000400000006 01 05 0203 0002"), "000400000003 01 85 04"),  # flash on
    ):
        made.room.write(made.t_us, request)
        made.after_ms(2)
        assert made.room.read(made.t_us) == bytes.fromhex(reply)
    assert not any(made.world.room.lit().values())
    made.do("heal", what="room")
    made.room.write(made.t_us, close_prep)
    made.after_ms(2)
    assert made.room.read(made.t_us) == close_prep


# --- power


@pytest.mark.req("F70")
@pytest.mark.parametrize("device", DEVICES)
def test_a_device_without_power_is_silent_until_it_has_it_again(
    made: SimWorld, device: str
) -> None:
    made.do("power off", device=device)
    assert answered_after_ms(made, device, 100) is None
    made.do("power on", device=device)
    assert answered_after_ms(made, device, 10) == HEALTHY_MS[device]


@pytest.mark.parametrize(
    ("device", "dark_ms"), [("generator", 2_000), ("room", 1_500), ("panel", 1_000)]
)
def test_a_reboot_takes_as_long_as_such_a_device_needs(
    made: SimWorld, device: str, dark_ms: int
) -> None:
    made.do("reboot", device=device)
    target = devices(made.world)[device]
    made.after_ms(dark_ms - 0.001)
    assert not target.powered
    made.after_ms(0.001)
    assert target.powered


@pytest.mark.req("F70", "SR-28")
def test_a_room_that_browns_out_drops_its_coils_and_keeps_them_open(made: SimWorld) -> None:
    room = made.world.room
    room.set_coil(0, 1, True)
    room.set_coil(0, 4, True)
    room.pulse_coil(0, 3, 60_000_000)
    made.world.poke()
    made.after_ms(50).do("reboot", device="room", dark_ms=100)
    assert not any(room.lit().values())
    made.after_ms(100)
    assert not any(room.lit().values())
    assert made.moves("enable") == [(8_000, True), (55_000, False)]
    assert made.moves("contactor") == [(20_000, True), (65_000, False)]


# --- what can't be


@pytest.mark.parametrize(
    ("verb", "args", "told"),
    [
        ("line", {"device": "dor", "deaf": True}, "no device 'dor'; there are generator, room, pa"),
        ("line", {"device": "room", "wrong_baud": True}, "wrong_baud needs a serial line"),
        ("line", {"device": "room", "delay_ms": -1.0}, "delay_ms = -1.0: must be 0 to 60000"),
        (
            "line",
            {"device": "room", "flood_per_s": 1.5},
            "flood_per_s = 1.5: must be a whole number",
        ),
        ("lose answer", {"device": "dor"}, "no device 'dor'"),
        ("lose answer", {"device": "room", "text": 5}, "text = 5: must be a text of ASCII"),
        ("lose answer", {"device": "room", "text": "é"}, "text = 'é': must be a text of ASCII"),
        ("garbage", {"device": "dor"}, "no device 'dor'"),
        ("garbage", {"device": "room", "count": 0}, "count = 0: must be 1 to 4096"),
        ("garbage", {"device": "room", "count": "x"}, "count = 'x': must be a whole number"),
        ("garbage", {"device": "room", "seed": -1}, "seed = -1: must be 0 to "),
        ("false command", {"text": ""}, "text = '': must be 1 to 26 letters"),
        ("false command", {"text": "A" * 27}, "text = 'A+': must be 1 to 26 letters"),
        ("false command", {"text": None}, "text = None: must be a text of ASCII"),
        ("power off", {"device": "lamp"}, "no device 'lamp'; there are generator, room, panel"),
        ("power on", {"device": "lamp"}, "no device 'lamp'"),
        ("reboot", {"device": "lamp"}, "no device 'lamp'"),
        ("reboot", {"device": "room", "dark_ms": "x"}, "dark_ms = 'x': must be a number"),
        ("reboot", {"device": "room", "dark_ms": -1}, "dark_ms = -1: must be 0 to 600000"),
    ],
)
def test_a_line_or_a_value_that_can_not_be_is_refused_and_changes_nothing(
    made: SimWorld, verb: str, args: dict[str, object], told: str
) -> None:
    with pytest.raises(ScriptError, match=f"^{told}"):
        made.do(verb, **args)
    assert answered_after_ms(made, "room", 10) == HEALTHY_MS["room"]
