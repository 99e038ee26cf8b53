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
    """An SVG of the reads, with the set values as thin lines."""
    from matplotlib import rc_context  # 1.3 s: only where a picture is drawn
    from matplotlib.figure import Figure

    reads = monitor_reads(lines)
    start_us = _entered(lines, "EXPOSE")
    times_ms = [(t_us - start_us) / 1000 for t_us, _, _ in reads]
    with rc_context({"svg.hashsalt": "dxrig", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        voltage = figure.add_subplot()
        current = voltage.twinx()
        voltage.axhline(kv, color="#1f5fa8", linewidth=0.7, alpha=0.5)
        current.axhline(ma, color="#b3541e", linewidth=0.7, alpha=0.5)
        voltage.plot(times_ms, [read[1] for read in reads], "o", color="#1f5fa8", markersize=4)
        current.plot(times_ms, [read[2] for read in reads], "s", color="#b3541e", markersize=4)
        voltage.set_ylabel("kV indicated", color="#1f5fa8")
        current.set_ylabel("mA indicated", color="#b3541e")
        voltage.set_xlabel("ms after EXPOSE; one dot a monitor read, lines are the set values")
        voltage.set_ylim(0, kv * 1.2)
        current.set_ylim(0, ma * 1.2)
        voltage.set_title("Indicated by the generator, not measured by a meter", fontsize=9)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    path.write_bytes(buffer.getvalue())


def _entered(lines: Sequence[dict[str, Any]], state: str) -> int:
    times = [line["t_us"] for line in lines if line["kind"] == "state" and line["to"] == state]
    return times[0] if times else 0
