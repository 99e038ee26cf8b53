"""The few values of a search: the deadlines, the techniques, the shots and their names.

Every deadline is a few scans long, so that a search can look at each moment: what happens
before, at and after it does not depend on how long it is.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from firmware_py.decide.memory import Limits
from hal.types import (
    AecData,
    AecSetting,
    EndReason,
    ExposureReport,
    Shot,
    ShotKind,
    Technique,
    TubeData,
)

SCAN_US = 10_000
NOW_US = 1_000_000_000  # each scan is at this time: what is stored is moved back instead
RAMP_US = SCAN_US
# Names of shots: frozen at PREP, programmed next, any other.
FROZEN, NEXT, OTHER = "frozen", "next", "other"

TUBE = TubeData(
    kv_min=30.0, kv_max=120.0, ma_min=0.2, ma_max=1.0, power_max_w=120.0,
    time_min_ms=10.0, time_max_ms=100.0, heat_max_j=1000.0, cooling_tau_s=900.0,
)  # fmt: skip
AEC = AecData(chambers=("centre",), panels=("P1",), sensitivities_index=(1,),
              density_most_index=0, backup_pct=200.0, own_mas=640.0)  # fmt: skip
LIMITS = Limits(
    tube=TUBE,
    aec=AEC,
    boot_us=3 * SCAN_US,
    self_test_us=6 * SCAN_US,
    prep_us=3 * SCAN_US,
    ready_us=4 * SCAN_US,
    interlock_check_us=3 * SCAN_US,
    readout_us=5 * SCAN_US,
    release_us=4 * SCAN_US,
    both_open_us=2 * SCAN_US,
    stage_2_us=SCAN_US,
    room_age_us=2 * SCAN_US,
    panel_age_us=2 * SCAN_US,
    beam_start_us=2 * SCAN_US,
    status_age_us=2 * SCAN_US,
    off_lead_us=0,
    off_confirm_us=3 * SCAN_US,
    fall_us=SCAN_US,
    ramp_us=RAMP_US,
    settle_us=0,
    enable_pulse_us=2 * SCAN_US,
    enable_look_us=SCAN_US,
    chain_us=2 * SCAN_US,
    reset_us=0,
    arcs_most_count=1,  # the first arc of a beam locks: how many it takes is not searched
    late_us=SCAN_US,
    lamp_us=100 * SCAN_US,  # the lamp is not searched
    sound_us=SCAN_US,
)
# A generator without a timer takes no AEC either; the unit is what ends a beam by time, and
# HV may outlive that until the relay's pulse has lapsed. The lead has a scan in it, as in life:
# with none, and so short a ramp, planned end and back-up time would fall into one scan.
UNTIMED = replace(
    LIMITS, has_own_timer=False, overrun_us=3 * SCAN_US, off_lead_us=SCAN_US, aec=None
)
AUTOMATIC = "automatic"  # an imaging shot that the chambers end
Kind = ShotKind | str
TECHNIQUES: dict[Kind, Technique] = {
    ShotKind.IMAGING: Technique(kv=80.0, ma=1.0, mas=0.015),
    ShotKind.NO_RECEPTOR: Technique(kv=70.0, ma=1.0, ms=30.0),
    ShotKind.DARK: Technique(kv=60.0, ma=1.0, ms=20.0),
    AUTOMATIC: Technique(
        kv=80.0,
        ma=1.0,
        aec=AecSetting(
            chambers=("centre",), sensitivity_index=1, expected_mas=0.01, backup_mas=0.02
        ),
    ),
}


def kind_of(shot: Shot) -> Kind:
    return shot.kind if shot.technique.aec is None else AUTOMATIC


@cache
def shot_of(kind: Kind, name: str) -> Shot:
    clear_by = "A. Physicist" if kind is ShotKind.NO_RECEPTOR else None
    return Shot(
        shot_id=name,
        technique=TECHNIQUES[kind],
        exam_id="TEST",
        panel_id="P1",
        kind=ShotKind.IMAGING if kind == AUTOMATIC else ShotKind(kind),
        clear_by=clear_by,
    )


@cache
def report_of(kind: Kind, name: str) -> ExposureReport:
    """Which numbers a report has is not searched; that it waits for the recorder is."""
    return ExposureReport(
        shot=shot_of(kind, name),
        reason=EndReason.PLANNED,
        beam=kind is not ShotKind.DARK,
        mas=None,
        maximum_mas=0.0,
    )
