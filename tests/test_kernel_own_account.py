"""The generator's own account of a beam: when it is taken, believed, and what it shows.

Of the shot in tests/samples.py: 80 kV, 0.5 mA, 0.5 mAs; ON left 0.9 s and was accepted 0.7 s before
T_US. Its mAs are the generator's to count here, no mA is read in the beam, and the newest status
"on" was asked for 10 ms before T_US.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import beam as beams
from firmware_py.decide.controller import step
from firmware_py.decide.memory import Beam, Ending, Memory, Pending, State
from hal.types import (
    EndReason,
    ExposureReport,
    GeneratorSample,
    GeneratorState,
    Inputs,
    Requests,
    Technique,
)
from tests.samples import (
    BEAM,
    LIMITS,
    ON,
    READ,
    SHOT,
    T_US,
    exposing,
    held,
    in_beam,
    inputs,
    memory,
    room,
)
from tests.test_kernel_aec import BENCH, SHOT_AUTO

S = State
UNREAD = replace(BEAM, off_seen_us=T_US - 5_000, off_asked_us=T_US - 6_000)
FULL = 0.5 * 0.9  # mAs of full current from ON to T_US
OFF = replace(
    ON, beam_on=False, beam_taken_us=T_US - 6_000, kv=None, ma=None, monitor_taken_us=None
)
BY_TIME = replace(SHOT, technique=Technique(kv=80.0, ma=0.5, ms=900.0))


def account(mas: float | None = 0.45, ms: float | None = 850.0, **changes: Any) -> GeneratorSample:
    values = {"account_taken_us": T_US - 6_000, "beam_mas": mas, "beam_ms": ms, "kv": 79.0,
              "ma": 0.51}  # fmt: skip
    return replace(OFF, **(values | changes))


def over(state: State = S.READOUT, **changes: Any) -> Memory:
    """The beam was seen off in the scan before, as planned; its proof comes in the next one."""
    ending = Ending(ordered_us=T_US - 5_000, reason=changes.pop("reason", EndReason.PLANNED))
    values: dict[str, Any] = {
        "limits": BENCH, "since_us": T_US - 5_000, "beam": UNREAD, "beam_end_us": T_US - 5_000,
        "ending": replace(ending, **changes.pop("ended", {})), "beam_asked_us": T_US - 10_000,
    }  # fmt: skip
    return memory(state, **(values | changes))


def proof(t_us: int = T_US, sample: GeneratorSample = OFF, **changes: Any) -> Inputs:
    """OFF is answered: with the status before it the beam is proved off."""
    off = replace(sample, off_confirmed_us=T_US)
    seen: dict[str, Any] = {"generator": off, "room": room(t_us)} | changes
    return inputs(t_us, **seen)


def report_of(before: Memory, sample: GeneratorSample) -> ExposureReport:
    report = step(before, proof(sample=sample))[1].report
    assert report is not None
    return report


# --- when it is taken


@pytest.mark.req("SR-53")
def test_a_beam_by_mas_that_the_generator_ended_is_told_with_the_generators_own_figures() -> None:
    after, outputs = step(over(), proof(sample=account()))
    report = outputs.report
    assert report is not None
    assert (report.reason, report.fault) == (EndReason.PLANNED, None)
    assert (report.mas, report.beam_ms, report.kv, report.ma) == (0.45, 850.0, 79.0, 0.51)
    assert report.maximum_mas == pytest.approx(FULL)
    assert (after.pending, after.ending, after.state) == (None, None, S.READOUT)


@pytest.mark.req("SR-53")
def test_the_report_waits_for_the_account_and_nothing_else_does() -> None:
    waiting, outputs = step(over(), proof())
    assert outputs.report is None
    assert waiting.ending is None
    assert waiting.pending == Pending(
        report=waiting.pending.report,  # type: ignore[union-attr]
        from_us=T_US - 6_000,
        proved_us=T_US,
    )
    assert (outputs.window_from_us, outputs.enable_lapse) == (None, False)  # HV is off
    assert outputs.next_us == min(T_US + 2_000_000, outputs.next_us)
    later = T_US + 40_000
    after, outputs = step(waiting, proof(later, account(account_taken_us=T_US + 30_000)))
    assert outputs.report is not None
    assert outputs.report.mas == 0.45
    assert after.pending is None


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(("asked_us", "taken"), [(T_US - 6_000, True), (T_US - 6_001, False)])
def test_an_account_asked_for_before_the_end_is_of_another_beam(asked_us: int, taken: bool) -> None:
    after, _ = step(over(), proof(sample=account(account_taken_us=asked_us)))
    assert (after.pending is None) is taken


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(("asked_us", "taken"), [(T_US - 5_000, True), (T_US - 5_001, False)])
def test_of_a_beam_that_was_ordered_off_the_account_is_asked_for_after_the_order(
    asked_us: int, taken: bool
) -> None:
    before = over(beam=BEAM, reason=EndReason.RELEASED)
    after, _ = step(before, proof(sample=account(account_taken_us=asked_us)))
    assert (after.pending is None) is taken


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    "changes",
    [
        {"reason": EndReason.REFUSED},
        {"ended": {"heard": False}},
        {"limits": replace(BENCH, account_us=None)},
    ],
)
def test_where_no_account_can_come_none_is_waited_for(changes: dict[str, Any]) -> None:
    after, outputs = step(over(**changes), proof())
    assert outputs.report is not None
    assert outputs.report.mas is None
    assert after.pending is None


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(("early_us", "reported"), [(1, False), (0, True)])
def test_an_account_that_does_not_come_is_waited_for_as_long_as_it_may_take(
    early_us: int, reported: bool
) -> None:
    waiting, _ = step(over(), proof())
    late_us = T_US + 2_000_000 - early_us
    after, outputs = step(waiting, proof(late_us))
    assert (outputs.report is not None) is reported
    assert outputs.next_us == late_us + early_us if not reported else True
    assert after.state is (S.FAULT if reported else S.READOUT)


@pytest.mark.req("SR-27", "SR-53")
def test_a_generator_that_fell_silent_gives_no_account_any_more() -> None:
    waiting, _ = step(over(), proof())
    silent = replace(OFF, state=GeneratorState.OFFLINE)
    after, outputs = step(waiting, proof(T_US + 5_000, silent))
    assert outputs.report is not None
    assert after.pending is None


@pytest.mark.req("SR-41")
def test_no_reset_while_the_account_is_waited_for() -> None:
    waiting, _ = step(over(S.FAULT, faults=("DOOR_OPEN",)), proof())
    asked = Requests(shot=SHOT, reset=True)
    waiting = replace(waiting, reset_armed=True)
    same, _ = step(waiting, proof(T_US + 5_000, requests=asked))
    assert same.state is S.FAULT
    told, _ = step(waiting, proof(T_US + 5_000, account(), requests=asked))
    assert (told.state, told.report is not None) == (S.RELEASE_WAIT, True)


@pytest.mark.req("SR-34")
def test_a_beam_while_the_account_is_waited_for_is_a_stray_one() -> None:
    waiting, _ = step(over(), proof())
    stray = replace(ON, beam_taken_us=T_US + 60_000)
    assert step(waiting, proof(T_US + 65_000, stray))[0].faults == ("STRAY_BEAM",)


# --- what is believed


LEAST = 0.5 * 0.69 * 0.8 - 0.2  # from "accepted" to the newest "on", at the low end of its band
MOST = FULL * (1 + 10.0 / 100) + 0.2


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("mas", "ms", "believed"),
    [
        (MOST, 850.0, True),
        (MOST + 1e-9, 850.0, False),
        (LEAST + 1e-9, 850.0, True),
        (LEAST - 1e-9, 850.0, False),
        (0.45, 900.0, True),  # no longer than from ON to the proof
        (0.45, 900.001, False),
        (0.45, 0.0, True),
        (0.45, -0.001, False),
        (0.45, None, False),
        (None, 850.0, False),
        (float("nan"), 850.0, False),
        (0.45, float("nan"), False),
    ],
)
def test_an_account_is_believed_if_it_can_be_true(
    mas: float | None, ms: float | None, believed: bool
) -> None:
    report = report_of(over(shot=BY_TIME), account(mas, ms))
    assert report.mas == (mas if believed else None)
    assert report.fault == (None if believed else "GENERATOR_ACCOUNT")
    assert report.reason is EndReason.PLANNED  # the timer's end is proved by time
    assert (report.kv, report.ma) == ((79.0, 0.51) if believed else (None, None))


@pytest.mark.req("SR-53")
def test_a_claim_of_more_than_can_be_raises_the_bound_by_all_that_a_claim_may_be_off() -> None:
    """18.183 mAs claimed where 18.187 were irradiated: the claim itself was below the truth."""
    assert report_of(over(), account(5.0)).maximum_mas == pytest.approx(5.0 * 1.1 + 0.2)
    assert report_of(over(), account(0.01)).maximum_mas == pytest.approx(FULL)
    assert report_of(over(), account(None)).maximum_mas == pytest.approx(FULL)


@pytest.mark.req("SR-53")
def test_a_claim_that_is_believed_is_the_dose_and_raises_the_bound_to_itself_alone() -> None:
    report = report_of(over(shot=BY_TIME), account(MOST))
    assert (report.mas, report.maximum_mas) == (MOST, MOST)


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("changes", "mas"),
    [
        ({"beam_asked_us": None}, 0.0),
        ({"beam_asked_us": T_US - 700_001}, 0.0),  # before it was accepted
        ({"beam": replace(UNREAD, accepted_us=None)}, 0.0),
    ],
)
def test_of_a_beam_that_no_status_showed_an_account_may_be_of_nothing(
    changes: dict[str, Any], mas: float
) -> None:
    assert report_of(over(shot=BY_TIME, **changes), account(mas)).mas == mas


@pytest.mark.req("SR-53")
@pytest.mark.parametrize("changes", [{"beam_asked_us": None}, {"beam_asked_us": T_US - 900_000}])
def test_an_account_of_less_than_nothing_is_never_believed(changes: dict[str, Any]) -> None:
    assert report_of(over(shot=BY_TIME, **changes), account(-0.001)).mas is None


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(("mas", "believed"), [(0.75, True), (0.7501, False), (0.25, True)])
def test_how_far_reads_and_account_may_be_apart_is_the_benchs_to_say(
    mas: float, believed: bool
) -> None:
    read = replace(UNREAD, read_us=T_US - 6_000, read_ma=0.5, read_mas=0.5, read_count=1)
    wide = replace(BENCH, ma_band_pct=60.0, mas_known_pct=0.0, mas_known_mas=0.25)
    report = report_of(over(shot=BY_TIME, beam=read, limits=wide), account(mas))
    assert (report.mas is not None) is believed


@pytest.mark.req("SR-53")
@pytest.mark.parametrize(
    ("mas", "believed"), [(0.766, True), (0.767, False), (0.228, True), (0.227, False)]
)
def test_beside_reads_of_the_current_the_account_must_agree_with_their_integral(
    mas: float, believed: bool
) -> None:
    """0.49 mAs up to 20 ms before T_US, and 0.5 mA for 14 ms more until the status "off": 0.497,
    of which 10 % and 0.22 mAs may be missing or too much."""
    read = replace(READ, off_seen_us=T_US - 5_000, off_asked_us=T_US - 6_000)
    wide = replace(BENCH, ma_band_pct=60.0, mas_known_mas=0.22)
    report = report_of(over(shot=BY_TIME, beam=read, limits=wide), account(mas))
    assert report.mas == (mas if believed else None)
    assert (report.kv, report.ma) == (80.0, 0.5)  # what was read


# --- what it shows of the end


@pytest.mark.req("SR-21", "SR-53")
@pytest.mark.parametrize(
    ("mas", "reason", "fault"),
    [
        (0.45, EndReason.PLANNED, None),
        (0.25, EndReason.PLANNED, None),  # 10 % and 0.2 mAs less than 0.5
        (0.2499, EndReason.FAULT, "BACKUP_TIME"),
    ],
)
def test_mas_that_were_not_reached_were_ended_by_the_back_up(
    mas: float, reason: EndReason, fault: str | None
) -> None:
    after, outputs = step(over(), proof(sample=account(mas)))
    assert outputs.report is not None
    assert (outputs.report.reason, outputs.report.fault) == (reason, fault)
    assert outputs.report.mas == mas
    assert after.faults == (() if fault is None else (fault,))
    assert after.state is (S.READOUT if fault is None else S.FAULT)


@pytest.mark.req("SR-21", "SR-53")
def test_mas_of_which_no_account_came_may_have_been_ended_by_anything() -> None:
    waiting, _ = step(over(), proof())
    after, outputs = step(waiting, proof(T_US + 2_000_000))
    assert outputs.report is not None
    assert (outputs.report.reason, outputs.report.fault) == (EndReason.FAULT, "GENERATOR_ACCOUNT")
    assert outputs.report.mas is None
    assert outputs.report.maximum_mas == pytest.approx(FULL)
    assert (after.state, after.faults) == (S.FAULT, ("GENERATOR_ACCOUNT",))


@pytest.mark.req("SR-53")
@pytest.mark.parametrize("shot", [SHOT, SHOT_AUTO])
@pytest.mark.parametrize("mas", [0.24, 0.05])
def test_an_end_that_was_not_the_generators_is_not_judged_by_its_charge(
    mas: float, shot: Any
) -> None:
    before = over(shot=shot, reason=EndReason.RELEASED, beam_asked_us=None)
    after, outputs = step(before, proof(sample=account(mas)))
    assert outputs.report is not None
    assert (outputs.report.reason, outputs.report.fault) == (EndReason.RELEASED, None)
    assert (outputs.report.mas, after.aec_lock) == (mas, None)


@pytest.mark.req("SR-53")
def test_where_the_unit_counts_the_mas_the_account_does_not_judge_its_end() -> None:
    before = over(limits=replace(BENCH, ends_mas=False))
    assert report_of(before, account(0.24)).reason is EndReason.PLANNED


@pytest.mark.req("SR-22", "SR-23")
@pytest.mark.parametrize(
    ("mas", "lock"), [(0.45, None), (0.06, "AEC_IMPLAUSIBLE"), (0.95, "AEC_BACKUP")]
)
def test_an_automatic_exposure_that_ended_wrongly_locks_aec_and_nothing_else(
    mas: float, lock: str | None
) -> None:
    beam = replace(UNREAD, sent_us=T_US - 2_000_000, accepted_us=T_US - 20_000)
    before = over(shot=SHOT_AUTO, beam=beam)
    now = proof(sample=account(mas), requests=Requests(shot=SHOT_AUTO))
    after, outputs = step(before, now)
    assert (after.state, after.faults, after.aec_lock) == (S.READOUT, (), lock)
    assert outputs.report is not None
    assert outputs.report.fault == lock
    assert outputs.report.reason is (EndReason.FAULT if lock else EndReason.PLANNED)
    assert outputs.report.mas == mas


@pytest.mark.req("SR-22", "SR-36")
@pytest.mark.parametrize(
    ("shot", "lock", "scans"), [(SHOT_AUTO, "AEC_BACKUP", 4), (SHOT_AUTO, None, 1),
                                (SHOT, "AEC_BACKUP", 1)]
)  # fmt: skip
def test_the_back_up_of_an_automatic_exposure_sounds_as_every_wrong_end(
    shot: Any, lock: str | None, scans: int
) -> None:
    """A manual exposure while AEC is locked sounds as ever."""
    before = memory(S.RELEASE_WAIT, shot=shot, aec_lock=lock, beam_end_us=T_US - 1)
    assert step(before, inputs())[1].buzzer
    end_us = T_US - 1 + scans * LIMITS.sound_us
    assert step(before, inputs(end_us - 1, room=held(end_us - 1)))[1].buzzer
    assert not step(before, inputs(end_us, room=held(end_us)))[1].buzzer


@pytest.mark.req("SR-53")
@pytest.mark.parametrize("state", [S.FAULT, S.LOCKED])
def test_what_an_account_shows_in_a_latched_state_is_latched_with_it(state: State) -> None:
    before = over(state, faults=("DOOR_OPEN",), reason=EndReason.FAULT)
    after, _ = step(before, proof(sample=account(5.0)))
    assert after.faults == ("DOOR_OPEN", "GENERATOR_ACCOUNT")
    good, _ = step(before, proof(sample=account()))
    assert good.faults == ("DOOR_OPEN",)


@pytest.mark.req("SR-41")
def test_what_was_reported_before_holds_no_reset_back() -> None:
    """The report waits for the recorder only; the fault itself is over."""
    report = replace(report_of(over(), account(0.24)))
    before = memory(S.FAULT, faults=("BACKUP_TIME",), report=report)
    now = inputs(generator=OFF, requests=Requests(shot=SHOT, reset=True))
    assert step(before, now)[0].state is S.RELEASE_WAIT


# --- in the beam: who ends it


@pytest.mark.req("SR-20")
def test_mas_that_the_generator_counts_are_not_ended_by_the_unit() -> None:
    technique, running = SHOT.technique, replace(READ, read_us=T_US, read_mas=0.5)
    assert beams.charge_end_us(running, technique, LIMITS) is not None
    assert beams.charge_end_us(running, technique, replace(LIMITS, ends_mas=True)) is None


@pytest.mark.req("SR-20", "SR-39")
@pytest.mark.parametrize(
    ("after_on_us", "state", "told"),
    [
        (823_334, S.READOUT, ()),  # 1 s less a sixth: mA may be a fifth high; and one step
        (823_332, S.FAULT, ("BEAM_ENDED_EARLY",)),
        (1_000_000, S.READOUT, ()),
        (1_500_000, S.READOUT, ()),  # its back-up, perhaps: the account will say
    ],
)
def test_a_beam_by_mas_may_end_as_much_sooner_as_its_current_may_be_high(
    after_on_us: int, state: State, told: tuple[str, ...]
) -> None:
    beam = Beam(ordered_us=T_US - after_on_us, sent_us=T_US - after_on_us,
                accepted_us=T_US - after_on_us)  # fmt: skip
    off = replace(OFF, beam_taken_us=T_US)
    now = in_beam(generator=off)
    after, _ = step(replace(exposing(beam), limits=BENCH), now)
    assert (after.state, after.faults) == (state, told)


# --- what it shows of kV and mA, where none were read in the beam (SR-24)

KV, MA = "KV_OUT_OF_BAND", "MA_OUT_OF_BAND"


@pytest.mark.req("SR-24", "F06", "F07")
@pytest.mark.parametrize(
    ("shown", "fault"),
    [
        ({"kv": 88.0}, None), ({"kv": 88.01}, KV), ({"kv": 72.0}, None), ({"kv": 71.99}, KV),
        ({"ma": 0.6}, None), ({"ma": 0.601}, MA), ({"ma": 0.4}, None), ({"ma": 0.399}, MA),
        ({"kv": 90.0, "ma": 0.7}, KV), ({"kv": None, "ma": None}, None),
        ({"kv": float("nan")}, KV),
    ],
)  # fmt: skip
def test_what_no_read_could_end_in_the_beam_is_told_after_it(
    shown: dict[str, Any], fault: str | None
) -> None:
    after, outputs = step(over(), proof(sample=account(**shown)))
    assert outputs.report is not None
    assert (outputs.report.fault, outputs.report.mas) == (fault, 0.45)
    assert outputs.report.reason is (EndReason.FAULT if fault else EndReason.PLANNED)
    assert (after.state, after.faults) == ((S.FAULT, (fault,)) if fault else (S.READOUT, ()))


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(
    ("ms", "shown", "fault"),
    [
        (510.0, {"kv": 90.0}, KV),  # the ramp of 500 ms at most, and 10 ms
        (509.9, {"kv": 90.0}, None),
        (600.0, {"ma": 0.7}, MA),  # ... and as long as it has to settle
        (599.9, {"ma": 0.7}, None),
    ],
)
def test_of_a_beam_that_was_mostly_ramp_the_means_say_nothing(
    ms: float, shown: dict[str, Any], fault: str | None
) -> None:
    assert report_of(over(), account(ms=ms, **shown)).fault == fault


@pytest.mark.req("SR-24", "SR-53")
def test_a_mean_out_of_its_band_is_the_reason_why_a_charge_was_not_reached_or_not_believed() -> (
    None
):
    low = report_of(over(), account(0.24, ma=0.3))
    assert (low.mas, low.fault, low.reason) == (0.24, MA, EndReason.FAULT)
    none = report_of(over(), account(0.0, ma=0.0))
    assert (none.mas, none.fault, none.reason) == (None, MA, EndReason.FAULT)


@pytest.mark.req("SR-24", "SR-39")
@pytest.mark.parametrize("told", [None, "DOOR_OPEN"])
def test_a_beam_that_a_person_or_a_fault_ended_was_no_better_for_that(told: str | None) -> None:
    reason = EndReason.FAULT if told else EndReason.RELEASED
    before = over(reason=reason, ended={"fault": told}, beam_asked_us=None)
    after, outputs = step(before, proof(sample=account(kv=90.0)))
    assert outputs.report is not None
    assert (outputs.report.reason, outputs.report.fault) == (reason, told or KV)
    assert after.faults == (() if told else (KV,))


@pytest.mark.req("SR-24")
def test_where_the_beam_was_read_the_bands_have_judged_it_then() -> None:
    read = replace(UNREAD, read_us=T_US - 6_000, read_ma=0.5, read_mas=0.5, read_count=1)
    assert report_of(over(beam=read), account(kv=90.0, ma=0.7)).fault is None
