"""Where an edge of the phantom really stands in a picture."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.phantom import Edge


def found_px(image: NDArray[Any], edge: Edge, pitch_mm: float) -> float:
    """Where the mean profile across an edge passes half height, in pixels from its place."""
    picture = image if edge.axis == "x" else image.T
    rows, columns = picture.shape
    low, high = (round(at / pitch_mm + rows / 2.0) for at in edge.along_mm)
    centre = round(edge.at_mm / pitch_mm + columns / 2.0)
    half = max(2, min(4, round(0.9 / pitch_mm)))
    first = max(centre - half, 0)
    profile = picture[low : max(high, low + 1), first : centre + half].mean(axis=0)
    profile = profile if edge.denser_after else profile[::-1]
    level = (profile[0] + profile[-1]) / 2.0
    index = int(np.argmax(profile > level))
    step = (level - profile[index - 1]) / (profile[index] - profile[index - 1])
    crossing = index - 0.5 + step
    crossing = crossing if edge.denser_after else len(profile) - crossing
    return float(first + crossing - (edge.at_mm / pitch_mm + columns / 2.0))
