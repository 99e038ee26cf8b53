"""`dxrig sim show tube`: what is simulated of a tube, and where each figure is from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import UsageError
from rig.options import Numbers, json_option
from rig.sim_show.out import out_option, write_out


@click.command(
    "tube",
    epilog="""\b
Examples:
  dxrig sim show tube
  dxrig sim show tube sim-rad32
  dxrig sim show tube sim-rad32 --out rad32.svg
  dxrig sim show tube sim-rad32 --kvp 120 --ma 250 --ms 1000
  dxrig sim show tube ./my-tube.toml --json | jq .cooling.anode_minutes_to_pct

A mark says where a value is from: "stated" in a document, "computed" from one, "memory":
unverified, "chosen": ours, because the model needs one. What nobody gives is not there.
With --kvp, --ma and --ms: what that beam asks of the cold tube, and what refuses it.
""",
)
@click.argument("name", required=False)
@click.option("--kvp", type=Numbers(1, 200), help="Of a beam to be judged.")
@click.option("--ma", type=Numbers(0.01, 2000), help="Of that beam.")
@click.option("--ms", type=Numbers(0.1, 60_000), help="Of that beam.")
@click.option("--focus", type=click.Choice(["large", "small"]), default="large", show_default=True)
@out_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    name: str | None,
    kvp: float | None,
    ma: float | None,
    ms: float | None,
    focus: str,
    out: Path | None,
    as_json: bool,
) -> None:
    """Show a tube's rating, cooling and emission; without NAME all tubes.

    NAME is one of the list, or a data sheet of your own that ends in .toml.
    """
    from rig.sim_show.tube_curves import curves, listed
    from sim.tube_data import TubeError, tube_sheet

    as_json = as_json or bool(ctx.parent and ctx.parent.params.get("as_json"))
    if name is None:
        if out is not None:
            raise UsageError("--out needs the NAME of a tube; `dxrig sim show tube` lists them")
        _answer_list(listed(), as_json=as_json)
        return
    try:
        content = curves(tube_sheet(name)) | _asked(name, kvp, ma, ms, focus)
    except TubeError as error:
        raise UsageError(str(error)) from None
    if out is not None:
        _write(out, content)
    if as_json:
        answer_json(content)
    else:
        _tell(content)
        if "beam" in content:
            _tell_beam(content["beam"])
        if out is not None:
            click.echo(f"\n{out} is written.")


def _asked(
    name: str, kvp: float | None, ma: float | None, ms: float | None, focus: str
) -> dict[str, Any]:
    """What a beam asks of the tube, if one is given. Raises UsageError, TubeError."""
    from sim.rating import rating_of, refusals
    from sim.tube_data import tube_sheet

    if kvp is None and ma is None and ms is None:
        return {}
    if kvp is None or ma is None or ms is None:
        raise UsageError("a beam is --kvp, --ma and --ms together")
    loads = rating_of(tube_sheet(name)).loads(kvp, ma, ms / 1000, focus=focus)
    rows = [{"what": one.what, "used_pct": one.used_pct, "text": one.text} for one in loads]
    return {"beam": {"loads": rows, "refused_by": refusals(loads)}}


def _tell_beam(part: dict[str, Any]) -> None:
    rows = [(one["what"], f"{one['used_pct']:.0f} %", one["text"]) for one in part["loads"]]
    click.echo()
    answer_table(("asked of", "used", "how much"), rows, title="This beam, on the cold tube")
    click.echo("refused" if part["refused_by"] else "borne")


def _write(out: Path, content: dict[str, Any]) -> None:
    from rig.sim_show.tube_picture import draw_tube, drawable

    if out.suffix != ".json" and not drawable(content):
        raise UsageError(f"{content['tube']}: its data sheet has nothing to draw")
    write_out(out, content, lambda: draw_tube(content))


def _answer_list(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        answer_json({"tubes": rows})
        return
    heads = ("name", "anode", "heat kJ", "large kW", "small kW", "kV max", "from documents")
    answer_table(heads, [_list_row(row) for row in rows], title="Simulated tubes")


def _list_row(row: dict[str, Any]) -> tuple[str, ...]:
    powers = (_kilo(row[name]) for name in ("anode_heat_j", "large_w", "small_w"))
    most_kv = "-" if row["kv_max"] is None else f"{row['kv_max']:g}"
    verified = f"{row['verified_count']} of {row['facts_count']} facts"
    return (row["name"], row["anode"], *powers, most_kv, verified)


def _kilo(value: float | None) -> str:
    return "-" if value is None else f"{value / 1e3:.4g}"


# --- one tube


def _tell(content: dict[str, Any]) -> None:
    click.echo(f"{content['maker']} {content['model']}, {content['anode']} anode, as simulated")
    click.echo(f"from {content['document']}\n")
    facts = [(f["name"], f"{f['value']:.10g}", f["mark"], f["source"]) for f in content["facts"]]
    answer_table(("fact", "value", "mark", "source"), facts)
    for title, part, tell in (
        ("Rating", "rating", _tell_rating),
        ("Cooling", "cooling", _tell_cooling),
        ("Emission", "emission", _tell_emission),
    ):
        click.echo("")
        if content[part] is None:
            click.echo(f"{title}: not in its data sheet")
        else:
            tell(content[part])


def _tell_rating(part: dict[str, Any]) -> None:
    from rig.sim_show.tube_curves import TOLD_S

    columns = [part["time_s"].index(span_s) for span_s in TOLD_S]
    rows = [
        (f"{focus['name']}, {focus['size_mm']:g} mm",
         *(f"{focus['most_kw'][column]:.3g}" for column in columns))
        for focus in part["foci"]
    ]  # fmt: skip
    heads = ("focal spot, kW for", *(f"{span_s:g} s" for span_s in TOLD_S))
    answer_table(heads, rows, title="Rating")


def _three(value: float) -> str:
    """Three digits, and never an exponent."""
    return f"{value:.0f}" if value >= 100.0 else f"{value:.3g}"


def _tell_cooling(part: dict[str, Any]) -> None:
    from rig.sim_show.tube_curves import KHU_PER_J, LEFT_PCT

    rows = [
        (name, f"{full_j / 1e3:.4g}", _three(full_j * KHU_PER_J),
         *(f"{minutes[str(left)]:.3g}" for left in LEFT_PCT))
        for name, full_j, minutes in (
            ("anode", part["anode_full_j"], part["anode_minutes_to_pct"]),
            ("housing", part["housing_full_j"], part["housing_minutes_to_pct"]),
        )
        if full_j is not None
    ]  # fmt: skip
    heads = ("full, minutes to", "kJ", "kHU", *(f"{left} %" for left in LEFT_PCT))
    answer_table(heads, rows, title="Cooling")


def _tell_emission(part: dict[str, Any]) -> None:
    currents_ma = part["tube_ma"]
    columns = [round(share * (len(currents_ma) - 1)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    rows = [
        (f"{curve['kv']:g} kV", *(f"{curve['filament_a'][column]:.3f}" for column in columns))
        for curve in part["curves"]
    ]
    heads = ("filament A for", *(f"{currents_ma[column]:.3g} mA" for column in columns))
    answer_table(heads, rows, title="Emission")
    most = "" if part["most_a"] is None else f", at most {part['most_a']:g} A"
    click.echo(f"between beams {part['standby_a']:g} A{most}")
