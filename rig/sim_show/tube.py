"""`dxrig sim show tube`: what is simulated of a tube, and where each figure is from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from rig.answers import answer_json, answer_line, answer_table, plain
from rig.exit_codes import UsageError
from rig.options import Numbers, json_option
from rig.sim_show.out import out_option, refuse_without_name, tell_out, write_out


@click.command(
    "tube",
    epilog="""\b
Examples:
  dxrig sim show tube
  dxrig sim show tube sim-rad32
  dxrig sim show tube sim-rad32 --out rad32.svg
  dxrig sim show tube sim-rad32 --kvp 120 --ma 250 --ms 1000
  dxrig sim show tube sim-rad32 --focus small
  dxrig sim show tube ./my-tube.toml --json | jq .cooling.anode_minutes_to_pct

A mark says where a value is from: "stated" in a document, "computed" from one, "memory":
unverified, "chosen": ours, because the model needs one. What nobody gives is not there.
With --kvp, --ma and --ms: what that beam asks of the cold tube, and what refuses it.
--focus small: that beam on the small focal spot, and the emission of its filament.
""",
)
@click.argument("name", required=False)
@click.option("--kvp", type=Numbers(1, 200), help="Of a beam to be judged.")
@click.option("--ma", type=Numbers(0.01, 2000), help="Of that beam.")
@click.option("--ms", type=Numbers(0.1, 60_000), help="Of that beam.")
@click.option(
    "--focus",
    type=click.Choice(["large", "small"]),
    default="large",
    show_default=True,
    help="Of a beam to be judged, and of the emission.",
)
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
        refuse_without_name("tube")
        _answer_list(listed(), as_json=as_json)
        return
    try:
        content = curves(tube_sheet(name), focus) | _asked(name, kvp, ma, ms, focus)
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
        tell_out(out)


def _asked(
    name: str, kvp: float | None, ma: float | None, ms: float | None, focus: str
) -> dict[str, Any]:
    """What a beam asks of the tube, if one is given. Raises UsageError, TubeError."""
    from rig.sim_show.tube_curves import filament_most_ma
    from sim.rating import rating_of, refusals
    from sim.tube_data import tube_sheet

    if kvp is None and ma is None and ms is None:
        return {}
    if kvp is None or ma is None or ms is None:
        raise UsageError("a beam is --kvp, --ma and --ms together")
    sheet = tube_sheet(name)
    for option, value, least, most in (
        ("--kvp", kvp, sheet.get("kv_min") or 0.0, sheet.get("kv_max") or math.inf),
        ("--ma", ma, 0.0, sheet.get("ma_max") or math.inf),
    ):
        if not least <= value <= most:
            can = f"{least:g} or more" if most == math.inf else f"{least:g} to {most:g}"
            raise UsageError(f"{option} {value:g}: the data sheet of {sheet.name} has {can}")
    loads = rating_of(sheet).loads(kvp, ma, ms / 1000, focus=focus)
    rows = [{"what": one.what, "used_pct": one.used_pct, "text": one.text} for one in loads]
    most_ma = filament_most_ma(sheet, kvp, focus)
    filament = None if most_ma is None else {"asked_ma": ma, "most_ma": most_ma}
    return {"beam": {"loads": rows, "refused_by": refusals(loads), "filament": filament}}


def _tell_beam(part: dict[str, Any]) -> None:
    rows = [(one["what"], f"{one['used_pct']:.0f} %", one["text"]) for one in part["loads"]]
    verdict = "refused" if part["refused_by"] else "borne"
    if part["filament"] is not None:
        asked_ma, most_ma = part["filament"]["asked_ma"], part["filament"]["most_ma"]
        text = f"{plain(asked_ma)} mA, and {plain(most_ma)} mA is the most that it gives"
        rows.append(("filament", f"{100 * asked_ma / most_ma:.0f} %", text))
        if asked_ma > most_ma:
            verdict += f"; the filament gives no more than {plain(most_ma)} mA"
    click.echo()
    answer_table(("asked of", "used", "how much"), rows, title="This beam, on the cold tube")
    click.echo(verdict)


def _write(out: Path, content: dict[str, Any]) -> None:
    from rig.sim_show.tube_picture import draw_tube, drawable

    if out.suffix != ".json" and not drawable(content):
        raise UsageError(f"{content['tube']}: its data sheet has nothing to draw")
    write_out(out, content, lambda: draw_tube(content))


def _answer_list(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        answer_json({"tubes": rows})
        return
    heads = ("name", "anode", "heat kJ", "large kW", "small kW", "kV max", "facts from documents")
    answer_table(heads, [_list_row(row) for row in rows], title="Simulated tubes")


def _list_row(row: dict[str, Any]) -> tuple[str, ...]:
    powers = (_kilo(row[name]) for name in ("anode_heat_j", "large_w", "small_w"))
    most_kv = "-" if row["kv_max"] is None else f"{row['kv_max']:g}"
    verified = f"{row['verified_count']} of {row['facts_count']}"
    return (row["name"], row["anode"], *powers, most_kv, verified)


def _kilo(value: float | None) -> str:
    return "-" if value is None else plain(value / 1e3, 4)


# --- one tube


def _tell(content: dict[str, Any]) -> None:
    answer_line(f"{content['maker']} {content['model']}, {content['anode']} anode, as simulated")
    answer_line(f"from {content['document']}")
    click.echo()
    facts = [(f["name"], plain(f["value"], 10), f["mark"], f["source"]) for f in content["facts"]]
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
         *(plain(focus["most_kw"][column]) for column in columns))
        for focus in part["foci"]
    ]  # fmt: skip
    heads = ("focal spot, kW for", *(f"{span_s:g} s" for span_s in TOLD_S))
    answer_table(heads, rows, title="Rating")


def _tell_cooling(part: dict[str, Any]) -> None:
    from rig.sim_show.tube_curves import KHU_PER_J, LEFT_PCT

    rows = [
        (name, plain(full_j / 1e3, 4), plain(full_j * KHU_PER_J),
         *(plain(minutes[str(left)]) for left in LEFT_PCT))
        for name, full_j, minutes in (
            ("anode", part["anode_full_j"], part["anode_minutes_to_pct"]),
            ("housing", part["housing_full_j"], part["housing_minutes_to_pct"]),
        )
        if full_j is not None
    ]  # fmt: skip
    heads = ("full, minutes to", "kJ", "kHU", *(f"{left} %" for left in LEFT_PCT))
    answer_table(heads, rows, title="Cooling")


def _tell_emission(part: dict[str, Any]) -> None:
    from rig.sim_show.tube_curves import EMISSION_PCT, TOLD_PCT

    columns = [EMISSION_PCT.index(pct) for pct in TOLD_PCT]
    rows = [
        (f"{curve['kv']:g} kV", *(f"{curve['filament_a'][column]:.3f}" for column in columns))
        for curve in part["curves"]
    ]
    heads = ("filament A for", *(f"{plain(part['tube_ma'][column])} mA" for column in columns))
    of_which = "" if part["focus"] is None else f", {part['focus']} focus"
    answer_table(heads, rows, title=f"Emission{of_which}")
    most = "" if part["most_a"] is None else f", at most {part['most_a']:g} A"
    click.echo(f"between beams {part['standby_a']:g} A{most}")
