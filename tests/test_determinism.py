"""One scenario has one trace: whatever process, hash seed or number of the run."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tests.model_runs import run, scenario, shipped, trace_of

ROOT = Path(__file__).parent.parent
RUNS = {"released_in_prep": 92, "clean_by_mas": 8}  # the short one in bulk

_MANY = """
import hashlib, json, sys
from collections import Counter
from tests.model_runs import run, trace_of
found = Counter()
for name, count in json.loads(sys.argv[1]).items():
    for _ in range(count):
        found[name + " " + hashlib.sha256(trace_of(run(name)[0]).encode()).hexdigest()] += 1
print(json.dumps(found))
"""


def _process(hash_seed: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _MANY, json.dumps(RUNS)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_two_hundred_runs_in_two_processes_have_one_trace_a_scenario() -> None:
    found: Counter[str] = Counter()
    for process in [_process("1"), _process("4711")]:
        out, err = process.communicate(timeout=55)
        assert process.returncode == 0, err
        found.update(json.loads(out))
    assert sum(found.values()) == 200
    here = {name: hashlib.sha256(trace_of(shipped(name)[0]).encode()) for name in RUNS}
    assert found == {f"{name} {here[name].hexdigest()}": 2 * RUNS[name] for name in RUNS}


def _without(trace: str, *fields: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in trace.splitlines()]
    return [{key: value for key, value in line.items() if key not in fields} for line in lines]


def test_another_seed_gives_another_trace_though_no_seed_stands_in_it() -> None:
    one, other = trace_of(shipped("clean_by_mas")[0]), trace_of(run("clean_by_mas", seed=2)[0])
    assert one != other
    assert "seed" not in one
    # not by one noisy read alone: the time of the end follows from what was read
    assert _without(one, "kv", "ma") != _without(other, "kv", "ma")


def test_another_technique_gives_another_trace_also_without_its_confirmation() -> None:
    clean = scenario("clean_by_mas")
    shot = clean.shot.model_copy(update={"kv": 81.0})
    other = run(clean.model_copy(update={"shot": shot}))[0]
    one = trace_of(shipped("clean_by_mas")[0])
    assert _without(one, "confirmed") != _without(trace_of(other), "confirmed")
