"""A simulated bench on real ports, and the program as people start it."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from rig.bench import load_bench
from rig.bench_names import BENCHES
from rig.cli import main
from rig.model import setting_of
from rig.panel_sets import store_of
from rig.run_model import valid_set
from rig.simulator import ask
from sim.build import pixel_model

ROOT = Path(__file__).resolve().parent.parent
PORTABLE = (BENCHES / "portable.toml").read_text(encoding="utf-8")
WITHIN_S = 30.0


class LiveBench:
    """`dxrig sim up`, with state and settings of its own."""

    def __init__(self, folder: Path, *flags: str, bench: str = "portable") -> None:
        """`flags`: more of `sim up`; `bench`: a name, or the path of a bench file."""
        self.folder = folder
        self.name = load_bench(bench).name
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "settings"),
        }
        for name in ("DXRIG_BENCH", "DXRIG_OUT", "NO_COLOR"):
            self.environment.pop(name, None)
        self.process = self.start("sim", "up", "--bench", bench, "--json", *flags)
        assert self.process.stdout is not None
        self.facts: dict[str, Any] = json.loads(self.process.stdout.readline())

    @property
    def state(self) -> Path:
        return self.folder / "state" / "dxrig" / self.name

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """A Ctrl-C of the test run is not for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "rig", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )

    def run(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return ended(self.start(*arguments, **options))

    def here(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same command without a Python of its own, for those that last no longer than it."""
        names = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "DXRIG_BENCH", "DXRIG_OUT", "NO_COLOR")
        done = CliRunner().invoke(
            main, arguments, prog_name="dxrig", env={n: self.environment.get(n) for n in names}
        )
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)

    def visit(self, folder: Path) -> LiveBench:
        """The same simulator, mended, with state and settings of its own."""
        found = copy.copy(self)
        found.folder = folder
        found.environment = self.environment | {
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CONFIG_HOME": str(folder / "settings"),
        }
        found.state.mkdir(parents=True, mode=0o700)
        shutil.copy(self.state / "sim.json", found.state)
        found.do("heal", what="all")
        for verb in ("power off", "power on"):
            found.do(verb, device="panel")  # it forgets the frames of others
        return found

    def do(self, verb: str, **args: Any) -> None:
        ask(self.facts, {"kind": "do", "verb": verb, "args": args})

    def show(self) -> dict[str, Any]:
        return ask(self.facts, {"kind": "show"})

    def status(self) -> dict[str, Any]:
        """The running unit's; {} while none runs."""
        done = self.here("status", "--json")
        return json.loads(done.stdout) if done.returncode == 0 else {}

    def bench_file(self, name: str = "mine", **urls: str) -> Path:
        """A real bench (rung = "bench") on this simulator's ports, unless others are given."""
        ports = {
            "generator_url": self.facts["generator"]["url"],
            "room_url": self.facts["room"]["url"],
            "control_url": self.facts["panel"]["control_url"],
            "data_url": self.facts["panel"]["data_url"],
        } | urls
        rung = urls.get("rung", "bench")
        text = PORTABLE.replace('name = "portable"', f'name = "{name}"')
        text = text.replace('rung = "model"', f'rung = "{rung}"')
        for key in ("generator_url", "room_url"):
            text = text.replace('\nurl = "sim"', f'\nurl = "{ports[key]}"', 1)
        for key in ("control_url", "data_url"):
            text = text.replace(f'{key} = "sim"', f'{key} = "{ports[key]}"')
        file = self.folder / f"{name}.toml"
        file.write_text(text, encoding="utf-8")
        return file

    def calibrate(self, file: Path) -> None:
        """A real bench gets the set that calibration would leave."""
        bench, at = load_bench(str(file)), datetime.now(UTC)
        state = self.folder / "state" / "dxrig" / file.stem
        made = valid_set(bench, pixel_model(setting_of(bench)), at)
        store = store_of(state, bench.unit)
        store.add(made, changed="all", operator="A. Physicist", routine="a test", at=at)

    def end(self) -> None:
        self.process.terminate()
        ended(self.process)


def ended(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """What it said; killed, with all that it started, when it takes too long."""
    try:
        out, err = process.communicate(timeout=WITHIN_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


@contextmanager
def live_bench(folder: Path, *flags: str, bench: str = "portable") -> Iterator[LiveBench]:
    live = LiveBench(folder, *flags, bench=bench)
    try:
        yield live
    finally:
        live.end()


def until(what: Callable[[], object], within_s: float = WITHIN_S) -> None:
    end_s = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end_s, "it did not happen in time"
        time.sleep(0.02)


def children_of(folder: Path) -> list[str]:
    """Units, scribes and recorders that still run for a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if any(word.startswith("firmware_py") for word in words) and str(folder) in str(words):
            found.append(" ".join(words))
    return found
