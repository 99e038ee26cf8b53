"""hal.pixel_coding: what other people's programs packed is read, and lies cost nothing."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import pixel_coding
from hal.pixel_coding import (
    bitshuffle_lz4,
    bitshuffle_lz4_packed,
    little_uint16,
    lz4_block,
    lz4_filter,
    lz4_packed,
)
from hal.ports import WireError
from tests.vectors_loader import Vector, load

VECTORS = load("pixel_coding")


def unpacked(vector: Vector, data: bytes | None = None, size_bytes: int | None = None) -> bytes:
    """The vector's bytes, or others in their place, by the coding that it names."""
    wire = vector.bytes if data is None else data
    size_bytes = len(gives(vector)) if size_bytes is None else size_bytes
    match vector.fields["coding"]:
        case "lz4":
            return lz4_block(wire, size_bytes)
        case "lz4 filter":
            return lz4_filter(wire, size_bytes)
        case _:
            return bitshuffle_lz4(wire, size_bytes, vector.fields["element_bytes"])


def gives(vector: Vector) -> bytes:
    return bytes.fromhex(vector.fields["gives"])


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_what_others_packed_comes_out_as_it_was(vector: Vector) -> None:
    assert unpacked(vector) == gives(vector)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_packed_pixels_that_are_cut_anywhere_are_refused(vector: Vector) -> None:
    for length in range(len(vector.bytes)):
        with pytest.raises(WireError):
            unpacked(vector, vector.bytes[:length])


@pytest.mark.parametrize("vector", VECTORS, ids=str)
@pytest.mark.parametrize("more", [b"\0", b"12345678"])
def test_packed_pixels_with_something_behind_them_are_refused(vector: Vector, more: bytes) -> None:
    with pytest.raises(WireError):
        unpacked(vector, vector.bytes + more)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_another_size_than_the_announced_one_is_refused(vector: Vector) -> None:
    for wrong_bytes in (len(gives(vector)) - 1, len(gives(vector)) + 1, 1):
        with pytest.raises(WireError):
            unpacked(vector, size_bytes=wrong_bytes)


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_flipped_bit_gives_other_pixels_or_is_refused_and_nothing_else(vector: Vector) -> None:
    """LZ4 has no check sum: the md5 of the message is for that."""
    for bit in range(len(vector.bytes) * 8):
        spoiled = bytearray(vector.bytes)
        spoiled[bit // 8] ^= 1 << (bit % 8)
        try:
            assert len(unpacked(vector, bytes(spoiled))) == len(gives(vector))
        except WireError:
            continue


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_claim_that_the_bytes_cannot_fill_allocates_nothing(vector: Vector) -> None:
    lie = (1 << 62).to_bytes(8, "big") + vector.bytes[8:]
    tracemalloc.start()
    with pytest.raises(WireError, match="can't hold"):
        unpacked(vector, lie, size_bytes=1 << 62)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 100_000


def test_a_block_that_swells_beyond_its_size_is_refused() -> None:
    bomb = lz4_packed(bytes(1_000_000))
    assert len(bomb) < 4_000
    with pytest.raises(WireError, match="damaged LZ4 block"):
        lz4_block(bomb, 999_999)


def test_a_block_that_gives_too_little_is_refused() -> None:
    with pytest.raises(WireError, match="gave 80 bytes instead of 81"):
        lz4_block(VECTORS[0].bytes, 81)


@pytest.mark.parametrize("block_bytes", [1, 15, 17])
def test_a_block_that_cuts_a_group_of_eight_is_refused(block_bytes: int) -> None:
    vector = next(v for v in VECTORS if v.name == "bitshuffle of uint16")
    wrong = vector.bytes[:8] + block_bytes.to_bytes(4, "big") + vector.bytes[12:]
    with pytest.raises(WireError, match="whole groups of 16"):
        unpacked(vector, wrong)


def test_a_block_size_of_0_means_the_usual_one() -> None:
    """bitshuffle's own: 0 asks for its default of 8192 bytes."""
    vector = next(v for v in VECTORS if v.name == "bitshuffle of uint16")
    assert unpacked(vector, vector.bytes[:8] + bytes(4) + vector.bytes[12:]) == gives(vector)


def test_fewer_than_eight_elements_stand_as_they_are() -> None:
    data = bytes.fromhex("00 00 00 00 00 00 00 06 00 00 20 00 01 00 02 00 03 00")
    assert bitshuffle_lz4(data, 6, 2) == data[12:]


@given(st.binary(max_size=200), st.integers(0, 400), st.sampled_from([1, 2, 4]))
def test_garbage_is_a_wire_error_and_nothing_else(
    data: bytes, size_bytes: int, element_bytes: int
) -> None:
    reads: list[Callable[[], bytes]] = [
        lambda: lz4_block(data, size_bytes),
        lambda: lz4_filter(data, size_bytes),
        lambda: bitshuffle_lz4(data, size_bytes, element_bytes),
    ]
    for read in reads:
        try:
            assert len(read()) == size_bytes
        except WireError:
            continue


@pytest.mark.parametrize("count", [0, 3, 8, 4096, 4097, 20_000])
def test_what_a_simulated_panel_packs_is_read_again(count: int) -> None:
    data = bytes(i * i % 251 for i in range(2 * count))
    assert bitshuffle_lz4(bitshuffle_lz4_packed(data, 2), len(data), 2) == data
    assert lz4_block(lz4_packed(data), len(data)) == data


def test_a_panel_packs_bits_as_the_filter_does() -> None:
    vector = next(v for v in VECTORS if v.name == "bitshuffle of uint8")
    assert bitshuffle_lz4_packed(gives(vector), 1) == vector.bytes


@pytest.mark.parametrize(
    ("data", "type_name", "order", "pixels"),
    [
        ("01 02", "uint16", "<", "01 02"),
        ("01 02", "uint16", ">", "02 01"),
        ("01 ff", "uint8", "<", "01 00 ff 00"),
        ("01 02 00 00", "uint32", "<", "01 02"),
        ("00 00 ff ff", "uint32", ">", "ff ff"),
        ("", "uint32", "<", ""),
    ],
)
def test_pixels_of_any_width_become_little_endian_uint16(
    data: str, type_name: str, order: str, pixels: str
) -> None:
    assert little_uint16(bytes.fromhex(data), type_name, order) == bytes.fromhex(pixels)


def test_a_pixel_that_needs_more_than_16_bits_is_refused_and_not_cut() -> None:
    with pytest.raises(WireError, match="65536 does not fit"):
        little_uint16(bytes.fromhex("00 00 01 00"), "uint32", "<")


def test_without_lz4_the_refusal_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lz4.block", None)
    with pytest.raises(WireError, match=r"pip install '\.\[dectris\]'"):
        lz4_block(VECTORS[0].bytes, 80)


def test_the_file_says_who_has_confirmed_it() -> None:
    assert "no detector" in pixel_coding.VERIFIED
