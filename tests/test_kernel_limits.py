"""The figures, defaults and reactions that the decision lives by, each with who asks for it.

A changed limit is a changed promise: it is changed here, too, by somebody who can say why. A
bench may cut a limit to what its devices can do (firmware_py/bounds.py); these are the values
where it says nothing.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest

from firmware_py.decide.memory import Beam, Ending, Limits, Memory, SelfTestStep, State
from hal.faults import FAULTS, Reaction
from hal.types import (
    GeneratorSample,
    GeneratorState,
    Inputs,
    Outputs,
    PanelSample,
    PanelState,
    RecorderSample,
    Requests,
    RoomSample,
    Shot,
    ShotKind,
    TubeData,
)

MINUTE_US = 60_000_000
LIMITS: dict[str, tuple[object, str]] = {
    "boot_us": (10_000_000, "ours: every state has a deadline"),
    "self_test_us": (3_000_000, "ours"),
    "prep_us": (10_000_000, "SR-08"),
    "ready_us": (15_000_000, "SR-08: READY is held for at most 15 s"),
    "interlock_check_us": (500_000, "design, section 4: lasts at most 500 ms"),
    "readout_us": (10_000_000, "ours"),
    "release_us": (20_000_000, "ours: then HANDSWITCH_STUCK"),
    "reset_us": (20_000, "SR-41: one sample alone is no person"),
    "both_open_us": (50_000, "SR-03, SR-04: seen open for 50 ms"),
    "stage_2_us": (20_000, "design, section 4: closed for 20 ms"),
    "room_age_us": (100_000, "SR-09: 100 ms"),
    "panel_age_us": (250_000, "ours"),
    "beam_start_us": (700_000, "VJ IXS: rise of 500 ms and an exchange"),
    "status_age_us": (150_000, "SR-27: as fresh as the wire allows"),
    "off_lead_us": (10_000, "ours"),
    "off_confirm_us": (800_000, "SR-33: the worst case of a 9600 baud line"),
    "fall_us": (50_000, "assumed: no document states it"),
    "held_mas": (0.0, "SR-53: of the IXS's tank nothing is known, and its ramp counts in full"),
    "ramp_us": (500_000, "VJ IXS: 500 ms at most"),
    "time_step_us": (10_000, "VJ IXS: exposure time in steps of 10 ms"),
    "has_own_timer": (True, "VJ IXS: OT; a bench without one says so"),
    "overrun_us": (0, "SR-53: a generator's own timer leaves nothing over"),
    "window_margin_us": (200_000, "SR-10"),
    "settle_us": (100_000, "design, section 4: a settle time per generator"),
    "kv_band_pct": (10.0, "SR-24: 10 %"),
    "kv_band_kv": (3.0, "design, section 8: a good generator must not trip"),
    "ma_band_pct": (20.0, "design, section 8: what rules allow"),
    "ma_band_ma": (0.05, "design, section 8: a good generator must not trip"),
    "mas_over_pct": (15.0, "SR-25: above 115 % of the plan"),
    "mas_over_mas": (0.2, "design, section 8: +-(10 % + 0.2 mAs)"),
    "mas_service_pct": (25.0, "SR-25: above 125 % is service's business"),
    "mas_service_mas": (0.4, "ours: twice what ends the beam"),
    "mas_known_pct": (10.0, "IEC 60601-2-54 203.6.4 (unverified clause): 10 % and 0.2 mAs"),
    "mas_known_mas": (0.2, "as above"),
    "enable_pulse_us": (200_000, "design, section 4: in units of 100 ms, gone within 300 ms"),
    "enable_look_us": (60_000, "ours"),
    "late_us": (200_000, "SR-28"),
    "safety_relay": (("door", "estop"), "design, section 4: the hard-wired chain"),
    "chain_us": (100_000, "SR-09: a disagreeing pair counts as open"),
    "lamp_us": (300_000, "SR-35: visible for at least 300 ms"),
    "sound_us": (500_000, "SR-36"),
    "self_test_every_us": (24 * 60 * MINUTE_US, "SR-46: at least every 24 h"),
    "arcs_most_count": (3, "SR-26: 3 in 10 exposures"),
    "resets_most_count": (5, "SR-43: 5 resets"),
    "resets_within_us": (10 * MINUTE_US, "SR-43: in 10 minutes"),
    "generator_identity": (None, "SR-50: where the bench names one"),
    "ends_mas": (False, "the unit ends a beam at its mAs, unless the generator has that mode"),
    "account_us": (None, "SR-53: where the generator gives an account of its own"),
    "aec": (None, "SR-22: where the bench has chambers"),
    "battery": (None, "SR-29, F71: where the bench file has figures for the unit's"),
    "panel_battery": (None, "SR-10, F32: where the panel has one"),
    "geometry": (None, "SR-05, SR-09: where the bench says where the receptor stands"),
    "dap": (None, "SR-53: where a meter stands in the beam"),
}


def defaults(of: Any) -> dict[str, object]:
    return {field.name: field.default for field in fields(of) if field.default is not MISSING}


@pytest.mark.req("SR-03", "SR-08", "SR-09", "SR-24", "SR-25", "SR-26", "SR-35", "SR-43", "SR-46")
@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_what_its_source_asks_for(name: str) -> None:
    value, source = LIMITS[name]
    assert defaults(Limits)[name] == value, source


def test_every_limit_has_its_line_here() -> None:
    assert LIMITS.keys() == defaults(Limits).keys()


@pytest.mark.req("SR-28")
def test_what_nobody_asks_for_is_off() -> None:
    assert defaults(Outputs) == {
        "ready_lamp": False,
        "beam_lamp": False,
        "buzzer": False,
        "enable": False,
        "enable_lapse": False,  # dropped at once, not left to its timer
        "contactor": False,
        "prep_line": False,
        "expose_line": False,
        "technique": None,
        "expose_from_us": None,  # OFF
        "clear_faults_from_us": None,
        "prepare_panel": False,
        "window_from_us": None,
        "window_shot_id": None,
        "fetch": (),
        "free": (),  # what nobody called safe stays in the panel
        "intent": None,
        "report": None,
        "beam_seen": False,
        "kept": (),
        "next_us": 0,  # be asked again at once
        "dose_shot_id": None,
        "dose_reset": False,
    }


@pytest.mark.req("SR-09")
def test_a_device_that_said_nothing_is_absent_open_and_unknown_never_zero() -> None:
    room, generator = defaults(RoomSample), defaults(GeneratorSample)
    assert {name for name, value in room.items() if value is not False} == {
        "enable_readback",
        "enable_taken_us",
    }
    assert room["enable_readback"] is None
    assert room["enable_taken_us"] is None
    assert generator.pop("state") is GeneratorState.OFFLINE
    assert generator.pop("refused") is False
    assert (generator.pop("faults"), generator.pop("raw_faults")) == ((), "")
    assert set(generator.values()) == {None}
    panel = defaults(PanelSample)
    assert panel.pop("state") is PanelState.DISCONNECTED
    assert (panel.pop("frame_count"), panel.pop("faults")) == (0, ())
    assert (panel.pop("kept"), panel.pop("given_up")) == ((), ())
    assert panel.pop("troubles") == ()
    assert set(panel.values()) == {None}


@pytest.mark.req("SR-11", "SR-52", "SR-53")
def test_a_recorder_that_said_nothing_is_dead_and_keeps_nothing() -> None:
    recorder = defaults(RecorderSample)
    assert recorder.pop("incomplete_count") == 0
    dead = {name: recorder.pop(name) for name in ("alive", "disk_ok", "panel_set_ok")}
    assert set(dead.values()) == {False}
    assert (recorder.pop("frames_safe"), recorder.pop("frames_wanted")) == ((), ())
    assert set(recorder.values()) == {None}
    assert defaults(Requests) == {"shot": None, "stop": False, "reset": False}


def test_a_scan_is_in_time_unless_its_clock_says_by_how_much_it_is_late() -> None:
    assert defaults(Inputs)["late_us"] == 0


@pytest.mark.req("SR-05", "SR-16")
def test_a_shot_has_a_beam_makes_an_image_and_is_no_exception_unless_it_says_so() -> None:
    assert defaults(Shot) == {
        "kind": ShotKind.IMAGING,
        "raw": False,
        "clear_by": None,
        "warms": False,
        "deferred": None,
        "sid_mm": None,
    }
    assert set(defaults(TubeData).values()) == {None}  # no rule where the tube's sheet has none


@pytest.mark.req("SR-03", "SR-29")
def test_a_unit_that_is_powered_up_remembers_no_beam_no_switch_and_no_reset() -> None:
    memory = defaults(Memory)
    assert memory.pop("state") is State.BOOT
    assert memory.pop("why") == "power up"
    assert memory.pop("test_step") is SelfTestStep.PULL_IN
    assert memory.pop("warm") is True  # handed in by who knows when the tube was used last
    times = {
        name: memory.pop(name) for name in ("since_us", "test_step_us", "tested_us", "heat_us")
    }
    assert set(times.values()) == {0}
    assert memory.pop("heat_j") == 0.0
    flags = ("must_open", "key_was_off", "reset_armed", "lamp_dark")
    assert [memory.pop(name) for name in flags] == [False] * len(flags)
    lists = ("faults", "refused", "arcs", "beams_us", "resets_us")
    assert [memory.pop(name) for name in lists] == [()] * len(lists)
    assert set(memory.values()) == {None}


@pytest.mark.req("SR-53")
def test_a_beam_begins_without_charge_and_an_ending_without_proof() -> None:
    beam = defaults(Beam)
    sums = ("read_ma", "most_ma", "read_mas", "kv_sum", "ma_sum", "read_count")
    assert [beam.pop(name) for name in sums] == [0] * len(sums)
    assert set(beam.values()) == {None}
    assert defaults(Ending) == {
        "answered_us": None,
        "fault": None,
        "heard": True,
        "overran": False,
    }


# --- what a fault does


ONLY_TOLD = {
    "READY_TIMEOUT", "UNDER_TEMPERATURE", "SHOT_CHANGED", "UNIT_LOST",
    "BATTERY_WARNING", "PANEL_BATTERY_WARNING",
    "AEC_BACKUP", "AEC_IMPLAUSIBLE",  # SR-22: what they lock is AEC, and no manual exposure
    "DAP_LOST", "DAP_DEVIATES",  # SR-53: a meter beside the beam, which the record has computed
}  # fmt: skip
NO_PRESS = {
    "HANDSWITCH_CLOSED", "LAMP_FAILED", "GENERATOR_IDENTITY", "PANEL_WRONG", "WINDOW_TOO_SHORT",
    "RECORDER_LOST", "DISK", "PANEL_SET_MISSING", "INCOMPLETE_EXPOSURE", "NO_SHOT", "SHOT_USED",
    "TECHNIQUE", "NOT_TEST", "RECEPTOR_NOT_CLEAR", "TUBE_COLD", "TUBE_HEAT", "DUTY",
    "AEC_LOCKED", "AEC_SETTING", "BATTERY_EMPTY", "PANEL_BATTERY_EMPTY", "SID", "DAP_METER",
}  # fmt: skip
ENDS_THE_BEAM = {
    "DOOR_OPEN", "CHAIN_OPEN", "KEY_OFF", "ROOM_IO_LOST", "GENERATOR_LINK_LOST",
    "GENERATOR_STATUS_OLD", "GENERATOR_NOT_READY", "GENERATOR_REFUSED", "GENERATOR_FAULT",
    "GENERATOR_UNKNOWN", "OVER_VOLTAGE", "OVER_CURRENT", "OVER_POWER", "ARC", "OVER_TEMPERATURE",
    "INTERLOCK_OPEN", "REGULATION", "BATTERY_LOW", "KV_OUT_OF_BAND", "MA_OUT_OF_BAND", "OVER_MAS",
    "BACKUP_TIME", "BEAM_ENDED_EARLY", "BEAM_OFF_NOT_CONFIRMED", "PANEL_LINK_LOST",
    "PANEL_NOT_READY", "PANEL_ERROR", "WINDOW_REFUSED", "WINDOW_ENDED", "FRAME_MISSING",
    "INTENT_NOT_DURABLE", "DOSE_NOT_SAVED", "SCAN_LATE", "GENERATOR_ACCOUNT",
    "SID_WRONG", "FIELD_OFF_PANEL", "COLLIMATOR_LOST",
}  # fmt: skip
WHEREVER_IT_IS = {
    "ESTOP", "HANDSWITCH_STUCK", "SELF_TEST_ENABLE", "SELF_TEST_LAMP", "SELF_TEST_TIMEOUT",
    "UNIT_BUG",
}  # fmt: skip
NEEDS_SERVICE = {
    "CHAIN_STUCK", "ENABLE_WELDED", "OVER_MAS_SERVICE", "ARCS", "STRAY_BEAM", "RESETS",
}  # fmt: skip


@pytest.mark.req("SR-18", "SR-25", "SR-26", "SR-34", "SR-41", "SR-43")
@pytest.mark.parametrize(
    ("reaction", "codes"),
    [
        (Reaction.WARN, ONLY_TOLD),
        (Reaction.INHIBIT, NO_PRESS),
        (Reaction.ABORT, ENDS_THE_BEAM),
        (Reaction.TRIP, WHEREVER_IT_IS),
        (Reaction.LOCK, NEEDS_SERVICE),
    ],
)
def test_a_fault_does_what_its_requirement_asks_for(reaction: Reaction, codes: set[str]) -> None:
    assert {code for code, fault in FAULTS.items() if fault.reaction is reaction} == codes
