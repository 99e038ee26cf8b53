"""The fault catalogue as data: complete, honest, and usable by scenario, simulator and test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from rig.bench import load_bench
from rig.cli import main
from rig.exit_codes import ConfigError
from rig.injections import (
    CLASSES,
    FILE,
    IDS,
    known_injection,
    load_injections,
    shipped_injections,
    steps_of,
)
from rig.matrix.bounds import BOUNDS, bounded, parts_of
from rig.model import ModelRung
from rig.outcomes import load_tasks
from rig.scenario import SHIPPED, load_scenario
from rig.sim_server import SimServer
from rig.unit_states import STATES
from sim.generator import MonoblockModel
from sim.script import NotOnThisBenchError, ScriptError, do
from tests.injections import Inject
from tests.injections import inject as inject
from tests.model_runs import bench, pixels, run

GOOD = """\
[[injection]]
id = "F31"
title = "Window ends early"
component = "panel"
type = ["wrong"]
classes = "ET"
bound = "panel"
how = [{ do = "panel", args = { window_ends_after_us = 200000 } }]
expect.default = "WINDOW_ENDED"
"""


def mistakes(folder: Path, text: str) -> list[str]:
    file = folder / "planted.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as found:
        load_injections(file)
    return [message.partition("planted.toml:")[2] for message in found.value.messages]


# --- complete and honest


def test_every_row_of_the_catalogue_stands_in_the_file_once_and_in_order() -> None:
    assert tuple(shipped_injections()) == IDS
    assert len(IDS) == 110


def test_at_least_sixty_injections_run() -> None:
    assert sum(row.runs for row in shipped_injections().values()) >= 60


def test_what_does_not_run_names_a_component_that_is_not_there() -> None:
    absent = [row for row in shipped_injections().values() if not row.runs]
    words = ("no ", "one ", "the handswitch is wired", "refused before", "the panel has no")
    odd = [row.id for row in absent if not row.not_applicable.startswith(words)]
    assert odd == []


def test_a_state_is_left_out_only_with_a_reason() -> None:
    for row in shipped_injections().values():
        assert all(len(reason) > 10 for reason in row.except_in.values()), row.id


def test_a_good_row_is_read(tmp_path: Path) -> None:
    file = tmp_path / "good.toml"
    file.write_text(GOOD)
    row = load_injections(file)["F31"]
    assert row.expected("EXPOSE", "early") == "WINDOW_ENDED"
    assert row.reason_not_in("EXPOSE") is None


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("F31", "F131", "2: injection[0].id: no id 'F131'; did you mean 'F31'?"),
        ("window_ends_after_us", "window_end", "8: injection[0].how[0]: F31: panel has no "),
        ('do = "panel"', 'do = "pannel"', "8: injection[0].how[0]: F31: no action 'pannel'; did"),
        ("WINDOW_ENDED", "WINDOW_END", "9: injection[0].expect.default: F31: unknown word 'WIN"),
        ('"panel"\nhow', '"pannel"\nhow', "7: injection[0].bound: F31: unknown word 'pannel'; did"),
        ('"ET"', '"EX"', "6: injection[0].classes: F31: unknown word 'X'; known: E, L, P, R, T"),
        ('["wrong"]', '["wrongly"]', "5: injection[0].type: F31: unknown word 'wrongly'; did you"),
        ('bound = "panel"\n', "", "1: injection[0].bound: F31: class E needs a bound; known: han"),
        ("expect.default", "expect.READI", "9: injection[0].expect: F31: unknown word 'READI'; d"),
        ("title", "titel", "3: injection[0].titel: unknown key; did you mean 'title'?"),
    ],
)
def test_a_mistake_is_told_with_line_field_and_nearest_word(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    found = mistakes(tmp_path, GOOD.replace(before, after))
    assert any(message.startswith(told) for message in found), found


def test_a_row_twice_and_a_row_that_says_nothing_are_mistakes(tmp_path: Path) -> None:
    twice = mistakes(tmp_path, GOOD + "\n" + GOOD)
    assert twice == ["12: injection[1].id: F31 stands here twice"]
    bare = "\n".join(line for line in GOOD.splitlines() if not line.startswith(("how", "expect")))
    assert any("neither how it is done nor why" in text for text in mistakes(tmp_path, bare))


def test_a_row_that_can_not_run_has_no_steps(tmp_path: Path) -> None:
    found = mistakes(tmp_path, GOOD + 'not_applicable = "no panel"\n')
    assert any("has neither steps nor expectations" in text for text in found)


def test_every_bound_can_be_reckoned_and_is_longer_than_nothing() -> None:
    parts = parts_of(bench())
    technique = run("clean_by_mas")[0].shot.technique
    for name in BOUNDS:
        bound = bounded(name, parts, technique)
        assert 20_000 <= bound.bound_us <= 10_000_000, name  # us-compare: durations


# --- in a scenario

SCENARIO = (SHIPPED / "clean_by_mas.toml").read_text()
STEP = '\n[[step]]\nevent = "start"\ndo = "inject"\nargs = { id = "F40" }\n\n[expect]'


@pytest.mark.req("F40")
def test_a_scenario_injects_a_row_by_its_id(tmp_path: Path) -> None:
    file = tmp_path / "wrong_panel.toml"
    file.write_text(SCENARIO.replace("\n[expect]", STEP))
    scenario = load_scenario(file)
    assert [step.do for step in scenario.steps()][-1] == "panel"
    _, seen = run(scenario)
    assert [line["because"] for line in seen.of("refused")] == [["PANEL_WRONG"]]
    assert seen.beams == []


def test_a_scenario_injects_a_fault_by_its_name(tmp_path: Path) -> None:
    file = tmp_path / "less_filter.toml"
    file.write_text(SCENARIO.replace("\n[expect]", STEP.replace("F40", "filter lost")))
    step = load_scenario(file).steps()[-1]
    assert (step.event, step.do, step.args) == ("start", "optics", {"lost_filtration_mm": 1.5})


@pytest.mark.parametrize(
    ("injection_id", "told"),
    [
        ("none", "'none' is no fault"),
        ("F19", "'tube heat' concerns unit or recorder; run it with: dxrig matrix --only F19"),
        ("F75", "'recorder' concerns unit or recorder; run it with: dxrig matrix --only F75"),
        ("F11O", "no injection 'F11O'; did you mean 'F"),
    ],
)
def test_a_scenario_with_an_injection_that_it_can_not_do_is_an_error(
    tmp_path: Path, injection_id: str, told: str
) -> None:
    file = tmp_path / "planted.toml"
    file.write_text(SCENARIO.replace("\n[expect]", STEP.replace("F40", injection_id)))
    with pytest.raises(ConfigError, match=r"planted\.toml:\d+: step\[3\]\.args") as found:
        load_scenario(file)
    assert told in str(found.value)


def test_inject_takes_an_id_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "planted.toml"
    file.write_text(SCENARIO.replace("\n[expect]", STEP.replace("id =", "fault =")))
    with pytest.raises(ConfigError, match="inject takes exactly one value"):
        load_scenario(file)


def test_a_mistake_behind_an_injection_of_two_steps_is_told_with_its_own_line(
    tmp_path: Path,
) -> None:
    wrong = '\n[[step]]\nevent = "EXPOSE"\ndo = "trip generator"\nargs = { bit = "nonsense" }\n'
    text = SCENARIO.replace("\n[expect]", STEP.replace("F40", "F54"))
    text = text.replace("\n[expect]", wrong + "\n[expect]")
    file = tmp_path / "planted.toml"
    file.write_text(text)
    line = text.splitlines().index('args = { bit = "nonsense" }') + 1
    with pytest.raises(ConfigError, match=rf"planted\.toml:{line}: step\[4\]\.args"):
        load_tasks([file], [bench()], rung="model", seed=None, out=None)


# --- at the start of a simulated bench


def test_a_bench_starts_with_a_fault_and_says_so(tmp_path: Path) -> None:
    server = SimServer(load_bench("portable"), tmp_path, faults=["F40"])
    server.close()
    assert server.announcement()["faults"] == ["F40"]
    assert server.world.panel.panel_id == "OTHER-PANEL"


@pytest.mark.parametrize(
    ("injection_id", "told"),
    [
        ("F10", "'arc' happens at a moment and is no lasting fault"),
        ("F54", "'press e-stop' happens at a moment"),
        ("F13", "this bench has no rotor (rotor_stuck)"),
        ("F86", "'recorder' concerns unit or recorder"),
        ("F999", "no injection 'F999'"),
        ("filter lst", "no injection 'filter lst'; did you mean 'filter lost'?"),
        ("x", "no injection 'x'; there are F01 to F110, and the names of dxrig sim show faults"),
        ("none", "'none' is no fault"),
        ("rotor slow", "this bench has no rotor (rotor_slow_us)"),
    ],
)
def test_a_fault_that_a_bench_can_not_start_with_is_a_usage_error(
    injection_id: str, told: str
) -> None:
    done = CliRunner().invoke(main, ["sim", "up", "--bench", "portable", "--fault", injection_id])
    assert done.exit_code == 2, done.output
    assert told in done.output


def test_a_bench_starts_with_a_fault_by_its_name(tmp_path: Path) -> None:
    server = SimServer(load_bench("portable"), tmp_path, faults=["filter lost"])
    server.close()
    assert server.world.tube_filter.lost_filtration_mm == 1.5


# --- in a room that runs


@pytest.fixture
def room(tmp_path: Path) -> Iterator[SimServer]:
    server = SimServer(load_bench("portable"), tmp_path)
    yield server
    server.close()


def test_a_fault_is_injected_into_a_room_by_its_name_and_by_its_id(room: SimServer) -> None:
    room._do_do({"verb": "inject", "args": {"id": "filter lost"}})
    assert room.world.tube_filter.lost_filtration_mm == 1.5
    room._do_do({"verb": "inject", "args": {"id": "F40"}})
    assert room.world.panel.panel_id == "OTHER-PANEL"


def test_later_steps_of_an_injection_follow_at_their_time(room: SimServer) -> None:
    room._do_do({"verb": "inject", "args": {"id": "F54"}})
    room.world.advance(95_000)
    assert room.world.wiring.contacts["estop"] is False
    room.world.advance(105_000)
    assert room.world.wiring.contacts["estop"] is True


# --- in a test


@pytest.mark.req("F01")
def test_the_fixture_does_what_the_row_says(inject: Inject) -> None:
    rung = ModelRung(bench(), pixels=pixels())
    assert isinstance(rung.world.generator, MonoblockModel)
    assert rung.world.generator.ignore_off is False
    inject(rung, "F01")
    assert rung.world.generator.ignore_off is True


def test_the_fixture_takes_a_fault_by_its_name(inject: Inject) -> None:
    rung = ModelRung(bench(), pixels=pixels())
    inject(rung, "filter lost")
    assert rung.world.tube_filter.lost_filtration_mm == 1.5


@pytest.mark.req("F54")
def test_the_fixture_does_later_steps_at_their_time(inject: Inject) -> None:
    rung = ModelRung(bench(), pixels=pixels())
    inject(rung, "F54")
    rung.pass_time(95_000)
    assert rung.world.wiring.contacts["estop"] is False
    rung.pass_time(10_000)
    assert rung.world.wiring.contacts["estop"] is True


def test_the_fixture_refuses_what_the_room_has_not(inject: Inject) -> None:
    with pytest.raises(NotOnThisBenchError, match=r"this bench has no rotor"):
        inject(ModelRung(bench(), pixels=pixels()), "F24")


def test_a_row_for_some_benches_may_have_steps_and_they_are_checked(tmp_path: Path) -> None:
    bare = "\n".join(line for line in GOOD.splitlines() if not line.startswith("expect"))
    absent = bare + '\nnot_applicable = "no chambers"\nonly_with = "aec"\n'
    file = tmp_path / "sound.toml"
    file.write_text(absent)
    assert load_injections(file)["F31"].runs is False
    wrong = absent.replace('do = "', 'do = "un', 1)
    assert any("no action" in text for text in mistakes(tmp_path, wrong))


def test_a_bench_without_chambers_does_not_start_with_dead_ones() -> None:
    done = CliRunner().invoke(main, ["sim", "up", "--bench", "portable", "--fault", "F18"])
    assert (done.exit_code, "F18 (AEC line stuck or noisy): bench portable has no chambers" in
            done.output) == (2, True)  # fmt: skip


def test_a_room_without_chambers_says_that_it_has_none() -> None:
    (step,) = steps_of("F18", "scenario")
    with pytest.raises(ScriptError, match="this bench has no chambers"):
        do(ModelRung(bench(), pixels=pixels()).world, step.do, step.args)


def test_rows_know_classes_and_states() -> None:
    for row in shipped_injections().values():
        assert set(row.classes) <= set(CLASSES)
        assert all(row.reason_not_in(state) != "" for state in STATES)
    assert known_injection("F31").title == "Window ends early"
    assert FILE.name == "injections.toml"
    assert steps_of("F31", "start")[0].do == "panel"
