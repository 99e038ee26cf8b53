"""Deviations of an import as SVG: a mark an exposure, a bar its uncertainty, lines the limit."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from rig.records.charts import KV_COLOUR, MA_COLOUR, inline

_STYLES = {"kv": (KV_COLOUR, "o", "kV"), "time": (MA_COLOUR, "D", "time")}


def deviations_svg(findings: Sequence[Mapping[str, Any]]) -> str:
    """kV and time; empty where there are fewer than two to show."""
    shown = [one for one in findings if one["test"] in _STYLES and one["found"] is not None]
    tests = [test for test in _STYLES if sum(one["test"] == test for one in shown) >= 2]
    if not tests:
        return ""
    from matplotlib import rc_context  # 1.3 s: only where a picture is drawn
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "dxrig", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 1.7 * len(tests) + 0.4), layout="constrained")
        panels = figure.subplots(len(tests), sharex=True, squeeze=False)[:, 0]
        for axes, test in zip(panels, tests, strict=True):
            _draw(axes, test, [one for one in shown if one["test"] == test])
        panels[-1].set_xlabel("exposure")
        buffer = io.BytesIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return inline(buffer.getvalue().decode())


def _draw(axes: Any, test: str, found: Sequence[Mapping[str, Any]]) -> None:
    colour, mark, word = _STYLES[test]
    numbers = [one["exposures"][0] for one in found]
    values = [one["found"] for one in found]
    bars = [one["uncertainty"] or 0.0 for one in found]
    limits = [one["limit"] for one in found if one["limit"] is not None]
    axes.axhline(0, color="black", linewidth=0.5)
    for limit in {*limits, *(-limit for limit in limits)} if len(set(limits)) == 1 else ():
        axes.axhline(limit, color="black", linewidth=0.9, linestyle="--")
    axes.errorbar(
        numbers, values, yerr=bars, fmt=mark, color=colour, markersize=4, capsize=2, linewidth=0.9
    )
    axes.set_ylabel(f"{word}, %")
    axes.set_xticks(sorted(set(numbers)))
    axes.grid(axis="y", color="#cccccc", linewidth=0.5)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
