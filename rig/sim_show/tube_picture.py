"""A tube's charts side by side: what its focal spots bear, how it cools, what it emits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGE, SMALL, HOUSING = "#1f5fa8", "#b3541e", "#6b6b6b"
EMISSION = ("#9bbfe0", "#5b93c9", "#1f5fa8", "#0d2f57")  # the higher the kV the darker
PANEL_INCHES = (4.3, 3.6)


def drawable(content: dict[str, Any]) -> list[str]:
    """The charts for which the data sheet has the facts."""
    return [name for name in _CHARTS if content[name] is not None]


def draw_tube(content: dict[str, Any]) -> Figure:
    """Something must be drawable."""
    from matplotlib.figure import Figure

    names = drawable(content)
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * len(names), height), layout="constrained")
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        title, draw = _CHARTS[name]
        draw(axes, content[name])
        focus = content[name].get("focus")
        axes.set_title(f"{title}, {focus} focus" if focus else title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.legend(frameon=False)
    figure.suptitle(f"{content['maker']} {content['model']}, as simulated", fontsize=10)
    missing = ", ".join(name for name in _CHARTS if name not in names)
    if missing:
        figure.supxlabel(f"not in its data sheet: {missing}", fontsize=8, color=HOUSING)
    return figure


def _rating(axes: Any, part: dict[str, Any]) -> None:
    for focus, colour in zip(part["foci"], (LARGE, SMALL), strict=False):
        name = f"{focus['name']} focus, {focus['size_mm']:g} mm"
        axes.plot(part["time_s"], focus["most_kw"], color=colour, label=name)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(_plain)
    axes.set_xlim(part["time_s"][0], part["time_s"][-1])
    axes.set_ylim(0, 1.2 * max(kw for focus in part["foci"] for kw in focus["most_kw"]))
    axes.set_xlabel("exposure time in s")
    axes.set_ylabel("kW")


def _cooling(axes: Any, part: dict[str, Any]) -> None:
    if part["anode_pct"]:
        name = "anode, full at first"
        axes.plot(part["time_minutes"], part["anode_pct"], color=LARGE, label=name)
    if part["housing_pct"]:
        name = f"housing, {'cold' if part['anode_pct'] else 'full'} at first"
        axes.plot(part["time_minutes"], part["housing_pct"], color=HOUSING, label=name)
    axes.set_xlim(0, part["time_minutes"][-1])
    axes.set_ylim(0, 102)
    axes.set_xlabel("minutes")
    axes.set_ylabel("% of what it stores")


def _emission(axes: Any, part: dict[str, Any]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    for curve, colour in zip(part["curves"], EMISSION, strict=False):
        name = f"{curve['kv']:g} kV"
        axes.plot(curve["filament_a"], part["tube_ma"], color=colour, label=name)
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(_plain)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("filament current in A")
    axes.set_ylabel("tube current in mA")


def _plain(value: float, _position: object) -> str:
    return f"{value:g}"


_CHARTS: dict[str, tuple[str, Callable[[Any, dict[str, Any]], None]]] = {
    "rating": ("Rating: power of the focal spots", _rating),
    "cooling": ("Cooling", _cooling),
    "emission": ("Emission", _emission),
}
