"""`dxrig talk`: only queries and set-points leave, whichever way they are written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from firmware_py.config import UnitConfig
from hal.generators.vj_ixs_wire import COMMANDS, frame
from hal.ports import Direction, Kind
from hal.room_io.mapped import Coil
from rig.bench import load_bench
from rig.cli import main
from rig.exit_codes import Refused, UsageError
from rig.service.hearing import listener_of
from rig.service.phrases import bytes_of
from rig.service.play import Played
from rig.service.port import form_of
from rig.service.talk import allowed
from rig.service.tape import Passage
from tests.test_tap import FROM, IS_ON, MON, MONITOR, STAT, TALK, TO, written

UNIT = load_bench("portable").unit
R2CP = UNIT.model_copy(
    update={"generator": UNIT.generator.model_copy(update={"driver": "r2cp"})}
)  # fmt: skip


def judged(data: bytes, link: str = "generator", unit: object = UNIT) -> Kind:
    listener = listener_of(unit, link)  # type: ignore[arg-type]
    assert listener is not None
    return allowed(listener, data).kind


def dxrig(*words: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="dxrig", input=typed)


# --- what may leave

QUERIES = {
    "PTST", "PSTAT", "STAT", "MON", "MOD", "FLT", "FLD", "WSTAT", "WDTE", "MNUM", "SNUM", "FREV",
    "XTM", "BUZZENBLSTAT", "CDENSTAT",
}  # fmt: skip
SETTINGS = {"VP0800", "CP02000", "OT00500", "PTM05"}


@pytest.mark.req("SR-12")
def test_of_the_ixs_table_only_queries_and_four_set_points_may_leave() -> None:
    """protocols.md 2.3: every command with each of its shortest and longest arguments."""
    may = set()
    for command in COMMANDS.values():
        counts = {0, 1, command.maximum} if command.digits else {None}
        for count in counts:
            text = command.name + ("" if count is None else f"{count:0{command.digits}d}")
            try:
                judged(frame(text))
            except Refused:
                continue
            may.add(command.name)
    assert may == QUERIES | {text.rstrip("0123456789") for text in SETTINGS}


@pytest.mark.parametrize("text", sorted(SETTINGS))
def test_a_set_point_is_known_as_one(text: str) -> None:
    assert judged(frame(text)) is Kind.SET


@pytest.mark.req("SR-12")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ENBL1", "it starts a beam or readies one"), ("ENBL0", "a unit ends beams"),
        ("CLR", "neither a query nor a set-point"), ("WDOG00", "neither a query nor a set-point"),
        ("WDOG30", "neither a query nor a set-point"), ("OT00000", "exposure time 0: continuous"),
        ("BUZZENBL0", "buzzer off"), ("CDEN0", "temperature cut-off off"), ("LRAD1", "leakage"),
        ("NOPE", "the command table does not have it"),
    ],
)  # fmt: skip
def test_what_may_not_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        judged(frame(text))
    assert why in str(refused.value)


@pytest.mark.req("SR-12")
@pytest.mark.parametrize(
    "data",
    [
        MON + frame("ENBL1"),
        frame("ENBL1") + MON,
        b"\x02" + frame("ENBL1"),
        b"ENBL1\r" + MON,
        MON + frame("ENBL1")[:-1],  # a next command's first byte could end it
        MON[:-1],
        b"\x00",
    ],
)
def test_nothing_hides_beside_a_harmless_command(data: bytes) -> None:
    with pytest.raises(Refused):
        judged(data)


@pytest.mark.req("SR-12")
def test_of_the_modules_coils_none_may_be_written_by_any_function() -> None:
    writes = [f"00 01 00 00 00 06 01 05 00 {coil:02x} ff 00" for coil in range(8)]
    writes += [f"00 01 00 00 00 06 01 05 00 {coil:02x} 00 00" for coil in range(8)]
    writes += [f"00 01 00 00 00 06 01 05 02 {coil:02x} 00 07" for coil in Coil]
    writes += ["00 01 00 00 00 06 01 05 00 ff ff 00", "00 01 00 00 00 08 01 0f 00 00 00 08 01 ff",
               "00 01 00 00 00 06 01 06 10 00 00 01"]  # fmt: skip
    for text in writes:
        with pytest.raises(Refused):
            judged(bytes.fromhex(text), "room")
    assert judged(bytes.fromhex("00 01 00 00 00 06 01 02 00 00 00 08"), "room") is Kind.QUERY


@pytest.mark.req("SR-12")
@pytest.mark.parametrize(
    ("text", "ok"),
    [  # protocols.md 4.8
        ("01 06 11 20 93 02 00 00", True),  # status
        ("04 06 11 20 0c 02 00 01 01", True),  # databank 1?
        ("02 06 11 20 8e 01 00 01 01", False),  # start
        ("02 06 11 20 8e 01 00 01 00", False),  # stop
        ("08 06 11 e0 02 01 00 06 01 01 01 00 00 00", False),  # activate procedure 1
        ("0c 06 11 80 01 01 00 0a 11 00 07 a1 6a 00 01 02 00 00", False),  # RX disable off
        ("0e 06 11 80 01 01 00 0a 06 00 02 24 71 00 01 02 00 00", False),  # clear a message
        ("10 01 11 f0 1e 01 00 02 11 00", False),  # token
    ],
)
def test_of_r2cp_queries_may_leave_and_what_readies_a_beam_may_not(text: str, ok: bool) -> None:
    data = bytes.fromhex(text)
    if ok:
        assert judged(data, unit=R2CP) is Kind.QUERY
    else:
        with pytest.raises(Refused):
            judged(data, unit=R2CP)


# --- how it is written


@pytest.mark.parametrize(
    ("link", "text", "data"),
    [
        ("generator", "MON", "02 4d 4f 4e 0d"),
        ("generator", "mon", "02 4d 4f 4e 0d"),
        ("generator", "VP0800", "02 56 50 30 38 30 30 0d"),
        ("generator", "VP 80", "02 56 50 30 38 30 30 0d"),
        ("generator", "CP 0.2", "02 43 50 30 32 30 30 30 0d"),
        ("generator", "hex 02 4d 4f 4e 0d", "02 4d 4f 4e 0d"),
        ("room", "inputs", "00 01 00 00 00 06 01 02 00 00 00 08"),
        ("room", "read coils", "00 01 00 00 00 06 01 01 00 00 00 08"),
    ],
)
def test_words_become_the_bytes_of_the_documents(link: str, text: str, data: str) -> None:
    assert bytes_of(UNIT, link, text) == bytes.fromhex(data)


def test_an_r2cp_entry_is_asked_by_its_name_and_number() -> None:
    assert bytes_of(R2CP, "generator", "status") == bytes.fromhex("01 06 11 20 93 02 00 00")
    assert bytes_of(R2CP, "generator", "get databank 1") == bytes.fromhex(
        "01 06 11 20 0c 02 00 01 01"
    )
    assert bytes_of(R2CP, "generator", "node 6") == bytes.fromhex("01 01 11 a0 02 02 00 01 06")


MOBILE, INDUSTRIAL = load_bench("mobile").unit, load_bench("industrial").unit
# protocols.md 4.8 [C]: databank 1, 2-point, 80.0 kV, 5.000 mAs, 250 mA; then ms, window, focus
LOADED = bytes.fromhex("06 11 20 0c 01 00 1b 01 04 02 03 20 00 13 88 00 61 a8")


@pytest.mark.parametrize(("focus", "byte"), [("small", 0), ("large", 1)])
def test_an_r2cp_technique_is_the_databank_of_the_document(focus: str, byte: int) -> None:
    data = bytes_of(MOBILE, "generator", f"technique kv=80 ma=250 mas=5 focus={focus}")
    assert data[1:19] == LOADED
    assert data[26] == byte  # 8 of header and byte 18 of the databank
    assert judged(data, unit=R2CP) is Kind.SET


@pytest.mark.parametrize("word", ["technique", "focus"])
def test_an_r2cp_technique_is_read_by_asking_for_databank_1(word: str) -> None:
    assert bytes_of(MOBILE, "generator", word) == bytes.fromhex("01 06 11 20 0c 02 00 01 01")


@pytest.mark.req("SR-12")
@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("preparation", "it starts a beam or readies one"),
        ("prepare", "it starts a beam or readies one"),
        ("activate", "it starts a beam or readies one"),
        ("exposure", "it starts a beam or readies one"),
        ("start", "it starts a beam or readies one"),
        ("stop", "a unit ends beams"),
    ],
)
def test_an_enabling_word_of_r2cp_is_refused_by_name(word: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        judged(bytes_of(MOBILE, "generator", word), unit=R2CP)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("technique kv=134 ma=100 mas=1", "kv = 134: this bench's tube takes 40 to 133"),
        ("technique kv=80 ma=401 mas=1", "ma = 401: this bench's tube takes 5 to 400"),
        ("technique kv=nan ma=100 mas=1", "kv = nan: this bench's tube takes 40 to 133"),
        ("technique kv=80 ma=100", "needs kv, ma, and mas or ms"),
        ("technique kv=80 ma=100 mas=1 ms=10", "needs kv, ma, and mas or ms"),
        ("technique kvp=80 ma=100 mas=1", "did you mean kv?"),
        ("technique kv=80 kv=81 mas=1", "kv is given twice"),
        ("technique kv=x ma=100 mas=1", "kv = 'x' is no number"),
        ("technique kv=80 ma=100 mas=1 focus=tiny", "must be small or large"),
        ("focus small", "technique kv=80 ma=100 mas=2.5 focus=small"),
        ("tecnique", "did you mean technique?"),
    ],
)
def test_a_wrong_technique_is_told_with_what_is_right(text: str, why: str) -> None:
    with pytest.raises(UsageError) as wrong:
        bytes_of(MOBILE, "generator", text)
    assert why in str(wrong.value)


@pytest.mark.parametrize(
    ("text", "data"),
    [  # protocols.md 3.12 [C] has 28's frame; the others by the checksum rule of 3.3
        ("scaling", "02 32 38 2c 6a 03"),
        ("28", "02 32 38 2c 6a 03"),
        ("SCALING", "02 32 38 2c 6a 03"),
    ],
)
def test_a_spellman_is_asked_by_name_or_number(text: str, data: str) -> None:
    assert bytes_of(INDUSTRIAL, "generator", text) == bytes.fromhex(data)


@pytest.mark.req("SR-12")
def test_of_a_spellman_only_queries_and_kv_and_ma_may_leave() -> None:
    from hal.generators.spellman_tables import XRV

    may = set()
    for row in XRV.opcodes:
        words = " ".join([row.name, *("1" for _ in row.sends)])
        try:
            judged(bytes_of(INDUSTRIAL, "generator", words), unit=INDUSTRIAL)
        except Refused:
            continue
        may.add(row.name)
    asks = {row.name for row in XRV.opcodes if row.does.name == "ASK"}
    assert may == asks | {"set_kv", "set_ma"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("set_kv 200", "kv must be 0-160 kV"),
        ("set_kv", "takes 1 values"),
        ("statsu", "did you mean status?"),
        ("99", "a XRV has no '99'"),
        ("set_kv nan", "cannot convert"),
    ],
)
def test_a_wrong_spellman_word_is_usage(text: str, why: str) -> None:
    with pytest.raises(UsageError) as wrong:
        bytes_of(INDUSTRIAL, "generator", text)
    assert why in str(wrong.value)


@pytest.mark.parametrize(
    ("link", "text", "why"),
    [
        ("generator", "MONX", "did you mean MON?"),
        ("generator", "VP 900", "VP must be 0-120 kV"),
        ("generator", "VP eighty", "could not convert"),
        ("generator", "hex zz", "hex zz"),
        ("generator", "hex", "no bytes"),
        ("room", "contactor", "write inputs or coils"),
    ],
)
def test_what_is_no_command_is_usage(link: str, text: str, why: str) -> None:
    with pytest.raises(UsageError) as wrong:
        bytes_of(UNIT, link, text)
    assert why in str(wrong.value)


def bench_of(driver: str) -> UnitConfig:
    generator = UNIT.generator.model_copy(update={"driver": driver})
    return UNIT.model_copy(update={"generator": generator})


@pytest.mark.parametrize(
    ("driver", "text", "data", "may"),
    [
        ("faxitron", "?S", "3f 53 0d", True),
        ("isodebyeflex", "ID", "49 44 0a", True),
        ("yolong_portable", "DEN?", "0a 44 45 4e 3f 0d", True),
        ("yolong_portable", "XRII", "0a 58 52 49 49 0d", False),  # expose
        ("technix", "d1", "64 31 0d", False),  # a set-point without its value
    ],
)
def test_a_codec_only_device_is_spoken_to_in_its_own_lines(
    driver: str, text: str, data: str, may: bool
) -> None:
    unit = bench_of(driver)
    assert bytes_of(unit, "generator", text) == bytes.fromhex(data)
    if may:
        assert judged(bytes.fromhex(data), unit=unit) is Kind.QUERY
    else:
        with pytest.raises(Refused):
            judged(bytes.fromhex(data), unit=unit)


@pytest.mark.parametrize(
    ("driver", "line"),
    [("vj_ixs", "8N1"), ("yolong_portable", "8E1"), ("odel", "8N2"), ("isovolt", "8N1")],
)  # protocols.md: 2.1, 5, 6; that of the last is not known
def test_a_port_is_opened_in_the_form_that_the_driver_states(driver: str, line: str) -> None:
    assert form_of(bench_of(driver), "generator") == (9600, line)
    assert form_of(bench_of(driver), "room") == (9600, "8N1")


def test_the_bench_file_knows_its_line_better_than_the_driver() -> None:
    unit = bench_of("yolong_portable")
    own = unit.generator.model_copy(update={"line": "7O2"})
    assert form_of(unit.model_copy(update={"generator": own}), "generator") == (9600, "7O2")


# --- a device played from a tap


@pytest.fixture
def tap(tmp_path: Path) -> Path:
    twice = (*TALK, (50_000, TO, STAT), (53_000, FROM, bytes.fromhex("02300d")))
    return written(tmp_path / "one.tap", twice)


def test_a_recorded_device_answers_as_it_did_and_after_as_long(tap: Path) -> None:
    done = dxrig("talk", "generator", "MON", "--play", tap, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["heard"][0]["raw"] == MONITOR.hex(" ")
    assert found["heard"][0]["text"].startswith("monitor: 79.9 kV, 0.2000 mA")
    assert found["took_ms"] >= 3.5  # as recorded; how much later is the computer's


def test_what_was_never_asked_is_not_answered(tap: Path) -> None:
    done = dxrig("talk", "generator", "SNUM", "--play", tap, "--wait-s", "0.02")
    assert done.exit_code == 3
    assert done.stderr.startswith("dxrig: generator: no reply to serial number?; ")


def test_a_beam_is_refused_even_of_a_recording(tap: Path) -> None:
    done = dxrig("talk", "generator", "ENBL1", "--play", tap)
    assert done.exit_code == 4
    assert done.stderr == (
        "dxrig: 02 45 4e 42 4c 31 0d (start): refused, it starts a beam or readies one: only the "
        "handswitch of a unit does\n"
    )


def test_a_script_of_commands_ends_at_the_first_that_is_refused(tap: Path) -> None:
    done = dxrig("talk", "generator", "--play", tap, typed="STAT\n# a remark\n\nENBL1\nSTAT\n")
    assert done.exit_code == 4
    assert done.stdout.count("query: X-ray on?") == 1


def test_repeated_questions_get_their_replies_in_their_order() -> None:
    off = bytes.fromhex("02300d")
    given = ((0, TO, STAT), (3, FROM, IS_ON), (9, TO, STAT), (12, FROM, off))
    device = Played(
        [Passage(t_us=t, link="generator", direction=way, data=d) for t, way, d in given],
        "generator", numbered=False,
    )  # fmt: skip
    for wanted in (IS_ON, off, off):
        device.write(100, STAT)
        assert device.read(102) == b""
        assert device.read(103) == wanted


def test_a_modbus_reply_gets_the_number_of_the_new_question() -> None:
    asked = bytes.fromhex("00 77 00 00 00 06 01 02 00 00 00 08")
    reply = bytes.fromhex("00 77 00 00 00 04 01 02 01 3c")
    told = [
        Passage(t_us=0, link="room", direction=Direction.TO_DEVICE, data=asked),
        Passage(t_us=5, link="room", direction=Direction.FROM_DEVICE, data=reply),
    ]
    device = Played(told, "room", numbered=True)
    device.write(0, b"\x00\x01" + asked[2:])
    assert device.read(5) == b"\x00\x01" + reply[2:]


def test_json_needs_a_command() -> None:
    assert dxrig("talk", "generator", "--json").exit_code == 2
