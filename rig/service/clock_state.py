"""How far this computer's clock can be believed: the kernel's own word (adjtimex, Linux)."""

from __future__ import annotations

import ctypes
from datetime import datetime
from typing import Any

STA_UNSYNC = 0x0040
STA_NANO = 0x2000
TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The beginning of struct timex (sys/timex.h); the rest is room for what the kernel fills."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 512),
    )


def clock_state(now: datetime, reference: datetime | None = None) -> dict[str, Any]:
    """`reference`: a clock that a person read at `now`, with time zone. Offset is ours less its."""
    known = _kernel()
    if reference is not None:
        known["offset_to_reference_s"] = round((now - reference).total_seconds(), 3)
    return known


def _kernel() -> dict[str, Any]:
    timex = _Timex()
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return {"synchronised": None, "max_error_ms": None}
    if state < 0:
        return {"synchronised": None, "max_error_ms": None}
    good = state != TIME_ERROR and not timex.status & STA_UNSYNC
    return {"synchronised": good, "max_error_ms": timex.maxerror / 1000 if good else None}
