"""hal.stream_v2: literal CBOR is read, anything else is one clear refusal."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal import frame_codec, stream_v2
from hal.ports import PanelFrame, WireError
from hal.stream_v1 import StreamEnd
from hal.stream_v1_header import StreamStart
from hal.stream_v2 import decode
from tests.vectors_loader import Vector, load

VECTORS = load("stream_v2")
IMAGES = [vector for vector in VECTORS if vector.fields["kind"] == "image"]
STARTS = [vector for vector in VECTORS if vector.fields["kind"] == "start"]
FRAME = PanelFrame(
    series=1, frame_index=0, rows_px=2, columns_px=3,
    pixels=bytes.fromhex("01 00 02 00 03 00 04 00 05 00 06 00"), start_us=0, stop_us=250_000,
    panel_id="SIM-PANEL-1", shot_id="S-1",
)  # fmt: skip


def bytes_of(name: str) -> bytes:
    return next(vector.bytes for vector in VECTORS if vector.name == name)


def swapped(old: str, new: str, name: str = "image, uint16 little-endian") -> bytes:
    """The vector with one piece of it put in the place of another; hex, or text for a piece."""
    data = bytes_of(name)
    assert data.count(bytes.fromhex(old)) == 1, old
    return data.replace(bytes.fromhex(old), bytes.fromhex(new))


# --- evidence from outside ----------------------------------------------------------------------


@pytest.mark.parametrize("vector", IMAGES, ids=str)
def test_a_literal_image_is_read_as_rows_by_columns(vector: Vector) -> None:
    expected = replace(
        FRAME,
        rows_px=vector.fields["rows_px"],
        columns_px=vector.fields["columns_px"],
        pixels=bytes.fromhex(vector.fields["pixels"]),
    )
    assert decode(vector.bytes) == expected


@pytest.mark.parametrize("vector", STARTS, ids=str)
def test_the_tables_of_a_start_message_come_with_type_and_little_endian_data(
    vector: Vector,
) -> None:
    start = decode(vector.bytes)
    assert isinstance(start, StreamStart)
    found = [f"{name} {t.type_name} {t.data.hex()}" for name, t in start.tables.items()]
    assert found == vector.fields["tables"]


def test_a_start_message_keeps_what_is_no_table_as_it_came() -> None:
    start = decode(bytes_of("start"))
    assert isinstance(start, StreamStart)
    assert (start.series, start.header_detail) == (1, "all")
    assert start.config["arm_date"] == "2026-01-01T00:00:00Z"
    assert start.config["image_size_x"] == 3
    assert start.tables["pixel_mask.threshold_1"].sides_count == (3, 2)
    assert start.tables["countrate_correction_lookup_table"].sides_count == (2, 1)


def test_an_end_message_is_the_documented_one_both_ways() -> None:
    assert decode(bytes_of("end")) == StreamEnd(series=1)
    ours = stream_v2.encode_end(1)[0]
    assert ours.replace(b"eSIM-1", b"bA1") == bytes_of("end")


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_message_that_is_cut_anywhere_is_refused(vector: Vector) -> None:
    for length in range(len(vector.bytes)):
        with pytest.raises(WireError):
            decode(vector.bytes[:length])


@pytest.mark.parametrize("vector", VECTORS, ids=str)
@pytest.mark.parametrize("more", ["00", "a0", "ff"])
def test_bytes_behind_a_message_are_refused(vector: Vector, more: str) -> None:
    with pytest.raises(WireError, match="behind the message"):
        decode(vector.bytes + bytes.fromhex(more))


def test_every_flipped_bit_of_the_pixels_is_seen_where_there_is_an_md5() -> None:
    data = bytes_of("image with the md5 of its pixels")
    at = data.index(FRAME.pixels)
    for bit in range(len(FRAME.pixels) * 8):
        spoiled = bytearray(data)
        spoiled[at + bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(WireError, match="md5"):
            decode(bytes(spoiled))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("64 74 79 70 65 65 69 6d 61 67 65", "64 74 79 70 65 65 66 72 61 6d 65", "type: 'frame'"),
        ("64 74 79 70 65 65 69 6d 61 67 65", "64 54 79 70 65 65 69 6d 61 67 65", "begins with"),
        ("69 73 65 72 69 65 73 5f 69 64 01", "69 73 65 72 69 65 73 5f 69 64 20", "series_id"),
        ("69 73 65 72 69 65 73 5f 69 64 01", "69 73 65 72 69 65 73 5f 69 64 f5", "series_id"),
        ("69 73 65 72 69 65 73 5f 69 64 01", "69 53 65 72 69 65 73 5f 69 64 01", "series_id"),
        ("68 69 6d 61 67 65 5f 69 64 00", "68 69 6d 61 67 65 5f 69 64 f6", "image_id"),
        ("82 02 03", "82 02 04", "needs 16 bytes, 12 came"),
        ("82 02 03", "81 06", "two dimensions"),
        ("82 02 03", "82 00 03", "side"),
        ("82 02 03", "80", "an array is"),
        ("82 02 03", "84 01 01 02 03", "an array is"),
        ("82 02 03", "82 01 1a 00 00 ff ff", "columns: must be an integer from 1 to 4608"),
        ("82 02 03", "82 1b 00 10 00 00 00 00 00 00 03", "rows"),
        ("d8 45 4c", "d8 47 4c", "got uint64"),
        ("82 02 03 d8 45 4c", "82 02 03 d8 4d 4c", "pixels are uint8, uint16, uint32, got int16"),
        ("d8 45 4c", "d8 44 4c", "tag 68"),
        ("d8 28 82", "d8 29 82", "tag 41"),
        ("d8 28 82", "d8 c8 82", "tag 200"),
        ("c0 74", "c1 74", "tag 1 "),
        ("6b 74 68 72 65 73 68 6f 6c 64 5f 31 d8 28", "6b 74 68 72 65 73 68 6f 6c 64 5f 31 d8 45",
         "tag 69 stands before bytes"),
        ("64 64 61 74 61 a1", "64 44 61 74 61 a1", "one channel"),
        ("64 73 68 6f 74", "64 53 68 6f 74", "without shot"),
        ("63 53 2d 31", "63 53 2d 0a", "printable"),
        ("68 63 6f 6d 70 6c 65 74 65 f5", "68 63 6f 6d 70 6c 65 74 65 01", "complete"),
        ("73 74 61 72 74 5f 74 69 6d 65 82 00 19 03 e8",
         "73 74 61 72 74 5f 74 69 6d 65 82 00 00", "denominator"),
        ("73 74 61 72 74 5f 74 69 6d 65 82 00 19 03 e8",
         "73 74 61 72 74 5f 74 69 6d 65 82 20 19 03 e8", "numerator"),
        ("73 74 61 72 74 5f 74 69 6d 65 82 00 19 03 e8",
         "73 74 61 72 74 5f 74 69 6d 65 fb 3f f0 00 00 00 00 00 00", "start_time: must be"),
        ("73 74 61 72 74 5f 74 69 6d 65 82 00 19 03 e8",
         "73 74 61 72 74 5f 74 69 6d 65 82 19 03 e8 19 03 e8", "stop_time"),
        ("69 73 65 72 69 65 73 5f 69 64", "64 74 79 70 65", "Duplicate"),
        ("69 73 65 72 69 65 73 5f 69 64", "07", "names as keys"),
    ],
)  # fmt: skip
def test_an_image_with_one_thing_wrong_is_refused_by_name(old: str, new: str, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(swapped(old, new))


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("65 62 73 6c 7a 34 02", "65 62 73 6c 7a 34 04", "bslz4.*with 4"),
        ("65 62 73 6c 7a 34 02", "63 6c 7a 34 02", "lz4.*with 2"),
        ("65 62 73 6c 7a 34 02", "64 7a 73 74 64 00", "zstd"),
        ("83 65 62 73 6c 7a 34 02", "82 65 62 73 6c 7a 34", "compression is"),
        ("82 05 08", "82 05 09", "80 bytes, 90 were announced"),
    ],
)
def test_packing_that_does_not_fit_is_refused(old: str, new: str, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(swapped(old, new, "image, bslz4"))


@pytest.mark.parametrize(
    "tag",
    [
        *(1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 68, 76, 83, 87, 100),
        *(256, 258, 260, 261, 1004, 43000, 55799, 65535),
    ],
)
def test_a_tag_with_no_place_in_the_format_is_refused(tag: int) -> None:
    """Some would cost much: a decimal fraction with a great exponent, a shared value."""
    head = bytes([0xD9]) + tag.to_bytes(2, "big")
    data = bytes_of("end")[:-3] + head + b"\x82\x1b" + bytes([0x7F] * 8) + b"\x01"
    with pytest.raises(WireError, match=f"tag {tag} has no place"):
        decode(data)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "9b 7f ff ff ff ff ff ff ff",
        "5b 7f ff ff ff ff ff ff ff 00",
        "bb 00 00 00 00 ff ff ff ff",
        "81" * 5000,
        "a1 64 74 79 70 65" * 100,
        "a1 64 74 79 70 65 81 00 00",
        "a1 64 74 79 70 65 63 65 6e 64",
        "80",
        "f6",
        "7b 22 68 74 79 70 65 22 7d",
    ],
)
def test_lengths_that_lie_and_foreign_values_cost_nothing(data: str) -> None:
    tracemalloc.start()
    with pytest.raises(WireError):
        decode(bytes.fromhex(data))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


@pytest.mark.parametrize("dimensions", ["83 01 01 01", "83 02 01 01"])
def test_a_table_of_three_dimensions_is_refused(dimensions: str) -> None:
    data = swapped("82 02 03 d8 46", f"{dimensions} d8 46", "start")
    with pytest.raises(WireError, match="one or two dimensions"):
        decode(data)


def test_a_table_beyond_all_size_is_refused_before_anything_is_made() -> None:
    with pytest.raises(WireError, match="too large"):
        decode(swapped("82 02 03 d8 46", "82 02 1a 7f ff ff ff d8 46", "start"))


@given(st.binary(max_size=200))
def test_garbage_is_a_wire_error_and_nothing_else(data: bytes) -> None:
    with pytest.raises(WireError):
        decode(data)


@given(st.sampled_from(VECTORS), st.data())
def test_a_message_with_any_byte_changed_is_taken_or_a_wire_error(
    vector: Vector, data: st.DataObject
) -> None:
    spoiled = bytearray(vector.bytes)
    at = data.draw(st.integers(0, len(spoiled) - 1))
    spoiled[at] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(spoiled))
    except WireError:
        return


def test_without_cbor2_the_refusal_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cbor2", None)
    with pytest.raises(WireError, match=r"pip install '\.\[dectris\]'"):
        decode(bytes_of("end"))


# --- both formats -------------------------------------------------------------------------------


@pytest.mark.parametrize("form", frame_codec.FORMATS)
@pytest.mark.parametrize(("rows_px", "columns_px"), [(1, 1), (5, 7), (64, 65), (64, 100)])
def test_a_panel_may_send_in_any_form_and_the_frame_is_the_same(
    form: str, rows_px: int, columns_px: int
) -> None:
    frame = replace(
        FRAME,
        rows_px=rows_px,
        columns_px=columns_px,
        pixels=bytes(i % 251 for i in range(rows_px * columns_px * 2)),
        start_us=3_000_000,
        stop_us=3_250_000,
    )
    assert frame_codec.decode(frame_codec.encode_image(frame, 1_000_000, form)) == replace(
        frame, start_us=2_000_000, stop_us=2_250_000
    )
    start = frame_codec.decode(frame_codec.encode_start(7, form))
    assert isinstance(start, StreamStart)
    assert start.series == 7
    assert frame_codec.decode(frame_codec.encode_end(7, form)) == StreamEnd(series=7)


@pytest.mark.req("F34")
@pytest.mark.parametrize("form", frame_codec.FORMATS)
@pytest.mark.parametrize("pixels", [FRAME.pixels[:-7], FRAME.pixels + b"xx"])
def test_a_panel_that_loses_pixels_is_found_out_in_any_form(form: str, pixels: bytes) -> None:
    with pytest.raises(WireError, match=r"announced|instead of|damaged"):
        frame_codec.decode(frame_codec.encode_image(replace(FRAME, pixels=pixels), 0, form))


@pytest.mark.parametrize("form", frame_codec.FORMATS)
def test_an_image_is_told_from_the_messages_around_it(form: str) -> None:
    around: tuple[list[bytes], ...] = (
        frame_codec.encode_start(1, form),
        frame_codec.encode_end(1, form),
        [b""],
        [],
    )
    assert not any(frame_codec.is_image(message) for message in around)
    assert frame_codec.is_image(frame_codec.encode_image(FRAME, 0, form))
