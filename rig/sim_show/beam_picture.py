"""The beam as a picture: its photons by energy, and what aluminium leaves of its kerma."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from sim.beam import Spectrum

BLUE, BROWN, GREY = "#1f5fa8", "#b3541e", "#666666"
STANDS_OUT = 1.3  # so much more than what lies 3 keV beside it: a line, and is named
K_LINES = (  # of tungsten, and on which side its name has room
    (58.7, "W K\N{GREEK SMALL LETTER ALPHA}", "right"),
    (67.2, "W K\N{GREEK SMALL LETTER BETA}", "left"),
)
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
    for line_kev, name, side in K_LINES:
        top, below, above = (
            float(per_kev[abs(KEV - kev) < 1.0].max())
            for kev in (line_kev, line_kev - 3, line_kev + 3)
        )
        if top > STANDS_OUT * max(below, above):
            axes.annotate(name, (line_kev, top), xytext=(-6 if side == "right" else 4, -4),
                          textcoords="offset points", ha=side, color=GREY)  # fmt: skip
    mean_kev = facts["mean_energy_kev"]
    axes.axvline(mean_kev, color=BROWN, linewidth=0.8, linestyle="--")
    axes.annotate(f"mean {mean_kev:.1f} keV", (mean_kev, 1.19 * highest), xytext=(-4, 0),
                  textcoords="offset points", ha="right", va="top", color=BROWN)  # fmt: skip
    axes.set(xlim=(0, facts["kv"] * 1.02), ylim=(0, 1.2 * highest), xlabel="photon energy, keV",
             ylabel="photons per mm\N{SUPERSCRIPT TWO}, keV and mAs at 1 m")  # fmt: skip


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
    axes.set(xlim=(0, most_mm), ylim=(left[-1], 1.0), xlabel="aluminium more, mm",
             ylabel="air kerma left")  # fmt: skip
    axes.set_yticks([1.0, 0.5, 0.25], ["1", "1/2", "1/4"])
    axes.set_yticks([], minor=True)


def _title(facts: dict[str, Any]) -> str:
    named = "" if facts["quality"] is None else f"{facts['quality']['name']}: "
    added = "".join(
        f" + {facts[name]:g} mm {metal}"
        for name, metal in (("added_al_mm", "Al"), ("cu_mm", "Cu"))
        if facts[name]
    )
    where = f", {facts['off_axis_mm']:+g} mm off the axis" if facts["off_axis_mm"] else ""
    return (
        f"{named}{facts['kv']:g} kV, {facts['total_al_mm']:.3g} mm Al{added}, "
        f"tungsten {facts['anode_deg']:g}\N{DEGREE SIGN}{where}: "
        f"{facts['kerma_ugy_per_mas_at_1m']:.4g} \N{MICRO SIGN}Gy/mAs"
    )
