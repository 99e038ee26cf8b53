"""A generator of which too little is known: a bench may name it, and no command makes a beam."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from hal import detectors, generators, room_io
from rig.bench_names import BENCHES, DRIVER_FOLDERS, drivers
from rig.cli import main
from tests.line_vectors import DRIVERS

WHY = "codec only: the reference has no beam feedback; dxrig will not make a beam with it"
TECHNIQUE = ("--kvp", "70", "--mas", "0.5")
ALL = [(section, name) for section in DRIVER_FOLDERS for name in drivers(section)]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    text = (BENCHES / "portable.toml").read_text()
    file = tmp_path / "mine.toml"
    file.write_text(text.replace('driver = "vj_ixs"', 'driver = "yolong_portable"'))
    return str(file)


def dxrig(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="dxrig")


@pytest.mark.parametrize(
    "command",
    [
        ("expose", *TECHNIQUE),
        ("expose", *TECHNIQUE, "--allow-exposure"),
        ("plan", *TECHNIQUE),
        ("demo",),
        ("sim", "up"),
        ("doctor", "--bounds"),
    ],
    ids=" ".join,
)
def test_it_is_refused_by_name_with_the_reason(bench: str, command: tuple[str, ...]) -> None:
    done = dxrig(*command, "--bench", bench)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == f"dxrig: yolong_portable: {WHY}\n"


def test_it_is_refused_as_json(bench: str) -> None:
    done = dxrig("expose", *TECHNIQUE, "--bench", bench, "--json")
    error = {"code": 2, "message": f"yolong_portable: {WHY}"}
    assert json.loads(done.stdout) == {"schema": 1, "error": error}


def test_doctor_says_it(bench: str) -> None:
    assert (
        f"note  generator driver: yolong_portable: {WHY}\n"
        in dxrig("doctor", "--bench", bench).stdout
    )


def test_its_bench_file_is_sound_because_its_line_can_be_listened_to(bench: str) -> None:
    assert dxrig("config", "check", bench).exit_code == 0


@pytest.mark.parametrize(("section", "name"), ALL)
def test_every_driver_says_its_source_and_how_far_it_is_verified(section: str, name: str) -> None:
    module = module_of(section, name)
    assert isinstance(module.DRIVES_BEAM, bool)
    assert len(module.SOURCE) >= 10
    assert "never checked against" in module.VERIFIED
    assert module.DRIVES_BEAM is hasattr(module, "Driver") or section != "generator"


def module_of(section: str, name: str) -> ModuleType:
    return import_module(f"hal.{DRIVER_FOLDERS[section]}.{name}")


def test_bench_files_and_the_loader_know_the_same_drivers() -> None:
    assert drivers("generator") == list(generators.names())
    assert drivers("room") == list(room_io.names())
    assert drivers("panel") == list(detectors.names())
    assert set(DRIVERS) == {
        name
        for name in generators.names()
        if not module_of("generator", name).DRIVES_BEAM and name != "manual"
    }
