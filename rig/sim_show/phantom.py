"""`dxrig sim show phantom`: what may stand in a simulated beam, in words and as a picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import UsageError
from rig.options import Numbers, json_option
from rig.sim_show.beam_ranges import KV
from rig.sim_show.out import PNG_DPI, out_option, tell_out, wants_json, write_out

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from sim.optics import Optics


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How a phantom is looked at."""

    kvp: float
    sid_mm: float
    size_px: int
    width_mm: float | None
    focus_mm: float
    lift_mm: float
    scatter: bool
    grid_ratio: float

    def optics(self) -> Optics:
        from sim.optics import Optics

        return Optics(
            focus_mm=self.focus_mm, lift_mm=self.lift_mm, scatter=self.scatter,
            grid_ratio=self.grid_ratio,
        )  # fmt: skip


@click.command(
    name="phantom",
    epilog="""\b
Examples:
  dxrig sim show phantom
  dxrig sim show phantom chest --out chest.png
  dxrig sim show phantom chest --kvp 110 --scatter --grid-ratio 10 --out grid.png
  dxrig sim show phantom edge --focus-mm 1.2 --lift-mm 100 --out edge.svg
  dxrig sim show phantom --json

The picture is what arrives at the panel, through a logarithm, dense things bright: no noise, no
panel. `dxrig expose --phantom NAME` makes one with both.

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
    type=Numbers(0, 16),
    default=0.0,
    show_default=True,
    help="Of a moving grid; 0: none.",
)
@out_option
@json_option
def command(name: str | None, out: Path | None, as_json: bool, **options: Any) -> None:
    """List phantoms, or show one: materials, mm, and its radiograph."""
    as_json = wants_json(as_json)
    if name is None:
        if out is not None:
            raise UsageError(
                "--out needs the NAME of a phantom; `dxrig sim show phantom` lists them"
            )
        _list(as_json=as_json)
        return
    view = View(**options)
    facts, part = looked_at(name, view)
    if out is not None:
        draw = _scaled if out.suffix == ".svg" else _picture
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

    from sim import beam
    from sim.arrival import Arrival
    from sim.phantoms import PHANTOMS, known

    try:
        one = PHANTOMS[known(name)]
    except ValueError as error:
        raise UsageError(str(error)) from error
    width_mm = view.width_mm or one.width_mm
    size = (view.size_px, view.size_px)
    part = Arrival(*size, width_mm / view.size_px).share(
        name,
        (width_mm, width_mm),
        lambda maps: beam.transmission(view.kvp, maps),
        view.optics(),
        view.sid_mm,
    )
    part = np.ones(size, np.float32) if part is None else part
    facts = {
        "name": one.name,
        "about": one.about,
        "materials_max_mm": one.most_mm(),
        "collimated": not one.whole_panel,
        "source": one.source,
        "verified": one.verified,
        "kvp": view.kvp,
        "width_mm": width_mm,
        "arrives_least": float(part.min()),
        "arrives_median": float(np.median(part)),
        "arrives_most": float(part.max()),
    }
    return facts, part


def _tell(facts: dict[str, Any], out: Path | None) -> None:
    made_of = [f"{mm:g} mm {material}" for material, mm in facts["materials_max_mm"].items()]
    shares = [f"{100 * facts[f'arrives_{which}']:.3g} %" for which in ("least", "median", "most")]
    rows = [
        ("phantom", facts["name"]),
        ("what it is", facts["about"]),
        ("most in the way", ", ".join(made_of) or "nothing"),
        ("field", "cut by the collimator" if facts["collimated"] else "the whole panel"),
        ("source", facts["source"] + ("" if facts["verified"] else " (unverified)")),
        (f"air kerma at {facts['kvp']:g} kV", f"{shares[0]} to {shares[2]}, median {shares[1]}"),
    ]
    answer_table(("what", "is"), rows)
    tell_out(out)


def radiograph(part: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Dense is bright: the logarithm, from its darkest to its brightest hundredth."""
    import numpy as np

    dense = -np.log(np.maximum(part, np.float32(1e-4)))
    dark, bright = np.percentile(dense[::4, ::4], (0.5, 99.5))
    grey = (dense - dark) / max(bright - dark, 0.02)  # an even one stays even
    shown: NDArray[np.uint8] = np.rint(255.0 * np.clip(grey, 0.0, 1.0)).astype(np.uint8)
    return shown


def _picture(facts: dict[str, Any], part: NDArray[np.float32]) -> Figure:
    """Pixel for pixel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(part.shape[1] / PNG_DPI, part.shape[0] / PNG_DPI))
    figure.figimage(radiograph(part), cmap="gray", vmin=0, vmax=255)
    return figure


def _scaled(facts: dict[str, Any], part: NDArray[np.float32]) -> Figure:
    """With a scale in mm."""
    from matplotlib.figure import Figure

    half_mm = facts["width_mm"] / 2.0
    figure = Figure(figsize=(6.0, 6.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(
        radiograph(part), cmap="gray", vmin=0, vmax=255, interpolation="nearest",
        extent=(-half_mm, half_mm, half_mm, -half_mm),
    )  # fmt: skip
    axes.set_xlabel("mm at the panel")
    axes.set_title(f"{facts['name']}, {facts['kvp']:g} kV: simulated")
    return figure
