"""Settings saved, compared and put back: against the devices' own desks, in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hal.generators.r2cp_desk import Desk as R2cpDesk
from hal.generators.vj_ixs_desk import Desk as IxsDesk
from hal.modbus_server import ModbusServer
from hal.now import NEVER_US, Now
from hal.ports import Desk
from hal.room_io.waveshare import Desk as WaveshareDesk
from rig.bench import Bench, load_bench
from rig.cli import main
from rig.guards import Ports
from rig.service import params_device, port, talk
from rig.service.clock_state import clock_state
from tests.fake_generator import FakeModel
from tests.test_waveshare import Room

REPLIED_US = 1_000_000  # long after any reply of a desk


class DeskLink:
    """A ByteLink straight to a desk, whose replies are there at once, however busy the computer.

    Every command that reached it is kept.
    """

    def __init__(self, desk: Any) -> None:
        self._desk = desk
        self.heard: list[bytes] = []

    def read(self, t_us: int) -> bytes:
        return bytes(self._desk.poll(Now(t_us + REPLIED_US)))

    def write(self, t_us: int, data: bytes) -> None:
        self.heard.append(data)
        self._desk.receive(Now(t_us), data)

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        return None


class Site:
    """A bench whose two ports are desks; `real`: the guards take them for real ones."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.model = FakeModel()
        self.make: Callable[[], Desk] = lambda: IxsDesk(self.model, dialect="R3")
        self.module: Any = WaveshareDesk(Room())
        self.links: list[DeskLink] = []
        self.driver, self.real = bench.unit.generator.driver, False

    def ports(self, bench: Bench, **_: object) -> Ports:
        generator = bench.unit.generator.model_copy(
            update={"driver": self.driver, "url": "/dev/ttyGEN"}
        )
        room = bench.unit.room.model_copy(update={"url": "tcp://10.0.0.2:502"})
        unit = bench.unit.model_copy(update={"generator": generator, "room": room})
        return Ports(unit=unit, simulator=None if self.real else {})

    def open(self, url: str, baud: int, line: str) -> DeskLink:
        link = DeskLink(self.make() if url == "/dev/ttyGEN" else self.module)
        self.links.append(link)
        return link

    def sent(self) -> bytes:
        return b"".join(data for link in self.links for data in link.heard)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    found = Site(load_bench("portable"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(port, "ports_of", found.ports)
    monkeypatch.setattr(port, "open_byte_link", found.open)
    monkeypatch.setattr(talk, "QUIET_S", 0.0)
    monkeypatch.setattr(params_device, "WAIT_S", 0.01)
    return found


def dxrig(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="dxrig")


def saved(folder: Path) -> Path:
    done = dxrig("params", "save", folder / "a.toml")
    assert done.exit_code == 0, done.output
    return folder / "a.toml"


def edited(path: Path, old: str, new: str) -> Path:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    return path


# --- save


def test_an_ixs_is_asked_for_all_that_its_document_lets_it_tell(site: Site, tmp_path: Path) -> None:
    text = saved(tmp_path).read_text(encoding="utf-8")
    start = text.index("[generator]")
    assert text[start : text.index("[room]")].splitlines() == [
        "[generator]",
        'driver = "vj_ixs"',
        'model = "IXS120BP120P366"',
        'serial = "S17085-A00001"',
        'firmware = "FREV 2000"',
        'silent = ["CDENSTAT"]',
        "",
        "[generator.by_hand]",
        '"VP tube voltage, kV" = ""',
        '"CP tube current, mA" = ""',
        '"OT exposure time, s" = ""',
        '"WDOG watchdog time, s" = ""',
        "",
        "[generator.counters]",
        "xray_on_min = 62",
        "",
        "[generator.values]",
        "prewarning_s = 0",
        "watchdog_on = true",
        "buzzer_on = true",
        "",
    ]
    assert "kv_max = 120.0" in text[text.index("[limits]") : start]
    for command in (b"ENBL", b"VP", b"CP", b"OT", b"PTM", b"WDOG", b"CLR"):
        assert b"\x02" + command not in site.sent()


def test_an_r4_also_tells_its_temperature_cut_off(site: Site, tmp_path: Path) -> None:
    site.make = lambda: IxsDesk(site.model, dialect="R4")
    assert "temperature_cut_off_on = " in saved(tmp_path).read_text(encoding="utf-8")


def test_what_the_wire_can_not_tell_is_printed_as_a_sheet_to_fill_in(
    site: Site, tmp_path: Path
) -> None:
    lines = dxrig("params", "save", tmp_path / "a.toml").stdout.splitlines()
    assert lines[0] == "generator: vj_ixs, IXS120BP120P366 S17085-A00001: 3 settings"
    (voltage,) = [line for line in lines if "VP tube voltage" in line]
    assert voltage.endswith("____________")
    assert max(map(len, lines)) <= 80 + len(str(tmp_path))


def test_a_saved_file_is_never_overwritten(site: Site, tmp_path: Path) -> None:
    path = saved(tmp_path)
    done = dxrig("params", "save", path)
    assert done.exit_code == 3
    assert done.stderr == f"dxrig: {path}: can't be written: file exists\n"


def test_an_r2cp_tells_its_databanks_and_its_count(site: Site, tmp_path: Path) -> None:
    desk = R2cpDesk(FakeModel())
    bank = "03 06 11 20 0c 01 00 1b 01 04 02 03 20 00 13 88 00 61 a8 01 86 a0 00 01 03 e8 01" + (
        " 00" * 8
    )  # protocols.md 4.8 [C]: databank 1, 80.0 kV, 5.000 mAs, 250 mA, 1000 ms
    desk.receive(Now(0), bytes.fromhex(bank))
    site.driver, site.make = "r2cp", lambda: desk
    text = saved(tmp_path).read_text(encoding="utf-8")
    for line in ('"databank_1.kv" = 80.0', '"databank_1.mas" = 5.0', '"databank_1.ma" = 250.0',
                 'serial = "S17085-A00001"', "databank 2: refused, the generator has none",
                 "exposure_count = 0"):  # fmt: skip
        assert line in text


class Modes:
    """A module that has the output modes of protocols.md 8.2 in holding 0x1000-0x1007."""

    def __init__(self) -> None:
        self._server, self._reply = ModbusServer(self), b""

    def receive(self, now: Now, data: bytes) -> None:
        self._reply += b"".join(self._server.feed(now, data))

    def poll(self, now: Now) -> bytes:
        found, self._reply = self._reply, b""
        return found

    def read_registers(self, t_us: int, function: int, address: int, count: int) -> list[int]:
        assert (function, count) == (3, 1)
        return [[0, 0, 0, 2, 0, 0, 0, 0][range(0x1000, 0x1008).index(address)]]

    def read_bits(self, t_us: int, function: int, address: int, count: int) -> list[bool]:
        return [False] * count

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name}: nothing may be written")


def test_a_modules_output_modes_are_read_and_nothing_is_written(site: Site, tmp_path: Path) -> None:
    site.module = Modes()
    text = saved(tmp_path).read_text(encoding="utf-8")
    assert "output_mode_3 = 2" in text


def test_a_module_that_refuses_them_is_told_so(site: Site, tmp_path: Path) -> None:
    assert "the module refuses the registers" in saved(tmp_path).read_text(encoding="utf-8")


# --- diff


def test_a_changed_setting_is_the_one_line_that_differs(site: Site, tmp_path: Path) -> None:
    path = saved(tmp_path)
    assert dxrig("params", "diff", path).stdout == "a.toml and devices: no difference\n"
    site.model.set_prewarning_us(0, 7_000_000)
    done = dxrig("params", "diff", path, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["differences"] == [
        {"key": "generator.prewarning_s", "a": 0, "b": 7}
    ]


def test_two_files_need_no_device(site: Site, tmp_path: Path) -> None:
    path = saved(tmp_path)
    other = tmp_path / "b.toml"
    other.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    edited(other, "kv_max = 120.0", "kv_max = 110.0")
    site.links.clear()
    done = dxrig("params", "diff", path, other)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1].split() == ["limits.kv_max", "120.0", "110.0"]
    assert site.links == []


@pytest.mark.parametrize("text", ["x = 1\n", "[file]\nkind = 'params'\nschema = 9\n", "[\n"])
def test_a_file_of_something_else_is_usage(site: Site, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_text(text, encoding="utf-8")
    for words in (("diff",), ("restore",)):
        assert dxrig("params", *words, tmp_path / "x.toml").exit_code == 2


# --- restore


def test_a_restore_shows_what_it_would_write_and_without_yes_writes_nothing(
    site: Site, tmp_path: Path
) -> None:
    path = edited(saved(tmp_path), "prewarning_s = 0", "prewarning_s = 5")
    done = dxrig("params", "restore", path)
    assert done.exit_code == 0
    assert done.stdout == (
        "prewarning_s: 0 -> 5   02 50 54 4d 30 35 0d\nNothing was written; --yes writes.\n"
    )
    assert site.model.prewarning_us() == 0


def test_what_was_written_is_read_back_and_what_was_before_is_kept(
    site: Site, tmp_path: Path
) -> None:
    path = edited(saved(tmp_path), "prewarning_s = 0", "prewarning_s = 5")
    done = dxrig("params", "restore", path, "--yes")
    assert done.exit_code == 0, done.output
    assert "1 of 1 written and read back" in done.stdout
    assert site.model.prewarning_us() == 5_000_000
    (before,) = (tmp_path / "state" / "dxrig" / "portable" / "params").glob("*-before.toml")
    assert "prewarning_s = 0" in before.read_text(encoding="utf-8")


def test_a_setting_that_does_not_read_back_is_a_failed_check(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = edited(saved(tmp_path), "prewarning_s = 0", "prewarning_s = 5")
    monkeypatch.setattr(FakeModel, "set_prewarning_us", lambda self, t_us, prewarning_us: None)
    done = dxrig("params", "restore", path, "--yes")
    assert done.exit_code == 1
    assert "WRONG  prewarning_s does not read back as written" in done.stdout


def test_another_serial_number_is_refused_before_anything_is_written(
    site: Site, tmp_path: Path
) -> None:
    path = edited(saved(tmp_path), "S17085-A00001", "S17085-A00002")
    edited(path, "prewarning_s = 0", "prewarning_s = 5")
    done = dxrig("params", "restore", path, "--yes")
    assert done.exit_code == 4
    assert done.stderr == (
        f"dxrig: {path}: is of serial S17085-A00002, this generator is S17085-A00001; nothing "
        "was written\n"
    )
    assert b"PTM" not in site.sent()


def test_a_real_port_needs_its_permit(site: Site, tmp_path: Path) -> None:
    path = edited(saved(tmp_path), "prewarning_s = 0", "prewarning_s = 5")
    site.real = True
    assert dxrig("params", "restore", path, "--yes").exit_code == 4
    assert site.model.prewarning_us() == 0
    assert dxrig("params", "restore", path, "--yes", "--allow-settings").exit_code == 0


@pytest.mark.parametrize("name", ["watchdog_on", "buzzer_on"])
def test_no_protection_is_ever_switched_off(site: Site, tmp_path: Path, name: str) -> None:
    path = edited(saved(tmp_path), f"{name} = true", f"{name} = false")
    done = dxrig("params", "restore", path, "--yes")
    assert f"{name}: True -> False   by hand: it would switch a protection off" in done.stdout
    for command in (b"WDOG0", b"BUZZENBL0", b"CDEN0"):
        assert command not in site.sent()
    assert site.model.watchdog_on()


def test_a_protection_that_was_on_is_switched_on_again(site: Site, tmp_path: Path) -> None:
    path = saved(tmp_path)
    site.model.set_watchdog(0, on=False)
    assert dxrig("params", "restore", path, "--yes").exit_code == 0
    assert site.model.watchdog_on()


def test_an_r2cp_databank_goes_back_as_a_whole_and_once(site: Site, tmp_path: Path) -> None:
    desk = R2cpDesk(FakeModel())
    bank = bytes.fromhex(
        "03 06 11 20 0c 01 00 1b 01 04 02 03 20 00 13 88 00 61 a8 01 86 a0 00 01 03 e8 01"
        + " 00" * 8
    )
    desk.receive(Now(0), bank)
    site.driver, site.make = "r2cp", lambda: desk
    path = edited(saved(tmp_path), '"databank_1.kv" = 80.0', '"databank_1.kv" = 70.0')
    edited(path, '"databank_1.ms" = 1000.0', '"databank_1.ms" = 900.0')
    done = dxrig("params", "restore", path, "--yes")
    assert done.exit_code == 0, done.output
    assert "2 of 2 written and read back" in done.stdout
    wanted = bytes.fromhex("01 06 11 20 0c 01 00 1b 01 04 02 02 bc 00 13 88 00 61 a8 01 5f 90")
    assert site.sent().count(wanted) == 1


# --- snapshots


def snapshot(folder: Path, name: str, *words: str) -> dict[str, Any]:
    done = dxrig("snapshot", "take", folder / name, "--json", *words)
    assert done.exit_code == 0, done.output
    found = json.loads((folder / name).read_text(encoding="utf-8"))
    assert json.loads(done.stdout)["snapshot"] == found
    return dict(found)


def a_run(tmp_path: Path, scenario: str, name: str) -> None:
    folder = tmp_path / "state" / "dxrig" / "portable" / "runs" / name
    folder.mkdir(parents=True)
    golden = Path(__file__).parent / "golden" / f"{scenario}.jsonl"
    (folder / "trace.jsonl").write_text(golden.read_text(encoding="utf-8"), encoding="utf-8")
    manifest = {"started_at": "2026-11-22T10:00:00+00:00", "end_reason": "fault", "fault": "x"}
    (folder / "run.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_a_snapshot_holds_devices_counters_errors_and_the_clock(site: Site, tmp_path: Path) -> None:
    a_run(tmp_path, "door_opens_in_expose", "20261122T100000Z-portable-aaaaaa")
    found = snapshot(tmp_path, "a.json")
    assert found["devices"]["generator"]["serial"] == "S17085-A00001"
    assert found["devices"]["generator"]["counters"] == {"xray_on_min": 62}
    assert found["counters"]["exposures"] == 0
    assert found["errors"] == [
        {
            "at": "2026-11-22T10:00:01.670+00:00",
            "run": "20261122T100000Z-portable-aaaaaa",
            "codes": ["DOOR_OPEN"],
            "text": "Door (input 2, X1:3) opened 545 ms after beam on: the hard-wired chain ended "
            "the beam after 0.321 mAs, the unit dropped enable, too.",
        }
    ]
    assert set(found["computer"]["clock"]) == {"synchronised", "max_error_ms"}
    assert found["software"]["dxrig"]


def test_the_offset_to_a_trusted_clock_stands_in_it() -> None:
    now = datetime(2026, 11, 22, 16, 0, 5, tzinfo=UTC)
    found = clock_state(now, now - timedelta(seconds=2.5))
    assert found["offset_to_reference_s"] == 2.5


@pytest.mark.parametrize("text", ["noon", "2026-11-22T16:00:00"])
def test_a_clock_that_is_no_time_with_a_zone_is_usage(
    site: Site, tmp_path: Path, text: str
) -> None:
    done = dxrig("snapshot", "take", tmp_path / "a.json", "--clock", text)
    assert done.exit_code == 2
    assert not (tmp_path / "a.json").exists()


def test_a_visit_shows_what_it_changed_and_what_went_wrong(site: Site, tmp_path: Path) -> None:
    snapshot(tmp_path, "start.json")
    a_run(tmp_path, "press_with_door_open", "20261122T100000Z-portable-aaaaaa")
    site.model.set_prewarning_us(0, 5_000_000)
    snapshot(tmp_path, "end.json")
    done = dxrig("snapshot", "compare", tmp_path / "start.json", tmp_path / "end.json")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == [
        "from start.json to end.json:",
        "  devices.generator.values.prewarning_s: 0 -> 5",
        "  counters.runs_kept: 0 -> 1",
        "new error 2026-11-22T10:00:00.465+00:00 (DOOR_OPEN, CHAIN_OPEN)",
        "  PREP refused: the door is open (input 2, X1:3) (and CHAIN_OPEN).",
        "new run 20261122T100000Z-portable-aaaaaa: fault",
    ]


def test_two_moments_without_a_change_are_equal(site: Site, tmp_path: Path) -> None:
    snapshot(tmp_path, "a.json")
    snapshot(tmp_path, "b.json")
    done = dxrig("snapshot", "compare", tmp_path / "a.json", tmp_path / "b.json")
    assert (done.exit_code, done.stdout) == (0, "a.json and b.json: no difference\n")


def test_snapshots_of_two_benches_are_not_compared(site: Site, tmp_path: Path) -> None:
    snapshot(tmp_path, "a.json")
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    (tmp_path / "b.json").write_text(text.replace('"portable"', '"mobile"'), encoding="utf-8")
    done = dxrig("snapshot", "compare", tmp_path / "a.json", tmp_path / "b.json")
    assert done.exit_code == 2
    assert done.stderr == "dxrig: these are snapshots of two benches, portable and mobile\n"


def test_a_silent_device_stands_in_it_with_the_reason(site: Site, tmp_path: Path) -> None:
    class Silent:
        def receive(self, now: Now, data: bytes) -> None: ...

        def poll(self, now: Now) -> bytes:
            return b""

    site.make = Silent
    done = dxrig("snapshot", "take", tmp_path / "a.json")
    assert done.exit_code == 3
    found = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert found["devices"]["generator"] == {
        "error": "/dev/ttyGEN: no IXS answers; check power and cable"
    }
    assert "generator: NOT ASKED: /dev/ttyGEN: no IXS answers" in done.stdout


def test_a_file_that_is_no_snapshot_is_usage(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}", encoding="utf-8")
    done = dxrig("snapshot", "compare", tmp_path / "x.json", tmp_path / "x.json")
    assert done.exit_code == 2
    assert "is no snapshot" in done.stderr
