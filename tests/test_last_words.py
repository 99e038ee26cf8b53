"""What a unit notes in case it dies: the ring's records, what stands in a word, where it lies."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from uuid import UUID

import pytest

from firmware_py.decide.memory import State
from firmware_py.last_words import LastWords, Word, decode, encode
from firmware_py.word_file import WordFile, boot_id, forget, read_words
from firmware_py.word_ring import BODY_BYTES, COUNT, RECORD_BYTES, SIZE_BYTES, Ring, newest_body
from hal.types import EndReason, ExposureReport, Outputs
from tests.endings import ON_BYTES, EndingRun
from tests.samples import SHOT, inputs
from tests.samples import memory as a_memory

BOOT, RUN = UUID(int=3), UUID(int=4)
WORD = Word(
    boot=BOOT, run=RUN, shot_id="x-0123", state="EXPOSE", t_us=5_000_000, dead_us=475_000,
    relay_counts=True, may_leave=True, sent_us=4_800_000, accepted_us=None, read_us=4_990_000,
    mas=0.125, kv=70.1, ma=None, most_ma=0.0, beam_on=None, beam_taken_us=0, reported_beam=False,
    reported_mas=0.25, over=True,
)  # fmt: skip


def filled(count: int) -> bytearray:
    page = bytearray(SIZE_BYTES)
    ring = Ring(page)
    for number in range(1, count + 1):
        ring.add(f"reading {number}".encode())
    return page


def newest(page: bytearray) -> str | None:
    body = newest_body(bytes(page))
    return None if body is None else body.rstrip(b"\0").decode()


# --- the ring


def test_an_empty_page_says_nothing() -> None:
    assert newest(bytearray(SIZE_BYTES)) is None
    assert newest_body(b"") is None
    assert newest_body(bytes(filled(3))[:-1]) is None


@pytest.mark.parametrize("count", [1, 2, COUNT - 1, COUNT, COUNT + 1, 5 * COUNT + 7])
def test_the_newest_reading_is_found_however_often_the_ring_has_turned(count: int) -> None:
    assert newest(filled(count)) == f"reading {count}"


def test_the_next_life_goes_on_after_the_one_before_it() -> None:
    page = filled(70)
    Ring(page)
    assert newest(page) == "reading 70"
    Ring(page).add(b"of the next life")
    assert newest(page) == "of the next life"


@pytest.mark.parametrize("cut", [5, 12, 13, 100, RECORD_BYTES - 4, RECORD_BYTES - 1])
@pytest.mark.parametrize("count", [7, COUNT + 7])
def test_a_kill_in_the_middle_of_a_record_leaves_nobody_sure_of_the_newest(
    count: int, cut: int
) -> None:
    """What that scan was about to do is not known: neither is it the one before it, nor nothing."""
    page, whole = filled(count), filled(count + 1)
    at_bytes = RECORD_BYTES * ((count + 1) % COUNT)
    page[at_bytes : at_bytes + cut] = whole[at_bytes : at_bytes + cut]
    assert newest(page) is None


def test_every_flipped_byte_of_the_newest_record_is_seen() -> None:
    for at in range(RECORD_BYTES):
        page = filled(9)
        page[RECORD_BYTES * 9 + at] ^= 0x10
        assert newest(page) is None, at


def test_what_is_torn_further_back_is_ignored() -> None:
    page = filled(9)
    page[RECORD_BYTES * 4 : RECORD_BYTES * 5] = os.urandom(RECORD_BYTES)
    assert newest(page) == "reading 9"


def test_garbage_is_no_reading() -> None:
    for seed in range(20):
        assert newest(bytearray(Random(seed).randbytes(SIZE_BYTES))) is None


# --- what a word says


def test_a_word_comes_back_as_it_was_said() -> None:
    for word in (WORD, replace(WORD, beam_on=False), replace(WORD, beam_on=True, shot_id="ä" * 32)):
        assert len(encode(word)) <= BODY_BYTES
        assert decode(encode(word).ljust(BODY_BYTES, b"\0")) == word


class Noting(EndingRun):
    """A unit of the model rung that notes its words, and whoever looks at them after each scan."""

    page = bytearray()

    def _words(self) -> partial[LastWords]:
        self.page = bytearray(SIZE_BYTES)
        return partial(LastWords, Ring(self.page), BOOT, RUN)

    def word(self) -> Word | None:
        body = newest_body(bytes(self.page))
        return None if body is None else decode(body)


@pytest.fixture(scope="module")
def words() -> list[tuple[State, bytes, Word | None]]:
    """(state, what the scan sent to the generator, its word), scan by scan, of one exposure."""
    run = Noting(kv=60.0, ma=0.5, mas=0.3)
    found: list[tuple[State, bytes, Word | None]] = []
    while run.state is not State.STANDBY or not run.reports():
        before = len(run.scans)
        run.rung.scan()
        if run.state is State.RELEASE_WAIT and run.reports():
            run.at(run.rung.t_us + 1, "release")
        found += [(scan.memory.state, scan.sent, run.word()) for scan in run.scans[before:]]
    return found


def test_nothing_is_said_before_a_press(words: list[tuple[State, bytes, Word | None]]) -> None:
    start_up = (State.BOOT, State.SELF_TEST)
    assert {word for state, _, word in words if state in start_up} == {None}


@pytest.mark.req("SR-53", "SR-52")
def test_the_scan_that_sends_on_has_said_that_it_may(
    words: list[tuple[State, bytes, Word | None]],
) -> None:
    (sending,) = [word for _, sent, word in words if ON_BYTES in sent]
    assert sending is not None
    assert (sending.state, sending.may_leave, sending.sent_us) == ("EXPOSE", True, None)


def test_before_expose_no_word_lets_on_leave(
    words: list[tuple[State, bytes, Word | None]],
) -> None:
    early = (State.PREP, State.READY, State.INTERLOCK_CHECK)
    found = [word for state, _, word in words if state in early]
    assert found
    assert all(word and not word.may_leave and word.sent_us is None for word in found)
    assert {word.state for word in found if word} == {state.value for state in early}


def test_the_readings_of_the_beam_are_in_its_words(
    words: list[tuple[State, bytes, Word | None]],
) -> None:
    beam = [word for state, _, word in words if word and state is State.EXPOSE]
    last = beam[-1]
    assert (last.shot_id, last.run, last.boot, last.dead_us) == ("shot-1", RUN, BOOT, 475_000)
    assert last.relay_counts
    assert last.beam_on is True
    assert last.mas is not None
    assert 0.2 < last.mas < 0.3
    assert last.most_ma == pytest.approx(0.5, abs=0.01)
    assert last.kv == pytest.approx(60.0, abs=0.5)
    assert len({word.sent_us for word in beam} - {None}) == 1
    assert sorted(word.t_us for word in beam) == [word.t_us for word in beam]


def test_the_report_is_in_the_words_until_the_recorder_has_it_and_then_it_is_over(
    words: list[tuple[State, bytes, Word | None]],
) -> None:
    said = [word for _, _, word in words if word]
    reported = [word for word in said if word.reported_mas is not None]
    assert {(word.reported_beam, word.may_leave) for word in reported} == {(True, False)}
    assert said[-1].over
    assert [word.over for word in said].index(True) > said.index(reported[-1])


@pytest.mark.parametrize("age_us", [0, 100_000, 100_001])
def test_the_relay_counts_as_long_as_its_module_was_just_heard(age_us: int) -> None:
    page = bytearray(SIZE_BYTES)
    seen = inputs()
    seen = replace(seen, room=replace(seen.room, taken_us=seen.t_us - age_us))
    LastWords(Ring(page), BOOT, RUN, 475_000).note(
        seen, a_memory(State.READY, shot=SHOT), Outputs()
    )
    body = newest_body(bytes(page))
    assert body is not None
    assert decode(body).relay_counts is (age_us <= 100_000)  # us-compare: a case of this test


def test_a_report_of_another_shot_is_not_this_ones() -> None:
    page = bytearray(SIZE_BYTES)
    other = ExposureReport(
        shot=replace(SHOT, shot_id="another"), reason=EndReason.PLANNED, beam=False, mas=0.0,
        maximum_mas=0.0,
    )  # fmt: skip
    memory = a_memory(State.READY, shot=SHOT, report=other)
    LastWords(Ring(page), BOOT, RUN, 475_000).note(inputs(), memory, Outputs())
    body = newest_body(bytes(page))
    assert body is not None
    assert decode(body).reported_mas is None


# --- where they lie


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    """(state, shared memory)"""
    state, shared = tmp_path / "state", tmp_path / "shm"
    state.mkdir()
    shared.mkdir()
    return state, shared


def speak(file: WordFile, *, owed: bool = True) -> None:
    words = file.speak(RUN, 475_000)
    words.note(inputs(), a_memory(State.READY, shot=SHOT), Outputs())
    if not owed:
        words.note(inputs(), a_memory(State.STANDBY, shot=SHOT), Outputs())


DIES = """
import os, sys
from pathlib import Path
from firmware_py.word_file import WordFile
from tests.test_last_words import speak
speak(WordFile(Path(sys.argv[1]), Path(sys.argv[2])))
if sys.argv[3] == "lives":
    print("said", flush=True)
    sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def unit_process(places: tuple[Path, Path], how: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", DIES, *map(str, places), how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )


def test_the_words_of_a_killed_process_are_there_for_the_next_one(
    places: tuple[Path, Path],
) -> None:
    unit_process(places, "dies").communicate()
    (word,) = read_words(*places)
    assert (word.shot_id, word.state, word.boot) == (SHOT.shot_id, "READY", boot_id())
    assert list(places[0].iterdir()) == []
    forget(*places)
    assert read_words(*places) == []


def test_the_words_of_a_unit_that_lives_are_not_its_last(places: tuple[Path, Path]) -> None:
    unit = unit_process(places, "lives")
    assert unit.stdout is not None
    assert unit.stdout.readline() == b"said\n"
    assert read_words(*places) == []
    forget(*places)
    second = WordFile(*places)
    speak(second)  # says nothing: there is one writer
    second.close()
    unit.communicate()
    assert [word.state for word in read_words(*places)] == ["READY"]


def test_a_unit_that_starts_leaves_the_words_of_the_one_before_to_its_recorder(
    places: tuple[Path, Path],
) -> None:
    unit_process(places, "dies").communicate()
    next_one = WordFile(*places)
    next_one.speak(UUID(int=9), 475_000)
    assert [word.run for word in read_words(*places)] == [RUN]
    next_one.close()
    assert [word.run for word in read_words(*places)] == [RUN]


@pytest.mark.parametrize("owed", [True, False])
def test_an_ordinary_end_leaves_only_what_is_owed(places: tuple[Path, Path], owed: bool) -> None:
    file = WordFile(*places)
    speak(file, owed=owed)
    file.close()
    assert len(read_words(*places)) == owed
    assert len(list(places[1].glob("*/*"))) == owed


def test_a_unit_that_never_spoke_leaves_no_file(places: tuple[Path, Path]) -> None:
    WordFile(*places).close()
    assert list(places[1].glob("*/*")) == []


def test_what_came_back_from_a_disk_after_a_reboot_is_not_believed(
    places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = WordFile(*places)
    speak(file)
    file.close()
    monkeypatch.setattr("firmware_py.word_file.boot_id", lambda: UUID(int=77))
    assert read_words(*places) == []


@pytest.mark.parametrize("how", ["no such folder", "open to others", "a link", "a file"])
def test_without_a_folder_of_its_own_in_memory_the_state_has_to_do(
    places: tuple[Path, Path], how: str
) -> None:
    state, shared = places
    ours = shared / f"dxrig-{os.getuid()}"
    if how == "no such folder":
        shared.rmdir()
    elif how == "open to others":
        ours.mkdir()
        ours.chmod(0o777)
    elif how == "a link":
        (shared / "theirs").mkdir(mode=0o700)
        ours.symlink_to(shared / "theirs")
    else:
        ours.write_text("")
    file = WordFile(state, shared)
    speak(file)
    file.close()
    assert [path.name for path in state.iterdir()] == ["last-words"]
    assert [word.state for word in read_words(state, shared)] == ["READY"]


def test_two_benches_have_two_files_and_nobody_else_can_read_them(
    places: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    files = [WordFile(state, places[1]) for state in (places[0], other)]
    speak(files[0])
    for file in files:
        file.close()
    assert [len(read_words(state, places[1])) for state in (places[0], other)] == [1, 0]
    (path,) = places[1].glob("*/*")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_blocks * 512 >= SIZE_BYTES  # a store into a hole could be a SIGBUS
