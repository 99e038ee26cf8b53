"""`dxrig sim show phantom`: what may stand in a simulated beam, in words and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import UsageError
from rig.options import Numbers, json_option
from rig.sim_do import arguments_of
from rig.sim_show.beam_ranges import KV
from rig.sim_show.optics_words import optics_words
from rig.sim_show.out import out_option, refuse_without_name, tell_out, wants_json, write_out

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sim.optics import Optics

LOOKED_AT_PX = 250  # for figures, not for pictures: a few times faster
LIES_THERE = 0.995  # less than this of the primary is behind something
FAINT_PCT = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a phantom is looked at."""

    kvp: float
    sid_mm: float
    size_px: int
    width_mm: float | None
    optics: Optics


def optics_of(texts: Sequence[str], **options: Any) -> Optics:
    """What has an option of its own, and what --set names. Raises UsageError."""
    from rig.config_errors import nearest
    from sim.optics import INJECTIONS, Optics

    given = options | arguments_of(texts)
    for name, value in given.items():
        if name not in INJECTIONS:
            near = nearest(name, INJECTIONS)
            meant = f"; did you mean {near!r}?" if near else ""
            raise UsageError(f"--set {name}: there are {', '.join(INJECTIONS)}{meant}")
        try:
            INJECTIONS[name].check(name, value)
        except ValueError as error:
            raise UsageError(f"--set {error}") from None
    return Optics(**given)


@click.command(
    name="phantom",
    epilog="""\b
Examples:
  dxrig sim show phantom
  dxrig sim show phantom chest --out chest.png
  dxrig sim show phantom chest --scatter --grid-ratio 10 --out grid.png
  dxrig sim show phantom edge --focus-mm 1.2 --lift-mm 100 --out edge.svg
  dxrig sim show phantom none --grid-ratio 10 --set grid_upside_down=true
  dxrig sim show phantom --json

The picture is what arrives at the panel, through a logarithm, dense things bright: no noise, no
panel. `dxrig expose --phantom NAME` makes one with both.

\b
--set takes the names of `dxrig sim do optics`: focus_mm, lift_mm, fall_off,
heel, scatter, grid_ratio, grid_lines_per_cm, grid_focus_mm, grid_off_mm,
grid_upside_down, grid_stands_still, light_off_rows_mm, light_off_columns_mm.

\b
Exit codes: 0 done; 2 usage.
""",
)
@click.argument("name", required=False)
@click.option("--kvp", type=KV, default=70.0, show_default=True, help="Tube voltage.")
@click.option(
    "--sid-mm",
    type=Numbers(300, 4000),
    default=1000.0,
    show_default=True,
    help="From the focus to the panel.",
)
@click.option(
    "--size-px",
    type=click.IntRange(16, 4096),
    default=1000,
    show_default=True,
    help="Of the picture, square.",
)
@click.option(
    "--width-mm",
    type=Numbers(10, 500),
    help="How much of it is shown; default: 350 of the chest, 200 of all others.",
)
@click.option(
    "--focus-mm",
    type=Numbers(0, 3),
    default=0.0,
    show_default=True,
    help="How wide the focal spot is: penumbra, and blur of what is lifted.",
)
@click.option(
    "--lift-mm",
    type=Numbers(0, 250),
    default=0.0,
    show_default=True,
    help="How far above the panel it lies: magnification, and an air gap.",
)
@click.option("--scatter", is_flag=True, help="As sim/scatter.py approximates it.")
@click.option(
    "--grid-ratio",
    type=Numbers(0, 20),
    default=0.0,
    show_default=True,
    help="Of a moving grid; 0: none.",
)
@click.option(
    "--set", "also", metavar="NAME=VALUE", multiple=True, help="Other optics; repeatable."
)
@out_option
@json_option
def command(
    name: str | None,
    out: Path | None,
    as_json: bool,
    also: tuple[str, ...],
    kvp: float,
    sid_mm: float,
    size_px: int,
    width_mm: float | None,
    **options: Any,
) -> None:
    """List phantoms, or show one: materials, mm, scatter, and its radiograph."""
    as_json = wants_json(as_json)
    if name is None:
        if out is not None:
            raise UsageError(
                "--out needs the NAME of a phantom; `dxrig sim show phantom` lists them"
            )
        refuse_without_name("phantom")
        _list(as_json=as_json)
        return
    optics = optics_of(also, **options)
    view = View(kvp=kvp, sid_mm=sid_mm, size_px=size_px, width_mm=width_mm, optics=optics)
    facts, part = looked_at(name, view)
    if out is not None:
        from rig.sim_show.phantom_picture import pixels, scaled

        draw = scaled if out.suffix == ".svg" else pixels
        write_out(out, {"phantom": facts}, lambda: draw(facts, part))
    if as_json:
        answer_json({"phantom": facts})
    else:
        _tell(facts, out)


def _list(*, as_json: bool) -> None:
    from sim.phantoms import PHANTOMS

    if as_json:
        answer_json({"phantoms": [{"name": p.name, "about": p.about} for p in PHANTOMS.values()]})
        return
    answer_table(("phantom", "what it is"), [(p.name, p.about) for p in PHANTOMS.values()])


def looked_at(name: str, view: View) -> tuple[dict[str, Any], NDArray[np.float32]]:
    """Its facts, and the part of the open beam's air kerma that arrives, square.

    Raises UsageError for a name or a place that there is not.
    """
    import numpy as np

    from sim.beam import INHERENT_MM_AL
    from sim.grid import PRIMARY
    from sim.phantoms import PHANTOMS, known

    name = name.lower() if name.lower() in PHANTOMS else name
    try:
        one = PHANTOMS[known(name)]
    except ValueError as error:
        raise UsageError(str(error)) from error
    width_mm = view.width_mm or one.width_mm
    part = arriving(name, view, width_mm, view.size_px, view.optics)
    facts = {
        "name": one.name,
        "about": one.about,
        "materials_max_mm": one.most_mm(),
        "collimated": not one.whole_panel,
        "source": one.source,
        "verified": one.verified,
        "kvp": view.kvp,
        "total_al_mm": INHERENT_MM_AL,
        "width_mm": width_mm,
        "sid_mm": view.sid_mm,
        "optics": asdict(view.optics),
        "arrives_least": float(part.min()),
        "arrives_median": float(np.median(part)),
        "arrives_most": float(part.max()),
        "open_part": PRIMARY if view.optics.grid_ratio else 1.0,
        **_figures(name, view, width_mm),
    }
    return facts, part


def arriving(
    name: str, view: View, width_mm: float, size_px: int, optics: Optics
) -> NDArray[np.float32]:
    """Of the open beam's air kerma, rows x columns."""
    import numpy as np

    from sim import beam
    from sim.arrival import Arrival
    from sim.optics import pixel_middles_mm

    pitch_mm = width_mm / size_px
    part = Arrival(size_px, size_px, pitch_mm).share(
        name,
        (width_mm, width_mm),
        lambda maps: beam.transmission(view.kvp, maps),
        optics,
        view.sid_mm,
    )
    part = np.ones((size_px, size_px), np.float32) if part is None else part
    if optics.heel:
        at_mm = pixel_middles_mm(size_px, pitch_mm) * beam.REFERENCE_MM / view.sid_mm
        part *= beam.heel(view.kvp, at_mm)[:, None].astype(np.float32)
    return part


def _figures(name: str, view: View, width_mm: float) -> dict[str, float | None]:
    """Of what lies there, and of scatter, whether the picture has it or not."""
    import numpy as np

    from sim.optics import PLAIN

    small = [
        arriving(name, view, width_mm, LOOKED_AT_PX, optics)
        for optics in (
            replace(view.optics, scatter=False),
            replace(view.optics, scatter=True),
            replace(PLAIN, lift_mm=view.optics.lift_mm),
        )
    ]
    primary, whole, plain = small
    seen = whole if view.optics.scatter else primary
    lies_there = plain < LIES_THERE
    behind = seen[lies_there]
    low, median, high = np.percentile(behind, (10, 50, 90)) if behind.size else (None,) * 3
    scatter = np.where(whole > 0, 1 - primary / np.maximum(whole, np.float32(1e-30)), 0.0)
    middle = slice(LOOKED_AT_PX * 9 // 20, LOOKED_AT_PX * 11 // 20)
    return {
        "covered_pct": 100 * float(lies_there.mean()),
        "behind_low": None if low is None else float(low),
        "behind_median": None if median is None else float(median),
        "behind_high": None if high is None else float(high),
        "scatter_pct_middle": 100 * float(scatter[middle, middle].mean()),
        "scatter_pct_behind": 100 * float(np.median(scatter[lies_there])) if behind.size else None,
    }


def _tell(facts: dict[str, Any], out: Path | None) -> None:
    made_of = [f"{mm:g} mm {material}" for material, mm in facts["materials_max_mm"].items()]
    rows = [
        ("phantom", facts["name"]),
        ("what it is", facts["about"]),
        ("most in the way", ", ".join(made_of) or "nothing"),
        ("field", "cut by the collimator" if facts["collimated"] else "the whole panel"),
        ("source", facts["source"] + ("" if facts["verified"] else " (unverified)")),
        ("beam", f"{facts['kvp']:g} kV, {facts['total_al_mm']:g} mm Al, {facts['sid_mm']:g} mm"),
        ("optics", optics_words(facts["optics"])),
        ("air kerma", _air_kerma(facts)),
        ("scatter", _scatter(facts)),
    ]
    answer_table(("what", "is"), rows)
    tell_out(out)


def _air_kerma(facts: dict[str, Any]) -> str:
    if facts["behind_median"] is None:
        return _all_over(facts)
    low, median, high = (facts[f"behind_{which}"] for which in ("low", "median", "high"))
    spread = f"mostly {_pct(low)} to {_pct(high)}, median {_pct(median)}"
    alike = _pct(median) if _pct(low) == _pct(high) else spread
    if facts["covered_pct"] > 99.9:
        return f"{alike} of the open beam"
    return f"behind it (on {facts['covered_pct']:.0f} % of the picture) {alike} of the open beam"


def _all_over(facts: dict[str, Any]) -> str:
    """Nothing is in the way; a heel or a grid may still make the picture uneven."""
    least, median, most = (_pct(facts[f"arrives_{which}"]) for which in ("least", "median", "most"))
    return f"{median} everywhere" if least == most else f"{least} to {most}, median {median}"


def _pct(part: float) -> str:
    pct = 100 * part
    return f"{pct:.3g} %" if pct >= FAINT_PCT else f"under {FAINT_PCT:g} %"


def _scatter(facts: dict[str, Any]) -> str:
    """As a part of all that arrives."""
    if not facts["collimated"] or not facts["scatter_pct_middle"] + (
        facts["scatter_pct_behind"] or 0.0
    ):
        return "none arrives"
    middle, behind = facts["scatter_pct_middle"], facts["scatter_pct_behind"]
    much = f"{middle:.0f} % of what arrives in the middle, {behind:.0f} % in the median behind it"
    return much if facts["optics"]["scatter"] else f"not in the picture; it would be {much}"
