"""`dxrig sim show beam`: the spectrum of the simulated tube, in the numbers that QC asks for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_line, answer_table
from rig.exit_codes import UsageError
from rig.options import json_option
from rig.sim_show.beam_ranges import ALUMINIUM_MM, COPPER_MM, KV, refuse_nothing
from rig.sim_show.out import out_option, tell_out, wants_json, write_out

if TYPE_CHECKING:
    from sim.beam import Spectrum
    from sim.qualities import Quality


@click.command(
    name="beam",
    epilog="""\b
Examples:
  dxrig sim show beam --kvp 80 --total-al-mm 3.0
  dxrig sim show beam --quality RQA5 --json
  dxrig sim show beam --kvp 90 --cu-mm 0.1 --out spectrum.svg
  dxrig sim show beam --kvp 70 --off-axis-mm -100 --anode-deg 16

At 1 m, behind 1 m of air, of a tube that is new: an old one gives 10-25 % less.

A quality is tuned: as much total filtration as gives the half-value layer of the RQR,
then the added aluminium of the RQA.

Not to be mistaken for `dxrig sim show beams`.
""",
)
@click.option("--kvp", type=KV, help="Tube voltage, kV.")
@click.option("--total-al-mm", type=ALUMINIUM_MM, help="The tube's total filtration; default 2.5.")
@click.option("--added-al-mm", type=ALUMINIUM_MM, help="More aluminium; default none.")
@click.option("--cu-mm", type=COPPER_MM, help="Copper; default none.")
@click.option(
    "--anode-deg", type=float, default=12.0, show_default=True, help="Anode angle, 5 to 25."
)
@click.option(
    "--off-axis-mm", type=float, default=0.0, show_default=True,
    help="Place in the plane at 1 m, -400 to 400: towards the cathode, or (below 0) the anode.",
)  # fmt: skip
@click.option("--quality", metavar="NAME", help="RQR2 to RQR10, RQA2 to RQA10 of IEC 61267:2005.")
@out_option
@json_option
def command(
    kvp: float | None,
    total_al_mm: float | None,
    added_al_mm: float | None,
    cu_mm: float | None,
    anode_deg: float,
    off_axis_mm: float,
    quality: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show the simulated beam: spectrum, half-value layers, air kerma, fluence."""
    own = {"--kvp": kvp, "--total-al-mm": total_al_mm, "--added-al-mm": added_al_mm,
           "--cu-mm": cu_mm}  # fmt: skip
    try:
        facts, spectrum = (
            _of_quality(quality, own, anode_deg, off_axis_mm)
            if quality is not None
            else _of_options(own, anode_deg, off_axis_mm)
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    if out is not None:
        _write(out, facts, spectrum)
    if wants_json(as_json):
        answer_json(facts)
    else:
        _tell(facts, out)


def _of_options(
    own: dict[str, float | None], anode_deg: float, off_axis_mm: float
) -> tuple[dict[str, Any], Spectrum]:
    from sim.beam import INHERENT_MM_AL

    kv, total_mm = own["--kvp"], own["--total-al-mm"]
    if kv is None:
        raise UsageError("say --kvp, such as --kvp 80, or --quality, such as --quality RQA5")
    return _facts(
        kv=kv,
        total_al_mm=INHERENT_MM_AL if total_mm is None else total_mm,
        added_al_mm=own["--added-al-mm"] or 0.0,
        cu_mm=own["--cu-mm"] or 0.0,
        anode_deg=anode_deg,
        off_axis_mm=off_axis_mm,
    )


def _of_quality(
    name: str, own: dict[str, float | None], anode_deg: float, off_axis_mm: float
) -> tuple[dict[str, Any], Spectrum]:
    from sim import qualities

    given = [option for option, value in own.items() if value is not None]
    if given:
        raise UsageError(f"--quality sets voltage and filters: leave out {', '.join(given)}")
    wanted = qualities.quality(name)
    all_mm = qualities.total_mm_al(wanted.name, anode_deg)
    facts, spectrum = _facts(
        kv=wanted.kv,
        total_al_mm=all_mm - wanted.added_mm,
        added_al_mm=wanted.added_mm,
        cu_mm=0.0,
        anode_deg=anode_deg,
        off_axis_mm=off_axis_mm,
    )
    return {**facts, "quality": _published(wanted, facts)}, spectrum


def _facts(
    *,
    kv: float,
    total_al_mm: float,
    added_al_mm: float,
    cu_mm: float,
    anode_deg: float,
    off_axis_mm: float,
) -> tuple[dict[str, Any], Spectrum]:
    from sim.beam import spectrum
    from sim.spectra import table

    made = spectrum(
        kv,
        aluminium_mm=total_al_mm + added_al_mm,
        copper_mm=cu_mm,
        anode_deg=anode_deg,
        off_axis_mm=off_axis_mm,
    )
    own = {"total_al_mm": total_al_mm, "added_al_mm": added_al_mm, "cu_mm": cu_mm}
    refuse_nothing(made, filters_text(own), off_axis_mm)
    hvl1_mm, hvl2_mm = made.hvl_mm_al(), made.hvl_mm_al(2)
    origin = table().origin
    numbers = {
        "kv": kv,
        **own,
        "anode_deg": anode_deg,
        "off_axis_mm": off_axis_mm,
        "hvl1_mm_al": hvl1_mm,
        "hvl2_mm_al": hvl2_mm,
        "homogeneity": hvl1_mm / hvl2_mm,
        "mean_energy_kev": made.mean_kev,
        "kerma_ugy_per_mas_at_1m": made.kerma_ugy_per_mas,
        "fluence_per_mm2_per_ugy": made.fluence_per_mm2_per_ugy,
    }
    facts: dict[str, Any] = {name: _digits(value) for name, value in numbers.items()}
    source = f"{origin['generator']}, {origin['model']}, attenuation {origin['mu']}"
    return {**facts, "quality": None, "source": source}, made


def _published(wanted: Quality, facts: dict[str, Any]) -> dict[str, Any]:
    off_pct = 100.0 * (facts["hvl1_mm_al"] / wanted.hvl_mm - 1.0)
    return {
        "name": wanted.name,
        "edition": f"IEC 61267:{wanted.edition}",
        "hvl1_mm_al": wanted.hvl_mm,
        "homogeneity": wanted.homogeneity,
        "hvl1_off_pct": round(off_pct, 2) + 0.0,  # no -0.0
        "rqr_hvl1_mm_al": wanted.rqr_hvl_mm,
        "verified": wanted.verified,
        "source": wanted.source,
    }


def _write(out: Path, facts: dict[str, Any], spectrum: Spectrum) -> None:
    from rig.sim_show.beam_picture import draw_beam
    from sim.beam import KEV

    curve = {
        "kev": KEV.tolist(),
        "fluence_per_mm2_per_mas": [_digits(one) for one in spectrum.fluence_per_mm2.tolist()],
    }
    write_out(out, {**facts, **curve}, lambda: draw_beam(facts, spectrum))


def _tell(facts: dict[str, Any], out: Path | None) -> None:
    published = facts["quality"]
    tube = f"{facts['kv']:g} kV, {filters_text(facts)}, tungsten {facts['anode_deg']:g} deg"
    rows = [
        ("tube", tube, ""),
        *([("off the axis", f"{facts['off_axis_mm']:+g} mm", "")] if facts["off_axis_mm"] else []),
        ("1st half-value layer", f"{facts['hvl1_mm_al']:.3f} mm Al", _published_hvl(published)),
        ("2nd half-value layer", f"{facts['hvl2_mm_al']:.3f} mm Al", ""),
        ("homogeneity", f"{facts['homogeneity']:.3f}", _published_homogeneity(published)),
        ("mean energy", f"{facts['mean_energy_kev']:.2f} keV", ""),
        ("air kerma at 1 m", f"{facts['kerma_ugy_per_mas_at_1m']:.4g} uGy/mAs", ""),
        ("photons", f"{facts['fluence_per_mm2_per_ugy']:.5g} per mm2 and uGy", ""),
    ]
    if published is None:
        answer_table(("what", "is"), [row[:2] for row in rows], title="Simulated beam")
    else:
        title = f"Simulated beam, {published['name']} of {published['edition']}"
        answer_table(("what", "is", "published"), rows, title=title)
        if not published["verified"]:
            answer_line(f"Published values are unverified: {published['source']}.")
    tell_out(out)


def filters_text(facts: Mapping[str, Any]) -> str:
    """The tube's own aluminium, then what was added."""
    added = "".join(
        f" + {facts[name]:g} mm {metal}"
        for name, metal in (("added_al_mm", "Al"), ("cu_mm", "Cu"))
        if facts[name]
    )
    return f"{facts['total_al_mm']:.4g} mm Al{added}"


def _published_hvl(published: dict[str, Any] | None) -> str:
    if published is None:
        return ""
    return f"{published['hvl1_mm_al']:g} mm Al ({published['hvl1_off_pct']:+z.1f} % here)"


def _published_homogeneity(published: dict[str, Any] | None) -> str:
    if published is None or published["homogeneity"] is None:
        return ""
    return f"{published['homogeneity']:g}"


def _digits(value: float) -> float:
    return float(f"{value:.6g}")
