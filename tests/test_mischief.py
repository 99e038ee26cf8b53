"""What a bad line does: exactly, by seed, in each direction, and nothing when nobody asks."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from hal.frame_pipes import frame_pipe
from hal.links import PipeLink, pipe
from hal.now import NEVER_US
from sim.mischief import KINDS, Attack, ByteChunks, Lane, MessageChunks, Mischief
from sim.mischief_links import MischiefFrames, MischiefLink, MischiefOutlet, links_of
from sim.script import ScriptError, arguments, check, do
from tests.mischief_story import Story, mischief, small, spoiled
from tests.model_runs import trace_of
from tests.test_script import world

__all__ = ["world"]  # a fixture

LATE_US = 20_000


def lane(**asked: Any) -> Lane[bytes]:
    made = Lane("unit", ByteChunks(), Counter())
    made.follow(0, Mischief(delay_us=LATE_US, **asked))
    return made


def passed(made: Lane[bytes], *chunks: bytes) -> list[bytes]:
    """All that comes out in the end, of chunks a millisecond apart."""
    for number, chunk in enumerate(chunks):
        made.put(1_000 * number, chunk)
    return made.take(NEVER_US - 1)


# --- each kind, exactly


@pytest.mark.req("F56", "F57", "F63", "F64")
@pytest.mark.parametrize(
    ("attack", "came"),
    [
        ({"kind": "drop"}, [b"ab", b"ef"]),
        ({"kind": "lose", "byte_index": 1}, [b"ab", b"c", b"ef"]),
        ({"kind": "flip", "byte_index": 0, "value_code": 0}, [b"ab", b"bd", b"ef"]),
        ({"kind": "flip", "byte_index": 1, "value_code": 7}, [b"ab", b"c\xe4", b"ef"]),
        ({"kind": "insert", "byte_index": 2, "value_code": 33}, [b"ab", b"cd!", b"ef"]),
        ({"kind": "insert", "byte_index": 0, "value_code": 33}, [b"ab", b"!cd", b"ef"]),
        ({"kind": "split", "byte_index": 1}, [b"ab", b"c", b"d", b"ef"]),
        ({"kind": "duplicate"}, [b"ab", b"cd", b"cd", b"ef"]),
        ({"kind": "replay", "value_code": 1}, [b"ab", b"cd", b"ab", b"ef"]),
        ({"kind": "merge"}, [b"ab", b"cdef"]),
        ({"kind": "reorder"}, [b"ab", b"ef", b"cd"]),
        ({"kind": "delay"}, [b"ab", b"cd", b"ef"]),
    ],
    ids=lambda value: str(value.get("kind")) if isinstance(value, dict) else "",
)
def test_each_kind_does_what_it_says_to_the_chunk_of_its_number(
    attack: dict[str, Any], came: list[bytes]
) -> None:
    made = lane(attacks=(Attack(chunk_index=1, **attack),))
    assert passed(made, b"ab", b"cd", b"ef") == came


@pytest.mark.parametrize(
    "attack",
    [
        {"kind": "flip", "byte_index": 2},
        {"kind": "lose", "byte_index": 2},
        {"kind": "insert", "byte_index": 3},
        {"kind": "split", "byte_index": 0},
        {"kind": "split", "byte_index": 2},
        {"kind": "replay", "value_code": 2},
        {"kind": "replay", "value_code": 0},
    ],
)
def test_what_does_not_fit_the_chunk_is_not_done_and_not_counted(attack: dict[str, Any]) -> None:
    counts: Counter[str] = Counter()
    made = Lane("unit", ByteChunks(), counts)
    made.follow(0, Mischief(attacks=(Attack(chunk_index=1, **attack),)))
    assert passed(made, b"ab", b"cd", b"ef") == [b"ab", b"cd", b"ef"]
    assert counts.total() == 0


def test_a_delayed_chunk_and_all_behind_it_come_later_and_in_order() -> None:
    made = lane(attacks=(Attack(kind="delay", chunk_index=1),))
    for number, chunk in enumerate((b"a", b"b", b"c")):
        made.put(1_000 * number, chunk)
    assert (made.take(2_000), made.due_us) == ([b"a"], 1_000 + LATE_US)
    assert made.take(LATE_US + 999) == []
    assert made.take(LATE_US + 1_000) == [b"b", b"c"]
    assert made.due_us == NEVER_US


def test_the_second_piece_of_a_split_chunk_comes_later() -> None:
    made = lane(attacks=(Attack(kind="split", byte_index=1),))
    made.put(500, b"abc")
    assert made.take(500) == [b"a"]
    assert made.take(LATE_US + 499) == []
    assert made.take(LATE_US + 500) == [b"bc"]


def test_bytes_of_a_message_are_counted_over_its_parts() -> None:
    found = []
    for attack in (
        Attack(kind="flip", byte_index=2, value_code=0),
        Attack(kind="lose", byte_index=0),
        Attack(kind="insert", byte_index=4, value_code=33),
        Attack(kind="split", byte_index=1),
        Attack(kind="split", byte_index=2),
    ):
        made = Lane("unit", MessageChunks(), Counter())
        made.follow(0, Mischief(attacks=(attack,)))
        made.put(0, [b"ab", b"cd"])
        found.append(made.take(LATE_US))
    assert found == [
        [[b"ab", b"bd"]],
        [[b"b", b"cd"]],
        [[b"ab", b"cd!"]],
        [[b"a"], [b"b", b"cd"]],
        [[b"ab", b""], [b"cd"]],
    ]


# --- by seed


def hit(kind: str, rate: float, *, seed: int = 3, name: str = "unit", **more: float) -> list[int]:
    """Numbers of the chunks of a thousand to which it happens."""
    asked = Mischief(seed=seed, rates={kind: rate, **more})
    return [n for n in range(1000) if kind in asked.acts(name, n, 5, n)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_rate_is_the_share_of_chunks_and_none_and_all_are_exact(kind: str) -> None:
    assert len(hit(kind, 0.0)) == 0
    assert len(hit(kind, 1.0)) == 1000
    assert 60 <= len(hit(kind, 0.1)) <= 140  # binomial: 100 +-9.5


def test_a_seed_hits_the_same_chunks_whatever_else_is_done() -> None:
    assert hit("flip", 0.1) == hit("flip", 0.1, drop=0.5, delay=0.5)
    assert set(hit("flip", 0.1)) < set(hit("flip", 0.2))
    assert hit("flip", 0.1) != hit("flip", 0.1, seed=4)
    assert hit("flip", 0.1) != hit("flip", 0.1, name="device")


def test_where_in_the_chunk_is_the_dice_too_and_every_place_is_reached() -> None:
    asked = Mischief(seed=1, rates={"flip": 1.0})
    places = {asked.acts("unit", n, 3, n)["flip"] for n in range(500)}
    assert places == {(byte, bit) for byte in range(3) for bit in range(8)}


# --- on a link


def bad_pipe(**asked: Any) -> tuple[PipeLink, MischiefLink]:
    ours, theirs = pipe(baud=9600)
    link = MischiefLink(theirs)
    link.follow(0, Mischief(delay_us=LATE_US, **asked))
    return ours, link


def test_what_it_holds_back_is_under_way_in_both_directions() -> None:
    ours, link = bad_pipe(rates={"delay": 1.0})
    ours.write(0, b"abc")
    assert link.arrival_us() == 3_125
    assert link.read(3_125) == b""
    assert link.arrival_us() == 3_125 + LATE_US
    assert link.read(3_125 + LATE_US) == b"abc"
    link.write(30_000, b"xy")
    assert (ours.arrival_us(), link.arrival_us()) == (NEVER_US, 30_000 + LATE_US)
    assert link.read(30_000 + LATE_US) == b""  # a look at the link lets it out
    assert ours.read(30_000 + LATE_US + 2_084) == b"xy"
    assert link.counts["delay"] == 2


def test_a_chunk_of_a_pipe_is_taken_whole_however_often_somebody_looks() -> None:
    ours, link = bad_pipe(attacks=(Attack(kind="flip", byte_index=2, value_code=0),))
    ours.write(0, b"abc")
    assert [link.read(t_us) for t_us in range(0, 3_125, 500)] == [b""] * 7
    assert link.read(3_125) == b"abb"


def test_the_other_direction_stays_good() -> None:
    ours, theirs = pipe()
    link = MischiefLink(theirs)
    link.follow(0, Mischief(rates={"drop": 1.0}), "unit")
    ours.write(0, b"in")
    link.write(0, b"out")
    assert (link.read(0), ours.read(0)) == (b"in", b"")
    link.follow(0, Mischief(rates={"drop": 1.0}), "device")
    ours.write(0, b"in")
    link.write(0, b"out")
    assert (link.read(0), ours.read(0)) == (b"", b"out")


def test_a_line_that_becomes_good_again_gives_what_it_held() -> None:
    ours, link = bad_pipe(rates={"reorder": 1.0})
    link.write(0, b"ab")
    assert ours.arrival_us() == NEVER_US
    link.follow(5_000, None)
    assert link.arrival_us() == 5_000
    link.read(5_000)
    assert ours.read(10_000) == b"ab"


def test_frames_that_are_held_back_leave_by_themselves() -> None:
    ours, theirs = frame_pipe()
    outlet = MischiefOutlet(theirs)
    assert (outlet.due_us(), outlet.has_peer) == (NEVER_US, True)
    outlet.follow(0, Mischief(rates={"delay": 1.0}, delay_us=LATE_US))
    outlet.write(100, [b"a"])
    assert outlet.due_us() == 100 + LATE_US
    outlet.flush(100 + LATE_US)
    assert ours.read(100 + LATE_US) == [[b"a"]]


# --- the verb


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({}, "mischief needs 'device'"),
        ({"device": "panel", "dorp": 0.1}, "mischief has no 'dorp'; there are device, seed, "),
        ({"device": "tube"}, "device = 'tube': must be one of generator, room, panel, frames"),
        ({"device": "room", "drop": 1.5}, "drop = 1.5: must be a number from 0 to 1"),
        ({"device": "room", "drop": -0.1}, "drop = -0.1: must be a number from 0 to 1"),
        ({"device": "room", "drop": float("nan")}, "drop = nan: must be a number from 0 to 1"),
        ({"device": "room", "drop": True}, "drop = True: must be a number from 0 to 1"),
        ({"device": "room", "drop": "often"}, "drop = 'often': must be a number from 0 to 1"),
        ({"device": "room", "seed": 1.5}, "seed = 1.5: must be a whole number, 0 or more"),
        ({"device": "room", "toward": "up"}, "toward = 'up': must be one of both, unit, device"),
        ({"device": "room", "delay_ms": -1}, "delay_ms = -1: must be a number from 0 to 60000"),
        ({"device": "room", "delay_ms": "x"}, "delay_ms = 'x': must be a number from 0 to 60000"),
        ({"device": "room", "once": "flip"}, "once needs a direction: toward = unit or device"),
        ({"device": ["room"]}, "device = ['room']: must be one of generator, room, panel, "),
        ({"device": "room", "once": ["x"], "toward": "unit"}, "no mischief ['x']; there are drop"),
        (
            {"device": "room", "once": "bend", "toward": "unit"},
            "no mischief 'bend'; there are drop, lose, flip, ",
        ),
        (
            {"device": "room", "once": "flip", "toward": "unit", "value": 8},
            "value = 8: must be a whole number, 0 to 7",
        ),
        (
            {"device": "room", "once": "flip", "toward": "unit", "byte": -1},
            "byte = -1: must be a whole number, 0 or more",
        ),
    ],
)
def test_a_wrong_value_of_the_verb_is_refused_with_what_is_allowed(
    world: Any, args: dict[str, Any], told: str
) -> None:
    with pytest.raises(ScriptError) as refused:
        do(world, "mischief", args)
    assert str(refused.value).startswith(told)
    assert [link.counts.total() for link in links_of(world).values()] == [0] * 4


def test_the_verb_takes_a_rate_for_each_kind_and_reaches_each_line(world: Any) -> None:
    assert set(KINDS) < set(arguments("mischief")[0])
    for device, link in links_of(world).items():
        check("mischief", {"device": device})
        do(world, "mischief", {"device": device, "drop": 1.0})
        if isinstance(link, MischiefFrames):
            link.write(0, [b"x"])
        else:
            link.write(0, b"x")
        assert +link.counts == {"drop": 1}


# --- nobody may notice that it is there, and time may jump


def test_a_line_on_which_nothing_is_done_changes_no_trace() -> None:
    """Neither before the verb nor after it: chunks are held by nobody."""
    untouched, touched = Story(), Story(*[mischief(device) for device in links_of_a_story()])
    assert untouched.run().states()[-1] == "STANDBY"
    touched.run()
    assert trace_of(untouched) == trace_of(touched)


def links_of_a_story() -> list[str]:
    return list(links_of(Story().rung.world))


DEVICES = ("generator", "room", "panel", "frames")


@pytest.mark.parametrize(
    ("device", "kind"),
    [
        *((DEVICES[number % 4], kind) for number, kind in enumerate(KINDS)),
        *((device, "delay") for device in DEVICES),
    ],
)
def test_jumping_and_scanning_give_one_trace_on_a_bad_line(device: str, kind: str) -> None:
    rate: dict[str, Any] = {kind: 0.15}
    step = mischief(device, seed=7, delay_ms=37.003, **rate)
    jumped, scanned = Story(step), Story(step, jump=False)
    jumped.run(), scanned.run()
    assert trace_of(jumped) == trace_of(scanned)
    assert jumped.counts == scanned.counts
    assert jumped.rung.scan_count < scanned.rung.scan_count


def test_a_link_that_hides_what_it_holds_is_found_by_jumping(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The planted offender of the test above: its own events are not told to the world."""
    step = mischief("generator", seed=7, delay_ms=37.003, delay=0.15)
    scanned = Story(step, jump=False)
    scanned.run()
    monkeypatch.setattr(MischiefLink, "arrival_us", lambda link: link._link.arrival_us())
    hidden = Story(step)
    hidden.run()
    assert trace_of(hidden) != trace_of(scanned)


def test_one_seed_is_one_trace_and_another_seed_another() -> None:
    traces = []
    for seed in (1, 1, 2):
        made = Story(mischief("generator", seed=seed, drop=0.1))
        made.run()
        traces.append(trace_of(made))
    assert traces[0] == traces[1]
    assert traces[0] != traces[2]


def test_a_spoiled_story_is_named_by_its_seed_alone() -> None:
    assert spoiled("room", "drop", 4) == spoiled("room", "drop", 4)
    assert len({str(spoiled("room", "drop", seed)) for seed in range(20)}) == 20
    assert small()[0].unit.panel.rows_px == 64
