"""The R2CP v6 wire: entries, header, and frames both ways; no I/O, no time.

Modelled on the host side of a public third-party program (MCPU_MASTER 9ba0caac), from which only
interface facts are taken. **Unverified against a device; may need the vendor's ICD.** Section
numbers are those of the project's protocol reference. "silent: chosen" marks what it does not say.

A frame is 8 bytes of header and at most 100 of data, without checksum or delimiter: only the header
itself can tell a frame from garbage. So each of its fields is checked against what is known, and
with it the length that an entry's data must have. A flipped bit inside the data can't be seen here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from hal.ports import WireError

HEADER_BYTES = 8
DATA_BYTES_MAX = 100  # 4.1; more travels as BLOCK (r2cp_block.py)
SEQUENCE_MAX = 63  # 4.1: 1-63, wraps to 1


class Node(IntEnum):
    """4.1, "Nodes"."""

    BROADCAST = 0
    HUB = 1
    BOOTLOADER = 4
    GENERATOR = 6
    SERVICE_TOOL = 9
    APPLICATION = 17


class Function(IntEnum):
    """4.1, header byte 5."""

    SET = 1
    GET = 2
    ANSWER = 3  # and EVENT: the wire does not tell them apart
    BLOCK = 5
    DOWNLOAD = 9
    PROCESSED = 10


SET, GET, ANSWER, PROCESSED = Function.SET, Function.GET, Function.ANSWER, Function.PROCESSED

# --- 1 ENTRIES: sections 4.3 and 4.4 [R] ------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`sizes`: bytes of data per function, where the reference states them; None = any."""

    name: str
    index: int
    subindex: int
    sizes: dict[Function, int | None]
    source: str

    @property
    def address(self) -> tuple[int, int]:
        return self.index, self.subindex


def _entry(
    name: str,
    index: int,
    subindex: int,
    source: str,
    *,
    sets: int | None = None,
    gets: int | None = None,
    answers: int | None = None,
) -> Entry:
    given = ((SET, sets), (GET, gets), (ANSWER, answers))
    sizes: dict[Function, int | None] = {f: size for f, size in given if size is not None}
    return Entry(name=name, index=index, subindex=subindex, sizes=sizes, source=source)


_ROWS = (
    # name, index, subindex, source; bytes that SET and GET carry, and those of ANSWER or EVENT
    _entry("version", 0x00, 6, "4.2", sets=3, gets=0, answers=3),
    _entry("serial", 0x00, 11, "4.3; layout silent"),
    _entry("description", 0x00, 12, "4.3; layout silent"),
    _entry("battery", 0x12, 1, "4.3, X-ray battery level; layout and GET without data: chosen"),
    _entry("assign", 0x20, 4, "4.4", sets=3),
    _entry("acceptance", 0x20, 5, "4.4", answers=3),
    _entry("databank", 0x20, 12, "4.4, 4.5", sets=27, gets=1, answers=27),
    _entry("exposure", 0x20, 142, "4.4", sets=1),
    _entry("post_exposure", 0x20, 144, "4.4, 4.5; GET without data: chosen", gets=0, answers=21),
    _entry("status", 0x20, 147, "4.4, 4.5", gets=0, answers=14),
    _entry("message", 0x80, 1, "4.5", sets=10, answers=10),
    _entry("messages", 0x80, 2, "4.5", gets=0),
    _entry("connection", 0xA0, 1, "4.2", answers=2),
    _entry("node", 0xA0, 2, "4.2", gets=1, answers=2),
    _entry("heartbeat", 0xA0, 3, "4.2", gets=2, answers=2),
    _entry("connect", 0xA0, 4, "4.2", answers=1),
    _entry("activate", 0xE0, 2, "4.5", sets=6),
    _entry("procedure", 0xE0, 6, "4.5", sets=16),
    _entry("token", 0xF0, 30, "4.2", sets=2, answers=1),
)
ENTRIES = {entry.name: entry for entry in _ROWS}
INDEXES = frozenset(  # 4.3
    (0x00, 0x06, 0x07, 0x12, 0x13, 0x20, 0x40, 0x60, 0x80, 0xA0, 0xC0, 0xE0, 0xF0)
)
_NODES = frozenset(Node)
_FUNCTIONS = frozenset(Function)


def entry_at(index: int, subindex: int) -> Entry | None:
    """None: an entry that this file knows nothing of, such as a positioner's."""
    return next((e for e in ENTRIES.values() if e.address == (index, subindex)), None)


# --- 2 encode and decode, both ways -----------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    sequence_index: int  # 1-63, counted by the issuer
    target: int  # a Node
    issuer: int
    index: int
    subindex: int
    function: Function
    data: bytes = b""
    priority_index: int = 0  # 0 lowest .. 3; the host uses 0

    def is_of(self, name: str) -> bool:
        return (self.index, self.subindex) == ENTRIES[name].address


def encode(frame: Frame) -> bytes:
    """The bytes on the line. ValueError for what no frame can carry."""
    first = frame.sequence_index | frame.priority_index << 6
    size_bytes = len(frame.data)
    head = (first, frame.target, frame.issuer, frame.index, frame.subindex, frame.function)
    data = bytes(head) + size_bytes.to_bytes(2, "big") + frame.data
    why = problem(data)
    if why:
        raise ValueError(f"no frame: {why}: {data.hex(' ')}")
    return data


def take_frame(buffer: bytearray) -> Frame | None:
    """The next frame, consumed; None = more bytes are needed.

    Raises WireError after it has dropped what can't begin a frame. The result does not depend on
    how the stream was cut.
    """
    if len(buffer) < HEADER_BYTES:
        return None
    why = problem(buffer)
    if why:
        places = range(1, len(buffer) - HEADER_BYTES + 1)
        keep = next((at for at in places if not problem(buffer[at:])), places.stop)
        noise = bytes(buffer[:keep])
        del buffer[:keep]
        raise WireError(f"{why}: {noise.hex(' ')}")
    end = HEADER_BYTES + int.from_bytes(buffer[6:8], "big")
    if len(buffer) < end:
        return None
    raw = bytes(buffer[:end])
    del buffer[:end]
    return Frame(
        sequence_index=raw[0] & SEQUENCE_MAX,
        priority_index=raw[0] >> 6,
        target=raw[1],
        issuer=raw[2],
        index=raw[3],
        subindex=raw[4],
        function=Function(raw[5]),
        data=raw[HEADER_BYTES:],
    )


def frames_of(buffer: bytearray) -> Iterator[Frame]:
    """All whole frames; what is no frame is dropped on the way."""
    while True:
        try:
            frame = take_frame(buffer)
        except WireError:
            continue
        if frame is None:
            return
        yield frame


def problem(data: bytes | bytearray) -> str:
    """Why these bytes begin no frame; "" if their header is one."""
    first, target, issuer, index, subindex, function = data[:6]
    size_bytes = int.from_bytes(data[6:8], "big")
    if not first & SEQUENCE_MAX:
        return "sequence 0"
    if target not in _NODES or issuer not in _NODES or issuer in (Node.BROADCAST, target):
        return f"no message goes from node {issuer} to node {target}"
    if index not in INDEXES:
        return f"no index {index:#04x}"
    if function not in _FUNCTIONS:
        return f"no function {function}"
    if size_bytes > DATA_BYTES_MAX:
        return f"{size_bytes} bytes of data, at most {DATA_BYTES_MAX}"
    return _wrong_size(entry_at(index, subindex), Function(function), size_bytes)


def _wrong_size(entry: Entry | None, function: Function, size_bytes: int) -> str:
    """Where the reference states a length, another one is no frame."""
    wanted = 2 if function is PROCESSED else entry.sizes.get(function) if entry else None
    if wanted is None or wanted == size_bytes:
        return ""
    name = entry.name if entry else "an entry"
    return f"{function.name} of {name} with {size_bytes} bytes of data, not {wanted}"


# --- messages that are the same for every entry -----------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """A SET or GET of the application; the exchange gives it its sequence number."""

    name: str
    function: Function
    data: bytes = b""
    node: Node = Node.GENERATOR

    def framed(self, sequence_index: int) -> Frame:
        entry = ENTRIES[self.name]
        return Frame(
            sequence_index=sequence_index, target=self.node, issuer=Node.APPLICATION,
            index=entry.index, subindex=entry.subindex, function=self.function, data=self.data,
        )  # fmt: skip


def processed(frame: Frame) -> tuple[int, int]:
    """(sequence, result) of a MSG_PROCESSED (4.2). WireError when its sequence can be none."""
    sequence_index, result_code = frame.data
    if not 1 <= sequence_index <= SEQUENCE_MAX:
        raise WireError(f"MSG_PROCESSED of sequence {sequence_index}")
    return sequence_index, result_code


def heartbeat_answer(frame: Frame) -> bytes:
    """4.2: the own node, and the second byte turned over."""
    return bytes((frame.target, frame.data[1] ^ 0xFF))


START, STOP = Question("exposure", SET, b"\x01"), Question("exposure", SET, b"\x00")
ASK_STATUS, ASK_VERSION = Question("status", GET), Question("version", GET)
ASK_MESSAGES, ASK_POST = Question("messages", GET), Question("post_exposure", GET)
ASK_BATTERY = Question("battery", GET)
USE_V6 = Question("version", SET, b"\x06\x00A")
# Node status is the hub's to tell: the worked frames ask node 1.
ASK_NODE = {n: Question("node", GET, bytes((n,)), Node.HUB) for n in (17, 6)}
CONNECT = Question("connect", ANSWER, bytes((Node.APPLICATION,)), Node.HUB)
