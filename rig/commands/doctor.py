"""`dxrig doctor`: what keeps a bench from working here, and what each bench can promise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import CHECK_FAILED
from rig.options import bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from firmware_py.bounds import Bound
    from rig.doctor import Finding


@click.command(
    epilog="""\b
Examples:
  dxrig doctor
  dxrig doctor --bench mine.toml
  dxrig doctor --bench portable --bounds

Exit code 1 when something is wrong. Ports are opened and closed, nothing is sent.
"""
)
@bench_option
@click.option(
    "--bounds",
    "show_bounds",
    is_flag=True,
    help="Show each requirement's goal beside this bench's bound.",
)
@json_option
@click.pass_context
def command(ctx: click.Context, bench: str | None, show_bounds: bool, as_json: bool) -> None:
    """Find what keeps a bench from working on this computer."""
    from datetime import UTC, datetime

    from rig.doctor import Verdict, computer
    from rig.doctor_links import links
    from rig.doctor_readiness import readiness
    from rig.state_dir import state_home

    chosen = chosen_bench(ctx, bench)
    if show_bounds:
        from rig.doctor_bounds import bounds_of

        _answer_bounds(chosen.name, bounds_of(chosen), as_json=as_json)
        return
    state, panel = state_home() / chosen.name, chosen.unit.panel
    findings = computer(state, image_bytes=2 * panel.rows_px * panel.columns_px)
    findings += links(chosen.unit, state)
    findings += readiness(chosen, state, datetime.now(UTC))
    wrong = [finding for finding in findings if finding.verdict is Verdict.WRONG]
    _answer_findings(chosen.name, findings, wrong, as_json=as_json)
    if wrong:
        ctx.exit(CHECK_FAILED)


def _answer_findings(
    bench: str, findings: Sequence[Finding], wrong: Sequence[Finding], *, as_json: bool
) -> None:
    if as_json:
        rows = [
            {"name": f.name, "verdict": f.verdict.value, "found": f.found, "cure": f.cure}
            for f in findings
        ]
        answer_json({"bench": bench, "ok": not wrong, "findings": rows})
        return
    for finding in findings:
        click.echo(f"{finding.verdict.value:<6}{finding.name}: {finding.found}")
        if finding.cure:
            click.echo(f"      -> {finding.cure}")
    told = f"{len(wrong)} wrong" if wrong else "nothing wrong"
    click.echo(f"\nBench {bench}: {told}")


def _answer_bounds(bench: str, bounds: Sequence[Bound], *, as_json: bool) -> None:
    if as_json:
        names = ("sr", "what", "goal_us", "bound_us", "layer", "meets_goal", "note")
        rows = [{name: getattr(bound, name) for name in names} for bound in bounds]
        answer_json({"bench": bench, "bounds": rows})
        return
    answer_table(
        ("SR", "what", "goal", "bound", "layer", "goal met", "note"),
        [_bound_row(bound) for bound in bounds],
        title=f"Goals and the bounds of bench {bench}",
    )


def _bound_row(bound: Bound) -> tuple[str, ...]:
    goal, met = f"{bound.goal_us / 1000:g} ms", "yes" if bound.meets_goal else "no"
    return bound.sr, bound.what, goal, f"{bound.bound_us / 1000:g} ms", bound.layer, met, bound.note
