"""What a scenario may set in the monoblock to make it fail; `sim.generator` does it."""

from __future__ import annotations

from sim.injection import Injection

INJECTIONS = {
    "refuse_start": Injection("ENBL1 is answered 'not started'; the fault list shows no reason"),
    "ignore_off": Injection("ENBL0 is answered, and nothing else (F01)"),
    "ignores_pair": Injection("the open pair is shown; it refuses no start and ends no beam (F02)"),
    "stray_beam": Injection("HV as long as there is supply, whatever pair and commands say (F03)"),
    "timer_dead": Injection("the set exposure time doesn't end the beam (F04)"),
    "watchdog_dead": Injection("the watchdog is shown as on and ends nothing (F05)"),
    "ma_factor": Injection(
        "real mA = set mA x this, and the feedback shows it; from the next start on",
        1.0, between=(0.0, 5.0),
    ),
    "kv_factor": Injection(
        "real kV = set kV x this: a drifted divider, so the feedback shows the set kV",
        1.0, between=(0.0, 1.5),
    ),
    "kv_off_pct": Injection(
        "real kV is off what was set by this, and the feedback shows it; at once (F06, F72)",
        0.0, between=(-100.0, 50.0),
    ),
    "ma_off_pct": Injection(
        "real mA is off what was set by this, and the feedback shows it; at once (F07, F23)",
        0.0, between=(-100.0, 400.0),
    ),
    "shunt_factor": Injection(
        "real mA = set mA x this: a drifted shunt, so feedback and own count show the set mA",
        1.0, between=(0.2, 2.0),
    ),
    "timer_off_pct": Injection(
        "its own timer ends a beam so much late, or early; from the next start on",
        0.0, between=(-90.0, 100.0),
    ),
    "filament_open": Injection("no emission: kV without mA, and no filament current (F22)"),
    "filament_thinner_pct": Injection(
        "worn: so much less filament current for the same mA, and only its reading shows it",
        0.0, between=(0.0, 20.0),
    ),
    "gassy_tube": Injection(
        "so likely is an arc in 0.3 s at the tube's highest kV, less below; a beam cleans a tenth",
        0.0, between=(0.0, 1.0),
    ),
    "worn_anode_pct": Injection(
        "a roughened target: so much less output at the same kV and mAs, and a little harder; "
        "no reading shows it",
        0.0, between=(0.0, 60.0),
    ),
    "output_drift_pct": Injection(
        "each beam gives so much less than the one before, and no reading shows it",
        0.0, between=(0.0, 20.0),
    ),
    "ripple_pct": Injection(
        "kV falls so far below its peak and back, a rectifier's or inverter's leg lost: the peak "
        "is shown, output and HVL fall; from the next start on",
        0.0, between=(0.0, 100.0),
    ),
    "overshoot_pct": Injection(
        "kV rises so far above what was set and settles, in a third of the rise to 1/e of it; "
        "feedback shows it; from the next start on",
        0.0, between=(0.0, 30.0),
    ),
    "overshoot_settles_us": Injection(
        "... in so long, from the next start on",
        None, int, between=(1_000, 10_000_000),
    ),
    "slow_rise_us": Injection(
        "kV and mA rise so slowly, from the next start on (F08)",
        None, int, between=(0, 10_000_000),
    ),
    "slow_fall_us": Injection(
        "kV and mA need so long to fall: the cable's discharge (F09)",
        None, int, between=(1, 10_000_000),
    ),
    "stuck_oil_c": Injection(
        "the oil's thermometer shows this and is believed: 60 ends a beam (F14, F20)",
        None, float, between=(-50.0, 150.0),
    ),
}  # fmt: skip
FROM_NEXT_START = (
    "gassy_tube", "ma_factor", "kv_factor", "output_drift_pct", "overshoot_pct",
    "overshoot_settles_us", "ripple_pct", "shunt_factor",
    "slow_rise_us", "timer_off_pct", "worn_anode_pct",
)  # fmt: skip
