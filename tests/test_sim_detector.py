"""The simulated panel: handshake after protocols.md 9.1.1 (Canon), frames, injections."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from hal.now import NEVER_US, Now
from hal.ports import PanelModel
from sim.beam import kerma_ugy
from sim.condition import Light
from sim.detector import PanelTimes, SimPanel
from sim.lag import kept
from sim.pixels import COUNTS_PER_UGY, PixelModel
from sim.sharpness import noise_kernel

OPEN_UGY = kerma_ugy(80.0, 1.0)  # of one mAs at 1 m: 78.4 by the anchor of qc-and-physics.md 5.4

TIMES = PanelTimes(
    scrub_us=150_000, t_prep_us=120_000, window_us=5_000_000, readout_us=300_000,
    recover_us=150_000, lockout_us=1_000_000,
)  # fmt: skip


class Beam:
    """1 mAs at 80 kV in any window, and a note of every question."""

    def __init__(self, mas: float = 1.0) -> None:
        self.mas = mas
        self.asked: list[tuple[int, int]] = []

    def __call__(self, from_us: int, to_us: int) -> Light:
        self.asked.append((from_us, to_us))
        return Light(self.mas, 80.0)


def pixel_model(**changes: object) -> PixelModel:
    settings = {"rows_px": 64, "columns_px": 64, "pitch_mm": 3.2, "seed": 7} | changes
    return PixelModel(**settings)  # type: ignore[arg-type]


def new_panel(beam: Beam | None = None, **times: int) -> SimPanel:
    changed = PanelTimes(**{name: getattr(TIMES, name) for name in TIMES.__slots__} | times)
    return SimPanel(panel_id="P1", pixels=pixel_model(), kerma_source=beam or Beam(), times=changed)


def ready_panel(beam: Beam | None = None, **times: int) -> SimPanel:
    """READY from 150 ms on, asked for a window at 200 ms (opens at 320 ms)."""
    panel = new_panel(beam, **times)
    panel.prepare(0)
    panel.request_window(200_000, "shot-1")
    return panel


def states(panel: SimPanel, *times_us: int) -> list[str]:
    return [panel.state(t_us) for t_us in times_us]


def test_the_panel_offers_what_the_plug_asks_for() -> None:
    model: PanelModel = new_panel()
    assert (model.panel_id, model.window_us(), model.frame_count()) == ("P1", 5_000_000, 0)


def test_it_scrubs_before_it_is_ready_and_rests_without_being_asked() -> None:
    panel = new_panel()
    assert states(panel, 0, 60_000_000) == ["idle", "idle"]
    panel.prepare(60_000_000)
    assert states(panel, 60_149_999, 60_150_000, 90_000_000) == ["preparing", "ready", "ready"]
    panel.standby(90_000_000)
    assert panel.state(90_000_000) == "idle"


def test_the_window_opens_t_prep_after_the_request_and_closes_with_it() -> None:
    beam = Beam()
    panel = ready_panel(beam)
    assert states(panel, 319_999, 320_000) == ["ready", "integrating"]
    panel.drop_request(2_000_000)
    assert states(panel, 2_000_000, 2_299_999, 2_300_000) == ["readout", "readout", "recover"]
    assert states(panel, 2_449_999, 2_450_000) == ["recover", "ready"]
    assert beam.asked == [(320_000, 2_000_000)]


def test_a_frame_is_there_when_the_read_out_ends_and_only_once() -> None:
    panel = ready_panel()
    panel.drop_request(2_000_000)
    assert panel.take_frames(2_299_999) == []
    assert panel.frame_count() == 0
    (frame,) = panel.take_frames(2_300_000)
    assert panel.take_frames(2_300_000) == []
    assert (frame.start_us, frame.stop_us, frame.shot_id) == (320_000, 2_000_000, "shot-1")
    assert (frame.series, frame.frame_index, frame.complete) == (1, 0, True)
    assert (frame.rows_px, frame.columns_px, len(frame.pixels)) == (64, 64, 64 * 64 * 2)
    assert panel.frame_count() == 1


def test_a_window_that_ends_while_still_requested_gives_an_incomplete_frame() -> None:
    panel = ready_panel(window_us=1_000_000)
    assert states(panel, 1_319_999, 1_320_000) == ["integrating", "readout"]
    (frame,) = panel.take_frames(1_620_000)
    assert (frame.stop_us, frame.complete) == (1_320_000, False)


def test_a_request_held_after_its_window_opens_no_second_one() -> None:
    panel = ready_panel(window_us=1_000_000)
    panel.request_window(1_400_000, "shot-1")
    panel.request_window(2_000_000, "shot-2")
    assert states(panel, 2_000_000, 9_000_000) == ["ready", "ready"]
    panel.drop_request(9_000_000)
    assert panel.state(9_000_000) == "ready"
    panel.request_window(9_000_000, "shot-2")
    assert states(panel, 9_119_999, 9_120_000) == ["ready", "integrating"]


def test_a_request_dropped_before_t_prep_opens_no_window_and_locks_the_panel_out() -> None:
    beam = Beam()
    panel = ready_panel(beam)
    panel.drop_request(319_999)
    panel.request_window(400_000, "shot-2")
    assert states(panel, 319_999, 1_319_998, 1_319_999) == ["recover", "recover", "ready"]
    assert states(panel, 5_000_000) == ["ready"]
    assert (panel.take_frames(5_000_000), beam.asked) == ([], [])


def test_a_request_that_nobody_could_honour_is_ignored() -> None:
    panel = new_panel()
    panel.request_window(0, "shot-1")
    panel.prepare(10_000)
    panel.request_window(20_000, "shot-1")
    assert states(panel, 160_000, 1_000_000) == ["ready", "ready"]


@pytest.mark.parametrize("t_prep_us", [0, 300_000])
def test_both_ends_of_canons_t_prep_are_possible(t_prep_us: int) -> None:
    panel = ready_panel(t_prep_us=t_prep_us)
    assert panel.state(200_000 + t_prep_us) == "integrating"


@pytest.mark.parametrize(
    ("times", "words"),
    [({"t_prep_us": 300_001}, "Canon allows 0 to 300000"), ({"readout_us": 0}, "readout_us = 0")],
)
def test_impossible_times_are_refused(times: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        PanelTimes(**times)


def test_standby_in_the_window_ends_it_and_the_panel_rests_after_the_read_out() -> None:
    panel = ready_panel()
    panel.standby(1_000_000)
    assert states(panel, 1_000_000, 1_300_000, 1_450_000) == ["readout", "recover", "idle"]


def test_repeated_commands_change_nothing() -> None:
    panel = ready_panel()
    panel.prepare(210_000)
    panel.request_window(250_000, "shot-1")
    assert states(panel, 319_999, 320_000) == ["ready", "integrating"]
    panel.drop_request(1_000_000)
    panel.drop_request(1_010_000)
    assert [frame.stop_us for frame in panel.take_frames(5_000_000)] == [1_000_000]


def test_one_late_look_sees_the_same_as_many_looks() -> None:
    seldom, often = ready_panel(Beam(), window_us=777_777), ready_panel(Beam(), window_us=777_777)
    for t_us in range(200_000, 3_000_000, 1_009):
        often.advance(Now(t_us))
    assert seldom.state(3_000_000) == often.state(3_000_000) == "ready"
    (one,), (other,) = seldom.take_frames(3_000_000), often.take_frames(3_000_000)
    assert one == other


def test_the_next_event_is_never_missed() -> None:
    panel, seen = ready_panel(window_us=1_000_000), []
    now = Now(200_000)
    panel.advance(now)
    while now.next_us != NEVER_US:
        now = Now(now.next_us)
        panel.advance(now)
        seen.append((now.t_us, panel.state(now.t_us)))
    assert seen == [
        (320_000, "integrating"),
        (1_320_000, "readout"),
        (1_620_000, "recover"),
        (1_770_000, "ready"),
    ]


def test_series_and_frame_numbers_follow_the_armings() -> None:
    panel = ready_panel()
    panel.drop_request(1_000_000)
    panel.request_window(2_000_000, "shot-2")
    panel.drop_request(3_000_000)
    panel.standby(4_000_000)
    panel.prepare(5_000_000)
    panel.request_window(6_000_000, "shot-3")
    panel.drop_request(7_000_000)
    numbers = [(f.series, f.frame_index, f.shot_id) for f in panel.take_frames(9_000_000)]
    assert numbers == [(1, 0, "shot-1"), (1, 1, "shot-2"), (2, 0, "shot-3")]


# --- injections


def test_a_panel_that_never_gets_ready_stays_in_its_scrub() -> None:
    panel = new_panel()
    panel.never_ready = True
    panel.prepare(0)
    assert panel.state(3_600_000_000) == "preparing"


def test_an_injected_window_end_comes_early_and_marks_the_frame() -> None:
    panel = new_panel()
    panel.window_ends_after_us = 50_000
    panel.prepare(0)
    panel.request_window(200_000, "shot-1")
    (frame,) = panel.take_frames(1_000_000)
    assert (frame.start_us, frame.stop_us, frame.complete) == (320_000, 370_000, False)


def test_frames_can_be_lost_cut_and_signed_with_a_wrong_name() -> None:
    panel = ready_panel()
    panel.wrong_id, panel.short_frame = "P9", 3
    panel.drop_request(1_000_000)
    (frame,) = panel.take_frames(2_000_000)
    assert (panel.panel_id, frame.panel_id, len(frame.pixels)) == ("P9", "P9", 64 * 64 * 2 - 3)
    panel.drop_frame = True
    panel.request_window(3_000_000, "shot-2")
    panel.drop_request(4_000_000)
    assert panel.take_frames(6_000_000) == []
    assert panel.frame_count() == 2


def test_an_unknown_injection_is_refused() -> None:
    panel = new_panel()
    with pytest.raises(AttributeError):
        panel.never_redy = True  # type: ignore[attr-defined]


# --- pixels


def flat_model(**changes: object) -> PixelModel:
    return pixel_model(
        objects=(), field_mm=(4000.0, 4000.0), rows_px=256, columns_px=256, **changes
    )


def test_no_beam_gives_a_dark_frame() -> None:
    model = flat_model()
    raw = model.frame(0.0, 80.0, 1_000_000, 0)
    truth = model.maps(1_000_000)
    assert abs(np.mean(raw[~truth.defects] - truth.offset[~truth.defects])) < 0.05
    assert np.std(raw[~truth.defects] - truth.offset[~truth.defects]) == pytest.approx(
        2.0, rel=0.05
    )


def test_an_open_field_of_the_usual_technique_stands_near_the_middle() -> None:
    raw = flat_model().frame(1.0, 80.0, 2_000_000, 0)
    assert 0.4 < np.median(raw) / 16383 < 0.6


def test_counts_follow_the_kerma_of_the_anchor() -> None:
    model = flat_model(bow_pct=0.0)
    good = ~model.maps(0).defects
    truth = model.maps(2_000_000)
    counts = (model.frame(0.5, 80.0, 2_000_000, 0) - truth.offset)[good] / truth.gain[good]
    assert np.mean(counts) == pytest.approx(0.5 * OPEN_UGY * COUNTS_PER_UGY, rel=1e-3)


def test_quantum_noise_has_the_variance_of_its_quanta() -> None:
    """Less of it than they are, in one pixel: light that spreads takes the neighbours' mean."""
    model = flat_model(pitch_mm=0.14)
    truth = model.maps(1_000_000)
    good = ~truth.defects
    signal = (model.frame(0.2, 80.0, 1_000_000, 0) - truth.offset)[good] / truth.gain[good]
    quanta = 0.622 * 18_770 * 0.14**2 * 0.2 * OPEN_UGY  # DQE x photons per uGy and mm2 x mm2 x uGy
    middle, *side = noise_kernel(0.14)
    left = (middle**2 + 2.0 * sum(weight**2 for weight in side)) ** 2
    electronic = (2.0 / (0.2 * OPEN_UGY * COUNTS_PER_UGY)) ** 2
    assert 0.05 < left < 0.1
    assert np.var(signal) / np.mean(signal) ** 2 == pytest.approx(
        left / quanta + electronic, rel=0.04
    )


def test_too_much_beam_saturates_at_full_scale() -> None:
    model = flat_model()
    raw = model.frame(10.0, 80.0, 2_000_000, 0)
    alive = model.maps(0).gain > 0.0
    assert np.all(raw[alive] == 16383)


def test_the_same_seed_and_number_give_the_same_frame_and_others_do_not() -> None:
    first, again, other = flat_model(), flat_model(), flat_model(seed=8)
    frame = first.frame(1.0, 80.0, 2_000_000, 3)
    first.frame(1.0, 80.0, 2_000_000, 4)
    assert np.array_equal(frame, first.frame(1.0, 80.0, 2_000_000, 3))
    assert np.array_equal(frame, again.frame(1.0, 80.0, 2_000_000, 3))
    assert not np.array_equal(frame, first.frame(1.0, 80.0, 2_000_000, 4))
    assert not np.array_equal(frame, other.frame(1.0, 80.0, 2_000_000, 3))


def test_a_frame_does_not_depend_on_the_size_of_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model = flat_model()
    frame = model.frame(1.0, 80.0, 2_000_000, 0)
    monkeypatch.setattr("sim.pixels._BLOCK_ROWS", 7)
    assert np.array_equal(frame, model.frame(1.0, 80.0, 2_000_000, 0))


@pytest.mark.parametrize("mas", [0.1, 0.5, 1.0, 1.8])
def test_every_pixel_shows_a_little_less_the_more_it_gets(mas: float) -> None:
    model = flat_model()
    truth = model.maps(2_000_000)
    good = ~truth.defects & ~np.logical_or.reduce([*truth.near_limit.values()])
    shown = (model.frame(mas, 80.0, 2_000_000, 0, "none") - truth.offset)[good]
    straight = truth.gain[good] * mas * OPEN_UGY * COUNTS_PER_UGY
    expected = straight * (1.0 - truth.bow_pct / 100.0 * straight / 16383)
    assert truth.bow_pct == 1.0
    assert np.mean(shown - expected) == pytest.approx(0.0, abs=0.05)  # of up to 122 counts of bow


def test_the_open_beam_lights_the_whole_panel_alike() -> None:
    model = pixel_model(rows_px=256, columns_px=256, pitch_mm=0.8)
    truth = model.maps(1_000_000)
    good = ~truth.defects
    hand = (model.frame(0.5, 80.0, 1_000_000, 0) - truth.offset)[good] / truth.gain[good]
    none = (model.frame(0.5, 80.0, 1_000_000, 0, "none") - truth.offset)[good] / truth.gain[good]
    assert np.percentile(hand, 1) < 5.0
    assert np.percentile(hand, 90) == pytest.approx(np.mean(none), rel=0.01)
    assert np.ptp(none) / np.mean(none) < 0.03
    with pytest.raises(ValueError, match="no phantom 'foot'; there are hand, none"):
        model.frame(0.5, 80.0, 1_000_000, 0, "foot")


# --- what stands in the beam


def one_frame(panel: SimPanel, at_us: int) -> NDArray[np.uint16]:
    panel.request_window(at_us, "shot")
    panel.drop_request(at_us + 1_000_000)
    (frame,) = panel.take_frames(at_us + 2_000_000)
    return np.frombuffer(frame.pixels, "<u2").reshape(64, 64)


def test_a_panel_aside_of_the_beam_sees_nothing_of_it_but_its_lag() -> None:
    panel = new_panel()
    panel.in_beam = False
    panel.prepare(0)
    dark = pixel_model().frame(0.0, 80.0, 880_000, 0)
    assert np.array_equal(one_frame(panel, 1_000_000), dark)
    panel.in_beam = True
    lit = one_frame(panel, 4_000_000) - panel.maps().offset
    assert np.median(lit) > 3_000
    panel.in_beam = False
    behind = one_frame(panel, 7_000_000) - panel.maps().offset
    share = kept(2_120_000, 880_000).lag
    assert np.percentile(behind, 75) == pytest.approx(share * np.percentile(lit, 75), abs=3.0)


def test_each_frame_shows_the_phantom_that_stood_there_when_its_window_was_open() -> None:
    panel = ready_panel()
    panel.drop_request(1_000_000)
    panel.advance(Now(2_000_000))
    panel.phantom_name = "none"
    panel.request_window(3_000_000, "shot-2")
    panel.drop_request(4_000_000)
    frames = panel.take_frames(5_000_000)
    hand, none = (np.frombuffer(frame.pixels, "<u2") for frame in frames)
    assert np.percentile(hand, 10) < 2_500 < 7_000 < np.percentile(none, 10)
    with pytest.raises(ValueError, match="no phantom 'foot'; there are hand, none"):
        panel.phantom_name = "foot"
    assert panel.phantom_name == "none"
