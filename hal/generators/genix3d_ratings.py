"""What a GeniX3D may be asked for, and what it can promise.

Its tube has two places that are known (protocols.md 8.1 [R]): standby, 30 kV and 0.3 mA, and full
power, 50 kV and 0.6 mA; nothing else may be asked for. Coils 240 to 243 would step between them by
amounts that no document gives, and kV must never reach 0 while mA flows ("will damage the power
source"): this driver never steps, so it never lowers either by itself.

It has no timer and no watchdog that is known: the unit ends the beam, by mAs or by time, and
what ends it without the unit is the room's relay.
Figures marked "chosen" stand in no document.
"""

from __future__ import annotations

from dataclasses import replace

from hal.generators.genix3d_wire import (
    CLOSE,
    CLOSE_LIFTED,
    FULL_POWER,
    OPEN_LIFTED,
    SHUTTER_US,
    STANDBY,
    XRAYS_ON,
    Power,
    Status,
)
from hal.modbus import WriteCoil
from hal.ports import GeneratorCapabilities
from hal.types import Technique

SCAN_US = 5_000  # a reply is seen, and the next question asked, at the next scan
REPLY_US = 100_000  # chosen; the source polls once a second
OFF_TYPICAL_US = 10_000  # chosen
FALL_US = 50_000  # chosen: HV after "X-rays 0"; the shutter, closed beside it, has its 2 s
TIME_STEP_MS = 5  # the unit's scan ends the beam
MAS_DECIMALS = 3
TOLERANCE = 0.02  # chosen: of an indication against what it must be
PLACES = {"standby": Power(kv=30.0, ma=0.3), "full power": Power(kv=50.0, ma=0.6)}


def capabilities() -> GeneratorCapabilities:
    """`kv_rise_us`: kV is there before the beam is; what rises is the opening shutter."""
    return GeneratorCapabilities(
        drives_beam=True,
        has_own_timer=False,
        has_mas_mode=False,
        has_rotor=False,
        has_aec=False,
        has_readback=True,
        watchdog_us=None,
        off_latency_us=REPLY_US,
        off_typical_us=OFF_TYPICAL_US,
        kv_rise_us=SHUTTER_US,
        kv_fall_us=FALL_US,
        longest_exchange_us={
            "standby": REPLY_US,
            "prepare": REPLY_US,
            "start": SHUTTER_US + 2 * REPLY_US,  # the echo, the shutter, the status that shows it
            "beam": REPLY_US,
        },
        status_age_us=3 * REPLY_US + 3 * SCAN_US,  # status, power, status, each seen a scan late
        time_step_ms=TIME_STEP_MS,
    )


def place_of(technique: Technique) -> str:
    """Raises ValueError."""
    for name, power in PLACES.items():
        if (technique.kv, technique.ma) == (power.kv, power.ma):
            return name
    known = " or ".join(f"{p.kv:g} kV, {p.ma:g} mA ({name})" for name, p in PLACES.items())
    raise ValueError(f"kv and ma must be {known}, got {technique.kv:g} kV, {technique.ma:g} mA")


def effective(technique: Technique) -> Technique:
    """In the steps of source and scan, 5 ms upwards. Raises ValueError with the field."""
    problems = technique.problems()
    if problems:
        raise ValueError("; ".join(problems))
    place_of(technique)
    if technique.ms is not None:
        return replace(technique, ms=_steps(technique.ms) * TIME_STEP_MS)
    assert technique.mas is not None  # `problems` refuses a technique with neither
    mas = round(technique.mas, MAS_DECIMALS)
    if not mas > 0:
        raise ValueError(f"mas must be at least {10**-MAS_DECIMALS:g} mAs, got {technique.mas!r}")
    return replace(technique, mas=mas)


def maximum_mas(technique: Technique) -> float:
    """Full current until the unit's back-up time: its scan's step upwards, and the shutter."""
    steps = _steps(technique.planned_ms)
    return technique.ma * (steps * TIME_STEP_MS * 1000 + SHUTTER_US) / 1e6


def _steps(ms: float) -> int:
    return -(-round(ms * 1000) // (TIME_STEP_MS * 1000))


def is_at(power: Power, place: Power) -> bool:
    return (
        abs(power.kv - place.kv) <= TOLERANCE * place.kv
        and abs(power.ma - place.ma) <= TOLERANCE * place.ma
    )


def lacks(technique: Technique, status: Status, power: Power) -> tuple[WriteCoil, ...]:
    """What must be written next before ON; () = nothing, it is ready.

    X-rays go on behind a shutter that both sensors show closed, never before.
    """
    name = place_of(technique)
    if status.shutter_closed is not True:
        return CLOSE
    if not status.has("xray_on"):
        return (OPEN_LIFTED, CLOSE_LIFTED, XRAYS_ON)
    if not is_at(power, PLACES[name]):
        return STANDBY if name == "standby" else FULL_POWER
    return ()
