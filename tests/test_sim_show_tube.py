"""`dxrig sim show tube`: the charts of a simulated tube, with the marks of what they rest on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rig.cli import main
from sim.tube_data import shipped_tubes

ONLY_ANGLE = """[tube]
maker = "A"
model = "B"
anode = "rotating"
document = "C"

[facts]
anode_deg = { value = 12, mark = "stated", source = "sheet" }
"""


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["sim", "show", "tube", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def answer(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shown(*arguments, "--json"))
    assert found["schema"] == 1
    return found


def test_without_a_name_every_tube_is_listed_with_how_much_documents_give() -> None:
    lines = shown().splitlines()
    assert [line.split()[0] for line in lines[2:]] == shipped_tubes()
    row = next(line for line in lines if line.startswith("philips-ro-0306"))
    assert row.split() == ["philips-ro-0306", "rotating", "222", "25", "6", "-",
                           "9", "of", "10"]  # fmt: skip


def test_the_list_as_json_has_numbers() -> None:
    rows = {row["name"]: row for row in answer()["tubes"]}
    assert list(rows) == shipped_tubes()
    assert rows["ge-maxiray-100"] == {
        "name": "ge-maxiray-100", "maker": "GE", "model": "Maxiray 100", "anode": "rotating",
        "anode_heat_j": 260_000.0, "large_w": None, "small_w": None, "kv_max": 150.0,
        "facts_count": 8, "verified_count": 7,
    }  # fmt: skip


def test_every_fact_of_a_tube_is_told_with_mark_and_source() -> None:
    facts = {fact["name"]: fact for fact in answer("toshiba-e7239")["facts"]}
    assert facts["anode_cooling_w"] == {
        "name": "anode_cooling_w", "about": "what it loses at that heat", "value": 475.0,
        "mark": "memory", "verified": False, "source": "475 W",
    }  # fmt: skip
    assert facts["large_w"]["verified"] is True


def test_the_rating_chart_goes_through_the_power_of_the_sheet() -> None:
    rating = answer("varian-a-192")["rating"]
    at = rating["time_s"].index(0.1)
    assert [(f["name"], f["size_mm"], f["most_kw"][at]) for f in rating["foci"]] == [
        ("large", 1.2, 100.0), ("small", 0.6, 40.0),
    ]  # fmt: skip
    assert rating["foci"][0]["most_kw"] == sorted(rating["foci"][0]["most_kw"], reverse=True)


def test_the_cooling_chart_has_the_minutes_of_the_data_sheet() -> None:
    cooling = answer("ge-maxiray-100")["cooling"]
    minutes = {left: round(value, 1) for left, value in cooling["anode_minutes_to_pct"].items()}
    assert minutes == {"75": 1.3, "50": 3.2, "25": 6.5, "10": 10.8}
    assert cooling["housing_minutes_to_pct"]["50"] == pytest.approx(17.3, abs=0.05)
    assert (cooling["anode_pct"][0], cooling["housing_pct"][0]) == (100.0, 0.0)
    assert cooling["anode_pct"][-1] == pytest.approx(10.0)
    assert cooling["time_minutes"][-1] == pytest.approx(cooling["anode_minutes_to_pct"]["10"])


def test_without_a_housing_in_the_sheet_its_curve_is_none() -> None:
    cooling = answer("varian-a-192")["cooling"]
    of_housing = {name: value for name, value in cooling.items() if name.startswith("housing")}
    assert set(of_housing) == {
        "housing_full_j", "housing_cooling_w", "housing_pct", "housing_minutes_to_pct",
    }  # fmt: skip
    assert set(of_housing.values()) == {None}


def test_the_emission_chart_needs_more_filament_current_at_less_kv() -> None:
    emission = answer("sim-rad32")["emission"]
    assert [curve["kv"] for curve in emission["curves"]] == [40.0, 60.0, 80.0, 120.0]
    assert emission["tube_ma"][-1] == pytest.approx(400.0)
    at_400_ma = [curve["filament_a"][-1] for curve in emission["curves"]]
    assert at_400_ma == [pytest.approx(a, abs=0.001) for a in (5.143, 5.040, 5.005, 4.978)]


def test_emission_is_told_at_round_currents() -> None:
    for name, currents in (
        ("sim-rad32", ["4", "10", "40", "100", "400"]),
        ("vj-ixs120", ["0.01", "0.025", "0.1", "0.25", "1"]),
    ):
        lines = shown(name).splitlines()
        (heads,) = [line for line in lines if line.startswith("filament A for")]
        assert heads.split()[3::2] == currents


@pytest.mark.parametrize(
    ("name", "full_kj", "half_minutes"),
    [("vj-ixs120", "152", 20.8), ("sim-supply160", "1520", 41.6)],
)
def test_a_housing_without_the_heat_of_its_anode_cools_too(
    name: str, full_kj: str, half_minutes: float, tmp_path: Path
) -> None:
    cooling = answer(name)["cooling"]
    assert [value for key, value in cooling.items() if key.startswith("anode")] == [None] * 4
    assert (cooling["housing_pct"][0], cooling["housing_pct"][-1]) == (100, pytest.approx(10.0))
    assert cooling["time_minutes"][-1] == pytest.approx(cooling["housing_minutes_to_pct"]["10"])
    assert cooling["housing_minutes_to_pct"]["50"] == pytest.approx(half_minutes, abs=0.05)
    rows = [line.split() for line in shown(name, "--out", str(tmp_path / "a.svg")).splitlines()]
    assert [row[:2] for row in rows if row[:1] == ["housing"]] == [["housing", full_kj]]
    assert ["anode"] not in [row[:1] for row in rows]
    drawn = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "housing, full at first" in drawn
    assert "not in its data sheet" not in drawn
    assert "anode, full" not in drawn


def test_a_shipped_tube_is_found_in_either_case() -> None:
    assert answer("GE-Maxiray-100") == answer("ge-maxiray-100")


HUGE = (
    ONLY_ANGLE
    + """
anode_heat_j = { value = 1e7, mark = "chosen", source = "a" }
anode_cooling_w = { value = 90.0, mark = "chosen", source = "a" }
anode_cooling_order = { value = 1, mark = "chosen", source = "a" }
housing_heat_j = { value = 1e8, mark = "chosen", source = "a" }
housing_cooling_w = { value = 50.0, mark = "chosen", source = "a" }
large_mm = { value = 0.01, mark = "chosen", source = "a" }
large_w = { value = 2e5, mark = "chosen", source = "a" }
ma_max = { value = 5000.0, mark = "chosen", source = "a" }
filament_a = { value = 5.0, mark = "chosen", source = "a" }
filament_k = { value = 2600.0, mark = "chosen", source = "a" }
filament_ma = { value = 460.0, mark = "chosen", source = "a" }
filament_exponent = { value = 0.6, mark = "chosen", source = "a" }
filament_tau_s = { value = 0.4, mark = "chosen", source = "a" }
filament_standby_a = { value = 2.4, mark = "chosen", source = "a" }
space_charge_40kv_ma = { value = 1e5, mark = "chosen", source = "a" }
"""
)


def test_numbers_of_an_own_sheet_have_no_exponent(tmp_path: Path) -> None:
    (tmp_path / "huge.toml").write_text(HUGE, encoding="utf-8")
    told = shown(str(tmp_path / "huge.toml"), "--kvp", "150", "--ma", "2000", "--ms", "60000")
    assert re.findall(r"\S*[0-9]e[+-]?[0-9]\S*", told) == []
    lines = [line.split() for line in told.splitlines()]
    assert ["housing_heat_j", "100000000", "chosen", "a"] in lines
    assert ["anode", "10000", "13500"] in [line[:3] for line in lines]
    assert ["housing", "100000", "135000"] in [line[:3] for line in lines]
    assert "1250 mA" in told
    assert "18000 kJ on top of 0 kJ, and 100000 kJ is the most" in told


def test_a_space_charge_that_lets_nothing_pass_leaves_no_empty_chart(tmp_path: Path) -> None:
    weak = HUGE.replace("value = 1e5", "value = 0.1")
    (tmp_path / "weak.toml").write_text(weak, encoding="utf-8")
    assert answer(str(tmp_path / "weak.toml"))["emission"] is None


BEAM = ("--kvp", "120", "--ma", "250", "--ms", "1000")


def test_a_beam_is_judged_and_what_refuses_it_is_named() -> None:
    beam = answer("sim-rad32", *BEAM)["beam"]
    assert [one["what"] for one in beam["loads"]] == ["focal spot", "anode", "housing"]
    # 30 kW for 1 s on 21.5 kW; 30 kJ of 222 and of 1110
    assert [round(one["used_pct"]) for one in beam["loads"]] == [139, 14, 3]
    assert [told.split(":")[0] for told in beam["refused_by"]] == ["focal spot"]
    assert beam["loads"][2]["text"] == "30 kJ on top of 0 kJ, and 1110 kJ is the most"
    assert shown("sim-rad32", *BEAM).endswith("\nrefused\n")
    assert shown("sim-rad32", *BEAM[:4], "--ms", "10").endswith("\nborne\n")
    assert "beam" not in answer("sim-rad32")


def test_the_small_focus_has_the_emission_of_its_own_filament(tmp_path: Path) -> None:
    small = answer("sim-rad32", "--focus", "small")["emission"]
    assert (small["focus"], small["standby_a"], small["most_a"]) == ("small", 2.1, 4.8)
    assert small["tube_ma"][-1] == pytest.approx(250.0)
    assert [curve["kv"] for curve in small["curves"]] == [40.0, 60.0, 80.0, 120.0]
    assert answer("sim-rad32")["emission"]["focus"] == "large"
    assert answer("vj-ixs120", "--focus", "small")["emission"]["focus"] is None
    told = shown("sim-rad32", "--focus", "small", "--out", str(tmp_path / "a.svg"))
    assert "\nEmission, small focus\n" in told
    assert "40 kV           3.130   3.322    3.661  3.939    4.738\n" in told
    assert "between beams 2.1 A, at most 4.8 A" in told
    assert "Emission, small focus" in (tmp_path / "a.svg").read_text(encoding="utf-8")


def test_a_beam_that_the_filament_does_not_give_is_told_with_what_it_gives() -> None:
    words = ("--focus", "small", "--kvp", "40", "--ma", "350", "--ms", "10")
    beam = answer("sim-rad32", *words)["beam"]
    assert beam["refused_by"] == []
    assert (beam["filament"]["asked_ma"], round(beam["filament"]["most_ma"])) == (350.0, 261)
    told = shown("sim-rad32", *words)
    assert "134 %" in told
    assert told.endswith("\nborne; the filament gives no more than 261 mA\n")
    assert answer("toshiba-e7239", *BEAM)["beam"]["filament"] is None


def test_half_a_beam_and_a_focus_without_power_are_refused() -> None:
    half = CliRunner().invoke(main, ["sim", "show", "tube", "sim-rad32", "--kvp", "120"])
    assert (half.exit_code, half.stderr) == (
        2, "dxrig: a beam is --kvp, --ma and --ms together\n",
    )  # fmt: skip
    for words, told in (
        (("--kvp", "150", "--ma", "250"), "--kvp 150: the data sheet of sim-rad32 has 40 to 133"),
        (("--kvp", "30", "--ma", "250"), "--kvp 30: the data sheet of sim-rad32 has 40 to 133"),
        (("--kvp", "80", "--ma", "500"), "--ma 500: the data sheet of sim-rad32 has 0 to 400"),
    ):
        tube = ["sim", "show", "tube", "sim-rad32", *words, "--ms", "1"]
        refused = CliRunner().invoke(main, tube)
        assert (refused.exit_code, refused.stderr) == (2, f"dxrig: {told}\n")
    small = ["sim", "show", "tube", "toshiba-e7252", *BEAM, "--focus", "small"]
    done = CliRunner().invoke(main, small)
    assert done.exit_code == 2
    assert "no power of a small focal spot; there are large" in done.stderr


def test_what_the_sheet_does_not_give_is_told_and_not_drawn() -> None:
    made = answer("toshiba-e7884")
    assert (made["cooling"], made["emission"]) == (None, None)
    told = shown("toshiba-e7884")
    assert "Cooling: not in its data sheet\n" in told
    assert "Emission: not in its data sheet\n" in told


def test_people_get_tables_of_facts_rating_cooling_and_emission() -> None:
    told = shown("sim-rad32")
    lines = [line.split() for line in told.splitlines()]
    assert ["housing_heat_j", "1110000", "chosen", "GE", "Maxiray", "100"] in lines
    assert ["large,", "1.2", "mm", "36.6", "36.6", "32", "25", "21.5", "13.5"] in lines
    assert ["anode", "222", "300", "1.22", "2.95", "5.9", "9.79"] in lines
    assert ["housing", "1110", "1498", "17.3", "41.6", "83.3", "138"] in lines
    assert ["40", "kV", "3.607", "3.826", "4.207", "4.505", "5.143"] in lines
    assert told.endswith("\nbetween beams 2.4 A, at most 5.6 A\n")


def test_a_picture_says_that_it_is_simulated_and_is_the_same_each_time(tmp_path: Path) -> None:
    once, again = tmp_path / "a.svg", tmp_path / "b.svg"
    assert shown("sim-rad32", "--out", str(once)).endswith(f" A\n{once} is written.\n")
    shown("sim-rad32", "--out", str(again))
    text = once.read_text(encoding="utf-8")
    assert text == again.read_text(encoding="utf-8")
    for words in ("dxrig SIM-RAD32, as simulated", "large focus, 1.2 mm", "small focus, 0.6 mm",
                  "housing, cold at first", "120 kV", "filament current in A"):  # fmt: skip
        assert words in text
    assert "not in its data sheet" not in text


def test_a_picture_names_the_charts_that_it_lacks(tmp_path: Path) -> None:
    shown("toshiba-e7884", "--out", str(tmp_path / "a.svg"))
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "not in its data sheet: cooling, emission" in text
    shown("toshiba-e7884", "--out", str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_numbers_go_to_a_file_and_to_stdout_alike(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    told = answer("dental-d-0712", "--out", str(path))
    assert json.loads(path.read_text(encoding="utf-8")) == told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sim-rad23",), "dxrig: no tube 'sim-rad23'; did you mean sim-rad32?\n"),
        (("nowhere.toml",), "dxrig: nowhere.toml: can't be read: no such file or directory\n"),
        (("--out", "a.svg"),
         "dxrig: --out needs the NAME of a tube; `dxrig sim show tube` lists them\n"),
        (("--kvp", "80"),
         "dxrig: --kvp: needs the NAME of a tube; `dxrig sim show tube` lists them\n"),
        (("--focus", "small", "--ms", "1"), "dxrig: --ms, --focus: needs the NAME of a tube; "),
        (("sim-rad32", "--out", "a.pdf"),
         "a.pdf: write to a file that ends in .svg, .png or .json"),
        (("sim-rad32", "--out", "no/a.svg"), "--out no/a.svg: No such file or directory\n"),
        (("angle.toml", "--out", "a.svg"), "dxrig: angle: its data sheet has nothing to draw\n"),
        (("sim-rad32", "--bench", "mobile"), "No such option '--bench'"),
    ],
)  # fmt: skip
def test_what_can_not_be_shown_is_refused_with_what_would_do(
    arguments: tuple[str, ...], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("angle.toml").write_text(ONLY_ANGLE, encoding="utf-8")
    result = CliRunner().invoke(main, ["sim", "show", "tube", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    assert told in result.stderr
    assert not Path("a.svg").exists()


@pytest.mark.parametrize("name", shipped_tubes())
def test_every_tube_that_ships_can_be_shown(name: str) -> None:
    assert f"from {answer(name)['document']}\n" in shown(name)
