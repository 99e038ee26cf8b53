"""Somebody else's driver against our simulated XRV: pymeasure over pyvisa-py, on a real port."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hal.clock import WallClock
from hal.device_links import PtyLink
from hal.generators.spellman_desk import Desk
from hal.now import Now
from sim.supply import SupplyModel
from tests.peers import require_beside

TALK = Path(__file__).parent / "pymeasure_talk.py"
HV_ON, CLOSED, FILAMENT, READY = 1 << 0, 1 << 1 | 1 << 2 | 1 << 16, 1 << 6, 1 << 15


@pytest.fixture(scope="module")
def said() -> dict[str, Any]:
    """What pymeasure made of our supply, beginning to end."""
    path = os.pathsep.join((str(require_beside("pymeasure")), os.environ.get("PYTHONPATH", "")))
    model = SupplyModel()
    model.set_supply(0, True)
    model.set_interlock(0, True)
    with closing(PtyLink()) as port:
        peer = subprocess.Popen(
            [sys.executable, str(TALK), port.path],
            env=os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        serve(model, port, peer)
        out, errors = peer.communicate()
    assert peer.returncode == 0, errors
    answer: dict[str, Any] = json.loads(out)
    return answer


def serve(model: SupplyModel, port: PtyLink, peer: subprocess.Popen[str]) -> None:
    clock, desk = WallClock(), Desk(model)
    while peer.poll() is None:
        now = Now(clock.now_us())
        model.advance(now)
        desk.receive(now, port.read(now.t_us))
        port.write(now.t_us, desk.poll(now))
        clock.wait_until(now.t_us + 1_000)


pytestmark = [pytest.mark.peer, pytest.mark.wire]


def test_it_reads_scaling_and_part_numbers_as_we_mean_them(said: dict[str, Any]) -> None:
    assert said["scaling"] == {"voltage": 160_000, "current": 0.03, "polarity": 0}
    assert said["dsp"] == ["SWM9999-999", 56234]
    assert said["fpga"] == ["SWM00199-001", 3261]


def test_its_set_points_are_ours_and_read_back_in_its_own_units(said: dict[str, Any]) -> None:
    assert said["unscaled"] == [1792, 68]
    assert said["set"] == [70_017, pytest.approx(0.0004982)]


def test_it_sees_hv_filament_and_interlocks(said: dict[str, Any]) -> None:
    assert said["before"] == CLOSED | READY
    assert said["during"] == HV_ON | CLOSED | FILAMENT | READY
    assert said["after"] == [False, CLOSED | FILAMENT | READY]
    assert said["faults"] == 0


def test_it_takes_our_refusal_for_one(said: dict[str, Any]) -> None:
    assert said["refused"] == "ValueError: expected '$', got '1'."


def test_its_monitor_reads_the_kv_and_ma_that_it_has_set(said: dict[str, Any]) -> None:
    assert said["monitor"]["voltage"] == pytest.approx(70_000, rel=0.02)
    assert said["monitor"]["current"] == pytest.approx(0.0005, rel=0.05)
    assert said["kv_now"] == pytest.approx(70_000, rel=0.02)


def test_it_reads_configuration_and_hours(said: dict[str, Any]) -> None:
    assert (said["limits"]["max_kV"], said["limits"]["watchdog_timer"]) == (160, 0)
    assert said["hours"] == 0
