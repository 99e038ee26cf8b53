"""The lint of firmware_py/decide finds each thing that the design forbids, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import lint_decide
from tools.lint_decide import findings

PLANTED = {
    "a clock": ("import time", "imports time;"),
    "luck": ("from random import choice", "imports random;"),
    "a driver": ("from hal.generators.vj_ixs import Driver", "imports hal.generators.vj_ixs;"),
    "a package of hal as a whole": ("from hal import links", "imports hal.links;"),
    "the links behind an allowed name": (
        "from hal import now, links",
        "imports hal.links;",
    ),
    "a star": ("from hal.types import *", "imports hal.types.*;"),
    "a relative import": ("from . import memory", "imports .*;"),
    "the unit": ("import firmware_py.unit", "imports firmware_py.unit;"),
    "the machine elsewhere": ("from transitions import Machine", "imports transitions;"),
    "a hidden import": ("def f():\n    import enum", "imports stand at the top"),
    "a device side": ("x = Desk", "uses Desk"),
    "a file": ("def f():\n    return open('x')", "uses open"),
    "a word to the screen": ("def f():\n    print(1)", "uses print"),
    "code made at run time": ("def f(x):\n    return eval(x)", "uses eval"),
    "a frozen value forced": ("def f(m):\n    object.__setattr__(m, 'a', 1)", "uses __setattr__"),
    "an order by address": ("def f(m):\n    return id(m)", "uses id"),
    "a global": ("A = 1\ndef f():\n    global A\n    A = 2", "keeps a state outside Memory"),
    "a nonlocal": (
        "def f():\n    a = 1\n    def g():\n        nonlocal a\n        a = 2",
        "keeps a state outside Memory",
    ),
    "a coroutine": ("async def f():\n    pass", "is asynchronous"),
    "a while loop": ("def f(x):\n    while x:\n        x = x - 1", "has a while loop"),
    "a list in the module": ("SEEN = []", "SEEN is a state of the module"),
    "a set in the module": ("SEEN = {1, 2}", "SEEN is a state of the module"),
    "a typed dict in the module": ("seen: dict[str, int] = {}", "seen is a state of the module"),
    "a dict made by a call": ("SEEN = dict(a=1)", "SEEN is a state of the module"),
    "a generator that runs dry": ("ROWS = (r for r in X)", "ROWS is a state of the module"),
    "another machine": ("_machine_2 = build_machine(_sequence)", "_machine_2 is a state"),
    "a table that is changed": (
        "TOLD = {'a': 1}\ndef f():\n    TOLD['b'] = 2",
        "changes the table TOLD",
    ),
    "a table that loses a row": (
        "TOLD = {'a': 1}\ndef f():\n    del TOLD['a']",
        "changes the table TOLD",
    ),
    "a table that is changed by its method": (
        "TOLD = {'a': 1}\ndef f():\n    TOLD.update(b=2)",
        "changes the table TOLD",
    ),
    "somebody else's table": (
        "from hal.faults import FAULTS\ndef f():\n    FAULTS.pop('ARC')",
        "changes the table FAULTS",
    ),
    "a memory that is written to": (
        "def f(memory):\n    memory.state = 1",
        "writes to memory.state",
    ),
    "a cache": ("import enum\n@cache\ndef f(x):\n    return x", "@cache: only dataclass, property"),
    "a dataclass that is not frozen": (
        "from dataclasses import dataclass\n@dataclass(slots=True)\nclass A:\n    x: int",
        "the dataclass A is not frozen",
    ),
    "a dataclass with no word about it": (
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: int",
        "the dataclass A is not frozen",
    ),
    "a bare except": (
        "def f():\n    try:\n        g()\n    except:\n        pass",
        "catches everything",
    ),
    "an except for all": (
        "def f():\n    try:\n        g()\n    except (KeyError, Exception):\n        pass",
        "catches everything",
    ),
    "floats compared": ("def f(a, b):\n    return a.kv == b", "compares floats"),
    "a time in ms compared": ("def f(a, b):\n    return a.beam_ms != b", "compares floats"),
    "a quotient compared": ("def f(a, b):\n    return a / 2 == b", "compares floats"),
    "a number with a point compared": ("def f(a):\n    return 0.0 == a", "compares floats"),
    "a time ordered": ("def f(a_us, b):\n    return a_us > b", "orders a time by hand"),
    "an age ordered": ("def f(n, m):\n    return n.t_us - m.since_us >= 5", "orders a time"),
}

HARMLESS = {
    "the words of the plug": "from hal.types import Inputs\nfrom hal import now",
    "a neighbour": "from firmware_py.decide import account, supervisor",
    "a table": "TOLD = {'a': 1}\nROWS = (1, 2)\nCODES = frozenset({'A'})",
    "a local list": "def f():\n    found = []\n    found.append(1)\n    return found",
    "a local dict": "def f():\n    wanted = {}\n    wanted['a'] = 1\n    return wanted",
    "a frozen dataclass": (
        "from dataclasses import dataclass\n@dataclass(frozen=True, slots=True)\n"
        "class A:\n    x: int"
    ),
    "a narrow except": "def f():\n    try:\n        g()\n    except KeyError:\n        pass",
    "times compared for equality": "def f(a_us, b_us):\n    return a_us == b_us",
    "an order with its reason": "def f(a_us):\n    return a_us > 5  # us-compare: two durations",
    "an order of floats": "def f(a_kv, b_kv):\n    return a_kv <= b_kv",
}


@pytest.mark.parametrize("planted", PLANTED)
def test_what_the_design_forbids_is_found(planted: str) -> None:
    source, text = PLANTED[planted]
    found = [finding.text for finding in findings("planted.py", source) if text in finding.text]
    assert len(found) == 1


@pytest.mark.parametrize("harmless", HARMLESS)
def test_what_is_plain_is_left_alone(harmless: str) -> None:
    assert findings("harmless.py", HARMLESS[harmless]) == []


def test_the_exceptions_hold_in_their_own_file_only() -> None:
    machine = "from transitions import Machine\n_machine = Machine(object())"
    assert findings("states.py", machine) == []
    assert len(findings("entry.py", machine)) == 2
    view = "from dataclasses import dataclass\n@dataclass(slots=True)\nclass View:\n    x: int"
    assert findings("view.py", view) == []
    assert len(findings("memory.py", view)) == 1


def test_the_project_as_it_is_keeps_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_decide.main([]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.endswith(" files, 0 findings\n")


def test_a_planted_file_is_named_with_its_line_and_ends_with_code_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / lint_decide.DECIDE
    folder.mkdir(parents=True)
    (folder / "aec.py").write_text("import enum\nimport math\n")
    assert lint_decide.main([], tmp_path) == 1
    assert capsys.readouterr().out.startswith("firmware_py/decide/aec.py:2: imports math; allowed")


def test_a_folder_without_files_is_no_clean_folder(tmp_path: Path) -> None:
    assert lint_decide.main([], tmp_path) == 1


def test_an_argument_is_refused_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_decide.main(["hal"]) == 2
    assert capsys.readouterr().err == "lint_decide takes no arguments, got 'hal'\n"
