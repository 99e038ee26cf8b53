"""A bench file as the rest of the program sees it."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_py.bounds import tube_data
from firmware_py.config import UnitConfig
from firmware_py.decide.memory import Limits
from firmware_py.decide.technique import permitted
from hal.types import ShotKind, Technique
from rig import bench_names
from rig.bench import Contact, bench_of, bench_schema, bench_values, load_bench, starter
from rig.bench_names import bench_path
from rig.drivers import generator_of, nobody
from rig.exit_codes import UsageError
from rig.plan import Plan, plan, technique_for, technique_problems
from sim.wiring import NETS

PORTABLE = (bench_names.BENCHES / "portable.toml").read_text()
UNIT = load_bench("portable").unit


# --- loading ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", bench_names.shipped_benches())
def test_every_bench_that_ships_is_sound_and_has_its_file_s_name(name: str) -> None:
    assert load_bench(name).name == name


def test_the_unit_gets_its_part_and_the_bench_keeps_the_rest() -> None:
    bench = load_bench("portable")
    assert isinstance(bench.unit, UnitConfig)
    assert (bench.unit.name, bench.unit.rung) == ("portable", "model")
    assert bench.unit.generator.driver == "vj_ixs"
    assert bench.wiring.interlock_pair == ("door", "estop", "stage_2", "enable", "safety_relay")
    assert (bench.sim.seed, bench.sim.ambient_c) == (1, 22.0)


def test_a_bench_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    file = tmp_path / "portable.toml"
    file.write_text(PORTABLE)
    assert load_bench(file).hash == load_bench("portable").hash


def test_the_hash_is_of_the_values_and_not_of_the_text() -> None:
    same = PORTABLE.replace("kv_min = 30.0", "kv_min = 30  # a comment")
    other = PORTABLE.replace("kv_min = 30.0", "kv_min = 31")
    hashes = [bench_of(text, Path("x.toml")).hash for text in (PORTABLE, same, other)]
    assert hashes[0] == hashes[1]
    assert hashes[0] != hashes[2]
    assert len(hashes[0]) == 64


def test_a_default_that_is_written_down_does_not_change_the_hash() -> None:
    text = PORTABLE + "\n[sim]\nseed = 1\n"
    assert bench_of(text, Path("x.toml")).hash == load_bench("portable").hash


def test_whole_numbers_do_where_floats_are_wanted() -> None:
    text = PORTABLE.replace("sid_mm = 1000.0", "sid_mm = 1000")
    sid_mm = bench_of(text, Path("x.toml")).unit.geometry.sid_mm
    assert (sid_mm, type(sid_mm)) == (1000.0, float)


def test_the_contacts_of_the_schema_are_those_of_the_simulated_wiring() -> None:
    assert set(get_args(Contact)) == set(NETS)


def test_each_value_is_shown_with_its_line_or_as_a_default(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(PORTABLE)
    shown = {value.key: (value.value, value.origin) for value in bench_values(load_bench(file))}
    assert shown["tube.kv_max"] == (120.0, f"{file}:41")
    assert shown["sim.seed"] == (1, "default")


def test_a_companion_file_of_a_driver_is_no_driver() -> None:
    assert "vj_ixs" in bench_names.drivers("generator")
    assert not [n for n in bench_names.drivers("generator") if n.startswith("vj_ixs_")]


def test_the_starter_is_sound_and_carries_the_new_name() -> None:
    bench = bench_of(starter("mine"), Path("mine.toml"))
    assert (bench.name, bench.unit.tube) == ("mine", UNIT.tube)


def test_a_starter_s_name_may_not_lead_out_of_the_state_folder() -> None:
    with pytest.raises(UsageError, match=r"^name: \"\.\./x\" does not fit the pattern"):
        starter("../x")


def test_the_schema_states_ranges_for_editors() -> None:
    tube = bench_schema()["$defs"]["TubeConfig"]
    assert tube["additionalProperties"] is False
    kv_max = tube["properties"]["kv_max"]
    assert (kv_max["minimum"], kv_max["maximum"]) == (10, 200)


# --- plan ------------------------------------------------------------------------------------


def planned(technique: Technique, heat_before_j: float = 0.0) -> Plan:
    generator = generator_of(UNIT.generator, nobody())
    return plan(UNIT, generator, technique, heat_before_j=heat_before_j)


def test_a_plan_shows_power_energy_and_heat() -> None:
    found = planned(Technique(kv=70, ma=1, mas=0.5), heat_before_j=100)
    assert (found.power_w, found.energy_j, found.heat_after_j) == (70, 35, 135)
    assert found.energy_hu == pytest.approx(47.25)  # 1.35 HU/J


def test_a_plan_shows_the_generator_s_own_steps() -> None:
    found = planned(Technique(kv=70.04, ma=1, ms=803))
    assert found.effective == Technique(kv=70.0, ma=1, ms=810)  # 0.1 kV, 10 ms upwards: SPC-P314


def test_the_window_must_outlast_the_generator_s_timer() -> None:
    # 500 ms for 0.5 mAs at 1 mA, 500 ms ramp on the timer, 200 ms margin (SR-10)
    assert planned(Technique(kv=70, ma=1, mas=0.5)).window_needed_ms == pytest.approx(1200)
    with pytest.raises(UsageError, match=r"^the panel's window of 5000 ms is too short: 5200 ms"):
        planned(Technique(kv=70, ma=1, mas=4.5))


def on_mobile(window_ms: int, technique: Technique) -> Plan:
    """Its longest beam is 4300 ms here, so that a ramp on top may be too much."""
    text = bench_path("mobile").read_text(encoding="utf-8")
    text = text.replace("window_ms = 5000", f"window_ms = {window_ms}")
    text = text.replace("time_max_ms = 4500.0", "time_max_ms = 4300.0")
    unit = bench_of(text, bench_path("mobile")).unit
    return plan(unit, generator_of(unit.generator, nobody()), technique)


@pytest.mark.req("SR-10")
def test_what_flows_in_the_fall_asks_for_no_longer_window() -> None:
    assert on_mobile(4500, Technique(kv=80.0, ma=5.0, ms=4300.0)).window_needed_ms == 4500
    by_charge = Technique(kv=80.0, ma=5.0, mas=21.49)  # the ramp is on top
    assert on_mobile(4508, by_charge).window_needed_ms == 4508
    with pytest.raises(UsageError, match=r"^the panel's window of 4507 ms is too short: 4508 ms"):
        on_mobile(4507, by_charge)


def test_heat_above_nine_tenths_warns() -> None:
    assert planned(Technique(kv=100, ma=1, ms=1000), heat_before_j=89_900).warnings == ()
    assert planned(Technique(kv=100, ma=1, ms=1000), heat_before_j=90_400).warnings == (
        "tube heat reaches 90% of its limit",
    )


def test_a_tube_that_is_too_hot_says_how_long_to_wait() -> None:
    with pytest.raises(UsageError) as told:
        planned(Technique(kv=100, ma=1, ms=1000), heat_before_j=100_000)
    # 900 s x ln(100000 / 99900) = 0.9 s
    assert str(told.value) == "heat = 100100 J is above 100000 J; wait 1 s"


def test_all_that_is_out_of_range_is_told_with_its_range() -> None:
    assert technique_problems(Technique(kv=150, ma=1.5, ms=1), UNIT.tube) == [
        "kvp = 150 kV is outside 30 to 120 kV",
        "ma = 1.5 mA is outside 0.2 to 1 mA",
        "ms = 1 ms is outside 10 to 4500 ms",
    ]


def test_power_is_told_where_the_voltage_is_allowed() -> None:
    tube = UNIT.tube.model_copy(update={"power_max_w": 60.0})
    assert technique_problems(Technique(kv=120, ma=1, ms=100), tube) == [
        "power = 120 W is above 60 W; at 120 kV allowed: ma at most 0.5 mA",
    ]


@pytest.mark.parametrize(
    ("kv", "mas", "told"),
    [
        (
            70,
            1e9,
            "mas = 1e+09 mAs takes 1e+12 ms at 1 mA, outside 10 to 4500 ms; "
            "allowed at this current: 0.01 to 4.5 mAs",
        ),
        (700, 1, "kvp = 700 kV is outside 30 to 120 kV"),
        (float("inf"), 1, "kvp must be a positive number, got inf"),
        (-1, 1, "kvp must be a positive number, got -1"),
    ],
)
def test_only_what_was_typed_is_named(kv: float, mas: float, told: str) -> None:
    technique = technique_for(UNIT.tube, kv, ma=None, mas=mas, ms=None)
    assert technique_problems(technique, UNIT.tube) == [told]


def test_mas_alone_takes_the_highest_current() -> None:
    technique = technique_for(UNIT.tube, 120, ma=None, mas=0.5, ms=None)
    assert technique == Technique(kv=120, ma=1.0, mas=0.5)


def test_the_highest_current_never_passes_the_power_limit() -> None:
    weak = UNIT.tube.model_copy(update={"power_max_w": 70.0})
    technique = technique_for(weak, 113, ma=None, mas=0.1, ms=None)
    assert technique.ma == 0.619
    assert technique_problems(technique, weak) == []


@pytest.mark.parametrize(
    ("ma", "mas", "ms", "told"),
    [
        (None, None, None, "give --mas, or --ma with --ms, or --aec"),
        (1.0, None, None, "give --mas, or --ma with --ms, or --aec"),
        (None, None, 100.0, "give --mas, or --ma with --ms, or --aec"),
        (1.0, 1.0, 100.0, "give one of --mas, --ms and --aec: one of them ends the beam"),
    ],
)
def test_options_that_mean_no_technique_are_told(
    ma: float | None, mas: float | None, ms: float | None, told: str
) -> None:
    with pytest.raises(UsageError) as error:
        technique_for(UNIT.tube, 70, ma=ma, mas=mas, ms=ms)
    assert str(error.value) == told


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.floats(0.01, 5000)


@pytest.mark.req("SR-05")
@given(kv=numbers, ma=numbers, ms=numbers)
def test_the_plan_and_the_unit_agree_on_what_is_permitted(kv: float, ma: float, ms: float) -> None:
    limits = Limits(tube=tube_data(UNIT))
    technique = Technique(kv=kv, ma=ma, ms=ms)
    assert (technique_problems(technique, UNIT.tube) == []) is permitted(
        technique, limits, ShotKind.IMAGING
    )
