"""How long something lasts: read as it is written, told as it is said."""

from __future__ import annotations

import pytest

from rig.durations import seconds_of, words_of
from rig.exit_codes import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("40d", 3_456_000.0), ("3h", 10_800.0), ("90m", 5_400.0), ("2w", 1_209_600.0), ("1.5h", 5_400),
     ("0m", 0.0)],
)  # fmt: skip
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "40", "d", "40 d", "-3h", "3H", "3h30m", "1e3h", "nan", "inf", "9999999d", "٣h"]
)
def test_anything_else_is_refused_with_the_form_to_write(text: str) -> None:
    with pytest.raises(UsageError) as refused:
        seconds_of(text)
    assert str(refused.value) == (
        f"{text!r} is no duration: write a number and w, d, h or m, such as 2w, 40d, 3h or 90m"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 s"), (7.25, "7.2 s"), (90.0, "90 s"), (119.0, "119 s"), (120.0, "2 min"),
     (5_400.0, "90 min"), (9_000.0, "2.5 h"), (35_999.0, "10 h"), (86_400.0, "24 h"),
     (172_800.0, "2 d"), (3_456_000.0, "40 d")],
)  # fmt: skip
def test_people_are_told_the_largest_unit_of_which_there_are_two(
    seconds: float, words: str
) -> None:
    assert words_of(seconds) == words
