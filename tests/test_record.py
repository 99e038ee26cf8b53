"""The record on a disk that takes a part, or nothing more; and one that was damaged."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from firmware_py.record import RecordError, Recording, read_record
from rig.replay import replay
from tests.model_runs import kept

HEADER = {"links": ["generator"]}
SCAN_BYTES = 5 + 6  # kind, size, dt of 2 bytes, late; kind, size, link, 3 bytes


class Disk:
    """Holds `room_bytes`; takes at most `most_bytes` of each write, like a pipe or a full disk."""

    def __init__(self, room_bytes: int = 10**9, most_bytes: int = 10**9) -> None:
        self.data = b""
        self.room_bytes, self.most_bytes = room_bytes, most_bytes
        self.refused_count = 0

    def write(self, data: memoryview) -> int:
        taken = bytes(data)[: min(self.most_bytes, self.room_bytes - len(self.data))]
        if not taken:
            self.refused_count += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        self.data += taken
        return len(taken)

    def truncate(self, size: int) -> int:
        self.data = self.data[:size]
        return size

    def seek(self, offset: int) -> int:
        assert offset == len(self.data)
        return offset


def _scans(recording: Recording, count: int, t_us: int = 0) -> None:
    for index in range(count):
        recording.scan(t_us + (index + 1) * 5_000, 0)
        recording.got("generator", b"abc")
        recording.end_scan()


def _read(disk: Disk, folder: Path) -> tuple[list[int], str]:
    path = folder / "record.bin"
    path.write_bytes(disk.data)
    _, scans, trouble = read_record(path)
    assert all(scan.got == {"generator": b"abc"} for scan in scans)
    return [scan.t_us for scan in scans], trouble


def _header_bytes() -> int:
    disk = Disk()
    Recording(disk, HEADER)
    return len(disk.data)


def test_a_write_that_takes_a_part_is_gone_on_with(tmp_path: Path) -> None:
    disk = Disk(most_bytes=4)
    recording = Recording(disk, HEADER)
    _scans(recording, 3)
    assert recording.stopped is None
    assert _read(disk, tmp_path) == ([5_000, 10_000, 15_000], "")


@pytest.mark.parametrize("spare_bytes", range(SCAN_BYTES))
def test_a_full_disk_leaves_whole_scans_and_stops_nobody(spare_bytes: int, tmp_path: Path) -> None:
    disk = Disk(room_bytes=_header_bytes() + 2 * SCAN_BYTES + spare_bytes)
    recording = Recording(disk, HEADER)
    _scans(recording, 5)
    assert isinstance(recording.stopped, OSError)
    assert _read(disk, tmp_path)[0] == [5_000, 10_000]


def test_a_record_that_stopped_says_why_and_is_not_begun_again(tmp_path: Path) -> None:
    disk = Disk(room_bytes=_header_bytes() + 60)
    recording = Recording(disk, HEADER)
    _scans(recording, 5)
    disk.room_bytes = len(disk.data)
    recording.scan(30_000, 0)
    recording.got("generator", b"x" * 100)
    recording.end_scan()
    disk.room_bytes, refused_count = 10**9, disk.refused_count
    _scans(recording, 2, t_us=35_000)
    assert disk.refused_count == refused_count
    assert _read(disk, tmp_path)[0] == [5_000, 10_000, 15_000, 20_000, 25_000]


def test_why_it_stopped_is_read_back(tmp_path: Path) -> None:
    disk = Disk(room_bytes=_header_bytes() + SCAN_BYTES + 30)
    recording = Recording(disk, HEADER)
    _scans(recording, 1)
    recording.scan(10_000, 0)
    recording.got("generator", b"x" * 100)
    recording.end_scan()
    assert _read(disk, tmp_path) == (
        [5_000],
        "nothing was recorded after this (No space left on device)",
    )


def test_a_header_that_has_no_room_is_an_error_at_once() -> None:
    with pytest.raises(OSError, match="No space left"):
        Recording(Disk(room_bytes=10), HEADER)


def test_the_scans_before_a_damage_are_kept_and_the_damage_is_told(tmp_path: Path) -> None:
    disk = Disk()
    _scans(Recording(disk, HEADER), 5)
    third_bytes = _header_bytes() + 2 * SCAN_BYTES
    damaged = bytearray(disk.data)
    damaged[third_bytes + 5 + 2] = 9  # the link's number
    disk.data = bytes(damaged)
    times_us, trouble = _read(disk, tmp_path)
    assert times_us == [5_000, 10_000]
    assert trouble == f"the entry at byte {third_bytes + 5} is damaged"


def test_without_a_header_there_is_no_record(tmp_path: Path) -> None:
    path = tmp_path / "record.bin"
    path.write_bytes(json.dumps({"schema": 1}).encode() + b"\n")
    with pytest.raises(RecordError, match="no record header"):
        read_record(path)


def test_a_damaged_record_is_replayed_up_to_its_damage(tmp_path: Path) -> None:
    kept("clean_by_mas", tmp_path)
    path = tmp_path / "record.bin"
    data = bytearray(path.read_bytes())
    at = data.index(b"ENBL1")  # \x02 stands before it, the link before that
    data[at - 2] = 77
    path.write_bytes(data)
    scans = read_record(path).scans
    scan_count = len(scans)
    first = replay(tmp_path).differences[0]
    assert scan_count > 100
    assert first == (
        f"record.bin: good up to scan {scan_count - 1} at {scans[-1].t_us / 1000:.3f} ms; "
        f"then the entry at byte {at - 4} is damaged"
    )
