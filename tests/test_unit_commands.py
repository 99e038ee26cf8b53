"""status, stop and reset against a unit that runs; and that nothing on its bus starts a beam."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from firmware_py.record import read_record
from hal.bus import BusClient
from rig.cli import main
from rig.exit_codes import ConfigError, DeviceError
from rig.unit_client import RunningUnit, bench_name, publish, read_unit, withdraw
from rig.unit_view import tell_status
from tests.live_bench import PORTABLE, ROOT, LiveBench, children_of, ended, live_bench, until

HEAVY = ("numpy", "pydicom", "pydantic", "matplotlib", "rich", "serial", "pymodbus")
pytestmark = pytest.mark.wire


class Standing:
    """A unit that waits in STANDBY for a person, on a simulated bench."""

    def __init__(self, bench: LiveBench) -> None:
        self.bench = bench
        self.process = bench.start(
            "expose", "--kvp", "60", "--ma", "1", "--ms", "3000",
            "--hand", "none", "--wait-s", "300", "--json",
        )  # fmt: skip
        self.until("STANDBY")

    def state(self) -> str:
        return str(self.bench.status().get("state"))

    def until(self, state: str) -> None:
        until(lambda: self.state() == state)

    def ask(self, kind: str, **facts: Any) -> dict[str, Any]:
        unit = read_unit(self.bench.state)
        assert unit is not None
        client = BusClient(unit["bus"])
        try:
            return client.ask({"schema": 1, "kind": kind, **facts})
        finally:
            client.close()

    def record(self) -> bytes:
        """Every byte that the unit has sent to the generator."""
        unit = read_unit(self.bench.state)
        assert unit is not None
        _, scans, _ = read_record(Path(unit["folder"]) / "record.bin")
        return b"".join(scan.sent.get("generator", b"") for scan in scans)

    def end(self) -> subprocess.CompletedProcess[str]:
        self.process.terminate()
        return ended(self.process)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with live_bench(tmp_path_factory.mktemp("bench")) as bench:
        unit = Standing(bench)
        try:
            yield unit
        finally:
            unit.end()


# --- status


def test_status_tells_the_state_and_each_device(standing: Standing) -> None:
    found = standing.bench.status()
    assert (found["schema"], found["bench"], found["state"]) == (1, "portable", "STANDBY")
    assert (found["faults"], found["inhibits"], found["reset_waits_for"]) == ([], [], [])
    assert found["generator"]["state"] == "standby"
    assert found["panel"] == {
        "state": "idle", "panel_id": "SIM-PANEL-1", "battery_pct": 100,
    }  # fmt: skip
    assert found["room"]["key"] is True
    assert found["recorder"]["incomplete_count"] == 0
    assert found["shot"]["technique"] == {
        "kv": 60.0, "ma": 1.0, "mas": None, "ms": 3000.0, "aec": None,
    }  # fmt: skip


def test_status_says_why_a_press_would_be_refused(standing: Standing) -> None:
    standing.bench.do("open door")
    until(lambda: standing.bench.status()["inhibits"])
    done = standing.bench.run("status")
    standing.bench.do("close door")
    standing.bench.do("press reset")
    standing.bench.do("release reset")
    assert done.returncode == 0
    assert (
        "a press would be refused: The door is open. Close the door. "
        "Contact: room input 2 (door), 1 = closed."
    ) in done.stdout.splitlines()
    until(lambda: standing.bench.status()["inhibits"] == [])


@pytest.mark.parametrize("command", ["status", "stop", "reset"])
def test_what_must_answer_at_once_loads_nothing_heavy(standing: Standing, command: str) -> None:
    script = (
        "import sys\nfrom rig.cli import main\n"
        f"try: main([{command!r}])\n"
        "except SystemExit as end: print('CODE', end.code)\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, env=standing.bench.environment, capture_output=True, text=True, timeout=30,
        check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-2:] == ["CODE 0", "HEAVY []"]


def test_stop_costs_at_most_fifteen_times_the_processor_time_of_a_bare_python(
    standing: Standing,
) -> None:
    """It takes about thirteen; seconds would judge the machine and its load."""
    bare_s, stop_s = [], []
    for _ in range(3):
        bare_s.append(_cost_s(lambda: subprocess.run([sys.executable, "-c", ""], check=False)))
        stop_s.append(_cost_s(lambda: standing.bench.run("stop")))
    assert min(stop_s) < 15 * min(bare_s)


def _cost_s(run: Callable[[], subprocess.CompletedProcess[Any]]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run().returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


# --- stop and reset


def test_stop_ends_nothing_in_standby_and_may_be_repeated(standing: Standing) -> None:
    for _ in range(2):
        done = standing.bench.run("stop", "--json")
        assert json.loads(done.stdout)["state"] == "STANDBY"
        assert done.returncode == 0


def test_a_reset_with_nothing_latched_is_done(standing: Standing) -> None:
    done = standing.bench.run("reset", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["reset"] is True
    standing.until("STANDBY")


@pytest.mark.req("SR-41")
def test_a_reset_waits_for_its_cause_and_names_it(standing: Standing) -> None:
    standing.bench.do("press e-stop")
    standing.until("FAULT")
    refused = standing.bench.run("reset")
    told = standing.bench.run("status").stdout
    standing.bench.do("pull e-stop")
    standing.bench.do("press reset")
    standing.bench.do("release reset")
    standing.bench.run("reset")
    standing.until("STANDBY")
    assert refused.returncode == 4
    assert refused.stdout.splitlines()[0].startswith("FAULT  latched fault; no beam until a local")
    assert (
        "a reset waits for: The emergency stop is pressed or was not reset. "
        "Pull the button out, then press reset. Contact: room input 3 (e-stop)."
    ) in refused.stdout.splitlines()
    assert "fault ESTOP: The emergency stop is pressed or was not reset." in told


def test_whoever_comes_second_is_told_who_has_the_bench(standing: Standing) -> None:
    for arguments in (("expose", "--kvp", "60", "--mas", "0.5"), ("io", "test", "enable")):
        done = standing.bench.run(*arguments)
        assert done.returncode == 3
        assert done.stderr.startswith(
            f"dxrig: bench portable is in use by `dxrig expose` (process {standing.process.pid},"
        )
    assert standing.state() == "STANDBY"


def test_io_beside_a_unit_shows_what_the_unit_reads_and_drives(standing: Standing) -> None:
    """It asks the unit: nothing of its own goes to the module, and the unit goes on."""
    found = json.loads(standing.bench.run("io", "--json").stdout)
    assert (found["state"], found["as_expected"]) == ("STANDBY", True)
    assert (found["contacts"]["door"], found["outputs"]["contactor"]) == (True, False)
    standing.bench.do("press e-stop")
    table = standing.bench.run("io", "--once").stdout.splitlines()
    standing.bench.do("pull e-stop")
    standing.bench.do("press reset")
    standing.bench.do("release reset")
    standing.bench.run("reset")
    standing.until("STANDBY")
    assert table[0] == "Room of bench portable, unit in FAULT; outputs as it drives them"
    assert table[5] == "input 3  X1:4      emergency stop      PRESSED  pulled out  NOT OK"


def test_why_beside_a_unit_tells_what_a_press_would_meet(standing: Standing) -> None:
    standing.bench.do("key off")
    until(lambda: standing.bench.status()["inhibits"])
    said = standing.bench.run("why").stdout.splitlines()
    standing.bench.do("key on")
    assert said[:2] == [
        "interlock contact: A press would be refused: the key switch is off (input 5, X1:6).",
        "-> Turn the key on. Contact: room input 5 (key).",
    ]


# --- no start anywhere (SR-12)


@pytest.mark.req("SR-12")
def test_nothing_that_the_bus_takes_starts_a_beam(tmp_path: Path) -> None:
    with live_bench(tmp_path) as bench:
        unit = Standing(bench)
        shot = bench.status()["shot"]
        kinds = ["start", "expose", "press", "prep", "ready", "on", "ENBL1", "status", "stop",
                 "reset", "program", "stage_1", "stage_2", "input", "request"]  # fmt: skip
        for kind in kinds:
            unit.ask(kind, stage_1=True, stage_2=True, shot={**shot, "shot_id": f"S-{kind}"})
        time.sleep(0.5)
        assert unit.state() == "STANDBY"
        sent = unit.record()
        assert b"STAT" in sent or b"MON" in sent  # it is the generator's line that was watched
        assert b"ENBL1" not in sent
        unit.ask("quit")
        done = ended(unit.process)
        assert bench.show()["beams"] == []
    assert done.returncode == 3
    assert "no beam" in done.stdout or "unit process ended" in done.stdout


def test_there_is_no_command_that_starts() -> None:
    for name in ("start", "beam", "press", "fire"):
        assert CliRunner().invoke(main, [name]).exit_code == 2


# --- finding the unit


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("DXRIG_BENCH", raising=False)
    return tmp_path / "dxrig" / "portable"


def dxrig(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="dxrig")


@pytest.mark.parametrize("command", ["status", "stop", "reset"])
def test_without_a_unit_one_line_says_so(alone: Path, command: str) -> None:
    done = dxrig(command)
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == ("dxrig: no unit of bench portable runs; `dxrig expose` starts one\n")
    assert not alone.exists()  # asking makes no folders


def test_the_announcement_of_a_dead_unit_is_none(alone: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", "0"])
    dead.wait()
    publish(alone, {"pid": dead.pid, "bus": "ipc:///nowhere"})
    with pytest.raises(DeviceError, match="no unit of bench portable runs"):
        RunningUnit("portable")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": 1}', '{"pid": "x", "bus": 3}'])
def test_a_damaged_announcement_is_none(alone: Path, text: str) -> None:
    alone.mkdir(parents=True)
    (alone / "unit.json").write_text(text)
    assert read_unit(alone) is None


def test_a_unit_that_does_not_answer_is_told_with_what_helps(alone: Path) -> None:
    publish(alone, {"pid": os.getpid(), "bus": f"ipc://{alone}/nobody"})
    done = dxrig("stop")
    assert done.exit_code == 3
    assert done.stderr == (
        f"dxrig: the unit of bench portable (process {os.getpid()}) does not answer; release the "
        "handswitch or press the emergency stop: they need no program\n"
    )


def test_only_its_own_announcement_is_withdrawn(alone: Path) -> None:
    publish(alone, {"pid": 5, "bus": "ipc:///a"})
    withdraw(alone, 6)
    assert read_unit(alone) is not None
    withdraw(alone, 5)
    assert read_unit(alone) is None


def test_a_bench_file_is_read_for_its_name_only(tmp_path: Path) -> None:
    file = tmp_path / "x.toml"
    file.write_text(PORTABLE.replace('"portable"', '"mine"', 1).replace("kv_max", "kv_mox"))
    assert bench_name(None, str(file)) == "mine"
    assert bench_name(None, "portable") == "portable"


@pytest.mark.parametrize("text", ["", "[bench]\n", '[bench]\nname = "../x"\n', "[bench", "a = 1"])
def test_a_file_without_a_bench_name_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.toml"
    file.write_text(text)
    with pytest.raises(ConfigError, match="no bench name"):
        bench_name(None, str(file))


# --- colours


def test_the_state_has_its_colour_and_its_word(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    status: dict[str, Any] = {
        "pid": 7, "state": "EXPOSE", "why": "x", "faults": [], "inhibits": [], "scans": 1,
        "skipped_scans": 0, "latest_us": 250,
    }  # fmt: skip
    for state, colour in (("READY", 32), ("EXPOSE", 33), ("FAULT", 31), ("LOCKED", 31)):
        done = CliRunner().invoke(
            main_that_tells({**status, "state": state}), color=True, env={"NO_COLOR": ""}
        )
        assert f"\x1b[{colour}m\x1b[1m{state}\x1b[0m" in done.output
        plain = CliRunner().invoke(main_that_tells({**status, "state": state}))
        assert "\x1b" not in plain.output
        assert state in plain.output


def main_that_tells(status: dict[str, Any]) -> Any:
    import click

    return click.Command("x", callback=lambda: tell_status("portable", status))


def test_no_unit_outlives_these_tests(tmp_path: Path) -> None:
    with live_bench(tmp_path) as bench:
        unit = Standing(bench)
        assert len(children_of(tmp_path)) == 3  # with the scribe
        assert unit.end().returncode == 130
        assert children_of(tmp_path) == []
        assert read_unit(bench.state) is None
