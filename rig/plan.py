"""Would this technique be permitted, and what would it do? Nothing runs, nothing is asked.

The unit judges again before PREP (`firmware_py.decide.technique`); this says it earlier,
with field, value and allowed range (SR-05, SR-10, SR-14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from firmware_py.bounds import tube_data
from firmware_py.config import TubeConfig, UnitConfig
from firmware_py.decide.aec import BACKUP_PCT, ROUNDING
from firmware_py.decide.memory import Limits
from firmware_py.decide.technique import timer_us
from firmware_py.decide.tube_load import energy_j
from hal.ports import Generator, GeneratorCapabilities
from hal.types import AecSetting, Technique
from rig.aec_plan import (
    Asked,
    brisk_ma,
    ceiling_of,
    cutoff_of,
    expected_ms,
    late_words,
    problems_of,
    setting_for,
)
from rig.bench_checks import WINDOW_MARGIN_MS
from rig.distance import sid_problems
from rig.exit_codes import UsageError

HEAT_UNITS_PER_J = 1.35  # high frequency: GE Precision 500D p. A-3 (qc-and-physics.md 2.1)
HEAT_WARN = 0.9  # SR-14: warn above 90 %, refuse above 100 %
ONE_ENDING = "give one of --mas, --ms and --aec: one of them ends the beam"
POWER_ROUNDING = 1.000001  # 120 kV x 1 mA = 120 W, as decide.technique allows it


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    asked: Technique
    effective: Technique  # after the generator's own steps
    maximum_mas: float  # what the generator's own timer lets through if nothing else ends the beam
    power_w: float
    energy_j: float
    energy_hu: float
    heat_before_j: float
    heat_after_j: float
    heat_max_j: float
    window_ms: float
    window_needed_ms: float
    warnings: tuple[str, ...]
    ceiling_mas: float | None = None  # of an automatic exposure, and where it comes from
    ceiling_source: str | None = None
    cutoff_ugy: float | None = None  # at the panel, where its chambers shall end it
    expected_ms: float | None = None  # by then


def plan(
    unit: UnitConfig,
    generator: Generator,
    asked: Technique,
    *,
    heat_before_j: float = 0.0,
    heat_doubt: str | None = None,
    sid_mm: float | None = None,
) -> Plan:
    """Raises UsageError with every reason why the unit would refuse. No device is asked.

    `heat_doubt`: why the heat beforehand is assumed and not known; `sid_mm`: of this exposure.
    """
    _refuse_if(
        [
            *sid_problems(unit, sid_mm),
            *problems_of(unit, generator.capabilities, asked),
            *technique_problems(asked, unit.tube),
        ]
    )
    try:
        used = generator.effective(asked)
    except ValueError as error:
        raise UsageError(str(error)) from error
    load_j = energy_j(used.kv, used.planned_mas)
    maximum_mas = generator.maximum_mas(used)
    needed_ms = _timer_ms(unit, generator.capabilities, used) + WINDOW_MARGIN_MS
    heat_after_j = heat_before_j + load_j
    _refuse_if(
        [
            *technique_problems(used, unit.tube),
            *problems_of(unit, generator.capabilities, used),
            *_window_problems(needed_ms, unit),
            *_heat_problems(heat_before_j, load_j, unit.tube, heat_doubt),
        ]
    )
    ceiling = ceiling_of(unit, generator.capabilities, used)
    return Plan(
        asked=asked,
        effective=used,
        maximum_mas=maximum_mas,
        power_w=used.kv * used.ma,
        energy_j=load_j,
        energy_hu=load_j * HEAT_UNITS_PER_J,
        heat_before_j=heat_before_j,
        heat_after_j=heat_after_j,
        heat_max_j=unit.tube.heat_max_j,
        window_ms=unit.panel.window_ms,
        window_needed_ms=needed_ms,
        warnings=(
            *_warnings(heat_after_j, unit.tube, heat_doubt),
            *_low_ceiling(used),
            *late_words(unit, used),
        ),
        ceiling_mas=ceiling[0] if ceiling else None,
        ceiling_source=ceiling[1] if ceiling else None,
        cutoff_ugy=cutoff_of(unit, used),
        expected_ms=expected_ms(used) if used.aec is not None else None,
    )


def asked_technique(
    unit: UnitConfig,
    generator: Generator,
    kv: float,
    *,
    ma: float | None,
    mas: float | None,
    ms: float | None,
    aec: Asked | None = None,
    sid_mm: float | None = None,
) -> Technique:
    """The technique that the options mean. Raises UsageError with what is wrong in them.

    Without mA the highest one: by chambers the highest at which they end a beam in good time.
    """
    _refuse_if(sid_problems(unit, sid_mm))
    if aec is not None and (mas is not None or ms is not None):
        raise UsageError(ONE_ENDING)
    if aec is None:
        return technique_for(unit.tube, kv, ma=ma, mas=mas, ms=ms)
    setting = setting_for(unit, generator.capabilities, kv, aec, sid_mm)
    if ma is None and unit.aec is not None:
        brisk = brisk_ma(unit.aec, setting.expected_mas)
        ma = min(highest_ma(unit.tube, kv), max(brisk, unit.tube.ma_min))
    return technique_for(unit.tube, kv, ma=ma, mas=None, ms=None, aec=setting)


def technique_for(
    tube: TubeConfig,
    kv: float,
    *,
    ma: float | None,
    mas: float | None,
    ms: float | None,
    aec: AecSetting | None = None,
) -> Technique:
    """The technique that the options mean; without mA the highest one, the shortest beam."""
    if sum(ending is not None for ending in (mas, ms, aec)) > 1:
        raise UsageError(ONE_ENDING)
    if mas is None and aec is None and (ma is None or ms is None):
        raise UsageError("give --mas, or --ma with --ms, or --aec")
    if ma is None:  # chosen inside the limits, so that only what was typed can be wrong
        ma = highest_ma(tube, kv)
    return Technique(kv=kv, ma=ma, mas=mas, ms=ms, aec=aec)


def highest_ma(tube: TubeConfig, kv: float) -> float:
    return min(tube.ma_max, most_ma(tube, kv)) if _kv_allowed(kv, tube) else tube.ma_max


def technique_problems(technique: Technique, tube: TubeConfig) -> list[str]:
    """Field, value and allowed range of all that is wrong."""
    if problems := technique.problems():
        return [f"kvp{told[2:]}" if told.startswith("kv ") else told for told in problems]
    found = [
        f"{name} = {value:g} {unit} is outside {low:g} to {high:g} {unit}"
        for name, value, low, high, unit in (
            ("kvp", technique.kv, tube.kv_min, tube.kv_max, "kV"),
            ("ma", technique.ma, tube.ma_min, tube.ma_max, "mA"),
        )
        if not low <= value <= high
    ]
    found += _time_problems(technique, tube)
    power_w = technique.kv * technique.ma
    if _kv_allowed(technique.kv, tube) and not power_w <= tube.power_max_w * POWER_ROUNDING:
        found.append(
            f"power = {power_w:g} W is above {tube.power_max_w:g} W; "
            f"at {technique.kv:g} kV allowed: ma at most {most_ma(tube, technique.kv):g} mA"
        )
    return found


def _kv_allowed(kv: float, tube: TubeConfig) -> bool:
    """Outside, power and highest current say nothing."""
    return tube.kv_min <= kv <= tube.kv_max


def _time_problems(technique: Technique, tube: TubeConfig) -> list[str]:
    ms, low_ms, high_ms = technique.planned_ms, tube.time_min_ms, tube.time_max_ms
    if low_ms <= ms <= high_ms:
        return []
    if technique.ms is not None:
        return [f"ms = {ms:g} ms is outside {low_ms:g} to {high_ms:g} ms"]
    allowed = f"{technique.ma * low_ms / 1e3:g} to {technique.ma * high_ms / 1e3:g} mAs"
    name = "mas" if technique.aec is None else "back-up"
    return [
        f"{name} = {technique.planned_mas:g} mAs takes {ms:g} ms at {technique.ma:g} mA, outside "
        f"{low_ms:g} to {high_ms:g} ms; allowed at this current: {allowed}"
    ]


def most_ma(tube: TubeConfig, kv: float) -> float:
    """Rounded down: the power limit is never passed by rounding."""
    return math.floor(1e3 * tube.power_max_w / kv) / 1e3


def _timer_ms(unit: UnitConfig, own: GeneratorCapabilities, technique: Technique) -> float:
    """As the unit has it: what flows in the fall is in its bound on the charge, not in here."""
    limits = Limits(
        time_step_us=round(own.time_step_ms * 1000),
        has_own_timer=own.has_own_timer,
        ramp_us=own.kv_rise_us,
        tube=tube_data(unit),
    )
    return timer_us(technique, limits) / 1000


def _window_problems(needed_ms: float, unit: UnitConfig) -> list[str]:
    if needed_ms <= unit.panel.window_ms:
        return []
    return [
        f"the panel's window of {unit.panel.window_ms} ms is too short: {needed_ms:g} ms needed "
        f"(the generator's timer and {WINDOW_MARGIN_MS} ms); raise mA or lower mAs"
    ]


def _heat_problems(
    before_j: float, load_j: float, tube: TubeConfig, doubt: str | None
) -> list[str]:
    if before_j + load_j <= tube.heat_max_j:
        return []
    if load_j >= tube.heat_max_j:
        return [f"energy = {load_j:g} J is above the tube's {tube.heat_max_j:g} J, even when cold"]
    wait_s = tube.cooling_tau_s * math.log(before_j / (tube.heat_max_j - load_j))
    wait = f"wait {math.ceil(wait_s)} s" + (f" ({doubt})" if doubt else "")
    return [f"heat = {before_j + load_j:g} J is above {tube.heat_max_j:g} J; {wait}"]


def _warnings(heat_after_j: float, tube: TubeConfig, doubt: str | None) -> tuple[str, ...]:
    return (*([doubt] if doubt else []), *heat_warning(heat_after_j, tube))


def heat_warning(heat_after_j: float, tube: TubeConfig) -> tuple[str, ...]:
    """SR-14: what is told before an exposure that the tube still bears."""
    share = heat_after_j / tube.heat_max_j
    return (f"tube heat reaches {share:.0%} of its limit",) if share > HEAT_WARN else ()


def _low_ceiling(technique: Technique) -> tuple[str, ...]:
    aec = technique.aec
    if aec is None or aec.backup_mas >= aec.expected_mas * BACKUP_PCT[0] / 100 / ROUNDING:
        return ()
    share = aec.backup_mas / aec.expected_mas
    return (f"the ceiling leaves a back-up of only {share:.0%} of the expected mAs",)


def _refuse_if(problems: list[str]) -> None:
    if problems:
        raise UsageError("\n".join(problems))
