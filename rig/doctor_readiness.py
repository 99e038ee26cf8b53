"""Would an exposure be refused for the panel's maps or a cold tube? What to do first.

And what no self-test without a beam can prove: the generator's own timer.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.timer_proof import timer_proved
from rig import announce
from rig.bench import Bench
from rig.doctor import Finding, Verdict
from rig.drivers import generator_of, nobody
from rig.durations import words_of
from rig.exit_codes import Refused
from rig.panel_sets import current_set, store_of, unfit
from rig.recovery import journal_of
from rig.routines.tube import warmth_on

TIMER_EVERY = timedelta(days=7)


def readiness(bench: Bench, state: Path, at: datetime) -> list[Finding]:
    """`state`: of this bench. A note each: all can be put right, nothing is broken."""
    return [_panel_set(bench, state, at), _tube(bench), _timer(bench, state, at)]


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


def _timer(bench: Bench, state: Path, at: datetime) -> Finding:
    """SR-46: with a beam every week."""
    name = "generator's timer"
    if bench.unit.rung != "bench":
        return Finding(name=name, verdict=Verdict.OK, found="a simulated one; the matrix tests it")
    if not generator_of(bench.unit.generator, nobody()).capabilities.has_own_timer:
        found = "it has none: the unit is the timer, and the relay's pulse stands behind it"
        return Finding(name=name, verdict=Verdict.OK, found=found)
    cure = "an exposure by time (`--ma`, `--ms`), or a step of `dxrig warmup`"
    try:
        proved = timer_proved(journal_of(state))
    except JournalError as error:
        return Finding(name=name, verdict=Verdict.WRONG, found=str(error), cure=cure)
    if proved is None:
        return Finding(name=name, verdict=Verdict.NOTE, found="never seen to end a beam", cure=cure)
    found = f"ended a beam {words_of((at - proved).total_seconds())} ago"
    due = at - proved > TIMER_EVERY
    return Finding(
        name=name, verdict=Verdict.NOTE if due else Verdict.OK,
        found=f"{found}; due every week" if due else found, cure=cure if due else "",
    )  # fmt: skip


def _is_simulated(bench: Bench, unless: str) -> bool:
    """No real bench, and no simulator that says otherwise."""
    facts = announce.running(bench.name) or {}
    return bench.unit.rung != "bench" and not facts.get(unless)
