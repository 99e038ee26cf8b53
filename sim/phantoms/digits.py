"""Numbers in lead, so that a picture says what it shows: seven strokes a digit."""

from __future__ import annotations

from sim.shapes import Box

THICKNESS_MM = 0.1
_WIDE_MM, _TALL_MM, _STROKE_MM, _STEP_MM = 3.0, 6.0, 0.8, 4.2
_STROKES = {  # a top, b right above, c right below, d bottom, e left below, f left above, g middle
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd",
    "6": "afgedc", "7": "abc", "8": "abcdefg", "9": "abcdfg", ".": ".",
}  # fmt: skip
_NARROW = {".": 1.8, "1": 4.2}


def number(text: str, x_mm: float, y_mm: float) -> list[Box]:
    """Around this place; strokes of a digit do not overlap."""
    steps_mm = [_NARROW.get(digit, _STEP_MM) for digit in text]
    left = x_mm - (sum(steps_mm) - _STEP_MM + _WIDE_MM) / 2.0
    plates: list[Box] = []
    for digit, step_mm in zip(text, steps_mm, strict=True):
        plates += [_stroke(stroke, left, y_mm) for stroke in _STROKES[digit]]
        left += step_mm
    return plates


def _stroke(stroke: str, left: float, middle: float) -> Box:
    thick, half = _STROKE_MM, _TALL_MM / 2.0
    right, upright = left + _WIDE_MM - thick, half - 1.5 * thick
    places = {  # left, top, width, height
        "a": (left, middle - half, _WIDE_MM, thick),
        "g": (left, middle - thick / 2.0, _WIDE_MM, thick),
        "d": (left, middle + half - thick, _WIDE_MM, thick),
        "f": (left, middle - half + thick, thick, upright),
        "b": (right, middle - half + thick, thick, upright),
        "e": (left, middle + thick / 2.0, thick, upright),
        "c": (right, middle + thick / 2.0, thick, upright),
        ".": (left, middle + half - thick, thick, thick),
    }
    x, y, width, height = places[stroke]
    return Box(
        material="lead", thickness_mm=THICKNESS_MM, left_mm=x, top_mm=y, right_mm=x + width,
        bottom_mm=y + height,
    )  # fmt: skip
