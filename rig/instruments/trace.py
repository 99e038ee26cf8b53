"""What a trace says of a beam: kVp, time at 75 %, overshoot, ripple, tail, mA, mAs, delay.

Definitions. Time: from the first sample at 75 % of kVp to the last (time counts from 75 % kV,
fault-catalogue.md F08). kVp: mean of the middle 80 % of that time, our own choice [D]: the
reference has none. Ripple: (highest - lowest) / highest there, noise and all. Tail: from the last
sample at 75 % to the last at 10 % [D]. Zero is the level without a beam and is taken off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from rig.exit_codes import UsageError
from rig.instruments.scope_file import Samples, ScopeFile
from rig.instruments.scope_map import ScopeMap

LOADED, TAIL_END, SEEN = 0.75, 0.10, 0.25
PLATEAU_FROM, PLATEAU_TO = 0.1, 0.9
GAP_US = 2_000.0  # two beams are further apart; an arc lasts less [D]
LEAST = {"kv": 5.0, "ma": 0.0}
LEAST_NOISES = 8.0  # a beam stands this many rms out of the noise
COARSE_COUNT = 200_000
EDGES_MAX_COUNT = 2000
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """Times by the scope's own clock; None: its channel is not there.

    `notes`: what makes a person look twice. `values`: of `rig.instruments.quantities`.
    """

    values: dict[str, float]
    start_us: float  # first at 75 %
    end_us: float
    plateau_us: tuple[float, float]
    level: float  # kVp, or the plateau's mA where there is no kV
    level_unit: str
    overshoot_pct: float
    ripple_pct: float
    rise_ms: float
    tail_ms: float
    noise: float  # rms without beam
    sync_us: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def delay_ms(self) -> float | None:
        """From the sync edge to 75 %."""
        return None if self.sync_us is None else (self.start_us - self.sync_us) / 1000.0


def beams_in(file: ScopeFile, layout: ScopeMap) -> list[Beam]:
    """At least one. Raises UsageError for a trace without, or with the wrong sign."""
    name = "kv" if "kv" in file.volts else "ma"
    channel = layout.of(name)
    assert channel is not None
    wave = _Wave(file.volts[name], channel.per_volt, file.step_us)
    zero, top, noise = _levels(wave, file, name)
    spans = _spans(wave, zero + SEEN * (top - zero))
    if not spans:
        raise UsageError(f"{file.path}: no beam in the trace")
    return [_beam(file, layout, name, wave, zero, noise, span) for span in spans]


class _Wave:
    """Samples in kV or mA, looked at piece by piece."""

    def __init__(self, volts: Samples, per_volt: float, step_us: float) -> None:
        self.volts, self.per_volt, self.step_us = volts, per_volt, step_us

    def __len__(self) -> int:
        return len(self.volts)

    def mean(self, first: int, last: int) -> float:
        return float(self.volts[first:last].mean(dtype=np.float64)) * self.per_volt

    def extremes(self, first: int, last: int) -> tuple[float, float]:
        """Lowest, highest."""
        part = self.volts[first:last]
        ends = float(part.min()) * self.per_volt, float(part.max()) * self.per_volt
        return min(ends), max(ends)

    def edges(self, level: float) -> Iterator[int]:
        """Indices at which it comes to the level or leaves it; the first: it begins there."""
        before = False
        for first in range(0, len(self), CHUNK):
            above = self.volts[first : first + CHUNK] * self.per_volt >= level
            changed = np.flatnonzero(np.diff(above, prepend=before))
            before = bool(above[-1])
            yield from (first + int(at) for at in changed)

    def first(self, level: float, span: tuple[int, int], *, step: int = 1) -> int | None:
        """The first index of a span at or above a level; from its end with step -1."""
        starts = range(span[0], span[1], CHUNK)
        for first in starts if step == 1 else reversed(starts):
            part = self.volts[first : min(first + CHUNK, span[1])] * self.per_volt
            found = np.flatnonzero(part >= level)
            if len(found):
                return first + int(found[0 if step == 1 else -1])
        return None


def _levels(wave: _Wave, file: ScopeFile, name: str) -> tuple[float, float, float]:
    """Zero, top, and rms of the noise around zero."""
    width = max(1, len(wave) // COARSE_COUNT)
    whole = len(wave) // width * width
    coarse = wave.volts[:whole].reshape(-1, width).mean(axis=1) * wave.per_volt
    low, high = float(coarse.min()), float(coarse.max())
    unit = "kV" if name == "kv" else "mA"
    if -low > high and -low > LEAST[name]:
        raise UsageError(
            f"{file.path}: the trace goes down to {low:.3g} {unit}, not up: wrong polarity? "
            "turn the sign of per_volt in the map"
        )
    middle = (low + high) / 2.0
    for _ in range(3):  # a spike of a few samples is no beam
        if np.count_nonzero(coarse > middle) >= 5:
            break
        coarse = coarse[coarse <= middle]
        high = float(coarse.max())
        middle = (low + high) / 2.0
    below, above = coarse[coarse <= middle], coarse[coarse > middle]
    zero, top = float(np.median(below)), float(np.median(above)) if len(above) else low
    noise = 1.4826 * float(np.median(np.abs(below - zero))) * width**0.5  # ramps don't count
    if top - zero < LEAST[name] or top - zero < LEAST_NOISES * noise:
        raise UsageError(
            f"{file.path}: no beam in the trace: it stays between {low:.3g} and {high:.3g} {unit}"
        )
    return zero, top, noise


def _spans(wave: _Wave, level: float) -> list[tuple[int, int]]:
    """Where it is above the level; gaps that are too short for two beams are closed."""
    edges = []
    for edge in wave.edges(level):
        edges.append(edge)
        if len(edges) > EDGES_MAX_COUNT:
            raise UsageError("the trace crosses a quarter of its height too often: too noisy")
    edges += [len(wave)] if len(edges) % 2 else []
    spans: list[tuple[int, int]] = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        gap_us = (first - spans[-1][1]) * wave.step_us if spans else GAP_US
        if gap_us < GAP_US:  # us-compare: two durations
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return [span for span in spans if span[1] - span[0] >= 3]


def _beam(
    file: ScopeFile,
    layout: ScopeMap,
    name: str,
    wave: _Wave,
    zero: float,
    noise: float,
    span: tuple[int, int],
) -> Beam:
    if span[0] == 0 or span[1] == len(wave):
        cut = "begins" if span[0] == 0 else "ends"
        raise UsageError(f"{file.path}: the trace {cut} in the beam: record more before and after")
    level = wave.mean(*span) - zero
    for _ in range(3):  # 75 % of what is not known before
        start, end = _crossings(wave, span, zero + LOADED * level)
        length = end - start
        plateau = (start + int(PLATEAU_FROM * length), start + int(PLATEAU_TO * length) + 1)
        level = wave.mean(*plateau) - zero
    low, high = wave.extremes(*plateau)
    highest = wave.extremes(*span)[1] - zero
    foot = _crossings(wave, _around(wave, span), zero + TAIL_END * level)
    at_us = _clock(file)
    values = {"time_ms": (end - start + 1) * wave.step_us / 1000.0}
    if name == "kv":
        values["kv"] = level
    values |= _current(file, layout, name, zero, level, plateau, span, foot)
    return Beam(
        values=values,
        start_us=at_us(start),
        end_us=at_us(end),
        plateau_us=(at_us(plateau[0]), at_us(plateau[1])),
        level=level,
        level_unit="kV" if name == "kv" else "mA",
        overshoot_pct=100.0 * (highest - level) / level,
        ripple_pct=100.0 * (high - low) / (high - zero),
        rise_ms=(start - foot[0]) * wave.step_us / 1000.0,
        tail_ms=(foot[1] - end) * wave.step_us / 1000.0,
        noise=noise,
        sync_us=_sync_us(file, layout),
        notes=tuple(_notes(file, layout, name, plateau, noise, (low, high), level)),
    )


def _crossings(wave: _Wave, span: tuple[int, int], level: float) -> tuple[int, int]:
    first = wave.first(level, span)
    last = wave.first(level, span, step=-1)
    if first is None or last is None:
        raise UsageError("the trace has no plateau: its mean is above all of it")
    return first, last


def _around(wave: _Wave, span: tuple[int, int]) -> tuple[int, int]:
    """The span and what is beside it, up to half its length and no further than two beams are."""
    more = min(round(GAP_US / wave.step_us), max(10, (span[1] - span[0]) // 2))
    return max(0, span[0] - more), min(len(wave), span[1] + more)


def _clock(file: ScopeFile) -> Callable[[int], float]:
    return lambda index: file.start_us + index * file.step_us


def _current(
    file: ScopeFile,
    layout: ScopeMap,
    name: str,
    zero: float,
    level: float,
    plateau: tuple[int, int],
    span: tuple[int, int],
    foot: tuple[int, int],
) -> dict[str, float]:
    """mA of the plateau, and mAs from 10 % to 10 % of the kV (or of itself, where it is alone)."""
    channel = layout.of("ma")
    if channel is None or "ma" not in file.volts:
        return {}
    wave = _Wave(file.volts["ma"], channel.per_volt, file.step_us)
    if name == "kv":
        # Away from the foot by as long as it took from 10 to 25 %: there it had not begun.
        quiet = foot[0] - max(3, span[0] - foot[0])
        before = max(0, quiet - max(10, (span[1] - span[0]) // 10))
        zero = wave.mean(before, quiet) if quiet > before else 0.0
        level = wave.mean(*plateau) - zero
    seconds = (foot[1] + 1 - foot[0]) * file.step_us / 1e6
    return {"ma": level, "mas": (wave.mean(foot[0], foot[1] + 1) - zero) * seconds}


def _sync_us(file: ScopeFile, layout: ScopeMap) -> float | None:
    volts = file.volts.get("sync")
    if volts is None:
        return None
    sign = 1.0 if layout.sync.edge == "rising" else -1.0
    wave = _Wave(volts, sign, file.step_us)
    edges = list(islice(wave.edges(sign * layout.sync.threshold_v), EDGES_MAX_COUNT))
    arrivals = [edge for edge in edges[::2] if edge > 0]  # at 0 it was there before
    return _clock(file)(arrivals[0]) if arrivals else None


def _notes(
    file: ScopeFile,
    layout: ScopeMap,
    name: str,
    plateau: tuple[int, int],
    noise: float,
    ends: tuple[float, float],
    level: float,
) -> Iterator[str]:
    for channel in layout.channel:
        if channel.means == "sync" or channel.means not in file.volts:
            continue
        part = file.volts[channel.means][plateau[0] : plateau[1]]
        low_v, high_v = (float(part.min()), float(part.max()))
        if channel.range_v and (low_v <= channel.range_v[0] or high_v >= channel.range_v[1]):
            yield f"{channel.header} is CLIPPED: it reaches the end of the input's range"
        elif channel.means == name and noise > 0 and ends[1] - ends[0] < noise / 4.0:
            yield f"{channel.header} may be CLIPPED: there is no noise on its plateau"
    if noise > 0.02 * level:
        yield f"noise of {100.0 * noise / level:.1f} % rms: it is in ripple and overshoot, too"
    if "sync" in file.volts and _sync_us(file, layout) is None:
        yield "the sync channel has no edge"
