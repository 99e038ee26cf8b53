"""The record at the scan boundary: what every link returned in every executed scan.

A file is one JSON header line, then entries `kind, size, payload`. Replay substitutes
exactly this layer, so a run needs nothing but its record and its configuration to run
again. About 10-30 bytes a scan; written as it happens, so that a killed unit leaves all
but its last scan. A disk that takes no more ends the record at its last whole scan, and
never the unit.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from hal.types import AecSetting, RecorderSample, Requests, Shot, ShotKind, Technique

SCHEMA = 1


class Kind(IntEnum):
    SCAN = 1  # dt_us, late_us
    GOT = 2  # link, bytes
    SENT = 3
    FAILED = 4  # link, text
    GOT_MESSAGE = 5  # link, parts
    SENT_MESSAGE = 6
    RECORDER = 7  # RecorderSample as JSON
    REQUESTS = 8  # Requests as JSON
    SAFE = 9  # as SCAN, but nothing was decided: the unit made safe and ended
    NOT_SENT = 10  # link, text: the link refused what stands in the SENT just before
    STOPPED = 11  # text: the disk took no more, the run went on


class RecordError(Exception):
    """The record can't be read. Carries what and where."""


class RecordFile(Protocol):
    """What a record needs of a file, buffered or not."""

    def write(self, data: memoryview, /) -> int | None: ...

    def truncate(self, size: int, /) -> int: ...

    def seek(self, offset: int, /) -> int: ...


class Recording:
    """Writes a record; it is the sink of every tap.

    `stopped`: why nothing is written any more, None as long as all is well.
    """

    def __init__(self, file: RecordFile, header: dict[str, Any]) -> None:
        """`file`: may be unbuffered. Raises OSError when not even the header can be written."""
        self._file = file
        self.stopped: OSError | None = None
        self._whole_bytes = 0  # up to the end of the last scan that is in the file
        self._links: list[str] = header["links"]
        self._chunk = bytearray()
        self._t_us = 0
        self._write(json.dumps({"schema": SCHEMA, **header}).encode() + b"\n")

    def scan(self, t_us: int, late_us: int, *, safe: bool = False) -> None:
        self._entry(Kind.SAFE if safe else Kind.SCAN, _varint(t_us - self._t_us) + _varint(late_us))
        self._t_us = t_us

    def got(self, link: str, data: bytes) -> None:
        self._entry(Kind.GOT, self._link(link) + data)

    def sent(self, link: str, data: bytes) -> None:
        self._entry(Kind.SENT, self._link(link) + data)

    def failed(self, link: str, why: str) -> None:
        self._entry(Kind.FAILED, self._link(link) + why.encode())

    def not_sent(self, link: str, why: str) -> None:
        self._entry(Kind.NOT_SENT, self._link(link) + why.encode())

    def got_message(self, link: str, message: list[bytes]) -> None:
        self._entry(Kind.GOT_MESSAGE, self._link(link) + _parts(message))

    def sent_message(self, link: str, message: list[bytes]) -> None:
        self._entry(Kind.SENT_MESSAGE, self._link(link) + _parts(message))

    def recorder(self, sample: RecorderSample) -> None:
        self._entry(Kind.RECORDER, json.dumps(asdict(sample)).encode())

    def requests(self, requests: Requests) -> None:
        self._entry(Kind.REQUESTS, json.dumps(asdict(requests)).encode())

    def end_scan(self) -> None:
        """Hand the scan's entries to the file: one write, no fsync (that is not the unit's)."""
        chunk = bytes(self._chunk)
        self._chunk.clear()
        if self.stopped is not None:
            return
        try:
            self._write(chunk)
        except OSError as error:
            self._stop(error)

    def _write(self, data: bytes) -> None:
        """All of it: an unbuffered file may take a part, and only then raise."""
        rest = memoryview(data)
        while rest:
            count_bytes = self._file.write(rest)
            if not count_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            rest = rest[count_bytes:]
        self._whole_bytes += len(data)

    def _stop(self, error: OSError) -> None:
        """Cut back to the last whole scan, and say so in what that frees."""
        self.stopped = error
        with contextlib.suppress(OSError):
            self._file.truncate(self._whole_bytes)
            self._file.seek(self._whole_bytes)
            why = (error.strerror or str(error)).encode()
            self._file.write(memoryview(_entry(Kind.STOPPED, why)))

    def _link(self, name: str) -> bytes:
        return bytes([self._links.index(name)])

    def _entry(self, kind: Kind, payload: bytes) -> None:
        self._chunk += _entry(kind, payload)


def _entry(kind: Kind, payload: bytes) -> bytes:
    return bytes([kind]) + _varint(len(payload)) + payload


@dataclass(slots=True)
class ScanRecord:
    t_us: int
    late_us: int
    safe: bool = False
    got: dict[str, bytes] = field(default_factory=dict)
    sent: dict[str, bytes] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    got_messages: dict[str, list[list[bytes]]] = field(default_factory=dict)
    sent_messages: dict[str, list[list[bytes]]] = field(default_factory=dict)
    writes_count: dict[str, int] = field(default_factory=dict)
    not_sent: dict[str, dict[int, str]] = field(default_factory=dict)  # of the nth write: why
    recorder: RecorderSample | None = None
    requests: Requests | None = None


class Record(NamedTuple):
    header: dict[str, Any]
    scans: list[ScanRecord]
    trouble: str  # why the record ends before the run did; "" where nothing says that it does


def read_record(path: Path) -> Record:
    """Up to the first damage, which is told, or to where a kill cut it off, which leaves no trace.

    Raises RecordError when there is no readable header, OSError as usual.
    """
    head, newline, body = path.read_bytes().partition(b"\n")
    try:
        header = json.loads(head)
        links: list[str] = header["links"]
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"{path}: no record header in its first line; the file is damaged"
        ) from error
    if not newline or header.get("schema") != SCHEMA:
        raise RecordError(
            f"{path}: its header says schema {header.get('schema')}, this version reads "
            f"{SCHEMA}; the file is damaged or of another version"
        )
    return Record(header, *_scans(body, links, len(head) + 1))


class RecordTail:
    """A record that is still being written: its header, and the scans that have been added."""

    def __init__(self, path: Path) -> None:
        """Raises RecordError when there is no readable header (yet), OSError as usual."""
        self._path = path
        record = read_record(path)
        self.header = record.header
        self._at_bytes = whole_bytes(path)
        self._t_us = record.scans[-1].t_us if record.scans else 0
        self._open: list[ScanRecord] = []  # the newest scan, whose entries may still come

    def news(self) -> list[ScanRecord]:
        """The scans that are whole since the last call: a scan is, once the next has begun."""
        with self._path.open("rb") as file:
            file.seek(self._at_bytes)
            body = file.read()
        for _, kind, payload in _entries(body):
            if kind in (Kind.SCAN, Kind.SAFE):
                dt_us, rest = _read_varint(payload)
                self._t_us += dt_us
                safe = kind == Kind.SAFE
                self._open.append(ScanRecord(self._t_us, _read_varint(rest)[0], safe))
            elif self._open and kind != Kind.STOPPED:
                _fill(self._open[-1], Kind(kind), payload, self.header["links"])
            self._at_bytes += 1 + len(_varint(len(payload))) + len(payload)
        found, self._open = self._open[:-1], self._open[-1:]
        return found


def whole_bytes(path: Path) -> int:
    """Up to where the file's entries are whole; less than its size when the last one is cut off.

    `path`: of a record whose header can be read. Raises OSError.
    """
    head, _, body = path.read_bytes().partition(b"\n")
    end_bytes = len(head) + 1
    for at_bytes, _, payload in _entries(body):
        size_bytes = 1 + len(_varint(len(payload))) + len(payload)
        end_bytes = len(head) + 1 + at_bytes + size_bytes
    return end_bytes


def _scans(body: bytes, links: list[str], start_bytes: int) -> tuple[list[ScanRecord], str]:
    """(scans, trouble); a scan with a damaged entry does not count."""
    scans: list[ScanRecord] = []
    t_us = 0
    for at_bytes, kind, payload in _entries(body):
        try:
            if kind in (Kind.SCAN, Kind.SAFE):
                dt_us, rest = _read_varint(payload)
                t_us += dt_us
                scans.append(ScanRecord(t_us, _read_varint(rest)[0], kind == Kind.SAFE))
            elif kind == Kind.STOPPED:
                return scans, f"nothing was recorded after this ({payload.decode()})"
            else:
                _fill(scans[-1], Kind(kind), payload, links)
        except (ValueError, IndexError, KeyError, TypeError):
            what = f"the entry at byte {start_bytes + at_bytes} is damaged"
            return scans[:-1], what
    return scans, ""


def _entries(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    at_bytes = 0
    while at_bytes < len(body):
        try:
            size_bytes, rest = _read_varint(body[at_bytes + 1 : at_bytes + 11])
        except IndexError:
            return  # cut off in the middle of an entry: the unit was killed there
        start = at_bytes + 1 + (min(10, len(body) - at_bytes - 1) - len(rest))
        if start + size_bytes > len(body):
            return
        yield at_bytes, body[at_bytes], body[start : start + size_bytes]
        at_bytes = start + size_bytes


def _fill(scan: ScanRecord, kind: Kind, payload: bytes, links: list[str]) -> None:
    if kind == Kind.RECORDER:
        content = json.loads(payload)
        lists = {name: tuple(one) for name, one in content.items() if isinstance(one, list)}
        scan.recorder = RecorderSample(**content | lists)
        return
    if kind == Kind.REQUESTS:
        scan.requests = requests_from(json.loads(payload))
        return
    link, data = links[payload[0]], payload[1:]
    if kind == Kind.GOT:
        scan.got[link] = scan.got.get(link, b"") + data
    elif kind == Kind.FAILED:
        scan.failed[link] = data.decode()
    elif kind == Kind.GOT_MESSAGE:
        scan.got_messages.setdefault(link, []).append(_read_parts(data))
    else:
        _fill_write(scan, kind, link, data)


def _fill_write(scan: ScanRecord, kind: Kind, link: str, data: bytes) -> None:
    count = scan.writes_count.get(link, 0)
    if kind == Kind.NOT_SENT:
        scan.not_sent.setdefault(link, {})[count - 1] = data.decode()
        return
    scan.writes_count[link] = count + 1
    if kind == Kind.SENT:
        scan.sent[link] = scan.sent.get(link, b"") + data
    else:
        scan.sent_messages.setdefault(link, []).append(_read_parts(data))


def requests_from(data: dict[str, Any]) -> Requests:
    shot = data["shot"]
    return Requests(
        shot=shot and shot_from(shot), stop=bool(data["stop"]), reset=bool(data["reset"])
    )


def shot_from(data: dict[str, Any]) -> Shot:
    """Raises KeyError, TypeError, ValueError for what is no shot."""
    kind = ShotKind(data.get("kind", ShotKind.IMAGING))
    return Shot(**{**data, "technique": _technique_from(data["technique"]), "kind": kind})


def _technique_from(data: object) -> Technique:
    """Records of before AEC say nothing of it."""
    if not isinstance(data, dict):
        raise TypeError(f"technique must be an object, got {data!r}")
    aec = data.get("aec")
    setting = AecSetting(**{**aec, "chambers": tuple(aec["chambers"])}) if aec else None
    return Technique(**{**data, "aec": setting})


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes) -> tuple[int, bytes]:
    number = 0
    for index in range(10):
        number |= (data[index] & 0x7F) << (7 * index)
        if not data[index] & 0x80:
            return number, data[index + 1 :]
    raise ValueError("number too long")


def _parts(message: list[bytes]) -> bytes:
    return b"".join(_varint(len(part)) + part for part in message)


def _read_parts(data: bytes) -> list[bytes]:
    parts = []
    while data:
        size_bytes, data = _read_varint(data)
        parts.append(data[:size_bytes])
        data = data[size_bytes:]
    return parts
