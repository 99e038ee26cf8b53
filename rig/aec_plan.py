"""An automatic exposure as the options mean it: what is expected, and where it ends at the latest.

The expected mAs are the bench's table for the patient that is planned for, or what was typed. They
end nothing: the generator's chambers do. The back-up that follows from them does, if these don't.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from firmware_py.bounds import aec_data
from firmware_py.config import AecConfig, UnitConfig
from firmware_py.decide import aec as rules
from hal.ports import GeneratorCapabilities
from hal.types import CHAMBERS, AecData, AecSetting, Shot, Technique
from rig.config_errors import suggestion
from rig.distance import inverse_square
from rig.exit_codes import UsageError

ALL = "all"
LATE_SHARE = 0.05  # ours: of the dose, that the chambers' circuit may add by its response
ROUNDING = 1.001  # mA and mAs in the generator's steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was typed; None: the bench's own."""

    chambers: str  # "centre", "left,right", "all"
    density_index: int = 0
    sensitivity_index: int | None = None
    expected_mas: float | None = None


def asked_for(
    chambers: str | None, density: int | None, sensitivity: int | None, expected_mas: float | None
) -> Asked | None:
    """None: no automatic exposure. Raises UsageError for an option that means nothing then."""
    if chambers is not None:
        return Asked(
            chambers=chambers,
            density_index=density or 0,
            sensitivity_index=sensitivity,
            expected_mas=expected_mas,
        )
    for name, value in (
        ("density", density), ("sensitivity", sensitivity), ("expected-mas", expected_mas),
    ):  # fmt: skip
        if value is not None:
            raise UsageError(f"--{name} goes with --aec: without it no chamber ends the beam")
    return None


def data_of(unit: UnitConfig, generator: GeneratorCapabilities) -> tuple[AecConfig, AecData]:
    """Raises UsageError with why this bench makes no automatic exposure."""
    if unit.aec is None:
        raise UsageError(f"aec: bench {unit.name} has no chambers (no [aec] in its file)")
    data = aec_data(unit, generator)
    if data is None:
        raise UsageError(f"aec: the generator of bench {unit.name} ends no beam by chambers")
    return unit.aec, data


def setting_for(
    unit: UnitConfig,
    generator: GeneratorCapabilities,
    kv: float,
    asked: Asked,
    sid_mm: float | None = None,
) -> AecSetting:
    """`sid_mm`: of this exposure; the table is of the bench's own distance.

    Raises UsageError with what is wrong and what there is.
    """
    own, data = data_of(unit, generator)
    sensitivity_index = asked.sensitivity_index
    if sensitivity_index is None:
        sensitivity_index = data.sensitivities_index[0]
    if sensitivity_index not in data.sensitivities_index:
        there_are = ", ".join(map(str, data.sensitivities_index))
        raise UsageError(f"sensitivity = {sensitivity_index}: this bench has {there_are}")
    if not (math.isfinite(kv) and kv > 0):
        raise UsageError(f"kvp must be a positive number, got {kv!r}")
    expected_mas = asked.expected_mas
    if expected_mas is None:
        expected_mas = expected(own, kv, asked.density_index, sensitivity_index)
        expected_mas = round(expected_mas * inverse_square(unit, sid_mm), 3)
    if not (math.isfinite(expected_mas) and expected_mas > 0):
        raise UsageError(f"expected-mas must be a positive number, got {expected_mas!r}")
    return AecSetting(
        chambers=_chambers(asked.chambers, data),
        density_index=asked.density_index,
        sensitivity_index=sensitivity_index,
        expected_mas=expected_mas,
        backup_mas=rules.backup_mas(kv, expected_mas, data),
    )


def expected(own: AecConfig, kv: float, density_index: int, sensitivity_index: int) -> float:
    """mAs by the bench's table, for this cut-off dose; beyond its ends the last one counts."""
    dose = cutoff_ugy(own, density_index, sensitivity_index) / own.cutoffs_ugy[0][1]
    return round(_between(own.expected_mas, kv) * dose, 3)


def cutoff_ugy(own: AecConfig, density_index: int, sensitivity_index: int) -> float:
    """The kerma at the panel at which the chambers shall end the beam."""
    cutoffs_ugy = {int(number): value_ugy for number, value_ugy in own.cutoffs_ugy}
    step = 1 + own.density_pct / 100
    return float(cutoffs_ugy[sensitivity_index] * step**density_index)


def expected_ms(technique: Technique) -> float:
    return 1e3 * technique.expected_mas / technique.ma


def brisk_ma(own: AecConfig, expected_mas: float) -> float:
    """The highest mA at which the circuit's response adds no more than LATE_SHARE to the dose."""
    return math.floor(10 * 1e3 * expected_mas * LATE_SHARE / own.response_ms) / 10


def late_words(unit: UnitConfig, technique: Technique) -> tuple[str, ...]:
    """What the circuit's response makes of a beam that is short for it: () or one sentence."""
    own = unit.aec
    if own is None or technique.aec is None:
        return ()
    in_ms = expected_ms(technique)
    late_share = own.response_ms / in_ms
    if late_share <= LATE_SHARE * ROUNDING:
        return ()
    told = (
        f"expected in {in_ms:.3g} ms, and the chambers need {own.response_ms:g} ms "
        f"to end a beam: {late_share:.0%} more dose than asked for"
    )
    return (told + ("; lower mA" if technique.ma > unit.tube.ma_min else ""),)


def _between(rows: Sequence[tuple[float, float]], kv: float) -> float:
    kv = min(max(kv, rows[0][0]), rows[-1][0])
    for (low_kv, low_mas), (high_kv, high_mas) in pairwise(rows):
        if kv <= high_kv:
            share = math.log(kv / low_kv) / math.log(high_kv / low_kv)
            return low_mas * math.exp(share * math.log(high_mas / low_mas))
    return rows[0][1]  # one row


def _chambers(typed: str, data: AecData) -> tuple[str, ...]:
    words = data.chambers if typed == ALL else typed.replace("+", ",").split(",")
    names = [word.strip() for word in words]
    for name in names:
        if name not in data.chambers:
            there = (*data.chambers, ALL)
            raise UsageError(f"no chamber '{name}' on this bench; {suggestion(name, there)}")
    return tuple(name for name in CHAMBERS if name in names)


def problems_of(
    unit: UnitConfig, generator: GeneratorCapabilities, technique: Technique
) -> tuple[str, ...]:
    """As the unit will judge the press."""
    if technique.aec is None:
        return ()
    shot = Shot(shot_id="", technique=technique, exam_id="", panel_id=unit.panel.panel_id)
    return rules.problems(shot, data_of(unit, generator)[1])


def cutoff_of(unit: UnitConfig, technique: Technique) -> float | None:
    """None: no automatic exposure."""
    aec = technique.aec
    if unit.aec is None or aec is None:
        return None
    return round(cutoff_ugy(unit.aec, aec.density_index, aec.sensitivity_index), 3)


def ceiling_of(
    unit: UnitConfig, generator: GeneratorCapabilities, technique: Technique
) -> tuple[float, str] | None:
    """(mAs, where it comes from); None: no automatic exposure."""
    if technique.aec is None:
        return None
    return rules.ceiling(technique.kv, data_of(unit, generator)[1])
