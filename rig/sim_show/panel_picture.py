"""A panel's charts on one page: sharpness, noise, DQE, response, what it remembers, defects."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, BROWN, GREY = "#1f5fa8", "#b3541e", "#6b6b6b"
DOSES = ("#9bbfe0", "#5b93c9", "#1f5fa8", "#0d2f57", "#b3541e", "#6b6b6b")  # the more the darker
SIZE_INCHES = (14.6, 6.8)


def draw(content: dict[str, Any]) -> Figure:
    from matplotlib.figure import Figure  # 1.3 s: only where a picture is drawn

    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    for axes, (title, chart) in zip(figure.subplots(2, 4).flat, _CHARTS, strict=True):
        chart(axes, content)
        axes.set_title(title, fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
    figure.suptitle(heading(content), fontsize=10)
    return figure


def heading(content: dict[str, Any]) -> str:
    panel, beam = content["panel"], content["beam"]
    copper = f" + {beam['cu_mm']:g} mm Cu" if beam["cu_mm"] else ""
    return (
        f"Simulated panel of bench {content['bench']}, "
        f"{panel['rows_px']} x {panel['columns_px']} pixels of "
        f"{panel['pitch_mm']:g} mm, in {beam['quality']}: {beam['kvp']:g} kV, "
        f"{beam['total_al_mm']:.1f} mm Al{copper}"
    )


def _mtf(axes: Any, content: dict[str, Any]) -> None:
    axes.plot(content["per_mm"], content["mtf"], color=BLUE)
    half = content["mtf_half_per_mm"]
    if half is not None:
        axes.plot([half], [0.5], "o", color=BROWN, markersize=4)
        axes.annotate(f"0.5 at {half:.2f}", (half, 0.5), (6, 4), textcoords="offset points")
    axes.set_ylim(0, 1.03)
    _frequencies(axes, content)


def _nnps(axes: Any, content: dict[str, Any]) -> None:
    axes.set_yscale("log")
    axes.set_ylabel("mm2")
    _by_dose(axes, content, "nnps_mm2")
    _room_above(axes, (len(content["doses"]) + 1) // 2)
    axes.legend(frameon=False, ncols=2, loc="upper right")


def _room_above(axes: Any, lines_count: int) -> None:
    """So that a legend of so many lines lies on no curve; the axis is logarithmic."""
    least, most = axes.get_ylim()
    axes.set_ylim(least, least * (most / least) ** (1 / (1 - 0.04 - 0.08 * lines_count)))


def _dqe(axes: Any, content: dict[str, Any]) -> None:
    _by_dose(axes, content, "dqe")
    axes.set_ylim(0, 1.0)


def _by_dose(axes: Any, content: dict[str, Any], what: str) -> None:
    for one, colour in zip(content["doses"], DOSES, strict=False):
        label = f"{one['kerma_ugy']:g} uGy"
        if one["saturated"]:
            axes.plot([], [], color=colour, linestyle=":", label=f"{label}: beyond full scale")
        else:
            axes.plot(content["per_mm"], one[what], color=colour, label=label)
    axes.legend(frameon=False)
    _frequencies(axes, content)


def _frequencies(axes: Any, content: dict[str, Any]) -> None:
    axes.set_xlim(0, content["per_mm"][-1])
    axes.set_xlabel("mm-1, up to Nyquist")


def _response(axes: Any, content: dict[str, Any]) -> None:
    part = content["response"]
    end = part["saturates_at_ugy"]
    axes.plot(part["kerma_ugy"], part["counts"], color=BLUE)
    axes.axvline(end, color=BROWN, linewidth=0.8, linestyle="--")
    axes.annotate(f"full scale: {end:.0f} uGy", (end, 0), (-5, 8), ha="right",
                  textcoords="offset points", color=BROWN)  # fmt: skip
    axes.set_xlim(0, part["kerma_ugy"][-1])
    axes.set_ylim(0, None)
    axes.set_xlabel("air kerma in uGy")
    axes.set_ylabel("counts above no beam")


def _noise(axes: Any, content: dict[str, Any]) -> None:
    part = content["noise"]
    dark = part["dark_counts"]
    axes.plot(part["kerma_ugy"], part["sigma_counts"], color=BLUE, label="a pixel's sigma")
    axes.plot(part["kerma_ugy"], part["quanta_counts"], color=BLUE, linewidth=0.8, linestyle=":",
              label="of the quanta")  # fmt: skip
    axes.axhline(dark, color=GREY, linewidth=0.8, linestyle=":", label="without beam")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_plain)
    axes.set_xlim(part["kerma_ugy"][0], part["kerma_ugy"][-1])
    axes.set_ylim(dark / 4.0, None)
    axes.set_xlabel("air kerma in uGy")
    axes.set_ylabel("counts")
    axes.legend(frameon=False)


def _lag(axes: Any, content: dict[str, Any]) -> None:
    part = content["lag"]
    axes.plot(part["gap_s"], part["share_pct"], color=BLUE)
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(_plain)
    axes.set_xlim(0, part["gap_s"][-1])
    axes.set_xlabel("s from one window to the next")
    axes.set_ylabel(f"% of the signal, in {part['window_s']:g} s")


def _ghost(axes: Any, content: dict[str, Any]) -> None:
    part = content["ghost"]
    axes.plot(part["after_min"], part["gain_pct"], color=BLUE)
    axes.set_xlim(0, part["after_min"][-1])
    axes.set_ylim(0, None)
    axes.set_xlabel("minutes after it")
    axes.set_ylabel("% more gain")


def _defects(axes: Any, content: dict[str, Any]) -> None:
    part = content["defects"]
    names = list(part["beyond_limit"])[::-1]
    for off, key, colour, label in (
        (0.2, "beyond_limit", BLUE, "beyond its limit"),
        (-0.2, "near_limit", "#9bbfe0", "near it"),
    ):
        counts = [part[key].get(name, 0) for name in names]
        places = [index + off for index in range(len(names))]
        bars = axes.barh(places, counts, height=0.36, color=colour, label=label)
        axes.bar_label(bars, [str(count) if count else "" for count in counts], padding=2,
                       fontsize=7)  # fmt: skip
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.set_xlabel("pixels")
    axes.margins(x=0.15)
    axes.legend(frameon=False, loc="lower right")


def _plain(value: float, _position: object) -> str:
    return f"{value:g}"


_CHARTS: tuple[tuple[str, Callable[[Any, dict[str, Any]], None]], ...] = (
    ("MTF", _mtf),
    ("Noise power of a flat, normalised", _nnps),
    ("DQE", _dqe),
    ("Response", _response),
    ("Noise against dose", _noise),
    ("Lag of an exposure", _lag),
    ("Ghost of an exposure of full scale", _ghost),
    ("Defects (ASTM E2597)", _defects),
)
