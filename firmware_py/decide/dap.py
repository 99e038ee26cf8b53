"""The dose-area product of a beam: by the meter in it, beside the one that is computed.

The meter is reset for the shot before its beam, and read after it; the report waits for that value,
not for long. It ends no beam and holds no OFF back: lost, the report says why, and has what can be
computed from the indicated kV and mAs, the bench's output and the field. Computed it is only from
a geometry that holds: the sensed one, else the light field as a person sets it.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide import geometry
from firmware_py.decide.memory import Limits, Memory, Unread
from hal.now import Now, since
from hal.types import DapData, DoseSample, ExposureReport, Inputs

LOST, DEVIATES = "DAP_LOST", "DAP_DEVIATES"
SETTLE_US = 20_000  # ours: what the chamber still has to say after the beam is proved off
UGYM2_PER_DGYCM2 = 10.0
REFERENCE_MM = 1000.0  # the output is that at 1 m


def hold(before: Memory, memory: Memory, inputs: Inputs) -> Memory:
    """A beam's new report waits for its meter."""
    report = memory.report
    is_new = report is not None and report is not before.report
    if report is None or not is_new or not report.beam or memory.limits.dap is None:
        return memory
    return replace(memory, report=None, unread=Unread(report=report, proved_us=inputs.t_us))


def settle(memory: Memory, inputs: Inputs, now: Now) -> Memory:
    """Report the beam once its value is there, or too late."""
    unread, own, seen = memory.unread, memory.limits.dap, inputs.dose
    if unread is None or own is None:
        return memory
    told = seen is not None and seen.link_ok and since(seen.taken_us, unread.proved_us + SETTLE_US)
    if not told and not now.reached(unread.proved_us + own.wait_us):
        return memory
    report = _judged(unread.report, seen if told else None, memory.limits, own)
    return replace(memory, unread=None, report=report)


def blocked(memory: Memory, inputs: Inputs) -> bool:
    """A bench may want its meter before each exposure."""
    own = memory.limits.dap
    if own is None or not own.required:
        return False
    return inputs.dose is None or not inputs.dose.link_ok or bool(inputs.dose.trouble)


def _judged(
    report: ExposureReport, seen: DoseSample | None, limits: Limits, own: DapData
) -> ExposureReport:
    calculated = calculated_dgycm2(report, limits, own)
    report = replace(report, calculated_dap_dgycm2=calculated)
    if seen is None or seen.dap_dgycm2 is None or seen.shot_id != report.shot.shot_id:
        return replace(report, dap_doubt=LOST)
    doubt = None if _agree(seen.dap_dgycm2, calculated, report, own) else DEVIATES
    return replace(report, dap_dgycm2=seen.dap_dgycm2, dap_doubt=doubt)


def _agree(measured: float, calculated: float | None, report: ExposureReport, own: DapData) -> bool:
    """A field that nobody senses may be smaller than the one computed with, but not nothing."""
    if calculated is None:
        return True
    width = max(calculated * own.deviation_pct / 100, own.deviation_dgycm2)
    if report.field_rows_mm is None:
        least = min(own.deviation_dgycm2, calculated - width)
        return least <= measured <= calculated + width
    return calculated - width <= measured <= calculated + width


def calculated_dgycm2(report: ExposureReport, limits: Limits, own: DapData) -> float | None:
    """Output x charge x field at 1 m; None: a factor of it is not known."""
    place = limits.geometry
    sid = report.sid_mm if report.sid_mm is not None else geometry.sid_mm(report.shot, limits)
    kv = report.kv if report.kv is not None else report.shot.technique.kv
    output = output_ugy_per_mas(kv, own)
    if output is None or report.mas is None or sid is None or place is None:
        return None
    if place.sensed and report.field_rows_mm is None:
        return None  # sensed, and not valid: nothing is computed with it
    rows_mm = place.field_rows_mm if report.field_rows_mm is None else report.field_rows_mm
    columns_mm = (
        place.field_columns_mm if report.field_columns_mm is None else report.field_columns_mm
    )
    area_m2 = rows_mm * columns_mm / 1e6 * (REFERENCE_MM / sid) ** 2
    return output * report.mas * area_m2 / UGYM2_PER_DGYCM2


def output_ugy_per_mas(kv: float, own: DapData) -> float | None:
    """By the bench's table, by equal factors between its rows; beyond its ends not known."""
    low_kv, low = own.output_ugy_per_mas[0]
    for high_kv, high in own.output_ugy_per_mas[1:]:
        if low_kv <= kv <= high_kv:
            share = (kv - low_kv) / (high_kv - low_kv)
            found: float = low * (high / low) ** share
            return found
        low_kv, low = high_kv, high
    return None
