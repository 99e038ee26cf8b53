"""The beam as a picture: its photons by energy, and what aluminium leaves of its kerma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sim.beam import Spectrum
    from sim.spectra import Array

BLUE, BROWN, GREY = "#1f5fa8", "#b3541e", "#666666"
STANDS_OUT = 1.3  # so much more than what lies 3 keV beside it: a line, and is named
K_ALPHA_KEV, K_BETA_KEV = 58.7, 67.2  # of tungsten
NAME_SHARE = 0.13  # of the axis that such a name takes
STEPS_COUNT = 60


def draw_beam(facts: dict[str, Any], spectrum: Spectrum) -> Figure:
    """`facts`: what `dxrig sim show beam --json` answers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.6, 3.6), layout="constrained")
    photons, aluminium = figure.subplots(1, 2, width_ratios=(3, 2))
    _photons(photons, facts, spectrum)
    _aluminium(aluminium, facts, spectrum)
    for axes in (photons, aluminium):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(_title(facts), fontsize=10)
    return figure


def _photons(axes: Axes, facts: dict[str, Any], spectrum: Spectrum) -> None:
    from sim.spectra import BIN_KEV, KEV

    per_kev = spectrum.fluence_per_mm2 / BIN_KEV
    there = facts["kv"] > KEV
    axes.fill_between(KEV[there], per_kev[there], step="mid", color=BLUE, alpha=0.15, linewidth=0)
    axes.step(KEV[there], per_kev[there], where="mid", color=BLUE, linewidth=1.0)
    highest = float(per_kev.max())
    mean_kev = facts["mean_energy_kev"]
    axes.axvline(mean_kev, color=BROWN, linewidth=0.8, linestyle="--")
    axes.annotate(f"mean {mean_kev:.1f} keV", (mean_kev, 1.19 * highest), xytext=(-4, 0),
                  textcoords="offset points", ha="right", va="top", color=BROWN)  # fmt: skip
    axes.set(xlim=(0, facts["kv"] * 1.02), ylim=(0, 1.2 * highest), xlabel="photon energy, keV",
             ylabel="photons per mm\N{SUPERSCRIPT TWO}, keV and mAs at 1 m")  # fmt: skip
    axes.ticklabel_format(style="plain", useOffset=False)
    # K alpha is named on the side where the mean is not; K beta, which K alpha has on its left,
    # above its peak.
    way_kev = K_ALPHA_KEV - mean_kev
    beside = ((6, -4), "left") if 0 <= way_kev <= NAME_SHARE * facts["kv"] else ((-6, -4), "right")
    _name_line(axes, per_kev, K_ALPHA_KEV, "\N{GREEK SMALL LETTER ALPHA}", *beside)
    _name_line(axes, per_kev, K_BETA_KEV, "\N{GREEK SMALL LETTER BETA}", (2, 3), "center")


def _name_line(
    axes: Axes, per_kev: Array, line_kev: float, letter: str, off_points: Any, side: Any
) -> None:
    """Of tungsten, if it stands out."""
    from sim.spectra import KEV

    top, below, above = (
        float(per_kev[abs(KEV - kev) < 1.0].max()) for kev in (line_kev, line_kev - 3, line_kev + 3)
    )
    if top > STANDS_OUT * max(below, above):
        white = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # over the mean's line
        axes.annotate(f"W K{letter}", (line_kev, top), xytext=off_points, ha=side, color=GREY,
                      textcoords="offset points", bbox=white)  # fmt: skip


def _aluminium(axes: Axes, facts: dict[str, Any], spectrum: Spectrum) -> None:
    hvl1_mm, hvl2_mm = facts["hvl1_mm_al"], facts["hvl2_mm_al"]
    most_mm = 1.5 * (hvl1_mm + hvl2_mm)
    thicknesses_mm = [most_mm * step / STEPS_COUNT for step in range(STEPS_COUNT + 1)]
    whole = spectrum.kerma_ugy_per_mas
    left = [spectrum.behind({"aluminium": mm}).kerma_ugy_per_mas / whole for mm in thicknesses_mm]
    axes.semilogy(thicknesses_mm, left, color=BLUE, linewidth=1.2)
    for at_mm, part, text in (
        (hvl1_mm, 0.5, f"1st HVL {hvl1_mm:.2f} mm"),
        (hvl1_mm + hvl2_mm, 0.25, f"2nd HVL {hvl2_mm:.2f} mm"),
    ):
        axes.plot([0, at_mm, at_mm], [part, part, 0.01], color=BROWN, linewidth=0.7, linestyle="--")
        axes.plot(at_mm, part, "o", color=BROWN, markersize=4)
        axes.annotate(text, (at_mm, part), xytext=(6, 5), textcoords="offset points", color=BROWN)
    axes.set(xlim=(0, most_mm), ylim=(left[-1], 1.0), xlabel="more aluminium, mm",
             ylabel="air kerma left")  # fmt: skip
    axes.set_yticks([1.0, 0.5, 0.25], ["1", "1/2", "1/4"])
    axes.set_yticks([], minor=True)


def _title(facts: dict[str, Any]) -> str:
    from rig.sim_show.beam import filters_text

    named = "" if facts["quality"] is None else f"{facts['quality']['name']}: "
    where = f", {facts['off_axis_mm']:+g} mm off the axis" if facts["off_axis_mm"] else ""
    return (
        f"Simulated beam, {named}{facts['kv']:g} kV, {filters_text(facts)}, "
        f"tungsten {facts['anode_deg']:g} deg\n"
        f"{facts['kerma_ugy_per_mas_at_1m']:.4g} uGy/mAs at 1 m{where}"
    )
