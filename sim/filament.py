"""A filament: heating current, temperature, emission, and what space charge lets by.

Emission is Richardson's, A * T^2 * exp(-W / kT) with 60 A/(cm2 K2) and 4.5 eV; temperature goes
with the current to a power of 0.5 to 0.71; space charge caps the tube current at a share of kV^1.5,
and both are joined by 1 / I = 1 / emission + 1 / cap (qc-and-physics.md 2.7). No emission chart of
a real tube was available: each filament is set by one point that is ours (`sim/tubes/`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from sim.tube_data import TubeSheet

RICHARDSON_A_PER_CM2_K2 = 60.0
WORK_EV = 4.5
BOLTZMANN_EV_PER_K = 8.617333e-5
_WORK_K = WORK_EV / BOLTZMANN_EV_PER_K
ROOM_K = 295.0
SPACE_CHARGE_KV = 40.0  # at which a data sheet has its cap
UNKNOWN_MOST = 1.1  # of the point's current; the limit is to be 10-15 % above the need (2.7)
_NEWTON_STEPS = 8


def emission_a_per_cm2(temperature_k: float) -> float:
    """Of tungsten, without space charge."""
    return RICHARDSON_A_PER_CM2_K2 * temperature_k**2 * math.exp(-_WORK_K / temperature_k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filament:
    point_a: float  # at this current ...
    point_k: float  # ... it has this temperature
    point_ma: float  # ... and this emission
    exponent: float  # temperature goes with the current to this power
    tau_s: float
    standby_a: float
    cap_ma: float  # what space charge lets by at 40 kV
    most_a: float | None = None  # None: no limit is known

    def temperature_k(self, current_a: float) -> float:
        """That it comes to with this current, and never below the room's."""
        share = (max(0.0, current_a) / self.point_a) ** self.exponent
        return max(ROOM_K, self.point_k * float(share))

    def heated_k(self, from_k: float, current_a: float, span_s: float) -> float:
        """`span_s` after the current was set, from the temperature that it had then."""
        to_k = self.temperature_k(current_a)
        return to_k + (from_k - to_k) * math.exp(-span_s / self.tau_s)

    def emission_ma(self, temperature_k: float) -> float:
        share = emission_a_per_cm2(temperature_k) / emission_a_per_cm2(self.point_k)
        return self.point_ma * share

    def space_charge_ma(self, kv: float) -> float:
        return self.cap_ma * float((max(0.0, kv) / SPACE_CHARGE_KV) ** 1.5)

    def tube_ma(self, kv: float, temperature_k: float) -> float:
        emission_ma, cap_ma = self.emission_ma(temperature_k), self.space_charge_ma(kv)
        if not (emission_ma and cap_ma):
            return 0.0
        return 1 / (1 / emission_ma + 1 / cap_ma)

    @property
    def full_a(self) -> float:
        """What its driver gives at the most; without a known limit, a tenth above its point."""
        return self.point_a * UNKNOWN_MOST if self.most_a is None else self.most_a

    def current_a(self, kv: float, ma: float) -> float:
        """That gives `ma` at `kv`; infinite where space charge never lets it by."""
        return self.heating_a(self.needs_k(kv, ma)) if ma > 0.0 else 0.0

    def needs_k(self, kv: float, ma: float) -> float:
        """That gives `ma` at `kv`; infinite where space charge never lets it by."""
        cap_ma = self.space_charge_ma(kv)
        if ma <= 0.0:
            return ROOM_K
        return self._hot_k(1 / (1 / ma - 1 / cap_ma)) if ma < cap_ma else math.inf

    def heating_a(self, temperature_k: float) -> float:
        """That holds it at this temperature."""
        if math.isinf(temperature_k):
            return math.inf
        return float(self.point_a * (temperature_k / self.point_k) ** (1 / self.exponent))

    def shown_a(self, kv: float, ma: float) -> float:
        """As an ammeter has it: the standby's at least, and not beyond its limit."""
        most_a = math.inf if self.most_a is None else self.most_a
        shown_a = min(max(self.standby_a, self.current_a(kv, ma)), most_a)
        return shown_a if math.isfinite(shown_a) else self.standby_a

    def worn(self, thinner_pct: float) -> Filament:
        """Tungsten has evaporated: it is as hot with so much less current."""
        return replace(self, point_a=self.point_a * (1 - thinner_pct / 100))

    def _hot_k(self, emission_ma: float) -> float:
        """At which it emits so much: Newton on the logarithm, which is nearly straight in 1 / T."""
        wanted = math.log(emission_ma / self.point_ma) + _log_k(self.point_k)
        inverse = 1 / self.point_k
        for _ in range(_NEWTON_STEPS):
            slope = -2 / inverse - _WORK_K
            inverse -= (_log_k(1 / inverse) - wanted) / slope
        return 1 / inverse


def _log_k(temperature_k: float) -> float:
    """Of the emission, without its constant."""
    return 2 * math.log(temperature_k) - _WORK_K / temperature_k


def filament_of(sheet: TubeSheet, focus: str = "large") -> Filament:
    """Of the focus "large", or the only one; "small". Raises TubeError where the sheet has none."""
    small = "_small" if focus == "small" else ""
    return Filament(
        point_a=sheet[f"filament{small}_a"],
        point_k=sheet[f"filament{small}_k"],
        point_ma=sheet[f"filament{small}_ma"],
        exponent=sheet["filament_exponent"],
        tau_s=sheet["filament_tau_s"],
        standby_a=sheet[f"filament{small}_standby_a"],
        cap_ma=sheet[f"space_charge{small}_40kv_ma"],
        most_a=sheet.get(f"filament{small}_max_a"),
    )


def filaments_of(sheet: TubeSheet) -> dict[bool, Filament]:
    """By whether the small focus is asked for; a tube with one filament takes it for both."""
    large = filament_of(sheet)
    return {
        False: large,
        True: filament_of(sheet, "small") if "filament_small_a" in sheet else large,
    }
