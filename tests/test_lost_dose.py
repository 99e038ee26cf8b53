"""An exposure whose unit died: what its last words bound and prove, and how it is ended.

The figures follow from the words alone. On the wire rung a unit is killed for real, and the
simulator's own integral is the judge.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from firmware_py.decide.memory import State
from firmware_py.last_words import LastWords, Word, decode, encode
from firmware_py.recorder.lost_dose import BY_PROGRAMME, BY_WORDS, lost_dose
from firmware_py.recorder.lost_exposure import as_ended, report_of
from firmware_py.recorder.messages import intent_from_dict, intent_to_dict
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.database import MEMORY
from firmware_py.recorder.store.exposures import LOST, Exposure, read_exposures
from firmware_py.recorder.store.journal import Journal
from firmware_py.word_file import WordFile, read_words
from firmware_py.word_ring import SIZE_BYTES, Ring, newest_body
from hal.types import EndReason, ExposureReport, Intent, ShotKind, Technique
from rig.recovery import acknowledge, end_lost, open_exposures
from tests.endings import EndingRun, sweep
from tests.exposures import NAMESPACE, STARTED, intent, shot, unit_config
from tests.live_bench import LiveBench, ended, live_bench, until
from tests.test_layer_two import recorder_pid

# 70 kV, 0.5 mA, 2 mAs: the timer is set to 6 s, so at most 3 mAs.
INTENT = Intent(shot=shot(), planned_mas=2.0, maximum_mas=3.0, at_us=1_000_000)
BOOT = UUID(int=3)
BEAM = Word(
    boot=BOOT, run=NAMESPACE, shot_id="S1", state="EXPOSE", t_us=4_000_000, dead_us=475_000,
    relay_counts=True, may_leave=True, sent_us=2_000_000, accepted_us=2_150_000,
    read_us=3_950_000, mas=0.94, kv=70.1, ma=0.5, most_ma=0.5, beam_on=True,
    beam_taken_us=3_980_000,
)  # fmt: skip
READY = replace(
    BEAM, state="READY", may_leave=False, sent_us=None, accepted_us=None, read_us=None, mas=None,
    kv=None, ma=None, most_ma=None, beam_on=False,
)  # fmt: skip


def bound(word: Word | None, **changes: Any) -> tuple[bool, float, str]:
    found = lost_dose(replace(INTENT, **changes), word)
    return found.beam, found.maximum_mas, found.by


# --- how much it can have had


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("word", "mas"),
    [
        (BEAM, 1.238),  # 0.5 mA for 2 s since ON, and 475 ms until the pulse has lapsed: 1.2375
        (replace(BEAM, most_ma=0.6), 1.485),  # the highest that was indicated
        (replace(BEAM, most_ma=0.4), 1.238),  # ... or the set one
        (replace(BEAM, dead_us=270_000), 1.135),
        (replace(BEAM, mas=1.4), 1.4),  # never less than was indicated
        (replace(BEAM, may_leave=False, state="READOUT"), 1.238),  # OFF is not proved yet
        (replace(BEAM, beam_on=None, state="FAULT"), 1.238),
        (replace(BEAM, sent_us=None, mas=None), 0.238),  # it leaves in this scan, or never
    ],
)
def test_a_beam_lasts_until_the_relay_pulse_has_lapsed_at_the_higher_current(
    word: Word, mas: float
) -> None:
    assert bound(word) == (True, mas, BY_WORDS)


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    "word",
    [
        None,
        replace(BEAM, t_us=7_800_000),  # the generator's timer ends it sooner
        replace(BEAM, relay_counts=False),  # nobody has heard the module that times the pulse
        replace(READY, beam_on=True),  # not its own: SR-34
    ],
)
def test_else_its_programme_is_the_bound(word: Word | None) -> None:
    assert bound(word) == (True, 3.0, BY_PROGRAMME)


def test_a_higher_current_raises_the_programmes_bound_too() -> None:
    late = replace(BEAM, t_us=7_800_000, most_ma=0.55)
    assert bound(late) == (True, 3.3, BY_WORDS)


@pytest.mark.req("SR-53")
def test_a_beam_that_outlives_its_own_timer_is_not_bounded_by_it() -> None:
    overran = replace(BEAM, t_us=8_200_000, beam_taken_us=8_100_000)
    assert bound(overran) == (True, 3.338, BY_WORDS)
    assert bound(replace(overran, beam_taken_us=8_059_999)) == (True, 3.0, BY_PROGRAMME)
    assert bound(replace(overran, relay_counts=False)) == (True, 3.338, BY_WORDS)


@pytest.mark.req("SR-53")
def test_what_flows_in_the_fall_does_not_lengthen_the_timer() -> None:
    """5 mA for 200 ms, and 0.05 mAs that the cable holds: 10 ms more of that current."""
    few = replace(shot(), technique=Technique(kv=125.0, ma=5.0, ms=200.0))
    asked: dict[str, Any] = {"shot": few, "maximum_mas": 1.05, "timer_us": 200_000}
    late = replace(BEAM, t_us=2_263_000, beam_taken_us=2_260_000, mas=None, ma=5.0, most_ma=5.0)
    assert bound(late, **asked) == (True, 3.69, BY_WORDS)
    assert bound(replace(late, beam_taken_us=2_259_999), **asked) == (True, 1.05, BY_PROGRAMME)


def test_an_intent_of_before_the_timer_stood_in_it_has_it_in_its_bound() -> None:
    overran = replace(BEAM, t_us=8_200_000, beam_taken_us=8_060_000)
    old = intent_from_dict(intent_to_dict(INTENT))
    assert "timer_us" not in intent_to_dict(INTENT)
    assert old.timer_us is None
    found = lost_dose(old, overran)
    assert (found.maximum_mas, found.by) == (3.338, BY_WORDS)


def test_the_timer_of_an_intent_survives_journal_and_bus() -> None:
    asked = replace(INTENT, timer_us=6_000_000)
    assert intent_from_dict(json.loads(json.dumps(intent_to_dict(asked)))) == asked


@pytest.mark.req("SR-53")
def test_what_the_unit_had_reported_already_is_what_it_would_have_told() -> None:
    reported = replace(
        BEAM, state="READOUT", may_leave=False, reported_beam=True, reported_mas=2.0521
    )
    assert bound(reported) == (True, 2.053, BY_WORDS)
    refused = replace(reported, reported_beam=False, reported_mas=0.0, sent_us=None)
    assert bound(refused) == (False, 0.0, BY_WORDS)


@pytest.mark.req("SR-53")
@pytest.mark.parametrize("beam_on", [False, None])
def test_no_beam_is_proved_where_on_can_not_have_left(beam_on: bool | None) -> None:
    assert bound(replace(READY, beam_on=beam_on)) == (False, 0.0, BY_WORDS)
    withdrawn = replace(READY, state="READOUT", beam_on=beam_on)  # ordered, and never sent
    assert bound(withdrawn) == (False, 0.0, BY_WORDS)


def test_a_dark_frame_has_no_beam() -> None:
    dark = replace(shot(), kind=ShotKind.DARK)
    assert bound(None, shot=dark, maximum_mas=0.0) == (False, 0.0, BY_PROGRAMME)


# --- whose words they are


def begun() -> Journal:
    """An intent of run NAMESPACE that nobody will report."""
    journal = Journal(MEMORY, durable=False)
    recorder(journal, NAMESPACE).intent(intent())
    return journal


def recorder(journal: Journal, run: UUID, *words: Word) -> Recorder:
    setup = Setup(unit=unit_config(), started_at=STARTED, uid_namespace=run, simulated=True)
    return Recorder(setup, journal, words=words)


def next_run(journal: Journal, *words: Word) -> Exposure:
    recorder(journal, UUID(int=7), *words)
    (row,) = journal.exposures()
    return row


@pytest.mark.req("SR-53")
def test_the_next_run_ends_it_with_the_bound_of_the_words_and_says_by_what() -> None:
    journal = begun()
    row = next_run(journal, BEAM)
    assert (row.outcome, row.missing, row.reason) == ("unknown dose", "dose", LOST)
    assert row.dose_text == "unknown, at most 1.238 mAs, by the last readings"
    assert (row.at_most_mas, row.maximum_mas) == (1.238, 3.0)
    assert row.sound
    detail = journal.detail("dose", "S1")
    assert detail is not None
    assert report_of(detail, intent(), row) == ExposureReport(
        shot=shot(), reason=EndReason.FAULT, fault="UNIT_LOST", beam=True, mas=None,
        maximum_mas=1.238, start_us=2_150_000,
    )  # fmt: skip
    assert detail["last_words"]["mas"] == 0.94  # type: ignore[index]


@pytest.mark.req("SR-53")
def test_where_on_never_left_it_ends_as_no_beam_and_nobody_is_held_up() -> None:
    journal = begun()
    later = recorder(journal, UUID(int=7), READY)
    (row,) = journal.exposures()
    assert (row.outcome, row.dose_text, row.mas, row.missing) == ("no beam", "no beam", 0.0, None)
    assert later.sample(0).incomplete_count == 0


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    "words",
    [
        (),
        (replace(READY, run=UUID(int=8)),),  # the same shot id in another run
        (replace(READY, shot_id="S2"),),
        (READY, replace(READY, t_us=1)),  # of two places: nobody knows which is the newer
    ],
)
def test_words_of_another_exposure_are_not_taken_for_its_own(words: tuple[Word, ...]) -> None:
    row = next_run(begun(), *words)
    assert row.dose_text == "unknown, at most 3 mAs, by the programme"


@pytest.mark.req("SR-53")
def test_an_exposure_of_this_very_run_may_still_be_reported() -> None:
    journal = begun()
    recorder(journal, NAMESPACE, READY)
    assert [row.outcome for row in journal.exposures()] == ["open"]


@pytest.mark.req("SR-53")
def test_one_that_was_acknowledged_before_anybody_ended_it_is_ended_too() -> None:
    journal = begun()
    journal.acknowledge("S1", who="A. Physicist", why="power cut", at=STARTED)
    assert next_run(journal, BEAM).outcome == "unknown dose"


@pytest.mark.req("SR-53")
def test_what_is_shown_beforehand_is_what_is_written_afterwards() -> None:
    for word in (BEAM, READY, replace(BEAM, relay_counts=False)):
        journal = begun()
        (before,) = journal.exposures()
        shown = as_ended(before, journal.detail("intent", "S1") or {}, [word])
        assert shown == next_run(journal, word)
        assert as_ended(shown, {}, []) == shown


def test_one_that_only_the_second_witness_knew_keeps_its_programmes_bound(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with closing(Journal(path)) as journal:
        recorder(journal, NAMESPACE).intent(intent())
    path.unlink()
    with closing(Journal(path)) as journal:
        row = next_run(journal, BEAM)
        assert row.dose_text == "unknown, at most 3 mAs"
        assert journal.detail("dose", "S1") == {"maximum_mas": 3.0}


# --- the bench's folder: who writes it down, and when


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Of a bench whose unit died in the beam, together with everybody else."""
    with closing(Journal(tmp_path / "journal.db")) as journal:
        recorder(journal, NAMESPACE).intent(intent())
    file = WordFile(tmp_path)
    leave(file, BEAM)
    return tmp_path


def leave(file: WordFile, word: Word) -> None:
    Ring(file.page).add(encode(replace(word, boot=file.boot)))
    file.close()


@pytest.mark.req("SR-53")
def test_recover_shows_the_bound_and_writes_nothing(state: Path) -> None:
    before = (state / "journal.db").read_bytes()
    (found,) = open_exposures(state)
    assert found.dose == "unknown, at most 1.238 mAs, by the last readings"
    assert (state / "journal.db").read_bytes() == before
    assert len(read_words(state)) == 1
    end_lost(state)


@pytest.mark.req("SR-53")
def test_to_acknowledge_it_ends_it_first_and_then_the_words_are_gone(state: Path) -> None:
    acknowledge(state, "S1", who="A. Physicist", why="the unit was killed")
    (row,) = read_exposures(state / "journal.db")
    assert (row.outcome, row.at_most_mas, row.acknowledged_by) == (
        "unknown dose", 1.238, "A. Physicist",
    )  # fmt: skip
    assert read_words(state) == []


@pytest.mark.req("SR-53")
def test_where_no_beam_is_proved_nothing_is_left_to_recover(state: Path) -> None:
    leave(WordFile(state), READY)
    assert open_exposures(state) == []
    end_lost(state)
    (row,) = read_exposures(state / "journal.db")
    assert row.outcome == "no beam"


def test_a_bench_without_a_journal_has_nothing_to_end(tmp_path: Path) -> None:
    end_lost(tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- a room: every kill of a beam


class Noting(EndingRun):
    page = bytearray(SIZE_BYTES)

    def _words(self) -> Callable[[int], LastWords]:
        return lambda dead_us: LastWords(Ring(self.page), BOOT, NAMESPACE, dead_us)


@pytest.mark.req("SR-28", "SR-53")
def test_whenever_a_unit_is_killed_its_words_bound_what_was_irradiated() -> None:
    def killed(run: EndingRun, t_us: int, _: str) -> tuple[float, tuple[bool, float, str]]:
        run.at(t_us, "kill unit").pass_us(1_500_000)
        body = newest_body(bytes(Noting.page))
        assert body is not None
        # The timer: 600 ms and the ramp, at 0.5 mA.
        asked = Intent(shot=run.shot, planned_mas=0.3, maximum_mas=0.55, at_us=0)
        found = lost_dose(asked, decode(body))
        return run.true_mas(), (found.beam, found.maximum_mas, found.by)

    Noting.page = bytearray(SIZE_BYTES)
    run = Noting(kv=60.0, ma=0.5, mas=0.3).until(State.INTERLOCK_CHECK)
    cases = [(run.rung.t_us + 13_700 * step, "") for step in range(1, 75)]
    found = list(sweep(run, cases, killed).values())
    assert [(true, told) for true, told in found if true > told[1]] == []
    assert [(true, told) for true, told in found if true and not told[0]] == []
    assert {told[0] for _, told in found} == {True, False}
    tighter = [told for true, told in found if true and told[1] < 0.55]
    assert len(tighter) > 20


# --- a real process


LAPSE_MAS = 0.6  # at 1 mA: the relay pulse lapses 0.48 s after the unit's last sign of life


def unit_pid(live: LiveBench) -> int:
    return int(json.loads((live.state / "unit.json").read_text())["pid"])


def killed(live: LiveBench, when: Callable[[], object], *flags: str) -> tuple[str, Exposure]:
    """(what `dxrig expose` said, the exposure as the journal has it)"""
    process = live.start("expose", "--kvp", "60", "--ma", "1", *flags)
    until(when)
    os.kill(unit_pid(live), signal.SIGKILL)
    said = ended(process).stderr
    return said, read_exposures(live.state / "journal.db")[-1]


def state_of(live: LiveBench) -> str:
    """From the trace of the newest run: asking the unit takes longer than the state lasts."""
    traces = sorted(live.state.glob("runs/*/trace.jsonl"))
    if not traces:
        return ""
    lines = [json.loads(line) for line in traces[-1].read_text().splitlines() if line[-1:] == "}"]
    return [line["to"] for line in lines if line["kind"] == "state"][-1] if lines else ""


@pytest.mark.wire
@pytest.mark.slow
@pytest.mark.req("SR-28", "SR-53")
def test_a_unit_killed_in_the_beam_leaves_a_bound_between_the_truth_and_its_programmes(
    tmp_path: Path,
) -> None:
    with live_bench(tmp_path) as live:
        said, row = killed(live, lambda: live.show()["beam_on"], "--ms", "3000")
        until(lambda: not live.show()["beam_on"])
        (beam,) = live.show()["beams"]
        assert 0 < beam["mas"] <= row.at_most_mas < beam["mas"] + LAPSE_MAS
        assert row.at_most_mas < row.maximum_mas == 3.0
        assert row.bound_by == BY_WORDS
        assert f"dose unknown, at most {row.at_most_mas:g} mAs, by the last readings" in said
        told = live.run("recover").stdout
        assert f"at most {row.at_most_mas:g} mAs" in told
        sheet = live.run("exposures", "show", "1").stdout
        assert f"{row.at_most_mas:g} mAs by the last readings; 3 mAs by the programme" in sheet


@pytest.mark.wire
@pytest.mark.slow
@pytest.mark.req("SR-53")
def test_a_unit_killed_before_on_leaves_no_beam_and_the_next_exposure_is_made(
    tmp_path: Path,
) -> None:
    with live_bench(tmp_path) as live:
        process = live.start("expose", "--kvp", "60", "--mas", "0.3", "--hand", "none")
        until(lambda: state_of(live) == "STANDBY")
        live.do("press", stage=1)
        until(lambda: state_of(live) == "READY")
        time.sleep(0.1)
        os.kill(unit_pid(live), signal.SIGKILL)
        said = ended(process).stderr
        live.do("release")
        (row,) = read_exposures(live.state / "journal.db")
        assert (row.outcome, row.reason, row.bound_by) == ("no beam", LOST, BY_WORDS), said
        assert live.show()["beams"] == []
        assert "recorded as incomplete" not in said
        assert live.run("recover").returncode == 0
        done = live.run("expose", "--kvp", "60", "--mas", "0.3", "--hand", "auto")
        assert done.returncode == 0, done.stderr


@pytest.mark.wire
@pytest.mark.slow
@pytest.mark.req("SR-53")
def test_a_unit_killed_after_its_beam_with_a_recorder_that_hangs_leaves_its_reports_bound(
    tmp_path: Path,
) -> None:
    """The recorder is stopped in the beam: the report is made, and nobody has saved it."""
    with live_bench(tmp_path) as live:
        process = live.start("expose", "--kvp", "60", "--ma", "1", "--ms", "800", "--hand", "auto")
        until(lambda: live.show()["beam_on"])
        stopped = recorder_pid(live)
        os.kill(stopped, signal.SIGSTOP)
        until(lambda: not live.show()["beam_on"])
        time.sleep(0.6)  # OFF is asked for and proved
        os.kill(unit_pid(live), signal.SIGKILL)
        os.kill(stopped, signal.SIGKILL)
        ended(process)
        (beam,) = live.show()["beams"]
        (row,) = read_exposures(live.state / "journal.db")
        assert (row.outcome, row.bound_by) == ("unknown dose", BY_WORDS)
        # The current that was indicated may be a little above the set one.
        assert beam["mas"] <= row.at_most_mas <= 1.01 * row.maximum_mas
