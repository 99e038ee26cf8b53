"""Instruments that measure beside the unit; nothing of a beam is decided by them.

`multidos` stands on the bench for a visit; a file that begins with `dap_` is a meter in the beam,
which the unit reads after each exposure (`[dap]` of a bench file).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hal.ports import ByteLink, Desk, DoseMeter, DoseModel, Listener


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """`value` in `unit` (Gy, Gy/s, C, A ...); None: overloaded, or beyond what can be shown."""

    value: float | None
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSample:
    """`settled`: it holds, and said the same twice. `flags`: what the meter complains of."""

    taken_us: int
    link_ok: bool = False
    model: str = ""
    serial: str = ""
    status: str = ""
    elapsed_s: float | None = None
    channels: tuple[Channel, ...] = ()
    flags: tuple[str, ...] = ()
    settled: bool = False
    refused: str = ""  # the meter's own error for the newest order, in words


def open_dap(driver: str, link: ByteLink) -> DoseMeter:
    """The unit side of hal/meters/`driver`.py."""
    opened: DoseMeter = _module(driver).Driver(link)
    return opened


def open_dap_desk(driver: str, model: DoseModel) -> Desk:
    opened: Desk = _module(driver).Desk(model)
    return opened


def open_listener(driver: str) -> Listener:
    opened: Listener = _module(driver).listener()
    return opened


def _module(driver: str) -> Any:
    return import_module(f"{__name__}.{driver}")
