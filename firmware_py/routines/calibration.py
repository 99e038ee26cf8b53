"""Detector calibration: which frames a panel's maps are made of, and in which order.

Correction is off meanwhile: every frame is kept as it came (`raw`). Flats are ended by the
generator's own timer: it repeats better than a charge that is ended over a serial line (0.1
against 1 % on the simulated one), and the curve is as good as its levels. Counts and levels are
those of qc-and-physics.md 3.1; the maps are made of the kept frames afterwards, by
`firmware_py.recorder.image`. `part` names the group that a frame belongs to.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass

from firmware_py.routines.steps import Ask, Fire, Fired, Result, Routine, Step, Verdict
from hal.types import ShotKind, Technique

DARKS = 32  # Teledyne p. 43
SERIES_PCT = (10.0, 15.0, 25.0, 40.0, 55.0, 70.0)  # of full scale: is the panel linear?
LEVEL_PCT, LEVEL_LOW_PCT, LEVEL_HIGH_PCT = 20.0, 12.0, 25.0  # Varex 12-24 %, Teledyne 25 %
BRIGHT_PCT = 40.0  # another level than the gain map's, for the verdict and for E2597
LAG_SERIES, LAG_FRAMES = 4, 4
MOST_TRIES = 6
MOST_FAULTS = 3

OPEN = Ask(
    key="open field",
    text="Panel into the beam at the bench's SID, nothing on it, collimator wide open.",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelPlan:
    """`start_ms`: of the first flat, a guess; `ms_min`, `ms_max`: what the bench allows."""

    kv: float
    ma: float
    start_ms: float
    ms_min: float
    ms_max: float
    step_ms: float  # of the generator's timer
    full_scale: int  # counts
    dark_kv: float
    dark_ma: float
    window_ms: float
    flats: int  # 16 at least (Teledyne p. 49)


class _FailedError(Exception):
    """The routine can't go on; its text is the verdict's."""


Frames = Generator[Step, Result, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """A flat's time, and where it brought the panel's median."""

    ms: float
    pct: float  # of full scale, without the offset

    def ms_for(self, plan: PanelPlan, pct: float) -> float:
        """About: a panel is nearly linear, a ramp is short."""
        return _within(plan, self.ms * pct / self.pct)


def offset(plan: PanelPlan) -> Routine:
    return _told(_offset(plan), f"{DARKS} dark frames")


def gain(plan: PanelPlan) -> Routine:
    """Offset before gain, always (Varex 4343W 10.5.3)."""
    return _told(_gain(plan), f"{DARKS} dark frames, {plan.flats} flats and as many to judge by")


def defects(plan: PanelPlan) -> Routine:
    return _told(_defects(plan), f"{DARKS} dark frames, {plan.flats} bright flats, one afterglow")


def lag(plan: PanelPlan) -> Routine:
    return _told(_lag(plan), f"{LAG_SERIES} flats with {LAG_FRAMES} frames after each")


def _told(frames: Frames, text: str) -> Routine:
    try:
        yield from frames
    except _FailedError as error:
        return Verdict(passed=False, text=str(error))
    return Verdict(passed=True, text=text)


def _offset(plan: PanelPlan) -> Frames:
    yield from _darks(plan, "dark", DARKS)


def _gain(plan: PanelPlan) -> Frames:
    level = yield from _prepare(plan)
    for pct in SERIES_PCT:
        yield from _series(plan, f"level {pct:g} %", 1, level.ms_for(plan, pct))
    yield from _series(plan, "flat", plan.flats, level.ms)
    yield from _series(plan, "judge", plan.flats, level.ms_for(plan, BRIGHT_PCT))


def _defects(plan: PanelPlan) -> Frames:
    level = yield from _prepare(plan)
    bright_ms = level.ms_for(plan, BRIGHT_PCT)
    yield from _series(plan, "bright", plan.flats, bright_ms)
    yield from _afterglow(plan, bright_ms, 1)


def _lag(plan: PanelPlan) -> Frames:
    level = yield from _prepare(plan)
    yield from _darks(plan, "clear", LAG_FRAMES)
    for _ in range(LAG_SERIES):
        yield from _afterglow(plan, level.ms_for(plan, BRIGHT_PCT), LAG_FRAMES)


def _prepare(plan: PanelPlan) -> Generator[Step, Result, _Level]:
    """Dark frames, an open field, and the charge that makes a flat of the wanted level."""
    dark_counts = yield from _darks(plan, "dark", DARKS)
    yield OPEN
    return (yield from _find_level(plan, dark_counts))


def _afterglow(plan: PanelPlan, ms: float, count: int) -> Frames:
    """A flat, and the dark frames that follow it at once."""
    yield from _flats(plan, "before", 1, ms)
    for number in range(1, count + 1):
        yield from _darks(plan, f"after {number}", 1)


def _darks(plan: PanelPlan, part: str, count: int) -> Generator[Step, Result, int]:
    """The median of the last one, counts."""
    technique = Technique(kv=plan.dark_kv, ma=plan.dark_ma, ms=plan.window_ms)
    counts = 0
    for number in range(1, count + 1):
        note = f"dark frame, {number} of {count}"
        result = yield from _surely(
            Fire(technique=technique, kind=ShotKind.DARK, note=note, part=part, raw=True)
        )
        counts = result.level_counts or 0
    return counts


def _series(plan: PanelPlan, part: str, count: int, ms: float) -> Frames:
    """Begins with a panel that has forgotten the flat before: lag is the same in each series."""
    yield from _darks(plan, "clear", LAG_FRAMES)
    yield from _flats(plan, part, count, ms)


def _flats(plan: PanelPlan, part: str, count: int, ms: float) -> Frames:
    for number in range(1, count + 1):
        yield from _surely(_flat(plan, part, ms, f"flat, {number} of {count}"))


def _flat(plan: PanelPlan, part: str, ms: float, note: str) -> Fire:
    technique = Technique(kv=plan.kv, ma=plan.ma, ms=ms)
    return Fire(technique=technique, kind=ShotKind.IMAGING, note=note, part=part, raw=True)


def _surely(step: Fire) -> Generator[Step, Result, Fired]:
    """Until it is made as planned: what was let go early or tripped is no frame to average."""
    why = ""
    for _ in range(1 + MOST_FAULTS):
        result = yield step
        assert isinstance(result, Fired)
        if not result.faults and not result.released:
            return result
        why = ", ".join(result.faults) or "the handswitch was released too early"
    raise _FailedError(f"{step.note}: not made in {1 + MOST_FAULTS} tries ({why})")


def _find_level(plan: PanelPlan, dark_counts: int) -> Generator[Step, Result, _Level]:
    ms = _within(plan, plan.start_ms)
    for _ in range(MOST_TRIES):
        result = yield from _surely(_flat(plan, "level", ms, f"level, {ms:g} ms"))
        if result.level_counts is None:
            raise _FailedError("the recorder did not tell the level of the flat")
        pct = 100 * (result.level_counts - dark_counts) / plan.full_scale
        if LEVEL_LOW_PCT <= pct <= LEVEL_HIGH_PCT:
            return _Level(ms=ms, pct=pct)
        wanted_ms = ms * LEVEL_PCT / max(pct, 0.5)
        found_ms = _within(plan, wanted_ms)
        if found_ms == ms:
            raise _FailedError(
                f"level {pct:.1f} % of full scale after {ms:g} ms, wanted {LEVEL_LOW_PCT:g} to "
                f"{LEVEL_HIGH_PCT:g} %: {_why(plan, wanted_ms)}"
            )
        ms = found_ms
    raise _FailedError(f"no stable level in {MOST_TRIES} tries: is something in the beam?")


def _why(plan: PanelPlan, wanted_ms: float) -> str:
    if wanted_ms > plan.ms_max:
        return f"{wanted_ms:.0f} ms needed, {plan.ms_max:g} allowed; is something in the beam?"
    return f"{wanted_ms:.0f} ms needed, {plan.ms_min:g} is the least; use a longer distance"


def _within(plan: PanelPlan, ms: float) -> float:
    """In the timer's steps, and what the bench allows."""
    least, most = math.ceil(plan.ms_min / plan.step_ms), math.floor(plan.ms_max / plan.step_ms)
    steps = min(max(round(ms / plan.step_ms), least), most)
    return round(steps * plan.step_ms, 6)  # as the generator's own number: 0.01 is no binary one
