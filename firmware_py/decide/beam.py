"""The charge of the running beam, from the generator's own indications.

Nothing adds up steps: each monitor read extends the integral by a trapezium, the ramp
is a triangle from ON to "accepted", and what follows the newest read is extrapolated at
its mA. All of it is *indicated*; an independent meter is another instrument.
"""

from __future__ import annotations

from dataclasses import replace

from firmware_py.decide.memory import Beam, Limits
from firmware_py.decide.technique import ends_alone, timer_us
from hal.now import NEVER_US, latest_us, since
from hal.types import GeneratorSample, Technique


def follow(
    beam: Beam,
    sample: GeneratorSample,
    t_us: int,
    timer_end_us: int = NEVER_US,
    *,
    doubtful: bool = False,
) -> Beam:
    """The beam after this sample; the same object when the sample says nothing new.

    A read that is answered when the generator's own timer has run out may show a tube that is
    off as planned: it says nothing of the beam. `doubtful`: so is a current that this tube cannot
    have, or a tube that is off (`doubtful_ma`).
    """
    if beam.sent_us is None and since(sample.on_sent_us, beam.ordered_us):
        beam = replace(beam, sent_us=sample.on_sent_us)
    accepted = beam.sent_us is not None and since(sample.on_answered_us, beam.sent_us)
    if beam.accepted_us is None and accepted:
        beam = replace(beam, accepted_us=sample.on_answered_us)
    if beam.off_seen_us is None and went_off(beam, sample):
        beam = replace(beam, off_seen_us=t_us, off_asked_us=sample.beam_taken_us)
    if beam.accepted_us is None or not since(sample.monitor_taken_us, beam.accepted_us):
        return beam
    if sample.monitor_taken_us == beam.read_us or sample.kv is None or sample.ma is None:
        return beam
    if since(t_us, timer_end_us) or doubtful:
        return beam
    return _extend(beam, sample.monitor_taken_us, sample.kv, sample.ma)


def doubtful_ma(beam: Beam, sample: GeneratorSample, technique: Technique, limits: Limits) -> bool:
    """Next to none: a tube that is off already. Or, before the bands count, more than its band:
    one flipped digit shall end no beam as planned.
    """
    ma, asked_us = sample.ma, sample.monitor_taken_us
    if beam.accepted_us is None or ma is None:
        return False
    if ma < technique.ma / 10:
        return True
    band_ma = max(technique.ma * limits.ma_band_pct / 100, limits.ma_band_ma)
    return ma > technique.ma + band_ma and not since(asked_us, beam.accepted_us + limits.settle_us)


def _extend(beam: Beam, read_us: int | None, kv: float, ma: float) -> Beam:
    assert read_us is not None
    if beam.read_us is None:
        charge_mas = _from_start_mas(beam, read_us, ma)
    else:
        charge_mas = beam.read_mas + _mas((beam.read_ma + ma) / 2, read_us - beam.read_us)
    return replace(
        beam,
        read_us=read_us,
        read_ma=ma,
        most_ma=max(beam.most_ma, ma),
        read_mas=charge_mas,
        kv_sum=beam.kv_sum + kv,
        ma_sum=beam.ma_sum + ma,
        read_count=beam.read_count + 1,
    )


def _from_start_mas(beam: Beam, t_us: int, ma: float) -> float:
    assert beam.sent_us is not None
    assert beam.accepted_us is not None
    ramp_mas = _mas(ma / 2, beam.accepted_us - beam.sent_us)
    return ramp_mas + _mas(ma, t_us - beam.accepted_us)


def _mas(ma: float, duration_us: int) -> float:
    return ma * duration_us / 1e6


def charge_end_us(beam: Beam, technique: Technique, limits: Limits) -> int | None:
    """When OFF must be written so that the mAs asked for are reached; None = not known yet.

    Never where the generator counts the mAs itself: what the unit knows of them is less.
    """
    if technique.mas is None or ends_alone(technique, limits):
        return None
    if beam.accepted_us is None or beam.sent_us is None:
        return None
    if beam.read_us is None:  # no read yet: the set current, until the first read corrects it
        ma, from_us = technique.ma, beam.accepted_us
        charge_mas = _from_start_mas(beam, from_us, ma)
    else:
        ma, from_us, charge_mas = beam.read_ma, beam.read_us, beam.read_mas
    if ma <= 0:
        return None
    missing_us = round((technique.mas - charge_mas) / ma * 1e6)
    return from_us + missing_us - limits.off_lead_us


def time_end_us(beam: Beam, technique: Technique, limits: Limits) -> int | None:
    """When OFF must be written to a generator without a timer; None = it has one, or not known yet.

    From the middle of the ramp, as the time of a beam is counted.
    """
    if limits.has_own_timer or technique.ms is None or beam.accepted_us is None:
        return None
    assert beam.sent_us is not None
    start_us = (beam.sent_us + beam.accepted_us) // 2
    return start_us + round(technique.ms * 1000) - limits.off_lead_us


def indicated_mas(beam: Beam, end_us: int) -> float | None:
    """The charge up to `end_us`; None when no monitor read came before the end."""
    if beam.read_us is None:
        return None
    return beam.read_mas + _mas(beam.read_ma, latest_us(end_us - beam.read_us, 0))


def near(value: float | None, wanted: float, band_pct: float, band: float) -> bool:
    """SR-24, max(relative, absolute): a good generator at 0.5 mAs must not trip."""
    width = max(wanted * band_pct / 100, band)
    return value is not None and wanted - width <= value <= wanted + width


def passes_us(beam: Beam, mas: float) -> int:
    """When the charge, extrapolated from the newest read, is more than `mas`."""
    assert beam.read_us is not None
    missing_mas = mas - beam.read_mas
    if missing_mas < 0:
        return beam.read_us
    if beam.read_ma <= 0:
        return NEVER_US
    return beam.read_us + int(missing_mas / beam.read_ma * 1e6) + 1


def went_off(beam: Beam, sample: GeneratorSample) -> bool:
    """The generator says "off" in an answer that was asked for after it had accepted ON."""
    accepted_us = beam.accepted_us
    if accepted_us is None or sample.beam_on is not False:
        return False
    return since(sample.beam_taken_us, accepted_us)


def ended_by_itself(
    beam: Beam, sample: GeneratorSample, technique: Technique, limits: Limits
) -> bool | None:
    """True: the generator ended the beam as told to. False: before its time. None: it is on.

    Chambers may end it at any time, unless the pair was open by then.
    """
    if beam.sent_us is None or not went_off(beam, sample):
        return None
    if not limits.has_own_timer:
        return False
    if technique.aec is not None:
        return sample.interlock_closed is not False
    return since(sample.beam_taken_us, beam.sent_us + _shortest_us(technique, limits))


def _shortest_us(technique: Technique, limits: Limits) -> int:
    """By time a tenth less than set; by charge as much less as the current may be above its own."""
    if ends_alone(technique, limits):
        full_us = round(technique.planned_ms * 100_000 / (100 + limits.ma_band_pct))
    else:
        full_us = timer_us(technique, limits) - timer_us(technique, limits) // 10
    return full_us - limits.time_step_us


def timer_us_of(beam: Beam, technique: Technique, limits: Limits) -> int:
    """When the generator's own timer ends the beam."""
    start_us = beam.sent_us if beam.sent_us is not None else beam.ordered_us
    return start_us + timer_us(technique, limits)


def start_us(beam: Beam, end_us: int) -> int | None:
    """The middle of the ramp, from where mA x time is the charge; within it, when ON was sent."""
    if beam.accepted_us is None or beam.sent_us is None:
        return None
    middle_us = (beam.sent_us + beam.accepted_us) // 2
    return middle_us if since(end_us, beam.accepted_us) else beam.sent_us


def timer_end_us(beam: Beam, technique: Technique, limits: Limits) -> int:
    """SR-21: 1.1 x the generator's own timer + 10 ms, and the age that a status may have.

    Without one the unit waits for nobody.
    """
    if not limits.has_own_timer:
        return timer_us_of(beam, technique, limits)
    start_us = beam.sent_us if beam.sent_us is not None else beam.ordered_us
    return start_us + timer_us(technique, limits) * 11 // 10 + 10_000 + limits.status_age_us
