"""`dxrig sim up`: how a unit shall find the bench, told in the announcement and to people."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from rig.bench import load_bench
from rig.cli import main
from rig.commands import sim
from rig.exit_codes import UsageError
from rig.sim_server import SimServer, show
from rig.sim_show.room import VIEWS
from tests.live_bench import ended, live_bench

DAY_S = 86_400.0


def server(folder: Path, **settings: object) -> SimServer:
    """Made, and not serving."""
    return SimServer(load_bench("portable"), folder, **settings)  # type: ignore[arg-type]


def test_a_bench_is_calibrated_and_warm_unless_told_otherwise(tmp_path: Path) -> None:
    made = server(tmp_path)
    made.close()
    facts = made.announcement()
    assert (facts["uncalibrated"], facts["idle_s"]) == (False, 0.0)


def test_the_flags_stand_in_the_line_that_it_prints_and_in_its_answer(tmp_path: Path) -> None:
    with live_bench(tmp_path) as live:  # a state folder holds one bench of a name
        live.environment["XDG_STATE_HOME"] = str(tmp_path / "second")
        flags = ("--uncalibrated", "--idle", "40d", "--json")
        second = live.start("sim", "up", "--bench", "portable", *flags)
        assert second.stdout is not None
        facts = json.loads(second.stdout.readline())
        second.terminate()
        ended(second)
    assert (facts["uncalibrated"], facts["idle_s"]) == (True, 40 * DAY_S)


def test_people_are_told_what_is_not_as_usual(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unusual = server(tmp_path, uncalibrated=True, idle_s=40 * DAY_S)
    unusual.close()
    sim._tell(unusual, as_json=False)
    said = capsys.readouterr().out
    assert "The panel has no calibration set.\nThe last beam was 40 d ago.\n" in said
    usual = server(tmp_path)
    usual.close()
    sim._tell(usual, as_json=False)
    said = capsys.readouterr().out
    assert "calibration" not in said
    assert "ago" not in said


def test_the_room_shows_what_stands_in_the_beam_and_the_charge(tmp_path: Path) -> None:
    made = server(tmp_path)
    made.close()
    facts = show(made)
    assert (facts["phantom"], facts["panel_in_beam"]) == ("hand", True)
    assert facts["battery_charge"] == 0.9


@pytest.mark.parametrize(
    ("bench", "row"),
    [
        ("portable", ("battery", "90 %")),
        ("mobile", ("battery", "90 %")),
        ("mobile_socket", ("capacitors", "100 %")),
        ("room", ("supply", "mains")),
        ("cabinet", ("supply", "mains")),
        ("industrial", ("supply", "mains")),
    ],
)
def test_the_room_tells_what_feeds_its_generator(
    tmp_path: Path, bench: str, row: tuple[str, str]
) -> None:
    made = SimServer(load_bench(bench), tmp_path)
    made.close()
    assert row in VIEWS["room"](show(made))[1]


def test_whoever_joins_sees_the_faults_in_place(tmp_path: Path) -> None:
    made = server(tmp_path, faults=["filter lost", "F40"])
    made.close()
    facts = show(made)
    assert facts["faults_in_place"]["optics"] == {"lost_filtration_mm": 1.5}
    rows = [value for name, value in VIEWS["room"](facts)[1] if name == "faults in place"]
    assert "optics: lost_filtration_mm = 1.5" in rows
    plain = server(tmp_path)
    plain.close()
    assert ("faults in place", "none") in VIEWS["room"](show(plain))[1]


def test_a_fault_that_the_bench_has_not_got_is_named_alone(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as told:
        server(tmp_path, faults=["filter lost", "rotor slow", "F40"])
    assert str(told.value) == "rotor slow: this bench has no rotor (rotor_slow_us)"
    assert "filter lost" not in str(told.value)
    assert "F40" not in str(told.value)


def test_a_fault_is_known_in_either_case() -> None:
    assert [sim._fault(word) for word in ("f40", "KV OFF", "Filter lost")] == [
        "F40", "kV off", "filter lost",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["soon", "40", "3 h", "-2d"])
def test_a_time_that_is_none_is_refused_with_the_form_to_write(text: str) -> None:
    done = CliRunner().invoke(main, ["sim", "up", "--bench", "portable", f"--idle={text}"])
    assert done.exit_code == 2, done.output
    assert f"{text!r} is no duration: write a number and w, d, h or m" in done.output
