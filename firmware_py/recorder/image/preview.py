"""What people see: the burnt-in words, and an 8-bit picture of the windowed pixels."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from firmware_py.recorder.image.correct import Pixels

SIMULATED = "SIMULATED - NOT FOR DIAGNOSIS"
_LEAST_TEXT_PX = 9
_TEXT_SHARE = 28  # letters are 1/28 of the height


class Box(NamedTuple):
    """Half-open, first pixel 0."""

    top_px: int
    bottom_px: int
    left_px: int
    right_px: int


def burn_in(pixels: Pixels, text: str = SIMULATED, *, white: int | None = None) -> Pixels:
    """A copy with white words on a black strip at the bottom; nothing else changes.

    `white` is the value of a letter; unless told, the full scale of the fewest bits (at
    least 12) that hold the picture, so that words on a dark frame are legible too.
    """
    box, letters = _drawn(pixels.shape[0], pixels.shape[1], text)
    full_scale = (1 << max(int(pixels.max()).bit_length(), 12)) - 1
    level = full_scale if white is None else white
    burnt = pixels.copy()
    strip = letters.astype(np.float32) * np.float32(level / 255.0)
    burnt[box.top_px : box.bottom_px, box.left_px : box.right_px] = np.rint(strip)
    return burnt


def burn_in_box(rows_px: int, columns_px: int, text: str = SIMULATED) -> Box:
    return _drawn(rows_px, columns_px, text)[0]


def windowed(pixels: Pixels, window_center: float, window_width: float) -> NDArray[np.uint8]:
    """DICOM's LINEAR window function (PS3.3 C.11.2.1.2.1) to 0..255."""
    grey = np.arange(int(pixels.max()) + 1, dtype=np.float64) - (window_center - 0.5)
    grey = np.clip((grey / (window_width - 1.0) + 0.5) * 255.0, 0.0, 255.0)
    return np.rint(grey).astype(np.uint8)[pixels]


def preview_png(
    pixels: Pixels, window_center: float, window_width: float, *, longest_px: int = 1024
) -> bytes:
    """8-bit grey PNG, made smaller (never larger) to `longest_px`."""
    image = Image.fromarray(windowed(pixels, window_center, window_width))
    image.thumbnail((longest_px, longest_px), Image.Resampling.BOX)
    file = BytesIO()
    image.save(file, "PNG", compress_level=1)
    return file.getvalue()


@lru_cache(maxsize=4)
def _drawn(rows_px: int, columns_px: int, text: str) -> tuple[Box, NDArray[np.uint8]]:
    """The strip and its place: words are wrapped until they fit."""
    font = ImageFont.load_default(max(_LEAST_TEXT_PX, rows_px // _TEXT_SHARE))
    lines = _wrapped(text, font, columns_px)
    draw = ImageDraw.Draw(Image.new("L", (1, 1)))
    left, top, right, bottom = draw.multiline_textbbox((0, 0), lines, font=font, align="center")
    pad = max(2, rows_px // 200)
    width = min(columns_px, round(right - left) + 2 * pad)
    height = min(rows_px, round(bottom - top) + 2 * pad)
    strip = Image.new("L", (width, height), 0)
    at = (pad - left, pad - top)
    ImageDraw.Draw(strip).multiline_text(at, lines, fill=255, font=font, align="center")
    first = (columns_px - width) // 2
    box = Box(rows_px - height, rows_px, first, first + width)
    letters = np.minimum(np.asarray(strip, np.uint16) * 2, 255)  # thin strokes stay white
    return box, letters.astype(np.uint8)


def _wrapped(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room_px: int) -> str:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > 0.96 * room_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)
