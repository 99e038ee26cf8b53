"""How fast dxrig is, each figure beside its floor: python -m tools.bench [NAME...]."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from tools.bench.report import table
from tools.bench.timing import Benchmark

SCHEMA = 1
SECONDS = 6.0
BENCHMARKS = {  # name: module of tools.bench
    "decision": "decision",
    "exposures": "exposures",
    "serial": "serial_line",
    "exchange": "serial_line",
    "modbus_tcp": "modbus_read",
    "modbus_rtu": "modbus_read",
    "image": "image",
    "tube_day": "tube_day",
    "release": "release",
    "startup": "startup",
    "journal": "journal",
    "spectrum": "spectrum",
}


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    done = []
    for name in asked.names or BENCHMARKS:
        print(f"{name} ...", file=sys.stderr, flush=True)
        result = find(name)(asked.seconds)
        done.append(result)
        if not asked.json:
            print(table(result), flush=True)
    if asked.json:
        print(json.dumps(as_dict(done)))
    return 0


def find(name: str) -> Callable[[float], Benchmark]:
    """Imported when it runs: one benchmark doesn't need what another one imports."""
    benchmark: Callable[[float], Benchmark] = getattr(
        import_module(f"tools.bench.{BENCHMARKS[name]}"), name
    )
    return benchmark


def as_dict(done: Sequence[Benchmark]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "machine": {
            "cores_count": os.cpu_count(),
            "system": platform.system(),
            "python": platform.python_version(),
        },
        "benchmarks": [benchmark.as_dict() for benchmark in done],
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", type=_name,
                        help=f"{', '.join(BENCHMARKS)}; without a name all of them")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")
    parser.add_argument("--seconds", type=_seconds, default=SECONDS, metavar="N",
                        help=f"to spend on each, 0 to 600 (default {SECONDS:g})")  # fmt: skip
    return parser


def _name(text: str) -> str:
    if text in BENCHMARKS:
        return text
    near = get_close_matches(text, BENCHMARKS, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(BENCHMARKS)}"
    raise argparse.ArgumentTypeError(f"no benchmark {text!r}; {hint}")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if 0 <= seconds <= 600:
        return seconds
    raise argparse.ArgumentTypeError(f"must be a number from 0 to 600, got {text!r}")


if __name__ == "__main__":
    sys.exit(main())
