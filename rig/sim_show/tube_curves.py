"""What is simulated of a tube, as numbers: facts, rating, cooling, emission. A curve that its
data sheet has not got the facts for is left out."""

from __future__ import annotations

import math
from typing import Any

from sim.filament import filaments_of
from sim.rating import foci_of
from sim.tube_data import FACTS, TubeSheet, shipped_tubes, tube_sheet
from sim.tube_heat import Heat, Store, TubeHeat, housing_of, tube_heat

RATING_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7,
            1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)  # fmt: skip
TOLD_S = (0.001, 0.01, 0.1, 0.5, 1.0, 5.0)  # of these a table tells
LEFT_PCT = (75, 50, 25, 10)
EMISSION_KV = (40.0, 60.0, 80.0, 120.0)
EMISSION_PCT = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 25.0,
                30.0, 40.0, 50.0, 60.0, 80.0, 100.0)  # fmt: skip  # of the most tube current
TOLD_PCT = (1.0, 2.5, 10.0, 25.0, 100.0)
KHU_PER_J = 1.35 / 1000  # only to be shown (qc-and-physics.md 2.1)
_COOLING_POINTS_COUNT = 121


def listed() -> list[dict[str, Any]]:
    """One row a tube that ships."""
    return [_row(tube_sheet(name)) for name in shipped_tubes()]


def _row(sheet: TubeSheet) -> dict[str, Any]:
    found = list(sheet.facts.values())
    return {
        "name": sheet.name,
        "maker": sheet.maker,
        "model": sheet.model,
        "anode": sheet.anode,
        **{name: sheet.get(name) for name in ("anode_heat_j", "large_w", "small_w", "kv_max")},
        "facts_count": len(found),
        "verified_count": sum(fact.verified for fact in found),
    }


def curves(sheet: TubeSheet, focus: str = "large") -> dict[str, Any]:
    """All of one tube, with the emission of that focus's filament.

    `rating`, `cooling` and `emission` are None where facts are missing.
    """
    return {
        "tube": sheet.name,
        "maker": sheet.maker,
        "model": sheet.model,
        "anode": sheet.anode,
        "document": sheet.document,
        "facts": [
            {
                "name": name,
                "about": FACTS[name][0],
                "value": fact.value,
                "mark": fact.mark,
                "verified": fact.verified,
                "source": fact.source,
            }
            for name, fact in sheet.facts.items()
        ],
        "rating": _rating(sheet),
        "cooling": _cooling(sheet),
        "emission": _emission(sheet, focus) if "filament_a" in sheet else None,
    }


def _rating(sheet: TubeSheet) -> dict[str, Any] | None:
    foci = foci_of(sheet)
    if not foci:
        return None
    return {
        "time_s": list(RATING_S),
        "foci": [
            {
                "name": focus.name,
                "size_mm": focus.size_mm,
                "most_kw": [focus.most_w(span_s) / 1e3 for span_s in RATING_S],
            }
            for focus in foci
        ],
    }


def _cooling(sheet: TubeSheet) -> dict[str, Any] | None:
    """From a full anode in a cold housing, until a tenth is left; and the housing from full.

    A sheet may know one of the two: of a housing alone the curve starts full.
    """
    anode = tube_heat(sheet).anode if "anode_heat_j" in sheet else None
    housing = housing_of(sheet)
    slowest = anode or housing
    if slowest is None:
        return None
    end_s = _minutes_to(slowest, 10) * 60
    times_s = [
        end_s * index / (_COOLING_POINTS_COUNT - 1) for index in range(_COOLING_POINTS_COUNT)
    ]
    return {
        "anode_full_j": anode and anode.full_j,
        "anode_cooling_w": anode and anode.cooling_w,
        "housing_full_j": housing and housing.full_j,
        "housing_cooling_w": housing and housing.cooling_w,
        "time_minutes": [at_s / 60 for at_s in times_s],
        "anode_pct": anode and [_left_pct(anode, at_s) for at_s in times_s],
        "housing_pct": _housing_pct(anode, housing, times_s),
        "anode_minutes_to_pct": anode
        and {str(left): _minutes_to(anode, left) for left in LEFT_PCT},
        "housing_minutes_to_pct": housing
        and {str(left): _minutes_to(housing, left) for left in LEFT_PCT},
    }


def _minutes_to(store: Store, left_pct: float) -> float:
    return store.reaches_s(store.full_j, store.full_j * left_pct / 100) / 60


def _left_pct(store: Store, at_s: float) -> float:
    return 100 * store.after(store.full_j, at_s) / store.full_j


def _housing_pct(
    anode: Store | None, housing: Store | None, times_s: list[float]
) -> list[float] | None:
    if housing is None:
        return None
    if anode is None:
        return [_left_pct(housing, at_s) for at_s in times_s]
    both, full = TubeHeat(anode=anode, housing=housing), Heat(anode_j=anode.full_j)
    return [100 * both.after(full, at_s).housing_j / housing.full_j for at_s in times_s]


def _emission(sheet: TubeSheet, focus: str) -> dict[str, Any] | None:
    """From a hundredth of the most tube current to it, at some kV that the tube can.

    None where the space charge lets that current pass at none of them. Of a small filament the
    most is its point's. `focus`: None where one filament is that of both.
    """
    filament = filaments_of(sheet)[focus == "small"]
    most_ma = sheet.get("ma_max") or filament.point_ma
    has_two = "filament_small_a" in sheet
    if has_two and focus == "small":
        most_ma = min(most_ma, filament.point_ma)
    least_kv, most_kv = sheet.get("kv_min") or 0.0, sheet.get("kv_max") or math.inf
    currents_ma = [most_ma * pct / 100 for pct in EMISSION_PCT]
    can_kv = [kv for kv in EMISSION_KV if least_kv <= kv <= most_kv] or [least_kv or most_kv]
    shown_kv = [kv for kv in can_kv if filament.space_charge_ma(kv) > most_ma]
    if not shown_kv:
        return None
    return {
        "focus": focus if has_two else None,
        "standby_a": filament.standby_a,
        "most_a": filament.most_a,
        "tube_ma": currents_ma,
        "curves": [
            {"kv": kv, "filament_a": [filament.current_a(kv, ma) for ma in currents_ma]}
            for kv in shown_kv
        ],
    }


def filament_most_ma(sheet: TubeSheet, kv: float, focus: str) -> float | None:
    """What the hottest filament gives at this kV; None: not in the sheet."""
    if "filament_a" not in sheet:
        return None
    filament = filaments_of(sheet)[focus == "small"]
    return filament.tube_ma(kv, filament.temperature_k(filament.full_a))
