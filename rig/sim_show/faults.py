"""`dxrig sim show faults`: where each simulated fault shows, and where it does not."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_line, answer_table
from rig.options import json_option
from rig.progress import Bar, progress_option

if TYPE_CHECKING:
    from rig.signatures import Signature
    from rig.sim_show.fault_runs import Observed

# field: (heading, decimals), a table each
INDICATED = {"ready_ms": ("ready ms", 0), "kv": ("kV", 1), "ma": ("mA", 1), "mas": ("mAs", 2)}
METER = {
    "meter_kv": ("kV", 1),
    "meter_ms": ("ms", 1),
    "meter_mas": ("clamp mAs", 2),
    "output_ugy_per_mas": ("uGy/mAs", 1),
    "hvl_mm_al": ("HVL mm Al", 2),
    "arcs_count": ("arcs", 0),
}
IMAGE = {
    "ei": ("EI", 0),
    "pattern_pct": ("pattern %", 2),
    "row_pct": ("row %", 2),
    "field_off_mm": ("field mm", 1),
    "sides_pct": ("sides %", 1),
}


@click.command(
    "faults",
    epilog="""\b
Examples:
  dxrig sim show faults
  dxrig sim show faults "filter lost" "anode worn"
  dxrig sim show faults --json | jq '.faults[] | {name, ei, hvl_mm_al}'

kV, mA and mAs are what the generator indicates; meter and clamp are an instrument of their own in
the open beam at 1 m. EI is calibrated in the beam of RQA5. Pattern and row are told of an even
phantom only. Field mm: so far stands the middle of the field below the panel's. Sides %: so much
less than the middle has an even phantom to the left and right of it. Each row is run; compare it
with the row that has its technique and no fault.
""",
)
@click.argument("names", nargs=-1)
@progress_option
@json_option
def command(names: tuple[str, ...], progress: str, as_json: bool) -> None:
    """Where each fault shows: indicated, on a meter, in the image. NAMES: only these."""
    from rig.signatures import signature, signatures
    from rig.sim_show.fault_runs import observe
    from rig.sim_show.out import wants_json

    chosen = [signature(name) for name in names] or [*signatures().values()]
    found = []
    with Bar(progress, len(chosen), "exposures") as bar:
        for fault in chosen:
            found.append((fault, observe(fault)))
            bar.advance(fault.name)
    content = {"faults": [_row(*one) for one in found]}
    if wants_json(as_json):
        answer_json(content)
    else:
        _table(found)


def _row(fault: Signature, observed: Observed) -> dict[str, Any]:
    return {
        "name": fault.name,
        "sign": fault.sign,
        "technique": fault.shot.model_dump(exclude_defaults=True),
        "phantom": fault.phantom,
        "compare_with": _compare_with(fault),
        **{name: _rounded(name, value) for name, value in asdict(observed).items()},
    }


def _rounded(name: str, value: float | str | None) -> float | str | None:
    """One digit more than the table has: the instruments mean no more."""
    known = {**INDICATED, **METER, **IMAGE}
    return round(value, known[name][1] + 1) + 0.0 if isinstance(value, float) else value


def _compare_with(fault: Signature) -> str | None:
    """The row called none that is else the same: of its technique, with most of its settings."""
    from rig.signatures import signatures

    own = _settings(fault)
    found = [
        one
        for one in signatures().values()
        if one.name.startswith("none")
        and one.name != fault.name
        and (one.shot, one.phantom) == (fault.shot, fault.phantom)
        and all(setting in own for setting in _settings(one))
    ]
    return max(found, key=lambda one: len(_settings(one))).name if found else None


def _settings(fault: Signature) -> list[tuple[str, str, Any]]:
    return [(verb, name, value) for verb, args in fault.steps for name, value in args.items()]


def _technique(fault: Signature) -> str:
    shot = fault.shot
    given = ((shot.kv, "kV"), (shot.ma, "mA"), (shot.ms, "ms"), (shot.mas, "mAs"))
    told = [f"{value:g} {unit}" for value, unit in given if value is not None]
    return ", ".join([*told, *([] if shot.aec is None else [f"AEC {shot.aec.chambers}"])])


def _table(found: list[tuple[Signature, Observed]]) -> None:
    ends = [seen.end for _, seen in found]
    rows = [(fault.name, _technique(fault), fault.phantom, _compare_with(fault) or "-")
            for fault, _ in found]  # fmt: skip
    answer_table(("fault", "technique", "phantom", "compare with"), rows, "Simulated: what was set")
    click.echo()
    _told("What the unit was told", found, INDICATED, ("ended by", ends))
    _told("What an independent meter and a clamp read", found, METER)
    _told("What the image shows", found, IMAGE)
    for fault, _ in found:
        answer_line(f"{fault.name}: {fault.sign}")


def _told(
    title: str,
    found: list[tuple[Signature, Observed]],
    columns: dict[str, tuple[str, int]],
    last: tuple[str, list[str]] | None = None,
) -> None:
    rows = [
        [fault.name, *(_cell(getattr(seen, name), count) for name, (_, count) in columns.items())]
        for fault, seen in found
    ]
    headings = ["fault", *(heading for heading, _ in columns.values())]
    if last is not None:
        headings.append(last[0])
        rows = [[*row, end] for row, end in zip(rows, last[1], strict=True)]
    answer_table(headings, rows, title)
    click.echo()


def _cell(value: float | None, decimals_count: int) -> str:
    return "-" if value is None else f"{value:z.{decimals_count}f}"
