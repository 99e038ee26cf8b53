"""The generator's own account of its beam: mAs and ms that it gives when the beam is over.

Some wires show no mA in the beam; then this is all that is known of the charge (SR-53). It is
asked for after the end, taken once it is of this beam, and believed if it can be true: no more
than full current for the time that the beam can have had, no less than for the time in which a
status said "on". It also tells how a beam ended that the generator ended at a charge, and whether
kV and mA were in their bands, which nobody could read in the beam.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide import aec
from firmware_py.decide import beam as beams
from firmware_py.decide.memory import Beam, Ending, Memory, Pending
from firmware_py.decide.technique import ends_alone
from hal.now import Now, since
from hal.types import EndReason, ExposureReport, GeneratorSample, GeneratorState, Inputs

DOUBTFUL = "GENERATOR_ACCOUNT"
# What it may show, and what then keeps the unit from going on.
OUT_OF_BAND = ("KV_OUT_OF_BAND", "MA_OUT_OF_BAND")
FOUND = ("BACKUP_TIME", *OUT_OF_BAND, DOUBTFUL)
OUT_US = 10_000  # SR-24: out of band for more than this
LOCKS_AEC = ("AEC_BACKUP", "AEC_IMPLAUSIBLE")


def ask(memory: Memory, ending: Ending, report: ExposureReport, inputs: Inputs) -> Memory:
    """The beam is proved off: its report waits, if this generator gives an account of it."""
    memory = replace(memory, ending=None)
    unknown = ending.reason is EndReason.REFUSED or not ending.heard
    if memory.limits.account_us is None or unknown:
        return replace(memory, report=report)
    off_us = _beam(memory).off_asked_us
    from_us = ending.ordered_us if off_us is None else off_us
    return replace(memory, pending=Pending(report=report, from_us=from_us, proved_us=inputs.t_us))


def settle(memory: Memory, inputs: Inputs, now: Now) -> Memory:
    """Report the beam once its account is there, or too late."""
    pending, account_us = memory.pending, memory.limits.account_us
    if pending is None or account_us is None:
        return memory
    sample = inputs.generator
    if since(sample.account_taken_us, pending.from_us):
        return _taken(memory, pending, sample)
    lost = sample.state is GeneratorState.OFFLINE
    if lost or now.reached(pending.proved_us + account_us):
        return _told(memory, pending.report)
    return memory


def _taken(memory: Memory, pending: Pending, sample: GeneratorSample) -> Memory:
    report, mas = pending.report, sample.beam_mas
    if not _believed(memory, pending, sample):
        claimed_mas = 0.0 if mas is None else _at_most_mas(memory, mas)
        most_mas = max(report.maximum_mas, claimed_mas)
        fault = report.fault or _out_of_band(memory, report, sample) or DOUBTFUL
        return _told(memory, replace(report, mas=None, maximum_mas=most_mas, fault=fault))
    assert mas is not None
    return _told(
        memory,
        replace(
            report,
            mas=mas,
            maximum_mas=max(report.maximum_mas, mas),
            beam_ms=sample.beam_ms,
            kv=report.kv if report.kv is not None else sample.kv,
            ma=report.ma if report.ma is not None else sample.ma,
            fault=report.fault or _out_of_band(memory, report, sample),
        ),
    )


def _believed(memory: Memory, pending: Pending, sample: GeneratorSample) -> bool:
    mas, ms, known_mas = sample.beam_mas, sample.beam_ms, pending.report.mas
    sent_us = _beam(memory).sent_us
    if mas is None or ms is None or sent_us is None:
        return False
    share = memory.limits.mas_known_pct / 100
    most_mas = _at_most_mas(memory, pending.report.maximum_mas)
    longest_ms = (pending.proved_us - sent_us) / 1000
    can_be = _least_mas(memory) <= mas <= most_mas and 0 <= ms <= longest_ms
    if known_mas is None:
        return can_be
    return can_be and abs(mas - known_mas) <= known_mas * share + memory.limits.mas_known_mas


def _at_most_mas(memory: Memory, mas: float) -> float:
    """What may have been irradiated where an account says `mas`, as far off as one may be."""
    return mas * (1 + memory.limits.mas_known_pct / 100) + memory.limits.mas_known_mas


def _least_mas(memory: Memory) -> float:
    """The set current, at the low end of its band, from "accepted" to the newest status "on"."""
    accepted_us, seen_us, shot = _beam(memory).accepted_us, memory.beam_asked_us, memory.shot
    if accepted_us is None or seen_us is None or shot is None:
        return 0.0
    seen_mas = shot.technique.ma * (seen_us - accepted_us) / 1e6
    low_mas = seen_mas * (1 - memory.limits.ma_band_pct / 100)
    return max(low_mas - memory.limits.mas_known_mas, 0.0)


def _out_of_band(memory: Memory, report: ExposureReport, sample: GeneratorSample) -> str | None:
    """SR-24 of the means, where no read could end the beam: of one that was more than its ramp."""
    limits, technique, ms = memory.limits, report.shot.technique, sample.beam_ms
    if report.kv is not None or ms is None:
        return None
    lasted_us = ms * 1000
    kv_from_us, ma_from_us = limits.ramp_us + OUT_US, limits.ramp_us + limits.settle_us
    kv_counts = sample.kv is not None and lasted_us >= kv_from_us  # us-compare: two durations
    if kv_counts and not beams.near(sample.kv, technique.kv, limits.kv_band_pct, limits.kv_band_kv):
        return "KV_OUT_OF_BAND"
    ma_counts = sample.ma is not None and lasted_us >= ma_from_us  # us-compare: two durations
    if ma_counts and not beams.near(sample.ma, technique.ma, limits.ma_band_pct, limits.ma_band_ma):
        return "MA_OUT_OF_BAND"
    return None


def _told(memory: Memory, report: ExposureReport) -> Memory:
    """What it shows of the end: the report says so, and the unit or its AEC is kept from more."""
    found = _ended_wrongly(memory, report)
    if found is not None or (report.reason is EndReason.PLANNED and report.fault in OUT_OF_BAND):
        report = replace(report, reason=EndReason.FAULT, fault=report.fault or found)
    memory = replace(memory, pending=None, report=report)
    if found in LOCKS_AEC:
        memory = replace(memory, aec_lock=found)
    if report.fault in FOUND:  # in READOUT it also trips, see `supervisor`
        return replace(memory, faults=tuple(dict.fromkeys((*memory.faults, report.fault))))
    return memory


def _ended_wrongly(memory: Memory, report: ExposureReport) -> str | None:
    technique, limits = report.shot.technique, memory.limits
    if report.reason is not EndReason.PLANNED or not ends_alone(technique, limits):
        return None
    if report.mas is None:
        return DOUBTFUL
    if technique.aec is not None:
        return aec.ended_wrongly(report)
    off_mas = technique.planned_mas * limits.mas_known_pct / 100 + limits.mas_known_mas
    return None if report.mas >= technique.planned_mas - off_mas else "BACKUP_TIME"


def _beam(memory: Memory) -> Beam:
    assert memory.beam is not None
    return memory.beam
