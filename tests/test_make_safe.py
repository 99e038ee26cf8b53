"""The last act on real drivers: whatever is broken, every device gets its OFF, and says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware_py.record import read_record
from firmware_py.unit import Unit
from rig.replay import replay
from rig.run_model import ModelRun
from tests.model_runs import bench, pixels, scenario

SCAN_US = 5_000
ROUNDS = 40


class Broken:
    """A driver with a bug in one call, from the middle of the beam on."""

    def __init__(self, run: ModelRun, device: str, call: str) -> None:
        self._run = run
        self.from_us: int | None = None
        start = run.rung.start_unit

        def start_unit(*args: Any, **options: Any) -> Unit:
            unit = start(*args, **options)
            slot = unit._slots[("room", "generator", "panel").index(device)]
            whole = getattr(slot, f"_{call}")
            setattr(slot, f"_{call}", lambda *given: self._call(unit, whole, *given))
            return unit

        run.rung.start_unit = start_unit  # type: ignore[method-assign]

    def _call(self, unit: Unit, whole: Any, *given: Any) -> Any:
        on = self._run.rung.world.generator.beam_on(given[0].t_us)
        if self.from_us is None and on and given[0].t_us % 7 == 0:
            self.from_us = given[0].t_us
        if self.from_us is not None:
            raise KeyError("a bug")
        return whole(*given)


def _until_the_bug(device: str, call: str) -> tuple[ModelRun, Unit]:
    run = ModelRun(bench(), scenario("clean_by_mas"), pixels=pixels())
    Broken(run, device, call)
    with pytest.raises(KeyError, match="a bug"):
        run.run()
    assert run.rung.unit is not None
    return run, run.rung.unit


def _make_safe(run: ModelRun, unit: Unit) -> list[bool]:
    """After each round: is it proven safe?"""
    start_us = run.rung.t_us
    found = []
    for count in range(ROUNDS):
        t_us = start_us + count * SCAN_US
        run.rung.world.advance(t_us)
        unit.make_safe(t_us)
        found.append(unit.is_safe(start_us))
    return found


@pytest.mark.parametrize("call", ["read", "write"])
@pytest.mark.parametrize("device", ["room", "generator", "panel"])
@pytest.mark.req("SR-33")
def test_a_bug_in_one_driver_keeps_no_other_from_its_off(device: str, call: str) -> None:
    run, unit = _until_the_bug(device, call)
    world, start_us = run.rung.world, run.rung.t_us
    _make_safe(run, unit)
    course = world.generator.courses[-1]
    assert course.off_us is not None
    assert course.off_us - start_us <= 60_000  # one exchange may be on the line
    if device != "room":
        assert not world.wiring.contactor.contact
    world.advance(start_us + 400_000)
    assert not world.wiring.enable.contact  # without its driver, the relay ends its own pulse


def test_it_is_safe_when_generator_and_enable_relay_say_so_and_not_before() -> None:
    run, unit = _until_the_bug("panel", "read")
    found = _make_safe(run, unit)
    assert found[0] is False
    assert found[-1] is True
    assert found == sorted(found)


@pytest.mark.parametrize("device", ["room", "generator"])
def test_what_a_broken_driver_last_said_proves_nothing(device: str) -> None:
    run, unit = _until_the_bug(device, "read")
    assert not any(_make_safe(run, unit))


def test_in_standby_it_is_safe_at_once() -> None:
    run = ModelRun(bench(), scenario("clean_by_mas"), pixels=pixels())
    run.run()
    assert run.rung.unit is not None
    assert run.rung.unit.memory.state.value == "STANDBY"
    assert all(_make_safe(run, run.rung.unit))


def test_making_safe_in_the_beam_replays_equal(tmp_path: Path) -> None:
    run = ModelRun(bench(), scenario("clean_by_mas"), tmp_path, pixels=pixels())
    took = run.rung.on_lines

    class EnoughError(Exception):
        pass

    def until_the_beam(lines: Any) -> None:
        took(lines)
        if any(line.kind == "state" and line.data["to"] == "EXPOSE" for line in lines):
            raise EnoughError

    run.rung.on_lines = until_the_beam
    with pytest.raises(EnoughError):
        run.run()
    assert run.rung.unit is not None
    assert _make_safe(run, run.rung.unit)[-1]
    run._close()
    assert sum(scan.safe for scan in read_record(tmp_path / "record.bin")[1]) == ROUNDS
    assert replay(tmp_path).differences == ()
