"""Rows and exposures: who is whose, by the pattern of times, and what is left over and why."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rig.exit_codes import UsageError
from rig.instruments.clock import Pairs, aligned
from rig.instruments.meter_rows import MeterRow
from rig.instruments.pairing import TOLERANCE_S, Pairing, Said, pair
from tests.meter_files import rows_at, shots_at

# As a person presses: never twice the same interval.
SESSION = (0.0, 35.0, 71.0, 118.0, 160.0, 199.5, 260.0, 301.0, 340.0, 399.0, 444.0, 480.0)


def made(found: Pairing) -> list[tuple[int, int]]:
    return [(one.row.number, one.shot.number) for one in found.pairs]


def left_rows(found: Pairing) -> dict[int, str]:
    return {row.number: why for row, why in found.rows_left}


def left_shots(found: Pairing) -> dict[int, str]:
    return {shot.number: why for shot, why in found.shots_left}


@pytest.mark.parametrize("offset_s", [0.0, 3600.0, -3600.0, 41.7, -7200.3, 40_000.0])
def test_a_clock_that_is_off_is_found_in_the_pattern(offset_s: float) -> None:
    found = pair(rows_at(*(s + offset_s for s in SESSION)), shots_at(*SESSION))
    assert made(found) == [(n + 1, n) for n in range(1, 13)]
    assert found.offset_s == pytest.approx(offset_s)
    assert (found.rows_left, found.shots_left, found.ambiguous) == ((), (), False)
    assert all(one.residual_s == pytest.approx(0.0) and one.why == "time" for one in found.pairs)


def test_stamps_of_whole_seconds_fit_and_their_residuals_are_told() -> None:
    found = pair(rows_at(*(float(int(s + 3600.4)) for s in SESSION)), shots_at(*SESSION))
    assert len(found.pairs) == 12
    assert found.offset_s == 3600.0
    assert [one.residual_s for one in found.pairs if one.shot.number == 6] == [-0.5]


def test_an_extra_row_is_left_over_with_the_nearest_exposure() -> None:
    found = pair(rows_at(*sorted((*SESSION, 220.0))), shots_at(*SESSION))
    assert made(found) == [(n + 1, n) for n in range(1, 7)] + [(n + 2, n) for n in range(7, 13)]
    assert left_rows(found) == {8: "no exposure at its time; the nearest, 6, is 20.5 s away"}
    assert not found.ambiguous


def test_a_missing_row_leaves_its_exposure_over() -> None:
    found = pair(rows_at(*SESSION[:3], *SESSION[4:]), shots_at(*SESSION))
    assert made(found) == [(2, 1), (3, 2), (4, 3), *((n, n) for n in range(5, 13))]
    assert left_shots(found) == {4: "no row at its time; the nearest, row 5, is 42.0 s away"}


def test_exposures_of_another_day_are_no_part_of_it() -> None:
    found = pair(rows_at(*SESSION), shots_at(*(s - 86_400 for s in SESSION), *SESSION))
    assert made(found) == [(n + 1, n + 12) for n in range(1, 13)]
    assert found.shots_left == ()


def test_of_a_double_exposure_the_nearer_one_is_taken() -> None:
    found = pair(rows_at(*SESSION), shots_at(*sorted((*SESSION, 119.2))))
    assert (5, 4) in made(found)
    assert left_shots(found) == {5: "row 5, 1.2 s away, is exposure 4's"}


def test_of_a_double_exposure_that_time_cant_tell_apart_neither_is_taken() -> None:
    found = pair(rows_at(*SESSION), shots_at(*sorted((*SESSION, 118.3))))
    assert 5 not in dict(made(found))
    assert left_rows(found) == {5: "exposures 4 and 5 suit it alike; say --pair 5=4 or 5=5"}
    assert set(left_shots(found)) == {4, 5}
    assert found.ambiguous


def test_two_rows_for_one_exposure_are_told_and_neither_is_taken() -> None:
    found = pair(rows_at(*sorted((*SESSION, 118.3))), shots_at(*SESSION))
    assert set(left_rows(found)) == {5, 6}
    assert "row 6 suits exposure 4 alike; say --pair 5=4 or --pair 6=4" in left_rows(found)[5]
    assert left_shots(found) == {4: "row 5 may be it; not decided"}
    assert found.ambiguous


def test_a_second_row_that_is_further_off_is_left_over_alone() -> None:
    found = pair(rows_at(*sorted((*SESSION, 119.5))), shots_at(*SESSION))
    assert (5, 4) in made(found)
    assert left_rows(found) == {6: "exposure 4 has row 5 (0.0 s away, this one 1.5 s)"}


def test_an_even_pace_with_one_row_less_fits_two_clocks_and_none_is_guessed() -> None:
    found = pair(rows_at(0, 60, 120, 180), shots_at(0, 60, 120, 180, 240))
    assert (found.pairs, found.offset_s, found.ambiguous) == ((), None, True)
    assert "+0.0 s or -60.0 s ahead" in found.notes[0]
    said = pair(rows_at(0, 60, 120, 180), shots_at(0, 60, 120, 180, 240), said=Said(
        pairs={}, offset_s=-60.0,
    ))  # fmt: skip
    assert made(said) == [(2, 2), (3, 3), (4, 4), (5, 5)]


def test_few_rows_show_no_pattern_and_need_a_clock_near_the_units_or_an_hour_off() -> None:
    assert made(pair(rows_at(7.0), shots_at(0.0, 400.0))) == [(2, 1)]
    assert made(pair(rows_at(3607.0), shots_at(0.0, 400.0))) == [(2, 1)]
    far = pair(rows_at(1000.0), shots_at(0.0, 400.0))
    assert (far.pairs, far.ambiguous) == ((), True)
    assert "say how far the meter's clock is ahead (--clock)" in far.notes[0]
    assert made(pair(rows_at(1000.0), shots_at(0.0, 400.0), said=Said(pairs={}, offset_s=600.0)))


def test_a_file_of_which_fewer_than_half_fits_is_another_days() -> None:
    strange = [s * 1.37 + 11 for s in SESSION]
    found = pair(rows_at(*strange), shots_at(*SESSION))
    assert (found.pairs, found.offset_s) == ((), None)
    assert "another bench or day?" in found.notes[0]


# --- a person's word


def test_a_persons_pair_stands_and_settles_the_rest() -> None:
    shots = shots_at(*sorted((*SESSION, 118.3)))
    found = pair(rows_at(*SESSION), shots, said=Said(pairs={5: 5}))
    assert (5, 5) in made(found)
    assert next(one.why for one in found.pairs if one.row.number == 5) == "said"
    assert not found.ambiguous
    assert len(found.pairs) == 12


def test_a_persons_pair_is_the_clock_where_no_pattern_tells_it() -> None:
    found = pair(rows_at(0, 60, 120), shots_at(0, 60, 120, 180), said=Said(pairs={2: 2}))
    assert made(found) == [(2, 2), (3, 3), (4, 4)]
    assert found.offset_s == pytest.approx(-60.0)


def test_nothing_crosses_what_a_person_paired() -> None:
    said = Said(pairs={4: 1}, offset_s=0.0)
    assert made(pair(rows_at(0, 1, 2), shots_at(0, 1, 2), said=said)) == [(4, 1)]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({99: 1}, "the file has no such row"),
        ({2: 99}, "no such exposure"),
        ({2: 3, 3: 2}, "crosses another pair"),
        ({2: 3, 3: 3}, "takes its exposure"),
    ],
)
def test_a_pair_that_can_not_be_is_refused(said: dict[int, int], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        pair(rows_at(*SESSION), shots_at(*SESSION), said=Said(pairs=said))


# --- by order alone


def without_times(count: int) -> list[MeterRow]:
    return [MeterRow(number=n) for n in range(2, 2 + count)]


def test_without_times_as_many_rows_as_exposures_go_one_by_one() -> None:
    found = pair(without_times(3), shots_at(0, 60, 120))
    assert made(found) == [(2, 1), (3, 2), (4, 3)]
    assert {one.why for one in found.pairs} == {"order"}
    assert found.notes == ("the file has no times: paired by order alone",)
    assert found.offset_s is None


def test_without_times_a_row_too_many_pairs_none_but_what_a_person_parts() -> None:
    found = pair(without_times(4), shots_at(0, 60, 120))
    assert (made(found), found.ambiguous) == ([], True)
    assert left_rows(found)[2].startswith("4 rows and 3 exposures, and no times")
    parted = pair(without_times(4), shots_at(0, 60, 120), said=Said(pairs={3: 2}))
    assert made(parted) == [(2, 1), (3, 2)]
    assert set(left_rows(parted)) == {4, 5}


# --- properties

lists_s = st.lists(st.integers(0, 3000).map(lambda n: n / 10), min_size=1, max_size=12)


def every_way(rows_s: list[float], shots_s: list[float]) -> list[Pairs]:
    """All that never crosses and lies within 2 s, by trying."""
    if not rows_s:
        return [[]]
    at = len(rows_s) - 1
    found = every_way(rows_s[:-1], shots_s)
    for j, shot_s in enumerate(shots_s):
        if abs(rows_s[-1] - shot_s) <= 2.0:
            found += [[*pairs, (at, j)] for pairs in every_way(rows_s[:-1], shots_s[:j])]
    return found


crowd_s = st.lists(st.integers(0, 60).map(lambda n: n / 10), min_size=1, max_size=5).map(sorted)


@settings(max_examples=100, deadline=None)
@given(crowd_s, crowd_s)
def test_the_most_pairs_are_found_and_of_those_the_closest(
    rows_s: list[float], shots_s: list[float]
) -> None:
    def rank(pairs: Pairs) -> tuple[int, float]:
        return len(pairs), -round(sum(abs(rows_s[i] - shots_s[j]) for i, j in pairs), 6)

    best = max(map(rank, every_way(rows_s, shots_s)))
    assert rank(aligned(rows_s, shots_s, 0.0, 2.0)) == best


@settings(max_examples=60, deadline=None)
@given(lists_s, lists_s)
def test_pairs_never_cross_and_never_lie_apart_whatever_the_times(
    rows_s: list[float], shots_s: list[float]
) -> None:
    rows, shots = rows_at(*sorted(rows_s)), shots_at(*sorted(shots_s))
    found = pair(rows, shots)
    numbers = made(found)
    assert numbers == sorted(numbers)
    assert len({row for row, _ in numbers}) == len({shot for _, shot in numbers}) == len(numbers)
    for one in found.pairs:
        assert one.residual_s is not None
        assert abs(one.residual_s) <= TOLERANCE_S
    assert {row.number for row in rows} == {n for n, _ in numbers} | left_rows(found).keys()
    assert all(left_rows(found).values())
    assert found == pair(rows, shots)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9))
def test_drops_extra_rows_and_any_clock_give_the_truth(seed: int) -> None:
    """Intervals as people press: at least 8 s, uneven; stamps of whole seconds, read late."""
    chance = random.Random(seed)
    shots_s = [0.0]
    for _ in range(chance.randint(9, 25)):
        shots_s.append(shots_s[-1] + 8.0 + chance.expovariate(1 / 40))
    offset_s = chance.choice([0.0, 3600.0, -3600.0, chance.uniform(-40_000, 40_000)])
    dropped = set(chance.sample(range(len(shots_s)), chance.randint(0, 3)))
    seen = [(s + offset_s, n) for n, s in enumerate(shots_s, start=1) if n - 1 not in dropped]
    for _ in range(chance.randint(0, 2)):
        after = chance.randrange(len(shots_s) - 1)
        middle_s = (shots_s[after] + shots_s[after + 1]) / 2
        if shots_s[after + 1] - shots_s[after] > 12.0:
            seen.append((middle_s + offset_s, 0))
    seen.sort()
    rows = rows_at(*(round(s) for s, _ in seen))
    truth = [(n, shot) for n, (_, shot) in enumerate(seen, start=2) if shot]
    found = pair(rows, shots_at(*shots_s))
    assert made(found) == truth
    assert found.offset_s == pytest.approx(offset_s, abs=1.0)
    assert len(found.rows_left) == len(seen) - len(truth)


@pytest.mark.parametrize("seed", range(5))
def test_a_clock_that_drifts_within_the_tolerance_is_followed(seed: int) -> None:
    chance = random.Random(seed)
    shots_s = [0.0]
    for _ in range(20):
        shots_s.append(shots_s[-1] + chance.uniform(20, 120))
    rows = rows_at(*(s * (1 + 3e-4) + 3600 for s in shots_s))
    assert made(pair(rows, shots_at(*shots_s))) == [(n + 1, n) for n in range(1, 22)]


def test_a_shot_whose_time_is_lost_is_left_over_and_told() -> None:
    shots = shots_at(*SESSION)
    shots[3] = replace(shots[3], start=None)
    found = pair(rows_at(*SESSION[:3], *SESSION[4:]), shots)
    assert len(found.pairs) == 11
    assert left_shots(found) == {4: "its time is not known"}
