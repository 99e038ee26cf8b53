"""The scan never waits for a disk: what it hands over, and what the scribe leaves of it."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import pytest

from firmware_py.decide.memory import State
from firmware_py.handover import (
    LIMIT_BYTES,
    START_S,
    HandedFile,
    Handover,
    StoreError,
    scribe_of,
)
from firmware_py.record import Kind, Recording, read_record
from firmware_py.scribe import HEAD, OPEN, WRITE, Scribe, WrittenFile
from rig.unit_files import wait_until_written
from tests.live_bench import until
from tests.whole_unit import Whole

HEADER = {"links": ["generator"]}
SCAN_US = 5_000
SCAN_BYTES = 70  # where a device speaks most, heads and trace included; commonly half of that
STALL_S = 30
pytestmark = pytest.mark.req("SR-31")


class Desk:
    """Both ends of the pipes, and a scribe that reads only when the test lets it."""

    def __init__(self, folder: Path, **options: int) -> None:
        its_chunks, chunks = os.pipe()
        said, its_said = os.pipe()
        self.handover = Handover(chunks, said, **options)
        self.chunks, self._its_chunks, self._its_said = chunks, its_chunks, its_said
        self._heard = bytearray()
        self.scribe = Scribe(str(folder), its_said)
        os.set_blocking(its_chunks, False)

    def fill(self) -> None:
        """A pipe whose other end nobody reads any more."""
        with suppress(BlockingIOError):
            while True:
                os.write(self.chunks, HEAD.pack(WRITE, 99, 58) + bytes(58))  # for no file

    def read_all(self) -> None:
        with suppress(BlockingIOError):
            while data := os.read(self._its_chunks, 1 << 16):
                self._heard += data
                del self._heard[: self.scribe.take(self._heard)]

    def leave(self) -> None:
        os.close(self._its_chunks)
        os.close(self._its_said)

    def end(self) -> None:
        for close in (self.handover.close, self.leave):
            with suppress(OSError):
                close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path, limit_bytes=4_000)
    yield made
    made.end()


def scans(recording: Recording, count: int, t_us: int = 0) -> None:
    for index in range(count):
        recording.scan(t_us + (index + 1) * SCAN_US, 0)
        recording.got("generator", b"abc")
        recording.end_scan()


def times_us(path: Path) -> tuple[list[int], str]:
    _, found, trouble = read_record(path)
    assert all(scan.got == {"generator": b"abc"} for scan in found)
    return [scan.t_us for scan in found], trouble


# --- a store that stalls


def test_a_scan_hands_over_and_goes_on_while_nobody_reads(desk: Desk, tmp_path: Path) -> None:
    """Every scan of the stall is in the record, though the disk came back late."""
    recording = Recording(desk.handover.open("record.bin"), HEADER)
    desk.fill()
    scans(recording, 100)
    assert recording.stopped is None
    desk.read_all()
    scans(recording, 1, t_us=100 * SCAN_US)  # the next scan moves what waited
    desk.read_all()
    assert times_us(tmp_path / "record.bin") == ([n * SCAN_US for n in range(1, 102)], "")


def test_a_stall_beyond_the_limit_ends_the_record_with_its_reason(
    desk: Desk, tmp_path: Path
) -> None:
    recording = Recording(desk.handover.open("record.bin"), HEADER)
    desk.fill()
    scans(recording, 1_000)
    assert isinstance(recording.stopped, StoreError)
    desk.read_all()
    with suppress(StoreError):
        desk.handover.settle(0.0)
    desk.read_all()
    found_us, trouble = times_us(tmp_path / "record.bin")
    assert 100 < len(found_us) < 1_000
    assert found_us == [n * SCAN_US for n in range(1, len(found_us) + 1)]
    assert trouble == "nothing was recorded after this (the disk keeps all waiting)"
    assert (tmp_path / "record.bin").read_bytes().count(bytes([Kind.STOPPED])) == 1


def test_a_file_that_ended_stays_ended_when_the_disk_comes_back(desk: Desk, tmp_path: Path) -> None:
    """A trace with a hole in it would tell a story that never was."""
    trace = desk.handover.open("trace.jsonl")
    desk.fill()
    with suppress(StoreError):
        for number in range(1_000):
            trace.write(f"line {number}\n")
    desk.read_all()
    for _ in range(3):
        with pytest.raises(StoreError):
            trace.write("after the hole\n")
        desk.read_all()
    lines = (tmp_path / "trace.jsonl").read_text().splitlines()
    assert lines == [f"line {number}" for number in range(len(lines))]


def test_what_may_wait_is_half_a_minute_of_scans_and_more() -> None:
    """In memory alone, where the system grants no large pipe."""
    assert LIMIT_BYTES >= STALL_S * 1_000_000 // SCAN_US * SCAN_BYTES


def test_a_beam_is_the_same_while_nobody_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record ends somewhere in the sequence; no line of the trace differs for it."""
    traces = []
    for limit_bytes in (2_000, LIMIT_BYTES):
        desk = Desk(tmp_path, limit_bytes=limit_bytes)
        header = {"links": ["generator", "room", "panel"]}
        record = desk.handover.open("record.bin")
        monkeypatch.setattr("tests.whole_unit.Tape", partial(Recording, record, header))
        desk.fill()
        whole = Whole().until(State.STANDBY).pass_us(100_000)
        whole.do("press", stage=1)
        whole.until(State.READY).do("press", stage=2)
        whole.until(State.READOUT).do("release")
        whole.until(State.STANDBY)
        assert (whole.unit.record_trouble is not None) is (limit_bytes == 2_000)
        assert whole.beams == 1
        traces.append([line.as_json() for line in whole.lines])
        desk.end()
    assert traces[0] == traces[1]


# --- a disk that takes no more


@contextmanager
def room_for(file_bytes: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every file of the scribe's holds so much; a write that has no room takes a part first."""
    whole: Callable[..., int] = os.write

    def write(file: int, data: memoryview) -> int:
        if not os.readlink(f"/proc/self/fd/{file}").startswith("/"):
            return whole(file, data)  # a pipe
        room_bytes = file_bytes - os.lseek(file, 0, os.SEEK_CUR)
        if room_bytes <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(file, data[:room_bytes])

    with monkeypatch.context() as patched:
        patched.setattr("firmware_py.scribe.os.write", write)
        yield


@pytest.mark.parametrize("spare_bytes", range(13))
def test_a_full_disk_is_told_and_leaves_whole_scans(
    desk: Desk, tmp_path: Path, spare_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(desk.handover.open("record.bin"), HEADER)
    scans(recording, 2)
    desk.read_all()
    size_bytes = (tmp_path / "record.bin").stat().st_size
    with room_for(size_bytes + spare_bytes, monkeypatch):
        scans(recording, 5, t_us=10_000)  # in flight before the disk's word comes back
        desk.read_all()
        scans(recording, 5, t_us=35_000)
        desk.read_all()
    assert recording.stopped is not None
    assert recording.stopped.errno == errno.ENOSPC
    found_us, _ = times_us(tmp_path / "record.bin")
    assert found_us == [5_000, 10_000, 15_000][: 2 + spare_bytes // 11]


def test_where_there_is_room_for_it_the_record_says_why_it_ends(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = Recording(desk.handover.open("record.bin"), HEADER)
    scans(recording, 1)
    with room_for(1_000, monkeypatch):
        scans(recording, 90, t_us=5_000)
        desk.read_all()
        scans(recording, 1, t_us=500_000)
    desk.read_all()
    found_us, trouble = times_us(tmp_path / "record.bin")
    assert found_us == [n * SCAN_US for n in range(1, len(found_us) + 1)]
    assert trouble == "nothing was recorded after this (No space left on device)"


def test_nothing_is_written_behind_a_torn_chunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    file = WrittenFile(str(tmp_path / "record.bin"))
    monkeypatch.setattr("firmware_py.scribe.os.ftruncate", cannot)
    file.add(b"12345678")
    file.add(b"12345678")
    with room_for(10, monkeypatch), pytest.raises(OSError, match="No space"):
        file.write()
    file.go_on()
    file.add(b"STOPPED")
    file.write()
    assert (tmp_path / "record.bin").read_bytes() == b"1234567812"


@pytest.mark.parametrize("name", ["not/there.bin", "."])
def test_a_file_that_cannot_be_opened_is_told_before_the_first_scan(
    tmp_path: Path, name: str
) -> None:
    with scribe_of(tmp_path) as handover:
        Recording(handover.open(name), HEADER)
        with pytest.raises(OSError, match=r"No such file|Is a directory"):
            handover.settle(START_S)


# --- chunks


@pytest.mark.parametrize("part_bytes", [1, 2, 5, 7, 11, 1 << 16])
def test_the_stream_may_be_cut_anywhere(tmp_path: Path, part_bytes: int) -> None:
    said = b"".join(
        HEAD.pack(what, number, len(data)) + data
        for what, number, data in [
            (OPEN, 0, b"a"), (OPEN, 1, b"b"), (WRITE, 0, b"one "), (WRITE, 1, b"1"),
            (WRITE, 0, b""), (WRITE, 0, b"two"), (WRITE, 1, b"2" * 300),
        ]
    )  # fmt: skip
    scribe, heard = Scribe(str(tmp_path), -1), bytearray()
    for at_bytes in range(0, len(said), part_bytes):
        heard += said[at_bytes : at_bytes + part_bytes]
        del heard[: scribe.take(heard)]
    assert heard == b""
    assert (tmp_path / "a").read_bytes() == b"one two"
    assert (tmp_path / "b").read_bytes() == b"1" + b"2" * 300


def test_of_a_chunk_that_did_not_come_whole_nothing_is_written(tmp_path: Path) -> None:
    """A unit killed in mid-write leaves whole scans."""
    said = HEAD.pack(OPEN, 0, 1) + b"a" + HEAD.pack(WRITE, 0, 3) + b"one"
    scribe = Scribe(str(tmp_path), -1)
    assert scribe.take(said + HEAD.pack(WRITE, 0, 3) + b"tw") == len(said)
    assert (tmp_path / "a").read_bytes() == b"one"


# --- processes

UNIT = """
import os, signal, sys
from pathlib import Path
from firmware_py.handover import START_S, scribe_of
with scribe_of(Path(sys.argv[1])) as handover:
    file = handover.open("trace.jsonl")
    handover.settle(START_S)
    print(*os.popen(f"cat /proc/{os.getpid()}/task/{os.getpid()}/children"), flush=True)
    sys.stdin.read(1)
    for number in range(5000):
        file.write(f"line {number}\\n")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_unit_leaves_every_byte_that_it_had_handed_over(tmp_path: Path) -> None:
    """The disk stalls (the scribe is stopped), the unit dies, the disk comes back."""
    unit = subprocess.Popen(
        [sys.executable, "-c", UNIT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert unit.stdin is not None
    assert unit.stdout is not None
    scribe = int(unit.stdout.readline().split()[0])
    os.kill(scribe, signal.SIGSTOP)
    unit.communicate(b"x")
    assert unit.returncode == -signal.SIGKILL
    trace = tmp_path / "trace.jsonl"
    assert not wait_until_written(trace, 0.05)
    os.kill(scribe, signal.SIGCONT)
    assert wait_until_written(trace, 30.0)
    assert trace.read_text().splitlines() == [f"line {number}" for number in range(5_000)]
    until(lambda: not Path(f"/proc/{scribe}/exe").exists())


def children() -> list[int]:
    pid = os.getpid()
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_killed_scribe_ends_the_record_and_no_unit(tmp_path: Path) -> None:
    before = set(children())
    with scribe_of(tmp_path) as handover:
        recording = Recording(handover.open("record.bin"), HEADER)
        handover.settle(START_S)
        (scribe,) = set(children()) - before
        scans(recording, 3)
        handover.settle(START_S)
        os.kill(scribe, signal.SIGKILL)
        os.waitid(os.P_PID, scribe, os.WEXITED | os.WNOWAIT)
        scans(recording, 3, t_us=15_000)
        assert isinstance(recording.stopped, StoreError)
        assert recording.stopped.strerror == "the process that writes the unit's files is gone"
    assert times_us(tmp_path / "record.bin") == ([5_000, 10_000, 15_000], "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_that_ends_the_unit_does_not_end_its_scribe(
    tmp_path: Path, number: signal.Signals
) -> None:
    before = set(children())
    with scribe_of(tmp_path) as handover:
        file: HandedFile = handover.open("trace.jsonl")
        handover.settle(START_S)
        (scribe,) = set(children()) - before
        os.kill(scribe, number)
        file.write("its last line\n")
    assert (tmp_path / "trace.jsonl").read_text() == "its last line\n"
    assert set(children()) == before


def test_nothing_of_the_units_is_the_scribes(tmp_path: Path) -> None:
    """No port, no socket, no place before others: three pipes' ends at most, and its files."""
    with (tmp_path / "a port").open("w"):
        before = set(children())
        with scribe_of(tmp_path) as handover:
            handover.open("record.bin")
            handover.settle(START_S)
            (scribe,) = set(children()) - before
            held = {os.readlink(one) for one in Path(f"/proc/{scribe}/fd").iterdir()}
            assert str(tmp_path / "record.bin") in held
            assert not any("a port" in one or one.startswith("socket:") for one in held)
            assert os.sched_getscheduler(scribe) == os.SCHED_OTHER
