"""What people get from bad ports and disks: one clear message, the right code, all safe.

Slow attempts (a unit waits 10 s for a silent device) run side by side, once.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import serial

from firmware_py.config import RoomConfig
from firmware_py.real_ports import open_links
from firmware_py.recorder.store.exposures import read_exposures
from hal.device_links import PtyLink
from hal.links import SerialLink
from hal.ports import LinkError
from rig.bench import load_bench
from rig.bench_lock import hold_bench
from tests.live_bench import LiveBench, children_of, ended, live_bench, until

SHORT = ("--kvp", "60", "--mas", "0.3")
NOISE = bytes(range(0x80, 0x100)) + b"\r\n~~~"
Attempt = subprocess.CompletedProcess[str]
pytestmark = [pytest.mark.wire, pytest.mark.slow]


class Peer:
    """Somebody at the other end who speaks something else, in a thread of the test's."""

    def __init__(self, fileno: int, answer: Callable[[], None]) -> None:
        self._stop = threading.Event()
        self._fileno, self._answer = fileno, answer
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            if select.select([self._fileno], [], [], 0.05)[0]:
                self._answer()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()


def noisy_pty(opened: ExitStack) -> str:
    """A device at another baud rate: whatever is asked, rubbish comes back."""
    link = PtyLink()
    opened.callback(link.close)

    def answer() -> None:
        link.read(0)
        link.write(0, NOISE)

    peer = Peer(link.fileno(), answer)
    opened.callback(peer.end)
    return link.path


def web_server(opened: ExitStack) -> str:
    """Accepts everybody and answers as a web server would."""
    listener = opened.enter_context(socket.create_server(("127.0.0.1", 0)))

    def answer() -> None:
        client, _ = listener.accept()
        with client, suppress(ConnectionError):  # the unit hangs up on it
            client.settimeout(5)
            while client.recv(4096):
                client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n")

    peer = Peer(listener.fileno(), answer)
    opened.callback(peer.end)
    return f"tcp://127.0.0.1:{listener.getsockname()[1]}"


def nobodys_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"tcp://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@pytest.fixture(scope="module")
def attempts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Each on a simulator of its own, whose ports stand for a real bench's."""
    with ExitStack() as opened:
        urls: dict[str, dict[str, str]] = {
            "noisy generator": {"generator_url": noisy_pty(opened)},
            "no panel": {"control_url": nobodys_port()},
            "web server as room": {"room_url": web_server(opened)},
            "no room": {"room_url": nobodys_port()},
            "no generator port": {"generator_url": "/dev/ttyNOT_THERE"},
        }
        running = {}
        for name, wrong in urls.items():
            live = opened.enter_context(live_bench(tmp_path_factory.mktemp("bench")))
            file = live.bench_file("mine", **wrong)
            live.calibrate(file)
            running[name] = (
                live,
                live.start(
                    "expose", "--bench", str(file), *SHORT, "--allow-exposure", "--wait-s", "5"
                ),
            )
        found: dict[str, Any] = {
            name: (live, ended(process), urls[name]) for name, (live, process) in running.items()
        }
        yield found


def is_clear(done: Attempt, code: int) -> str:
    """The one line on stderr that is the message; prompts of `expose` apart."""
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("dxrig: ")]
    assert len(told) == 1, done.stderr
    return told[0].removeprefix("dxrig: ")


def is_safe(live: LiveBench) -> None:
    shown = live.show()
    assert shown["beams"] == []
    assert shown["relays"] == {"enable": False, "contactor": False}
    assert [name for name, on in shown["coils"].items() if on] == []
    assert children_of(live.folder) == []


# --- ports


def test_a_generator_that_speaks_something_else_is_named_with_its_port(
    attempts: dict[str, Any],
) -> None:
    live, done, urls = attempts["noisy generator"]
    told = is_clear(done, 3)
    assert told.startswith(
        f"The generator does not answer: vj_ixs at {urls['generator_url']}, 9600 baud ("
    )
    assert told.endswith(
        "bytes came, no valid answer: wrong baud rate or device?). "
        "Check power, cable and baud rate (`dxrig doctor`)."
    )
    is_safe(live)


def test_a_panel_that_is_not_there_is_named_with_its_port(attempts: dict[str, Any]) -> None:
    live, done, urls = attempts["no panel"]
    told = is_clear(done, 3)
    assert told.startswith(f"The panel does not answer: SIM-PANEL-1 at {urls['control_url']}")
    assert told.endswith("Check its battery and network.")
    is_safe(live)


def test_a_room_io_that_speaks_something_else_is_told(attempts: dict[str, Any]) -> None:
    live, done, urls = attempts["web server as room"]
    told = is_clear(done, 3)
    assert told.startswith(f"room I/O (waveshare) at {urls['room_url']} does not answer as one (")
    assert told.endswith("none of them a valid reply); check its power, cable and address")
    is_safe(live)


def test_a_room_io_that_is_not_there_is_told(attempts: dict[str, Any]) -> None:
    live, done, urls = attempts["no room"]
    assert is_clear(done, 3) == (
        f"room I/O (waveshare) at {urls['room_url']} does not answer (connection refused); "
        "check its power, cable and address"
    )
    is_safe(live)


def test_a_port_that_does_not_exist_is_told(attempts: dict[str, Any]) -> None:
    live, done, _ = attempts["no generator port"]
    assert is_clear(done, 3).startswith(
        "/dev/ttyNOT_THERE: no such port; `dxrig devices` lists the ports of this machine (run"
    )
    is_safe(live)


def test_a_busy_port_is_told(live: LiveBench) -> None:
    url = live.facts["generator"]["url"]
    other = SerialLink(url)
    try:
        done = live.run("expose", *SHORT)
    finally:
        other.close()
    assert is_clear(done, 3).startswith(f"{url}: busy, another program holds it")
    is_safe(live)


def test_a_forbidden_port_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may open everything, so the system's answer is given here."""

    def forbidden(url: str, **_: object) -> None:
        raise serial.SerialException(errno.EACCES, f"could not open port {url}: [Errno 13]")

    monkeypatch.setattr(serial, "serial_for_url", forbidden)
    unit = load_bench("portable").unit
    generator = unit.generator.model_copy(update={"url": "/dev/ttyUSB0"})
    with pytest.raises(LinkError) as refused:
        open_links(unit.model_copy(update={"generator": generator}))
    assert str(refused.value) == (
        "/dev/ttyUSB0: no permission; add yourself to the group that owns it (often dialout)"
    )


def test_a_port_that_opened_is_closed_when_the_next_one_fails() -> None:
    pty = PtyLink()
    unit = load_bench("portable").unit
    generator = unit.generator.model_copy(update={"url": pty.path})
    room = RoomConfig(driver="waveshare", url="/dev/ttyNOT_THERE")
    with pytest.raises(LinkError, match="no such port"):
        open_links(unit.model_copy(update={"generator": generator, "room": room}))
    SerialLink(pty.path).close()  # free again: no second owner
    pty.close()


def test_a_real_port_without_its_guards_is_refused(live: LiveBench) -> None:
    file = str(live.bench_file("portable", rung="wire", generator_url="/dev/ttyS7"))
    told = is_clear(live.run("expose", "--bench", file, *SHORT), 4)
    assert told.startswith(f"{file}: generator.url /dev/ttyS7 is not announced by a running")
    is_safe(live)


def test_a_second_owner_is_told_the_first(live: LiveBench) -> None:
    with hold_bench(live.state, "dxrig warmup"):
        told = is_clear(live.run("expose", *SHORT), 3)
    assert told.startswith(
        f"bench portable is in use by `dxrig warmup` (process {os.getpid()}, since "
    )
    is_safe(live)


# --- disks


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[None]:
    """A disk of its own for the state, where the machine lets a test mount one."""
    disk = folder / "state"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no permission to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(folder: Path) -> None:
    with (folder / "filler").open("wb", buffering=0) as filler, suppress(OSError):
        while filler.write(bytes(4096)):
            pass


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path) -> None:
    with small_disk(tmp_path, 3), live_bench(tmp_path) as live:
        told = is_clear(live.run("expose", *SHORT), 4)
        assert told.startswith(f"{live.state}: the disk is full (3 MB free, 68 MB needed")
        is_safe(live)


def test_a_disk_that_fills_up_while_somebody_waits_ends_the_run(tmp_path: Path) -> None:
    with small_disk(tmp_path, 80), live_bench(tmp_path) as live:
        assert live.run("expose", *SHORT).returncode == 0
        process = live.start("expose", *SHORT, "--hand", "none")
        until(lambda: live.status().get("state") == "STANDBY")
        fill(tmp_path / "state")
        told = is_clear(ended(process), 4)
        assert told.partition(": ")[2].startswith("the disk is full: the run ended, outputs are")
        assert len(live.show()["beams"]) == 1  # the first
        assert children_of(tmp_path) == []
        (row,) = read_exposures(live.state / "journal.db")  # nothing recorded is lost
        assert (row.missing, row.reason) == (None, "planned end")


def test_a_disk_that_takes_no_more_is_no_bug(tmp_path: Path) -> None:
    """Every file ends at 20 kB: free space says nothing of it beforehand."""
    with live_bench(tmp_path) as live:
        limit = 20_000
        done = live.run(
            "expose", *SHORT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        )  # fmt: skip
        told = is_clear(done, 4)
        assert "file too large; free space" in told
        is_safe(live)
        assert live.run("expose", *SHORT).returncode == 0  # nothing stands in the way


def process_of(folder: Path, module: str) -> int:
    """The one that runs this module for a folder."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = path.read_bytes().decode(errors="replace").split("\0")
            if module in words and str(folder) in str(words):
                return int(path.parent.name)
    raise AssertionError(f"no {module} runs")


@pytest.mark.req("SR-31")
def test_a_scribe_that_is_killed_ends_the_run_in_the_ordinary_way(tmp_path: Path) -> None:
    with live_bench(tmp_path) as live:
        process = live.start("expose", *SHORT, "--hand", "none")
        until(lambda: live.status().get("state") == "STANDBY")
        os.kill(process_of(tmp_path, "firmware_py.scribe"), signal.SIGKILL)
        told = is_clear(ended(process), 4)
        assert told.partition(": ")[2].startswith(
            "the process that writes the unit's files is gone: the run ended, outputs are safe; "
            "look at the disk"
        )
        is_safe(live)


# --- a frame that is cut short


@pytest.mark.req("SR-53")
def test_the_dose_of_a_truncated_frame_is_kept_and_its_loss_told(tmp_path: Path) -> None:
    with live_bench(tmp_path) as live:
        live.do("panel", short_frame=1000)
        done = live.run("expose", *SHORT, "--json")
        (row,) = read_exposures(live.state / "journal.db")
        (beam,) = live.show()["beams"]
        found = json.loads(done.stdout)
        assert done.returncode == 3
        assert found["end_reason"] == "planned end"
        assert found["timeline"][-1]["state"] == "FAULT"
        assert found["timeline"][-1]["faults"] == ["FRAME_MISSING"]
        (told,) = found["faults"]
        assert told.startswith(
            "No whole frame came from the panel after the exposure: SIM-PANEL-1 at "
        )
        assert (row.missing, row.reason) == ("image", "planned end")
        assert row.mas == pytest.approx(beam["mas"], rel=0.05)
        assert children_of(live.folder) == []
        assert live.run("recover").returncode == 1
