"""A device's port, opened for a service command: the bench is held, no unit can run beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from firmware_py.config import UnitConfig
from firmware_py.real_ports import ROOM_BAUD, open_byte_link
from hal.ports import ByteLink, LinkError
from rig.bench import Bench
from rig.bench_lock import hold_bench
from rig.exit_codes import DeviceError, UsageError
from rig.guards import ports_of
from rig.service.hearing import listener_of
from rig.service.talk import Talker
from rig.state_dir import bench_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    baud: int
    parity: str = "N"
    stop_bits: int = 1


def form_of(unit: UnitConfig, link: str) -> Form:
    """Speed by the bench file, parity and stop bits by what the driver's file says of its line."""
    if link != "generator":
        return Form(baud=ROOM_BAUD)
    driver = import_module(f"hal.generators.{unit.generator.driver}")
    said = re.search(r" 8([NEO])([12])\b", getattr(driver, "LINE", ""))
    baud = unit.generator.baud
    return Form(baud=baud, parity=said[1], stop_bits=int(said[2])) if said else Form(baud=baud)


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
    form = form_of(unit, link)
    url: str = getattr(unit, link).url
    return open_byte_link(url, form.baud, parity=form.parity, stop_bits=form.stop_bits)


def talker_on(unit: UnitConfig, link: str, port: ByteLink) -> Talker:
    judge, listener = listener_of(unit, link), listener_of(unit, link)
    if judge is None or listener is None:
        raise UsageError(f"{link}: its messages are no bytes; only tap shows them")
    return Talker(port, judge, listener)
