"""`dxrig devices`: supported devices by their drivers' own words, none of them imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module

import pytest
from click.testing import CliRunner

from rig.bench_names import DRIVER_FOLDERS
from rig.cli import main
from rig.service.devices import Device, devices

KNOWN = devices()


@pytest.mark.parametrize("device", KNOWN, ids=lambda device: device.name)
def test_what_is_listed_is_what_the_driver_says_of_itself(device: Device) -> None:
    module = import_module(f"hal.{DRIVER_FOLDERS[device.section]}.{device.name}")
    assert (device.source, device.verified) == (module.SOURCE, module.VERIFIED)
    assert device.codec_only == getattr(module, "CODEC_ONLY", "")
    assert device.line == getattr(module, "LINE", "")
    if device.section == "generator":
        assert device.drives_beam is module.DRIVES_BEAM
        assert device.observe_only == getattr(module, "OBSERVE_ONLY", "")
        why = bool(device.codec_only) or bool(device.observe_only)
        assert why is not device.drives_beam
        assert hasattr(module, "Driver") is device.drives_beam


@pytest.mark.parametrize("device", KNOWN, ids=lambda device: device.name)
def test_none_claims_to_have_met_hardware(device: Device) -> None:
    assert "never checked against" in device.verified


def test_that_nothing_was_checked_stands_in_the_first_line() -> None:
    lines = CliRunner().invoke(main, ["devices"]).stdout.splitlines()
    assert lines[0].startswith("No driver has been checked against a device")
    found = lines.index("generator r2cp: drives a beam")
    assert lines[found + 1].startswith("  from     MCPU_MASTER 9ba0caac")
    assert max(map(len, lines)) <= 80


def test_what_drives_a_beam_comes_first_and_a_codec_says_what_it_lacks() -> None:
    beams = [bool(one.drives_beam) for one in KNOWN if one.section == "generator"]
    assert beams == sorted(beams, reverse=True)
    found = json.loads(CliRunner().invoke(main, ["devices", "--json"]).stdout)
    (technix,) = [one for one in found["devices"] if one["name"] == "technix"]
    assert (technix["drives_beam"], technix["use"]) == (False, "codec only, refuses `expose`")
    assert technix["codec_only"].startswith("it has no driver")
    assert found["verified_on_hardware"] is False


def test_the_list_imports_no_driver() -> None:
    code = (
        "import sys; from rig.service.devices import devices; devices(); "
        "print([name for name in sys.modules if name.startswith('hal.generators.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
