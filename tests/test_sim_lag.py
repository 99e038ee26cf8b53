"""What earlier exposures leave in the simulated panel: lag and ghost, by the time since."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from sim import lag
from sim.beam import kerma_ugy
from sim.condition import Light
from sim.pixels import COUNTS_PER_UGY, Exposure, Past, PixelModel
from tests.test_sim_detector import OPEN_UGY, Beam, flat_model, new_panel, one_frame, pixel_model

S = 1_000_000
FULL = 16383


def open_beam(mas: float = 1.0, kv: float = 80.0, name: str = "none") -> Exposure:
    return Exposure(mas=mas, kv=kv, phantom_name=name)


# --- the formula


def test_the_reference_s_shares_come_out_in_frames_without_a_pause() -> None:
    """Siewerdsen & Jaffray 1999: 2-10 % in the first, and three others at 25 % of saturation."""
    assert lag.LAG_SHARES == (0.020, 0.007, 0.004, 0.003)
    found = lag.shares(0, lag.FRAME_US, lag.FRAME_US)
    assert found == pytest.approx(lag.LAG_SHARES, rel=0.005)
    assert found == tuple(lag.kept(n * lag.FRAME_US, lag.FRAME_US).lag for n in range(4))


@pytest.mark.parametrize(
    ("gap_s", "share"), [(0.0, 0.03964), (0.5, 0.0118), (3.0, 0.000645), (10.0, 1.918e-7)]
)
def test_the_later_the_less(gap_s: float, share: float) -> None:
    """By hand: 3.05 % of 0.862 s and 1.87 % of 0.091 s, in a window of 1 s."""
    assert lag.kept(round(gap_s * S), S).lag == pytest.approx(share, rel=5e-3)


def test_a_window_gathers_what_its_parts_would() -> None:
    whole = lag.kept(700_000, 5 * S).lag
    parts = [lag.kept(700_000, 2 * S).lag, lag.kept(2_700_000, 3 * S).lag]
    assert whole == pytest.approx(sum(parts), rel=1e-12)
    assert lag.kept(0, 3600 * S).lag == pytest.approx(0.0305 + 0.0187)


def test_of_a_ghost_a_fifth_is_left_after_half_an_hour() -> None:
    assert lag.kept(0, S).ghost == 1.0
    assert lag.kept(1800 * S, S).ghost == pytest.approx(math.exp(-1.5))


def test_only_the_newest_scenes_are_maps_worth_keeping_and_equal_ones_add_up() -> None:
    left = lag.Kept(lag=0.1, ghost=0.5)
    signals = [(name, 1.0, left) for name in ("a", "b", "c", "b", "d", "e")]
    assert list(lag.by_scene(signals)) == [
        ("e", 0.1, 0.5), ("d", 0.1, 0.5), ("b", 0.2, 1.0), ("c", 0.1, 0.5),
    ]  # fmt: skip
    assert list(lag.by_scene([("a", 1.0, lag.Kept(lag=1e-7, ghost=9e-7))])) == []


# --- in frames


def dark_share(earlier: list[Past], window_us: int = S) -> float:
    """The signal of a dark frame behind these, relative to that of 1 mAs."""
    model = flat_model(bow_pct=0.0)
    truth = model.maps(window_us)
    good = ~truth.defects & ~np.logical_or.reduce([*truth.near_limit.values()])
    raw = model.frame(0.0, 80.0, window_us, 9, "none", earlier, ghost_pct=0.0)
    return float(np.mean((raw - truth.offset)[good] / truth.gain[good])) / (
        OPEN_UGY * COUNTS_PER_UGY
    )


@pytest.mark.parametrize("gap_us", [0, 500_000, 3 * S, 10 * S])
def test_a_dark_frame_holds_as_much_of_an_exposure_as_the_formula_says(gap_us: int) -> None:
    expected = lag.kept(gap_us, S).lag
    assert dark_share([Past(open_beam(), gap_us)]) == pytest.approx(expected, abs=1e-5)


def test_the_lags_of_several_exposures_add_up() -> None:
    earlier = [Past(open_beam(mas), at) for mas, at in ((0.5, 2 * S), (1.0, S), (2.0, 300_000))]
    expected = sum(one.exposure.mas * lag.kept(one.gap_us, S).lag for one in earlier)
    assert dark_share(earlier) == pytest.approx(expected, abs=2e-5)


def test_lag_shows_what_stood_there_then_with_the_kv_of_then() -> None:
    model = pixel_model(rows_px=256, columns_px=256, pitch_mm=0.8, bow_pct=0.0)
    truth = model.maps(S)
    good = ~truth.defects & ~truth.near_limit["lag"]
    hand = [Past(open_beam(kv=60.0, name="hand"), S)]
    picture = model.frame(1.0, 60.0, S, 0) - truth.offset
    without = model.frame(0.5, 80.0, S, 1, "none").astype(np.float32)
    seen = model.frame(0.5, 80.0, S, 1, "none", hand, ghost_pct=0.0) - without
    share = lag.kept(S, S).lag
    assert share > 0.006
    assert np.abs(seen - share * picture)[good].max() < 3.0  # rounding, and the picture's noise


def test_a_frame_with_a_history_is_the_same_however_often_it_is_drawn() -> None:
    earlier = [Past(open_beam(kv=70.0, name="hand"), 600_000)]
    first, again = flat_model(), flat_model()
    frame = first.frame(0.2, 80.0, S, 3, "none", earlier)
    for kv in (50.0, 60.0, 65.0, 75.0, 85.0, 95.0, 105.0):  # more than it keeps
        first.frame(0.2, kv, S, 4, "hand", earlier)
    assert np.array_equal(frame, first.frame(0.2, 80.0, S, 3, "none", earlier))
    assert np.array_equal(frame, again.frame(0.2, 80.0, S, 3, "none", earlier))
    assert not np.array_equal(frame, first.frame(0.2, 80.0, S, 3, "none"))


def test_what_is_forgotten_leaves_no_byte() -> None:
    """Seven time constants of the ghost; after less than that a count may differ."""
    model = flat_model()
    fresh = model.frame(0.2, 80.0, S, 3, "none")
    old = [Past(open_beam(0.01), 8 * 3600 * S)]
    assert np.array_equal(model.frame(0.2, 80.0, S, 3, "none", old), fresh)


def test_an_exposure_without_beam_leaves_nothing() -> None:
    assert dark_share([Past(open_beam(0.0), 0), Past(open_beam(1.0, kv=0.0), 0)]) == pytest.approx(
        0.0, abs=1e-5
    )


# --- the ghost


def lit(
    model: PixelModel, earlier: list[Past], ghost_pct: float = lag.GHOST_PCT
) -> NDArray[np.float64]:
    """The mean of ten frames of 0.5 mAs through nothing, without offset."""
    frames = [
        model.frame(0.5, 80.0, S, 40 + n, "none", earlier, ghost_pct=ghost_pct) for n in range(10)
    ]
    return np.asarray(np.mean(frames, axis=0) - model.maps(S).offset, np.float64)


@pytest.mark.parametrize("mas", [0.4, 1.6, 6.0])
def test_after_a_bright_exposure_the_gain_is_higher_by_the_written_share(mas: float) -> None:
    model = flat_model(bow_pct=0.0)
    truth = model.maps(S)
    good = ~truth.defects
    earlier = [Past(open_beam(mas), 120 * S)]  # its lag is gone then
    filled = mas * kerma_ugy(80.0, 1.0) * COUNTS_PER_UGY / FULL * math.exp(-0.1)
    ratio = lit(model, earlier)[good].sum() / lit(model, [])[good].sum()
    assert ratio - 1.0 == pytest.approx(0.002 * filled / (1.0 + filled), abs=2e-5)


def test_a_ghost_has_the_shape_of_what_stood_there_and_is_seen_after_half_an_hour() -> None:
    model = pixel_model(rows_px=256, columns_px=256, pitch_mm=0.8, bow_pct=0.0)
    truth = model.maps(S)
    good = ~truth.defects
    hand = model.frame(2.0, 60.0, S, 1, "hand") - truth.offset
    top = np.percentile(hand[good], 90)
    shadow, open_field = good & (hand < 0.02 * top), good & (hand > 0.9 * top)
    after = lit(model, [Past(open_beam(2.0, 60.0, "hand"), 1800 * S)]) / lit(model, []).clip(1.0)
    left, right = after[shadow], after[open_field]
    step = right.mean() - left.mean()
    noise = math.hypot(right.std() / math.sqrt(right.size), left.std() / math.sqrt(left.size))
    assert step > 10.0 * noise
    assert 1e-4 < step < 3e-4
    assert left.mean() == pytest.approx(1.0, abs=3e-5)


def test_how_strong_a_ghost_is_can_be_set_and_without_it_the_gain_stays() -> None:
    model = flat_model(bow_pct=0.0)
    good = ~model.maps(S).defects
    earlier = [Past(open_beam(1.0), 120 * S)]
    plain = lit(model, [])[good].sum()
    none = lit(model, earlier, ghost_pct=0.0)[good].sum()
    strong = lit(model, earlier, ghost_pct=5.0)[good].sum()
    default = lit(model, earlier)[good].sum()
    assert none == pytest.approx(plain, rel=1e-7)
    assert (strong - plain) / (default - plain) == pytest.approx(25.0, rel=0.01)


# --- a dark frame afterwards, subtracted


def test_a_dark_frame_taken_afterwards_removes_a_ghost_in_part_and_imprints_a_new_one() -> None:
    """As every radiograph of a Varex 4343W is made (qc-and-physics.md 3.1)."""
    model = pixel_model(rows_px=256, columns_px=256, pitch_mm=0.8, bow_pct=0.0)
    truth = model.maps(S)
    good = ~truth.defects & ~truth.near_limit["lag"]
    bright, thin = open_beam(1.0, 60.0, "hand"), open_beam(0.1, 80.0, "none")
    both = [Past(bright, 3_600_000), Past(thin, 600_000)]
    image = model.frame(0.1, 80.0, S, 1, "none", [Past(bright, S)], ghost_pct=0.0)
    alone = model.frame(0.1, 80.0, S, 1, "none", ghost_pct=0.0)
    dark = model.frame(0.0, 80.0, S, 2, "none", both, ghost_pct=0.0)
    hand = model.frame(1.0, 60.0, S, 0, "hand") - truth.offset
    open_field = good & (hand > 0.9 * np.percentile(hand[good], 90))
    thin_signal = (alone - truth.offset)[open_field].mean()

    def left(raw: NDArray[np.float32]) -> float:
        return float((raw - (alone - truth.offset))[open_field].mean())

    of_bright = hand[open_field].mean()
    before, after = lag.kept(S, S).lag * of_bright, lag.kept(3_600_000, S).lag * of_bright
    own = lag.kept(600_000, S).lag * thin_signal
    assert left(image - truth.offset) == pytest.approx(before, rel=0.01)
    assert left(image.astype(np.float32) - dark) == pytest.approx(before - after - own, rel=0.01)
    assert 0.03 * before < after < 0.1 * before
    assert own > 5.0


# --- by the panel


class OnceBeam(Beam):
    """Beam in the first window only."""

    def __call__(self, from_us: int, to_us: int) -> Light:
        first = not self.asked
        light = super().__call__(from_us, to_us)
        return light if first else Light(0.0, 0.0)


def after_one_exposure(
    *, dropped: bool = False, fetched: bool = True, waits_us: int = 0
) -> list[float]:
    """The mean signal of dark frames behind it, in shares of its own."""
    panel = new_panel(OnceBeam())
    panel.phantom_name = "none"
    panel.prepare(0)
    frames = [one_frame(panel, 500_000)]  # closes at 1.5 s
    if dropped:
        panel.drop_frame = True
        panel.request_window(3_000_000, "lost")
        panel.drop_request(4_000_000)
        assert panel.take_frames(4_500_000) == []
        panel.drop_frame = False
    for number in range(3):
        at_us = 5_000_000 + 2_500_000 * number + waits_us
        if fetched:
            frames.append(one_frame(panel, at_us))
        else:
            panel.request_window(at_us, "shot")
            panel.drop_request(at_us + 1_000_000)
    frames += [np.frombuffer(f.pixels, "<u2").reshape(64, 64) for f in panel.take_frames(10**9)]
    good = ~panel.maps().defects
    signals = [float(np.mean((raw - panel.maps().offset)[good])) + 0.5 for raw in frames]
    return [signal / signals[0] for signal in signals[1:]]


@pytest.mark.parametrize("waits_us", [-2 * S, -S, 0, 20 * S])
def test_a_panel_knows_how_long_ago_an_exposure_was(waits_us: int) -> None:
    expected = [
        lag.kept(5_120_000 + 2_500_000 * n + waits_us - 1_500_000, 880_000).lag for n in range(3)
    ]
    assert after_one_exposure(waits_us=waits_us) == pytest.approx(expected, abs=2e-4)


def test_a_frame_in_between_that_was_dropped_or_fetched_late_changes_nothing() -> None:
    assert after_one_exposure(dropped=True) == pytest.approx(after_one_exposure(), abs=1e-5)
    assert after_one_exposure(fetched=False) == after_one_exposure()


def test_a_panel_aside_of_the_beam_remembers_no_beam() -> None:
    panel = new_panel()
    panel.in_beam = False
    panel.prepare(0)
    one_frame(panel, 1_000_000)
    dark = pixel_model().frame(0.0, 80.0, 880_000, 1)
    assert np.array_equal(one_frame(panel, 4_000_000), dark)


def test_dark_frames_push_no_exposure_out_of_the_panel_s_memory() -> None:
    panel = new_panel(OnceBeam())
    panel.prepare(0)
    for number in range(70):
        one_frame(panel, 1_000_000 + 3_000_000 * number)
        panel.free(panel._now_us, "shot")
    (only,) = panel._past()
    assert only.exposure.mas == 1.0


def test_a_panel_remembers_sixty_four_exposures() -> None:
    panel = new_panel(Beam(0.001))
    panel.prepare(0)
    for number in range(70):
        one_frame(panel, 1_000_000 + 3_000_000 * number)
        panel.free(panel._now_us, "shot")
    past = panel._past()
    assert len(past) == lag.REMEMBERED_COUNT == 64
    assert past[0].gap_us - past[-1].gap_us == 63 * 3_000_000
