"""The shipped scenarios on every bench that ships: in its numbers, or skipped with the reason."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from pydantic import ValidationError

from hal.types import Technique
from rig.bench import Bench, bench_of, load_bench
from rig.bench_names import BENCHES
from rig.cli import main
from rig.exit_codes import ConfigError, UsageError
from rig.outcomes import Outcome, load_tasks, outcomes
from rig.scenario import SHIPPED, OffSection, Scenario, ShotSection, load_scenario
from rig.scenario_on import cannot_show, on_bench, technique_on
from tests.model_runs import NAMES, bench, scenario

BY_ITSELF = "the generator itself ends a beam by mAs, so no OFF of the unit's is what ends it"
NO_CHAMBERS = "bench mobile has no chambers (no [aec] in its file)"
NOT_ON_MOBILE = {
    **dict.fromkeys(("generator_ignores_off", "off_lost_once"), BY_ITSELF),
    **dict.fromkeys((name for name in NAMES if name.startswith("aec_")), NO_CHAMBERS),
    **dict.fromkeys(("field_off_panel", "sid_wrong"), "nothing senses its SID and field"),
}


def dxrig(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


@cache
def mobile() -> Bench:
    return load_bench("mobile")


@cache
def on_mobile() -> dict[str, Outcome]:
    files = [SHIPPED / f"{name}.toml" for name in NAMES]
    tasks = load_tasks(files, [mobile()], rung="model", seed=None, out=None)
    return {outcome.name: outcome for outcome in outcomes(tasks, jobs=1)}


@pytest.mark.parametrize("name", NAMES)
def test_each_scenario_runs_on_the_mobile_bench_or_says_why_not(name: str) -> None:
    outcome = on_mobile()[name]
    assert (outcome.error, outcome.problems) == (None, ())
    assert outcome.not_run == NOT_ON_MOBILE.get(name)
    assert {text.partition(":")[0] for text in outcome.skipped} <= {"dose_known"}


def test_a_shot_takes_what_it_does_not_say_from_the_bench() -> None:
    asked = ShotSection(beam_s=2.0)
    assert technique_on(asked, bench()) == Technique(kv=80.0, ma=0.5, mas=1.0)
    assert technique_on(asked, mobile()) == Technique(kv=80.0, ma=10.0, mas=20.0)  # story_ma
    softer = ShotSection(kv_times=0.875, ma_times=0.8, ms=800.0)
    assert technique_on(softer, bench()) == Technique(kv=70.0, ma=0.4, ms=800.0)
    own = ShotSection(kv=60.0, ma=0.3, mas=0.1)
    assert technique_on(own, mobile()) == Technique(kv=60.0, ma=0.3, mas=0.1)


def test_what_is_expected_goes_with_the_shot() -> None:
    told = on_bench(scenario("released_in_expose"), mobile())
    assert (told.expect.true_mas, told.expect.true_s) == (6.25, None)  # 0.625 s x 10 mA
    assert on_bench(told, mobile()) == told  # told once more, it is the same


def test_what_is_expected_of_an_automatic_exposure_is_the_benchs_own_table() -> None:
    expected = on_bench(scenario("aec_clean"), bench("room")).expect
    backup = on_bench(scenario("aec_chamber_dead_backup"), bench("room")).expect
    assert (expected.true_mas, backup.true_mas) == (0.442, 0.884)
    assert (expected.true_aec, backup.true_aec) == (None, None)


def test_the_charge_of_chambers_can_not_be_expected_of_another_shot(tmp_path: Path) -> None:
    file = _scenario(tmp_path, "mine", "beam_s = 1.0")
    text = file.read_text(encoding="utf-8").replace("[expect]", '[expect]\ntrue_aec = "expected"')
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"expect\.true_aec needs shot\.aec"):
        load_scenario(file)


def test_a_story_of_chambers_that_does_not_say_so_is_a_mistake_where_there_are_none() -> None:
    untold = scenario("aec_clean").model_copy(update={"needs": []})
    with pytest.raises(UsageError, match="aec: bench mobile has no chambers"):
        on_bench(untold, mobile())


def test_a_bench_that_promises_less_is_judged_by_its_promise() -> None:
    silent = scenario("generator_silent_in_beam")
    on_both = [on_bench(silent, where).expect.off for where in (bench(), mobile())]
    limits_ms = [off.ms for off in on_both if off is not None]
    assert limits_ms == [699.584, 3_045.0]  # the start's own deadline, and what the relay needs


def test_a_shot_that_the_tube_can_not_make_is_a_reason_and_no_mistake() -> None:
    weak = scenario("clean_by_time").model_copy(
        update={"shot": ShotSection(ma_times=0.4, ms=800.0)}
    )
    assert cannot_show(weak, mobile()) == (
        "its tube can't make the shot: ma = 4 mA is outside 5 to 400 mA"
    )
    text = (BENCHES / "portable.toml").read_text(encoding="utf-8").partition("[typical]")[0]
    untold = bench_of(text, Path("mine.toml"))
    with pytest.raises(ValueError, match=r"bench portable has no \[typical\] shot"):
        on_bench(scenario("clean_by_mas"), untold)


def _scenario(folder: Path, name: str, shot: str, step: str = "") -> Path:
    text = (SHIPPED / "released_in_prep.toml").read_text(encoding="utf-8")
    assert text.count("beam_s = 1.0\n") == 1
    file = folder / f"{name}.toml"
    file.write_text(text.replace("beam_s = 1.0\n", shot + "\n" + step), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("shot", "told"),
    [
        ("kv = 70.0\nkv_times = 0.5\nms = 500.0", "give kv or kv_times"),
        ("beam_s = 1.0\nms = 500.0", "one of beam_s, mas, ms and aec ends the beam"),
        ('mas = 1.0\naec = { chambers = "all" }', "one of beam_s, mas, ms and aec ends the beam"),
        ("kv = 80.0\nma = 4000.0\nms = 500.0", "ma must be"),
    ],
)
def test_a_shot_that_can_not_be_meant_is_told_before_anything_runs(
    shot: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told):
        load_tasks(
            [_scenario(tmp_path, "mine", shot)], [mobile()], rung="model", seed=None, out=None
        )


STEP = '\n[[step]]\nevent = "start"\ndo = "generator"\nargs = { wrong_echo = "CP" }\n'


def test_what_happens_on_another_wire_alone_is_skipped_here(tmp_path: Path) -> None:
    file = _scenario(tmp_path, "echo", "beam_s = 1.0", STEP)
    result = dxrig("run", str(file), "--bench", "mobile", "--json")
    (entry,) = json.loads(result.stdout)["scenarios"]
    assert result.exit_code == 0
    assert entry["not_run"].startswith("no injection 'wrong_echo' here; there are ")


def test_several_benches_make_a_table_with_the_reasons_below_it(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    words = ("released_in_prep", "off_lost_once", "--bench", "portable", "--bench", "mobile")
    result = dxrig("run", *words, "--junit", str(report))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:6] == [
        "scenario          portable  mobile",
        "released_in_prep  pass      pass",
        "off_lost_once     pass      skip",
        "",
        "skipped on mobile: off_lost_once",
        f"  {NOT_ON_MOBILE['off_lost_once']}",
    ]
    assert lines[-1].startswith("3 passed, 0 failed, 1 not run on the model rung in ")
    cases = [case.attrib for case in ET.parse(report).getroot().iter("testcase")]
    assert [(case["classname"], case["name"]) for case in cases] == [
        ("dxrig.model.portable", "released_in_prep"),
        ("dxrig.model.portable", "off_lost_once"),
        ("dxrig.model.mobile", "released_in_prep"),
        ("dxrig.model.mobile", "off_lost_once"),
    ]
    (skipped,) = ET.parse(report).getroot().iter("skipped")
    assert skipped.attrib["message"] == NOT_ON_MOBILE["off_lost_once"]


def test_all_are_the_benches_that_ship_each_once(tmp_path: Path) -> None:
    words = ("released_in_prep", "--bench", "all", "--bench", "portable")
    out = tmp_path / "kept"
    result = dxrig("run", *words, "--out", str(out), "--json")
    answer = json.loads(result.stdout)
    shipped = sorted(path.stem for path in BENCHES.glob("*.toml"))
    assert (result.exit_code, answer["benches"], answer["failed"]) == (0, shipped, 0)
    assert "bench" not in answer
    ran = [entry for entry in answer["scenarios"] if entry["not_run"] is None]
    assert [entry["folder"] for entry in ran] == [
        str(out / entry["bench"] / "released_in_prep") for entry in ran
    ]
    copy = tmp_path / "portable.toml"
    copy.write_bytes((BENCHES / "portable.toml").read_bytes())
    twice = dxrig("run", "released_in_prep", "--bench", "portable", "--bench", str(copy))
    assert (twice.exit_code, twice.stderr) == (
        2, "dxrig: 2 benches are called 'portable'; run them one by one\n",
    )  # fmt: skip


def test_a_failure_is_told_with_its_bench(tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    text = (SHIPPED / "released_in_prep.toml").read_text(encoding="utf-8")
    file.write_text(text.replace("images = 0", "images = 2"), encoding="utf-8")
    result = dxrig("run", str(file), "--bench", "mobile", "--bench", "portable")
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert [line[:21] for line in lines[:4:2]] == ["FAIL  mobile: wrong  ", "FAIL  portable: wrong"]
    assert lines[1:4:2] == ["      0 images saved, expected 2"] * 2
    assert "wrong     FAIL    FAIL" in lines


def _plain(one: Scenario) -> Scenario:
    return one.model_copy(update={"needs": []})


@pytest.mark.parametrize("on", ["mobile", "portable", "room"])
def test_stories_of_a_socket_are_skipped_where_no_capacitors_are(on: str) -> None:
    result = dxrig("run", str(SHIPPED / "socket"), "--bench", on)
    assert result.exit_code == 0, result.output
    told = result.stdout.splitlines()[:3]
    assert [line.split()[:2] for line in told] == [
        ["skip", f"socket_{name}"] for name in ("not_ready", "recharges", "runs_dry")
    ]
    assert [line.rpartition("  ")[2].strip() for line in told] == [
        "this bench has no capacitors"
    ] * 3


def test_a_need_that_is_not_met_is_a_story_that_would_not_be_seen() -> None:
    """The skip is no convenience: without it the mobile's run shows something else."""
    from rig.run_model import ModelRun

    made = ModelRun(mobile(), _plain(load_scenario(SHIPPED / "generator_ignores_off.toml")))
    assert "BEAM_OFF_NOT_CONFIRMED" not in made.run().faults()


@pytest.mark.wire
@pytest.mark.timeout(60)
def test_the_mobile_bench_exposes_over_tcp_and_says_how_far_its_wire_was_checked(
    tmp_path: Path,
) -> None:
    files = [SHIPPED / "released_in_expose.toml"]
    tasks = load_tasks(files, [mobile()], rung="wire", seed=None, out=tmp_path / "out")
    (outcome,) = outcomes(tasks, jobs=1)
    assert (outcome.error, outcome.problems) == (None, ())


def test_a_bench_that_does_better_than_it_promises_is_held_to_that() -> None:
    released = scenario("released_in_expose")
    benches = (bench(), mobile(), load_bench("industrial"))
    on_each = [on_bench(released, where).expect.off for where in benches]
    assert [off.ms for off in on_each if off is not None] == [10.0, 10.0, 120.0]


def test_no_sharper_time_makes_a_promise_longer() -> None:
    released = scenario("released_in_expose")
    off = OffSection(after="release", bound="hand", ms_on={"mobile": 500.0})
    lax = released.model_copy(update={"expect": released.expect.model_copy(update={"off": off})})
    made = on_bench(lax, mobile()).expect.off
    assert made is not None
    assert made.ms == 30.0


def test_a_sharper_time_needs_a_promise() -> None:
    with pytest.raises(ValidationError, match="ms_on sharpens a bound, and there is none"):
        OffSection(after="release", ms=15.0, ms_on={"mobile": 10.0})
