"""kV and mA of a beam as the generator indicated them: dots where it was asked, nothing between."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def monitor_reads(lines: Sequence[dict[str, Any]]) -> list[tuple[int, float, float]]:
    """(asked at, kV, mA) of every monitor read in a trace."""
    reads: list[tuple[int, float, float]] = []
    kv = ma = None
    for line in lines:
        if line["kind"] != "generator":
            continue
        kv, ma = line.get("kv", kv), line.get("ma", ma)
        asked_us = line.get("monitor_taken_us")
        if asked_us is not None and kv is not None and ma is not None:
            reads.append((asked_us, kv, ma))
    return reads


def draw_curve(path: Path, lines: Sequence[dict[str, Any]], *, kv: float, ma: float) -> None:
    """An SVG of the reads: kV above mA, set values as thin lines, EXPOSE shaded."""
    from matplotlib import rc_context  # 1.3 s: only where a picture is drawn
    from matplotlib.figure import Figure

    reads = monitor_reads(lines)
    start_us = _entered(lines, "EXPOSE")
    times_ms = [(t_us - start_us) / 1000 for t_us, _, _ in reads]
    end_us = _left(lines, "EXPOSE")
    with rc_context({"svg.hashsalt": "dxrig", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 3.8), layout="constrained")
        voltage, current = figure.subplots(2, sharex=True)
        for axes, name, values, wanted, colour in (
            (voltage, "kV", [read[1] for read in reads], kv, "#1f5fa8"),
            (current, "mA", [read[2] for read in reads], ma, "#b3541e"),
        ):
            if end_us is not None:
                axes.axvspan(0, (end_us - start_us) / 1000, color="#f4f1e6", linewidth=0)
            axes.axhline(wanted, color=colour, linewidth=0.7, alpha=0.6)
            axes.plot(times_ms, values, "o", color=colour, markersize=4)
            axes.set_ylabel(name, color=colour)
            axes.set_ylim(0, wanted * 1.25)
            axes.spines[["top", "right"]].set_visible(False)
        current.set_xlabel("ms after EXPOSE (shaded); a dot is a read, a thin line the set value")
        voltage.set_title("Indicated by the generator, not measured by a meter", fontsize=9)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    path.write_bytes(buffer.getvalue())


def _entered(lines: Sequence[dict[str, Any]], state: str) -> int:
    times = [line["t_us"] for line in lines if line["kind"] == "state" and line["to"] == state]
    return times[0] if times else 0


def _left(lines: Sequence[dict[str, Any]], state: str) -> int | None:
    """None where the unit was killed in that state."""
    times = [line["t_us"] for line in lines if line["kind"] == "state" and line["from"] == state]
    return times[0] if times else None
