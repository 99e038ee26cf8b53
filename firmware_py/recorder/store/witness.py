"""A second witness beside the journal, which finds out when the journal has lost something.

128 bytes a record, appended with O_DSYNC: an intent or its end. It is written after the
journal's commit and before anybody is told, so the journal always knows at least as much. One
that knows less is an older copy that somebody put back, or its disk lied (security 6.3).
"""

from __future__ import annotations

import errno
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from firmware_py.recorder.store.exposures import Exposure
from firmware_py.recorder.store.files import write_file

# magic, kind, number, kV, seconds since 1970, mAs, shot id; then the checksum of all of it
_BODY = struct.Struct("<4sB3xIfdd64s28x")
_CHECKSUM = struct.Struct("<I")
RECORD_BYTES = _BODY.size + _CHECKSUM.size
MAGIC = b"DXW1"
_INTENT, _BEAM, _NO_BEAM = 1, 2, 3
ID_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentSeen:
    """`maximum_mas` bounds the dose where nothing else is known."""

    shot_id: str
    number: int
    at_s: float
    kv: float
    maximum_mas: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndSeen:
    """`mas` None: unknown."""

    shot_id: str
    at_s: float
    beam: bool
    mas: float | None


Seen = IntentSeen | EndSeen


class Witness:
    """The one writer. Raises OSError; but for a full disk it has `failed` then (6.4)."""

    def __init__(self, path: Path) -> None:
        self.found = tuple(read_witness(path))
        self._told = {(type(one), one.shot_id) for one in self.found}
        self.failed = False  # what it said may not be on the disk: `renew`, and open it again
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_DSYNC
        self._handle = os.open(path, flags, 0o600)
        try:
            whole_bytes = os.fstat(self._handle).st_size // RECORD_BYTES * RECORD_BYTES
            os.ftruncate(self._handle, whole_bytes)  # what a power cut tore
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        os.close(self._handle)

    def add(self, *seen: Seen) -> None:
        """The same again is no error, and nothing new."""
        new = {key: one for one in seen if (key := (type(one), one.shot_id)) not in self._told}
        if not new:
            return
        try:
            self._append(b"".join(map(_packed, new.values())))
        except OSError as error:
            self.failed = error.errno not in (errno.ENOSPC, errno.EDQUOT)
            raise
        self._told |= new.keys()

    def heard(self, kind: type[Seen], shot_id: str) -> bool:
        return (kind, shot_id) in self._told

    def _append(self, records: bytes) -> None:
        before_bytes = os.fstat(self._handle).st_size
        written_bytes = os.write(self._handle, records)
        if written_bytes != len(records):
            with suppress(OSError):
                os.ftruncate(self._handle, before_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """What the witness saw and the journal does not know."""

    intents: tuple[IntentSeen, ...]
    ends: tuple[EndSeen, ...]

    @property
    def shot_ids(self) -> tuple[str, ...]:
        ids = [seen.shot_id for seen in self.intents] + [seen.shot_id for seen in self.ends]
        return tuple(dict.fromkeys(ids))


def unknown_to(known: Mapping[str, Exposure], seen: Iterable[Seen]) -> Lost:
    """`known`: the journal's exposures by id."""
    seen = tuple(seen)
    intents = [one for one in seen if isinstance(one, IntentSeen) and one.shot_id not in known]
    ends = [
        one
        for one in seen
        if isinstance(one, EndSeen)
        and (one.shot_id not in known or known[one.shot_id].beam is None)
    ]
    there = {*known, *(one.shot_id for one in intents)}
    return Lost(intents=tuple(intents), ends=tuple(one for one in ends if one.shot_id in there))


def renew(path: Path) -> None:
    """On a new file, with all that can be read of the old one. Raises OSError."""
    write_file(path, [_packed(one) for one in read_witness(path)])


def read_witness(path: Path) -> Iterator[Seen]:
    """What it saw, in order; damaged records are left out. A missing file saw nothing."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    for at_bytes in range(0, len(data) - RECORD_BYTES + 1, RECORD_BYTES):
        seen = _unpacked(data[at_bytes : at_bytes + RECORD_BYTES])
        if seen is not None:
            yield seen


def _packed(seen: Seen) -> bytes:
    name = seen.shot_id.encode()
    if len(name) > ID_BYTES:
        raise ValueError(f"shot id {seen.shot_id!r}: at most {ID_BYTES} bytes")
    if isinstance(seen, IntentSeen):
        values = (_INTENT, seen.number, seen.kv, seen.at_s, seen.maximum_mas)
    else:
        mas = math.nan if seen.mas is None else seen.mas
        values = (_BEAM if seen.beam else _NO_BEAM, 0, 0.0, seen.at_s, mas)
    body = _BODY.pack(MAGIC, *values, name)
    return body + _CHECKSUM.pack(zlib.crc32(body))


def _unpacked(record: bytes) -> Seen | None:
    body, (checksum,) = record[: _BODY.size], _CHECKSUM.unpack(record[_BODY.size :])
    magic, kind, number, kv, at_s, mas, name = _BODY.unpack(body)
    if zlib.crc32(body) != checksum or magic != MAGIC:
        return None
    shot_id = name.rstrip(b"\0").decode(errors="replace")
    if kind == _INTENT:
        return IntentSeen(shot_id=shot_id, number=number, at_s=at_s, kv=kv, maximum_mas=mas)
    known = None if math.isnan(mas) else mas
    return EndSeen(shot_id=shot_id, at_s=at_s, beam=kind == _BEAM, mas=known)
