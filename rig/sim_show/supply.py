"""`dxrig sim show supply`: what feeds a simulated generator, and what an exposure asks of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rig.answers import answer_json, answer_table, plain
from rig.exit_codes import UsageError
from rig.options import Numbers, json_option
from rig.sim_show.out import out_option, wants_json, write_out

NAMES = ("monoblock", "mobile", "capacitors")


@click.command(
    "supply",
    epilog="""\b
Examples:
  dxrig sim show supply
  dxrig sim show supply mobile
  dxrig sim show supply mobile --kvp 80 --ma 400 --mas 200
  dxrig sim show supply capacitors --out bank.svg
  dxrig sim show supply monoblock --json | jq .exposure.from_full_count

Energy of the mobile's battery and times of the monoblock's pack are documents'; resistances,
chargers and the bank are chosen (sim/README.md, "What is synthetic").
""",
)
@click.argument("name", type=click.Choice(NAMES, case_sensitive=False), required=False)
@click.option("--kvp", type=Numbers(1, 200), help="Of the exposure.")
@click.option("--ma", type=Numbers(0.01, 2000), help="Of the exposure.")
@click.option("--mas", type=Numbers(0.01, 10_000), help="Of the exposure.")
@out_option
@json_option
def command(
    name: str | None,
    kvp: float | None,
    ma: float | None,
    mas: float | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show batteries and capacitors: volts, sag, charging; without NAME all of them."""
    from rig.sim_show.supply_curves import curves, listed

    as_json = wants_json(as_json)
    if name is None:
        if out is not None or kvp or ma or mas:
            raise UsageError(f"an exposure and --out need a NAME: {', '.join(NAMES)}")
        _answer_list(listed(), as_json=as_json)
        return
    content = curves(name, kvp, ma, mas)
    if out is not None:
        write_out(out, content, lambda: _draw(content))
    if as_json:
        answer_json(content)
        return
    _tell(content)
    if out is not None:
        click.echo(f"\n{out} is written.")


def _draw(content: dict[str, Any]) -> Any:
    from rig.sim_show.supply_picture import draw_supply

    return draw_supply(content)


def _answer_list(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        answer_json({"supplies": rows})
        return
    heads = ("name", "stored kJ", "in the tube kJ", "full V", "standby W", "full after")
    answer_table(heads, [_row(row) for row in rows], title="Simulated supplies")


def _row(row: dict[str, Any]) -> tuple[str, ...]:
    energies = (f"{row[name] / 1e3:.4g}" for name in ("stored_j", "tube_j"))
    return (row["supply"], *energies, f"{row['full_v']:.4g}", f"{row['standby_w']:g}",
            _span(row["full_after_s"]))  # fmt: skip


def _tell(content: dict[str, Any]) -> None:
    one = content["exposure"]
    click.echo(f"{content['supply']}: {content['about']}, as simulated\n")
    rows = [
        (
            "stored",
            f"{content['stored_j'] / 1e3:.4g} kJ, {content['tube_j'] / 1e3:.4g} kJ in the tube",
        ),
        ("standby", f"{content['standby_w']:g} W"),
        ("charging", f"{_charging(content)}, full after {_span(content['full_after_s'])}"),
    ]
    answer_table(("fact", "as it is"), rows)
    click.echo()
    title = (
        f"{one['kv']:g} kV, {one['ma']:g} mA, {one['mas']:g} mAs: {plain(one['tube_j'] / 1e3)} kJ"
    )
    least_pct = one["refused_below_pct"]
    refused = "at any charge" if least_pct is None else f"below {least_pct:g} % of charge"
    again = "-" if one["recharge_s"] is None else _span(one["recharge_s"])
    asked = [
        ("volts", _volts(one)),
        ("refused, or ended at once", refused),
        ("from a full charge", f"{one['from_full_count']} of them"),
        ("what one took is charged in", again),
    ]
    answer_table(("asked of it", "how much"), asked, title=title)


def _charging(content: dict[str, Any]) -> str:
    charger_w, left_w = content["charger_w"], content["charging_w"]
    beside = "" if left_w == charger_w else f", {left_w:.4g} W beside the standby"
    return f"{charger_w:.4g} W{beside}"


def _volts(one: dict[str, Any]) -> str:
    """A bank has no resistance: its volts fall by what is taken."""
    if one["loaded_v"] != one["rest_v"]:
        return f"{one['rest_v']:.4g}, under its load {one['loaded_v']:.4g}"
    after = "" if one["after_v"] is None else f", after it {one['after_v']:.4g}"
    return f"{one['rest_v']:.4g}{after}"


def _span(span_s: float) -> str:
    for size_s, unit in ((3600.0, "h"), (60.0, "min")):
        if span_s >= 2 * size_s:
            return f"{span_s / size_s:.3g} {unit}"
    return f"{span_s:.3g} s"
