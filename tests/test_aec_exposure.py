"""Automatic exposures of the whole unit: R2CP's bytes, the simulated chambers, the recorder.

The bench is `room`, the stories are its scenarios: 50 kV, 10 mA, centre chamber, 0.442 mAs
expected of the simulated hand, back-up 0.884 mAs.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from firmware_py.decide.memory import State
from firmware_py.record import requests_from
from firmware_py.recorder.messages import (
    intent_from_dict,
    intent_to_dict,
    report_from_dict,
    report_to_dict,
)
from hal.now import NEVER_US
from hal.ports import AecChoice
from hal.types import (
    AecSetting,
    EndReason,
    ExposureReport,
    Intent,
    Requests,
    Shot,
    Technique,
)
from rig.bench import Bench
from rig.replay import replay
from rig.run_model import shot_of
from rig.scenario import AecSection, ShotSection
from tests.model_runs import bench, kept, run, scenario, shipped
from tests.whole_unit import Whole

S = State
CLEAN, DEAD, STUCK = "aec_clean", "aec_chamber_dead_backup", "aec_chamber_stuck_high"
GRID = "aec_behind_the_grid"
LONG_MAS = 10.0  # expected of a patient who is none of the simulated: two seconds to the back-up


def aec_bench() -> Bench:
    return bench("room")


def auto(shot_id: str, **changes: Any) -> Shot:
    asked = AecSection(**({"chambers": "centre"} | changes))
    return shot_of(aec_bench(), ShotSection(kv=50.0, ma=10.0, aec=asked), shot_id)


def manual(shot_id: str) -> Shot:
    return shot_of(aec_bench(), ShotSection(kv=50.0, ma=10.0, mas=5.0), shot_id)


class Room(Whole):
    """The unit on this bench, with somebody who presses, lets go, and programmes the next."""

    def __init__(self, **faults: Any) -> None:
        super().__init__(auto("shot-1"), on=aec_bench())
        if faults:
            self.do("generator", **faults)
        self.until(S.STANDBY)

    def expose(self, shot: Shot) -> Room:
        self.request(shot=shot)
        self.do("press", stage=1)
        self.until_any(S.READY, S.RELEASE_WAIT)
        if self.state is S.READY:
            self.do("press")
            self.until_any(S.READOUT, S.FAULT)
            self.until_any(S.RELEASE_WAIT, S.FAULT)
        self.do("release")
        if self.state is S.RELEASE_WAIT:
            self.until(S.STANDBY)
        return self

    def reset(self) -> Room:
        self.do("press reset")
        self.until(S.RELEASE_WAIT)
        self.do("release reset")
        self.until(S.STANDBY)
        return self

    @property
    def last(self) -> dict[str, Any]:
        return self.of("report")[-1].data

    @property
    def true_ms(self) -> float:
        course = self.world.generator.courses[-1]
        assert course.off_us is not None
        return (course.off_us - course.on_us) / 1000


# --- the scenarios (their ends and traces: test_scenarios.py)


@pytest.mark.req("SR-22", "F18")
def test_a_dead_chamber_ends_exactly_at_the_back_up_and_is_told_as_that() -> None:
    _, seen = shipped(DEAD)
    (beam,), (report,) = seen.beams, seen.of("report")
    assert beam.off_us is not None
    # 0.884 mAs at 10 mA, to the microsecond: a half counts of the ramp of 3 ms, and of cables with
    # 0.1 nF at 50 kV 0.005 mAs flow in a fall of 0.5 ms
    assert beam.off_us - beam.on_us == 89_400
    assert (report["fault"], report["reason"]) == ("AEC_BACKUP", EndReason.FAULT.value)
    assert report["mas"] == pytest.approx(0.884, rel=0.006)  # with the fall
    assert [line["locked_by"] for line in seen.of("aec")] == ["AEC_BACKUP", None]


@pytest.mark.req("SR-22", "F18")
def test_a_sound_chamber_ends_it_where_the_dose_is_reached_and_locks_nothing() -> None:
    _, seen = shipped(CLEAN)
    (beam,), (report,) = seen.beams, seen.of("report")
    assert beam.off_us is not None
    assert beam.off_us - beam.on_us == 46_457
    # 0.44207 mAs at 10 mA and half the ramp; less half the fall, and the circuit of 1 ms
    assert (report["fault"], report["reason"]) == (None, EndReason.PLANNED.value)
    assert seen.of("aec") == []


@pytest.mark.req("SR-22")
@pytest.mark.parametrize("kv", [50.0, 70.0, 90.0, 125.0])
@pytest.mark.parametrize("sensitivity", [1, 2, 3])
def test_a_sound_chamber_ends_the_least_dose_of_any_kv_by_itself(
    kv: float, sensitivity: int
) -> None:
    """At the tube's least mA; 1 ms of the circuit is the only thing late, and the cable's light
    counts: 0.1 nF hold 0.0125 mAs at 125 kV, as much as half of the least dose there."""
    clean = scenario("aec_clean")
    assert clean.shot.aec is not None
    aec = clean.shot.aec.model_copy(update={"sensitivity": sensitivity})
    shot = clean.shot.model_copy(update={"kv": kv, "ma": 5.0, "ma_times": 1.0, "aec": aec})
    made, seen = run(clean.model_copy(update={"shot": shot}), on=bench("room"))
    (report,) = seen.of("report")
    assert (report["fault"], report["reason"]) == (None, EndReason.PLANNED.value)
    (course,) = made.rung.world.generator.courses
    chambers = made.rung.world.generator.chambers
    assert chambers is not None
    choice = AecChoice(chambers=("centre",), sensitivity_index=sensitivity, density_index=0)
    wanted_mas = chambers.charge_mas(choice, kv, 1)
    assert course.light_mas(0, NEVER_US) == pytest.approx(wanted_mas + 0.005, abs=1e-4)


@pytest.mark.req("SR-22")
def test_behind_its_own_grid_it_lasts_as_much_longer_as_the_chamber_gets_less() -> None:
    """0.61354 mAs of 0.44207: a grid takes 30 %, and the hand sends a tenth of it on as scatter."""
    _, seen = shipped(GRID)
    (beam,), (report,) = seen.beams, seen.of("report")
    assert beam.off_us is not None
    assert beam.off_us - beam.on_us == 63_604
    assert (report["fault"], report["reason"]) == (None, EndReason.PLANNED.value)


@pytest.mark.req("SR-23", "F18")
def test_the_story_of_a_stuck_chamber_ends_in_a_millisecond_and_is_no_planned_end() -> None:
    _, seen = shipped(STUCK)
    (beam,), (report,) = seen.beams, seen.of("report")
    assert beam.off_us is not None
    assert beam.off_us - beam.on_us == 1_000
    assert (report["fault"], report["reason"]) == ("AEC_IMPLAUSIBLE", EndReason.FAULT.value)
    assert [line["locked_by"] for line in seen.of("aec")] == ["AEC_IMPLAUSIBLE", None]


@pytest.mark.req("SR-53")
def test_the_generators_own_charge_is_near_the_true_one() -> None:
    """Its meter counts ramp and fall as they are; the indication is 0.2 % off by chance."""
    _, seen = shipped(CLEAN)
    (beam,), (report,) = seen.beams, seen.of("report")
    assert report["mas"] == pytest.approx(beam.mas, abs=0.0005 + 0.006 * beam.mas)
    assert report["maximum_mas"] >= beam.mas


@pytest.mark.parametrize("name", [CLEAN, DEAD])
def test_a_recorded_run_replays(name: str, tmp_path: Path) -> None:
    assert replay(kept(name, tmp_path)).equal


# --- locked, and free again


@pytest.mark.req("SR-22", "F18")
def test_after_a_back_up_aec_is_locked_manual_exposures_are_not_and_a_reset_frees_it() -> None:
    room = Room(chamber_dead="centre")
    room.expose(auto("shot-2"))
    assert (room.last["fault"], room.unit.memory.aec_lock) == ("AEC_BACKUP", "AEC_BACKUP")
    assert room.state is S.STANDBY  # no fault: nothing holds up what needs no chamber
    room.expose(auto("shot-3", chambers="left"))
    assert room.told() == ("AEC_LOCKED",)
    assert room.beams == 1
    room.expose(manual("shot-4"))
    assert (room.last["shot"], room.last["reason"]) == ("shot-4", EndReason.PLANNED.value)
    assert (room.beams, room.unit.memory.aec_lock) == (2, "AEC_BACKUP")
    room.reset().expose(auto("shot-5", chambers="left"))
    assert (room.last["shot"], room.last["fault"]) == ("shot-5", None)
    assert room.last["reason"] == EndReason.PLANNED.value
    assert room.beams == 3


# --- what else can be wrong with chambers


@pytest.mark.req("SR-23", "F18")
def test_a_chamber_that_is_stuck_high_ends_at_once_is_implausible_and_locks_aec() -> None:
    room = Room(chamber_stuck_high="centre").expose(auto("shot-2"))
    assert room.true_ms == 1.0  # what the circuit needs
    assert room.last["fault"] == "AEC_IMPLAUSIBLE"
    assert room.last["mas"] == pytest.approx(0.005, abs=0.005)  # a third of the ramp, and a fall
    assert room.expose(auto("shot-3")).told() == ("AEC_LOCKED",)
    room.do("heal", what="generator")
    assert room.reset().expose(auto("shot-4")).last["fault"] is None


@pytest.mark.req("F18")
def test_one_dead_chamber_of_two_doubles_the_charge_and_meets_the_back_up() -> None:
    room = Room(chamber_dead="left").expose(auto("shot-2", chambers="left,centre"))
    assert room.last["fault"] == "AEC_BACKUP"
    sound = Room().expose(auto("shot-2", chambers="left,centre"))
    assert sound.last["fault"] is None
    assert sound.true_ms < 45


@pytest.mark.req("F18")
def test_a_noisy_chamber_ends_somewhere_up_to_the_back_up_and_never_beyond() -> None:
    room = Room(chamber_noisy="centre")
    ends_ms = []
    for nth in range(2, 6):
        room.expose(auto(f"shot-{nth}"))
        ends_ms.append(room.true_ms)
        if room.unit.memory.aec_lock is not None:
            assert room.last["fault"] == room.unit.memory.aec_lock
            room.reset()
    assert len(set(ends_ms)) > 1
    assert max(ends_ms) <= 89.9


@pytest.mark.req("F18")
def test_a_generator_that_listens_to_another_chamber_makes_another_charge_and_is_not_seen() -> None:
    """What it says it used is what it was told: only the image, or each chamber alone, shows it."""
    right = Room().expose(auto("shot-2", chambers="right")).true_ms
    room = Room(chamber_wrong="right").expose(auto("shot-2"))
    assert (room.true_ms, room.last["fault"]) == (right, None)


@pytest.mark.parametrize(("density", "more"), [(1, 1.25), (-1, 0.8)])
def test_a_step_of_density_makes_a_quarter_more_or_less_and_moves_the_back_up(
    density: int, more: float
) -> None:
    plain, other = auto("shot-2"), auto("shot-2", density=density)
    assert plain.technique.aec is not None
    assert other.technique.aec is not None
    backup_mas = plain.technique.aec.backup_mas * more
    assert other.technique.aec.backup_mas == pytest.approx(backup_mas, abs=0.002)
    times = [Room().expose(shot).true_ms - 2.5 for shot in (plain, other)]  # ramp and circuit
    assert times[1] / times[0] == pytest.approx(more, abs=0.002)


@pytest.mark.req("SR-04", "SR-53")
def test_a_release_ends_an_automatic_exposure_with_a_known_dose_and_locks_nothing() -> None:
    room = Room(chamber_dead="all")
    room.request(shot=auto("shot-2", expected_mas=LONG_MAS))
    room.do("press", stage=1)
    room.until(S.READY)
    room.do("press")
    room.until(S.EXPOSE)
    room.pass_us(400_000)
    room.do("release")
    room.until(S.STANDBY)
    assert (room.last["reason"], room.last["fault"]) == (EndReason.RELEASED.value, None)
    assert room.last["mas"] == pytest.approx(room.true_ms / 100, rel=0.02)
    assert room.unit.memory.aec_lock is None


@pytest.mark.req("SR-18", "SR-22")
def test_an_emergency_stop_ends_it_before_chambers_and_back_up() -> None:
    room = Room(chamber_dead="all")
    room.request(shot=auto("shot-2", expected_mas=LONG_MAS))
    room.do("press", stage=1)
    room.until(S.READY)
    room.do("press")
    room.until(S.EXPOSE)
    room.pass_us(300_000)
    room.do("press e-stop")
    room.until(S.FAULT)
    room.pass_us(3_000_000)
    assert room.unit.memory.faults == ("ESTOP",)
    assert room.true_ms < 330
    assert (room.last["fault"], room.last["mas"] is not None) == ("ESTOP", True)


@pytest.mark.req("SR-21", "SR-22", "F04")
def test_chambers_and_timer_dead_the_units_own_back_up_time_ends_it() -> None:
    room = Room(chamber_dead="all", timer_dead=True)
    room.request(shot=auto("shot-2", expected_mas=LONG_MAS))
    room.do("press", stage=1)
    room.until(S.READY)
    room.do("press")
    room.until(S.FAULT)
    assert room.unit.memory.faults == ("BACKUP_TIME",)
    room.pass_us(500_000)
    most_ms = 1.1 * 2010 + 10 + room.unit.memory.limits.status_age_us / 1000
    assert room.true_ms < most_ms + 25  # seen in a scan; OFF on the wire


# --- 2-point mAs, which the generator ends as well


@pytest.mark.req("SR-20", "SR-53")
def test_mas_that_the_generator_counts_are_a_planned_end_with_a_known_dose() -> None:
    room = Room().expose(manual("shot-2"))
    assert (room.last["reason"], room.last["fault"]) == (EndReason.PLANNED.value, None)
    assert room.last["mas"] == pytest.approx(5.0, rel=0.01)
    assert room.true_ms == 501.0  # half the ramp of 3 ms, less the fall of 0.5


@pytest.mark.req("SR-21", "SR-53")
def test_without_an_account_how_the_mas_ended_is_not_known_and_the_dose_is_bounded() -> None:
    room = Room()
    room.world.generator_device.desk.deaf_to = "post_exposure"  # type: ignore[attr-defined]
    room.expose(manual("shot-2"))
    assert room.unit.memory.faults == ("GENERATOR_ACCOUNT",)
    assert (room.last["reason"], room.last["mas"]) == (EndReason.FAULT.value, None)
    assert room.last["maximum_mas"] == pytest.approx(5.115)  # 10 ms for the ramp, and the fall
    room.reset()
    assert room.state is S.STANDBY


# --- records


def test_a_record_from_before_aec_and_one_with_it_are_read_alike() -> None:
    technique: dict[str, Any] = {"kv": 70.0, "ma": 1.0, "mas": 0.5, "ms": None}
    shot = {"shot_id": "a", "technique": technique, "exam_id": "TEST", "panel_id": "P1"}
    asked = {"shot": shot, "stop": False, "reset": False}
    old = requests_from(asked).shot
    assert old is not None
    assert old.technique == Technique(kv=70.0, ma=1.0, mas=0.5)
    aec = {"chambers": ["left", "right"], "density_index": -1, "sensitivity_index": 2,
           "expected_mas": 1.0, "backup_mas": 2.0}  # fmt: skip
    technique |= {"mas": None, "aec": aec}
    new = requests_from(asked).shot
    assert new is not None
    setting = AecSetting(
        chambers=("left", "right"), density_index=-1, sensitivity_index=2, expected_mas=1.0,
        backup_mas=2.0,
    )  # fmt: skip
    assert new.technique == Technique(kv=70.0, ma=1.0, aec=setting)
    assert replace(Requests(), shot=new).shot == new


def test_intent_and_report_of_an_automatic_exposure_survive_journal_and_bus() -> None:
    shot = auto("shot-2", chambers="left,centre", density=1)
    intent = Intent(shot=shot, planned_mas=1.0, maximum_mas=2.0, at_us=5)
    report = ExposureReport(shot=shot, reason=EndReason.PLANNED, beam=True, mas=1.0,
                            maximum_mas=2.0)  # fmt: skip
    assert intent_from_dict(json.loads(json.dumps(intent_to_dict(intent)))) == intent
    assert report_from_dict(json.loads(json.dumps(report_to_dict(report)))) == report


@pytest.mark.parametrize(
    ("aec", "words"),
    [
        ("centre", "aec: must be an object, got 'centre'"),
        ({"chambers": "centre"}, "AecSetting: chambers can't be 'centre'"),
        ({"chambers": ["centre"], "backup_mas": "2"}, "AecSetting: backup_mas can't be '2'"),
        ({"chambers": [1]}, "AecSetting: chambers can't be (1,)"),
    ],
)
def test_nonsense_about_aec_is_refused_by_the_recorder_with_its_field(
    aec: object, words: str
) -> None:
    data = intent_to_dict(Intent(shot=auto("a"), planned_mas=1.0, maximum_mas=2.0, at_us=5))
    data["shot"]["technique"]["aec"] = aec
    with pytest.raises(ValueError, match=re.escape(words)):
        intent_from_dict(data)


def test_what_is_written_of_a_manual_exposure_is_what_was_written_before_there_was_aec() -> None:
    data = intent_to_dict(Intent(shot=manual("a"), planned_mas=1.0, maximum_mas=2.0, at_us=5))
    assert data["shot"]["technique"] == {"kv": 50.0, "ma": 10.0, "mas": 5.0, "ms": None}


@pytest.mark.req("SR-40")
def test_the_image_says_that_it_was_automatic_and_with_which_chambers(tmp_path: Path) -> None:
    run(DEAD, tmp_path)
    (file,) = tmp_path.glob("exposures/*/presentation.dcm")
    image = dcmread(file)
    assert (image.ExposureControlMode, image.ExposureStatus) == ("AUTOMATIC", "ABORTED")
    assert "AEC (centre; density +0, sensitivity 1), 0.442 mAs expected, back-up 0.884 mAs" in (
        image.CommentsOnRadiationDose
    )
    assert "(AEC_BACKUP)" in image.ImageComments
    assert float(image.ExposureInuAs) == pytest.approx(884, abs=5)
