"""hal.stream_v1, hal.frame_pipes, hal.frames: what passes, what is refused, and who may listen."""

from __future__ import annotations

import json
import tomllib
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.frame_pipes import TapFrames, frame_pipe
from hal.frames import PullLink, PushLink, RouterLink
from hal.now import NEVER_US
from hal.ports import FrameLink, LinkError, PanelFrame, WireError
from hal.stream_v1 import StreamEnd, decode, encode_end, encode_image, encode_start
from hal.stream_v1_header import HeaderTable, StreamStart

VECTORS = tomllib.loads((Path(__file__).parent / "vectors" / "stream_v1.toml").read_text())

FRAME = PanelFrame(
    series=1,
    frame_index=0,
    rows_px=5,
    columns_px=8,
    pixels=b"1234567890" * 8,
    start_us=3_000_000,
    stop_us=3_250_000,
    panel_id="SIM-PANEL-1",
    shot_id="S-1",
)


def parts_of(vector: dict[str, Any]) -> list[bytes]:
    return [literal(part) for part in vector["parts"]]


def literal(part: dict[str, Any]) -> bytes:
    if "hex" in part:
        return bytes.fromhex(part["hex"])
    text: str = part.get("text") or part["repeat"] * part["count"]
    return text.encode()


def vector(name: str) -> list[bytes]:
    return parts_of(VECTORS["messages"][name])


def changed(part: int, **fields: object) -> list[bytes]:
    """The good image with some keys of one part set, or taken out (...)."""
    message = vector("image")
    content = json.loads(message[part]) | fields
    message[part] = json.dumps({k: v for k, v in content.items() if v is not ...}).encode()
    return message


# --- evidence from outside ----------------------------------------------------------------------


def test_every_vector_names_its_source() -> None:
    assert all(len(v["source"]) > 10 for v in VECTORS["messages"].values())


def test_a_start_message_brings_what_its_detail_promises() -> None:
    config = {"auto_summation": True, "bit_depth_image": 16}
    zeros = HeaderTable(type_name="float32", sides_count=(2, 2), data=bytes(16))
    tables = {
        "flatfield": zeros,
        "pixelmask": replace(zeros, type_name="uint32"),
        "countrate_table": zeros,
    }
    appendix = b"a header_appendix of the user, no JSON"
    assert decode(vector("start_none")) == StreamStart(series=1, header_detail="none")
    assert decode(vector("start_basic")) == StreamStart(
        series=1, header_detail="basic", config=config
    )
    assert decode(vector("start_all")) == StreamStart(
        series=1, header_detail="all", config=config, tables=tables, appendix=appendix
    )


def test_an_appendix_is_the_first_part_behind_what_is_known() -> None:
    for name in ("start_none", "start_basic"):
        start = decode([*vector(name), b"mine", b"another's"])
        assert isinstance(start, StreamStart)
        assert start.appendix == b"mine"


@pytest.mark.parametrize("length", range(1, 8))
def test_a_start_message_with_all_detail_that_is_cut_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        decode(vector("start_all")[:length])


@pytest.mark.parametrize(
    ("part", "new", "reason"),
    [
        (
            2,
            b'{"htype":"dpixelmask-1.0","shape":[2,2],"type":"uint32"}',
            "pixelmask is given twice",
        ),
        (2, b'{"htype":"dimage-1.0","shape":[2,2],"type":"float32"}', "htype"),
        (2, b'{"htype":"dflatfield-1.0","shape":[2,3],"type":"float32"}', "needs 24 bytes, 16"),
        (2, b'{"htype":"dflatfield-1.0","shape":[2,2],"type":"uint32"}', "its type is float32"),
        (2, b'{"htype":"dflatfield-1.0","shape":[2,2,1],"type":"float32"}', "shape"),
        (2, b'{"htype":"dflatfield-1.0","shape":[4,true],"type":"float32"}', "y"),
        (2, b'{"htype":"dflatfield-1.0","shape":[2097152,1],"type":"float32"}', "x"),
        (3, bytes(15), "needs 16 bytes, 15 came"),
        (1, b"[]", "object"),
        (0, b'{"htype":"dheader-1.0","series":1,"header_detail":"some"}', "header_detail"),
    ],
)
def test_a_start_message_with_one_thing_wrong_is_refused(
    part: int, new: bytes, reason: str
) -> None:
    message = vector("start_all")
    message[part] = new
    with pytest.raises(WireError, match=reason):
        decode(message)


def test_the_tables_of_a_start_message_may_come_in_any_order() -> None:
    parts = vector("start_all")
    assert decode([*parts[:2], *parts[6:8], *parts[2:6], parts[8]]) == decode(parts)


PIXELS = {
    "text": FRAME.pixels,
    "half_text": bytes(byte for one in FRAME.pixels[:40] for byte in (one, 0)),
    "thousands": b"".join((1000 * k).to_bytes(2, "little") for k in range(1, 41)),
}
ENCODED = [name for name, found in VECTORS["messages"].items() if "pixels" in found]


@pytest.mark.parametrize("name", ENCODED)
def test_a_literal_image_of_any_encoding_and_width_is_read(name: str) -> None:
    pixels = PIXELS[VECTORS["messages"][name]["pixels"]]
    assert decode(vector(name)) == replace(FRAME, pixels=pixels, start_us=0, stop_us=250_000)


@pytest.mark.parametrize("name", ENCODED)
def test_an_encoded_image_that_is_cut_or_flipped_is_seen_by_its_md5(name: str) -> None:
    message = vector(name)
    size_bytes = len(message[2])
    for at in range(size_bytes):
        spoiled = bytearray(message[2])
        spoiled[at] ^= 0x10
        with pytest.raises(WireError, match="md5"):
            decode([*message[:2], bytes(spoiled), *message[3:]])
        with pytest.raises(WireError, match=f"have {at} bytes, {size_bytes} were announced"):
            decode([*message[:2], message[2][:at], *message[3:]])


@pytest.mark.parametrize("name", ENCODED)
def test_the_parts_of_an_image_in_another_order_are_refused(name: str) -> None:
    message = vector(name)
    for first, second in ((0, 1), (1, 2), (0, 2), (2, 3), (1, 4)):
        turned = list(message)
        turned[first], turned[second] = turned[second], turned[first]
        with pytest.raises(WireError):
            decode(turned)


def test_an_end_message_names_its_series() -> None:
    assert decode(vector("end")) == StreamEnd(series=1)
    assert encode_end(1) == vector("end")


def test_our_start_message_is_the_documented_one() -> None:
    assert encode_start(1) == vector("start_none")


def test_a_literal_image_is_read_as_rows_by_columns() -> None:
    expected = replace(FRAME, start_us=0, stop_us=250_000)
    assert decode(vector("image")) == expected


def test_our_image_is_the_literal_one() -> None:
    assert encode_image(FRAME) == vector("image")


def test_part_2_of_a_2048_by_2048_image_is_the_documented_one() -> None:
    frame = replace(FRAME, rows_px=2048, columns_px=2048, pixels=bytes(8_388_608))
    message = encode_image(frame)
    assert message[1] == vector("part_2_of_2048")[0]
    assert json.loads(message[0])["hash"] == VECTORS["md5_of_8388608_zero_bytes"]["md5"]


def test_a_later_image_of_a_series_counts_from_the_first() -> None:
    later = replace(FRAME, frame_index=1, start_us=5_000_000, stop_us=5_100_000)
    message = encode_image(later, series_start_us=3_000_000)
    config = json.loads(message[3])
    assert (config["start_time"], config["stop_time"]) == (2_000_000_000, 2_100_000_000)
    assert decode(message) == replace(later, start_us=2_000_000, stop_us=2_100_000)


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "fields", "reason"),
    [
        (0, {"hash": "0" * 32}, "md5"),
        (0, {"hash": ...}, "hash"),
        (0, {"series": True}, "series"),
        (0, {"series": -1}, "series"),
        (0, {"frame": ...}, "frame"),
        (0, {"htype": "dimage-2.0"}, "htype"),
        (1, {"htype": "dflatfield-1.0"}, "htype"),
        (1, {"type": "uint32"}, "size"),
        (1, {"type": "float32"}, "type"),
        (1, {"type": ["uint16"]}, "type"),
        (1, {"encoding": "="}, "encoding"),
        (1, {"encoding": "bs16<"}, "encoding"),
        (1, {"encoding": "lz4<"}, "LZ4"),
        (1, {"encoding": "bs16-lz4<"}, "packed pixels have"),
        (1, {"encoding": "bs32-lz4<"}, "does not fit pixels of uint16"),
        (1, {"shape": [8, 5, 2]}, "z"),
        (1, {"shape": [8, 5, 1, 1]}, "shape"),
        (1, {"shape": "8x5"}, "shape"),
        (1, {"shape": [0, 5]}, "x: must be an integer from 1 to 4608"),
        (1, {"shape": [8, -5]}, "y"),
        (1, {"shape": [8.0, 5]}, "x"),
        (1, {"shape": [4609, 1]}, "x"),
        (1, {"shape": [4294967295, 4294967295]}, "x"),
        (1, {"shape": [5, 4]}, "size"),
        (1, {"size": 78}, "size"),
        (1, {"size": 1 << 52}, "size"),
        (3, {"start_time": -1}, "start_time"),
        (3, {"start_time": 300_000_000, "stop_time": 250_000_000}, "stop_time"),
        (3, {"htype": "other-1.0"}, "dconfig"),
        (4, {"shot": ...}, "appendix"),
        (4, {"shot": ""}, "shot"),
        (4, {"shot": "S" * 65}, "shot"),
        (4, {"panel": "../../x\n"}, "panel"),
        (4, {"panel": 7}, "panel"),
        (4, {"complete": 1}, "complete"),
        (4, {"complete": ...}, "complete"),
    ],
)
def test_an_image_with_one_wrong_field_is_refused_by_name(
    part: int, fields: dict[str, object], reason: str
) -> None:
    with pytest.raises(WireError, match=reason):
        decode(changed(part, **fields))


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (b'{"htype":"dconfig-1.0","start_time":NaN}', "NaN"),
        (b'{"htype":"dconfig-1.0","start_time":-Infinity}', "Infinity"),
        (b'{"htype":"dconfig-1.0","start_time":1e999}', "float64"),
        (b'{"htype":"dconfig-1.0","start_time":9007199254740993}', "2\\^53"),
        (b'{"htype":"dconfig-1.0","start_time":' + b"9" * 4000 + b"}", "2\\^53"),
        (b'{"htype":"dconfig-1.0","start_time":' + b"9" * 5000 + b"}", "4300 digits"),
        (b'{"a":[{"b":-9007199254740993}]}', "2\\^53"),
        (b'{"a":[[-1e999]]}', "float64"),
        (b'{"shot":"S-1","shot":"S-2"}', "twice"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "deeper than 32"),
        (b'{"a":' * 5000, "JSON"),
        (b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}", "JSON"),
        (b'{"shot":"\xff"}', "JSON"),
        (b'{"shot":"' + b"x" * 65_536 + b'"}', "at most 65536"),
    ],
)
def test_a_part_that_is_no_sound_json_is_refused(part: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode([*vector("image")[:3], part])


def test_json_nested_32_deep_is_still_taken() -> None:
    deep = b'{"a":' * 32 + b"1" + b"}" * 32
    assert decode([*vector("image"), deep]) == decode(vector("image"))


def test_a_third_side_of_1_is_no_third_side() -> None:
    assert decode(changed(1, shape=[8, 5, 1])) == decode(vector("image"))


def test_foreign_parts_behind_an_image_pass_and_their_order_does_not_matter() -> None:
    message = vector("image")
    shuffled = [*message[:3], b"\x00\x01", b"", message[4], b'{"user":1}', message[3]]
    assert decode(shuffled) == decode(message)


@pytest.mark.parametrize("which", [3, 4])
def test_two_configs_or_two_appendices_are_refused(which: int) -> None:
    message = vector("image")
    with pytest.raises(WireError, match="twice"):
        decode([*message, message[which]])


@pytest.mark.parametrize("count", [0, 17, 1000])
def test_a_message_with_no_part_or_too_many_is_refused(count: int) -> None:
    with pytest.raises(WireError, match="1 to 16 parts"):
        decode([*vector("image"), *[b""] * 1000][:count])


@pytest.mark.parametrize("length", range(1, 5))
def test_a_truncated_image_is_refused(length: int) -> None:
    with pytest.raises(WireError):
        decode(vector("image")[:length])


@pytest.mark.parametrize("pixels", [b"", b"1234567890" * 8 + b"x", (b"1234567890" * 8)[:-1]])
def test_a_frame_that_is_short_or_long_is_refused(pixels: bytes) -> None:
    message = vector("image")
    message[2] = pixels
    with pytest.raises(WireError, match="80 were announced"):
        decode(message)


def test_every_flipped_bit_of_the_pixels_is_seen() -> None:
    message = vector("image")
    for bit in range(len(message[2]) * 8):
        spoiled = bytearray(message[2])
        spoiled[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(WireError, match="md5"):
            decode([*message[:2], bytes(spoiled), *message[3:]])


def test_a_lying_header_allocates_nothing() -> None:
    message = changed(1, shape=[4608, 4608], size=4608 * 4608 * 2)
    tracemalloc.start()
    with pytest.raises(WireError, match="announced"):
        decode(message)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1_000_000


@given(st.lists(st.binary(max_size=200), max_size=6))
def test_garbage_is_a_wire_error_and_nothing_else(message: list[bytes]) -> None:
    with pytest.raises(WireError):
        decode(message)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.sampled_from([0, 1, 3, 4]), st.data())
def test_any_value_in_any_field_is_taken_or_a_wire_error(part: int, data: st.DataObject) -> None:
    keys = sorted(json.loads(vector("image")[part]))
    fields = {data.draw(st.sampled_from(keys)): data.draw(JSON)}
    try:
        frame = decode(changed(part, **fields))
    except WireError:
        return
    assert isinstance(frame, PanelFrame)
    assert (frame.rows_px, frame.columns_px, frame.pixels) == (5, 8, FRAME.pixels)


@given(
    columns_px=st.integers(1, 40),
    rows_px=st.integers(1, 40),
    length_us=st.integers(0, 10_000_000),
    shot_id=st.from_regex(r"[!-~]{1,64}", fullmatch=True),
    complete=st.booleans(),
)
@settings(max_examples=50)
def test_what_is_sent_is_what_comes(
    columns_px: int, rows_px: int, length_us: int, shot_id: str, complete: bool
) -> None:
    frame = PanelFrame(
        series=7,
        frame_index=3,
        rows_px=rows_px,
        columns_px=columns_px,
        pixels=bytes(i % 251 for i in range(rows_px * columns_px * 2)),
        start_us=0,
        stop_us=length_us,
        panel_id="P",
        shot_id=shot_id,
        complete=complete,
    )
    assert decode(encode_image(frame)) == frame


@pytest.mark.req("F34")
@pytest.mark.parametrize("pixels", [FRAME.pixels[:-7], FRAME.pixels + b"xx"])
def test_a_panel_that_loses_pixels_is_found_out_by_the_receiver(pixels: bytes) -> None:
    with pytest.raises(WireError, match="80 were announced"):
        decode(encode_image(replace(FRAME, pixels=pixels)))


# --- in memory ----------------------------------------------------------------------------------


def test_a_message_arrives_after_its_latency_and_not_before() -> None:
    unit, device = frame_pipe(latency_us=300)
    device.write(1000, [b"a", b"b"])
    assert unit.arrival_us() == 1300
    assert unit.read(1299) == []
    assert unit.read(1300) == [[b"a", b"b"]]
    assert unit.arrival_us() == NEVER_US


def test_frames_share_the_line_one_behind_the_other() -> None:
    unit, device = frame_pipe(latency_us=100, bytes_per_us=125)
    device.write(0, [bytes(125_000)])
    device.write(0, [b"end"])
    assert unit.arrival_us() == 1100
    assert unit.read(1099) == []
    assert unit.read(1100) == [[bytes(125_000)]]
    assert unit.arrival_us() == 1101
    assert unit.read(1101) == [[b"end"]]


def test_the_two_directions_of_a_pipe_are_apart() -> None:
    unit, device = frame_pipe()
    unit.write(0, [b"ask"])
    device.write(0, [b"answer"])
    assert (unit.read(0), device.read(0)) == ([[b"answer"]], [[b"ask"]])


class Notes:
    def __init__(self) -> None:
        self.lines: list[tuple[str, ...]] = []

    def got_message(self, link: str, message: list[bytes]) -> None:
        self.lines.append(("got", link, *map(bytes.decode, message)))

    def sent_message(self, link: str, message: list[bytes]) -> None:
        self.lines.append(("sent", link, *map(bytes.decode, message)))

    def failed(self, link: str, why: str) -> None:
        self.lines.append(("failed", link, why))

    def not_sent(self, link: str, why: str) -> None:
        self.lines.append(("not sent", link, why))


def test_a_tap_tells_what_passed_and_hands_it_on() -> None:
    notes = Notes()
    unit, device = frame_pipe()
    tap = TapFrames("panel", unit, notes)
    device.write(0, [b"a", b"b"])
    tap.write(0, [b"c"])
    assert tap.read(0) == [[b"a", b"b"]]
    assert device.read(0) == [[b"c"]]
    assert notes.lines == [("sent", "panel", "c"), ("got", "panel", "a", "b")]


def test_a_tap_tells_of_a_failure_and_lets_it_through() -> None:
    class Gone:
        def read(self, t_us: int) -> Sequence[list[bytes]]:
            raise LinkError("gone")

        def write(self, t_us: int, message: list[bytes]) -> None:
            raise LinkError("gone too")

        def arrival_us(self) -> int:
            return NEVER_US

        def close(self) -> None: ...

    notes = Notes()
    tap = TapFrames("panel", Gone(), notes)
    with pytest.raises(LinkError, match="gone"):
        tap.read(0)
    with pytest.raises(LinkError, match="gone too"):
        tap.write(0, [b"x"])
    assert notes.lines == [
        ("failed", "panel", "gone"),
        ("sent", "panel", "x"),
        ("not sent", "panel", "gone too"),
    ]


# --- where a socket may listen ------------------------------------------------------------------


@pytest.mark.parametrize("make", [PushLink, RouterLink])
@pytest.mark.parametrize(
    "endpoint",
    [
        "tcp://*:9999",
        "tcp://0.0.0.0:9999",
        "tcp://192.168.1.5:9999",
        "tcp://eth0:9999",
        "tcp://[::]:9999",
        "tcp://:9999",
    ],
)
def test_listening_beyond_this_machine_is_refused_with_the_reason(
    make: Callable[[str], FrameLink], endpoint: str
) -> None:
    with pytest.raises(ValueError, match="neither encrypted nor authenticated"):
        make(endpoint)


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        ("udp://127.0.0.1:9", "must be ipc://PATH"),
        ("nonsense", "must be ipc://PATH"),
        ("ipc://relative", "absolute path"),
        ("ipc://@abstract", "absolute path"),
        ("ipc:///" + "x" * 120, "107 bytes"),
        ("inproc://frames", "can't refuse a second consumer"),
    ],
)
def test_an_endpoint_that_cannot_be_served_is_refused_with_the_reason(
    endpoint: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        PushLink(endpoint)


def test_connecting_to_nonsense_is_a_link_error() -> None:
    with pytest.raises(LinkError, match="nonsense: is no endpoint"):
        PullLink("nonsense")
