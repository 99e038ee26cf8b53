"""The unit's battery and the panel's: told when low, refused before PREP when lower.

The panel's wire is ours (synthetic). R2CP names an entry "X-ray battery level" and no layout: what
is here of it is our choice.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from firmware_py.decide.memory import State
from firmware_py.runner import status
from hal.generators.r2cp import Driver
from hal.generators.r2cp_desk import Desk
from hal.generators.r2cp_heard import listener
from hal.generators.r2cp_layouts import read_battery
from hal.generators.r2cp_wire import ANSWER, Frame, encode
from hal.now import NEVER_US
from hal.ports import Direction
from hal.types import GeneratorState, Outputs, PanelState
from rig.bench import bench_of
from rig.bench_names import bench_path
from rig.exit_codes import ConfigError
from rig.run_model import shot_of
from rig.scenario import ShotSection
from rig.unit_view import tell_status
from sim.panel_battery import HOUR_US, PanelBattery
from sim.script import ScriptError
from tests.generator_bench import GeneratorBench
from tests.model_runs import bench
from tests.test_r2cp import BY_TIME, in_standby, ready, texts
from tests.whole_unit import BY_CHARGE, Whole

S = State


# --- the whole unit on `mobile`


def standing(name: str) -> Whole:
    shot = ShotSection(kv=80.0, ma=10.0, mas=5.0) if name != "portable" else BY_CHARGE
    return Whole(shot_of(bench(name), shot, "shot-1"), on=bench(name)).until(S.STANDBY)


def refused(charge: float) -> Whole:
    """A press with this much in the unit's battery."""
    whole = standing("mobile")
    whole.do("charge battery", charge=charge)
    whole.pass_us(2_200_000)  # the bench asks each 2 s
    whole.do("press", stage=1)
    whole.until_any(S.PREP, S.RELEASE_WAIT)
    return whole


def shown(whole: Whole) -> dict[str, Any]:
    return status(whole.unit)


@pytest.mark.req("SR-29", "F71")
def test_a_low_unit_battery_is_refused_by_name_before_the_generator_refuses_it() -> None:
    whole = refused(0.14)  # the generator itself would go on: it refuses below 10 %
    assert whole.told() == ("BATTERY_EMPTY",)
    assert (whole.beams, whole.world.generator.rotor.rpm(whole.t_us)) == (0, 0.0)  # type: ignore[union-attr]
    whole.do("release")
    whole.do("charge battery")
    whole.until(S.STANDBY).pass_us(2_200_000)
    assert (shown(whole)["inhibits"], shown(whole)["warnings"]) == ([], [])


@pytest.mark.req("SR-29", "F71")
def test_below_ten_per_cent_the_battery_is_named_with_the_generators_own_message() -> None:
    whole = refused(0.05)
    assert whole.told() == ("BATTERY_EMPTY", "GENERATOR_UNKNOWN")


@pytest.mark.req("SR-29")
def test_a_battery_that_should_be_charged_is_told_and_exposes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = refused(0.3)
    assert whole.state is S.PREP
    found = shown(whole)
    assert found["generator"]["battery_pct"] == 30.0
    assert [one["code"] for one in found["warnings"]] == ["BATTERY_WARNING"]
    tell_status("mobile", found | {"pid": 7, "scans": 1, "skipped_scans": 0, "latest_us": 250})
    lines = capsys.readouterr().out.splitlines()
    assert (
        "warning The unit's battery should be charged soon. "
        "Connect the charger; `dxrig status` shows the charge." in lines
    )
    (source,) = [line for line in lines if line.startswith("generator")]
    assert ", battery 30 %" in source
    (receptor,) = [line for line in lines if line.startswith("panel")]
    assert receptor.endswith("SIM-PANEL-1, battery 100 %")


@pytest.mark.req("SR-10", "F32")
@pytest.mark.parametrize("name", ["mobile", "portable"])
def test_a_low_panel_is_refused_before_prep_and_a_charged_one_is_not(name: str) -> None:
    whole = standing(name)
    whole.do("panel battery", charge=0.09)
    whole.pass_us(400_000)
    assert [one["code"] for one in shown(whole)["inhibits"]] == ["PANEL_BATTERY_EMPTY"]
    whole.do("press", stage=1)
    whole.until(S.RELEASE_WAIT)
    assert (whole.told(), whole.beams) == (("PANEL_BATTERY_EMPTY",), 0)
    whole.do("release")
    whole.do("panel battery", charge=0.2)
    whole.until(S.STANDBY).pass_us(400_000)
    assert [one["code"] for one in shown(whole)["warnings"]] == ["PANEL_BATTERY_WARNING"]
    whole.do("press", stage=1)
    whole.until(S.PREP)


@pytest.mark.req("SR-56", "F32")
def test_a_panel_whose_meter_lies_dies_at_work_and_comes_back_from_the_dock() -> None:
    """It says 80 % and has 0.9 s of its three hours at work: enough for the beam, not for more."""
    whole = standing("portable")
    whole.do("panel battery", charge=0.9 / (3 * 3600), shown_pct=80.0)
    whole.do("press")
    whole.until(S.READOUT)
    whole.until(S.FAULT)
    assert whole.told() == ("FRAME_MISSING",)
    assert (whole.beams, whole.world.panel_device.powered) == (1, False)
    whole.do("release")
    whole.do("panel battery", charge=1.0)
    whole.pass_us(3_000_000)
    assert whole.unit.inputs is not None
    assert whole.unit.inputs.panel.state is PanelState.IDLE


def test_a_tethered_panel_has_no_battery_to_set_and_tells_none() -> None:
    whole = standing("room")
    with pytest.raises(ScriptError, match="no battery: the panel is tethered"):
        whole.do("panel battery", charge=0.5)
    assert shown(whole)["panel"]["battery_pct"] is None
    assert shown(whole)["generator"]["battery_pct"] is None  # a room is on mains


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"charge": "full"}, "charge = 'full': must be a number"),
        ({"charge": 1.1}, "charge = 1.1: must be 0 to 1"),
        ({"shown_pct": 101.0}, "shown_pct = 101: must be 0 to 100"),
        ({"volts": 3.0}, "panel battery has no 'volts'; there are charge, shown_pct, docked"),
        ({"docked": 1}, "docked = 1: must be true or false"),
    ],
)
def test_what_a_panels_battery_can_not_be_is_refused(args: dict[str, Any], told: str) -> None:
    whole = Whole()
    with pytest.raises(ScriptError, match=told):
        whole.do("panel battery", **args)


# --- the simulated panel's battery, in closed form


def test_it_lasts_as_long_as_its_two_times_say() -> None:
    made = PanelBattery(idle_h=8.0, working_h=2.0)
    assert made.empty_us() == 8 * HOUR_US
    assert [made.pct(hours * HOUR_US) for hours in (0, 2, 4, 8, 9)] == [100, 75, 50, 0, 0]
    made.follow(2 * HOUR_US, working=True)
    assert made.empty_us() == 2 * HOUR_US + 3 * HOUR_US // 2  # three quarters of two hours
    made.charge_to(3 * HOUR_US, 1.0)
    assert made.empty_us() == 5 * HOUR_US
    assert PanelBattery(idle_h=1e12, working_h=1.0).empty_us() == NEVER_US


def test_in_its_dock_it_is_full_in_two_and_a_half_hours_and_stays_so() -> None:
    made = PanelBattery(idle_h=8.0, working_h=2.0, charge=0.2)
    made.follow(0, working=True)
    made.dock(0, True)
    assert [made.pct(hours * HOUR_US) for hours in (0, 1, 2, 3, 40)] == [20, 60, 100, 100, 100]
    assert made.empty_us() == NEVER_US
    made.dock(40 * HOUR_US, False)
    assert made.empty_us() == 42 * HOUR_US


def test_switched_off_it_loses_itself_in_thirty_days() -> None:
    made = PanelBattery(idle_h=8.0, working_h=2.0)
    made.switch(0, on=False)
    assert [made.pct(days * 24 * HOUR_US) for days in (0, 15, 30, 31)] == [100, 50, 0, 0]
    made.switch(15 * 24 * HOUR_US, on=True)
    assert made.empty_us() == (15 * 24 + 4) * HOUR_US


@pytest.mark.req("SR-10", "F32")
def test_an_empty_panel_lives_in_its_dock_and_exposes_when_it_has_charged() -> None:
    whole = standing("mobile")
    whole.do("panel battery", charge=0.0)
    whole.pass_us(400_000)
    assert not whole.world.panel_device.powered
    whole.do("panel battery", docked=True)
    whole.pass_us(3_000_000)
    assert whole.world.panel_device.powered
    assert [one["code"] for one in shown(whole)["inhibits"]] == ["PANEL_BATTERY_EMPTY"]
    whole.world.panel.battery.charge_to(whole.t_us, 0.0999)
    whole.pass_us(3_000_000)  # 1.2 s of it fill the gap
    assert shown(whole)["inhibits"] == []
    whole.do("panel battery", docked=False)
    whole.pass_us(400_000)
    assert whole.world.panel_device.powered
    assert whole.world.panel.battery.empty_us() < NEVER_US


# --- the level on R2CP's wire


def asking(poll_us: int | None = 300_000, **desk: Any) -> GeneratorBench:
    driver = partial(Driver, battery_poll_us=poll_us)
    made = GeneratorBench(driver, lambda m: Desk(m, prep_us=100_000, **desk), baud=115_200)
    made.model.charge_pct = 61.2
    return made


def asks(made: GeneratorBench, from_index: int = 0) -> int:
    return texts(made, from_index).count("GET battery")


def test_the_level_is_asked_for_at_its_own_pace_in_standby_alone() -> None:
    made = in_standby(asking())
    assert made.driver.sample.battery_pct == 61.0
    so_far = asks(made)
    made.run(3_000_000)
    assert asks(made) - so_far == 10
    ready(BY_TIME, made)
    at = len(made.sent)
    made.run(2_000_000, Outputs(technique=BY_TIME))
    assert asks(made, at) == 0


def test_no_bench_that_names_no_pace_asks() -> None:
    made = in_standby(asking(None))
    made.run(3_000_000)
    assert (asks(made), made.driver.sample.battery_pct) == (0, None)


def test_a_generator_that_refuses_or_never_answers_is_asked_once() -> None:
    on_mains = asking()
    on_mains.model.charge_pct = None
    silent = asking()
    silent.desk.deaf_to = "battery"  # type: ignore[attr-defined]
    for made in (on_mains, silent):
        in_standby(made)
        sample = made.run(6_000_000)
        assert (asks(made), sample.battery_pct, sample.state) == (1, None, GeneratorState.STANDBY)


def test_a_message_that_inhibits_asks_at_once_whether_it_is_the_battery() -> None:
    made = in_standby(asking(60_000_000))
    so_far = asks(made)
    made.model.charge_pct = 7.0
    made.model.bits.add("battery_low")
    sample = made.run(300_000)
    assert (sample.faults, sample.battery_pct) == (("GENERATOR_UNKNOWN",), 7.0)
    assert asks(made) == so_far + 1


@pytest.mark.parametrize(
    ("data", "pct"), [("64", 100.0), ("00", 0.0), ("00 50", 80.0), ("65", None), ("", None)]
)
def test_what_can_be_no_percentage_is_no_level(data: str, pct: float | None) -> None:
    assert read_battery(bytes.fromhex(data)) == pct


def test_a_tap_tells_the_level() -> None:
    raw = encode(Frame(sequence_index=1, target=17, issuer=6, index=0x12, subindex=1,
                       function=ANSWER, data=b"\x3d"))  # fmt: skip
    (heard,) = listener().feed(Direction.FROM_DEVICE, 0, raw)
    assert heard.text == "6>17 #1 ANSWER battery: 61 %"


# --- the bench file

MOBILE = bench_path("mobile").read_text(encoding="utf-8")
PORTABLE = bench_path("portable").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "old", "new", "told"),
    [
        (MOBILE, "warn_pct = 33.0", "warn_pct = 9.0",
         "battery.least_pct: least_pct and warn_pct go together, least_pct not above it (9.0)"),
        (MOBILE, "warn_pct = 33.0", "#",
         "battery.least_pct: least_pct and warn_pct go together, least_pct not above it (None)"),
        (PORTABLE, "warn_pct = 30.0", "warn_pct = 5.0",
         "panel.battery.least_pct: least_pct and warn_pct go together, "
         "least_pct not above it (5.0)"),
        (PORTABLE, "idle_h = 8.0 ", "#",
         "panel.battery.idle_h: is missing (how long it lasts idle; simulated only)"),
        (PORTABLE, "standby_poll_ms = 500", "standby_poll_ms = 500\nbattery_poll_ms = 2000",
         "generator.battery_poll_ms: vj_ixs tells no level of a battery; only r2cp does"),
    ],
)  # fmt: skip
def test_a_mistake_about_a_battery_is_named(text: str, old: str, new: str, told: str) -> None:
    assert old in text
    with pytest.raises(ConfigError) as caught:
        bench_of(text.replace(old, new, 1), Path("mine.toml"))
    assert [one.split(": ", 1)[1] for one in caught.value.messages] == [told]
