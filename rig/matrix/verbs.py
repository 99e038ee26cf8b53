"""What concerns unit, programme and recorder, and so is no matter of the simulated room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sim.script import ScriptError

# verb -> its arguments, each with a value of the kind that it takes
BENCH_VERBS: dict[str, dict[str, object]] = {
    "programme": {"kv": 70.0, "ma": 0.4, "exam_id": "", "panel_id": "", "same_id": False},
    "ask stop": {},
    "tube heat": {"share": 0.0},
    "recorder": {
        "dead": False,
        "disk_full": False,
        "writes_fail": False,
        "set_expired": False,
        "stall_ms": 0.0,
    },
}


def check_bench_verb(verb: str, args: Mapping[str, Any]) -> None:
    """Raises ScriptError: an argument that is not built is never silently ignored."""
    known = BENCH_VERBS[verb]
    for name, value in args.items():
        if name not in known:
            there_are = f"there are {', '.join(known)}" if known else "it takes none"
            raise ScriptError(f"{verb} has no {name!r}; {there_are}")
        if type(value) is not type(known[name]):
            raise ScriptError(f"{verb}: {name} = {value!r}: must be like {known[name]!r}")
