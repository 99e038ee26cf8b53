"""Who may import whom: the contracts in pyproject.toml hold, and can be broken."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT, name_of, parse, sources

# design.md, section 2; the import contract says it too, this test says where and sees `Desk`.
# fmt: off
IMPURE = frozenset((
    "time", "random", "asyncio", "threading", "socket", "serial", "zmq", "logging", "math",
    "numpy", "pymodbus", "pydicom",
))
# fmt: on


def broken_contracts(root: Path) -> list[str]:
    """Names of the contracts that do not hold for the packages under `root`."""
    result = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert re.search(r"Contracts: \d+ kept, \d+ broken", result.stdout), result.stdout
    broken = re.findall(r"^(.+?) BROKEN", result.stdout, flags=re.MULTILINE)
    assert bool(broken) == bool(result.returncode)
    return broken


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """The smallest project that keeps every contract."""
    for folder in (
        "tools",
        "rig",
        "sim",
        "hal",
        "firmware_py/decide",
        "firmware_py/recorder/dicom",
    ):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "__init__.py").touch()
    (tmp_path / "firmware_py/recorder/__init__.py").touch()
    (tmp_path / "firmware_py/__init__.py").touch()
    for path, text in KEPT.items():
        (tmp_path / path).write_text(text)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


KEPT = {
    "hal/now.py": "",
    "hal/ports.py": "import hal.now",
    "hal/links.py": "import hal.ports, serial",
    "hal/modbus.py": "import hal.links, pymodbus",
    "hal/modbus_server.py": "import hal.modbus, pymodbus",
    "hal/sockets.py": "import hal.ports, zmq",
    "hal/frames.py": "import hal.sockets, zmq",
    "firmware_py/config.py": "import hal.ports",
    "firmware_py/decide/states.py": "import hal.now",
    "firmware_py/recorder/dicom/file.py": "import pydicom",
    "sim/tube.py": "import hal.now",
    "rig/reader.py": "import pydicom, firmware_py.config, sim.tube, hal.links",
}


def test_the_smallest_house_keeps_every_contract(house: Path) -> None:
    assert broken_contracts(house) == []


def test_every_import_contract_is_kept() -> None:
    assert broken_contracts(ROOT) == []


@pytest.mark.parametrize(
    ("where", "planted", "broken"),
    [
        ("sim/planted.py", "import firmware_py.config", "tools > rig > firmware_py | sim > hal"),
        ("firmware_py/planted.py", "import sim", "tools > rig > firmware_py | sim > hal"),
        ("hal/now.py", "import hal.ports", "hal: devices > exchange, links, ... > ports > words"),
        ("firmware_py/decide/planted.py", "import time", "decide is pure"),
        ("sim/planted.py", "import serial", "pyserial only in hal.links"),
        ("rig/planted.py", "from pymodbus import framer", "pymodbus only in hal.modbus"),
        ("firmware_py/planted.py", "import zmq", "pyzmq only in hal.sockets, hal.frames"),
        ("firmware_py/planted.py", "import pydicom", "pydicom only in"),
    ],
)
def test_a_planted_import_breaks_its_contract_alone(
    house: Path, where: str, planted: str, broken: str
) -> None:
    (house / where).write_text(planted)
    found = broken_contracts(house)
    assert len(found) == 1
    assert found[0].startswith(broken)


# --- decide ----------------------------------------------------------------------------------


def impurities(tree: ast.Module) -> list[str]:
    """Forbidden imports and device-side names, in the order of `ast.walk`."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=module, names=names):
                modules = [module or "", *(alias.name for alias in names)]
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.ClassDef(name=name):
                modules = [name]
            case _:
                continue
        names_a_module = isinstance(node, ast.Import | ast.ImportFrom)
        found += [m for m in modules if names_a_module and m.partition(".")[0] in IMPURE]
        found += [m for m in modules if m.endswith("Desk")]
    return found


def test_decide_is_pure_and_knows_no_device_side() -> None:
    found = {
        name_of(path): impurities(parse(path))
        for path in sources("firmware_py/decide")
        if impurities(parse(path))
    }
    assert found == {}


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("import time", ["time"]),
        ("def f():\n    from numpy.random import default_rng", ["numpy.random"]),
        ("import math as m", ["math"]),
        ("from hal.generators.vj_ixs import Desk", ["Desk"]),
        ("from hal.generators.vj_ixs import IxsDesk as D", ["IxsDesk"]),
        ("x = ports.Desk", ["Desk"]),
        ("class PanelDesk: pass", ["PanelDesk"]),
        ("from hal.types import Technique", []),
        ("timed = now.reached(t_us)", []),
    ],
)
def test_a_planted_impurity_is_found(planted: str, found: list[str]) -> None:
    assert impurities(ast.parse(planted)) == found
