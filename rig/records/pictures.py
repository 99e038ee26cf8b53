"""Maps of a panel as small PNG pictures for a page: grey with a window, and where defects lie."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from firmware_py.recorder.image.maps import Mask

LONGEST_PX = 700
DEFECTS_PX = 460  # half a page wide, a mark is then 1.3 mm and its legend 7 points high
Window = tuple[float, float]  # the pixel values that are shown black and white
Rgb = NDArray[np.uint8]  # rows x columns x 3


class Style(NamedTuple):
    """Colours differ in lightness, marks in shape: told apart in grey as well."""

    colour: tuple[int, int, int]
    mark: str  # 7 x 7, rows parted by /


_SQUARE = "......./.#####./.#####./.#####./.#####./.#####./......."
_RING = ".#####./#######/##...##/##...##/##...##/#######/.#####."
_PLUS = "..###../..###../#######/#######/#######/..###../..###.."
_CROSS = "##...##/###.###/.#####./..###../.#####./###.###/##...##"
_DIAMOND = "...#.../..###../.#####./#######/.#####./..###../...#..."
_BAR = "......./......./#######/#######/#######/......./......."
_PEAK = "...#.../...#.../..###../..###../.#####./.#####./#######"
_POST = "..###../..###../..###../..###../..###../..###../..###.."
STYLES = {  # the classes of qc-and-physics.md 3.2
    "dead": Style((0, 0, 0), _SQUARE),
    "over-responding": Style((190, 30, 20), _PLUS),
    "under-responding": Style((20, 70, 170), _CROSS),
    "noisy": Style((120, 40, 140), _RING),
    "hot": Style((200, 90, 0), _PEAK),
    "non-uniform": Style((0, 110, 80), _DIAMOND),
    "lag": Style((150, 90, 0), _BAR),
    "bad neighbourhood": Style((70, 70, 70), _POST),
}
_OTHER = tuple(STYLES.values())
_FRAME = 0  # black
_PAPER = 255


def window_of(
    pixels: NDArray[np.generic], *, low_pct: float = 0.5, high_pct: float = 99.5
) -> Window:
    """Between two percentiles of what is a number; hand it on to show two maps alike."""
    values = np.asarray(pixels, np.float32)
    values = values[np.isfinite(values)]
    if values.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(values, (low_pct, high_pct))
    return float(low), float(high)


def grey_png(
    pixels: NDArray[np.generic], window: Window | None = None, *, longest_px: int = LONGEST_PX
) -> bytes:
    """Rows x columns of any number, made smaller (never larger), in a thin frame, no caption."""
    grey = _grey(pixels, window or window_of(pixels))
    image = Image.fromarray(grey)
    image.thumbnail((longest_px - 2, longest_px - 2), Image.Resampling.BOX)
    framed = Image.new("L", (image.width + 2, image.height + 2), _FRAME)
    framed.paste(image, (1, 1))
    return _png(framed)


def defect_png(
    classes: Mapping[str, Mask],
    background: NDArray[np.generic] | None = None,
    *,
    longest_px: int = DEFECTS_PX,
) -> bytes:
    """Where the defects of each class lie: marks larger than the pixels, counts below.

    `classes`: name to mask, rows x columns; a later class is drawn over an earlier one.
    The background, if any, is shown pale.
    """
    rows_px, columns_px = next(iter(classes.values())).shape
    scale = min(1.0, (longest_px - 2) / max(rows_px, columns_px))
    height, width = max(1, round(rows_px * scale)), max(1, round(columns_px * scale))
    canvas = _pale(background, height, width)
    for name, mask in classes.items():
        rows, columns = np.nonzero(mask)
        places = np.unique(
            np.stack([rows * height // rows_px, columns * width // columns_px]), axis=1
        )
        _stamp(canvas, places, style_of(name, classes))
    image = Image.fromarray(canvas)
    return _png(_with_legend(image, classes))


def style_of(name: str, classes: Mapping[str, Mask]) -> Style:
    """A class that we have no style for takes the next one by its place."""
    return STYLES.get(name) or _OTHER[list(classes).index(name) % len(_OTHER)]


def _grey(pixels: NDArray[np.generic], window: Window) -> NDArray[np.uint8]:
    """What is no number is black."""
    low, high = window
    values = np.nan_to_num(np.asarray(pixels, np.float32), nan=low, posinf=high, neginf=low)
    if high <= low:
        return np.full(values.shape, 128, np.uint8)
    grey: NDArray[np.uint8] = np.rint(
        np.clip((values - low) / (high - low), 0.0, 1.0) * 255.0
    ).astype(np.uint8)
    return grey


def _pale(background: NDArray[np.generic] | None, height: int, width: int) -> Rgb:
    if background is None:
        return np.full((height, width, 3), _PAPER, np.uint8)
    grey = Image.fromarray(_grey(background, window_of(background)))
    small = np.asarray(grey.resize((width, height), Image.Resampling.BOX), np.uint16)
    pale = (200 + small * 55 // 255).astype(np.uint8)
    return np.repeat(pale[:, :, None], 3, axis=2)


def _stamp(canvas: Rgb, places: NDArray[np.intp], style: Style) -> None:
    """Marks that reach over the edge are cut off there."""
    height, width, _ = canvas.shape
    for row, column in _offsets(style.mark):
        rows, columns = places[0] + row, places[1] + column
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        canvas[rows[inside], columns[inside]] = style.colour


def _offsets(mark: str) -> list[tuple[int, int]]:
    lines = mark.split("/")
    return [
        (row - len(lines) // 2, column - len(line) // 2)
        for row, line in enumerate(lines)
        for column, sign in enumerate(line)
        if sign == "#"
    ]


def _with_legend(image: Image.Image, classes: Mapping[str, Mask]) -> Image.Image:
    """The picture in a frame, and below it each class with its mark and count."""
    font = ImageFont.load_default(14)
    entries = {name: f"{name}: {np.count_nonzero(mask)}" for name, mask in classes.items()}
    least_px = round(max(font.getlength(entry) for entry in entries.values())) + 34
    across = max(1, min(len(entries), image.width // least_px))
    width = max(image.width, least_px) + 2
    height = image.height + 2 + 22 * -(-len(entries) // across) + 8
    whole = Image.new("RGB", (width, height), (_PAPER,) * 3)
    whole.paste((_FRAME,) * 3, (0, 0, image.width + 2, image.height + 2))
    whole.paste(image, (1, 1))
    pixels = np.array(whole)
    places = {
        name: (image.height + 18 + 22 * (index // across), 8 + index % across * (width // across))
        for index, name in enumerate(entries)
    }
    for name, place in places.items():
        _stamp(pixels, np.array(place).reshape(2, 1), style_of(name, classes))
    whole = Image.fromarray(pixels)
    draw = ImageDraw.Draw(whole)
    for name, (row, column) in places.items():
        draw.text((column + 12, row), entries[name], fill=(0, 0, 0), font=font, anchor="lm")
    return whole


def _png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
