"""What an IXS unit may be asked for, and what it can promise (SPC-P366 R4).

The unit has no mA.s mode. For `mas` the caller integrates monitor reads and orders OFF, and
the exposure time is the back-up: the planned time rounded up to 10 ms, plus the ramp. For
`ms` the exposure time itself ends the beam.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hal.generators.vj_ixs_wire import (
    OFF,
    ON,
    RAMP_US,
    READ_FAULTS,
    READ_MONITOR,
    REPLY_US,
    STATUS,
    Question,
    exchange_us,
    frame,
    question,
)
from hal.ports import GeneratorCapabilities
from hal.types import Technique

SCAN_US = 5_000  # a reply is seen, and the next question asked, at the next scan
TIME_STEP_MS = 10
TIME_MAX_MS = 999_990
MAS_DECIMALS = 3  # 1 uAs: the wire has no mAs; this is the unit's own step
RANGES = {"kv": (30.0, 120.0, "kV"), "ma": (0.2, 1.0, "mA")}
POWER_MAX_W = 120.0


def capabilities(baud: int) -> GeneratorCapabilities:
    """All with the reply time that the ICD allows (100 ms), not the 3 ms that is usual.

    `off_latency_us`: OFF on the line plus one reply time; the ICD gives no figure of its
    own, and `off_typical_us` takes none but the line's. `kv_fall_us` is an assumption: no
    public document states it. `status_age_us`: a status is asked for, a monitor read follows,
    then the next status, each seen a scan late.
    """
    off_us = math.ceil(len(frame(OFF.text)) * 10e6 / baud)
    status_us, monitor_us = exchange_us(STATUS, baud), exchange_us(READ_MONITOR["R4"], baud)
    return GeneratorCapabilities(
        drives_beam=True,
        has_own_timer=True,
        has_mas_mode=False,
        has_rotor=False,
        has_aec=False,
        has_readback=False,
        watchdog_us=2_000_000,
        off_latency_us=off_us + REPLY_US,
        off_typical_us=off_us,
        kv_rise_us=RAMP_US,
        kv_fall_us=50_000,
        longest_exchange_us={
            "standby": monitor_us,
            "prepare": exchange_us(READ_FAULTS["R4"], baud),
            "start": exchange_us(ON, baud),
            "beam": monitor_us,
        },
        status_age_us=2 * status_us + monitor_us + 3 * SCAN_US,
        time_step_ms=TIME_STEP_MS,
    )


def device_time_ms(technique: Technique) -> int:
    """What OT is set to: the planned time in whole steps, plus the ramp where mAs end it.

    Whole microseconds first, as `firmware_py.decide.technique.timer_us` counts: the unit's
    bound on an unknown dose and the device's timer must be one number.
    """
    steps = -(-round(technique.planned_ms * 1000) // (TIME_STEP_MS * 1000))
    return steps * TIME_STEP_MS + (RAMP_US // 1000 if technique.mas is not None else 0)


def maximum_mas(technique: Technique) -> float:
    """Full current for as long as OT allows."""
    return technique.ma * (device_time_ms(technique) * 1000) / 1e6


def effective(technique: Technique) -> Technique:
    """The technique in this device's steps: 0.1 kV, 0.1 uA, 10 ms upwards; mAs in 1 uAs.

    On that grid a planned time lies on a 10 ms step or at least 1 us beside it, so no
    rounding error decides how many steps it takes.
    """
    problems = technique.problems()
    if problems:
        raise ValueError("; ".join(problems))
    if technique.aec is not None:
        raise ValueError("aec: this generator ends no beam by chambers; use mas, or ma with ms")
    for name, (least, most, unit) in RANGES.items():
        value = getattr(technique, name)
        if not least <= value <= most:
            raise ValueError(f"{name} must be {least:g}-{most:g} {unit} (SPC-P366), got {value!r}")
    quantised = _quantised(technique)
    power_w = quantised.kv * quantised.ma
    if power_w > POWER_MAX_W:
        raise ValueError(f"kv x ma must be at most {POWER_MAX_W:g} W (SPC-P366), got {power_w:g}")
    time_ms = device_time_ms(quantised)
    if not TIME_STEP_MS <= time_ms <= TIME_MAX_MS:
        field = "ms" if technique.ms is not None else "mas"
        raise ValueError(f"{field} makes {time_ms} ms, must be {TIME_STEP_MS}-{TIME_MAX_MS} ms")
    return quantised if technique.ms is None else replace(quantised, ms=float(time_ms))


def _quantised(technique: Technique) -> Technique:
    """All but the time. Raises ValueError when nothing is left of the mAs."""
    mas = None if technique.mas is None else round(technique.mas, MAS_DECIMALS)
    if mas == 0:
        raise ValueError(f"mas must be at least {10**-MAS_DECIMALS:g} mAs, got {technique.mas!r}")
    return replace(technique, kv=round(technique.kv, 1), ma=round(technique.ma, 4), mas=mas)


Step = tuple[Question, int]  # and the reply that it must get


def preparation(technique: Technique, *, again: bool) -> list[Step]:
    """What must be answered so before ON; `again`: somebody may have turned the watchdog off."""
    wanted = effective(technique)
    settings = (
        *((question("WDOG", 1),) if again else ()),
        question("WDOG", 2),
        question("WSTAT"),
        question("PTM", 0),
        question("PTST"),
        question("OT", device_time_ms(wanted) / 1000),
        question("VP", wanted.kv),
        question("CP", wanted.ma),
    )
    queries = {"WSTAT": 1, "PTST": 0}
    return [
        (step, queries[step.command.name] if step.count is None else step.count)
        for step in settings
    ]
