"""A monoblock with a fault in it: what is really there, what its feedback shows, what ends it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sim.beamline import BeamCourse, Regulation
from sim.generator import MonoblockModel
from tests.sim_world import MS, SimWorld, sim_world

S = 1_000_000


@pytest.fixture
def made() -> SimWorld:
    return sim_world()


def model_of(made: SimWorld) -> MonoblockModel:
    return made.world.generator


def bits(made: SimWorld) -> set[str]:
    return set(model_of(made).fault_bits(made.t_us))


# --- kV and mA that are not what was set


def by_steps(course: BeamCourse, to_us: int, what: Callable[[int], float]) -> float:
    """The integral of `what` over the beam by the midpoint rule, in seconds."""
    return sum(what(t_us + 5) for t_us in range(course.on_us, to_us, 10)) * 10 / 1e6


@pytest.mark.parametrize("off_us", [None, 120_000, 400_000])
def test_charge_and_energy_of_a_course_with_steps_are_the_sums_of_small_steps(
    off_us: int | None,
) -> None:
    course = BeamCourse(on_us=0, kv=80.0, ma=0.5, ramp_us=150_000, fall_us=4_000, off_us=off_us)
    course.regulations += [
        Regulation(50_000, 112.0, 100.0),
        Regulation(200_000, 70.0, 130.0),
        Regulation(230_000, 100.0, 0.0),
    ]

    def ma(t_us: int) -> float:
        return 0.5 * course.level(t_us) * course.regulation(t_us).ma_pct / 100

    def power_w(t_us: int) -> float:
        return 80.0 * ma(t_us) * course.regulation(t_us).kv_pct / 100

    for to_us in (40_000, 60_000, 150_000, 210_000, 420_000):
        charge_mas, energy_j = course.charge_mas(0, to_us), course.energy_j(0, to_us)
        assert charge_mas == pytest.approx(by_steps(course, to_us, ma), abs=1e-5)
        assert energy_j == pytest.approx(by_steps(course, to_us, power_w), abs=1e-3)
        assert course.peak_kv(0, to_us) == pytest.approx(energy_j / charge_mas)


def test_when_an_energy_is_spent_is_the_inverse_of_the_energy() -> None:
    course = BeamCourse(on_us=7_000, kv=80.0, ma=0.5, ramp_us=150_000, fall_us=4_000)
    course.regulations += [Regulation(100_000, 112.0, 150.0), Regulation(400_000, 90.0, 100.0)]
    for energy_j in (30.0, 80.0):
        spent_us = course.spends_us(energy_j)
        assert course.energy_j(0, spent_us) >= energy_j - 1e-9
        assert course.energy_j(0, spent_us - 1) <= energy_j
    assert course.spends_us(1.0) <= 400_000  # reached before the last step: no later than it


def test_without_current_nothing_is_ever_reached() -> None:
    course = BeamCourse(on_us=0, kv=80.0, ma=0.5, ramp_us=150_000, fall_us=4_000)
    course.regulations.append(Regulation(100_000, 100.0, 0.0))
    assert course.reaches_us(0.4) == course.spends_us(50.0) == 1 << 62


@pytest.mark.req("F06")
@pytest.mark.parametrize("off_pct", [12.0, -12.0])
def test_kv_that_steps_in_mid_beam_is_real_and_shown_from_that_microsecond_on(
    made: SimWorld, off_pct: float
) -> None:
    on_us = made.beam(kv=80.0, ma=0.5)
    made.at(on_us + 500_000).do("generator", kv_off_pct=off_pct)
    made.at(on_us + 500_000)
    assert model_of(made).courses[0].regulations == [
        Regulation(on_us + 500_000, 100.0 + off_pct, 100.0)
    ]
    shown = model_of(made).reading(made.t_us)
    assert shown.kv == pytest.approx(80.0 * (1 + off_pct / 100), rel=0.01)
    assert shown.ma == pytest.approx(0.5, rel=0.01)
    before, after = (
        model_of(made).exposure(on_us + a, on_us + b)[1] for a, b in ((0, 500_000), (500_000, S))
    )
    assert (before, after) == pytest.approx((80.0, 80.0 * (1 + off_pct / 100)))


@pytest.mark.req("F72")
def test_a_dip_ends_where_it_is_taken_back(made: SimWorld) -> None:
    on_us = made.beam(kv=80.0)
    made.at(on_us + 500_000).do("generator", kv_off_pct=-30.0)
    made.at(on_us + 530_000).do("generator", kv_off_pct=0.0)
    made.at(on_us + 530_000)
    course = model_of(made).courses[0]
    kv_pct = {ms: course.regulation(on_us + ms * MS).kv_pct for ms in (499, 500, 529, 530)}
    assert kv_pct == {499: 100.0, 500: 70.0, 529: 70.0, 530: 100.0}


@pytest.mark.req("F07", "F23")
@pytest.mark.parametrize("off_pct", [30.0, -20.0])
def test_ma_that_is_off_is_in_feedback_and_charge(made: SimWorld, off_pct: float) -> None:
    made.do("generator", ma_off_pct=off_pct)
    on_us = made.beam(ma=0.5)
    made.at(on_us + 1_150_000)
    factor = 1 + off_pct / 100
    assert model_of(made).reading(made.t_us).ma == pytest.approx(0.5 * factor, rel=0.01)
    charge_mas = model_of(made).exposure(0, made.t_us)[0]
    assert charge_mas == pytest.approx(0.5 * factor * 1.075)


@pytest.mark.req("F22")
def test_an_open_filament_gives_kv_and_no_current(made: SimWorld) -> None:
    made.do("generator", filament_open=True)
    on_us = made.beam()
    made.at(on_us + S)
    shown = model_of(made).reading(made.t_us)
    assert (shown.ma, shown.filament_a) == (0.0, 0.0)
    assert shown.kv == pytest.approx(80.0, rel=0.01)
    assert model_of(made).exposure(0, made.t_us) == (0.0, 0.0)


def test_wrong_current_drains_battery_and_warms_oil_by_what_it_really_is(made: SimWorld) -> None:
    made.do("generator", ma_off_pct=100.0, kv_off_pct=-50.0)
    on_us = made.beam(kv=80.0, ma=0.5)
    made.at(on_us + 100 * S)
    # 40 kV x 1 mA = 40 W but for half of the ramp; 4000 J a degree
    shown_c = model_of(made).reading(made.t_us).oil_c
    assert shown_c == pytest.approx(22.0 + 40.0 * (100 - 0.075) / 4_000.0)


@pytest.mark.req("F08")
def test_a_slow_rise_is_seen_in_feedback_and_its_start_is_answered_after_half_a_second(
    made: SimWorld,
) -> None:
    made.do("generator", slow_rise_us=2 * S)
    assert model_of(made).ramp_us() == 500_000
    on_us = made.beam(kv=80.0)
    made.at(on_us + S)
    assert model_of(made).reading(made.t_us).kv == pytest.approx(40.0, rel=0.01)
    made.at(on_us + 2 * S)
    assert model_of(made).reading(made.t_us).kv == pytest.approx(80.0, rel=0.01)


@pytest.mark.req("F09")
def test_a_long_tail_goes_into_the_charge_and_lasts_as_long_as_it_is_told(made: SimWorld) -> None:
    made.do("generator", slow_fall_us=40_000)
    on_us = made.beam(ma=0.5)
    made.at(on_us + S)
    model_of(made).stop(made.t_us)
    made.after_ms(100)
    (course,) = model_of(made).courses
    assert course.gone_us() == on_us + S + 36_000
    assert course.charge_mas(on_us + S, made.t_us) == pytest.approx(0.5 * 0.040 / 2)


@pytest.mark.parametrize("name", ["gassy_tube", "ma_factor", "kv_factor", "slow_rise_us"])
def test_what_counts_from_the_next_start_on_is_refused_in_a_beam(made: SimWorld, name: str) -> None:
    made.beam()
    with pytest.raises(ValueError, match=f"{name} counts from the next start on"):
        made.do("generator", **{name: 1})


# --- beams that are not asked for, or not ended


@pytest.mark.req("F03", "SR-34")
def test_a_stray_beam_begins_when_the_contactor_gives_supply(made: SimWorld) -> None:
    made.do("generator", stray_beam=True)
    made.after_ms(100)
    assert model_of(made).courses == []
    made.contactor(True)
    made.after_ms(200)
    (course,) = model_of(made).courses
    assert (course.on_us, course.kv, course.ma) == (120_000, 40.0, 0.2)  # pull-in is 20 ms
    assert model_of(made).reading(made.t_us).kv == pytest.approx(40.0, rel=0.01)


@pytest.mark.req("F03")
def test_only_the_supply_ends_a_stray_beam(made: SimWorld) -> None:
    made.supplied(kv=80.0)
    made.do("generator", stray_beam=True)
    made.at(made.t_us)
    model = model_of(made)
    model.set_watchdog(made.t_us, on=True)
    assert made.ask(b"ENBL0") == b"\x02ENBL0\r"
    made.do("release")
    made.after_ms(10_000)
    model.trip(made.t_us, "regulation")
    assert model.beam_on(made.t_us)
    assert "interlock_open" in bits(made)
    made.contactor(False)
    dropped_us = made.t_us + 15_000
    made.after_ms(1_000)
    assert [course.off_us for course in model.courses] == [dropped_us]


@pytest.mark.req("F03")
def test_a_stray_beam_that_is_taken_back_is_a_beam_that_off_ends(made: SimWorld) -> None:
    made.supplied()
    made.do("generator", stray_beam=True)
    made.after_ms(500).do("generator", stray_beam=False)
    made.after_ms(500)
    assert model_of(made).beam_on(made.t_us)
    made.ask(b"ENBL0")
    assert not model_of(made).beam_on(made.t_us)


@pytest.mark.req("F02", "SR-19")
def test_a_start_without_the_pair_is_accepted_and_the_open_pair_is_shown(made: SimWorld) -> None:
    made.supplied()
    made.do("release")
    made.do("generator", ignores_pair=True)
    made.after_ms(20)
    assert bits(made) == {"interlock_open"}
    assert model_of(made).start(made.t_us)
    made.do("press")
    made.do("release")
    made.after_ms(20)
    assert model_of(made).beam_on(made.t_us)
    made.do("press e-stop")  # the contactor is what is left: 8 ms safety relay, 15 ms contactor
    pressed_us = made.t_us
    made.after_ms(100)
    assert model_of(made).courses[0].off_us == pressed_us + 23_000


@pytest.mark.req("F05")
def test_a_dead_watchdog_says_that_it_is_on_and_ends_nothing(made: SimWorld) -> None:
    made.do("generator", watchdog_dead=True)
    on_us = made.beam()
    model_of(made).set_watchdog(made.t_us, on=True, limit_us=2 * S)
    made.at(on_us + 60 * S)
    assert model_of(made).beam_on(made.t_us)
    assert made.ask(b"WSTAT") == b"\x021\r"


@pytest.mark.req("F14", "F20")
def test_a_hot_thermometer_ends_the_beam_and_keeps_its_bit_until_it_has_cooled(
    made: SimWorld,
) -> None:
    on_us = made.beam()
    made.at(on_us + 500_000).do("generator", stuck_oil_c=61.0)
    made.after_ms(1)
    assert model_of(made).courses[0].off_us == on_us + 500_000
    model_of(made).clear_faults(made.t_us)
    assert "over_temperature" in bits(made)
    assert not model_of(made).start(made.t_us)
    made.do("heal", what="generator")
    made.after_ms(1)
    model_of(made).clear_faults(made.t_us)
    assert bits(made) == set()
    assert model_of(made).start(made.t_us)


def test_a_thermometer_that_stands_still_hides_that_the_oil_is_hot() -> None:
    made = sim_world(ambient_c=55.0)
    made.do("generator", stuck_oil_c=22.0)
    on_us = made.beam(kv=120.0, ma=1.0)
    made.at(on_us + 200 * S)  # 6 degrees more
    assert model_of(made).reading(made.t_us).oil_c == 22.0
    assert model_of(made).beam_on(made.t_us)
    made.do("heal", what="generator")
    made.after_ms(1)
    assert model_of(made).courses[0].off_us == on_us + 200 * S


# --- its side of the wire


@pytest.mark.req("F15")
@pytest.mark.parametrize(
    ("name", "command", "echo"),
    [("VP", b"VP0800", b"VP0801"), ("CP", b"CP04999", b"CP04990"), ("OT", b"OT00100", b"OT00101")],
)
def test_a_wrong_echo_is_one_off_in_its_last_digit_and_the_setting_is_right(
    made: SimWorld, name: str, command: bytes, echo: bytes
) -> None:
    made.do("generator", wrong_echo=name)
    assert made.ask(command) == b"\x02" + echo + b"\r"
    other = b"PTM05" if name != "PTM" else b"VP0800"
    assert made.ask(other) == b"\x02" + other + b"\r"


@pytest.mark.req("F11")
def test_a_command_to_which_it_is_deaf_gets_no_reply_and_does_nothing(made: SimWorld) -> None:
    made.supplied(kv=80.0)
    made.do("generator", deaf_to="VP")
    assert made.ask(b"VP0600") == b""
    assert made.ask(b"CP05000") == b"\x02CP05000\r"
    model_of(made).start(made.t_us)
    assert model_of(made).courses[0].kv == 80.0


@pytest.mark.req("F16")
def test_late_replies_are_those_of_the_command_before(made: SimWorld) -> None:
    made.do("generator", late_replies=True)
    said = [made.ask(text) for text in (b"WDTE", b"STAT", b"FREV", b"WDTE")]
    assert said == [b"", b"\x02OK\r", b"\x020\r", b"\x022000\r"]


@pytest.mark.parametrize(("shown", "on"), [("0", True), ("1", False)])
def test_a_status_that_is_stuck_hides_a_beam_or_invents_one(
    made: SimWorld, shown: str, on: bool
) -> None:
    if on:
        made.beam()
    made.do("generator", status_stuck=shown)
    assert made.ask(b"STAT") == b"\x02" + shown.encode() + b"\r"
    assert model_of(made).beam_on(made.t_us) is on


@pytest.mark.req("F26")
def test_another_serial_number_is_answered_in_its_thirteen_characters(made: SimWorld) -> None:
    made.do("generator", wrong_serial="S99")
    assert made.ask(b"SNUM", 40.0) == b"\x02S99          \r"


@pytest.mark.req("F64")
def test_a_false_command_starts_nothing_while_the_pair_is_open(made: SimWorld) -> None:
    made.supplied()
    made.do("release")
    made.after_ms(20).do("false command", text="ENBL1")
    made.after_ms(20)
    assert made.generator.read(made.t_us) == b"\x02ENBL0\r"  # not started
    made.do("press")
    model_of(made).clear_faults(made.t_us)
    made.after_ms(20).do("false command", text="ENBL1")
    heard_us = made.t_us
    made.after_ms(200)
    assert [course.on_us for course in model_of(made).courses] == [heard_us]


# --- power


@pytest.mark.req("F17", "SR-27")
def test_a_reboot_ends_the_beam_forgets_all_settings_and_answers_again_when_it_is_up(
    made: SimWorld,
) -> None:
    on_us = made.beam(kv=80.0, ms=5_000)
    model_of(made).set_prewarning_us(made.t_us, 7 * S)
    made.at(on_us + 500_000).do("reboot", device="generator", dark_ms=300)
    made.after_ms(279)
    assert model_of(made).courses[0].off_us == on_us + 500_000
    assert made.ask(b"STAT") == b""  # 20 ms: up to one before it is up
    made.after_ms(1)
    assert made.ask(b"PTST") == b"\x0200\r"
    assert made.ask(b"WSTAT") == b"\x021\r"
    assert not model_of(made).start(made.t_us)  # no kV, no mA


def test_a_reply_that_was_under_way_is_lost_with_the_power(made: SimWorld) -> None:
    made.supplied()
    made.generator.write(made.t_us, b"\x02ENBL1\r")  # answered after the ramp of 150 ms
    made.after_ms(10).do("reboot", device="generator", dark_ms=50)
    made.after_ms(500)
    assert made.generator.read(made.t_us) == b""


def test_a_device_that_is_on_is_not_switched_on_again(made: SimWorld) -> None:
    on_us = made.beam()
    made.do("power on", device="generator")
    made.at(on_us + S)
    assert model_of(made).beam_on(made.t_us)


def test_stray_hv_needs_the_devices_own_power_too(made: SimWorld) -> None:
    made.supplied()
    made.do("power off", device="generator")
    made.do("generator", stray_beam=True)
    made.after_ms(500)
    assert model_of(made).courses == []
    made.do("power on", device="generator")
    up_us = made.t_us
    made.after_ms(1)
    assert [course.on_us for course in model_of(made).courses] == [up_us]
