"""A supply's charts side by side: its volts at rest and under load, and how it charges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REST, LOADED, SHADE = "#1f5fa8", "#b3541e", "#efefef"
PANEL_INCHES = (4.6, 3.6)
UNITS = ((3600.0, "h"), (60.0, "minutes"), (1.0, "s"))


def draw_supply(content: dict[str, Any]) -> Figure:
    from matplotlib.figure import Figure

    width, height = PANEL_INCHES
    figure = Figure(figsize=(2 * width, height), layout="constrained")
    left, right = figure.subplots(1, 2)
    _volts(left, content["volts"], content["exposure"])
    _charging(right, content["charging"])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.suptitle(f"{content['supply']}: {content['about']}, as simulated", fontsize=10)
    return figure


def _volts(axes: Any, part: dict[str, Any], one: dict[str, Any]) -> None:
    name = f"{one['kv']:g} kV, {one['ma']:g} mA, {one['mas']:g} mAs: not made"
    least_pct = one["refused_below_pct"]
    axes.axvspan(0, 100 if least_pct is None else least_pct, color=SHADE, label=name)
    alike = part["loaded_v"] == part["rest_v"]
    name = "at rest and under load" if alike else "at rest"
    axes.plot(part["charge_pct"], part["rest_v"], color=REST, label=name)
    if not alike:
        name = f"with {part['tube_w'] / 1e3:.3g} kW in the tube"
        axes.plot(part["charge_pct"], part["loaded_v"], color=LOADED, label=name)
    axes.set_xlim(0, 100)
    axes.set_xlabel("charge in %")
    axes.set_ylabel("V")
    axes.set_title("Volts", fontsize=9)
    axes.legend(frameon=False, loc="lower right")


def _charging(axes: Any, part: dict[str, Any]) -> None:
    longest_s = part["time_s"][-1]
    size_s, unit = next((s, u) for s, u in UNITS if longest_s >= 2 * s or s == 1.0)
    axes.plot([time_s / size_s for time_s in part["time_s"]], part["charge_pct"], color=REST)
    axes.set_xlim(0, longest_s / size_s)
    axes.set_ylim(0, 102)
    axes.set_xlabel(f"{unit} from empty, the unit switched on")
    axes.set_ylabel("charge in %")
    axes.set_title("Charging", fontsize=9)
