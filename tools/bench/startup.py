"""How long a person waits for a command that does nothing: `dxrig --help`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tools.bench.timing import Benchmark, Case, in_turn

ROOT = Path(__file__).parents[2]


def startup(seconds: float) -> Benchmark:
    return Benchmark(
        name="startup",
        about="a command from its call to its end",
        cases=in_turn(
            Case(name="python -c pass", run=lambda: _python("-c", "pass")),
            Case(name="dxrig --help", run=lambda: _python("-m", "rig", "--help")),
            seconds=seconds,
        ),
    )


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
