"""A tap changes no byte, tells every frame, outlives an unplugged port, and is read again."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from firmware_py.record import Recording, RecordTail, ScanRecord, read_record
from hal.links import PipeLink, pipe
from hal.ports import Direction, Kind, LinkError
from rig.bench import load_bench
from rig.cli import main
from rig.service import tap_view
from rig.service.hearing import Hearing
from rig.service.middle import Middle
from rig.service.patient_lines import PatientLines
from rig.service.tape import Passage, Tape, passages, read_tape

UNIT = load_bench("portable").unit
TO, FROM = Direction.TO_DEVICE, Direction.FROM_DEVICE
# protocols.md 2.7 [C]: MON and its R4 reply, STAT and its reply, start and "not started"
MON, STAT = bytes.fromhex("024d4f4e0d"), bytes.fromhex("02535441540d")
MONITOR = bytes.fromhex("02 30373939 20 3032303030 20 2b30323534 20 31383530 20 32343632 0d")
IS_ON, ON = bytes.fromhex("02310d"), bytes.fromhex("02454e424c310d")


def dxrig(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="dxrig")


class Front(PipeLink):
    """The client's end in memory."""

    def __init__(self, link: PipeLink) -> None:
        self.__dict__.update(link.__dict__)
        self.url = "memory"
        self.done: list[str] = []
        self.there = True

    def filenos(self) -> list[int]:
        return []

    def connected(self) -> bool:
        return self.there

    def hang_up(self) -> None:
        self.done.append("hang up")

    def answer(self) -> None:
        self.done.append("answer")


class Pulled:
    """A device's port that can be pulled out."""

    def __init__(self, link: PipeLink) -> None:
        self._link = link
        self.gone = ""

    def read(self, t_us: int) -> bytes:
        if self.gone:
            raise LinkError(self.gone)
        return self._link.read(t_us)

    def write(self, t_us: int, data: bytes) -> None:
        if self.gone:
            raise LinkError(self.gone)
        self._link.write(t_us, data)

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()


class Tapped:
    def __init__(self) -> None:
        self.client, near = pipe()
        self.device, far = pipe()
        self.port, self.front = Pulled(far), Front(near)
        self.told: list[Passage] = []
        self.middle = Middle("generator", self.front, self.port, self.told.append)

    def step(self, t_us: int) -> None:
        self.middle.step(t_us)

    def troubles(self) -> list[str]:
        return [one.trouble for one in self.told if one.trouble]


# --- in the middle


@pytest.mark.parametrize("size_bytes", [1, 7, 256])
def test_every_byte_passes_unchanged_in_the_same_step(size_bytes: int) -> None:
    tap, every = Tapped(), bytes(range(256))
    for start in range(0, 256, size_bytes):
        tap.client.write(start, every[start : start + size_bytes])
        tap.device.write(start, every[start : start + size_bytes][::-1])
        tap.step(start)
        assert tap.device.read(start) == every[start : start + size_bytes]
        assert tap.client.read(start) == every[start : start + size_bytes][::-1]
    assert b"".join(one.data for one in tap.told if one.direction is TO) == every


def test_an_unplugged_port_is_told_once_waited_for_and_told_when_it_is_back() -> None:
    tap = Tapped()
    tap.step(0)
    tap.port.gone = "/dev/ttyUSB0: the port is gone"
    for t_us in (1, 2, 3):
        tap.step(t_us)
    tap.client.write(4, MON)
    tap.step(4)
    tap.port.gone = ""
    tap.client.write(5, STAT)
    tap.step(5)
    assert tap.troubles() == [
        "/dev/ttyUSB0: the port is gone",
        "02 4d 4f 4e 0d was lost: /dev/ttyUSB0: the port is gone",
        "the port is back",
    ]
    assert tap.device.read(5) == STAT  # and nothing of what was said meanwhile


def test_a_device_that_goes_hangs_up_on_the_client_once() -> None:
    tap = Tapped()
    tap.step(0)
    tap.port.gone = "tcp://10.0.0.1:502: the device closed the connection"
    tap.step(1)
    tap.step(2)
    assert tap.front.done == ["hang up", "answer"]


# --- what is told


def heard(*given: tuple[int, Direction, bytes]) -> list[tuple[Kind, str]]:
    hearing = Hearing(UNIT)
    found = [one for t_us, way, data in given for one in hearing.take("generator", way, t_us, data)]
    return [(one.kind, one.text) for one in found]


def test_frames_are_told_by_the_codecs_own_words() -> None:
    assert heard((0, TO, MON), (3_500, FROM, MONITOR), (9_000, TO, ON)) == [
        (Kind.QUERY, "monitor?"),
        (Kind.REPLY, "monitor: 79.9 kV, 0.2000 mA, oil 25.4 C, filament 1.850 A, battery 24.62 V"),
        (Kind.BEAM, "start"),
    ]


def test_the_longest_reply_time_is_from_the_question_to_the_end_of_its_reply() -> None:
    hearing = Hearing(UNIT)
    hearing.take("generator", TO, 0, MON)
    hearing.take("generator", FROM, 3_000, MONITOR[:9])
    hearing.take("generator", FROM, 30_000, MONITOR[9:])
    hearing.take("generator", TO, 50_000, STAT)
    hearing.take("generator", FROM, 53_000, IS_ON)
    assert hearing.counts["generator"].as_dict() == {
        "frames_to_device": 2, "frames_from_device": 2, "errors": 0, "port_lost": 0,
        "longest_reply_ms": 30.0, "slowest": "monitor?",
    }  # fmt: skip


def test_what_no_device_understands_is_no_question_that_a_reply_belongs_to() -> None:
    hearing = Hearing(UNIT)
    hearing.take("generator", TO, 0, STAT)
    hearing.take("generator", TO, 1_000, b"\x02NOPE\r")
    hearing.take("generator", FROM, 90_000, IS_ON)
    counts = hearing.counts["generator"]
    assert (counts.errors, counts.longest_reply_us) == (1, None)


def test_a_frame_that_never_ends_is_given_up_after_a_silence_and_counted() -> None:
    hearing = Hearing(UNIT)
    hearing.take("generator", FROM, 0, b"\x0207")
    assert hearing.rest(499_999) == []
    found = hearing.rest(500_000)
    assert {(link, one.kind) for link, one in found} == {("generator", Kind.NOISE)}
    assert b"".join(one.raw for _, one in found) == b"\x0207"
    assert hearing.rest(9_000_000) == []
    assert hearing.counts["generator"].errors == len(found)


def test_a_panel_without_words_is_shown_as_it_is() -> None:
    panel = UNIT.panel.model_copy(update={"driver": "no_such"})
    hearing = Hearing(UNIT.model_copy(update={"panel": panel}))
    one = hearing.message("panel", TO, 0, [b'{"v":2,"do":"status"}'])
    assert (one.kind, one.text) == (Kind.ACT, '{"v":2,"do":"status"}')


def test_a_reader_who_stops_reading_never_keeps_a_byte_waiting() -> None:
    """Found with a pipe that nobody read: the tap stood still, and the unit lost its room."""
    read_end, write_end = os.pipe()
    lines = PatientLines(write_end)
    for number in range(20_000):  # far more than a pipe holds
        lines.say(f"line {number:05d} {'x' * 60}")
        lines.pump()
    assert not lines.pump()
    os.set_blocking(read_end, False)
    text = b""
    while not lines.pump() or select.select([read_end], [], [], 0)[0]:
        text += os.read(read_end, 1 << 16)
    told = text.decode().splitlines()
    assert {len(line) for line in told} == {71}
    assert len(told) + lines.dropped_count == 20_000
    assert told == sorted(told)
    assert told[-1].startswith("line 19999 ")
    os.close(read_end)
    os.close(write_end)


# --- the file


def written(path: Path, given: Sequence[tuple[int, Direction, bytes]]) -> Path:
    tape = Tape(path, ["generator"], UNIT, bench="portable")
    for t_us, way, data in given:
        tape.write(Passage(t_us=t_us, link="generator", direction=way, data=data))
    tape.write(Passage(t_us=99_000, link="generator", direction=FROM, trouble="the port is gone"))
    tape.close()
    return path


TALK = ((1_000, TO, MON), (4_500, FROM, MONITOR), (9_000, TO, STAT), (12_000, FROM, IS_ON))


def test_a_tap_is_a_record_of_one_link_with_the_devices_bytes_in_it(tmp_path: Path) -> None:
    path = written(tmp_path / "one.tap", TALK)
    head, _, body = path.read_bytes().partition(b"\n")
    assert json.loads(head)["links"] == ["generator"]
    # dt 1000 us, SENT on link 0, MON (firmware_py/record.py: kind, size, payload)
    assert body.startswith(bytes.fromhex("0103e80700" + "0306" + "00" + MON.hex()))
    unit, found, trouble = read_tape(path)
    assert unit == UNIT
    assert [(one.t_us, one.direction, one.data) for one in found[:4]] == [*TALK]
    assert (found[4].trouble, trouble) == ("the port is gone", "")


def test_a_tap_shows_the_same_lines_again(tmp_path: Path) -> None:
    path = written(tmp_path / "one.tap", TALK)
    done = dxrig("tap", "--read", path, "--raw")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "      0.000 generator -> query   monitor?",
        "                         02 4d 4f 4e 0d",
        "      3.500 generator <- reply   monitor: 79.9 kV, 0.2000 mA, oil 25.4 C, filament "
        "1.850 A, battery 24.62 V",
        f"                         {MONITOR.hex(' ')}",
        "      8.000 generator -> query   X-ray on?",
        "                         02 53 54 41 54 0d",
        "     11.000 generator <- reply   X-ray on? yes",
        "                         02 31 0d",
        "     98.000 generator !! port    the port is gone",
        "",
        "generator: 2 frames to the device, 2 back, 0 errors, port lost 1 times",
        "  longest reply 3.5 ms (monitor?)",
    ]


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["--grep", "X-ray"], ["X-ray on?", "X-ray on? yes"]),
        (["--errors"], ["the port is gone"]),
        (["room"], []),
        (["generator", "--grep", "79.9"], [
            "monitor: 79.9 kV, 0.2000 mA, oil 25.4 C, filament 1.850 A, battery 24.62 V"]),
    ],
)  # fmt: skip
def test_filters_leave_out_lines_and_no_counts(
    tmp_path: Path, words: list[str], texts: list[str]
) -> None:
    path = written(tmp_path / "one.tap", TALK)
    found = json.loads(dxrig("tap", *words, "--read", path, "--json").stdout)
    assert [one["text"] for one in found["frames"]] == texts
    if "room" not in words:
        assert found["summary"]["generator"]["frames_to_device"] == 2


def test_an_answer_that_grows_too_long_says_how_much_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tap_view, "KEPT_COUNT", 3)
    path = written(tmp_path / "one.tap", TALK)
    found = json.loads(dxrig("tap", "--read", path, "--json").stdout)
    assert [one["text"] for one in found["frames"]] == [
        "X-ray on?", "X-ray on? yes", "the port is gone",
    ]  # fmt: skip
    assert found["older_frames_left_out"] == 2


def test_a_file_that_is_no_tap_is_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nonsense\n")
    done = dxrig("tap", "--read", tmp_path / "x")
    assert done.exit_code == 2
    assert "no tap and no record of a run" in done.stderr
    assert dxrig("tap", "--read", tmp_path / "none").exit_code == 2


def test_two_links_can_not_be_tapped_through_at_once() -> None:
    done = dxrig("tap", "generator", "room", "--through")
    assert done.exit_code == 2
    assert done.stderr == "dxrig: --through stands in one link: generator, room or panel\n"


def test_a_record_that_grows_is_followed_whichever_way_it_is_cut(tmp_path: Path) -> None:
    whole, growing = tmp_path / "whole.bin", tmp_path / "growing.bin"
    with whole.open("wb", buffering=0) as file:
        recording = Recording(file, {"links": ["generator", "room", "panel"]})
        for index in range(4):
            recording.scan(300 * (index + 1), index)
            recording.got("generator", b"x" * (index * 100))
            recording.sent("room", bytes([index]))
            recording.got_message("panel", [b"a", b"b"])
            recording.end_scan()
    data, wanted = whole.read_bytes(), read_record(whole).scans
    head_bytes = data.index(b"\n") + 1
    for cut_bytes in range(head_bytes, len(data), 7):
        growing.write_bytes(data[:head_bytes])
        tail = RecordTail(growing)
        growing.write_bytes(data[:cut_bytes])
        found = tail.news()
        growing.write_bytes(data)
        found += tail.news()
        assert found == wanted[:-1]  # the newest may still grow


def test_a_link_that_is_still_connecting_is_no_lost_port() -> None:
    scan = read_scan(failed={"room": "tcp://127.0.0.1:502: not connected yet"})
    again = read_scan(failed={"room": "tcp://127.0.0.1:502: connection refused"})
    assert [one.trouble for one in passages([scan, again, again])] == [
        "tcp://127.0.0.1:502: connection refused"
    ]


def read_scan(**what: Any) -> Any:
    return ScanRecord(0, 0, **what)


def test_without_a_unit_it_says_what_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    done = dxrig("tap")
    assert done.exit_code == 3
    assert "`dxrig tap generator --through`" in done.stderr
