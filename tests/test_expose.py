"""One exposure from the command line, on a simulated bench and on a "real" one."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from firmware_py.record import read_record
from firmware_py.recorder.store.exposures import read_exposures
from rig.bench import load_bench
from rig.exit_codes import DEVICE, DONE, ENDED, REFUSED
from rig.exposure import Outcome
from rig.replay import replay
from sim.optics import Optics
from tests.live_bench import LiveBench, children_of, ended, live_bench, until

LONG = ("--kvp", "60", "--ma", "1", "--ms", "3000")
SEQUENCE = ["BOOT", "SELF_TEST", "RELEASE_WAIT", "STANDBY", "PREP", "READY", "INTERLOCK_CHECK",
            "EXPOSE", "READOUT", "RELEASE_WAIT", "STANDBY"]  # fmt: skip


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


def states(answer: dict[str, Any]) -> list[str]:
    return [row["state"] for row in answer["timeline"]]


def beams(live: LiveBench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = live.show()["beams"]
    return found


def beam_ms(live: LiveBench) -> float:
    """For how long the beam has been on, by the simulator's own word; 0 without one."""
    facts = live.show()
    return (facts["t_us"] - facts["beams"][-1]["on_us"]) / 1000 if facts["beam_on"] else 0.0


@pytest.mark.wire
@pytest.mark.e2e
def test_an_exposure_by_the_simulated_hand(live: LiveBench) -> None:
    before = len(beams(live))
    done = live.run("expose", "--kvp", "70", "--mas", "0.3", "--json", "--progress", "plain")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == [
        "schema", "run", "bench", "rung", "simulated", "end_reason", "fault", "technique",
        "measured", "timeline", "files", "faults", "exit_code",
    ]  # fmt: skip
    assert (found["bench"], found["rung"], found["simulated"]) == ("portable", "wire", True)
    assert (found["end_reason"], found["fault"], found["faults"]) == ("planned end", None, [])
    assert found["technique"] == {"kv": 70.0, "ma": 1.0, "mas": 0.3, "ms": None}
    assert states(found) == SEQUENCE
    (beam,) = beams(live)[before:]
    assert found["measured"]["mas"] == pytest.approx(beam["mas"], rel=0.05)
    assert found["measured"]["kv"] == pytest.approx(70, abs=1)
    files = ["presentation", "processing", "preview", "curve", "trace", "record"]
    assert list(found["files"]) == files
    assert all(Path(path).is_file() for path in found["files"].values())
    assert [line.split()[2] for line in done.stderr.splitlines() if "kV" not in line] == SEQUENCE
    assert "mA  indicated" in done.stderr


@pytest.mark.wire
def test_what_stands_in_the_beam_is_chosen_stays_and_is_written_down(
    live: LiveBench, tmp_path: Path
) -> None:
    chosen, later = tmp_path / "chosen", tmp_path / "later"
    short = ("expose", "--kvp", "70", "--mas", "0.3")
    try:
        live.do("optics", lift_mm=50.0)
        done = live.run(*short, "--phantom", "border", "--out", str(chosen))
        assert done.returncode == 0, done.stderr
        assert live.show()["phantom"] == "border"
        assert live.run(*short, "--out", str(later)).returncode == 0
        for folder in (chosen, later):
            manifest = json.loads((folder / "run.json").read_text())
            assert manifest["phantom"] == "border"
            assert manifest["optics"] == asdict(Optics(lift_mm=50.0))
            assert replay(folder).differences == ()
        refused = live.run(*short, "--phantom", "bordr")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert refused.stderr.endswith("star, border; did you mean 'border'?\n")
        assert live.show()["phantom"] == "border"
    finally:
        live.do("phantom", name="hand")
        live.do("optics", lift_mm=0.0)


@pytest.mark.wire
def test_its_files_go_where_they_are_wanted_and_nowhere_twice(
    live: LiveBench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = live.run("expose", "--kvp", "70", "--ma", "1", "--ms", "100", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert json.loads((out / "run.json").read_text())["end_reason"] == "planned end"
    assert f"Files in {out}" in done.stdout
    assert "Ended by: planned end" in done.stdout
    assert "STANDBY" in done.stdout
    again = live.run("expose", "--kvp", "70", "--ma", "1", "--ms", "100", "--out", str(out))
    assert again.returncode == 2
    assert again.stderr == f"dxrig: {out}: is not empty; name a new or an empty folder\n"


@pytest.mark.wire
def test_an_answer_that_cannot_be_written_says_where_the_run_is(
    live: LiveBench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = f"exec '{sys.executable}' -m rig expose --kvp 70 --mas 0.3 --out {out} >/dev/full"
    done = subprocess.run(
        ["sh", "-c", command], env=live.environment, capture_output=True, text=True, timeout=60
    )
    told = f"the output can't be written (no space left on device); the run is in {out}"
    assert (done.returncode, done.stderr) == (3, f"dxrig: {told}\n")
    assert json.loads((out / "run.json").read_text())["end_reason"] == "planned end"


@pytest.mark.wire
def test_the_tube_of_the_next_exposure_is_as_warm_as_this_one_left_it(
    live: LiveBench, tmp_path: Path
) -> None:
    """What the unit believes at its start stands in the record, and a replay believes it too."""
    heats_j = []
    for name in ("first", "second"):
        out = tmp_path / name
        done = live.run("expose", "--kvp", "60", "--ma", "1", "--ms", "200", "--out", str(out))
        assert done.returncode == 0, done.stderr
        heats_j.append(read_record(out / "record.bin")[0]["heat_j"])
        assert replay(out).differences == ()
    journal = read_exposures(live.state / "journal.db")[-2]
    assert journal.mas is not None
    tau_s = load_bench("portable").unit.tube.cooling_tau_s
    left_j = [(heats_j[0] + 60 * journal.mas) * math.exp(-age_s / tau_s) for age_s in (60, 0)]
    assert left_j[0] < heats_j[1] < left_j[1]


@pytest.mark.wire
def test_ctrl_c_in_the_beam_ends_it_in_the_ordinary_way(live: LiveBench) -> None:
    before = len(beams(live))
    process = live.start("expose", *LONG, "--json")
    until(lambda: beam_ms(live) >= 300.0)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    found = json.loads(done.stdout)
    assert (done.returncode, found["exit_code"], found["end_reason"]) == (
        130,
        130,
        "stop requested",
    )
    (beam,) = beams(live)[before:]
    assert beam["mas"] < 2
    assert found["measured"]["mas"] == pytest.approx(beam["mas"], abs=0.1)
    assert {"presentation", "processing"} <= set(found["files"])
    newest = read_exposures(live.state / "journal.db")[-1]
    assert (newest.missing, newest.reason) == (None, "stop requested")
    assert children_of(live.folder) == []


@pytest.mark.wire
def test_ctrl_c_before_the_unit_runs_is_told_and_ends_with_130(
    live: LiveBench, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = live.start("expose", *LONG, "--out", str(out))
    until((out / "work" / "recorder.json").is_file)
    process.send_signal(signal.SIGINT)
    done = ended(process)
    assert (done.returncode, done.stdout) == (130, "")
    told = f"dxrig: ended by the operator before the unit ran; run folder: {out}\n"
    assert done.stderr == told
    assert children_of(live.folder) == []


@pytest.mark.wire
@pytest.mark.req("SR-52")
def test_a_killed_session_leaves_a_safe_room_and_a_whole_record(live: LiveBench) -> None:
    process = live.start("expose", *LONG, "--json")
    until(lambda: live.show()["beam_on"])
    process.kill()
    ended(process)
    until(lambda: not live.show()["beam_on"], within_s=2)
    until(lambda: children_of(live.folder) == [])
    shown = live.show()
    assert shown["relays"] == {"enable": False, "contactor": False}
    assert [name for name, on in shown["coils"].items() if on] == []
    newest = read_exposures(live.state / "journal.db")[-1]
    assert (newest.missing, newest.reason) == (None, "stop requested")
    assert live.run("recover").returncode == 0
    live.do("release")


@pytest.mark.wire
def test_stop_from_another_terminal_ends_the_beam(live: LiveBench) -> None:
    process = live.start("expose", *LONG, "--json")
    until(lambda: live.show()["beam_on"])
    told = live.run("stop", "--json")
    done = ended(process)
    assert (told.returncode, json.loads(told.stdout)["state"]) == (0, "READOUT")
    assert done.returncode == 130
    assert json.loads(done.stdout)["end_reason"] == "stop requested"


@pytest.mark.wire
def test_inhibits_are_told_with_what_to_do_and_nobody_presses(live: LiveBench) -> None:
    before = len(beams(live))
    live.do("open door")
    done = live.run("expose", "--kvp", "60", "--mas", "0.3")
    live.do("close door")
    live.do("press reset")
    live.do("release reset")
    assert done.returncode == 4
    assert done.stderr.splitlines() == [
        "dxrig: The door is open. Close the door. Contact: room input 2 (door), 1 = closed.",
        "dxrig: The hard-wired safety chain is open. Close door and e-stop, press reset. "
        "Safety relay: room input 4 (chain).",
    ]
    assert "PREP" not in done.stdout
    assert len(beams(live)) == before


@pytest.mark.wire
def test_a_technique_out_of_range_starts_nothing(live: LiveBench) -> None:
    done = live.run("expose", "--kvp", "200", "--mas", "0.3")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "dxrig: kvp = 200 kV is outside 30 to 120 kV\n"


@pytest.mark.wire
@pytest.mark.e2e
def test_a_real_bench_is_exposed_by_a_person_who_is_told_what_to_press(live: LiveBench) -> None:
    """The simulator's ports as a real bench: no announcement is used, the hand is ours."""
    file = live.bench_file("mine")
    live.calibrate(file)
    process = live.start(
        "expose", "--bench", str(file), "--kvp", "60", "--mas", "0.3", "--allow-exposure", "--json"
    )
    read = _reader(process.stderr)
    read("press stage 1")
    live.do("press", stage=1)
    read("ready: now press stage 2")
    live.do("press", stage=2)
    read("the beam has ended: release")
    live.do("release")
    done = ended(process)
    found = json.loads(done.stdout)
    assert (done.returncode, found["rung"], found["simulated"]) == (0, "bench", False)
    assert found["end_reason"] == "planned end"


@pytest.mark.wire
def test_released_before_the_beam_is_the_operators_end(live: LiveBench) -> None:
    before = len(beams(live))
    process = live.start("expose", *LONG, "--hand", "none", "--json")
    read = _reader(process.stderr)
    read("press stage 1")
    live.do("press", stage=1)
    read("now press stage 2")
    live.do("release")
    done = ended(process)
    found = json.loads(done.stdout)
    assert (done.returncode, found["end_reason"]) == (130, "ended before the beam")
    assert len(beams(live)) == before


@pytest.mark.wire
def test_nobody_at_the_handswitch_is_not_waited_for_for_ever(live: LiveBench) -> None:
    done = live.run("expose", *LONG, "--hand", "none", "--wait-s", "3")
    assert done.returncode == 130
    assert "dxrig: nobody pressed the handswitch in time" in done.stderr


@pytest.mark.wire
def test_a_held_handswitch_is_waited_for_no_longer_than_asked(live: LiveBench) -> None:
    live.do("press", stage=1)
    start_s = time.monotonic()
    done = live.run("expose", *LONG, "--hand", "none", "--wait-s", "3")
    took_s = time.monotonic() - start_s
    live.do("release")
    assert done.returncode == 130
    assert "dxrig: the handswitch was not released in time" in done.stderr
    assert took_s < 15


@pytest.mark.wire
def test_the_simulated_hand_lets_go_of_what_a_killed_run_left_pressed(live: LiveBench) -> None:
    live.do("press", stage=2)
    done = live.run("expose", "--kvp", "70", "--mas", "0.3")
    assert done.returncode == 0
    assert done.stderr == "dxrig: the simulated handswitch was still pressed: released\n"


def _reader(stream: Any) -> Callable[[str], None]:
    def read(words: str) -> None:
        for line in stream:
            if words in line:
                return
        raise AssertionError(f"never told: {words}")

    return read


@pytest.mark.wire
def test_a_second_simulator_of_a_bench_is_refused(live: LiveBench) -> None:
    done = live.run("sim", "up", "--bench", "portable", "--json")
    message = json.loads(done.stdout)["error"]["message"]
    assert done.returncode == 3
    assert f"runs already (process {live.process.pid})" in message
    assert "XDG_STATE_HOME=FOLDER dxrig sim up" in message
    assert live.run("sim", "show").returncode == 0


# --- an exposure of an earlier run


@pytest.mark.wire
@pytest.mark.req("SR-53")
def test_a_unit_killed_in_the_beam_is_reported_until_somebody_has_looked(tmp_path: Path) -> None:
    with live_bench(tmp_path) as live:
        process = live.start("expose", *LONG)
        until(lambda: live.show()["beam_on"])
        os.kill(json.loads((live.state / "unit.json").read_text())["pid"], signal.SIGKILL)
        done = ended(process)
        assert done.returncode == 3
        assert "the unit process was killed (SIGKILL). Without the unit the outputs" in done.stderr
        assert "drop by their relay pulse: kV off within" in done.stderr
        assert "recorded as incomplete: dose missing, dose unknown, at most " in done.stderr
        assert "Next: `dxrig recover --bench portable` (run folder: " in done.stderr
        until(lambda: not live.show()["beam_on"], within_s=2)
        refused = live.run("expose", "--kvp", "60", "--mas", "0.3")
        listed = live.run("recover", "--json")
        (found,) = json.loads(listed.stdout)["open"]
        shot_id = found["shot_id"]
        (row,) = read_exposures(live.state / "journal.db")
        dose = f"unknown, at most {row.at_most_mas:g} mAs, by the last readings"
        assert (found["missing"], found["dose"]) == ("dose", dose)
        (beam,) = live.show()["beams"]
        assert row.at_most_mas < beam["mas"] + 0.6  # the relay pulse lapses within half a second
        assert found["technique"] == {"kv": 60.0, "ma": 1.0, "mas": None, "ms": 3000.0}
        assert (refused.returncode, listed.returncode) == (4, 1)
        assert refused.stderr == (
            f"dxrig: an exposure of an earlier run is incomplete ({shot_id}: dose missing, dose "
            f"{dose}); look at it with `dxrig recover --bench portable`, then acknowledge it "
            "there\n"
        )
        _acknowledge(live, shot_id)


def _acknowledge(live: LiveBench, shot_id: str) -> None:
    told = live.run("recover").stdout
    assert "unknown, at most " in told
    assert "60 kV 1 mA 3000 ms" in told
    nameless = live.run("recover", "--acknowledge", shot_id, "--why", "a test")
    assert (nameless.returncode, nameless.stderr) == (
        2, "dxrig: --acknowledge: say --who does it and --why\n",
    )  # fmt: skip
    wrong = live.run("recover", "--acknowledge", "x-1", "--who", "A", "--why", "a test")
    assert (wrong.returncode, wrong.stderr) == (
        2, f"dxrig: no incomplete exposure 'x-1'; open: {shot_id}\n",
    )  # fmt: skip
    assert live.run("recover", "--acknowledge", shot_id, "--who", "A", "--why", "x").returncode == 0
    (row,) = read_exposures(live.state / "journal.db")
    assert (row.acknowledged_by, row.acknowledged_why, row.mas) == ("A", "x", None)
    live.do("release")
    live.do("press reset")
    live.do("release reset")
    assert live.run("expose", "--kvp", "60", "--mas", "0.3").returncode == 0


# --- what each end means


def report(reason: str, *, beam: bool = True, fault: str | None = None) -> dict[str, Any]:
    return {"kind": "report", "reason": reason, "beam": beam, "fault": fault}


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome(report=report("planned end")), DONE),
        (Outcome(report=report("planned end"), faults=["FRAME_MISSING"]), DEVICE),
        (Outcome(report=report("handswitch released")), ENDED),
        (Outcome(report=report("stop requested")), ENDED),
        (Outcome(report=report("fault", fault="ARC"), faults=["ARC"]), DEVICE),
        (Outcome(report=report("fault", fault="DOOR_OPEN"), faults=["DOOR_OPEN"]), DEVICE),
        (Outcome(report=report("generator refused", beam=False)), DEVICE),
        (Outcome(report=report("ended before the beam", beam=False)), ENDED),
        (Outcome(report=report("ended before the beam", beam=False, fault="DOOR_OPEN")), REFUSED),
        (Outcome(report=report("ended before the beam", beam=False, fault="INTENT_NOT_DURABLE")),
         REFUSED),
        (Outcome(report=report("ended before the beam", beam=False, fault="PANEL_NOT_READY")),
         DEVICE),
        (Outcome(state="FAULT", faults=["ESTOP"]), REFUSED),
        (Outcome(state="FAULT", faults=["SELF_TEST_TIMEOUT", "PANEL_LINK_LOST"]), DEVICE),
        (Outcome(refused=["DOOR_OPEN"]), REFUSED),
        (Outcome(inhibits=["DISK"]), REFUSED),
        (Outcome(timed_out=True), ENDED),
        (Outcome(interrupted=True, report=report("planned end")), ENDED),
    ],
)  # fmt: skip
def test_each_end_has_its_exit_code(outcome: Outcome, code: int) -> None:
    assert outcome.exit_code == code
