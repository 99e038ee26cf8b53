"""Instruments that measure beside the unit; nothing of a beam is decided by them."""

from __future__ import annotations

from dataclasses import dataclass


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
