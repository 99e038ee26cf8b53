"""`dxrig sim show supply`: batteries and capacitors, as the models have them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rig.cli import main
from rig.sim_show.supply import NAMES
from rig.sim_show.supply_curves import SUPPLIES


def shown(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["sim", "show", "supply", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def answer(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(*arguments, "--json"))
    assert found.pop("schema") == 1
    return found


def test_a_supply_is_known_in_either_case() -> None:
    assert answer("Mobile") == answer("mobile")


def test_without_a_name_all_supplies_are_listed() -> None:
    assert tuple(SUPPLIES) == NAMES
    assert [line.split() for line in shown().splitlines()[2:]] == [
        ["monoblock", "216", "105.8", "26.4", "0", "2.05", "h"],
        ["mobile", "2041", "1000", "26.4", "40", "8.1", "h"],
        ["capacitors", "48.75", "41.44", "400", "0", "32.5", "s"],
    ]


def test_the_list_as_json_has_the_same_numbers() -> None:
    rows = {row["supply"]: row for row in answer()["supplies"]}
    assert rows["mobile"]["tube_j"] == pytest.approx(1e6)  # GE AMX-II
    assert rows["capacitors"]["full_after_s"] == pytest.approx(48_750 / 1_500)


def test_a_full_charge_of_a_mobile_is_forty_of_the_largest_shots_of_an_amx() -> None:
    """qc-and-physics.md 2.4: about 35-40 of them; ours stops at its tenth."""
    found = answer("mobile", "--kvp", "90", "--ma", "100", "--mas", "320")["exposure"]
    assert found["tube_j"] == 28_800.0
    assert found["from_full_count"] == int(0.9 * 1e6 / 28_800) == 31
    assert found["recharge_s"] == pytest.approx(28_800 / 0.49 / 70)


def test_a_bank_gives_so_many_as_it_is_ready_for() -> None:
    found = answer("capacitors", "--kvp", "80", "--ma", "200", "--mas", "240")["exposure"]
    assert found["from_full_count"] == 2  # 19.2 kJ of 41.4, and of 22.2 with a reserve
    assert found["refused_below_pct"] == pytest.approx(100 * 1.05 * 19_200 / 41_437.5, abs=0.1)
    assert answer("capacitors", "--mas", "500")["exposure"]["from_full_count"] == 0
    assert answer("capacitors", "--mas", "500")["exposure"]["recharge_s"] is None


def test_what_no_charge_gives_is_refused_at_any(tmp_path: Path) -> None:
    words = ("capacitors", "--mas", "500")
    assert answer(*words)["exposure"]["refused_below_pct"] is None
    text = shown(*words)
    assert "refused, or ended at once    at any charge\n" in text
    assert "volts                        400\n" in text
    assert shown(*words, "--out", str(tmp_path / "bank.svg")) != ""


def test_a_charger_is_told_with_what_the_standby_leaves_of_it() -> None:
    found = answer("mobile")
    assert (found["charger_w"], found["charging_w"]) == (110.0, 70.0)
    assert "charging  110 W, 70 W beside the standby, full after 8.1 h\n" in shown("mobile")
    assert "charging  29.3 W, full after 2.05 h\n" in shown("monoblock")
    assert "charging  1500 W, full after 32.5 s\n" in shown("capacitors")


def test_a_bank_is_told_with_the_volts_after_the_exposure() -> None:
    found = answer("capacitors", "--kvp", "80", "--mas", "100")["exposure"]
    assert found["after_v"] == pytest.approx((400**2 - 2 * 8_000 / 0.85) ** 0.5)
    assert "volts                        400, after it 375.7\n" in shown("capacitors")


@pytest.mark.parametrize("name", NAMES)
def test_no_line_is_longer_than_a_screen_and_no_energy_a_power_of_ten(name: str) -> None:
    text = shown(name, "--kvp", "150", "--mas", "10000")
    assert max(map(len, text.splitlines())) <= 80
    assert "10000 mAs: 1500 kJ" in text


def test_its_curves_are_volts_over_charge_and_charge_over_time() -> None:
    found = answer("monoblock")
    volts, charging = found["volts"], found["charging"]
    assert (volts["charge_pct"][0], volts["charge_pct"][-1]) == (0.0, 100.0)
    assert (volts["rest_v"][0], volts["rest_v"][10], volts["rest_v"][-1]) == pytest.approx(
        (20.0, 24.4, 26.4)
    )
    assert all(a > b for a, b in zip(volts["rest_v"], volts["loaded_v"], strict=True))
    assert charging["charge_pct"][0] == 0.0
    assert charging["charge_pct"][-1] == 100.0
    at_half = min(range(101), key=lambda index: abs(charging["charge_pct"][index] - 50))
    assert charging["time_s"][at_half] == pytest.approx(216_000 / 29.3 / 2, rel=0.02)


def test_what_is_told_names_the_exposure_and_its_price() -> None:
    text = shown("mobile", "--kvp", "80", "--ma", "400", "--mas", "100")
    assert "80 kV, 400 mA, 100 mAs: 8 kJ" in text
    assert "112 of them" in text
    assert "3.89 min" in text
    assert "26.4, under its load 23.93" in text


@pytest.mark.parametrize("ending", ["svg", "png", "json"])
@pytest.mark.parametrize("name", NAMES)
def test_it_is_drawn_or_written(tmp_path: Path, name: str, ending: str) -> None:
    out = tmp_path / f"supply.{ending}"
    assert shown(name, "--out", str(out)).endswith(f"{out} is written.\n")
    assert out.stat().st_size > 1_000
    if ending == "svg":
        text = out.read_text(encoding="utf-8")
        assert "charge in %" in text
        assert SUPPLIES[name].about in text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mobil",), "'mobil' is not one of 'monoblock', 'mobile', 'capacitors'"),
        (("--mas", "10"), "an exposure and --out need a NAME: monoblock, mobile, capacitors"),
        (("--out", "a.svg"), "an exposure and --out need a NAME"),
        (("mobile", "--mas", "nan"), "--mas"),
        (("mobile", "--out", "a.txt"), "a.txt: write to a file that ends in"),
    ],
)
def test_what_can_not_be_shown_is_refused_with_what_can(
    arguments: tuple[str, ...], told: str
) -> None:
    assert told in shown(*arguments, code=2)
