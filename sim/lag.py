"""What a panel keeps of earlier exposures, in closed form of the time since: lag and ghost.

    lag     traps keep a share HELD of a signal and let it go with time constants TAU; a window
            that opens a and closes b after the end of the exposed one gathers of it
                sum of HELD (exp(-a / TAU) - exp(-b / TAU))
            and what is let go between two windows a scrub clears away
    ghost   filled traps take less of the next signal, so it grows: times
                1 + GHOST q / (1 + q),  q = sum of signal / full scale * exp(-a / GHOST_TAU)
            over the exposures before

A sum of exponentials is Starman's model (2012: four of them, for a panel that streams; with
coefficients that depend on the exposure, which is left out). Two pass through the four shares of
Siewerdsen & Jaffray 1999, so more would be invented; both from qc-and-physics.md 3.3. At which
frame time theirs were measured the reference does not say: FRAME_US is a choice, and so is that
those frames follow each other without a pause. Of their 2-10 % in the first frame, the least.
With 0.5 s the lag would last into flats that follow each 3 s, and our calibration, whose series
differ in length, would call pixels of class lag non-uniform: so it is a panel that suits it.

The ghost is a choice in size and shape, only its length is theirs ("30 min or longer"): GHOST_TAU
leaves a fifth then. Our calibration measures 0.88 % of bow with it instead of 1.01 % without (0.5 %
of ghost: 0.68 %). Why it adds to the gain: what is trapped can't be trapped again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

LAG_SHARES = (0.020, 0.007, 0.004, 0.003)  # in frames 1 to 4, ...
FRAME_US = 150_000  # ... as long as this each, the first one at once
HELD_TAU_S = ((0.0305, 0.862), (0.0187, 0.0909))
GHOST_PCT = 0.2  # of gain at most; half of it after one exposure of full scale
GHOST_TAU_S = 1200.0
REMEMBERED_COUNT = 64  # exposures; a choice
SCENES_COUNT = 4  # of them, the newest: each is a map of the whole panel
FAINT = 1e-6  # of full scale: what is less is forgotten

Scene = TypeVar("Scene")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of one exposure, as parts of its signal."""

    lag: float
    ghost: float


def kept(gap_us: int, window_us: int) -> Kept:
    """In a window of this length that opens so long after the end of the exposed one."""
    opens_s, closes_s = gap_us / 1e6, (gap_us + window_us) / 1e6
    lag = sum(
        held * (math.exp(-opens_s / tau_s) - math.exp(-closes_s / tau_s))
        for held, tau_s in HELD_TAU_S
    )
    return Kept(lag, math.exp(-opens_s / GHOST_TAU_S))


def shares(
    first_gap_us: int, window_us: int, step_us: int, count: int = len(LAG_SHARES)
) -> tuple[float, ...]:
    """Lag in dark frames that follow an exposure in this rhythm: what a calibration would find."""
    return tuple(kept(first_gap_us + n * step_us, window_us).lag for n in range(count))


def by_scene(signals: Sequence[tuple[Scene, float, Kept]]) -> Iterator[tuple[Scene, float, float]]:
    """(scene, signal, left of it): all exposures, oldest first -> (scene, lag, ghost) by scene.

    Of the newest SCENES_COUNT scenes; what is too faint to be seen is left out.
    """
    sums: dict[Scene, tuple[float, float]] = {}
    for scene, signal, left in reversed(signals):
        if scene in sums or len(sums) < SCENES_COUNT:
            lag, ghost = sums.get(scene, (0.0, 0.0))
            sums[scene] = lag + signal * left.lag, ghost + signal * left.ghost
    for scene, (lag, ghost) in sums.items():
        if max(lag, ghost) > FAINT:
            yield scene, lag, ghost
