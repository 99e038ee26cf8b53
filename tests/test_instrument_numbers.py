"""Numbers as instruments write them: understood, or told, and never 0 by silence."""

from __future__ import annotations

import pytest

from rig.instruments.numbers import Decimal, NotANumberError, Read, read_number
from rig.instruments.quantities import QUANTITIES


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("70.4", ".", 70.4),
        ("70,4", ",", 70.4),
        ("1,234.5", ".", 1234.5),
        ("1.234,5", ",", 1234.5),
        ("12'345.5", ".", 12345.5),
        ("1 234,5", ",", 1234.5),
        ("1\u202f234,5", ",", 1234.5),
        ("\u22120.5", ".", -0.5),
        (" +3.2e-2 ", ".", 0.032),
        (".5", ".", 0.5),
        ("5.", ".", 5.0),
        ("0", ".", 0.0),
    ],
)
def test_a_number_is_read_by_its_decimal_sign(text: str, decimal: Decimal, value: float) -> None:
    assert read_number(text, decimal) == Read("value", value)


@pytest.mark.parametrize(
    ("text", "state", "value"),
    [
        ("", "none", None),
        ("  ", "none", None),
        ("---", "none", None),
        ("N/A", "none", None),
        ("nan", "none", None),
        ("OL", "overload", None),
        ("inf", "overload", None),
        ("<0.1", "below", 0.1),
        ("< 0.1", "below", 0.1),
        (">150", "above", 150.0),
    ],
)
def test_what_is_no_reading_is_never_taken_for_zero(
    text: str, state: str, value: float | None
) -> None:
    read = read_number(text)
    assert (read.state, read.value) == (state, value)


@pytest.mark.parametrize(
    ("text", "decimal", "why"),
    [
        ("70,4", ".", 'does the file write decimals with ","'),
        ("70.4", ",", 'does the file write decimals with "."'),
        ("1,23,456.5", ".", "is no number"),
        ("1.234.5", ".", "is no number"),
        ("70.4 kV", ".", "is no number"),
        ("0x46", ".", "is no number"),
        ("--5", ".", "is no number"),
        ("1_000", ".", "is no number"),
        ("1e12", ".", "beyond 1e+09"),
        ("<", ".", "is no number"),
        ("\u0661\u0662", ".", "is no number"),
        ("high\x1b[31m", ".", r"\\x1b"),
    ],
)
def test_what_may_mean_two_things_or_none_is_told(text: str, decimal: Decimal, why: str) -> None:
    with pytest.raises(NotANumberError, match=why.replace("+", r"\+").replace("?", r"\?")):
        read_number(text, decimal)


@pytest.mark.parametrize(
    ("quantity", "unit", "inside"),
    [
        ("kv", "V", 0.001),
        ("dose_ugy", "mGy", 1000.0),
        ("dose_ugy", "mR", 8.76),
        ("dose_rate_ugy_s", "mGy/min", 16.6667),
        ("time_ms", "s", 1000.0),
        ("hvl_mm", "cm", 10.0),
        ("mas", "As", 1000.0),
    ],
)
def test_a_unit_of_a_file_becomes_ours(quantity: str, unit: str, inside: float) -> None:
    assert QUANTITIES[quantity].scales[unit] == pytest.approx(inside, rel=1e-5)
