"""A record's shots over time, as SVG to stand in a page: the same shots, the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from datetime import datetime

from rig.records.record import Event, RoutineRecord

KV_COLOUR = "#0b4a8f"  # both print dark in grey; the marks differ in shape as well
MA_COLOUR = "#a33b00"


def shots_svg(record: RoutineRecord) -> str:
    """kV above mA of every shot that has them; empty with fewer than two."""
    shots = [shot for shot in record.shots if shot.kv is not None and shot.ma is not None]
    if len(shots) < 2:
        return ""
    from matplotlib import rc_context  # 1.3 s: only where a picture is drawn
    from matplotlib.figure import Figure

    start = record.started
    with rc_context({"svg.hashsalt": "dxrig", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(7.2, 3.3), layout="constrained")
        voltage, current = figure.subplots(2, sharex=True)
        for axes, name, values, colour, mark in (
            (voltage, "kV", [shot.kv for shot in shots], KV_COLOUR, "o"),
            (current, "mA", [shot.ma for shot in shots], MA_COLOUR, "D"),
        ):
            minutes = [_minutes(shot.start, start) for shot in shots]
            axes.vlines(minutes, 0, values, color=colour, linewidth=0.8, alpha=0.45)
            axes.plot(minutes, values, mark, color=colour, markersize=4, clip_on=False)
            axes.set_ylabel(name)
            axes.set_ylim(0, 1.15 * max(value or 0.0 for value in values) or 1.0)
            axes.grid(axis="y", color="#cccccc", linewidth=0.5)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
            for event in _marked(record.events):
                axes.axvline(_minutes(event.at, start), color="black", linestyle=":", linewidth=1)
        current.set_xlim(left=0)
        current.set_xlabel("minutes after the start")
        buffer = io.BytesIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return inline(buffer.getvalue().decode())


def legend(record: RoutineRecord) -> str:
    """What the chart shows, in words."""
    events = ", a dotted line an event" if _marked(record.events) else ""
    return f"kV and mA of each shot as asked: a mark is a shot{events}."


def _marked(events: Sequence[Event]) -> list[Event]:
    return [event for event in events if event.kind != "deferral"]


def _minutes(at: datetime, start: datetime) -> float:
    return (at - start).total_seconds() / 60.0


def inline(svg: str) -> str:
    """Without prologue and namespaces: HTML knows them, and the page then names no address."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\s+xmlns(:xlink)?="[^"]*"', "", svg)
    return re.sub(r"'DejaVu Sans'[^;]*sans-serif", "sans-serif", svg)
