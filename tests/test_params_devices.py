"""Settings of a Spellman, a GeniX3D and mapped I/O modules, against the devices' own desks."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from hal.generators.genix3d_desk import Desk as Genix3dDesk
from hal.generators.spellman_desk import Desk as SpellmanDesk
from hal.room_io.iologik import Desk as IologikDesk
from hal.room_io.mapped_desk import Desk as MappedDesk
from hal.room_io.mapped_table import MapError, parsed
from rig.bench import load_bench
from rig.service import params_device, port, talk
from rig.service.params import PLATE
from rig.service.params_spellman import write
from tests.test_params import Site, dxrig, edited
from tests.test_waveshare import Room


def site_of(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    found = Site(load_bench(name))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("DXRIG_BENCH", name)
    monkeypatch.setattr(port, "ports_of", found.ports)
    monkeypatch.setattr(port, "open_byte_link", found.open)
    monkeypatch.setattr(talk, "QUIET_S", 0.0)
    monkeypatch.setattr(params_device, "WAIT_S", 0.01)
    return found


@pytest.fixture
def supply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    found = site_of("industrial", tmp_path, monkeypatch)
    desk = SpellmanDesk(found.model)
    desk._counts["set_filament_limit"] = (2000,)
    desk._counts["set_power_limits"] = (800, 400)
    found.make = lambda: desk
    return found


def saved(folder: Path) -> Path:
    done = dxrig("params", "save", folder / "a.toml")
    assert done.exit_code == 0, done.output
    return folder / "a.toml"


def content(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


# --- Spellman


def test_a_spellman_tells_all_that_its_table_reads_back(supply: Site, tmp_path: Path) -> None:
    found = content(saved(tmp_path))["generator"]
    assert (found["model"], found["serial"]) == ("XRV", "")
    assert found["firmware"] == "IXS120BP120P366 S17085-A00001"  # 23: of the model behind it
    assert found["by_hand"] == {PLATE: "", "serial baud rate (07)": "", "focus (32)": ""}
    wanted = {
        "kv": 0.0, "ma": 0.0, "filament_limit": 2000.0, "power_limits.large_w": 800.0,
        "power_limits.small_w": 400.0, "configuration.over_voltage_pct": 110.0,
        "configuration.watchdog": 0.0, "scaling.kv_max": 160.0,
    }  # fmt: skip
    assert wanted.items() <= found["values"].items()
    assert found["counters"] == {"hours": 1.03}  # of the fake model


def test_until_it_is_known_only_what_every_model_takes_for_a_query_leaves(
    supply: Site, tmp_path: Path
) -> None:
    """28 reads an XRV's scaling and sets the watchdog of an XRB011 (protocols.md 3.14)."""
    supply.make = lambda: SpellmanDesk(supply.model, kind="uX")
    done = dxrig("params", "save", tmp_path / "a.toml")
    assert done.exit_code == 3
    assert "the bench names a Spellman XRV, but what answers is a Spellman uX" in done.stderr
    sent = {frame[1:3] for frame in supply.sent().split(b"\x03") if frame}
    assert sent == {b"22"}


def test_a_supply_of_another_full_scale_is_no_supply_of_this_bench(
    supply: Site, tmp_path: Path
) -> None:
    supply.make = lambda: SpellmanDesk(supply.model, full_scale_kv=225.0)
    done = dxrig("params", "save", tmp_path / "a.toml")
    assert done.exit_code == 3
    assert "its full scale is 225 kV and 30 mA (28), the bench says 160 kV" in done.stderr


def test_a_supply_that_does_not_answer_is_told(supply: Site, tmp_path: Path) -> None:
    supply.make = MuteDesk
    done = dxrig("params", "save", tmp_path / "a.toml")
    assert (done.exit_code, "no Spellman answers" in done.stderr) == (3, True)


class MuteDesk:
    def receive(self, now: object, data: bytes) -> None: ...

    def poll(self, now: object) -> bytes:
        return b""


def typed(path: Path, serial: str = "20-1234") -> Path:
    return edited(path, f'"{PLATE}" = ""', f'"{PLATE}" = "{serial}"')


@pytest.mark.req("SR-12")
@pytest.mark.parametrize("given", [(), ("--serial", "20-9999")])
def test_a_supply_without_a_serial_number_is_written_only_by_the_one_on_its_plate(
    supply: Site, tmp_path: Path, given: tuple[str, ...]
) -> None:
    path = edited(typed(saved(tmp_path)), "filament_limit = 2000.0", "filament_limit = 1900.0")
    done = dxrig("params", "restore", path, "--yes", *given)
    assert done.exit_code == 4
    assert "nothing was written" in done.stderr
    assert b"\x0212," not in supply.sent()


def test_another_version_is_another_supply(supply: Site, tmp_path: Path) -> None:
    path = edited(typed(saved(tmp_path)), "S17085-A00001", "S17085-A00002")
    done = dxrig("params", "restore", path, "--yes", "--serial", "20-1234")
    assert done.exit_code == 4
    assert "is of firmware IXS120BP120P366 S17085-A00002, this generator is " in done.stderr


def test_what_is_written_is_kept_before_with_the_limits_and_read_back(
    supply: Site, tmp_path: Path
) -> None:
    path = edited(typed(saved(tmp_path)), "filament_limit = 2000.0", "filament_limit = 1900.0")
    edited(path, '"power_limits.large_w" = 800.0', '"power_limits.large_w" = 700.0')
    edited(path, '"power_limits.small_w" = 400.0', '"power_limits.small_w" = 300.0')
    done = dxrig("params", "restore", path, "--yes", "--serial", "20-1234")
    assert done.exit_code == 0, done.output
    assert "3 of 3 written and read back" in done.stdout
    sent = supply.sent()
    assert sent.count(b"\x0212,1900,") == 1
    assert sent.count(b"\x0297,700,300,") == 1  # both in one command, once
    (before,) = (tmp_path / "state" / "dxrig" / "industrial" / "params").glob("*-before.toml")
    kept = content(before)
    assert kept["generator"]["values"]["filament_limit"] == 2000.0
    assert kept["limits"]["kv_max"] == 160.0


def test_nothing_is_written_while_hv_is_on(supply: Site, tmp_path: Path) -> None:
    path = edited(typed(saved(tmp_path)), "filament_limit = 2000.0", "filament_limit = 1900.0")
    desk = supply.make()
    assert isinstance(desk, SpellmanDesk)
    desk.status_stuck = True
    done = dxrig("params", "restore", path, "--yes", "--serial", "20-1234")
    assert (done.exit_code, "HV is on" in done.stderr) == (4, True)
    assert b"\x0212," not in supply.sent()


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("power_limits.small_w", 900.0, "tube takes 800 at most"),
        ("ma", 11.0, "tube takes 10 at most"),
        ("ma", float("nan"), "tube takes 10 at most"),
        ("configuration.watchdog", 5.0, "no command for it is documented"),
        ("scaling.kv_max", 100.0, "no command for it is documented"),
    ],
)
def test_a_limit_above_the_tube_and_what_has_no_command_are_done_by_hand(
    name: str, value: float, why: str
) -> None:
    file = {"power_limits.large_w": 800.0, "power_limits.small_w": 400.0, name: value}
    found = write(load_bench("industrial").unit, name, 0.0, file)
    assert (found.data, why in found.by_hand) == (b"", True)


def test_half_of_a_command_is_not_written() -> None:
    found = write(
        load_bench("industrial").unit, "power_limits.large_w", 0.0, {"power_limits.large_w": 700.0}
    )
    assert (found.data, found.by_hand) == (b"", "the file lacks a value of it")


# --- typed by a person


def test_what_a_person_typed_is_compared_between_files_and_told_at_the_restore(
    supply: Site, tmp_path: Path
) -> None:
    path = edited(typed(saved(tmp_path)), '"focus (32)" = ""', '"focus (32)" = "large"')
    assert dxrig("params", "diff", path).exit_code == 0  # the wire can't tell: no difference
    other = tmp_path / "b.toml"
    other.write_text(path.read_text(encoding="utf-8").replace('"large"', '"small"'))
    done = dxrig("params", "diff", path, other)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].split() == [
        "generator.by_hand.focus", "(32)", "large", "small",
    ]  # fmt: skip
    told = dxrig("params", "restore", path, "--yes", "--serial", "20-1234").stdout
    (focus,) = [line for line in told.splitlines() if "focus (32)" in line]
    assert focus.endswith(" large")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('"focus (32)" = ""', '"focus (32)" = [1]', 'generator.by_hand."focus (32)": write a'),
        ("[generator.by_hand]", "[generator.by_hand]\n[[generator.x]]", None),
        ("kv = 0.0", "kv = {}", 'generator.values."kv": write a number'),
    ],
)
def test_a_typing_mistake_is_told_with_its_place(
    supply: Site, tmp_path: Path, old: str, new: str, why: str | None
) -> None:
    path = edited(saved(tmp_path), old, new)
    done = dxrig("params", "diff", path)
    assert done.exit_code == (2 if why else 0), done.output
    assert (why or "") in done.stderr


# --- registers


@pytest.mark.parametrize("function", [3, 4])
def test_a_genix3d_tells_its_tube_time_and_state_and_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: int
) -> None:
    site = site_of("cabinet", tmp_path, monkeypatch)
    site.make = lambda: Genix3dDesk(site.model, register_function=function)
    site.module = IologikDesk(Room())
    found = content(saved(tmp_path))
    generator = found["generator"]
    assert (generator["model"], generator["serial"]) == ("GeniX3D 30 W", "")
    assert generator["values"] == {"remote_on": True, "safety_circuit_overridden": False}
    assert set(generator["counters"]) == {"kv", "ma", "tube_on_min"}
    assert PLATE in generator["by_hand"]
    assert "watchdog: time, and outputs open when it ends" in found["room"]["by_hand"]
    path = edited(typed(tmp_path / "a.toml"), "remote_on = true", "remote_on = false")
    done = dxrig("params", "restore", path, "--yes", "--serial", "20-1234")
    assert "remote_on: True -> False   by hand: no command for it is documented" in done.stdout
    written = [data[7] for link in site.links for data in link.heard]  # behind the MBAP header
    assert set(written) <= {1, 2, 3, 4}


MAP = """
[settings]
function = 3
addresses = [40, 41]
names = ["watchdog_s", "power_up"]
source = "a test"
"""


class Keeps(MappedDesk):
    """A module whose set-up is in two registers."""

    def __init__(self) -> None:
        super().__init__(Room(), "iologik-e1213")
        module: Any = self._module
        module.read_registers = lambda t_us, function, address, count: [
            {(3, 40): 5, (3, 41): 1}[function, address]
        ]


def test_a_module_is_asked_for_what_its_map_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (Path("hal/room_io/maps") / "iologik-e1213.toml").read_text(encoding="utf-8")
    site = site_of("portable", tmp_path, monkeypatch)
    room = site.bench.unit.room.model_copy(update={"driver": "mapped", "map": text + MAP})
    unit = site.bench.unit.model_copy(update={"room": room})
    monkeypatch.setattr(port, "ports_of", lambda bench, **_: site.ports(_with(bench, unit)))
    site.module = Keeps()
    assert content(saved(tmp_path))["room"]["values"] == {"watchdog_s": 5, "power_up": 1}


def _with(bench: Any, unit: Any) -> Any:
    from dataclasses import replace

    return replace(bench, unit=unit)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[40, 41]", "[40]", "settings.names: 2 names for 1 addresses"),
        ("[40, 41]", '[40, "41"]', "settings.addresses: expected a whole number, got '41'"),
        ("[40, 41]", "[40, 40]", "settings.addresses: 40 stands there twice"),
        ("function = 3\na", "function = 5\na", "settings.function: 5 is not allowed"),
        ("[40, 41]", "[40, 65536]", "settings.addresses: 65536 is outside 0 to 65535"),
    ],
)
def test_a_mistake_in_a_maps_settings_is_told_with_its_line(old: str, new: str, why: str) -> None:
    text = (Path("hal/room_io/maps") / "iologik-e1213.toml").read_text(encoding="utf-8") + MAP
    with pytest.raises(MapError) as wrong:
        parsed(text.replace(old, new), "mine.toml")
    assert why in str(wrong.value)
    assert str(wrong.value).startswith("mine.toml:")
