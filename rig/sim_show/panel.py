"""`dxrig sim show panel`: how sharp, how noisy and how broken the simulated panel is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import UsageError
from rig.options import Numbers, bench_option, chosen_bench, json_option
from rig.sim_show.beam_ranges import ALUMINIUM_MM, COPPER_MM, KV, refuse_nothing
from rig.sim_show.out import out_option, tell_out, write_out

if TYPE_CHECKING:
    from rig.sim_show.panel_curves import Beam

QUALITY = "RQA5"
DOSES_UGY = (0.25, 1.0, 2.5, 10.0)
DOSES_COUNT = 6  # that a chart can hold
PITCH_RANGE_MM = (0.02, 5.0)


def _said_before(ctx: click.Context) -> str | None:
    return ctx.parent.params.get("bench") if ctx.parent else None


@click.command(
    "panel",
    epilog="""\b
Examples:
  dxrig sim show panel
  dxrig sim show panel --pitch-mm 0.139 --quality RQA3
  dxrig sim show panel --kvp 80 --total-al-mm 2.5 --dose-ugy 0.5 --dose-ugy 5
  dxrig sim show panel --pitch-mm 0.139 --out panel.svg
  dxrig sim show panel --json | jq .mtf_half_per_mm

These are formulae, not measurements: an analysis of simulated images should find them.
""",
)
@bench_option
@click.option("--quality", "name", metavar="NAME", help=f"Of IEC 61267; default: {QUALITY}.")
@click.option("--kvp", type=KV, help="Instead of a quality.")
@click.option(
    "--total-al-mm",
    type=ALUMINIUM_MM,
    help="With --kvp: aluminium in all; default: 2.5.",
)
@click.option("--cu-mm", type=COPPER_MM, help="With --kvp: copper; default: none.")
@click.option(
    "--dose-ugy",
    "doses_ugy",
    type=Numbers(0.001, 1000.0),
    multiple=True,
    help=f"Of noise power and DQE, up to {DOSES_COUNT}; default: 0.25, 1, 2.5 and 10.",
)
@click.option(
    "--pitch-mm",
    type=Numbers(*PITCH_RANGE_MM),
    help="Other pixels than the bench's; as many of them.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of another panel of its kind.")
@out_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    bench: str | None,
    name: str | None,
    kvp: float | None,
    total_al_mm: float | None,
    cu_mm: float | None,
    doses_ugy: tuple[float, ...],
    pitch_mm: float | None,
    seed: int | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """MTF, noise power, DQE, response, noise against dose, lag, defects of a bench's panel."""
    if len(doses_ugy) > DOSES_COUNT:
        raise UsageError(f"--dose-ugy: {len(doses_ugy)} doses, {DOSES_COUNT} at most")
    from rig.sim_show.panel_curves import Panel, curves
    from sim.beam import spectrum
    from sim.scintillator import quality

    chosen = chosen_bench(ctx, bench or _said_before(ctx))
    own = chosen.unit.panel
    panel = Panel(
        rows_px=own.rows_px,
        columns_px=own.columns_px,
        pitch_mm=own.pitch_mm if pitch_mm is None else pitch_mm,
        bits_count=own.bits_stored,
        seed=chosen.sim.seed if seed is None else seed,
    )
    beam = _beam(name, kvp, total_al_mm, cu_mm)
    refuse_nothing(
        spectrum(beam.kv, aluminium_mm=beam.aluminium_mm, copper_mm=beam.copper_mm),
        f"{beam.aluminium_mm:g} mm Al" + (f" + {beam.copper_mm:g} mm Cu" if beam.copper_mm else ""),
    )
    through = quality(beam.kv, beam.aluminium_mm, beam.copper_mm)
    content = {"bench": chosen.name} | curves(
        panel, beam, through, tuple(sorted(doses_ugy or DOSES_UGY))
    )
    if out is not None:
        from rig.sim_show.panel_picture import draw

        write_out(out, content, lambda: draw(content))
    assert ctx.parent is not None
    if as_json or ctx.parent.params.get("as_json"):
        answer_json(content)
    elif out is not None:
        tell_out(out)
    else:
        _tell(content)


def _beam(
    name: str | None, kvp: float | None, total_al_mm: float | None, cu_mm: float | None
) -> Beam:
    """Raises UsageError where a quality and a beam of one's own are mixed."""
    from rig.sim_show.panel_curves import Beam
    from sim import qualities

    if kvp is not None and name is None:
        own_mm = 2.5 if total_al_mm is None else total_al_mm
        return Beam(name="this beam", kv=kvp, aluminium_mm=own_mm, copper_mm=cu_mm or 0.0)
    if kvp is not None or total_al_mm is not None or cu_mm is not None:
        raise UsageError("--quality sets kV and filters; --total-al-mm and --cu-mm go with --kvp")
    try:
        wanted = qualities.quality(QUALITY if name is None else name)
        aluminium_mm = qualities.total_mm_al(wanted.name)
    except ValueError as error:
        raise UsageError(f"--quality: {error}") from None
    return Beam(name=wanted.name, kv=wanted.kv, aluminium_mm=aluminium_mm, copper_mm=0.0)


# --- as text


def beyond_full_scale(content: dict[str, Any]) -> list[str]:
    end_ugy = content["response"]["saturates_at_ugy"]
    return [
        f"{one['kerma_ugy']:g} uGy: beyond full scale ({end_ugy:.0f} uGy), no DQE"
        for one in content["doses"]
        if one["saturated"]
    ]


def _tell(content: dict[str, Any]) -> None:
    from rig.sim_show.panel_picture import heading

    beam, response, noise = content["beam"], content["response"], content["noise"]
    click.echo(f"{heading(content)}\n")
    half = content["mtf_half_per_mm"]
    answer_table(
        ("what", "value"),
        [
            ("photons that arrive", f"{beam['fluence_per_mm2_per_ugy']:.0f} per mm2 and uGy"),
            ("... that are absorbed", f"{beam['absorbed_pct']:.1f} %"),
            ("signal", f"{beam['counts_per_ugy']:.1f} counts per uGy"),
            ("full scale", f"{response['saturates_at_ugy']:.0f} uGy"),
            ("sigma of a pixel without beam", f"{noise['dark_counts']:.2f} counts"),
            ("MTF is 0.5 at", "beyond Nyquist" if half is None else f"{half:.2f} mm-1"),
            ("Nyquist", f"{content['panel']['nyquist_per_mm']:.3g} mm-1"),
            *_memory_rows(),
        ],
    )
    click.echo("")
    _tell_frequencies(content)
    click.echo("")
    _tell_defects(content["defects"])


def _memory_rows() -> Iterator[tuple[str, str]]:
    from rig.sim_show.panel_curves import TOLD_LAG_S, ghost_pct, lag_pct

    after = ", ".join(f"{gap_s:g}" for gap_s in TOLD_LAG_S)
    shares = ", ".join(f"{lag_pct(gap_s):.2g}" for gap_s in TOLD_LAG_S)
    yield f"lag in the second that begins {after} s later", f"{shares} %"
    gains = f"{ghost_pct(0.0):.2g}, {ghost_pct(30.0):.2g} %"
    yield "ghost in the gain after full scale, and 30 minutes later", gains


def _tell_frequencies(content: dict[str, Any]) -> None:
    from rig.sim_show.panel_curves import TOLD_PER_MM, at

    told = [f for f in TOLD_PER_MM if f <= content["per_mm"][-1]]
    rows = [("MTF", content["mtf"])]
    rows += [
        (f"DQE, {one['kerma_ugy']:g} uGy", one["dqe"])
        for one in content["doses"]
        if not one["saturated"]
    ]
    heads = ("at mm-1", *(f"{per_mm:g}" for per_mm in told))
    answer_table(
        heads,
        [(title, *(f"{at(content, values, f):.3f}" for f in told)) for title, values in rows],
        title="Sharpness and noise",
    )
    for text in beyond_full_scale(content):
        click.echo(text)


def _tell_defects(part: dict[str, Any]) -> None:
    rows = [
        (name.replace("_", " "), str(count), str(part["near_limit"].get(name, "-")))
        for name, count in part["beyond_limit"].items()
    ]
    title = f"Defects: {part['total']}, {part['share_pct']:.2f} % of all pixels"
    answer_table(("class (ASTM E2597)", "beyond its limit", "near it"), rows, title=title)
