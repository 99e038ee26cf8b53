"""AEC over R2CP: the databank's bytes, refusals in words, and what is told of the beam.

Only which byte holds what is the reference's (4.5); what a generator makes of it is synthetic.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from hal.generators.r2cp_desk import Desk
from hal.generators.r2cp_layouts import PostExposure, read_databank
from hal.generators.r2cp_ratings import aec_choice, databank_of, effective, maximum_mas
from hal.generators.r2cp_wire import SET, Question, encode
from hal.ports import AecChoice
from hal.types import AecSetting, GeneratorState, Outputs, Technique
from tests.fake_generator import FakeModel
from tests.generator_bench import GeneratorBench
from tests.test_r2cp import bench, desk_of, driver_of, in_beam, in_standby, is_state, ready, texts
from tests.test_r2cp_desk import DEFINE, result

SETTING = AecSetting(
    chambers=("left", "right"), density_index=-1, sensitivity_index=3, expected_mas=20.0,
    backup_mas=40.0,
)  # fmt: skip
AUTO = Technique(kv=80.0, ma=250.0, aec=SETTING)
# 4.5: id 1, protocol 4, 1-point, 80.0 kV, 40.000 mAs, 250.00 mA, 170.00 ms (160 and the ramp),
# integration 1 to 170 ms, large focus, sensitivity 3, density -1, chambers b0 and b2
DATABANK = "01 04 01 03 20 00 9c 40 00 61 a8 00 42 68 00 01 00 aa 01 03 ff 05 00 00 00 00 00"


def settled(made: GeneratorBench) -> GeneratorBench:
    made.run_until(lambda s: s.beam_on is False)
    made.run_until(lambda s: s.account_taken_us)
    return made


@pytest.mark.req("SR-22")
def test_an_automatic_exposure_is_a_1_point_databank_with_its_back_up_as_the_caps() -> None:
    assert DATABANK in " | ".join(texts(ready(AUTO)))


@pytest.mark.parametrize(
    ("chambers", "byte"),
    [
        (("left",), 1), (("centre",), 2), (("right",), 4), (("left", "centre"), 3),
        (("left", "centre", "right"), 7),
    ],
)  # fmt: skip
def test_each_chamber_has_its_bit(chambers: tuple[str, ...], byte: int) -> None:
    databank = databank_of(replace(AUTO, aec=replace(SETTING, chambers=chambers)))
    assert databank.chambers_index == byte
    assert aec_choice(databank).chambers == chambers


@pytest.mark.parametrize(("steps", "byte"), [(0, 0), (4, 4), (-1, 255), (-128, 128), (127, 127)])
def test_density_below_zero_is_a_twos_complement(steps: int, byte: int) -> None:
    databank = databank_of(replace(AUTO, aec=replace(SETTING, density_index=steps)))
    assert databank.density_index == byte
    assert aec_choice(databank).density_index == steps


def test_the_internal_or_external_bit_is_no_chamber() -> None:
    raw = bytes.fromhex(DATABANK.replace("ff 05", "ff 82"))
    choice = aec_choice(read_databank(raw))
    assert choice == AecChoice(chambers=("centre",), density_index=-1, sensitivity_index=3)


@pytest.mark.req("SR-05")
@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"density_index": 128}, "density_index must be -128 to 127, got 128"),
        ({"sensitivity_index": 256}, "sensitivity_index must be 0 to 255, got 256"),
        ({"sensitivity_index": -1}, "sensitivity_index must be 0 to 255, got -1"),
        ({"backup_mas": 640.1}, "at most 640 mAs, got 640.1"),
        ({"backup_mas": 0.009}, "backup_mas must be at least 0.01 mAs, got 0.009"),
        ({"chambers": ("middle",)}, "chambers must be of left, centre, right"),
    ],
)
def test_a_setting_that_the_wire_cannot_carry_names_field_and_range(
    setting: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        effective(replace(AUTO, aec=replace(SETTING, **setting)))  # type: ignore[arg-type]


def test_a_back_up_that_takes_too_long_is_refused_by_its_name() -> None:
    slow = Technique(kv=80.0, ma=1.0, aec=SETTING)
    with pytest.raises(ValueError, match="backup_mas makes 40010 ms, must be 1-20000 ms"):
        effective(slow)


def test_the_back_up_is_rounded_to_the_wires_step_and_all_else_stays() -> None:
    odd = replace(AUTO, aec=replace(SETTING, backup_mas=40.0004, expected_mas=20.123456))
    made = effective(odd)
    assert made.aec == replace(SETTING, backup_mas=40.0, expected_mas=20.123456)
    assert effective(made) == made
    assert maximum_mas(made) == pytest.approx(42.515)  # 170 ms at 250 mA, and a fall


@pytest.mark.req("SR-50")
@pytest.mark.parametrize(
    ("field", "value"),
    [("sensitivity_index", 2), ("density_index", 254), ("chambers_index", 7), ("points_index", 2)],
)
def test_a_databank_that_comes_back_otherwise_is_never_confirmed(field: str, value: int) -> None:
    made = in_standby()
    desk_of(made).changed = {field: value}
    sample = made.run_until(is_state(GeneratorState.FAULT), Outputs(technique=AUTO))
    assert sample.confirmed is None
    assert f"{field} {value}, not " in sample.raw_faults


@pytest.mark.parametrize(
    ("has_not", "words"),
    [
        ("chambers", "databank was answered 6: technique unsupported"),
        ("sensitivity", "databank was answered 14: AEC sensitivity"),
        ("density", "databank was answered 15: AEC density"),
    ],
)
def test_what_the_generator_has_not_is_refused_in_words(has_not: str, words: str) -> None:
    made = in_standby()
    made.model.aec_has_not = has_not
    sample = made.run_until(is_state(GeneratorState.FAULT), Outputs(technique=AUTO))
    assert words in sample.raw_faults
    assert sample.faults == ("GENERATOR_FAULT",)


def test_a_full_automatic_databank_is_refused_by_the_desk() -> None:
    """0-point: kV would be found, too. Nothing here does that."""
    desk = Desk(FakeModel())
    assert result(desk, DEFINE) == 0
    full_auto = bytes.fromhex(DATABANK.replace("01 04 01", "01 04 00"))
    assert result(desk, encode(Question("databank", SET, full_auto).framed(3))) == 6


def test_the_desk_tells_its_model_of_the_chambers_and_of_none_for_the_next_technique() -> None:
    made = ready(AUTO)
    wanted = AecChoice(chambers=("left", "right"), density_index=-1, sensitivity_index=3)
    assert made.model.aec == wanted
    assert (made.model.charge_mas, made.model.time_us) == (40.0, 170_000)  # 160 ms, and the ramp
    made.run_until(is_state(GeneratorState.STANDBY), Outputs())
    ready(Technique(kv=80.0, ma=250.0, mas=5.0), made)
    assert made.model.aec is None


# --- what is told of the beam


@pytest.mark.req("SR-53")
def test_the_account_is_asked_for_after_the_end_and_names_the_chambers() -> None:
    made = settled(in_beam(AUTO))
    sample, post = made.driver.sample, driver_of(made).post_exposure
    assert sample.account_taken_us is not None
    assert sample.account_taken_us - made.model.ends_us[0] in range(1, 100_000)
    assert (sample.beam_mas, sample.beam_ms) == (40.0, 160.0)  # nothing else ends a fake one
    assert post is not None
    assert (post.sensitivity_index, post.density_index, post.chambers_index) == (3, 255, 5)
    assert sample.faults == ()


@pytest.mark.req("SR-53")
def test_a_new_beam_has_no_account_yet() -> None:
    made = settled(in_beam(AUTO))
    made.run(100_000, Outputs())
    sample = in_beam(AUTO, made).driver.sample
    assert (sample.account_taken_us, sample.beam_mas) == (None, None)


@pytest.mark.req("SR-53")
def test_a_beam_that_was_released_is_accounted_for_though_nothing_is_wanted_any_more() -> None:
    made = in_beam(AUTO)
    released_us = made.t_us
    sample = made.run_until(lambda s: s.account_taken_us, Outputs())
    assert sample.account_taken_us is not None
    assert sample.account_taken_us - released_us in range(1, 200_000)
    assert sample.beam_mas is not None
    assert 0 < sample.beam_mas < 40.0


@pytest.mark.req("SR-23")
@pytest.mark.parametrize(
    ("field", "value"), [("sensitivity_index", 1), ("density_index", 0), ("chambers_index", 2)]
)
def test_a_beam_that_other_chambers_ended_is_a_fault_until_it_is_cleared(
    field: str, value: int
) -> None:
    made = in_beam(AUTO)
    desk_of(made)._used[field] = value
    settled(made)
    sample = made.run(20_000)
    assert sample.faults == ("GENERATOR_FAULT",)
    assert f"post-exposure: {field} {value}, not " in sample.raw_faults
    sample = made.run(200_000, Outputs(clear_faults_from_us=made.t_us))
    assert sample.faults == ()


def test_the_account_of_a_manual_beam_names_no_chambers() -> None:
    made = settled(in_beam())
    post: PostExposure | None = driver_of(made).post_exposure
    assert post is not None
    assert (post.sensitivity_index, post.density_index, post.chambers_index) == (0, 0, 0)
    assert made.driver.sample.faults == ()


def test_the_driver_promises_chambers_a_back_up_and_an_account() -> None:
    can = bench().driver.capabilities
    assert (can.has_aec, can.backup_mas_max) == (True, 640.0)
    assert can.account_us == 20 * 55_000 + 1_000_000  # twenty looks and one last answer
