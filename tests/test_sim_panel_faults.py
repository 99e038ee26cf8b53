"""A panel with a fault in it: what it says, what it does, and what arrives of its frames."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from hal.ports import PanelFrame, WireError
from hal.stream_v1 import StreamEnd, decode
from hal.stream_v1_header import StreamStart
from sim.condition import Light
from sim.detector import BOOT_US, UNKNOWN_SHOT
from tests.sim_world import MS, SimWorld, sim_world

SIZE = 64 * 64 * 2


@pytest.fixture
def made() -> SimWorld:
    found = sim_world()
    found.frames.read(0)  # a consumer is there
    return found


def state(made: SimWorld) -> str:
    return made.world.panel.state(made.t_us)


def armed(made: SimWorld) -> SimWorld:
    made.world.panel.prepare(made.t_us)
    made.world.poke()
    return made.after_ms(150)


def window(made: SimWorld, shot: str = "shot-1") -> SimWorld:
    """Open for 500 ms and then read out."""
    made.world.panel.request_window(made.t_us, shot)
    made.world.poke()
    made.after_ms(620)
    made.world.panel.drop_request(made.t_us)
    made.world.poke()
    return made.after_ms(460)


def images(made: SimWorld) -> Iterator[PanelFrame]:
    for message in made.frames.read(made.t_us):
        found = decode(message)
        if not isinstance(found, StreamStart | StreamEnd):
            yield found


def pixels(frame: PanelFrame) -> NDArray[np.uint16]:
    return np.frombuffer(frame.pixels, "<u2").reshape(64, 64)


# --- ready and window


@pytest.mark.req("F30")
def test_a_late_scrub_is_so_much_later(made: SimWorld) -> None:
    made.do("panel", late_ready_us=80_000)
    armed(made)
    assert state(made.after_ms(79.999)) == "preparing"
    assert state(made.after_ms(0.001)) == "ready"


@pytest.mark.req("F30")
def test_a_late_window_is_so_much_later_than_t_prep(made: SimWorld) -> None:
    made.do("panel", late_window_us=200_000)
    armed(made).world.panel.request_window(made.t_us, "shot-1")
    assert state(made.after_ms(319.999)) == "ready"
    assert state(made.after_ms(0.001)) == "integrating"


@pytest.mark.req("F29")
def test_a_panel_that_claims_to_be_ready_is_so_at_once_and_opens_no_window(made: SimWorld) -> None:
    made.do("panel", claims_ready=True)
    made.world.panel.prepare(made.t_us)
    assert state(made) == "ready"
    made.world.panel.request_window(made.t_us, "shot-1")
    assert state(made.after_ms(5_000)) == "ready"
    assert list(images(made)) == []


@pytest.mark.req("F29")
def test_a_window_that_is_only_claimed_gives_a_dark_frame(made: SimWorld) -> None:
    made.beam()
    made.do("panel", claims_window=True)
    (dark,) = images(window(armed(made)))
    made.do("heal", what="panel")
    (lit,) = images(window(made.after_ms(5_000), "shot-2"))
    assert np.percentile(pixels(dark), 90) < 400 < 2_000 < np.percentile(pixels(lit), 90)


def test_a_late_read_out_delays_the_frame_by_so_much(made: SimWorld) -> None:
    made.do("panel", late_frame_us=1_000_000)
    window(armed(made))  # 160 ms longer than a healthy read-out
    assert list(images(made.after_ms(839.999))) == []
    assert len(list(images(made.after_ms(0.001)))) == 1


def message_bits(made: SimWorld) -> int:
    """Of a frame of 64 x 64, with its head."""
    (message,) = (m for m in made.frames.read(made.t_us) if len(b"".join(m)) > SIZE)
    return 8 * sum(map(len, message))


def test_over_a_weak_radio_a_frame_takes_its_time_and_the_panel_goes_on() -> None:
    plain, slow = sim_world(), sim_world()
    for made in (plain, slow):
        made.frames.read(0)
        made.world.panel.in_beam = False
    window(armed(plain))
    slow.do("panel", link_mbit_per_s=0.1)
    window(armed(slow))  # 160 ms longer than a healthy read-out
    assert state(slow) == state(plain) == "ready"
    late_ms = message_bits(plain) / 0.1 / 1000
    assert 655 < late_ms < 700
    start_bits = 8 * sum(len(part) for message in slow.frames.read(slow.t_us) for part in message)
    assert 0 < start_bits < 20_000  # the series' own beginning, small
    rest_ms = late_ms + start_bits / 100 - 160
    assert list(images(slow.after_ms(rest_ms - 0.3))) == []
    assert len(list(images(slow.after_ms(0.6)))) == 1


@pytest.mark.req("F36")
def test_frames_over_a_weak_radio_come_one_after_the_other(made: SimWorld) -> None:
    made.do("panel", link_mbit_per_s=0.1, repeated_frames=True)
    window(armed(made))
    first, second = list(images(made.after_ms(700))), list(images(made.after_ms(700)))
    assert (len(first), len(second)) == (1, 1)
    assert first[0].pixels == second[0].pixels


@pytest.mark.req("F32")
def test_a_lost_link_carries_nothing_and_what_was_on_its_way_lies_in_the_memory(
    made: SimWorld,
) -> None:
    made.do("panel", link_mbit_per_s=0.1)
    window(armed(made))
    made.do("panel", link_lost=True, link_mbit_per_s=0.0)
    made.panel.write(made.t_us, [json.dumps({"v": 3, "n": 1, "do": "status"}).encode()])
    assert list(images(made.after_ms(5_000))) == []
    assert state(made) == "ready"  # it goes on by itself
    made.do("heal", what="panel")
    assert list(images(made.after_ms(5_000))) == []
    assert made.world.panel.kept() == ("shot-1",)
    assert made.world.panel.resend(made.t_us, "shot-1")
    made.world.poke()
    (frame,) = images(made.after_ms(1))
    assert (frame.shot_id, len(frame.pixels)) == ("shot-1", SIZE)


def test_over_a_lost_link_no_command_is_heard_and_no_answer_comes(made: SimWorld) -> None:
    question = [json.dumps({"v": 3, "n": 1, "do": "prepare"}).encode()]
    made.do("panel", link_lost=True)
    made.panel.write(made.t_us, question)
    made.after_ms(100)
    assert (state(made), list(made.panel.read(made.t_us))) == ("idle", [])
    made.do("panel", link_lost=False)
    made.panel.write(made.t_us, question)
    made.after_ms(100)
    assert state(made) == "preparing"
    assert len(made.panel.read(made.t_us)) >= 1


# --- stuck, error, power


@pytest.mark.parametrize("wait_ms", [0, 150, 300])
def test_a_stuck_panel_answers_and_does_nothing(made: SimWorld, wait_ms: int) -> None:
    if wait_ms:
        armed(made)
    if wait_ms == 300:
        made.world.panel.request_window(made.t_us, "shot-1")
        made.after_ms(150)
    before = state(made)
    assert before == {0: "idle", 150: "ready", 300: "integrating"}[wait_ms]
    made.do("panel", stuck=True)
    for command in (
        made.world.panel.prepare,
        made.world.panel.standby,
        made.world.panel.drop_request,
    ):
        command(made.t_us)
        assert state(made.after_ms(10_000)) == before
    made.panel.write(made.t_us, [json.dumps({"v": 3, "n": 1, "do": "status"}).encode()])
    made.after_ms(1)
    *_, reply = made.panel.read(made.t_us)
    assert json.loads(reply[0]) | {"n": 1, "ok": True, "state": before} == json.loads(reply[0])


def test_a_panel_that_fails_in_its_window_has_no_frame_and_boots_when_it_is_healed(
    made: SimWorld,
) -> None:
    armed(made).world.panel.request_window(made.t_us, "shot-1")
    made.after_ms(500).do("panel", failed=True)
    assert state(made.after_ms(0)) == "error"
    made.world.panel.prepare(made.t_us)
    assert state(made.after_ms(10_000)) == "error"
    made.do("heal", what="panel")
    assert state(made.after_ms(0)) == "init"
    assert state(made.at(made.t_us + BOOT_US - 1)) == "init"
    assert state(made.after_ms(0.001)) == "idle"
    assert list(images(made)) == []


@pytest.mark.req("F33")
def test_a_full_memory_is_an_error_at_the_next_arming_until_it_is_taken_back(
    made: SimWorld,
) -> None:
    made.do("panel", memory_full=True)
    assert state(made.after_ms(1_000)) == "idle"
    assert state(armed(made)) == "error"
    made.do("panel", memory_full=False)
    assert state(made.after_ms(0)) == "init"
    assert state(armed(made.after_ms(2_000))) == "ready"


@pytest.mark.req("F32", "F70")
def test_a_panel_without_power_loses_its_frame_and_needs_its_time_to_boot(made: SimWorld) -> None:
    armed(made).world.panel.request_window(made.t_us, "shot-1")
    made.after_ms(600)
    made.world.panel.drop_request(made.t_us)
    made.after_ms(100)
    assert state(made) == "readout"
    made.do("reboot", device="panel", dark_ms=100)
    made.panel.read(made.t_us)
    made.panel.write(made.t_us, [json.dumps({"v": 3, "n": 1, "do": "status"}).encode()])
    made.after_ms(99)
    assert made.panel.read(made.t_us) == []
    made.after_ms(1)
    made.panel.write(made.t_us, [json.dumps({"v": 3, "n": 2, "do": "status"}).encode()])
    made.after_ms(1)
    assert [json.loads(m[0]).get("state") for m in made.panel.read(made.t_us)] == ["init"]
    assert state(made.after_ms(1_998.999)) == "init"
    assert state(made.after_ms(0.001)) == "idle"
    assert list(images(made)) == []


# --- frames


@pytest.mark.req("F34")
@pytest.mark.parametrize(
    ("name", "length"), [("short_frame", SIZE - 2), ("long_frame_bytes", SIZE + 2)]
)
def test_a_frame_of_another_length_is_found_out_by_its_announced_size(
    made: SimWorld, name: str, length: int
) -> None:
    made.do("panel", **{name: 2})
    window(armed(made))
    with pytest.raises(WireError, match=f"have {length} bytes, {SIZE} were announced"):
        list(images(made))


@pytest.mark.req("F35")
def test_a_damaged_frame_has_the_checksum_of_the_good_one(made: SimWorld) -> None:
    made.do("panel", damaged_frames=True)
    window(armed(made))
    with pytest.raises(WireError, match="hash: is not the md5 of the pixels"):
        list(images(made))


@pytest.mark.req("F36")
def test_a_repeated_frame_comes_twice_and_alike(made: SimWorld) -> None:
    made.do("panel", repeated_frames=True)
    first, again = images(window(armed(made)))
    assert first == again


@pytest.mark.req("F37")
def test_the_frame_of_the_shot_before_comes_in_the_place_of_this_one(made: SimWorld) -> None:
    (first,) = images(window(armed(made), "shot-1"))
    made.do("panel", frame_of_before=True)
    (second,) = images(window(made, "shot-2"))
    (third,) = images(window(made, "shot-3"))
    assert (second.shot_id, second.frame_index) == ("shot-1", 1)
    assert second.pixels == first.pixels
    assert (third.shot_id, third.frame_index) == ("shot-2", 2)


@pytest.mark.req("F37")
def test_without_a_shot_before_it_is_one_of_before_power_up(made: SimWorld) -> None:
    made.do("panel", frame_of_before=True)
    (frame,) = images(window(armed(made)))
    assert frame.shot_id == UNKNOWN_SHOT


@pytest.mark.req("F38")
@pytest.mark.parametrize(("name", "value"), [("zero_frame", 0), ("saturated_frame", 16383)])
def test_all_pixels_are_alike(made: SimWorld, name: str, value: int) -> None:
    made.do("panel", **{name: True})
    (frame,) = images(window(armed(made)))
    assert np.unique(pixels(frame)).tolist() == [value]


@pytest.mark.req("F39")
@pytest.mark.parametrize("count", [1, 10, 64, 4608])
def test_so_many_rows_in_the_middle_are_dead(made: SimWorld, count: int) -> None:
    made.do("panel", dead_rows_count=count)
    (frame,) = images(window(armed(made)))
    dead = np.flatnonzero(~pixels(frame).any(axis=1))
    assert len(dead) == min(count, 64)
    assert abs(dead.mean() - 31.5) <= 0.5


def open_window(made: SimWorld, shot: str) -> NDArray[np.uint16]:
    (frame,) = images(window(made, shot))
    return pixels(frame)


def test_a_row_is_hot_and_never_beyond_full_scale(made: SimWorld) -> None:
    armed(made)
    sound = open_window(made, "shot-1")
    made.do("panel", hot_row_offset_count=2000)
    hot = open_window(made.after_ms(3_000), "shot-2").astype(int)
    assert np.median(hot[32] - sound[32]) == pytest.approx(2000, abs=5)
    assert np.abs(np.median(hot[31] - sound[31].astype(int))) < 5
    made.do("panel", hot_row_offset_count=65535)
    assert np.all(open_window(made.after_ms(3_000), "shot-3")[32] == 16383)


def test_a_warm_panel_stands_higher_and_a_cool_one_lower(made: SimWorld) -> None:
    armed(made)
    levels = []
    for number, warmer_c in enumerate((0.0, 20.0, -10.0)):
        made.do("panel", warmer_c=warmer_c)
        levels.append(float(np.median(open_window(made.after_ms(3_000), f"shot-{number}"))))
    assert levels[1] - levels[0] == pytest.approx(20 * 1.5 + 4 * 0.5 * 4.7, abs=4)
    assert levels[2] - levels[0] == pytest.approx(-10 * 1.5, abs=3)


def test_an_aged_panel_no_longer_fits_its_gain_map(made: SimWorld) -> None:
    armed(made)
    made.do("phantom", name="none")
    made.do("panel", aged_pct=3.0)
    made.world.panel._kerma_source = lambda _from, _to: Light(1.0, 80.0)
    signal = open_window(made, "shot-1") - made.world.panel.maps().offset
    good = ~made.world.panel.maps().defects
    residual = signal[good] / made.world.panel.maps().gain[good]
    assert np.std(residual) / np.mean(residual) == pytest.approx(0.03, rel=0.1)


def test_line_noise_shifts_whole_rows_of_each_frame(made: SimWorld) -> None:
    armed(made)
    made.world.panel._kerma_source = lambda _from, _to: Light(0.0, 80.0)
    quiet = open_window(made, "shot-1").astype(float)
    made.do("panel", line_noise_count=30.0)
    loud = open_window(made.after_ms(3_000), "shot-2").astype(float)
    rows = np.median(loud - quiet, axis=1)
    assert np.std(rows) == pytest.approx(30.0, rel=0.3)
    assert np.std(np.median(loud - quiet, axis=0)) < 8.0


def test_a_panel_with_a_strong_ghost_shows_the_exposure_before_in_the_next(made: SimWorld) -> None:
    armed(made)
    made.do("phantom", name="none")
    made.world.panel._kerma_source = lambda _from, _to: Light(1.0, 80.0)
    made.do("panel", ghost_pct=0.0)
    plain, again = (open_window(made.after_ms(10_000), f"shot-{n}") for n in range(2))
    made.do("panel", ghost_pct=20.0)
    raised = open_window(made.after_ms(10_000), "shot-2")
    offset, good = made.world.panel.maps().offset, ~made.world.panel.maps().defects
    levels = [float(np.mean((one - offset)[good])) for one in (plain, again, raised)]
    assert levels[1] / levels[0] == pytest.approx(1.0, abs=2e-3)
    filled = 2 * 0.99 * 7_850 / 16_383  # two exposures, each 10 to 20 s ago
    assert levels[2] / levels[0] - 1.0 == pytest.approx(0.2 * filled / (1 + filled), rel=0.05)


def test_the_window_and_the_times_are_those_of_a_healthy_panel(made: SimWorld) -> None:
    (frame,) = images(window(armed(made)))
    assert (frame.shot_id, frame.stop_us - frame.start_us) == ("shot-1", 500 * MS)
