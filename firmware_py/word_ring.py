"""A ring of fixed-size records in memory that outlives its process: the newest COUNT, no header.

    record = magic 4 | number 8 | body 240 | CRC-32 of all before 4      little-endian, 256 bytes

A kill may come in the middle of a record: its checksum shows it. The numbers go on from one life
of the writer to the next, so that the newest record of an earlier life is found until it is
written over.
"""

from __future__ import annotations

import struct
import zlib
from mmap import mmap

RECORD_BYTES, COUNT = 256, 64  # at a scan of 5 ms the newest 320 ms
SIZE_BYTES = RECORD_BYTES * COUNT
_MAGIC = b"dxw1"
_HEAD = struct.Struct("<4sQ")
_SUM = struct.Struct("<I")
BODY_BYTES = RECORD_BYTES - _HEAD.size - _SUM.size
_BLANK = bytes(RECORD_BYTES)

Page = mmap | bytearray  # of SIZE_BYTES


class Ring:
    """The one writer of a page."""

    def __init__(self, page: Page) -> None:
        self._page = page
        found = _newest(bytes(page))
        self._number = found[0] if found else 0

    def add(self, body: bytes) -> None:
        """`body`: at most BODY_BYTES. A copy within memory: nothing here waits."""
        self._number += 1
        record = _HEAD.pack(_MAGIC, self._number) + body.ljust(BODY_BYTES, b"\0")
        at_bytes = RECORD_BYTES * (self._number % COUNT)
        self._page[at_bytes : at_bytes + RECORD_BYTES] = record + _SUM.pack(zlib.crc32(record))


def newest_body(page: bytes) -> bytes | None:
    """None: empty, or nobody can say that it is the newest: what stands after it is torn.

    A torn record further back is of no interest. One just after the newest may be all that is left
    of a later scan.
    """
    found = _newest(page) if len(page) == SIZE_BYTES else None
    if found is None:
        return None
    number, record = found
    after = _record(page, (number + 1) % COUNT)
    is_older = _number_of(after) == number + 1 - COUNT
    return record[_HEAD.size : -_SUM.size] if after == _BLANK or is_older else None


def _newest(page: bytes) -> tuple[int, bytes] | None:
    found = [(_number_of(one), one) for one in (_record(page, index) for index in range(COUNT))]
    return max(((number, one) for number, one in found if number is not None), default=None)


def _record(page: bytes, index: int) -> bytes:
    return page[RECORD_BYTES * index : RECORD_BYTES * (index + 1)]


def _number_of(record: bytes) -> int | None:
    """None: it is blank, torn or nonsense."""
    (told,) = _SUM.unpack(record[-_SUM.size :])
    magic, number = _HEAD.unpack_from(record)
    is_whole = magic == _MAGIC and told == zlib.crc32(record[: -_SUM.size])
    return int(number) if is_whole else None
