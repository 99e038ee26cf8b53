"""`dxrig plan`: a technique judged before anything runs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.options import aec_options, bench_option, chosen_bench, json_option, sid_option

if TYPE_CHECKING:
    from firmware_py.config import TubeConfig, UnitConfig
    from firmware_py.recorder.store.tube_heat import StoredHeat
    from rig.bench import Bench
    from rig.plan import Plan


@click.command(
    epilog="""\b
Examples:
  dxrig plan --kvp 70 --mas 0.5
  dxrig plan --bench portable --kvp 120 --ma 1 --ms 800 --json
  dxrig plan --bench mobile --kvp 80 --mas 2.5 --sid-mm 1500
  dxrig plan --bench room --kvp 50 --aec left,right --density +1

Exit code 2 when the bench would refuse it: field, value and allowed range are named.
"""
)
@bench_option
@click.option("--kvp", type=float, required=True, help="Tube voltage, kV.")
@click.option("--mas", type=float, help="Charge that ends the beam; the highest mA unless --ma.")
@click.option("--ma", type=float, help="Tube current, mA.")
@click.option("--ms", type=float, help="Time that ends the beam; needs --ma.")
@aec_options
@sid_option
@click.option(
    "--heat-j",
    type=click.FloatRange(min=0),
    show_default="what earlier runs of this bench left in it",
    help="Heat in the tube beforehand, J; 0 = cold.",
)
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    bench: str | None,
    kvp: float,
    mas: float | None,
    ma: float | None,
    ms: float | None,
    aec: str | None,
    density: int | None,
    sensitivity: int | None,
    expected_mas: float | None,
    sid_mm: float | None,
    heat_j: float | None,
    as_json: bool,
) -> None:
    """Check a technique against a bench: limits, power, heat, window."""
    from firmware_py.recorder.store.tube_heat import StoredHeat
    from rig.aec_plan import asked_for
    from rig.drivers import generator_of, nobody
    from rig.plan import asked_technique, plan

    chosen = chosen_bench(ctx, bench)
    generator = generator_of(chosen.unit.generator, nobody())
    asked = asked_technique(
        chosen.unit, generator, kvp, ma=ma, mas=mas, ms=ms,
        aec=asked_for(aec, density, sensitivity, expected_mas), sid_mm=sid_mm,
    )  # fmt: skip
    heat = _stored(chosen) if heat_j is None else StoredHeat(heat_j=heat_j)
    planned = plan(
        chosen.unit, generator, asked,
        heat_before_j=heat.heat_j, heat_doubt=heat.doubt, sid_mm=sid_mm,
    )  # fmt: skip
    if as_json:
        used = planned.effective
        numbers = {"planned_mas": used.planned_mas, "planned_ms": used.planned_ms}
        answer_json(
            {"bench": chosen.name, **asdict(planned), **numbers, **where(chosen.unit, sid_mm)}
        )
        return
    answer_table(
        ("what", "value", "limit"),
        [*_rows(planned, chosen.unit.tube), *_where_rows(chosen.unit, sid_mm)],
        title=f"Plan on bench {chosen.name}",
    )
    for warning in planned.warnings:
        click.echo(f"warning: {warning}")


def _stored(bench: Bench) -> StoredHeat:
    from firmware_py.recorder.store.tube_heat import stored_heat
    from rig.recovery import journal_of
    from rig.state_dir import state_home

    return stored_heat(journal_of(state_home() / bench.name), bench.unit.tube, datetime.now(UTC))


def _charge_rows(planned: Plan, tube: TubeConfig) -> list[tuple[str, str, str]]:
    """How much, how long, and what ends it; by chambers: what is expected, and the back-up."""
    used = planned.effective
    times = f"{tube.time_min_ms:g} to {tube.time_max_ms:g} ms"
    if used.aec is None:
        return [
            ("time", f"{used.planned_ms:g} ms", times),
            ("charge", f"{used.expected_mas:g} mAs", ""),
            ("ended by", "mAs" if used.mas is not None else "time", ""),
        ]
    aec, ceiling = used.aec, f"{planned.ceiling_mas:g} mAs ({planned.ceiling_source})"
    chambers = " + ".join(aec.chambers)
    setting = f"AEC {chambers}, density {aec.density_index:+d}, sensitivity {aec.sensitivity_index}"
    return [
        ("ended by", setting, ""),
        ("cut-off", f"{planned.cutoff_ugy:.3g} uGy at the panel", ""),
        ("expected", f"{aec.expected_mas:g} mAs in {planned.expected_ms:.4g} ms", ""),
        ("back-up", f"{aec.backup_mas:g} mAs", ceiling),
        ("back-up time", f"{used.planned_ms:.4g} ms", times),
    ]


def where(unit: UnitConfig, sid_mm: float | None = None) -> dict[str, object]:
    """With which focal spot, onto what and from where; None: the bench file does not say."""
    from rig.distance import sid_of

    receptor = unit.receptor
    return {
        "focus": unit.generator.focus,
        "focal_spot_mm": unit.tube.focal_spot_mm,
        "receptor": unit.geometry.receptor,
        "sid_mm": sid_of(unit, sid_mm),
        "grid_ratio": receptor.grid_ratio if receptor else None,
    }


def _where_rows(unit: UnitConfig, sid_mm: float | None) -> list[tuple[str, str, str]]:
    """What every bench has to itself is told where the bench chooses it."""
    from rig.distance import sid_of

    rows = []
    if unit.generator.focus is not None:
        spot = f"{unit.generator.focus}, {unit.tube.focal_spot_mm:g} mm"
        rows.append(("focal spot", spot, ""))
    receptor = unit.receptor
    if receptor is not None:
        grid = f", grid {receptor.grid_ratio:g}:1" if receptor.grid_ratio else ", no grid"
        limit = f"{receptor.sid_mm_min:g} to {receptor.sid_mm_max:g} mm"
        place = f"{unit.geometry.receptor} at {sid_of(unit, sid_mm):g} mm{grid}"
        rows.append(("receptor", place, limit))
    return rows


def _rows(planned: Plan, tube: TubeConfig) -> list[tuple[str, str, str]]:
    used = planned.effective
    energy = "energy" if used.aec is None else "energy, at the back-up"
    return [
        ("tube voltage", f"{used.kv:g} kV", f"{tube.kv_min:g} to {tube.kv_max:g} kV"),
        ("tube current", f"{used.ma:g} mA", f"{tube.ma_min:g} to {tube.ma_max:g} mA"),
        *_charge_rows(planned, tube),
        ("at most, by its timer", f"{planned.maximum_mas:g} mAs", ""),
        ("power", f"{planned.power_w:g} W", f"{tube.power_max_w:g} W"),
        (energy, f"{planned.energy_j:g} J = {planned.energy_hu:g} HU", ""),
        ("tube heat before", f"{planned.heat_before_j:.0f} J", ""),
        ("tube heat after", f"{planned.heat_after_j:.0f} J", f"{planned.heat_max_j:g} J"),
        ("panel window", f"{planned.window_needed_ms:g} ms needed", f"{planned.window_ms:g} ms"),
    ]
