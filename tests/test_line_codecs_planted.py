"""Mistakes planted into tables and framings of the line-oriented devices: the vectors find each.

A codec that is wrong both ways talks to itself without a fault; only bytes from outside can tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import pytest

from hal.line_codec import Ended, Framing, LineCodec, Number, Row, drop, is_text
from hal.ports import Direction, WireError
from tests.line_vectors import DRIVERS, VECTORS, assert_holds, codec_of, direction_of, row_name
from tests.vectors_loader import Vector

TO, FROM = Direction.TO_DEVICE, Direction.FROM_DEVICE
FRAMINGS: dict[str, tuple[Framing, Framing]] = {
    driver: (codec_of(driver)._framings[TO], codec_of(driver)._framings[FROM]) for driver in DRIVERS
}


def codec(driver: str, rows: tuple[Row, ...], framings: tuple[Framing, Framing]) -> LineCodec:
    return LineCodec(rows, commands=framings[0], replies=framings[1])


def caught(driver: str, wrong: LineCodec, row: Row | None = None) -> bool:
    """A vector no longer holds. Those of the changed row come first, which only saves time."""
    vectors = VECTORS[driver]
    if row is not None:
        vectors = sorted(vectors, key=lambda vector: row_name(vector) != row.name)
    return any(fails(wrong, vector) for vector in vectors)


def fails(wrong: LineCodec, vector: Vector) -> bool:
    try:
        assert_holds(wrong, vector)
    except (AssertionError, ValueError, WireError):
        return True
    return False


# --- tables ------------------------------------------------------------------------------------


def wrong_rows(row: Row) -> Iterator[tuple[str, Row]]:
    """The row with another letter, another scale, another width, other decimals."""
    letters = [at for at, letter in enumerate(row.form) if letter not in "{}"]
    for at in {letters[0], letters[-1]} if letters else ():
        other = chr(ord(row.form[at]) ^ 1)
        yield f"letter {at}", replace(row, form=row.form[:at] + other + row.form[at + 1 :])
    for at, value in enumerate(row.values):
        if isinstance(value, Number):
            for what, wrong in wrong_numbers(value):
                values = (*row.values[:at], wrong, *row.values[at + 1 :])
                yield f"value {at} {what}", replace(row, values=values)


def wrong_numbers(number: Number) -> Iterator[tuple[str, Number]]:
    for factor in (10, 1000):
        yield f"x{factor}", replace(number, per_unit=number.per_unit * factor)
    if number.per_unit > 1:
        yield "without its scale", replace(number, per_unit=1)
    if number.digits > 1:
        yield "one digit less", replace(number, digits=number.digits - 1)
    if number.digits:
        yield "one digit more", replace(number, digits=number.digits + 1)
    if number.decimals != 0:
        yield "without decimals", replace(number, decimals=0)


def exchanged(rows: tuple[Row, ...]) -> Iterator[tuple[str, tuple[Row, ...], Row]]:
    """Two neighbours have each other's line: MAS is taken for the mAs."""
    for direction in Direction:
        for first, second in pairwise(row for row in rows if row.direction is direction):
            if first.form != second.form and len(first.values) == len(second.values):
                forms = {first.name: second.form, second.name: first.form}
                made = tuple(
                    replace(row, form=forms.get(row.name, row.form))
                    if row.direction is direction
                    else row
                    for row in rows
                )
                yield f"{first.name} for {second.name}", made, first


@pytest.mark.parametrize("driver", DRIVERS)
def test_without_a_mistake_all_vectors_hold(driver: str) -> None:
    assert not caught(driver, codec(driver, codec_of(driver).rows, FRAMINGS[driver]))


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_mistake_in_a_row_is_found_by_the_vectors_alone(driver: str) -> None:
    rows = codec_of(driver).rows
    missed, planted_count = [], 0
    for at, row in enumerate(rows):
        for what, wrong in wrong_rows(row):
            made = codec(driver, (*rows[:at], wrong, *rows[at + 1 :]), FRAMINGS[driver])
            planted_count += 1
            if not caught(driver, made, row):
                missed.append(f"{row.name}: {what}")
    assert missed == []
    assert planted_count > len(rows)


@pytest.mark.parametrize("driver", DRIVERS)
def test_two_exchanged_lines_are_found_by_the_vectors_alone(driver: str) -> None:
    turned = list(exchanged(codec_of(driver).rows))
    assert turned
    for what, rows, first in turned:
        assert caught(driver, codec(driver, rows, FRAMINGS[driver]), first), what


# --- framings ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class WrongPacket:
    """ODEL's packet, wrong both ways in one thing."""

    etx: int = 0x03
    total: Callable[[bytes], int] = lambda data: sum(data) % 256
    etx_last: bool = False

    def frame(self, text: str) -> bytes:
        data = text.encode("ascii")
        total = self.total(data + bytes((self.etx,)))
        return data + bytes((total, self.etx) if self.etx_last else (self.etx, total))

    def take(self, buffer: bytearray) -> str | None:
        size_bytes = buffer.rfind(self.etx) + (1 if self.etx_last else 2)
        text = bytes(buffer[: size_bytes - 2])
        if not is_text(text) or self.frame(text.decode("ascii")) != buffer[:size_bytes]:
            drop(buffer, len(buffer), "bad checksum")
        del buffer[:size_bytes]
        return text.decode("ascii")


def xor(data: bytes) -> int:
    total = 0
    for byte in data:
        total ^= byte
    return total


CR, LF = b"\r", b"\n"
WRONG_FRAMINGS: list[tuple[str, str, Direction, Framing]] = [
    *(
        (driver, "LF for CR" if end == LF else "CR LF for CR", TO, Ended(start=start, end=end))
        for driver, start in (
            ("faxitron", b""), ("hamamatsu_c8033", b""), ("technix", b""),
            ("yolong_portable", LF), ("yolong_stationary", LF),
        )
        for end in (LF, CR + LF)
    ),
    *((driver, "CR for LF", TO, Ended(end=CR)) for driver in ("isodebyeflex", "isovolt")),
    *(
        (driver, "LF for CR", FROM, Ended(end=LF))
        for driver in ("isodebyeflex", "isovolt", "technix", "yolong_portable", "yolong_stationary")
    ),
    ("yolong_portable", "no LF before", TO, Ended(end=CR)),
    ("yolong_portable", "LF before replies", FROM, Ended(start=LF, end=CR)),
    ("yolong_stationary", "STX for LF", TO, Ended(start=b"\x02", end=CR)),
    ("faxitron", "X, P, S with CR", FROM, Ended(end=CR)),
    ("hamamatsu_c8033", "CR for the prompt", FROM, Ended(end=CR)),
    ("hamamatsu_c8033", "a prompt without space", FROM, Ended(end=b"\r\n>")),
    *(
        ("odel", what, direction, wrong)
        for direction in Direction
        for what, wrong in (
            ("a sum without ETX", WrongPacket(total=lambda data: sum(data[:-1]) % 256)),
            ("xor for the sum", WrongPacket(total=xor)),
            ("the negative sum", WrongPacket(total=lambda data: -sum(data) % 256)),
            ("one more", WrongPacket(total=lambda data: (sum(data) + 1) % 256)),
            ("seven bits", WrongPacket(total=lambda data: sum(data) % 128)),
            ("SUM before ETX", WrongPacket(etx_last=True)),
            ("EOT for ETX", WrongPacket(etx=0x04)),
        )
    ),
]  # fmt: skip


def test_every_framing_of_a_driver_is_planted_with_a_mistake() -> None:
    planted = {(driver, direction) for driver, _, direction, _ in WRONG_FRAMINGS}
    assert planted == {(driver, direction) for driver in DRIVERS for direction in Direction}


@pytest.mark.parametrize(
    ("driver", "direction", "wrong"),
    [(driver, direction, wrong) for driver, _, direction, wrong in WRONG_FRAMINGS],
    ids=[f"{driver}-{direction}-{what}" for driver, what, direction, _ in WRONG_FRAMINGS],
)
def test_a_mistake_in_a_framing_is_found_by_the_vectors_alone(
    driver: str, direction: Direction, wrong: Framing
) -> None:
    commands, replies = FRAMINGS[driver]
    framings = (wrong, replies) if direction is TO else (commands, wrong)
    assert any(
        fails(codec(driver, codec_of(driver).rows, framings), vector)
        for vector in VECTORS[driver]
        if direction_of(vector) is direction
    )
