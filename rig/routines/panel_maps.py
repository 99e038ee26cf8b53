"""From the frames of a calibration to a new set, with what was found beside each limit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from firmware_py.config import UnitConfig
from firmware_py.recorder.image.calibrate import (
    LEVEL_HIGHEST,
    LEVEL_LOWEST,
    Linearity,
    gain_map,
    lag_shares,
    level_problem,
    linearise,
    linearity_of,
    offset_map,
    responding,
)
from firmware_py.recorder.image.correct import Pixels, correct
from firmware_py.recorder.image.defect_acceptance import BAD_SHARE, judge
from firmware_py.recorder.image.defects import FlatNoise, find_defects
from firmware_py.recorder.image.frame_stats import FrameStats
from firmware_py.recorder.image.limits import Judgement
from firmware_py.recorder.image.maps import Floats, Mask, PanelSet, Part
from firmware_py.recorder.image.uniformity import judge_residual, uniformity
from rig.records.pictures import defect_png, grey_png, window_of
from rig.records.record import Value
from rig.routines.panel_plan import Frames

LAG_FIRST_MOST = 0.10  # a-Si, first frame 2-10 % (Siewerdsen & Jaffray 1999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """What every new part carries."""

    unit: UnitConfig
    at: datetime
    operator: str
    routine_id: str
    kv: float  # of the flats

    def part(self, name: str, **detail: Any) -> Part:
        days = getattr(self.unit.calibration, f"{name}_days")
        return Part(
            created=self.at,
            valid_until=self.at + timedelta(days=days),
            operator=self.operator,
            routine=self.routine_id,
            detail=detail | {"sid_mm": self.unit.geometry.sid_mm},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """`panel_set`: None when a limit was missed; `pictures`: caption -> PNG."""

    panel_set: PanelSet | None
    values: tuple[Value, ...]
    pictures: Mapping[str, bytes]

    @property
    def failed(self) -> list[str]:
        return [value.what for value in self.values if value.verdict == "failed"]


def make_set(kind: str, frames: Frames, current: PanelSet | None, maker: Maker) -> Made:
    """Raises ValueError when the frames make no map: the text says why."""
    made = _MAKERS[kind](frames, current, maker)
    return replace(made, panel_set=None) if made.failed else made


# --- one function a kind


def _offset(frames: Frames, current: PanelSet | None, maker: Maker) -> Made:
    dark = _stats(frames.pixels("dark"))
    offset = offset_map(dark)
    values = [
        _found("dark frames", dark.count, "frames"),
        _found("offset, median", float(np.median(offset)), "counts"),
        _found("dark noise, median sigma of a pixel", float(np.median(dark.std())), "counts"),
    ]
    if current is not None:
        drift = float(np.median(offset - current.offset))
        values.append(_found("drift against the set before, median", drift, "counts"))
    panel_set = _with(current, maker, "offset", maker.part("offset", frames_count=dark.count),
                      offset=offset)  # fmt: skip
    pictures = {"Offset map": grey_png(offset)}
    return Made(panel_set=panel_set, values=tuple(values), pictures=pictures)


def _gain(frames: Frames, current: PanelSet | None, maker: Maker) -> Made:
    dark, flat = _stats(frames.pixels("dark")), _stats(frames.pixels("flat"))
    offset, full_scale = offset_map(dark), _full_scale(maker)
    signal = flat.mean() - offset
    lit = responding(signal)
    level = float(np.median(signal[lit]))
    curve = linearity_of(_levels(frames, offset, lit), full_scale)
    gain = np.where(lit, gain_map(flat, offset, curve, full_scale), np.float32(1.0))
    noise = pair_noise_pct(frames, "flat", offset)
    beam = frames.shots("flat")[0].fired
    with_offset = _with(current, maker, "offset", maker.part("offset", frames_count=dark.count),
                        offset=offset)  # fmt: skip
    detail = {"frames_count": flat.count, "kv": beam.kv, "mas": beam.mas, "noise_pct": noise,
              "level_pct": 100 * level / full_scale}  # fmt: skip
    panel_set = _with(with_offset, maker, "gain", maker.part("gain", **detail), gain=gain,
                      linearity=(curve.a, curve.b), beam_quality=_quality(maker))  # fmt: skip
    first = next(frames.pixels("judge"))
    mended = replace(panel_set, defects=panel_set.defects | ~lit, parts=_all_named(panel_set))
    corrected = correct(first, mended)
    residual = judge_residual(uniformity(corrected.pixels, maker.unit.panel.pitch_mm))
    values = [
        _level_value(level, full_scale),
        _found("flats averaged", flat.count, "frames"),
        _found("furthest level from a line, before", curve.worst_before_pct, "%"),
        _found("furthest level from the curve, after", curve.worst_after_pct, "%"),
        _judged(residual, "non-uniformity of a new corrected flat"),
    ]
    pictures = {
        "A flat before": grey_png(first, window_of(first)),
        "The same flat, corrected": grey_png(corrected.pixels, window_of(corrected.pixels)),
        "Gain map": grey_png(gain, (0.9, 1.1)),
    }
    return Made(panel_set=panel_set, values=tuple(values), pictures=pictures)


def _defects(frames: Frames, current: PanelSet | None, maker: Maker) -> Made:
    if current is None or "gain" not in current.parts:
        raise ValueError("there is no gain map yet; run `dxrig calibrate gain` first")
    dark, bright = _stats(frames.pixels("dark")), _stats(frames.pixels("bright"))
    after = _stats(frames.pixels("after 1"))
    offset, full_scale = offset_map(dark), _full_scale(maker)
    signal = linearise(bright.mean() - offset, _curve(current), full_scale)
    gain_part = current.parts["gain"].detail
    found = find_defects(
        dark_mean=offset,
        dark_sigma=dark.std(),
        dark_count=dark.count,
        flat_signal=signal,
        flat_constant=bright.constant(),
        corrected_flat=signal / current.gain,
        flat_noise=FlatNoise(
            gain_pct=float(gain_part["noise_pct"]),
            gain_count=int(gain_part["frames_count"]),
            check_pct=pair_noise_pct(frames, "bright", offset),
            check_count=bright.count,
        ),
        full_scale=full_scale,
        after_flat=after.mean() - offset,
        after_count=after.count,
    )
    with_offset = _with(current, maker, "offset", maker.part("offset", frames_count=dark.count),
                        offset=offset)  # fmt: skip
    counts = {name: int(mask.sum()) for name, mask in found.classes.items()}
    part = maker.part("defects", classes=counts, frames_count=bright.count)
    panel_set = _with(with_offset, maker, "defects", part, defects=found.mask)
    first = next(frames.pixels("bright"))
    corrected = correct(first, panel_set).pixels
    residual = judge_residual(uniformity(corrected, maker.unit.panel.pitch_mm))
    values = [
        *(
            _judged(one, one.limit.text.rsplit(", ", 1)[0], pct=one.limit is BAD_SHARE)
            for one in judge(found)
        ),
        *(_found(f"pixels: {name}", count, "px") for name, count in counts.items()),
        _found("single defects", found.single_count, "px"),
        _found("clusters", len(found.clusters), ""),
        Value(
            what="relevant clusters",
            value=len(found.relevant_clusters),
            limit="holds a pixel with fewer than 5 good neighbours",
            source="ASTM E2597",
            mark="M",
        ),
        _found("lines, partial ones too", len(found.lines), ""),
        _judged(residual, "non-uniformity of a corrected flat"),
    ]
    shown = correct(first, replace(panel_set, defects=_no_defects(panel_set))).pixels
    window = window_of(corrected)
    pictures = {
        "Corrected flat, defects as they are": grey_png(shown, window),
        "The same flat, defects mended": grey_png(corrected, window),
        "Defects by class": defect_png(found.classes, corrected),
    }
    return Made(panel_set=panel_set, values=tuple(values), pictures=pictures)


def _lag(frames: Frames, current: PanelSet | None, maker: Maker) -> Made:
    if current is None or "gain" not in current.parts:
        raise ValueError("there is no gain map yet; run `dxrig calibrate gain` first")
    dark = _stats(frames.pixels("dark"))
    offset, full_scale, curve = offset_map(dark), _full_scale(maker), _curve(current)
    before = _stats(frames.pixels("before"))
    exposed = linearise(before.mean() - offset, curve, full_scale)
    names = sorted(frames.parts("after "))
    after = [_stats(frames.pixels(name)).mean() - offset for name in names]
    shares = lag_shares(exposed, after)
    with_offset = _with(current, maker, "offset", maker.part("offset", frames_count=dark.count),
                        offset=offset)  # fmt: skip
    part = maker.part("lag", series_count=before.count)
    panel_set = _with(with_offset, maker, "lag", part, lag=shares)
    values = [_lag_value(shares[0])]
    values += [
        _found(f"lag in frame {number}", 100 * share, "%")
        for number, share in enumerate(shares[1:], 2)
    ]
    removed = after[0] - np.float32(shares[0]) * exposed
    highest = window_of(after[0])[1]
    window = (-highest, highest)  # what is removed leaves mid-grey
    pictures = {
        "First frame after a flat": grey_png(after[0], window),
        "The same frame, lag removed": grey_png(removed, window),
    }
    return Made(panel_set=panel_set, values=tuple(values), pictures=pictures)


_MAKERS = {"offset": _offset, "gain": _gain, "defects": _defects, "lag": _lag}


# --- sets


def _with(current: PanelSet | None, maker: Maker, name: str, part: Part, **maps: Any) -> PanelSet:
    """The set before with one part new; without one, the first of its panel."""
    if current is not None:
        return replace(current, parts={**current.parts, name: part}, **maps)
    unit = maker.unit
    shape = (unit.panel.rows_px, unit.panel.columns_px)
    empty = {
        "offset": np.zeros(shape, np.float32),
        "gain": np.ones(shape, np.float32),
        "defects": np.zeros(shape, np.bool_),
    }
    return PanelSet(
        panel_id=unit.panel.panel_id,
        unit_serial=unit.site.serial,
        bits_stored=unit.panel.bits_stored,
        parts={name: part},
        **(empty | maps),
    )


def _all_named(panel_set: PanelSet) -> dict[str, Part]:
    """For a judgement only: dead pixels are mended before there is a defect map."""
    return {"defects": panel_set.parts["gain"], **panel_set.parts}


def _no_defects(panel_set: PanelSet) -> Mask:
    return np.zeros_like(panel_set.defects)


def _curve(panel_set: PanelSet) -> Linearity:
    a, b = panel_set.linearity
    return Linearity(a=a, b=b, worst_before_pct=0.0, worst_after_pct=0.0)


def _full_scale(maker: Maker) -> int:
    return (1 << maker.unit.panel.bits_stored) - 1


def _quality(maker: Maker) -> str:
    unit = maker.unit
    filtration = f"{unit.tube.filter_mm:g} mm {unit.tube.filter_material.lower()}"
    return f"{maker.kv:g} kV, {filtration} added"


# --- frames


def _stats(frames: Iterable[Pixels]) -> FrameStats:
    stats: FrameStats | None = None
    for raw in frames:
        stats = stats or FrameStats(raw.shape)
        stats.add(raw)
    if stats is None:
        raise ValueError("a group of frames is missing")
    return stats


def pair_noise_pct(frames: Frames, part: str, offset: Floats) -> float:
    """Sigma of a pixel in a single flat, percent of its signal.

    From the difference of two flats, each relative to its own median: what differs between
    exposures (their charge) is no noise of a pixel. Robust against defects.
    """
    one, other = (_relative(shot.pixels() - offset) for shot in frames.shots(part)[:2])
    lit = np.isfinite(one) & np.isfinite(other)
    difference = (one - other)[lit]
    spread = float(np.median(np.abs(difference - np.median(difference))))
    return 100.0 * 1.4826 * spread / float(np.sqrt(2.0))


def _relative(signal: Floats) -> Floats:
    """NaN where nothing responds."""
    lit = responding(signal)
    relative = np.full_like(signal, np.nan)
    relative[lit] = signal[lit] / np.float32(np.median(signal[lit]))
    return relative


def _levels(frames: Frames, offset: Floats, lit: Mask) -> list[tuple[float, float]]:
    """(mAs indicated, median signal in counts) of every level."""
    found = []
    for part in frames.parts("level "):
        for shot in frames.shots(part):
            if shot.fired.mas is not None:
                signal = shot.pixels() - offset
                found.append((shot.fired.mas, float(np.median(signal[lit]))))
    return found


# --- values


def _found(what: str, value: float, unit: str) -> Value:
    return Value(what=what, value=value, unit=unit, mark="C")


def _judged(one: Judgement, what: str, *, pct: bool = False) -> Value:
    """`pct`: a share, shown in percent."""
    limit, factor = one.limit, 100 if pct else 1
    bound = limit.text.rsplit(", ", 1)[-1]  # "at most", "at least", "under"
    unit = "%" if pct else _plain_unit(limit.unit)
    return Value(
        what=what,
        value=None if one.found is None else factor * one.found,
        unit=unit,
        limit=f"{bound} {factor * limit.value:g} {unit}".strip(),
        source=limit.source,
        mark=limit.mark,
        verdict="passed" if one.ok and one.found is not None else _unfound(one),
    )


def _plain_unit(unit: str) -> str:
    """What is counted stands in the name already."""
    return "" if unit == "lines" else unit


def _unfound(one: Judgement) -> Any:
    return "not judged" if one.ok else "failed"


def _level_value(level: float, full_scale: int) -> Value:
    problem = level_problem(level, full_scale)
    return Value(
        what="level of the flats, median", value=100 * level / full_scale, unit="% of full scale",
        low=100 * LEVEL_LOWEST.value, high=100 * LEVEL_HIGHEST.value,
        source="Varex 12-24 %, Teledyne p. 49 about 25 %", mark="S",
        verdict="failed" if problem else "passed",
    )  # fmt: skip


def _lag_value(share: float) -> Value:
    inside = 0.0 <= share <= LAG_FIRST_MOST
    return Value(
        what="lag in the first frame after a flat", value=100 * share, unit="%",
        low=0.0, high=100 * LAG_FIRST_MOST, source="Siewerdsen & Jaffray 1999: a-Si 2-10 %",
        mark="S", verdict="passed" if inside else "failed",
    )  # fmt: skip
