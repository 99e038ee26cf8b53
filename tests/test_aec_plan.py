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
from rig.bench_names import BENCHES
from rig.cli import main
from rig.drivers import generator_of, nobody
from rig.exit_codes import ConfigError, UsageError
from rig.exposure import Outcome
from rig.plan import asked_technique
from tests.model_runs import run
from tests.test_aec_exposure import CLEAN, DEAD, Room, aec_bench, auto

BENCH = "room"


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
    code, said = planned("--kvp", "50", "--ma", "10", "--aec", "centre", "--density", "+1")
    lines = {line[:24].strip(): " ".join(line[24:].split()) for line in said.splitlines()}
    assert code == 0
    assert lines["ended by"] == "AEC centre, density +1, sensitivity 1"
    assert lines["cut-off"] == "6.25 uGy at the panel"  # 5 uGy and a quarter
    assert lines["expected"] == "0.552 mAs in 55.2 ms"  # 0.442 mAs and a quarter
    assert lines["back-up"] == "1.104 mAs 640 mAs (the generator)"
    assert lines["back-up time"].startswith("110.4 ms")
    assert lines["at most, by its timer"] == "1.219 mAs"
    assert "warning" not in said


@pytest.mark.parametrize(
    ("words", "ma", "in_ms"),
    [
        (("--kvp", "50"), 22.1, 20.0),  # twenty times the circuit's response
        (("--kvp", "50", "--density", "-4"), 9.0, 20.0),
        (("--kvp", "125"), 5.0, 13.2),  # no less than the tube's least
        (("--kvp", "70", "--expected-mas", "20"), 400.0, 50.0),  # no more than its most
    ],
)
def test_without_ma_the_chambers_have_time_to_end_the_beam(
    words: tuple[str, ...], ma: float, in_ms: float
) -> None:
    found = answer(*words, "--aec", "centre")
    assert found["effective"]["ma"] == ma
    assert found["expected_ms"] == pytest.approx(in_ms, rel=0.01)


@pytest.mark.parametrize(
    ("words", "warnings"),
    [
        (("--kvp", "50", "--ma", "22.1"), []),
        (
            ("--kvp", "50", "--ma", "400"),
            ["expected in 1.1 ms, and the chambers need 1 ms to end a beam: 90% more dose "
             "than asked for; lower mA"],
        ),
        (
            ("--kvp", "125"),
            ["expected in 13.2 ms, and the chambers need 1 ms to end a beam: 8% more dose "
             "than asked for"],
        ),
    ],
)  # fmt: skip
def test_a_beam_that_is_short_for_the_chambers_is_warned_of(
    words: tuple[str, ...], warnings: list[str]
) -> None:
    assert answer(*words, "--aec", "centre")["warnings"] == warnings


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
        "expected_mas": 0.051, "backup_mas": 0.102,
    }  # fmt: skip
    assert found["cutoff_ugy"] == 1.25
    manual = answer("--kvp", "70", "--mas", "1")
    assert [manual[name] for name in ("ceiling_mas", "cutoff_ugy", "expected_ms")] == [None] * 3
    assert manual["effective"]["aec"] is None


def test_the_expected_mas_may_be_typed_and_make_the_back_up() -> None:
    found = answer("--kvp", "70", "--ma", "10", "--aec", "all", "--expected-mas", "1.5")
    assert found["effective"]["aec"]["chambers"] == ["left", "centre", "right"]
    assert (found["planned_mas"], found["planned_ms"]) == (3.0, 300.0)


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
            ("--aec", "centre", "--expected-mas", "30", "--ma", "10"),
            "back-up = 60 mAs takes 6000 ms at 10 mA, outside 1 to 4500 ms",
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
    told_a_spot = 'focus = "large"        # or "small"; [tube] has what each bears\n'
    ixs = changed('driver = "r2cp"', 'driver = "vj_ixs"', (told_a_spot, ""))
    generator = generator_of(ixs.unit.generator, nobody())
    with pytest.raises(UsageError, match="the generator of bench room ends no beam by chambers"):
        asked_technique(ixs.unit, generator, 70.0, ma=None, mas=None, ms=None, aec=asked())
    assert limits_of(ixs).aec is None


def asked() -> Any:
    from rig.aec_plan import Asked

    return Asked(chambers="centre")


@pytest.mark.req("SR-22")
def test_a_ceiling_that_leaves_little_is_warned_of() -> None:
    site = changed("backup_pct = 200.0", "backup_pct = 200.0\nsite_mas = 0.213")
    generator = generator_of(site.unit.generator, nobody())
    from rig.plan import plan

    made = asked_technique(site.unit, generator, 70.0, ma=None, mas=None, ms=None, aec=asked())
    found = plan(site.unit, generator, made)
    assert (found.ceiling_mas, found.ceiling_source) == (0.213, "the site")
    assert found.warnings == ("the ceiling leaves a back-up of only 105% of the expected mAs",)


# --- the bench file


def changed(old: str, new: str, *more: tuple[str, str]) -> Bench:
    text = (BENCHES / "room.toml").read_text(encoding="utf-8")
    for before, after in ((old, new), *more):
        assert before in text
        text = text.replace(before, after)
    return bench_of(text, Path("bench.toml"))


def limits_of(bench: Bench) -> Any:
    from tests.test_bounds import PANEL, ROOM  # what a healthy one can do

    can = generator_of(bench.unit.generator, nobody()).capabilities
    return limits(bench.unit, can, ROOM, PANEL)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('["left", "centre", "right"]', '["left", "middle"]', "aec.chambers"),
        ('["left", "centre", "right"]', "[]", "aec.chambers"),
        ("[[1, 5.0], [2, 2.5], [3, 1.25]]", "[[1, 40.0], [1, 20.0]]", "aec.cutoffs_ugy"),
        ("[[1, 5.0], [2, 2.5], [3, 1.25]]", "[[1.5, 40.0]]", "aec.cutoffs_ugy"),
        ("[[1, 5.0], [2, 2.5], [3, 1.25]]", "[[1, 0.0]]", "aec.cutoffs_ugy"),
        ("[45.0, 0.594], [50.0, 0.442]", "[50.0, 0.594], [45.0, 0.442]", "aec.expected_mas"),
        ("[50.0, 0.442]", "[50.0, 0.0]", "aec.expected_mas"),
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
    run(DEAD, tmp_path)
    assert stored_aec_lock(journal) == "AEC_BACKUP"
    run(CLEAN, tmp_path)  # after a reset, and well
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
