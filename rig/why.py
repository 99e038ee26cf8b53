"""The reasons of the sequence in plain words: each predicate of the table, and what it means."""

from __future__ import annotations

WORDS = {
    "power up": "power on",
    "fault_that_locks": "fault that locks",
    "fault_that_trips": "fault",
    "all_devices_answer": "all devices answer",
    "self_test_passed": "self-test passed: the enable relay drops by itself",
    "self_test_due": "the daily self-test",
    "press_refused": "the press was refused",
    "pressed": "stage 1 pressed",
    "dark_frame_asked": "a dark frame was programmed: it needs no press",
    "stage_1_released": "stage 1 released",
    "handswitch_released": "handswitch released",
    "stage_2_firm_and_pair_open": "stage 2 pressed",
    "both_stages_open": "both stages of the handswitch are open",
    "stop_requested": "stop requested",
    "shot_changed": "another shot was programmed",
    "all_prepared": "generator and panel are ready, the intent is on disk",
    "dark_frame_prepared": "the panel is ready, the intent is on disk; no beam",
    "ready_held_too_long": "held ready for too long",
    "everything_true_in_this_scan": "everything needed is true in one scan",
    "planned_charge_reached": "the planned mAs is reached",
    "planned_time_reached": "the planned time was reached",
    "generator_timer_ended": "the generator's own timer ended the beam",
    "generator_charge_ended": "the generator ended the beam: its mAs or its chambers",
    "everything_saved": "beam proved off, dose and image saved",
    "reset_pressed": "reset pressed",
    "reset_with_cause_gone": "reset, and the cause is gone",
    "key_turned_and_reset": "key turned, and reset",
}


def in_words(why: str) -> str:
    return WORDS.get(why, why.replace("_", " "))
