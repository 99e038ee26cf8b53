"""Automatic exposures on the command line and in a bench file: planned, refused, remembered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from firmware_py.bounds import bounds, limits
from firmware_py.config import AecConfig
from firmware_py.decide.memory import State
from firmware_py.recorder.store.aec_lock import stored_aec_lock
from rig.aec_plan import expected
from rig.bench import Bench, bench_of, load_bench
from rig.cli import main
from rig.drivers import generator_of, nobody
from rig.exit_codes import ConfigError, UsageError
from rig.exposure import Outcome
from rig.plan import asked_technique
from tests.model_runs import run
from tests.test_aec_exposure import CLEAN, DEAD, FOLDER, Room, aec_bench, auto, story

BENCH = str(FOLDER / "bench.toml")


def planned(*words: str, bench: str = BENCH) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["plan", "--bench", bench, *words])
    return done.exit_code, done.output


def answer(*words: str) -> dict[str, Any]:
    code, said = planned(*words, "--json")
    assert code == 0, said
    found: dict[str, Any] = json.loads(said)
    return found


# --- plan


@pytest.mark.req("SR-22")
def test_a_plan_shows_what_is_expected_the_back_up_and_the_ceiling_with_its_source() -> None:
    code, said = planned("--kvp", "70", "--aec", "centre", "--density", "+1")
    lines = {line[:22].strip(): " ".join(line[22:].split()) for line in said.splitlines()}
    assert code == 0
    assert lines["charge"] == "1.438 mAs"  # 1.15 mAs and a quarter
    assert lines["ended by"] == "AEC centre, density +1, sensitivity 1"
    assert lines["back-up"] == "2.876 mAs 600 mAs (law, from 51 kV on)"
    assert lines["time"].startswith("2876 ms")  # that of the back-up
    assert lines["at most, by its timer"] == "2.886 mAs"


@pytest.mark.req("SR-22")
@pytest.mark.parametrize(
    ("kvp", "source"), [("50.9", "the generator"), ("51", "law, from 51 kV on")]
)
def test_the_ceiling_changes_at_51_kv(kvp: str, source: str) -> None:
    found = answer("--kvp", kvp, "--aec", "left", "--expected-mas", "1")
    assert found["ceiling_source"] == source
    assert found["ceiling_mas"] == (640.0 if kvp == "50.9" else 600.0)


def test_a_plan_as_json_names_chambers_and_back_up_and_of_a_manual_one_none() -> None:
    found = answer("--kvp", "70", "--aec", "right+left", "--sensitivity", "3")
    assert found["effective"]["aec"] == {
        "chambers": ["left", "right"], "density_index": 0, "sensitivity_index": 3,
        "expected_mas": 0.287, "backup_mas": 0.574,
    }  # fmt: skip
    manual = answer("--kvp", "70", "--mas", "1")
    assert (manual["effective"]["aec"], manual["ceiling_mas"]) == (None, None)


def test_the_expected_mas_may_be_typed_and_make_the_back_up() -> None:
    found = answer("--kvp", "70", "--aec", "all", "--expected-mas", "1.5")
    assert found["effective"]["aec"]["chambers"] == ["left", "centre", "right"]
    assert (found["planned_mas"], found["planned_ms"]) == (3.0, 3000.0)


@pytest.mark.req("SR-05", "SR-22")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--aec", "centre", "--mas", "1"), "give one of --mas, --ms and --aec"),
        (("--aec", "centre", "--ma", "1", "--ms", "9"), "give one of --mas, --ms and --aec"),
        (("--aec", "center"), "no chamber 'center' on this bench; did you mean 'centre'?"),
        (("--aec", ""), "no chamber '' on this bench; "),
        (("--mas", "1", "--density", "1"), "--density goes with --aec"),
        (("--mas", "1", "--sensitivity", "1"), "--sensitivity goes with --aec"),
        (("--mas", "1", "--expected-mas", "1"), "--expected-mas goes with --aec"),
        (("--aec", "centre", "--density", "5"), "density must be -4 to +4"),
        (("--aec", "centre", "--sensitivity", "7"), "sensitivity = 7: this bench has 1, 2, 3"),
        (("--aec", "centre", "--expected-mas", "0"), "expected-mas must be a positive number"),
        (("--aec", "centre", "--expected-mas", "nan"), "expected-mas must be a positive number"),
        (("--aec", "centre", "--expected-mas", "700"), "expected mAs = 700 are above the ceiling"),
        (
            ("--aec", "centre", "--expected-mas", "3"),
            "back-up = 6 mAs takes 6000 ms at 1 mA, outside 10 to 4500 ms",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_there_is(words: tuple[str, ...], told: str) -> None:
    code, said = planned("--kvp", "70", *words)
    assert code == 2
    assert told in said
    done = CliRunner().invoke(main, ["expose", "--bench", BENCH, "--kvp", "70", *words])
    assert (done.exit_code, told in done.output) == (2, True)


@pytest.mark.parametrize("kvp", ["0", "nan", "-70"])
def test_a_kv_that_is_none_is_told_before_anything_is_worked_out(kvp: str) -> None:
    code, said = planned("--kvp", kvp, "--aec", "centre")
    assert (code, "kvp must be a positive number" in said) == (2, True)


@pytest.mark.req("SR-22")
def test_a_bench_without_chambers_and_a_generator_without_say_so() -> None:
    code, said = planned("--kvp", "70", "--aec", "centre", bench="portable")
    assert (code, "aec: bench portable has no chambers (no [aec] in its file)" in said) == (2, True)
    ixs = changed('driver = "r2cp"', 'driver = "vj_ixs"')
    generator = generator_of(ixs.unit.generator, nobody())
    with pytest.raises(UsageError, match="the generator of bench aec ends no beam by chambers"):
        asked_technique(ixs.unit, generator, 70.0, ma=None, mas=None, ms=None, aec=asked())
    assert limits_of(ixs).aec is None


def asked() -> Any:
    from rig.aec_plan import Asked

    return Asked(chambers="centre")


@pytest.mark.req("SR-22")
def test_a_ceiling_that_leaves_little_is_warned_of() -> None:
    site = changed("backup_pct = 200.0", "backup_pct = 200.0\nsite_mas = 1.3")
    generator = generator_of(site.unit.generator, nobody())
    from rig.plan import plan

    made = asked_technique(site.unit, generator, 70.0, ma=None, mas=None, ms=None, aec=asked())
    found = plan(site.unit, generator, made)
    assert (found.ceiling_mas, found.ceiling_source) == (1.3, "the site")
    assert found.warnings == ("the ceiling leaves a back-up of only 113% of the expected mAs",)


# --- the bench file


def changed(old: str, new: str) -> Bench:
    text = (FOLDER / "bench.toml").read_text(encoding="utf-8")
    assert old in text
    return bench_of(text.replace(old, new), Path("bench.toml"))


def limits_of(bench: Bench) -> Any:
    from tests.test_bounds import PANEL, ROOM  # what a healthy one can do

    can = generator_of(bench.unit.generator, nobody()).capabilities
    return limits(bench.unit, can, ROOM, PANEL)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('["left", "centre", "right"]', '["left", "middle"]', "aec.chambers"),
        ('["left", "centre", "right"]', "[]", "aec.chambers"),
        ("[[1, 40.0], [2, 20.0], [3, 10.0]]", "[[1, 40.0], [1, 20.0]]", "aec.cutoffs_ugy"),
        ("[[1, 40.0], [2, 20.0], [3, 10.0]]", "[[1.5, 40.0]]", "aec.cutoffs_ugy"),
        ("[[1, 40.0], [2, 20.0], [3, 10.0]]", "[[1, 0.0]]", "aec.cutoffs_ugy"),
        ("[50.0, 2.5], [70.0, 1.15]", "[70.0, 2.5], [50.0, 1.15]", "aec.expected_mas"),
        ("[50.0, 2.5]", "[50.0, 0.0]", "aec.expected_mas"),
        ("backup_pct = 200.0", "backup_pct = 201.0", "aec.backup_pct"),
        ("backup_pct = 200.0", "backup_pct = 149.0", "aec.backup_pct"),
        ("density_most_index = 4", "density_most_index = -1", "aec.density_most_index"),
        ("backup_pct = 200.0", "site_mas = 0.0", "aec.site_mas"),
        ("response_ms = 1.0", "respons_ms = 1.0", "respons_ms"),
    ],
)
def test_a_mistake_in_the_aec_table_is_told_with_its_line(old: str, new: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        changed(old, new)
    assert any(told in text and text.startswith("bench.toml:") for text in error.value.messages)


@pytest.mark.req("SR-22", "SR-23")
def test_limits_and_bounds_follow_the_table() -> None:
    found = limits_of(aec_bench())
    assert found.aec is not None
    assert (found.aec.panels, found.aec.own_mas) == (("SIM-PANEL-1",), 640.0)
    assert (found.ends_mas, found.account_us) == (True, 2_100_000)
    assert limits_of(changed('panel_id = "SIM-PANEL-1"', 'panel_id = "OTHER"')).aec.panels == (
        "OTHER",
    )
    named = changed("density_pct = 25.0", 'density_pct = 25.0\npanels = ["A", "B"]')
    assert limits_of(named).aec.panels == ("A", "B")
    portable = limits_of(load_bench("portable"))
    assert (portable.aec, portable.ends_mas, portable.account_us) == (None, False, None)


@pytest.mark.req("SR-23")
def test_what_sees_nothing_ends_at_the_longest_back_up_and_the_bound_says_so() -> None:
    from tests.test_bounds import PANEL, ROOM

    bench = aec_bench()
    can = generator_of(bench.unit.generator, nobody()).capabilities
    rows = bounds(bench.unit, can, ROOM, PANEL, bench.wiring.interlock_pair)
    (row,) = [row for row in rows if row.sr == "SR-23"]
    assert (row.goal_us, row.bound_us, row.layer) == (50_000, 4_500_000, "device timer")
    assert not row.meets_goal


ROWS = AecConfig(
    source="test", chambers=("centre",), cutoffs_ugy=((1, 40.0), (2, 10.0)),
    expected_mas=((50.0, 4.0), (100.0, 1.0)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("kv", "density", "sensitivity", "mas"),
    [
        (50.0, 0, 1, 4.0), (100.0, 0, 1, 1.0), (70.711, 0, 1, 2.0),  # straight in the logarithms
        (30.0, 0, 1, 4.0), (150.0, 0, 1, 1.0),  # beyond the table its ends count
        (100.0, 2, 1, 1.562), (100.0, -1, 1, 0.8), (100.0, 0, 2, 0.25),
    ],
)  # fmt: skip
def test_what_is_expected_follows_kv_density_and_sensitivity(
    kv: float, density: int, sensitivity: int, mas: float
) -> None:
    assert expected(ROWS, kv, density, sensitivity) == mas
    one = ROWS.model_copy(update={"expected_mas": ((80.0, 3.0),)})
    assert expected(one, kv, 0, 1) == 3.0


# --- locked from one unit to the next


@pytest.mark.req("SR-22")
def test_what_locked_aec_is_found_in_the_journal_by_the_next_unit(tmp_path: Path) -> None:
    journal = tmp_path / "state" / "journal.db"
    assert stored_aec_lock(journal) is None
    run(story(DEAD), tmp_path, on=aec_bench())
    assert stored_aec_lock(journal) == "AEC_BACKUP"
    run(story(CLEAN), tmp_path, on=aec_bench())  # after a reset, and well
    assert stored_aec_lock(journal) is None
    journal.write_bytes(b"no journal")
    assert stored_aec_lock(journal) is None  # nobody exposes with it


@pytest.mark.req("SR-22")
def test_a_unit_that_starts_locked_is_freed_by_a_reset_alone() -> None:
    room = Room()
    room.rung.kill_unit()
    room.unit = room.rung.start_unit(room._recorder, aec_lock="AEC_BACKUP")
    room.request(shot=auto("shot-9"))
    room.until(State.STANDBY)
    assert room.expose(auto("shot-9")).told() == ("AEC_LOCKED",)
    assert room.reset().expose(auto("shot-9")).last["fault"] is None


@pytest.mark.req("SR-22")
@pytest.mark.parametrize(
    ("fault", "code", "told"), [("AEC_BACKUP", 3, ["AEC_BACKUP"]), (None, 0, [])]
)
def test_a_back_up_end_is_told_and_has_the_exit_code_of_a_device(
    fault: str | None, code: int, told: list[str]
) -> None:
    outcome = Outcome(was_standby=True, exposed=True)
    reason = "fault" if fault else "planned end"
    outcome.take({"kind": "report", "beam": True, "reason": reason, "fault": fault})
    assert (outcome.exit_code, outcome.told) == (code, told)


def test_a_press_that_a_lock_refused_is_refused_for_safety() -> None:
    outcome = Outcome(was_standby=True)
    outcome.take({"kind": "refused", "because": ["AEC_LOCKED"]})
    assert (outcome.exit_code, outcome.told) == (4, ["AEC_LOCKED"])
