"""A phantom's radiograph: pixel for pixel (PNG), or with a scale in mm (SVG)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rig.sim_show.out import PNG_DPI

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

FAINTEST = 1e-4  # of the open beam
LEAST = 0.02  # the narrowest window, in the logarithm: what differs by less is no picture
FILLED = 0.7  # of the picture, by a body
OPEN = 0.93  # of the open beam: nothing lies there
SCALE_MM = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


def radiograph(part: NDArray[np.float32], open_part: float = 1.0) -> NDArray[np.uint8]:
    """Dense is bright: the logarithm, over the range of what lies there; even things are grey.

    `open_part`: what arrives where nothing lies (a grid takes some).
    """
    import numpy as np

    dense = -np.log(np.maximum(part, np.float32(FAINTEST)))
    dark, bright = _window(dense[::4, ::4], -float(np.log(OPEN * open_part)))
    more = max(LEAST - (bright - dark), 0.0) / 2.0
    grey = (dense - (dark - more)) / (bright - dark + 2.0 * more)
    shown: NDArray[np.uint8] = np.rint(255.0 * np.clip(grey, 0.0, 1.0)).astype(np.uint8)
    return shown


def _window(dense: NDArray[np.float32], open_dense: float) -> tuple[float, float]:
    """The open beam is black; of a body that fills the picture, nearly its thinnest part.

    So people set it: lungs are dark then, and a hand beside which there is much light keeps its
    skin.
    """
    import numpy as np

    dark, bright = (float(limit) for limit in np.percentile(dense, (0.5, 99.5)))
    body = dense[dense > open_dense]
    if len(body) < FILLED * dense.size:
        return dark, bright
    return float(np.percentile(body, 3.0)), bright


def is_even(part: NDArray[np.float32]) -> bool:
    return bool(part.max() <= part.min() * (1.0 + LEAST / 4.0))


def pixels(facts: dict[str, Any], part: NDArray[np.float32]) -> Figure:
    """Pixel for pixel; what is even says so, and how much arrives."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(part.shape[1] / PNG_DPI, part.shape[0] / PNG_DPI))
    figure.figimage(radiograph(part, facts["open_part"]), cmap="gray", vmin=0, vmax=255)
    if is_even(part):
        _explain(figure, facts, part.shape[1])
    return figure


def _explain(figure: Figure, facts: dict[str, Any], width_px: int) -> None:
    from matplotlib.lines import Line2D

    points = max(2.0, width_px / 40.0) * 72.0 / PNG_DPI
    words = f"{facts['name']}: even\n{value(facts)}"
    figure.text(0.5, 0.55, words, ha="center", va="center", color="black", fontsize=points)
    mm = max(one for one in SCALE_MM if one <= facts["width_mm"] / 2.0)
    half = mm / facts["width_mm"] / 2.0
    figure.add_artist(Line2D([0.5 - half, 0.5 + half], [0.2, 0.2], color="black"))
    figure.text(0.5, 0.18, f"{mm:g} mm", ha="center", va="top", color="black", fontsize=points)


def value(facts: dict[str, Any]) -> str:
    return f"{100 * facts['arrives_median']:.3g} % of the open beam at {facts['kvp']:g} kV"


def scaled(facts: dict[str, Any], part: NDArray[np.float32]) -> Figure:
    """With a scale in mm."""
    from matplotlib.figure import Figure

    half_mm = facts["width_mm"] / 2.0
    figure = Figure(figsize=(6.0, 6.2), layout="constrained")
    axes = figure.subplots()
    axes.imshow(
        radiograph(part, facts["open_part"]), cmap="gray", vmin=0, vmax=255,
        interpolation="nearest", extent=(-half_mm, half_mm, half_mm, -half_mm),
    )  # fmt: skip
    axes.set_xlabel("mm at the panel")
    axes.set_title(f"{facts['name']}, {facts['kvp']:g} kV: simulated")
    if is_even(part):
        axes.text(0.0, 0.0, f"even: {value(facts)}", ha="center", va="center", color="black")
    return figure
