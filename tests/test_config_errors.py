"""What people read when a bench file is wrong: file, line, key, what is wrong, what would do."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.bench import bench_of, load_bench
from rig.bench_names import BENCHES, shipped_benches
from rig.config_errors import shown
from rig.exit_codes import ConfigError, UsageError
from rig.toml_lines import key_lines, line_of

PORTABLE = (BENCHES / "portable.toml").read_text()
HERE = Path("mine.toml")


def messages(text: str) -> list[str]:
    with pytest.raises(ConfigError) as told:
        bench_of(text, HERE)
    return told.value.messages


def changed(*changes: tuple[str, str]) -> str:
    """The portable bench with lines replaced; each must be there, once."""
    text = PORTABLE
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def told_for(old: str, new: str) -> str:
    """The one message for one change, without file and line."""
    (message,) = messages(changed((old, new)))
    return message.split(": ", 1)[1]


# --- all at once -----------------------------------------------------------------------------


def test_six_mistakes_in_one_file_are_named_at_once() -> None:
    text = changed(
        ('driver = "vj_ixs"', 'driver = "vj_isx"'),
        ('dialect = "R3"', 'dialekt = "R3"'),
        ("enable_pulse_ms = 200", "enable_pulse_ms = 250"),
        ("pitch_mm = 0.8", 'pitch_mm = "0.8 mm"'),
        ("kv_max = 120.0", "kv_max = 300"),
        ("prep_ms = 10000", "prep_ms = true"),
    )
    assert messages(text) == [
        'mine.toml:11: generator.driver: no driver "vj_isx" in hal/generators; '
        "did you mean 'vj_ixs'?",
        "mine.toml:14: generator.dialekt: unknown key; did you mean 'dialect'?",
        "mine.toml:26: room.enable_pulse_ms: 250 is not one of 100, 200, 300",
        'mine.toml:35: panel.pitch_mm: expected a number, got the text "0.8 mm"; '
        "write pitch_mm = 0.8",
        "mine.toml:41: tube.kv_max: 300 is above the limit 200; allowed: 10 to 200",
        "mine.toml:115: limits.prep_ms: expected a whole number, got true; allowed: 500 to 15000",
    ]


def test_a_misspelt_key_is_not_told_again_as_missing() -> None:
    assert told_for("heat_max_j = 100000.0", "heat_max = 100000.0") == (
        "tube.heat_max: unknown key; did you mean 'heat_max_j'?"
    )


def test_what_fits_together_is_judged_beside_other_mistakes() -> None:
    text = changed(("kv_max = 120.0", "kv_max = 20"), ("baud = 9600", "baud = 9601"))
    assert messages(text) == [
        "mine.toml:13: generator.baud: 9601 is not one of "
        "1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200",
        "mine.toml:41: tube.kv_max: 20 must be above kv_min, which is 30",
    ]


def test_an_empty_file_names_every_section_that_it_needs() -> None:
    assert messages("") == [
        f"mine.toml:1: {name}: the section [{name}] is missing"
        for name in ("bench", "generator", "panel", "room", "site", "tube", "wiring")
    ]


# --- one by one ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kv_min = 30.0", "kv_min = 9.9", "9.9 is below the limit 10; allowed: 10 to 200"),
        ("kv_min = 30.0", "kv_min = nan", "nan is not a usable number"),
        ("kv_min = 30.0", "kv_min = -inf", "-inf is not a usable number"),
        ("kv_min = 30.0", "kv_min = true", "expected a number, got true; allowed: 10 to 200"),
        ("kv_min = 30.0", "kv_min = [30]", "expected a number, got a list; allowed: 10 to 200"),
        (
            "kv_min = 30.0",
            'kv_min = "30000 V"',
            'expected a number, got the text "30000 V"; '
            "write the plain number in the unit that the key names (kv_min)",
        ),
        (
            "kv_min = 30.0",
            'kv_min = "30 kV"',
            'expected a number, got the text "30 kV"; write kv_min = 30',
        ),
        (
            "kv_min = 30.0",
            "kv_min = 1979-05-27",
            "expected a number, got 1979-05-27; allowed: 10 to 200",
        ),
        ("ma_min = 0.2", "ma_min = 0", "0 is not allowed; allowed: above 0"),
        ("ma_max = 1.0", "ma_max = 2000",
         "2000 is above the limit 1500; allowed: above 0, at most 1500"),
        ("rows_px = 256", "rows_px = 256.5",
         "expected a whole number, got 256.5; allowed: 64 to 4608"),
        ("rows_px = 256", "#", "is missing (64 to 4608)"),
        ('filter_material = "ALUMINUM"', "filter_material = 13",
         'expected a text in "quotes", got 13'),
        ('panel_id = "SIM-PANEL-1"', 'panel_id = ""', "must not be empty"),
        (
            'panel_id = "SIM-PANEL-1"',
            'panel_id = "SIM-PANEL-NUMBER-1"',
            '"SIM-PANEL-NUMBER-1" is too long: at most 16 characters',
        ),
        ('dialect = "R3"', 'dialect = "r4"', "\"r4\" is not one of R3, R4; did you mean 'R4'?"),
        (
            'name = "portable"',
            'name = "../portable"',
            '"../portable" does not fit the pattern ^[a-z0-9][a-z0-9_-]{0,31}$',
        ),
    ],
)  # fmt: skip
def test_a_value_that_will_not_do_says_what_would(old: str, new: str, told: str) -> None:
    assert told_for(old, new).split(": ", 1)[1] == told


def test_an_unknown_section_names_the_nearest() -> None:
    assert told_for("[limits]", "[limts]") == "limts: unknown section; did you mean 'limits'?"


def test_an_unknown_key_that_is_near_to_none_lists_all() -> None:
    assert told_for("sid_mm = 1000.0", "colour = 1") == (
        "geometry.colour: unknown key; known: field_columns_mm, field_rows_mm, receptor, sid, "
        "sid_mm"
    )


def test_a_value_where_a_section_belongs_is_told() -> None:
    text = "tube = 3\n" + PORTABLE.partition("[tube]")[0] + PORTABLE.partition("[geometry]")[2]
    assert "mine.toml:1: tube: expected a section [tube], got 3" in messages(text)


def test_a_wrong_contact_is_told_with_its_place_in_the_list() -> None:
    text = changed(('["door", "estop", "stage_2",', '[\n  "door",\n  "estp", "estop", "stage_2",'))
    assert messages(text) == [
        'mine.toml:69: wiring.interlock_pair[1]: "estp" is not one of door, estop, stage_1, '
        "stage_2, key, enable, safety_relay; did you mean 'estop'?"
    ]


# --- what must fit together ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "window_ms = 5000",
            "window_ms = 4600",
            "panel.window_ms: 4600 is too short for tube.time_max_ms = 4500; "
            "allowed: at least 4700 (the time and 200 ms)",
        ),
        (
            "power_max_w = 120.0",
            "power_max_w = 5",
            "tube.power_max_w: 5 allows no exposure: kv_min x ma_min is 6 W",
        ),
        (
            "field_rows_mm = 200.0",
            "field_rows_mm = 205",
            "geometry.field_rows_mm: 205 is larger than the panel; allowed: at most 204.8",
        ),
        (
            'driver = "waveshare"',
            'driver = "adamm"',
            "room.driver: no driver \"adamm\" in hal/room_io; did you mean 'adam'?",
        ),
        (
            'rung = "model"\n\n[generator]\ndriver = "vj_ixs"\nurl = "sim" ',
            'rung = "model"\n\n[generator]\ndriver = "vj_ixs"\nurl = "ttyUSB0" ',
            'generator.url: "ttyUSB0" is no known address; write "sim" or such as "/dev/ttyUSB0"',
        ),
        (
            'data_url = "sim"',
            'data_url = "tcp://10.0.0.5:70000"',
            'panel.data_url: "tcp://10.0.0.5:70000" is no known address; '
            'write "sim" or such as "tcp://192.168.1.13:9002"',
        ),
        (
            '"stage_2", "enable", "safety_relay"]',
            '"enable", "safety_relay"]',
            'wiring.interlock_pair: "stage_2" is missing: it must open the generator\'s '
            "interlock by wire",
        ),
    ],
)
def test_fields_that_do_not_fit_each_other_are_told(old: str, new: str, told: str) -> None:
    assert told_for(old, new) == told


def test_a_real_bench_needs_real_addresses() -> None:
    assert messages(changed(('rung = "model"', 'rung = "bench"'))) == [
        'mine.toml:12: generator.url: "sim" is no device; rung = "bench" needs one, such as '
        '"/dev/ttyUSB0"',
        'mine.toml:22: room.url: "sim" is no device; rung = "bench" needs one, such as '
        '"tcp://192.168.1.12:502"',
        'mine.toml:30: panel.control_url: "sim" is no device; rung = "bench" needs one, such as '
        '"tcp://192.168.1.13:9001"',
        'mine.toml:31: panel.data_url: "sim" is no device; rung = "bench" needs one, such as '
        '"tcp://192.168.1.13:9002"',
    ]


# --- files that are no TOML ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[bench]\nname = \n", "mine.toml:2:8: not valid TOML: invalid value"),
        ("[bench]\nname 3\n", "mine.toml:2:6: not valid TOML: expected '=' after a key in a "
         "key/value pair"),
        ('[bench]\nname = "x', "mine.toml:2:10: not valid TOML: unterminated string"),
        ("[bench]\nname = 1\nname = 2\n",
         "mine.toml:3:9: not valid TOML: cannot overwrite a value"),
        ("x = " + "[" * 5000, "mine.toml:1: nested too deep"),
    ],
)  # fmt: skip
def test_a_syntax_error_says_line_and_column(text: str, told: str) -> None:
    assert messages(text) == [told]


def test_a_number_of_five_thousand_digits_is_no_traceback() -> None:
    (message,) = messages("x = " + "9" * 5000)
    assert message.startswith("mine.toml:1: not valid TOML: exceeds the limit (4300 digits)")


def test_windows_line_ends_change_neither_lines_nor_values(tmp_path: Path) -> None:
    file = tmp_path / "crlf.toml"
    file.write_bytes(PORTABLE.replace("\n", "\r\n").encode())
    assert load_bench(file).hash == load_bench("portable").hash


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'a = 1\nb = "\xff"\n', ":2: not UTF-8 text"),
        (b"#" * 300_000, ": 300000 bytes are too many for a bench file"),
    ],
)
def test_a_file_that_is_no_text_is_told(tmp_path: Path, content: bytes, told: str) -> None:
    file = tmp_path / "odd.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError) as error:
        load_bench(file)
    assert error.value.messages == [f"{file}{told}"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("nowhere.toml", "nowhere.toml: no such file"),
        ("/dev/", "/dev/: is a folder"),
        ("portabel", "no bench 'portabel'; did you mean 'portable'?"),
        ("zzz", f"no bench 'zzz'; benches that ship: {', '.join(shipped_benches())}"),
    ],
)
def test_a_bench_that_is_not_there_is_told(name: str, told: str) -> None:
    with pytest.raises(UsageError) as error:
        load_bench(name)
    assert str(error.value) == told


# --- lines -----------------------------------------------------------------------------------


def test_every_kind_of_key_is_found_on_its_line() -> None:
    text = '''
top = 1
"quoted key" = 'x'   # = "not a key"
[a.b]
c.d = """
e = 5
"""
list = [
  1,  # one
  { x = 1, y.z = [2] },
]
[[t]]
k = 1
[[t]]
k = 2
[t.u]
v = "a\\"b = c"
w = 3
'''
    tomllib.loads(text)
    assert key_lines(text) == {
        ("top",): 2,
        ("quoted key",): 3,
        ("a",): 4,
        ("a", "b"): 4,
        ("a", "b", "c"): 5,
        ("a", "b", "c", "d"): 5,
        ("a", "b", "list"): 8,
        ("a", "b", "list", 0): 9,
        ("a", "b", "list", 1): 10,
        ("a", "b", "list", 1, "x"): 10,
        ("a", "b", "list", 1, "y"): 10,
        ("a", "b", "list", 1, "y", "z"): 10,
        ("a", "b", "list", 1, "y", "z", 0): 10,
        ("t",): 12,
        ("t", 0): 12,
        ("t", 0, "k"): 13,
        ("t", 1): 14,
        ("t", 1, "k"): 15,
        ("t", 1, "u"): 16,
        ("t", 1, "u", "v"): 17,
        ("t", 1, "u", "w"): 18,
    }


def test_a_key_that_is_not_there_is_told_at_its_table() -> None:
    lines = key_lines("\n\n[a]\nb = 1\n")
    assert line_of(lines, ("a", "c")) == 3
    assert line_of(lines, ("z",)) == 1


# --- whatever is written ---------------------------------------------------------------------

values = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(["sim", "portable", "vj_ixs", "70 kV", "tcp://a:1", "R3"]),
    ),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)


def as_toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, str):
        escaped = "".join(
            f"\\U{ord(c):08x}" if not 0xD800 <= ord(c) <= 0xDFFF else "" for c in value
        )
        return f'"{escaped}"'
    return str(value).lower()


@given(st.data())
def test_no_value_in_any_place_gives_a_traceback(data: st.DataObject) -> None:
    lines = PORTABLE.splitlines()
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, len(lines) - 1))
        key, equals, _old = lines[index].partition(" = ")
        lines[index] = f"{key} = {as_toml(data.draw(values))}" if equals else lines[index]
    judged("\n".join(lines))


@given(st.data())
def test_no_damage_to_the_text_gives_a_traceback(data: st.DataObject) -> None:
    text = PORTABLE
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 30))
        insert = data.draw(st.text(alphabet="[]{}\"'=.,#\n\t 019ae\\-:_é", max_size=6))
        text = text[:at] + insert + text[at + length :]
    judged(text)


def test_a_line_break_in_a_wrong_name_does_not_break_the_message() -> None:
    assert told_for('driver = "vj_ixs"', 'driver = "vj\\nixs"') == (
        "generator.driver: no driver \"vj\\nixs\" in hal/generators; did you mean 'vj_ixs'?"
    )


def judged(text: str) -> None:
    """Either a bench, or messages that each say where and what."""
    try:
        bench_of(text, HERE)
        told = []
    except ConfigError as error:
        told = error.messages or ["nothing told"]
    for message in told:
        file, line, *_ = message.split(":")
        assert file == "mine.toml"
        assert 1 <= int(line) <= text.count("\n") + 1
        assert "\n" not in message


@given(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.lists(st.none())))
def test_a_wrong_value_is_shown_in_one_short_line(value: object) -> None:
    assert len(shown(value)) <= 63
    assert "\n" not in shown(value)


# --- more than one kind of bench ---------------------------------------------------------------

ROOM = (BENCHES / "room.toml").read_text()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('focus = "large"', 'focus = "tiny"', '"tiny" is not one of small, large'),
        ('focus = "large"', 'focus = "small"', ""),
        ("focal_spot_small_mm = 0.6", "", ""),
        ('receptor = "table"', 'receptor = "free"', ""),
        ("sid_mm = 1150.0", "sid_mm = 1800.0", "geometry.sid_mm: 1800 is outside 1000 to 1150"),
        (
            'receptor = "table"',
            'receptor = "wall"\n#',
            "",
        ),
        ("ma = 100.0", "ma = 500.0", "typical.ma: 500 is outside the tube's 5 to 400 mA"),
        ("kv = 80.0\nma = 100.0", "kv = 100.0\nma = 350.0",
         "typical.ma: 100 kV x 350 mA is above the tube's 32000 W"),
        ("mas = 2.5", "mas = 0.05", "typical.mas: 0.05 mAs take 0.5 ms at 100 mA, outside"),
        ("story_ma = 10.0", "story_ma = 1.0", "typical.story_ma: 1 is outside the tube's 5 to 400"),
    ],
)  # fmt: skip
def test_what_a_room_says_must_fit(old: str, new: str, told: str) -> None:
    text = ROOM.replace(old, new, 1)
    assert text != ROOM
    if not told:
        bench_of(text, HERE)
        return
    (message,) = messages(text)
    assert told in message


def test_a_small_focus_needs_its_size_and_its_power() -> None:
    text = ROOM.replace('focus = "large"', 'focus = "small"').replace("power_small_max_w", "#")
    assert [m.split(": ", 1)[1] for m in messages(text)] == [
        'generator.focus: "small" needs tube.power_small_max_w'
    ]


def test_the_small_focus_brings_its_own_limits() -> None:
    small = bench_of(ROOM.replace('focus = "large"', 'focus = "small"'), HERE)
    assert (small.unit.tube.focal_spot_mm, small.unit.tube.power_max_w) == (0.6, 14_000.0)
    assert small.unit.generator.options()["focus_index"] == 0


def test_a_generator_that_can_not_be_told_a_focal_spot_is_not_told_one() -> None:
    assert told_for('driver = "vj_ixs"', 'driver = "vj_ixs"\nfocus = "small"') == (
        "generator.focus: vj_ixs can't be told a focal spot; only r2cp can"
    )


@pytest.mark.parametrize("missing", ["grid_lines_per_cm", "grid_focus_mm"])
def test_a_grid_has_all_its_figures(missing: str) -> None:
    text = ROOM.replace(f"{missing} =", "#", 1)
    (message,) = messages(text)
    assert message.endswith(f"receptors.table.grid_ratio: a grid needs {missing} beside grid_ratio")


def test_a_bucky_that_the_file_does_not_have_is_told() -> None:
    text = ROOM.replace('receptor = "table"', 'receptor = "wall"').partition("[receptors.wall]")
    without = text[0] + text[2][text[2].index("[site]") :]
    (message,) = messages(without)
    assert message.endswith('geometry.receptor: "wall" needs the section [receptors.wall]')
