"""What people and programs are told of collimator and meter: status, tap, ports, exit codes."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

import pytest

from firmware_py.assemble import link_names
from hal.ports import Direction
from hal.types import DoseSample, GeometrySample
from rig.bench import Bench, load_bench
from rig.doctor_links import links
from rig.exposure import Outcome
from rig.fault_words import words
from rig.guards import urls
from rig.service.devices import devices
from rig.service.hearing import Hearing
from rig.simulator import with_ports
from rig.unit_view import tell_status
from tests.vectors_loader import load


@cache
def room() -> Bench:
    return load_bench("room")


STATUS: dict[str, Any] = {
    "pid": 1, "state": "EXPOSE", "why": "pressed", "faults": [], "inhibits": [], "latest_us": 0,
    "scans": 1, "skipped_scans": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("sample", "text"),
    [
        (GeometrySample(taken_us=0), "collimator does not answer"),
        (GeometrySample(taken_us=0, link_ok=True, identity="COL 1"),
         "collimator shows no distance"),
        (GeometrySample(taken_us=0, link_ok=True, identity="COL 1", sid_mm=1150.0,
                        field_rows_mm=349.9, field_columns_mm=180.2, moving=True),
         "collimator 350 x 180 mm at 1150 mm, moving, COL 1"),
        (DoseSample(taken_us=0), "dap        does not answer"),
        (DoseSample(taken_us=0, link_ok=True, identity="D 1", trouble="its chamber has no voltage"),
         "dap        its chamber has no voltage, D 1"),
        (DoseSample(taken_us=0, link_ok=True, identity="D 1", dap_dgycm2=1.8),
         "dap        1.800 dGy cm2 since its reset, D 1"),
    ],
)  # fmt: skip
def test_a_status_tells_them(
    sample: GeometrySample | DoseSample, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "collimator" if isinstance(sample, GeometrySample) else "dap"
    tell_status("room", STATUS | {name: asdict(sample)})
    assert text in capsys.readouterr().out


def test_a_tap_hears_them_in_words() -> None:
    hearing, said = Hearing(room().unit), []
    for link, name in (("collimator", "blade_lines"), ("dap", "dap_lines")):
        vectors = load(name)
        questions = {v.fields["command"]: v.bytes for v in vectors if "command" in v.fields}
        for vector in vectors:
            if "to" not in vector.fields:
                continue
            hearing.take(link, Direction.TO_DEVICE, 0, questions[vector.fields["to"]])
            heard = hearing.take(link, Direction.FROM_DEVICE, 0, vector.bytes)
            said += [one.text for one in heard]
    assert "opening 1150 mm SID 304.3 mm at 1 m 304.3 mm at 1 m R (at rest)" in said
    assert "dose-area product 66.66 uGy m2 R (ready)" in said
    assert {counts.errors for counts in hearing.counts.values()} == {0}


def test_a_bench_without_them_has_no_such_links() -> None:
    portable = load_bench("portable")
    assert link_names(portable.unit) == ("generator", "room", "panel")
    assert link_names(room().unit) == ("generator", "room", "panel", "collimator", "dap")
    assert "dap" not in Hearing(portable.unit).counts


def test_a_simulator_says_where_they_are_and_no_real_port_is_taken_for_one() -> None:
    unit = room().unit
    assert urls(unit)["collimator.url"] == urls(unit)["dap.url"] == "sim"
    facts = {
        "generator": {"url": "tcp://127.0.0.1:1"}, "room": {"url": "tcp://127.0.0.1:2"},
        "panel": {"control_url": "ipc:///a", "data_url": "ipc:///b"},
        "collimator": {"url": "/dev/pts/7"}, "dap": {"url": "/dev/pts/8"},
    }  # fmt: skip
    moved = urls(with_ports(unit, facts))
    assert (moved["collimator.url"], moved["dap.url"]) == ("/dev/pts/7", "/dev/pts/8")


def test_doctor_and_devices_know_them(tmp_path: Any) -> None:
    names = [finding.name for finding in links(room().unit, tmp_path)]
    assert names[-2:] == ["collimator", "dap"]
    uses = {one.section: one.use for one in devices()}
    assert uses["collimator"] == "tells field and distance"
    assert uses["dap"] == "measures the dose-area product of each exposure"
    assert [one.name for one in devices() if one.section == "dap"] == ["dap_lines"]


def test_a_lost_one_is_named_with_its_port() -> None:
    assert ": blade_lines at sim. " in words("COLLIMATOR_LOST", room().unit)
    assert ": dap_lines at sim. " in words("DAP_METER", room().unit)


@pytest.mark.parametrize(
    ("code", "exit_code"), [("SID_WRONG", 4), ("FIELD_OFF_PANEL", 4), ("COLLIMATOR_LOST", 3)]
)
def test_before_a_beam_a_wrong_geometry_is_a_refusal_and_a_lost_collimator_a_device(
    code: str, exit_code: int
) -> None:
    outcome = Outcome()
    outcome.faults = [code]
    outcome.report = {"beam": False, "fault": code, "reason": "ended before the beam"}
    assert outcome.exit_code == exit_code
