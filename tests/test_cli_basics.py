"""The program as people and scripts meet it: words, exit codes, start-up, and no traceback."""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import rig.cli
from hal.device_links import PtyLink
from hal.links import SerialLink
from rig.bench_lock import hold_bench
from rig.bench_names import BENCHES
from rig.cli import COMMANDS, main
from rig.doctor import Verdict, own_packages, python_version, sqlite_version, state_folder
from rig.doctor_links import endpoint
from rig.exit_codes import CheckFailed, DeviceError, DxrigError, Refused, UsageError
from rig.serial_ports import serial_ports, trouble_with
from rig.state_dir import bench_state

ROOT = Path(__file__).resolve().parent.parent
PORTABLE = (BENCHES / "portable.toml").read_text()
HEAVY = ("pydantic", "numpy", "matplotlib", "pydicom", "pymodbus")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the settings and state of whoever runs it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    for name in ("DXRIG_BENCH", "DXRIG_OUT", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


def dxrig(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="dxrig")


def answer(*arguments: str) -> dict[str, Any]:
    """The one JSON object on stdout."""
    found = json.loads(dxrig(*arguments, "--json").stdout)
    assert found.pop("schema") == 1
    assert isinstance(found, dict)
    return found


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rig", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


# --- start-up --------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["devices", "--help"], ["stop"]])
def test_what_must_answer_at_once_imports_nothing_heavy(arguments: list[str]) -> None:
    script = (
        "import sys\n"
        "from rig.cli import main\n"
        f"try: main({arguments!r})\n"
        "except SystemExit: pass\n"
        f"print('HEAVY', [name for name in {HEAVY!r} if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_help_imports_no_command() -> None:
    script = (
        "import sys\nfrom rig.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "print([n for n in sys.modules if n.startswith('rig.commands')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == "[]"


# --- help ------------------------------------------------------------------------------------


def test_the_help_states_every_exit_code() -> None:
    told = " ".join(dxrig("--help").stdout.split())
    for words in (
        "0 done",
        "1 a check failed, or a comparison found a difference",
        "2 usage or configuration: option, file, or technique out of range",
        "3 device or link, a beam ended by them, bench in use; or a bug in dxrig",
        "4 refused for safety before any beam",
        "130 ended by the operator or a signal",
    ):
        assert words in told


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_every_command_has_its_one_line_and_examples(name: str) -> None:
    help_text = dxrig(name, "-h").stdout
    assert "Example" in help_text
    assert f"dxrig {name}" in help_text
    assert COMMANDS[name].endswith(".")


def test_every_command_file_stands_in_the_table() -> None:
    files = {file.stem for file in (ROOT / "rig" / "commands").glob("*.py")} - {"__init__"}
    assert files <= set(COMMANDS)


def test_a_misspelt_command_names_the_nearest() -> None:
    done = dxrig("devcies")
    assert done.exit_code == 2
    assert done.stderr == (
        "Usage: dxrig [OPTIONS] COMMAND [ARGS]...\nTry 'dxrig --help' for help.\n\n"
        "Error: No such command 'devcies'. Did you mean 'devices'?\n"
    )


def test_the_version_says_commit_and_python() -> None:
    done = dxrig("--version")
    assert done.exit_code == 0
    assert done.stdout.startswith("dxrig ")
    assert done.stdout.endswith(f"Python {sys.version.split()[0]})\n")


# --- how an error is told --------------------------------------------------------------------


@contextmanager
def command_that(act: Any) -> Iterator[None]:
    """`dxrig status` does what the test wants, for as long as it lasts."""
    get = type(main).get_command

    def get_command(self: Any, ctx: click.Context, name: str) -> click.Command | None:
        return click.Command("status", callback=act) if name == "status" else get(self, ctx, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(main), "get_command", get_command)
        yield


@pytest.mark.parametrize(
    ("error", "code"),
    [(CheckFailed, 1), (UsageError, 2), (DeviceError, 3), (Refused, 4), (DxrigError, 3)],
)
def test_an_error_is_one_line_and_its_code(error: type[DxrigError], code: int) -> None:
    def act() -> None:
        raise error("the door is open")

    with command_that(act):
        done = dxrig("status")
    assert (done.exit_code, done.stdout, done.stderr) == (code, "", "dxrig: the door is open\n")


def test_with_json_an_error_is_one_object_on_stdout_and_nothing_else() -> None:
    done = dxrig("plan", "--kvp", "150", "--mas", "0.5", "--json")
    assert (done.exit_code, done.stderr) == (2, "")
    assert json.loads(done.stdout) == {
        "schema": 1,
        "error": {
            "code": 2,
            "message": "kvp = 150 kV is outside 30 to 120 kV",
        },
    }


def test_with_json_a_usage_error_is_an_object_too() -> None:
    done = dxrig("plan", "--json")
    assert (done.exit_code, done.stderr) == (2, "")
    assert json.loads(done.stdout)["error"] == {"code": 2, "message": "Missing option '--kvp'."}


def test_a_bug_is_one_line_and_its_traceback_is_kept_private(tmp_path: Path) -> None:
    def act() -> None:
        raise ZeroDivisionError("three\nlines\nof it")

    with command_that(act):
        done = dxrig("status")
    (saved,) = (tmp_path / "state" / "dxrig" / "crashes").iterdir()
    assert done.exit_code == 3
    assert done.stderr == (
        f"dxrig: this is a bug in dxrig: ZeroDivisionError: three; the traceback is in {saved}\n"
    )
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert "Traceback (most recent call last)" in saved.read_text()
    assert "dxrig status" in saved.read_text()


def test_a_bug_is_told_even_where_nothing_can_be_saved(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")

    def act() -> None:
        raise ZeroDivisionError("x")

    with command_that(act):
        done = dxrig("status")
    assert done.exit_code == 3
    assert done.stderr.startswith(
        "dxrig: this is a bug in dxrig: ZeroDivisionError: x; its traceback could not be saved"
    )


@pytest.mark.parametrize("error", [KeyboardInterrupt, click.Abort])
def test_ctrl_c_ends_with_130(error: type[BaseException]) -> None:
    def act() -> None:
        raise error

    with command_that(act):
        done = dxrig("status")
    assert done.exit_code == 130
    assert done.stderr.strip() == "dxrig: ended by the operator"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_unwinds_like_ctrl_c_and_the_handler_is_put_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    steps = []

    def act() -> None:
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            steps.append("made safe")

    with command_that(act):
        done = dxrig("status")
    assert (done.exit_code, steps) == (130, ["made safe"])
    assert signal.getsignal(number) is before


def test_a_reader_that_leaves_makes_no_noise() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-m", "rig", "devices"],
        cwd=ROOT, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=30, check=False,
    )  # fmt: skip
    os.close(write_end)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize(
    "arguments", ["plan --kvp 70 --mas 0.5", "--help", "plan --kvp 200 --json"]
)
@pytest.mark.parametrize(
    ("target", "why"), [(">&-", "stdout is closed"), (">/dev/full", "no space left on device")]
)
def test_output_that_cannot_be_written_is_no_bug(arguments: str, target: str, why: str) -> None:
    command = f"exec '{sys.executable}' -m rig {arguments} {target}"
    done = subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, text=True)
    told = f"dxrig: the output can't be written ({why})\n"
    assert (done.returncode, done.stderr) == (3, told)


def test_no_color_is_honoured_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = []

    def act() -> None:
        shown.append(click.get_current_context().color)

    with command_that(act):
        dxrig("status")
        monkeypatch.setenv("NO_COLOR", "1")
        dxrig("status")
        monkeypatch.setenv("NO_COLOR", "")
        dxrig("status")
    assert shown == [None, False, None]


# --- config ----------------------------------------------------------------------------------


def test_a_sound_file_is_said_to_be_sound() -> None:
    done = dxrig("config", "check", "portable")
    assert done.exit_code == 0
    assert done.stdout.startswith("portable: bench portable is sound (hash ")


def test_the_mistakes_of_all_files_are_told_at_the_start_of_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(PORTABLE.replace("kv_max = 120.0", "kv_max = 300"))
    done = dxrig("config", "check", str(file), "portable", "nowhere.toml", "portabel")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        f"{file}:41: tube.kv_max: 300 is above the limit 200; allowed: 10 to 200",
        "nowhere.toml: no such file",
        "no bench 'portabel'; did you mean 'portable'?",
    ]
    told = json.loads(dxrig("config", "check", str(file), "--json").stdout)["error"]
    assert told["messages"] == [done.stderr.splitlines()[0]]


def test_a_new_bench_file_passes_its_own_check(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(dxrig("config", "new", "mine").stdout)
    assert dxrig("config", "check", str(file)).exit_code == 0
    assert "# a serial device such as /dev/ttyUSB0" in file.read_text()


def test_show_says_where_each_value_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DXRIG_OUT", "/tmp/out")
    file = tmp_path / "mine.toml"
    file.write_text(PORTABLE)
    values = answer("config", "show", "--bench", str(file))["values"]
    assert values["settings.bench"] == {"value": str(file), "origin": "--bench"}
    assert values["settings.out"] == {"value": "/tmp/out", "origin": "DXRIG_OUT"}
    assert values["tube.kv_max"] == {"value": 120.0, "origin": f"{file}:41"}
    assert values["sim.seed"] == {"value": 1, "origin": "default"}


def test_later_settings_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def told(*arguments: str) -> tuple[str, str]:
        done = dxrig(*arguments, "config", "show", "--json")
        found = json.loads(done.stdout)["values"]["settings.out"]
        return found["value"], found["origin"]

    assert told() == ("runs", "default")
    user = tmp_path / "settings" / "dxrig" / "config.toml"
    user.parent.mkdir(parents=True)
    user.write_text('out = "mine"\n')
    assert told() == (str(user.parent / "mine"), str(user))  # beside the file that says it
    given = tmp_path / "given.toml"
    given.write_text('out = "/given"\n')
    assert told("--config", str(given)) == ("/given", str(given))
    monkeypatch.setenv("DXRIG_OUT", "/env")
    assert told("--config", str(given)) == ("/env", "DXRIG_OUT")


def test_a_settings_file_with_mistakes_is_told(tmp_path: Path) -> None:
    file = tmp_path / "given.toml"
    file.write_text('bnch = "portable"\nout = 3\n')
    done = dxrig("--config", str(file), "config", "show")
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        f"{file}: bnch: unknown key; did you mean 'bench'?",
        f'{file}: out: expected a text in "quotes"',
    ]


def test_the_schema_is_json() -> None:
    assert json.loads(dxrig("config", "schema").stdout)["title"] == "BenchFile"


# --- plan ------------------------------------------------------------------------------------


def test_a_plan_is_a_table_for_people_and_numbers_for_programs() -> None:
    done = dxrig("plan", "--kvp", "70", "--mas", "0.5")
    assert done.exit_code == 0
    assert ["energy", "35", "J", "=", "47.25", "HU"] in map(str.split, done.stdout.splitlines())
    for row in (
        "tube voltage 70 kV 30 to 120 kV",
        "tube current 1 mA 0.2 to 1 mA",
        "time 500 ms 10 to 4500 ms",
        "power 70 W 120 W",
    ):
        assert row.split() in map(str.split, done.stdout.splitlines())
    done = dxrig("plan", "--kvp", "70", "--mas", "0.5", "--heat-j", "678.00512")
    assert ["tube", "heat", "before", "678", "J"] in map(str.split, done.stdout.splitlines())
    found = answer("plan", "--kvp", "70", "--mas", "0.5")
    assert (found["bench"], found["energy_j"], found["maximum_mas"]) == ("portable", 35.0, 1.0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--kvp 29 --mas 0.5", "kvp = 29 kV is outside 30 to 120 kV"),
        ("--kvp 70 --ma 0.1 --ms 100", "ma = 0.1 mA is outside 0.2 to 1 mA"),
        ("--kvp nan --mas 1", "kvp must be a positive number, got nan"),
        ("--kvp 70 --mas inf", "mas must be a positive number, got inf"),
        ("--kvp 70 --mas 0", "mas must be a positive number, got 0.0"),
        ("--kvp 70", "give --mas, or --ma with --ms, or --aec"),
        ("--kvp 0 --mas 1", "kvp must be a positive number, got 0.0"),
    ],
)
def test_a_technique_that_would_be_refused_is_refused_here(arguments: str, told: str) -> None:
    done = dxrig("plan", *arguments.split())
    assert (done.exit_code, done.stdout, done.stderr) == (2, "", f"dxrig: {told}\n")


# --- devices and doctor ----------------------------------------------------------------------


def test_devices_lists_benches_and_drivers() -> None:
    found = answer("devices")
    assert "portable" in found["benches"]
    assert "vj_ixs" in found["drivers"]["generator"]
    assert isinstance(found["serial"], list)


def test_a_serial_port_is_listed_with_its_lasting_name_and_its_maker(tmp_path: Path) -> None:
    usb = tmp_path / "devices" / "usb1"
    interface = usb / "1-1:1.0" / "ttyUSB7"
    interface.mkdir(parents=True)
    for name, text in (("idVendor", "0403"), ("manufacturer", "FTDI"),
                       ("product", "FT232R"), ("serial", "A50285BI")):  # fmt: skip
        (usb / name).write_text(f"{text}\n")
    sys_tty = tmp_path / "tty"
    for name, kind in (("ttyUSB7", ""), ("ttyS9", "0"), ("tty1", None)):
        (sys_tty / name).mkdir(parents=True)
        if kind is not None:
            (sys_tty / name / "device").symlink_to(interface)
            (sys_tty / name / "type").write_text(kind)
    by_id = tmp_path / "by-id"
    by_id.mkdir()
    (by_id / "usb-FTDI_A50285BI").symlink_to("/dev/ttyUSB7")
    (port,) = serial_ports(sys_tty, by_id)
    assert (port.path, port.by_id, port.about, port.trouble) == (
        "/dev/ttyUSB7",
        str(by_id / "usb-FTDI_A50285BI"),
        "FTDI FT232R A50285BI",
        "no such port; `dxrig devices` lists those of this computer",
    )


def test_a_port_without_permission_names_the_group_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = tmp_path / "ttyUSB0"
    port.touch()
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr("rig.serial_ports._group_of", lambda _: "dialout")
    assert trouble_with(str(port)) == (
        "no permission: run `sudo usermod -aG dialout $USER`, then log in again"
    )


def bench_file(tmp_path: Path, *changes: tuple[str, str]) -> str:
    text = PORTABLE
    for old, new in changes:
        text = text.replace(old, new, 1)
    file = tmp_path / "mine.toml"
    file.write_text(text)
    return str(file)


def test_a_simulated_bench_has_nothing_wrong() -> None:
    done = dxrig("doctor")
    assert done.exit_code == 0
    assert done.stdout.endswith("\nBench portable: nothing wrong\n")


def test_a_port_that_is_missing_is_found_and_ends_with_1(tmp_path: Path) -> None:
    file = bench_file(tmp_path, ('url = "sim" ', 'url = "/dev/ttyNONE" '))
    done = dxrig("doctor", "--bench", file)
    assert done.exit_code == 1
    assert "wrong generator: /dev/ttyNONE: no such port\n" in done.stdout
    assert "      -> `dxrig devices` lists those of this computer\n" in done.stdout
    found = json.loads(dxrig("doctor", "--bench", file, "--json").stdout)
    wrong = [f for f in found["findings"] if f["verdict"] == "wrong"]
    assert (found["ok"], [f["name"] for f in wrong]) == (False, ["generator"])


def test_a_serial_port_that_opens_is_fine_and_a_busy_one_is_not() -> None:
    with closing(PtyLink()) as device:
        assert endpoint("generator", device.path).found == f"{device.path}: opens"
        with closing(SerialLink(device.path)):
            busy = endpoint("generator", device.path)
    assert (busy.verdict, busy.found) == (
        Verdict.WRONG,
        f"{device.path}: busy, another program holds it",
    )


def test_a_room_that_answers_is_fine_and_a_closed_port_is_not() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        assert endpoint("room", url).found == f"{url}: accepts a connection"
    gone = endpoint("room", url)
    assert (gone.verdict, gone.found) == (Verdict.WRONG, f"{url}: connection refused")
    assert gone.cure == "check power, address and port"


def test_a_socket_file_needs_its_folder(tmp_path: Path) -> None:
    assert endpoint("panel data", f"ipc://{tmp_path}/data").verdict is Verdict.OK
    missing = endpoint("panel data", f"ipc://{tmp_path}/none/data")
    assert missing.found.endswith(f"the folder {tmp_path}/none does not exist")


def test_the_ports_of_a_bench_in_use_are_left_alone(tmp_path: Path) -> None:
    file = bench_file(tmp_path, ('url = "sim" ', 'url = "/dev/ttyNONE" '))
    with hold_bench(bench_state("portable"), "dxrig run"):
        done = dxrig("doctor", "--bench", file)
    assert done.exit_code == 0
    assert f"note  bench: in use by `dxrig run` (process {os.getpid()}, since " in done.stdout


def test_an_old_python_and_an_old_sqlite_are_told() -> None:
    assert python_version((3, 10, 4)).verdict is Verdict.WRONG
    assert python_version((3, 11, 0)).verdict is Verdict.OK
    verdicts = [sqlite_version(v).verdict for v in ((3, 51, 2), (3, 51, 3), (3, 52, 0), (3, 53, 0))]
    assert verdicts == [Verdict.NOTE, Verdict.OK, Verdict.NOTE, Verdict.OK]


def test_packages_of_other_people_with_our_names_are_found(tmp_path: Path) -> None:
    assert own_packages().verdict is Verdict.OK
    strangers = own_packages(root=tmp_path)
    assert strangers.verdict is Verdict.WRONG
    assert strangers.found.startswith(f"firmware_py from {ROOT}, hal from {ROOT}, ")


def test_a_full_disk_is_found_before_the_first_exposure(tmp_path: Path) -> None:
    full = state_folder(tmp_path / "state", image_bytes=1 << 60)
    assert full.verdict is Verdict.WRONG
    assert "are kept in reserve (SR-11)" in full.cure


def test_bounds_show_the_goal_beside_this_bench_s_bound() -> None:
    done = dxrig("doctor", "--bounds")
    assert done.exit_code == 0
    rows = answer("doctor", "--bounds")["bounds"]
    dead = next(row for row in rows if row["layer"] == "relay pulse")
    assert (dead["sr"], dead["goal_us"], dead["meets_goal"]) == ("SR-28", 150_000, False)
    assert dead["bound_us"] >= 200_000  # the bench's enable pulse alone is 200 ms
    assert "unit dead or stopped -> kV off" in done.stdout


# --- as a process ----------------------------------------------------------------------------


def test_python_m_rig_is_the_program() -> None:
    done = process("plan", "--kvp", "29", "--mas", "0.5")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "dxrig: kvp = 29 kV is outside 30 to 120 kV\n",
    )


def test_a_table_is_framed_on_a_terminal_and_plain_elsewhere() -> None:
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0) as terminal:
        subprocess.run(
            [sys.executable, "-m", "rig", "plan", "--kvp", "70", "--mas", "0.5"],
            cwd=ROOT, stdout=slave, timeout=30, check=True,
        )  # fmt: skip
        shown = terminal.read(4096).decode()
        os.close(slave)
    assert "┃" in shown
    assert "┃" not in process("plan", "--kvp", "70", "--mas", "0.5").stdout


def test_the_entry_point_of_the_project_is_the_program() -> None:
    assert rig.cli.main is main
