"""A generator's serial adapter is pulled out and plugged in again, over a real pseudo-terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hal.device_links import PtyLink
from hal.generators.vj_ixs import Driver
from hal.generators.vj_ixs_desk import Desk
from hal.links import SerialLink
from hal.now import Now
from hal.types import GeneratorState, Outputs, Technique
from rig import doctor_links
from rig.bench import bench_of
from rig.doctor import Verdict
from rig.serial_ports import SerialPort
from rig.service.middle import Middle
from rig.service.tape import Passage
from rig.toxic_proxy import SerialFront
from tests.fake_generator import FakeModel
from tests.live_bench import PORTABLE, ROOT

SCAN_US = 5_000
SHOT = Technique(kv=80.0, ma=0.5, mas=5.0)
ON, OFF = b"\x02ENBL1\r", b"\x02ENBL0\r"
pytestmark = pytest.mark.wire


class Adapter:
    """The port under its lasting name, a device behind it, and the unit's driver; time is ours."""

    def __init__(self, folder: Path) -> None:
        self.name = folder / "usb-Prolific-if00"
        self.model = FakeModel()
        self._plug_in()
        self.link = SerialLink(str(self.name))
        self.driver = Driver(self.link)
        self.t_us = 0
        self.heard = b""  # by the device, since it was plugged in

    def _plug_in(self) -> None:
        self._pty: PtyLink | None = PtyLink()
        self._desk = Desk(self.model)
        self.name.symlink_to(self._pty.path)
        self.heard = b""

    def plug_in(self) -> None:
        self._plug_in()

    def pull_out(self) -> None:
        assert self._pty is not None
        self._pty.close()
        self._pty = None
        self.name.unlink()

    def scan(self, outputs: Outputs) -> None:
        self.t_us += SCAN_US
        now = Now(self.t_us)
        if self._pty is not None:
            self._device(now, self._pty)
        self.driver.read(now)
        self.driver.write(now, outputs)

    def _device(self, now: Now, pty: PtyLink) -> None:
        data = pty.read(now.t_us)
        self.heard += data
        self._desk.receive(now, data)
        pty.write(now.t_us, self._desk.poll(now))

    def until(self, state: GeneratorState, outputs: Outputs, within_us: int = 5_000_000) -> None:
        end_us = self.t_us + within_us
        while self.driver.sample.state is not state:
            assert self.t_us != end_us, f"still {self.driver.sample.state}"
            self.scan(outputs)

    def close(self) -> None:
        self.link.close()
        if self._pty is not None:
            self._pty.close()


@pytest.fixture
def adapter(tmp_path: Path) -> Iterator[Adapter]:
    one = Adapter(tmp_path)
    yield one
    one.close()


def test_in_standby_it_comes_back_by_itself_and_is_asked_who_it_is(adapter: Adapter) -> None:
    adapter.until(GeneratorState.STANDBY, Outputs())
    adapter.pull_out()
    adapter.until(GeneratorState.OFFLINE, Outputs())
    assert adapter.driver.sample.identity is None
    assert "it is looked for every second" in adapter.driver.sample.raw_faults
    for _ in range(500):  # 2.5 s without it
        adapter.scan(Outputs())
    adapter.plug_in()
    adapter.until(GeneratorState.STANDBY, Outputs())
    for _ in range(100):
        adapter.scan(Outputs())
    assert adapter.driver.sample.identity == "IXS120BP120P366 S17085-A00001"
    assert adapter.driver.sample.raw_faults == ""
    assert b"MNUM" in adapter.heard
    assert b"SNUM" in adapter.heard


@pytest.mark.req("SR-27", "SR-33")
def test_in_the_beam_it_is_lost_and_what_comes_back_is_told_off_and_never_on(
    adapter: Adapter,
) -> None:
    ready = Outputs(technique=SHOT)
    adapter.until(GeneratorState.READY, ready)
    ordered = Outputs(technique=SHOT, expose_from_us=adapter.t_us)
    adapter.until(GeneratorState.BEAM, ordered)
    adapter.pull_out()
    adapter.until(GeneratorState.OFFLINE, ordered, within_us=SCAN_US)
    assert adapter.driver.sample.beam_on is None
    adapter.plug_in()  # at once, and the controller still orders the beam
    lost_us = adapter.t_us
    for _ in range(190):  # 0.95 s: the controller's limits have passed long before
        adapter.scan(ordered)
    assert adapter.driver.sample.state is GeneratorState.OFFLINE
    for _ in range(400):
        adapter.scan(ordered)
    assert ON not in adapter.heard
    for _ in range(400):
        adapter.scan(Outputs())
    assert OFF in adapter.heard
    assert ON not in adapter.heard
    assert adapter.driver.sample.off_confirmed_us is not None
    assert adapter.t_us - lost_us > 1_000_000


def test_a_tap_waits_for_the_adapter_and_goes_on(tmp_path: Path) -> None:
    name = tmp_path / "usb-adapter"
    device = PtyLink()
    name.symlink_to(device.path)
    told: list[Passage] = []
    middle = Middle("generator", SerialFront(), SerialLink(str(name)), told.append)
    client = SerialLink(middle.front.url)
    client.write(0, b"\x02STAT\r")
    middle.step(0)
    assert device.read(0) == b"\x02STAT\r"
    device.close()
    name.unlink()
    for t_us in range(1, 2_000_000, 100_000):
        middle.step(t_us)
    again = PtyLink()
    name.symlink_to(again.path)
    for t_us in range(2_000_001, 4_000_000, 100_000):
        middle.step(t_us)
    client.write(0, b"\x02MON\r")
    middle.step(4_000_000)
    assert again.read(0) == b"\x02MON\r"
    assert [one.trouble.partition(": ")[2] or one.trouble for one in told if one.trouble] == [
        "the port is gone ([Errno 5] the device was unplugged); check cable and power, it is "
        "looked for every second",
        "the port is back",
    ]
    for link in (client, middle, again):
        link.close()


# --- names that last


def test_doctor_says_which_name_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    by_id = "/dev/serial/by-id/usb-FTDI_A50285BI-if00-port0"
    port = SerialPort(path="/dev/ttyUSB0", by_id=by_id, about="FTDI", trouble="")
    monkeypatch.setattr(doctor_links, "serial_ports", lambda: [port])
    monkeypatch.setattr(doctor_links, "trouble_with", lambda url: "")
    monkeypatch.setattr(doctor_links, "SerialLink", lambda url, baud, line: PtyLink())
    found = doctor_links.endpoint("generator", "/dev/ttyUSB0")
    assert found.verdict is Verdict.NOTE
    assert found.cure.startswith(f'write url = "{by_id}"; ')
    assert doctor_links.endpoint("generator", by_id).verdict is Verdict.OK


@pytest.mark.parametrize(
    "url", ["/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0", "/dev/dxrig/generator"]
)
def test_a_bench_file_takes_names_that_last(url: str) -> None:
    text = PORTABLE.replace('\nurl = "sim"', f'\nurl = "{url}"', 1)
    assert bench_of(text, Path("mine.toml")).unit.generator.url == url


def test_the_rules_that_ship_give_each_adapter_a_name_by_its_number() -> None:
    rules = (ROOT / "tools" / "60-dxrig.rules").read_text(encoding="utf-8")
    lines = [line for line in rules.splitlines() if line and not line.startswith("#")]
    assert len(lines) == 3
    assert 'ATTRS{serial}=="?*", SYMLINK+="dxrig/$attr{serial}"' in lines[1]
