"""Whole exposures on bad lines, by many seeds: no beam that nobody ordered, none that lasts,
each one told, and its dose never beyond what was told.

DXRIG_MISCHIEF_SEEDS=N tries N seeds for each line and kind instead of 4.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import account
from rig.judge import BeamSeen, Seen
from sim.mischief import KINDS
from tests.mischief_story import (
    Story,
    broken,
    mischief,
    spoiled,
    summary,
    traffic,
)

SEEDS_COUNT = int(os.environ.get("DXRIG_MISCHIEF_SEEDS", "4"))
AT_ONCE_COUNT = 4  # seeds in one test, so that it takes a second or two
CLEAN = ["PREP", "READY", "INTERLOCK_CHECK", "EXPOSE", "READOUT", "RELEASE_WAIT", "STANDBY"]
SPEAKS_FOR = {  # kind -> the catalogue's row
    "drop": "F60", "lose": "F56", "flip": "F56", "insert": "F56", "split": "F57", "merge": "F57",
    "delay": "F62", "duplicate": "F61", "reorder": "F63", "replay": "F64",
}  # fmt: skip


def told(*steps: dict[str, Any], mas: float = 0.25) -> tuple[Story, Seen]:
    story = Story(*steps, mas=mas)
    return story, story.run()


each_line = pytest.mark.parametrize("device", ["generator", "room", "panel", "frames"])
each_kind = pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.req("SR-44", SPEAKS_FOR[k])) for k in KINDS]
)


@each_line
@each_kind
@pytest.mark.parametrize("first", range(0, SEEDS_COUNT, AT_ONCE_COUNT))
def test_whatever_a_line_does_every_property_of_a_beam_holds(
    device: str, kind: str, first: int
) -> None:
    found = {}
    for seed in range(first, min(first + AT_ONCE_COUNT, SEEDS_COUNT)):
        story, seen = told(spoiled(device, kind, seed))
        if problems := broken(story, seen):
            found[seed] = (problems, summary(story, seen))
    assert found == {}


@each_line
@each_kind
def test_each_kind_reaches_each_line_of_a_whole_exposure(device: str, kind: str) -> None:
    asked: dict[str, Any] = {kind: 1.0}
    story, seen = told(mischief(device, "PREP", seed=1, delay_ms=5.0, **asked))
    assert story.counts[device][kind] > 0
    assert broken(story, seen) == [], summary(story, seen)


@pytest.mark.req("SR-44", "F56")
@pytest.mark.parametrize("seed", range(3))
def test_all_lines_at_once_and_all_kinds_at_once(seed: int) -> None:
    rates: dict[str, Any] = dict.fromkeys(KINDS, 0.01)
    devices = ("generator", "room", "panel", "frames")
    story, seen = told(*(mischief(device, "PREP", seed=seed, **rates) for device in devices))
    assert broken(story, seen) == [], summary(story, seen)
    assert all(sum(story.counts[device].values()) for device in ("generator", "room"))


# --- what a protocol is meant to shrug off


@pytest.mark.req("SR-44", "F59", "F61")
@pytest.mark.parametrize(
    ("device", "kind"),
    [
        ("room", "duplicate"),
        ("room", "replay"),
        ("room", "split"),
        ("panel", "duplicate"),
        ("panel", "replay"),
        ("frames", "duplicate"),
        ("generator", "split"),
    ],
)
def test_every_chunk_towards_the_unit_so_treated_leaves_the_exposure_as_it_was(
    device: str, kind: str
) -> None:
    """Stale transaction ids, old answers, repeated frames: never taken for the answer."""
    always: dict[str, Any] = {kind: 1.0}
    story, seen = told(mischief(device, seed=2, toward="unit", delay_ms=2.0, **always))
    assert seen.states()[4:] == CLEAN
    assert broken(story, seen) == []
    assert (seen.image_count, len(seen.beams)) == (1, 1)
    assert abs(seen.beams[0].mas - 0.25) <= 0.02
    assert story.counts[device][kind] > (1 if device == "frames" else 10)


# --- an old ON


def on_number() -> int:
    return traffic("generator")["device"].index(b"\x02ENBL1\r")


@pytest.mark.req("SR-44", "F64")
@pytest.mark.parametrize("after_count", range(1, 14))
def test_an_old_on_that_comes_again_starts_no_second_beam(after_count: int) -> None:
    """In the beam, behind OFF, in READOUT, in STANDBY: the pair is open, or the beam is on."""
    assert on_number() + 13 < len(traffic("generator")["device"])
    story, seen = told(
        mischief(
            "generator", toward="device", once="replay",
            chunk=on_number() + after_count, value=after_count,
        )
    )  # fmt: skip
    assert story.counts["generator"]["replay"] == 1
    assert len(seen.beams) == 1
    assert broken(story, seen) == [], summary(story, seen)


@pytest.mark.req("SR-05", "F64")
@pytest.mark.parametrize("delay_ms", [30.0, 150.0, 199.0, 201.0, 400.0, 2_500.0])
def test_an_on_that_arrives_late_makes_no_beam_that_outlives_its_order(delay_ms: float) -> None:
    story, seen = told(
        mischief(
            "generator", toward="device", once="delay", chunk=on_number(), delay_ms=delay_ms
        )
    )  # fmt: skip
    assert story.counts["generator"]["delay"] == 1
    assert broken(story, seen) == [], summary(story, seen)
    assert len(seen.beams) <= 1


# --- each property is shown an offender


@pytest.mark.parametrize(
    ("beams", "told_of"),
    [
        ([BeamSeen(on_us=500_000, off_us=600_000, gone_us=603_600, mas=0.05)], "nobody ordered"),
        ([BeamSeen(on_us=942_292, off_us=2_517_292, gone_us=2_520_000, mas=0.25)], "after EXPOSE"),
        ([BeamSeen(on_us=942_292, off_us=None, gone_us=None, mas=0.25)], "never ended"),
        ([BeamSeen(on_us=942_292, off_us=1_517_292, gone_us=1_520_892, mas=0.45)], "bound"),
        ([BeamSeen(on_us=942_292, off_us=1_517_292, gone_us=1_520_892, mas=0.32)], "reported"),
        ([BeamSeen(on_us=942_292, off_us=950_000, gone_us=953_600, mas=0.001)], "far more"),
        ([BeamSeen(on_us=942_292, off_us=950_000, gone_us=953_600, mas=0.1)] * 2, "2 beams"),
    ],
)
def test_a_planted_beam_is_found(beams: list[BeamSeen], told_of: str) -> None:
    story, seen = told()
    assert broken(story, seen) == []
    seen.beams = beams
    assert told_of in " ".join(broken(story, seen))


def test_a_planted_end_without_words_is_found() -> None:
    story, seen = told()
    lines = [line for line in seen.lines if line["kind"] != "report"]
    assert "1 orders, 0 reports" in broken(story, Seen(lines=lines))
    cut = [line for line in seen.lines if line["kind"] != "state" or line["to"] != "STANDBY"]
    assert "ended in RELEASE_WAIT" in broken(story, Seen(lines=cut))
    presses = [line for line in seen.lines if line["kind"] == "room"]
    deaf = [*presses, {"kind": "state", "t_us": 0, "to": "STANDBY"}]
    assert "a press that was neither taken nor refused" in broken(story, Seen(lines=deaf))


DEAF = (  # nothing that the unit says arrives from the middle of the beam on
    mischief("room", "beam_on", 1.0, toward="device", drop=1.0),
    mischief("generator", "beam_on", 1.0, toward="device", drop=1.0),
)


def test_lines_that_lose_every_off_leave_the_end_to_the_relay_s_own_timer() -> None:
    story, seen = told(*DEAF)
    assert broken(story, seen) == [], summary(story, seen)
    assert (seen.states()[-1], len(seen.beams)) == ("FAULT", 1)


def test_a_relay_that_does_not_lapse_is_found_on_such_lines() -> None:
    dead = {"event": "beam_on", "do": "room", "args": {"pulse_timer_dead": True}}
    story, seen = told(*DEAF, dead)
    assert "after EXPOSE had ended" in " ".join(broken(story, seen)), summary(story, seen)


def test_a_bound_that_forgets_the_time_until_the_proof_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    story, seen = told(mischief("generator", "EXPOSE", after_ms=300.0, drop=1.0))
    assert broken(story, seen) == []
    monkeypatch.setattr(account, "_most_mas", lambda memory: 0.1)
    story, seen = told(mischief("generator", "EXPOSE", after_ms=300.0, drop=1.0))
    assert any(problem.startswith("bound 0.1000") for problem in broken(story, seen))


# --- counterexamples: what the unit should do better


@pytest.mark.req("SR-53", "F56")
@pytest.mark.parametrize(
    ("limits", "mas"),
    [
        ({}, 0.2986),  # the unit's own: 10 % and 0.2 mAs
        ({"mas_known_pct": 0.0, "mas_known_mas": 0.048}, 0.2986),
        ({"mas_known_pct": 0.0, "mas_known_mas": 0.047}, None),
    ],
)
def test_one_flipped_bit_of_the_last_status_adds_0_048_mas_that_may_be_too_much_to_be_known(
    limits: dict[str, Any], mas: float | None
) -> None:
    """STX 1 CR comes as STX 3 CR while OFF leaves: OFF is obeyed at once, and its echo taken
    for noise. Only the second one counts, 95 ms after the first would have."""
    last = traffic("generator")["device"].index(b"\x02ENBL0\r", on_number()) - 1
    story = Story(mischief("generator", toward="unit", once="flip", chunk=last, byte=1, value=1))
    start = story._start_unit

    def start_with_limits() -> None:
        start()
        unit = story.rung.unit
        assert unit is not None
        unit.memory = replace(unit.memory, limits=replace(unit.memory.limits, **limits))

    story._start_unit = start_with_limits  # type: ignore[method-assign]
    seen = story.run()
    assert story.counts["generator"]["flip"] == 1
    assert broken(story, seen) == []
    (report,), (beam,) = seen.of("report"), seen.beams
    assert beam.mas == pytest.approx(0.2510, abs=5e-5)
    assert report["mas"] == (mas if mas is None else pytest.approx(mas, abs=5e-5))
    assert report["maximum_mas"] == pytest.approx(0.3628, abs=5e-5)


def reads_in_beam() -> list[int]:
    """Numbers of the chunks that answer MON; the first one falls into the settle time."""
    answers = traffic("generator")["unit"]
    return [n for n, chunk in enumerate(answers) if len(chunk) == 27 and n > on_number()]


@pytest.mark.req("SR-53", "F56")
def test_a_read_with_a_flipped_digit_reports_no_more_than_its_own_bound() -> None:
    """05004 comes as 15004: 1.5 mA is out of band, ends the beam, and is charged."""
    at: dict[str, Any] = {"chunk": reads_in_beam()[1], "byte": 6, "value": 0}
    _, seen = told(mischief("generator", toward="unit", once="flip", **at))
    assert seen.faults()[0] == "MA_OUT_OF_BAND"
    (report,) = seen.of("report")
    assert report["mas"] is None or report["mas"] <= report["maximum_mas"]


@pytest.mark.req("SR-24", "F56")
def test_a_current_that_the_tube_cannot_have_ends_no_beam_as_planned() -> None:
    """04996 comes as 84996 in the settle time: 8.5 mA of a tube that has 1 mA at most. The
    charge asked for seems reached, after 8 % of it."""
    at: dict[str, Any] = {"chunk": reads_in_beam()[0], "byte": 6, "value": 3}
    _, seen = told(mischief("generator", toward="unit", once="flip", **at), mas=1.0)
    (report,), (beam,) = seen.of("report"), seen.beams
    assert report["reason"] != "planned end" or beam.mas >= 0.9


@pytest.mark.req("SR-41", "F56")
def test_one_flipped_bit_of_the_room_resets_no_fault() -> None:
    """Modbus TCP has no checksum of its own: only a second look shows that a bit was wrong."""
    silent: dict[str, Any] = {"event": "PREP", "after_ms": 20, "do": "line"}
    story, seen = told(
        silent | {"args": {"device": "generator", "silent": True}},
        silent | {"after_ms": 2_000, "args": {"device": "generator", "silent": False}},
        mischief("room", "FAULT", 6_000.0, toward="unit", once="flip", byte=9, value=6),
    )
    assert seen.faults() == ["GENERATOR_LINK_LOST"]
    assert story.counts["room"]["flip"] == 1
    assert seen.states()[-1] == "FAULT"
