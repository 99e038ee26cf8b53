"""A device's port, opened for a service command: the bench is held, no unit can run beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from firmware_py.config import UnitConfig
from firmware_py.real_ports import ROOM_BAUD, open_byte_link
from hal.line_form import USUAL
from hal.ports import ByteLink, LinkError
from rig.bench import Bench
from rig.bench_lock import hold_bench
from rig.exit_codes import DeviceError, UsageError
from rig.guards import ports_of
from rig.service.hearing import listener_of
from rig.service.talk import Talker
from rig.state_dir import bench_state


def form_of(unit: UnitConfig, link: str) -> tuple[int, str]:
    """(baud, line): by the bench file, else by what the driver's file says of its line."""
    if link != "generator":
        return ROOM_BAUD, USUAL
    driver = import_module(f"hal.generators.{unit.generator.driver}")
    said = re.search(r" ([78][NEO][12])\b", getattr(driver, "LINE", ""))
    return unit.generator.baud, unit.generator.line or (said[1] if said else USUAL)


@contextmanager
def open_port(
    bench: Bench, link: str, at: Path | None, command: str
) -> Iterator[tuple[UnitConfig, ByteLink, bool]]:
    """(unit, port, is it simulated). Raises Refused, DeviceError as the guards do."""
    ports = ports_of(bench, at=at)
    unit = ports.unit
    with hold_bench(bench_state(bench.name), command):
        try:
            port = open_link(unit, link)
        except LinkError as error:
            raise DeviceError(str(error)) from error
        try:
            yield unit, port, ports.simulated
        finally:
            port.close()


def open_link(unit: UnitConfig, link: str) -> ByteLink:
    """Raises LinkError."""
    return open_byte_link(getattr(unit, link).url, *form_of(unit, link))


def talker_on(unit: UnitConfig, link: str, port: ByteLink) -> Talker:
    judge, listener = listener_of(unit, link), listener_of(unit, link)
    if judge is None or listener is None:
        raise UsageError(f"{link}: its messages are no bytes; only tap shows them")
    return Talker(port, judge, listener)
