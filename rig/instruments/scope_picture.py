"""A trace as SVG: kV above mA, with the marks that its values were taken at."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.instruments.scope_file import ScopeFile
from rig.instruments.scope_map import ScopeMap
from rig.instruments.trace import LOADED, Beam
from rig.records.charts import KV_COLOUR, MA_COLOUR, inline

POINTS_COUNT = 1500
_STYLES = {"kv": ("kV", KV_COLOUR), "ma": ("mA", MA_COLOUR)}


def trace_svg(file: ScopeFile, layout: ScopeMap, beam: Beam) -> str:
    """Lowest and highest of each column of the picture, so that no spike is lost."""
    from matplotlib import rc_context  # 1.3 s: only where a picture is drawn
    from matplotlib.figure import Figure

    names = [name for name in _STYLES if name in file.volts]
    lasted_us = beam.end_us - beam.start_us
    around_us = max(0.3 * lasted_us, 5 * file.step_us)
    with rc_context({"svg.hashsalt": "dxrig", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 1.9 * len(names) + 0.5), layout="constrained")
        panels = figure.subplots(len(names), sharex=True, squeeze=False)[:, 0]
        for axes, name in zip(panels, names, strict=True):
            first = round((beam.start_us - around_us - file.start_us) / file.step_us)
            last = round((beam.end_us + around_us - file.start_us) / file.step_us)
            _draw(axes, file, layout, name, beam, (max(0, first), last))
        panels[-1].set_xlabel("ms after 75 % (dotted); shaded: where kVp and mA are means")
        buffer = io.BytesIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return inline(buffer.getvalue().decode())


def _draw(
    axes: Any,
    file: ScopeFile,
    layout: ScopeMap,
    name: str,
    beam: Beam,
    span: tuple[int, int],
) -> None:
    word, colour = _STYLES[name]
    channel = layout.of(name)
    assert channel is not None
    low, high, at = _envelope(file.volts[name][slice(*span)] * channel.per_volt)
    times_ms = _after_ms(file.start_us + (span[0] + at) * file.step_us, beam)
    axes.axvspan(*(_after_ms(end, beam) for end in beam.plateau_us), color="#f4f1e6", linewidth=0)
    axes.fill_between(times_ms, low, high, color=colour, linewidth=0.6)
    for edge_us in (beam.start_us, beam.end_us):
        axes.axvline(_after_ms(edge_us, beam), color="black", linestyle=":", linewidth=0.9)
    if beam.sync_us is not None and times_ms[0] <= _after_ms(beam.sync_us, beam) <= times_ms[-1]:
        axes.axvline(_after_ms(beam.sync_us, beam), color="black", linestyle="-.", linewidth=0.9)
    if word == beam.level_unit:
        for level in (beam.level, LOADED * beam.level):
            axes.axhline(level, color="black", linewidth=0.6, linestyle="--")
    axes.set_ylabel(word)
    axes.set_ylim(bottom=min(0.0, float(low.min())))
    axes.spines[["top", "right"]].set_visible(False)


def _after_ms(t_us: Any, beam: Beam) -> Any:
    return (t_us - beam.start_us) / 1000.0


def _envelope(
    values: NDArray[np.float32],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Lowest, highest and index of each column."""
    width = max(1, len(values) // POINTS_COUNT)
    whole = values[: len(values) // width * width].reshape(-1, width)
    return whole.min(axis=1), whole.max(axis=1), np.arange(len(whole)) * float(width)
