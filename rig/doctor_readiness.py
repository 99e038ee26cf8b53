"""Would an exposure be refused for the panel's maps or a cold tube? What to do first."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from rig import announce
from rig.bench import Bench
from rig.doctor import Finding, Verdict
from rig.durations import words_of
from rig.exit_codes import Refused
from rig.panel_sets import current_set, store_of, unfit
from rig.routines.tube import warmth_on


def readiness(bench: Bench, state: Path, at: datetime) -> list[Finding]:
    """`state`: of this bench. A note each: both can be put right, nothing is broken."""
    return [_panel_set(bench, state, at), _tube(bench)]


def _panel_set(bench: Bench, state: Path, at: datetime) -> Finding:
    name, panel_id = "calibration set", bench.unit.panel.panel_id
    try:
        current = current_set(state, bench.unit)
    except Refused as error:
        cure = "`dxrig calibrate list`, then roll back or calibrate anew"
        return Finding(name=name, verdict=Verdict.WRONG, found=str(error), cure=cure)
    if current is None and _is_simulated(bench, "uncalibrated"):
        return Finding(name=name, verdict=Verdict.OK, found="the simulated panel starts with one")
    if current is None:
        cure = "`dxrig calibrate offset`, then gain and defects"
        return Finding(name=name, verdict=Verdict.NOTE, found=f"none of {panel_id}", cure=cure)
    panel_set, _ = current
    number = store_of(state, bench.unit).current_number()
    problem = unfit(panel_set, bench.unit, at)
    if problem is not None:
        return Finding(name=name, verdict=Verdict.NOTE, found=f"set {number}: {problem}")
    until = f"valid until {panel_set.valid_until:%Y-%m-%d %H:%M}"
    return Finding(name=name, verdict=Verdict.OK, found=f"set {number} of {panel_id}, {until}")


def _tube(bench: Bench) -> Finding:
    name = "tube"
    if bench.unit.warmup is None:
        return Finding(name=name, verdict=Verdict.OK, found="needs no warm-up")
    if announce.running(bench.name) is None and _is_simulated(bench, "idle_s"):
        return Finding(name=name, verdict=Verdict.OK, found="a simulated one starts warm")
    warmth = warmth_on(bench, None, None)
    rest = "" if warmth.idle_s is None else f"{words_of(warmth.idle_s)} "
    if warmth.warm:
        return Finding(name=name, verdict=Verdict.OK, found=f"warm: {rest}{warmth.why}")
    found = f"not warmed up ({rest}{warmth.why}): {warmth.minutes:g} min are due"
    cure = f"`dxrig warmup`; up to {bench.unit.warmup.cold_kv_max:g} kV need none"
    return Finding(name=name, verdict=Verdict.NOTE, found=found, cure=cure)


def _is_simulated(bench: Bench, unless: str) -> bool:
    """No real bench, and no simulator that says otherwise."""
    facts = announce.running(bench.name) or {}
    return bench.unit.rung != "bench" and not facts.get(unless)
