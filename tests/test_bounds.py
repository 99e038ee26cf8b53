"""What a bench can promise follows from its drivers and from its wiring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from firmware_py import bounds as of_unit
from firmware_py.bounds import Bound, limits
from hal.generators.vj_ixs_ratings import capabilities
from hal.ports import PanelCapabilities, RoomCapabilities
from rig.bench import load_bench
from rig.doctor_bounds import bounds_of
from sim import wiring
from tests.exposures import unit_config
from tests.model_runs import bench

ROOM = RoomCapabilities(reply_us=20_000, pulse_us=300_000, sample_age_us=40_000)
PANEL = PanelCapabilities(window_request_us=300_000, readout_us=1_000_000, sample_age_us=100_000)


def _door_bound(pair: tuple[str, ...]) -> Bound:
    chain = bench().wiring.model_copy(update={"interlock_pair": pair})
    (found,) = [b for b in bounds_of(replace(bench(), wiring=chain)) if b.sr == "SR-19"]
    return found


@pytest.mark.req("SR-19")
def test_a_door_in_the_pair_itself_needs_no_safety_relay() -> None:
    found = _door_bound(("door", "estop", "stage_2", "enable"))
    assert (found.bound_us, found.note) == (70_000, "")


@pytest.mark.parametrize("direct", [(), ("door",), ("estop",)])
@pytest.mark.req("SR-19")
def test_what_acts_through_the_safety_relay_waits_for_it(direct: tuple[str, ...]) -> None:
    found = _door_bound((*direct, "stage_2", "enable", "safety_relay"))
    assert (found.bound_us, found.note) == (78_000, "through the safety relay")


def test_the_unit_knows_the_safety_relay_as_the_wiring_does() -> None:
    assert of_unit.SAFETY_RELAY_DROP_US == wiring.SAFETY_RELAY_DROP_US


@pytest.mark.parametrize(("baud", "lead_us"), [(9600, 12_292), (57_600, 6_216), (1200, 63_334)])
def test_off_is_ordered_ahead_by_its_way_over_the_line_and_a_scan(baud: int, lead_us: int) -> None:
    assert limits(unit_config(), capabilities(baud), ROOM, PANEL).off_lead_us == lead_us


def test_on_r2cp_the_chain_and_the_pulse_hold_what_the_wire_can_not() -> None:
    """Its host waits a second for each answer, so a status may be two seconds old."""
    found = {bound.what: bound for bound in bounds_of(load_bench("mobile"))}
    shown = {what: (b.bound_us, b.layer) for what, b in found.items()}
    assert shown["release -> kV off"] == (30_000, "chain")
    assert shown["unit dead or stopped -> kV off"] == (230_000, "relay pulse")
    assert shown["release -> kV off, by the OFF command alone"] == (2_045_000, "wire")
    assert shown["age of the generator's status in the beam"] == (2_015_000, "wire")
    assert not any("watchdog" in what for what in shown)  # no time of it is known
