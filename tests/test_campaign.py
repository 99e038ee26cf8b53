"""Many exposures, released and killed at random: what is recorded beside what was irradiated.

The charge of each beam is the simulator's own integral, tail included. DXRIG_LONG=1 makes
a thousand exposures of sixty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache, partial
from random import Random
from uuid import UUID, uuid5

import pytest

from firmware_py.decide.memory import State
from firmware_py.last_words import LastWords, Word, decode
from firmware_py.recorder.lost_dose import BY_PROGRAMME, BY_WORDS
from firmware_py.recorder.ports import InlineRecorder
from firmware_py.recorder.store.exposures import LOST, Exposure
from firmware_py.word_ring import SIZE_BYTES, Ring, newest_body
from hal.types import Technique
from rig.run_model import STARTED_AT
from tests.endings import LONG, EndingRun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
BOOT = UUID(int=5)
SEED, COUNT = 5, 1_000 if LONG else 60
TECHNIQUES = (
    Technique(kv=60.0, ma=0.5, mas=0.3),
    Technique(kv=70.0, ma=1.0, mas=0.5),
    Technique(kv=80.0, ma=0.5, ms=400.0),
)
PLACES = ("PREP", "EXPOSE", "EXPOSE", "EXPOSE", "READOUT")  # where something happens to it
EVENTS = ("nothing", "nothing", "release", "kill unit")


class Campaign(EndingRun):
    """Each life of the unit is a run of its own, as `dxrig expose` makes them.

    Units leave their last words in memory of the test's own, and the next recorder reads them.
    """

    page = bytearray(SIZE_BYTES)

    def _namespace(self) -> UUID:
        return uuid5(super()._namespace(), str(len(self.lives)))

    def _words(self) -> Callable[[int], LastWords]:
        return partial(LastWords, Ring(self.page), BOOT, self._namespace())

    def _words_left(self) -> list[Word]:
        body = newest_body(bytes(self.page))
        return [] if body is None else [decode(body)]


@dataclass(frozen=True, slots=True)
class Beam:
    """One exposure of the journal beside its beam; `true_mas` 0 without one."""

    row: Exposure
    true_mas: float
    count: int


def one_exposure(run: Campaign, rng: Random, number: int) -> str:
    """Programmed, pressed, and whatever happens to it; back in STANDBY. What happened."""
    run.shot = replace(run.shot, technique=rng.choice(TECHNIQUES))
    run.program(f"c-{number:04d}")
    run.at(run.rung.t_us + 500_000, "press")
    event, place = rng.choice(EVENTS), State(rng.choice(PLACES))
    run.until(place)
    run.pass_us(rng.randrange(1_000, 600_000))
    if event == "kill unit" and run.state is not State.STANDBY:
        now_us = run.rung.t_us + rng.randrange(0, 5_000)
        run.at(now_us + 1_000, "kill unit").at(now_us + 900_000, "start unit")
        run.at(now_us + 1_000_000, "release").pass_us(1_200_000)
    elif event == "release":
        run.at(run.rung.t_us + 100, "release").pass_us(100_000)
    run.until(State.RELEASE_WAIT, State.STANDBY)
    run.at(run.rung.t_us + 1_000, "release").pass_us(100_000).until(State.STANDBY)
    acknowledge(run)
    return event


def acknowledge(run: Campaign) -> None:
    assert isinstance(run.recorder, InlineRecorder)
    recorder = run.recorder._recorder
    for row in recorder.recover():
        recorder.acknowledge(row.shot_id, who="A. Physicist", why="campaign", now_us=run.rung.t_us)
    run.pass_us(400_000)


@cache
def played() -> list[Beam]:
    rng = Random(SEED)
    run = Campaign(kv=60.0, ma=0.5, mas=0.3, press=False)
    run.until(State.STANDBY)
    for number in range(COUNT):
        one_exposure(run, rng, number)
    assert run._journal is not None
    return list(paired(run, run._journal.exposures()))


def paired(run: Campaign, rows: list[Exposure]) -> Iterator[Beam]:
    """A beam belongs to the newest intent before it; none comes before the first."""
    at_us = [
        round((datetime.fromisoformat(row.at) - STARTED_AT) / timedelta(microseconds=1))
        for row in rows
    ]
    beams = run.beams()
    assert all(beam.on_us >= at_us[0] for beam in beams)  # us-compare: the simulator's own course
    for row, from_us, to_us in zip(rows, at_us, [*at_us[1:], 1 << 62], strict=True):
        own = [beam for beam in beams if from_us <= beam.on_us < to_us]  # us-compare: as above
        yield Beam(row, sum(beam.mas for beam in own), len(own))


@pytest.mark.req("SR-53")
def test_the_sum_of_what_is_recorded_is_what_was_irradiated_within_two_percent() -> None:
    known = [one for one in played() if one.row.mas is not None]
    true_mas = sum(one.true_mas for one in known)
    assert true_mas > COUNT * 0.1
    assert sum(one.row.mas or 0.0 for one in known) == pytest.approx(true_mas, rel=0.02)


@pytest.mark.req("SR-53", "SR-04")
def test_every_exposure_has_one_record_and_at_most_one_beam() -> None:
    assert {one.count for one in played()} == {0, 1}
    assert all(one.row.outcome != "open" for one in played())
    assert [one.row.shot_id for one in played() if one.row.beam is False and one.true_mas] == []


@pytest.mark.req("SR-53")
def test_what_a_dead_unit_could_not_report_is_unknown_and_the_bound_holds() -> None:
    lost = [one for one in played() if one.row.reason == LOST]
    assert len(lost) >= COUNT // 10
    assert {one.row.mas for one in lost if one.row.beam} == {None}
    assert [one for one in played() if one.true_mas > one.row.maximum_mas] == []
    assert [one for one in lost if one.true_mas > one.row.at_most_mas] == []
    assert max(one.true_mas for one in lost) > 0.1  # there was something to lose


@pytest.mark.req("SR-53")
def test_the_last_words_of_dead_units_make_bounds_tighter_and_prove_where_no_beam_was() -> None:
    lost = [one for one in played() if one.row.reason == LOST]
    by_words_mas = sum(one.row.at_most_mas for one in lost)
    by_programme_mas = sum(one.row.maximum_mas for one in lost)
    assert by_words_mas < 0.75 * by_programme_mas
    assert {one.row.bound_by for one in lost} <= {BY_WORDS, BY_PROGRAMME}
    proved = [one for one in lost if one.row.outcome == "no beam"]
    assert len(proved) > 2
    assert {one.true_mas for one in proved} == {0.0}
