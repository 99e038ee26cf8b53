"""What a meter may measure, and the units that files write it in.

Inside dxrig a quantity has one unit, the one in its name; whatever a file writes becomes that here.
mR are turned into air kerma by 8.76 uGy: 100 mR are 0.88 mGy in the reference (R9-7-605, computed),
and the third digit is of the constant 33.97 J/C, from memory [M].
"""

from __future__ import annotations

from typing import NamedTuple


class Quantity(NamedTuple):
    name: str
    word: str  # for people
    unit: str  # inside, and for people
    scales: dict[str, float]  # unit in a file -> times this


MR_UGY = 8.76
_ROWS = (
    Quantity("kv", "kV", "kV", {"kV": 1.0, "V": 1e-3}),
    Quantity(
        "dose_ugy",
        "dose",
        "uGy",
        {"uGy": 1.0, "nGy": 1e-3, "mGy": 1e3, "Gy": 1e6, "mR": MR_UGY, "R": 1e3 * MR_UGY},
    ),
    Quantity(
        "dose_rate_ugy_s",
        "dose rate",
        "uGy/s",
        {
            "uGy/s": 1.0,
            "mGy/s": 1e3,
            "Gy/s": 1e6,
            "mGy/min": 1e3 / 60,
            "mGy/h": 1e3 / 3600,
            "mR/s": MR_UGY,
            "R/min": 1e3 * MR_UGY / 60,
        },
    ),
    Quantity("time_ms", "time", "ms", {"ms": 1.0, "s": 1e3, "us": 1e-3}),
    Quantity("hvl_mm", "HVL", "mm Al", {"mm": 1.0, "cm": 10.0, "um": 1e-3}),
    Quantity("filtration_mm", "filtration", "mm Al", {"mm": 1.0, "cm": 10.0}),
    Quantity("added_al_mm", "added Al", "mm Al", {"mm": 1.0, "cm": 10.0}),
    Quantity("ma", "mA", "mA", {"mA": 1.0, "A": 1e3, "uA": 1e-3}),
    Quantity("mas", "mAs", "mAs", {"mAs": 1.0, "As": 1e3, "uAs": 1e-3}),
    Quantity("pulses_count", "pulses", "", {"": 1.0}),
)
QUANTITIES = {quantity.name: quantity for quantity in _ROWS}
UNCERTAIN = tuple(name for name in QUANTITIES if name not in ("added_al_mm", "pulses_count"))
