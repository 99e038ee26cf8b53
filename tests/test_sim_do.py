"""`dxrig sim do`: every action is listed, says what it did, or says what it needs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from rig.cli import main
from rig.exit_codes import UsageError
from rig.injections import steps_of
from rig.sim_do import DONE, arguments_of, check_action
from sim.mishaps import TABLES
from sim.script import VERBS, arguments
from tests.live_bench import LiveBench, ended, live_bench


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


def test_each_action_is_in_the_help() -> None:
    told = " ".join(CliRunner().invoke(main, ["sim", "do", "--help"]).output.split())
    assert [verb for verb in VERBS if verb not in told] == []


def test_what_is_done_without_values_needs_none() -> None:
    assert [verb for verb in DONE if arguments(verb)[1]] == []


@pytest.mark.parametrize(
    ("verb", "values", "told"),
    [
        ("weld", [], 'weld needs values: dxrig sim do "weld" --set relay=VALUE'),
        ("room", [], 'room needs values: dxrig sim do "room" --set NAME=VALUE; names: '),
        ("line", ["device=room", "x=1"], "line has no 'x'; there are device, silent"),
        ("phantom", [], 'phantom needs values: dxrig sim do "phantom" --set name=VALUE'),
        ("charge battery", ["volts=1"], "charge battery has no 'volts'; there are charge"),
        ("open door", ["x=1"], "open door has no 'x'; it takes none"),
        ("kill unit", [], "'kill unit' concerns the unit, not the room; only scenarios do it"),
        ("dance", [], "no action 'dance'; there are press, "),
        ("inject", [], "inject takes exactly one value: --set id=F40"),
        ("inject", ["id=filter lst"], "no injection 'filter lst'; did you mean 'filter lost'?"),
        ("inject", ["id=F69"], "'kill unit' concerns the unit"),
        ("weld", ["relay"], "--set relay: write name=value, such as --set relay=enable"),
        (
            "optics",
            ["grid_ratio"],
            "--set grid_ratio: write name=value, such as --set grid_ratio=10",
        ),
        ("optics", ["heel"], "--set heel: write name=value, such as --set heel=true"),
        (
            "generator",
            ["chamber_dead"],
            "--set chamber_dead: write name=value, such as --set chamb",
        ),
        ("inject", ["id=none (grid)"], "'none (grid)' is no fault"),
        ("inject", ["id=None"], "'None' is no fault"),
    ],
)
def test_what_cannot_be_done_says_the_form_to_use(verb: str, values: list[str], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        check_action(verb, arguments_of(values))
    assert str(refused.value).startswith(told)


def test_every_example_is_a_value_that_is_taken() -> None:
    for table in TABLES:
        for name, injection in table.items():
            injection.check(name, arguments_of([f"{name}={injection.example()}"])[name])


def test_a_word_that_looks_like_a_number_is_a_word() -> None:
    assert arguments_of(["status_stuck=0"]) == {"status_stuck": "0"}
    assert arguments_of(["sid_mm=1500", "status_stuck=2"]) == {"sid_mm": 1500, "status_stuck": 2}


def test_an_id_of_the_catalogue_is_known_in_either_case() -> None:
    check_action("inject", {"id": "f40"})
    assert steps_of("f40", "scenario") == steps_of("F40", "scenario")


def test_it_says_what_was_done(live: LiveBench) -> None:
    assert live.run("sim", "do", "open door").stdout == DONE["open door"] + "\n"
    assert live.run("sim", "do", "close door").stdout == (
        'door is closed; the chain stays open until reset: `dxrig sim do "press reset"`\n'
    )
    done = live.run("sim", "do", "line", "--set", "device=room", "--set", "silent=false")
    assert done.stdout == 'line: device = "room", silent = false\n'
    named = live.run("sim", "do", "inject", "--set", "id=kV off")
    assert named.stdout == 'inject: id = "kV off"\n'
    live.do("heal", what="all")
    live.do("press reset")
    live.do("release reset")


def test_what_stands_in_the_beam_and_the_charge_are_changed_and_shown(live: LiveBench) -> None:
    assert json.loads(live.run("sim", "show", "--json", "io").stdout)["panel_in_beam"] is True
    shown = live.run("sim", "show", "room").stdout
    assert [line.split() for line in shown.splitlines() if "panel in beam" in line] == [
        ["panel", "in", "beam", "yes"]
    ]
    done = live.run("sim", "do", "phantom", "--set", "name=none")
    assert (done.returncode, done.stdout) == (0, 'phantom: name = "none"\n')
    assert live.run("sim", "do", "panel", "--set", "in_beam=false").returncode == 0
    assert live.run("sim", "do", "charge battery").stdout == "the battery is full\n"
    facts = live.show()
    assert (facts["phantom"], facts["panel_in_beam"], facts["battery_charge"]) == ("none", False, 1)
    refused = live.run("sim", "do", "phantom", "--set", "name=foot")
    assert refused.returncode == 2
    assert "no phantom 'foot'; there are hand, none" in refused.stderr
    live.run("sim", "do", "charge battery", "--set", "charge=0.4")
    shown = live.run("sim", "show", "room").stdout
    rows = {" ".join(line.split()) for line in shown.splitlines()}
    assert {"panel in beam no", "phantom none", "battery 40 %"} <= rows
    live.do("phantom", name="hand")
    live.do("panel", in_beam=True)
    live.do("charge battery")


def test_the_last_word_before_the_beam_went_off_is_shown(live: LiveBench) -> None:
    done = ended(live.start("expose", "--kvp", "60", "--ma", "1", "--ms", "100", "--json"))
    assert done.returncode == 0, done.stderr
    (beam,) = live.show()["beams"]
    assert set(beam["heard_us"]) == {"generator", "room", "panel"}
    assert 0 <= beam["off_us"] - beam["heard_us"]["room"] < 100_000
    assert "last word to room, ms" in live.run("sim", "show", "beams").stdout
    (reading,) = live.show()["meter"]
    assert reading["mas"] == pytest.approx(beam["mas"])
    told = live.run("sim", "show", "meter").stdout.splitlines()
    assert told[0].split("  ")[0] == "on, ms"
    assert f"{reading['kv']:.1f}" in told[1].split()


def test_the_help_names_every_phantom() -> None:
    from sim.phantoms import NAMES

    text = (
        CliRunner().invoke(main, ["sim", "do", "--help"]).output.replace(",", "").replace(".", "")
    )
    assert [name for name in NAMES if name not in text.split()] == []
