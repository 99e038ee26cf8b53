"""What feeds a simulated generator, as numbers: volts over charge, charging, exposures."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import Any

from sim.battery import Battery
from sim.capacitors import CapacitorBank
from sim.drive_battery import DriveBattery

POINTS = 101


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    about: str
    kind: type[Battery]
    kv: float  # of the exposure that is reckoned with where none is given: a large one of its unit
    ma: float
    mas: float


SUPPLIES = {
    "monoblock": Supply(
        about="LiFePO4 pack of the IXS portable", kind=Battery, kv=120.0, ma=1.0, mas=1.0
    ),
    "mobile": Supply(
        about="battery of the mobile unit, told by one of its ten blocks",
        kind=DriveBattery, kv=80.0, ma=400.0, mas=100.0,
    ),
    "capacitors": Supply(
        about="bank of capacitors on an ordinary socket", kind=CapacitorBank,
        kv=80.0, ma=400.0, mas=100.0,
    ),
}  # fmt: skip


def listed() -> list[dict[str, Any]]:
    return [_facts(name) for name in SUPPLIES]


def curves(name: str, kv: float | None, ma: float | None, mas: float | None) -> dict[str, Any]:
    """Of a full supply and that exposure; what is not given is the supply's own."""
    own = SUPPLIES[name]
    kv, ma, mas = kv or own.kv, ma or own.ma, mas or own.mas
    return _facts(name) | {
        "exposure": _exposure(own.kind, kv, ma, mas),
        "volts": _volts(own.kind, kv * ma),
        "charging": _charging(own.kind),
    }


def _facts(name: str) -> dict[str, Any]:
    supply = SUPPLIES[name].kind(1.0)
    gain_w = -supply.rest_w(on=True, lead=True, in_beam=False)
    return {
        "supply": name,
        "about": SUPPLIES[name].about,
        "stored_j": supply.capacity_j,
        "tube_j": supply.capacity_j * supply.efficiency,
        "full_v": supply.volts(0.0),
        "standby_w": max(0.0, supply.rest_w(on=True, lead=False, in_beam=False)),
        "charging_w": gain_w,  # what is left of the charger beside the standby
        "charger_w": gain_w + (supply.standby_w if supply.is_pack else 0.0),
        "full_after_s": supply.capacity_j / gain_w,
    }


def _exposure(kind: type[Battery], kv: float, ma: float, mas: float) -> dict[str, Any]:
    full = kind(1.0)
    load_w, taken_j = kv * ma / full.efficiency, kv * mas / full.efficiency
    gain_w = -full.rest_w(on=True, lead=True, in_beam=False)
    fit = range(int(full.lasts_j(load_w) / taken_j))
    short = lambda index: full.short_j(kv * mas, index * taken_j) > 0.0  # noqa: E731
    count = bisect_left(fit, True, key=short)
    # In tenths of a percent, the charge from which on it is begun and not ended at once.
    begun = lambda mille: _gives(kind(mille / 1000), load_w, kv * mas)  # noqa: E731
    least = bisect_left(range(1001), True, key=begun)
    return {
        "kv": kv, "ma": ma, "mas": mas, "tube_j": kv * mas, "from_full_count": count,
        "refused_below_pct": least / 10 if least <= 1000 else None,  # None: at any charge
        "recharge_s": taken_j / gain_w if count else None,
        "rest_v": full.volts(0.0), "loaded_v": full.volts(load_w),
        "after_v": full.volts(0.0, taken_j) if count else None,
    }  # fmt: skip


def _gives(supply: Battery, load_w: float, tube_j: float) -> bool:
    return supply.lasts_j(load_w) > 0.0 and supply.short_j(tube_j, 0.0) == 0.0


def _volts(kind: type[Battery], tube_w: float) -> dict[str, Any]:
    supplies = [kind(index / (POINTS - 1)) for index in range(POINTS)]
    load_w = tube_w / supplies[0].efficiency
    return {
        "tube_w": tube_w,
        "charge_pct": [100 * supply.charge for supply in supplies],
        "rest_v": [supply.volts(0.0) for supply in supplies],
        "loaded_v": [supply.volts(load_w) for supply in supplies],
    }


def _charging(kind: type[Battery]) -> dict[str, Any]:
    empty = kind(0.0)
    rest_w = empty.rest_w(on=True, lead=True, in_beam=False)
    most_s = 1.1 * empty.capacity_j / -rest_w
    times_s = [most_s * index / (POINTS - 1) for index in range(POINTS)]
    return {
        "time_s": times_s,
        "charge_pct": [100 * empty.left(rest_w * time_s) for time_s in times_s],
    }
