"""Which reads of kV, mA and charge count, and which end a beam: each edge from both sides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import beam as beams
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Beam, State
from tests.samples import (
    BEAM,
    LIMITS,
    ON,
    READ,
    T_US,
    TECHNIQUE,
    exposing,
    generator,
    held,
    in_beam,
    inputs,
    memory,
    room,
)

S = State
ACCEPTED_US = T_US - 700_000
SETTLED_US = ACCEPTED_US + LIMITS.settle_us
LITTLE = replace(READ, read_mas=0.3)


def found(beam: Beam = LITTLE, **read: Any) -> tuple[str, ...]:
    """The faults of a scan in mid-beam whose newest sample differs by `read`."""
    values = {"beam_taken_us": T_US - 5_000, "monitor_taken_us": T_US - 10_000} | read
    now = in_beam(room=held(lamp_current=True), generator=replace(ON, **values))
    return step(exposing(beam), now)[0].faults


# --- reads that say nothing


@pytest.mark.req("SR-24", "SR-25")
@pytest.mark.parametrize(
    ("ma", "asked_us", "is_doubtful"),
    [
        (0.05, T_US, False),  # a tenth of what was asked for
        (0.0499, T_US, True),  # a tube that is off already
        (0.6, SETTLED_US - 1, False),  # the edge of the band
        (0.6001, SETTLED_US - 1, True),  # one flipped digit ends no beam as planned
        (0.6001, SETTLED_US, False),  # from here on the band ends it
        (None, T_US, False),
    ],
)
def test_a_current_that_this_tube_can_not_have_is_doubted(
    ma: float | None, asked_us: int, is_doubtful: bool
) -> None:
    sample = generator(ma=ma, monitor_taken_us=asked_us)
    assert beams.doubtful_ma(BEAM, sample, TECHNIQUE, LIMITS) is is_doubtful


@pytest.mark.req("SR-24")
def test_the_absolute_band_holds_where_it_is_the_wider_one() -> None:
    little = replace(TECHNIQUE, ma=0.2)  # 20 % are 0.04, the band is 0.05 mA
    early = {"monitor_taken_us": SETTLED_US - 1}
    inside, outside = generator(ma=0.25, **early), generator(ma=0.2501, **early)
    assert not beams.doubtful_ma(BEAM, inside, little, LIMITS)
    assert beams.doubtful_ma(BEAM, outside, little, LIMITS)


def test_before_the_beam_was_accepted_no_current_is_doubted() -> None:
    sample = generator(ma=0.0, monitor_taken_us=T_US)
    unaccepted = replace(BEAM, accepted_us=None)
    assert not beams.doubtful_ma(unaccepted, sample, TECHNIQUE, LIMITS)


@pytest.mark.req("SR-25")
def test_a_doubted_read_is_not_counted_and_the_highest_believed_current_is_kept() -> None:
    off = replace(ON, ma=0.01, monitor_taken_us=T_US - 10_000)
    high = replace(ON, ma=0.55, monitor_taken_us=T_US - 10_000)
    beam = replace(LITTLE, most_ma=0.5)
    after_off, _ = step(exposing(beam), in_beam(generator=off))
    after_high, _ = step(exposing(beam), in_beam(generator=high))
    lower, _ = step(exposing(replace(beam, most_ma=0.58)), in_beam(generator=high))
    assert after_off.beam == beam
    assert [m.beam.most_ma for m in (after_high, lower) if m.beam] == [0.55, 0.58]


# --- the bands


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(
    ("read", "codes"),
    [
        ({"kv": 88.0}, ()),
        ({"kv": 88.1}, ("KV_OUT_OF_BAND",)),
        ({"kv": 72.0}, ()),
        ({"kv": 71.9}, ("KV_OUT_OF_BAND",)),
        ({"ma": 0.6}, ()),
        ({"ma": 0.601}, ("MA_OUT_OF_BAND",)),
        ({"ma": 0.4}, ()),
        ({"ma": 0.399}, ("MA_OUT_OF_BAND",)),
        ({"kv": None}, ("KV_OUT_OF_BAND",)),
    ],
)
def test_a_read_out_of_its_band_ends_the_beam(read: dict[str, Any], codes: tuple[str, ...]) -> None:
    assert found(**read) == codes


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(
    ("status", "low", "high"),
    [
        ({"beam_taken_us": T_US - 10_000}, True, True),
        ({"beam_taken_us": T_US - 10_001}, False, True),  # it may be off: the next status says so
        ({"beam_on": None}, False, True),
    ],
)
def test_too_little_counts_when_a_status_of_then_or_later_says_on_and_too_much_always(
    status: dict[str, Any], low: bool, high: bool
) -> None:
    assert (found(kv=60.0, **status) == ("KV_OUT_OF_BAND",)) is low
    assert (found(kv=100.0, **status) == ("KV_OUT_OF_BAND",)) is high
    assert (found(ma=0.3, **status) == ("MA_OUT_OF_BAND",)) is low
    assert (found(ma=0.7, **status) == ("MA_OUT_OF_BAND",)) is high


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(("asked_us", "counts"), [(SETTLED_US, True), (SETTLED_US - 1, False)])
def test_a_read_counts_for_the_bands_from_100_ms_after_the_beam_was_accepted(
    asked_us: int, counts: bool
) -> None:
    earlier = replace(LITTLE, read_us=SETTLED_US - 20_000)
    assert (found(earlier, kv=100.0, monitor_taken_us=asked_us) != ()) is counts


# --- the charge


@pytest.mark.req("SR-25")
@pytest.mark.parametrize(
    ("mas", "codes"),
    [
        (0.9, ()),  # 0.5 mAs and 0.4 mAs are just not more
        (0.91, ("OVER_MAS", "OVER_MAS_SERVICE")),
    ],
)
def test_far_more_charge_than_planned_is_services_business(
    mas: float, codes: tuple[str, ...]
) -> None:
    beam = replace(READ, read_mas=mas)
    now = in_beam(room=held(lamp_current=True))
    told = step(exposing(beam), now)[0].faults
    assert [code for code in told if code == "OVER_MAS_SERVICE"] == list(codes[1:])


@pytest.mark.req("SR-25")
@pytest.mark.parametrize(("read_us", "counts"), [(SETTLED_US, True), (SETTLED_US - 1, False)])
def test_a_charge_counts_from_100_ms_after_the_beam_was_accepted(
    read_us: int, counts: bool
) -> None:
    over = replace(READ, read_us=read_us, read_mas=0.75)
    far_over = replace(over, read_mas=0.95)
    assert (found(over, monitor_taken_us=read_us) == ("OVER_MAS",)) is counts
    assert (found(far_over, monitor_taken_us=read_us) == ("OVER_MAS_SERVICE",)) is counts


@pytest.mark.req("SR-25")
def test_a_single_read_out_of_its_band_ends_the_beam_and_locks_nothing() -> None:
    beam = replace(READ, read_mas=0.95)
    now = in_beam(room=held(lamp_current=True), generator=replace(ON, ma=0.9))
    after, _ = step(exposing(beam), now)
    assert (after.state, "OVER_MAS_SERVICE" in after.faults) == (S.FAULT, False)


# --- a lamp that was dark, a self-test that nobody answers


@pytest.mark.req("SR-38")
@pytest.mark.parametrize(("dark", "state"), [(True, S.SELF_TEST), (False, S.RELEASE_WAIT)])
def test_a_reset_looks_at_a_dark_lamp_again(dark: bool, state: State) -> None:
    before = memory(S.STANDBY, tested_us=T_US, lamp_dark=dark, reset_since_us=T_US - 20_000)
    assert step(before, inputs(room=room(reset=True)))[0].state is state


@pytest.mark.req("SR-46")
def test_a_self_test_without_the_room_blames_the_room_and_not_the_lamp() -> None:
    before = memory(S.SELF_TEST, since_us=T_US - LIMITS.self_test_us)
    silent = inputs(room=room(link_ok=False))
    assert step(before, silent)[0].faults == ("SELF_TEST_TIMEOUT", "ROOM_IO_LOST")
