"""Maps of room modules: every mistake of a file at once, and what the driver makes of a map."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from hal.now import Now
from hal.ports import Direction, Kind
from hal.room_io import open_listener, open_room_desk
from hal.room_io.mapped import Coil, closed_of
from hal.room_io.mapped_desk import Desk
from hal.room_io.mapped_heard import _Words
from hal.room_io.mapped_table import (
    COILS,
    DEFAULTS,
    NEEDED_COILS,
    MapError,
    map_name,
    module_map,
    parsed,
    shipped_maps,
)
from hal.types import CONTACTS, Outputs
from tests.test_waveshare import ARMED, OFF, PREP, Bench, Room

SHIPPED = {name: (Path("hal/room_io/maps") / f"{name}.toml") for name in shipped_maps()}
ROOMS = ["adam-6050", "iologik-e1213", "waveshare-8"]
FAMILY = {"adam-6050": "adam", "iologik-e1213": "iologik", "waveshare-8": "waveshare"}
GOOD = """\
[module]
name = "A module"
source = "its manual"
verified = "no"
wires = ["tcp", "rtu"]
device_id = 3

[inputs]
function = 4
address = 48
count = 8
contacts = ["stage_1", "stage_2", "door", "estop", "chain", "key", "reset", "lamp_current"]
inverted = ["estop", "key"]
source = "p. 1"

[outputs]
address = 16
count = 6
coils = ["contactor", "enable", "ready_lamp", "beam_lamp", "buzzer"]
source = "p. 2"

[pulse]
address = 0x80
value = "time"
unit_ms = 10
longest_count = 6000
source = "p. 3"

[watchdog]
least_ms = 100
longest_ms = 2000
source = "p. 4"
"""


def mistakes(text: str) -> tuple[str, ...]:
    with pytest.raises(MapError) as told:
        parsed(text, "mine.toml")
    return told.value.mistakes


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


# --- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHIPPED)
def test_a_map_that_ships_is_sound_and_every_row_names_its_source(name: str) -> None:
    module = module_map(name)
    rows = (module, module.inputs, module.outputs, module.pulse, module.watchdog)
    assert all(row.source for row in rows if row is not None)
    assert module.verified


def test_which_of_them_carry_a_room() -> None:
    assert [name for name in SHIPPED if not module_map(name).missing()] == ROOMS
    assert module_map("adam-6060").missing() == ("reset", "lamp_current")


def test_the_coils_have_the_places_of_the_design() -> None:
    assert [COILS.index(coil.name.lower()) for coil in Coil] == [*range(7)]
    assert set(NEEDED_COILS) < set(COILS)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("function = 4", "function = 5", "9: inputs.function: 5 is not allowed; there are: 1, 2,"),
        ("count = 8", "count = 65", "11: inputs.count: 65 is outside 1 to 64"),
        ("count = 8", 'count = "8"', "11: inputs.count: expected a whole number, got '8'"),
        ("count = 8", "count = true", "11: inputs.count: expected a whole number, got True"),
        ("count = 8", "cuont = 8", "8: inputs.count: is missing"),
        ("count = 8", "count = 7", "12: inputs.contacts: 8 names for 7 channels"),
        ('"stage_1",', '"stage1",', "12: inputs.contacts: 'stage1' is not allowed; did you mean"),
        ('"stage_1",', '"door",', "12: inputs.contacts: 'door' stands there twice"),
        ('["estop", "key"]', '"estop"', "13: inputs.inverted: expected a list in [brackets]"),
        ('"lamp_current"]\ninverted = ["estop"', ']\ninverted = ["lamp_current"',
         "13: inputs.inverted: 'lamp_current' is none of the contacts"),
        ("function = 4\naddress = 48", "function = 1\naddress = 12",
         "10: inputs.address: inputs and outputs are both coils, and these are 16 to 21"),
        ("address = 16", "address = 65533", "18: outputs.count: ends beyond address 65535"),
        ("address = 16", "address = -1", "17: outputs.address: -1 is outside 0 to 65535"),
        ('"contactor", ', '"motor", ', "19: outputs.coils: 'motor' is not allowed; there are:"),
        ('value = "time"', 'value = "tiem"', "24: pulse.value: 'tiem' is not allowed"),
        ("unit_ms = 10\n", "", "22: pulse.unit_ms: is missing: value = \"time\" needs it"),
        ('value = "time"', 'value = "start"', "25: pulse.unit_ms: goes with value = \"time\""),
        ("least_ms = 100", "least_ms = 3000", "31: watchdog.longest_ms: is below least_ms"),
        ('name = "A module"', 'name = ""', "2: module.name: must not be empty"),
        ('name = "A module"', "name = 3", '2: module.name: expected a text in "quotes", got 3'),
        ('"tcp", "rtu"', '"tpc"', "5: module.wires: 'tpc' is not allowed; did you mean 'tcp'?"),
        ("device_id = 3", "device_id = 0", "6: module.device_id: 0 is outside 1 to 247"),
        ("[watchdog]", "[wachdog]", "29: wachdog: unknown section; did you mean 'watchdog'?"),
        ("[module]", "[modul]", "1: module: the section [module] is missing"),
        ("[outputs]", "[[outputs]]", "16: outputs: expected a section [outputs]"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_line_key_and_what_would_do(old: str, new: str, told: str) -> None:
    assert any(text.startswith(f"mine.toml:{told}") for text in mistakes(changed(old, new)))


def test_all_mistakes_are_told_at_once() -> None:
    text = changed("count = 8", "count = 99").replace("unit_ms", "unit") + "[watchdogs]\na = 1\n"
    told = mistakes(text.replace("device_id = 3\n", ""))
    assert [re.sub(r"mine.toml:\d+: ", "", one) for one in told] == [
        "module.device_id: is missing",
        "inputs.count: 99 is outside 1 to 64",
        "pulse.unit: unknown key; did you mean 'unit_ms'?",
        "watchdogs: unknown section; did you mean 'watchdog'?",
    ]


def test_what_is_no_toml_and_what_is_no_file_is_told(tmp_path: Path) -> None:
    assert mistakes("[module\n")[0].startswith("mine.toml: not valid TOML: ")
    with pytest.raises(MapError, match=r"can't be read: no such file"):
        module_map(str(tmp_path / "none.toml"))
    (tmp_path / "latin.toml").write_bytes(b"# \xff\n")
    with pytest.raises(MapError, match="not UTF-8"):
        module_map(str(tmp_path / "latin.toml"))
    with pytest.raises(MapError, match=r"no map 'adam-6051'.*did you mean 'adam-60"):
        module_map("adam-6051")


def test_a_family_knows_its_usual_type_and_a_lone_map_must_be_named() -> None:
    assert {name: map_name(name, None) for name in ("adam", "iologik", "waveshare")} == {
        family: name for name, family in FAMILY.items()
    }
    assert set(DEFAULTS.values()) - {""} == set(ROOMS)
    assert map_name("mapped", "x.toml") == "x.toml"
    with pytest.raises(MapError, match='driver = "mapped" is told by its map'):
        map_name("mapped", None)


# --- the driver on a map -------------------------------------------------------------------------


def of_map(name: str, **more: int) -> Bench:
    bench = Bench(module=FAMILY[name], room_map=name, **more)  # type: ignore[arg-type]
    bench.run(OFF, 500)
    return bench


def coil(bench: Bench, name: Coil) -> bool:
    return bench.room.coils(bench.t_us)[name]


@pytest.mark.parametrize("name", ROOMS)
def test_every_contact_and_every_coil_finds_its_place(name: str) -> None:
    bench = of_map(name)
    for index, contact in enumerate(CONTACTS):
        bench.room.contacts = [i == index for i in range(8)]
        bench.run(OFF, 50)
        assert [n for n in CONTACTS if getattr(bench.driver.sample, n)] == [contact]
    bench.run(Outputs(contactor=True, beam_lamp=True, enable=True), 100)
    closed = [each for each in Coil if coil(bench, each)]
    assert closed == [Coil.BEAM_LAMP, Coil.ENABLE, Coil.CONTACTOR]
    bench.run(Outputs(ready_lamp=True, buzzer=True), 100)
    assert [each for each in Coil if coil(bench, each)] == [Coil.READY_LAMP, Coil.BUZZER]


@pytest.mark.parametrize("name", ROOMS)
def test_off_leaves_in_the_scan_of_the_order_and_is_sent_until_it_is_answered(name: str) -> None:
    bench = of_map(name)
    bench.run(ARMED, 200)
    bench.line.lost = lambda pdu: pdu.startswith("05") and pdu.endswith("00 00")
    bench.scan(OFF)
    first = len(bench.sent_now())
    assert first == 2  # enable and contactor
    assert coil(bench, Coil.CONTACTOR)
    bench.line.lost = lambda pdu: False
    bench.run(OFF, 300)
    assert not any(coil(bench, each) for each in Coil)


def test_a_started_pulse_is_held_by_starting_it_again_and_ends_without_us() -> None:
    bench = of_map("iologik-e1213")
    bench.run(ARMED, 1000)
    starts = [t_us for t_us, pdu in bench.line.sent if pdu == "05 00 13 ff 00"]
    assert {b - a for a, b in pairwise(starts)} <= {100_000, 105_000}
    assert coil(bench, Coil.ENABLE)
    bench.line.lost = lambda pdu: True  # the unit is gone
    bench.run(ARMED, 205)
    assert not coil(bench, Coil.ENABLE)


def test_a_started_pulse_is_ended_where_it_was_started() -> None:
    bench = of_map("iologik-e1213")
    bench.run(ARMED, 200)
    bench.scan(PREP)
    assert bench.sent_now()[0] == "05 00 13 00 00"
    bench.scan(PREP)
    assert not coil(bench, Coil.ENABLE)


def test_a_module_without_a_pulse_holds_the_relay_by_a_plain_coil() -> None:
    bench = of_map("adam-6050")
    assert bench.driver.capabilities.pulse_us is None
    start = len(bench.line.sent)
    bench.run(ARMED, 1000)
    closes = [pdu for _, pdu in bench.line.sent[start:] if pdu == "05 00 13 ff 00"]
    assert (len(closes), coil(bench, Coil.ENABLE)) == (1, True)
    bench.line.lost = lambda pdu: True  # the unit is gone, and nothing happens
    bench.run(ARMED, 2000)
    assert coil(bench, Coil.ENABLE)


def test_without_a_pulse_the_driver_drops_what_shall_lapse() -> None:
    bench = of_map("adam-6050")
    bench.run(Outputs(enable=True), 100)
    bench.scan(Outputs(enable_lapse=True))
    assert "05 00 13 00 00" in bench.sent_now()


@pytest.mark.parametrize("watchdog_ms", [None, 1000])
def test_the_modules_own_watchdog_opens_its_outputs(watchdog_ms: int | None) -> None:
    bench = Bench(module="iologik", room_map="iologik-e1213", watchdog_ms=watchdog_ms)
    able = bench.driver.capabilities
    assert able.watchdog_us == (watchdog_ms and watchdog_ms * 1000)
    assert able.lapse_us == 200_000
    bench.run(PREP, 500)
    bench.line.lost = lambda pdu: True
    bench.run(PREP, 900)
    assert coil(bench, Coil.CONTACTOR)
    bench.run(PREP, 200)
    assert coil(bench, Coil.CONTACTOR) is (watchdog_ms is None)


def test_a_map_with_words_and_inversion_is_driven_as_any_other() -> None:
    bench = Bench(module="mapped", room_map=GOOD)
    bench.run(OFF, 500)
    assert bench.driver.sample.link_ok
    for index, contact in enumerate(CONTACTS):
        bench.room.contacts = [i == index for i in range(8)]
        bench.run(OFF, 50)
        assert [n for n in CONTACTS if getattr(bench.driver.sample, n)] == [contact]
    bench.run(ARMED, 100)
    sent = {pdu for _, pdu in bench.line.sent}
    assert "04 00 30 00 01" in sent  # one word of inputs
    assert "05 00 81 00 14" in sent  # 200 ms are 20 x 10 ms, on channel 1
    assert [each for each in Coil if coil(bench, each)] == [Coil.ENABLE, Coil.CONTACTOR]


def test_inverted_contacts_read_open_when_their_wire_breaks() -> None:
    """1 on the wire is what an input without current shows there: a dry contact's module."""
    inputs = parsed(GOOD, "mine.toml").inputs
    assert closed_of(inputs, (0b0010_1000,)) == dict.fromkeys(CONTACTS, False)


# --- the desk on a map ---------------------------------------------------------------------------


def answer(desk: Desk, pdu: str) -> str:
    data = bytes.fromhex(pdu)
    head = b"\x00\x01\x00\x00\x00" + bytes((len(data) + 1, 3))
    desk.receive(Now(0), head + data)
    return desk.poll(Now(1_000_000))[7:].hex(" ")


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("04 00 30 00 01", "04 02 00 28"),
        ("04 00 30 00 02", "84 02"),
        ("04 00 2f 00 01", "84 02"),
        ("03 00 30 00 01", "83 02"),
        ("02 00 00 00 01", "82 02"),
        ("01 00 10 00 06", "01 01 00"),
        ("01 00 10 00 07", "81 02"),
        ("05 00 15 ff 00", "05 00 15 ff 00"),  # wired to nothing, and kept
        ("05 00 16 ff 00", "85 02"),
        ("05 00 10 00 01", "85 03"),
        ("05 00 85 00 05", "05 00 85 00 05"),  # a pulse onto nothing
        ("05 00 81 17 71", "85 03"),  # 6001 x 10 ms
        ("05 00 86 00 01", "85 02"),
        ("06 00 10 00 01", "86 02"),
    ],
)
def test_the_simulated_module_has_what_its_map_has(asked: str, answered: str) -> None:
    room = Room()
    room.contacts = [False] * 8
    assert answer(Desk(room, GOOD), asked) == answered


def test_an_output_that_hangs_on_nothing_keeps_what_it_was_told() -> None:
    desk = Desk(Room(), GOOD)
    answer(desk, "05 00 15 ff 00")
    assert answer(desk, "01 00 15 00 01") == "01 01 01"


def test_a_pulse_coil_shows_what_runs() -> None:
    desk = open_room_desk("iologik", Room(), None, device_id=3)
    assert isinstance(desk, Desk)
    assert answer(desk, "01 00 10 00 08") == "01 01 00"
    answer(desk, "05 00 13 ff 00")
    assert answer(desk, "01 00 10 00 08") == "01 01 08"


def test_a_desk_without_a_map_is_none() -> None:
    with pytest.raises(MapError):
        open_room_desk("mapped", Room())


def test_a_module_whose_outputs_lack_the_enable_relay_closes_none() -> None:
    bench = Bench(module="mapped", room_map=changed('"enable", ', ""))
    bench.run(ARMED, 300)
    assert not coil(bench, Coil.ENABLE)
    assert coil(bench, Coil.CONTACTOR)


# --- what a tap shows ----------------------------------------------------------------------------


def heard(family: str, named: str | None, pdu: str) -> tuple[Kind, str]:
    data = bytes.fromhex(pdu)
    head = b"\x00\x01\x00\x00" + bytes((0, len(data) + 1, 1))
    (one,) = open_listener(family, named).feed(Direction.TO_DEVICE, 0, head + data)
    return one.kind, one.text


@pytest.mark.parametrize(
    ("family", "named", "pdu", "kind", "words"),
    [
        ("adam", None, "05 00 13 ff 00", Kind.BEAM, "enable closed"),
        ("adam", None, "05 00 13 00 00", Kind.STOP, "enable open"),
        ("adam", None, "05 00 10 ff 00", Kind.ACT, "ready_lamp closed"),
        ("adam", None, "0f 00 10 00 06 01 11", Kind.BEAM, "ready_lamp closed, beam_lamp open"),
        ("adam", None, "05 00 20 ff 00", Kind.UNKNOWN, "relay 16 closed"),
        ("adam", None, "05 00 10 12 34", Kind.UNKNOWN, "write 16: 1234"),
        ("iologik", None, "05 00 13 ff 00", Kind.BEAM, "enable pulse started"),
        ("iologik", None, "05 00 13 00 00", Kind.STOP, "enable pulse ended"),
        ("iologik", None, "05 00 10 ff 00", Kind.ACT, "ready_lamp pulse started"),
        ("iologik", None, "05 00 10 00 00", Kind.ACT, "ready_lamp pulse ended"),
        ("iologik", None, "05 00 13 00 02", Kind.UNKNOWN, "enable pulse: 0002"),
        ("waveshare", None, "05 02 03 00 02", Kind.BEAM, "enable closed for 200 ms"),
        ("waveshare", None, "05 00 ff 00 00", Kind.STOP, "all relays open"),
        ("waveshare", None, "05 00 07 ff 00", Kind.ACT, "relay 7 closed"),
        ("mapped", GOOD, "05 00 81 00 14", Kind.BEAM, "enable closed for 200 ms"),
        ("adam", None, "01 00 00 00 0c", Kind.QUERY, "stage_1"),
        ("adam", None, "01 00 10 00 06", Kind.QUERY, "ready_lamp"),
        ("iologik", None, "02 00 00 00 08", Kind.QUERY, "stage_1"),
    ],
)
def test_a_line_is_told_by_its_map(
    family: str, named: str | None, pdu: str, kind: Kind, words: str
) -> None:
    found, text = heard(family, named, pdu)
    assert found is kind
    assert words in text or found is Kind.QUERY


def test_names_are_those_of_the_map() -> None:
    words = _Words(module_map("adam-6050"))
    assert [words.name(1, address) for address in (0, 7, 8, 11, 12, 16, 20, 21, 22)] == [
        "stage_1", "lamp_current", "", "", "", "ready_lamp", "contactor", "relay 5", "",
    ]  # fmt: skip
    assert words.name(2, 0) == ""
    assert _Words(parsed(GOOD, "mine.toml")).name(4, 48) == ""  # a word of eight contacts
