"""Energy rules of two portables, as their documents have them; the numbers are in duty_rules.toml.

Siemens' MOBILETT Plus keeps a memory of heat and takes READY away with hysteresis; GE's AMX-4+
has a table of the most mAs by kVp and lowers the mAs, never the kVp. A simulated generator keeps
one where its bench file says so (duty_guard.py).
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from hal.now import NEVER_US, Now

RULES = Path(__file__).parent / "duty_rules.toml"
MOST, LEAST = "kVp / mAs MAX", "kVp / mAs MIN"


@cache
def _rules() -> dict[str, dict[str, Any]]:
    return tomllib.loads(RULES.read_text(encoding="utf-8"))


def rule(unit: str, name: str) -> Any:
    return _rules()[unit][name]["value"]


# --- MOBILETT Plus: a memory of heat


@dataclass(frozen=True, slots=True, kw_only=True)
class HuMemory:
    """Joules of exposures, less 13 J at every 250 ms; from power-up on at 0, when it is empty."""

    load_j: float = 0.0
    at_us: int = 0
    was_ready: bool = True
    spent_j: tuple[tuple[int, float], ...] = ()  # (when, J) of those that count for the mean

    def after(self, t_us: int) -> HuMemory:
        """At that time, which is not before `at_us`, without an exposure in between."""
        every_us: int = 1000 * rule("mobilett-plus", "cool_every_ms")
        ticks = t_us // every_us - self.at_us // every_us
        left_j = max(0.0, self.load_j - ticks * rule("mobilett-plus", "cool_j"))
        ready = self.was_ready or left_j <= self._share_j("on_pct")
        return replace(self, load_j=left_j, at_us=t_us, was_ready=ready)

    def exposed(self, t_us: int, kv: float, mas: float) -> HuMemory:
        """An exposure ended then: kV times mAs are joules."""
        now, energy_j = self.after(t_us), kv * mas
        load_j = now.load_j + energy_j
        ready = now.was_ready and load_j < self._share_j("off_pct")
        spent_j = (*self._of_the_hour(t_us), (t_us, energy_j))
        return replace(now, load_j=load_j, was_ready=ready, spent_j=spent_j)

    def ready(self, t_us: int) -> bool:
        """Off at 80 % and more of the permissible load, on again at 67 % and less."""
        return self.after(t_us).was_ready

    def ready_us(self) -> int:
        """From when on it is ready, if nobody exposes."""
        if self.was_ready:
            return self.at_us
        every_us: int = 1000 * rule("mobilett-plus", "cool_every_ms")
        over_j = self.load_j - self._share_j("on_pct")
        ticks: int = math.ceil(over_j / rule("mobilett-plus", "cool_j"))
        return (self.at_us // every_us + ticks) * every_us

    def mean_w(self, t_us: int, more_j: float = 0.0) -> float:
        """Of the last hour, with a further exposure."""
        hour_j = sum(energy_j for _, energy_j in self._of_the_hour(t_us))
        return float((hour_j + more_j) / rule("mobilett-plus", "mean_over_s"))

    def mean_us(self, t_us: int, more_j: float) -> int:
        """From when on the mean allows so much more; now: `t_us`; more than an hour's: never."""
        hour_us: int = 1_000_000 * rule("mobilett-plus", "mean_over_s")
        room_j = rule("mobilett-plus", "mean_w") * rule("mobilett-plus", "mean_over_s") - more_j
        counted = self._of_the_hour(t_us)
        over_j = sum(energy_j for _, energy_j in counted) - room_j
        for when_us, energy_j in ((t_us - hour_us, 0.0), *counted):
            over_j -= energy_j
            if over_j <= 0.0:
                return when_us + hour_us
        return NEVER_US

    def refusal(self, t_us: int, kv: float, mas: float) -> str:
        """Why this exposure is not made; "": it is."""
        if not self.ready(t_us):
            load_pct = 100 * self.after(t_us).load_j / rule("mobilett-plus", "permissible_j")
            on_pct = rule("mobilett-plus", "on_pct")
            return f"heat memory: {load_pct:.0f} %, and READY comes back at {on_pct} %"
        mean_w, most_w = self.mean_w(t_us, kv * mas), rule("mobilett-plus", "mean_w")
        if mean_w > most_w:
            return f"mean power: {mean_w:.1f} W over an hour, and {most_w} W is the most"
        return ""

    def _of_the_hour(self, t_us: int) -> tuple[tuple[int, float], ...]:
        now, hour_us = Now(t_us), 1_000_000 * rule("mobilett-plus", "mean_over_s")
        return tuple(beam for beam in self.spent_j if not now.reached(beam[0] + hour_us))

    @staticmethod
    def _share_j(name: str) -> float:
        share: float = rule("mobilett-plus", name) / 100
        return share * float(rule("mobilett-plus", "permissible_j"))


# --- AMX-4+: the most mAs by kVp


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    kv: float
    mas: float
    message: str = ""  # that flashes at a limit


def amx_most_mas(kv: float) -> float:
    """Raises ValueError for a kVp that is no step."""
    _step("kVp", kv, rule("amx-4-plus", "kv_steps"))
    bands = rule("amx-4-plus", "most_mas")
    return float(next(most for least_kv, most_kv, most in bands if least_kv <= kv <= most_kv))


def amx_band_mas(kv: float) -> float:
    """For any kVp: between the bands of the table the stricter, beyond it its ends."""
    bands = rule("amx-4-plus", "most_mas")
    return float(next((most for _, most_kv, most in bands if kv <= most_kv), bands[-1][2]))


def amx_chosen(kv: float, mas: float) -> Chosen:
    """What the unit makes of a choice: kVp has priority, mAs is lowered to what it allows.

    Raises ValueError for what is no step.
    """
    most_mas = amx_most_mas(kv)
    _step("mAs", mas, rule("amx-4-plus", "mas_steps"))
    at_least = mas == rule("amx-4-plus", "mas_steps")[0]
    message = MOST if mas >= most_mas else LEAST if at_least else ""
    return Chosen(kv=kv, mas=min(mas, most_mas), message=message)


def _step(what: str, value: float, steps: Sequence[float]) -> None:
    if value not in steps:
        nearest = min(steps, key=lambda step: abs(step - value))
        raise ValueError(
            f"{what} = {value:g}: {len(steps)} steps from {steps[0]:g} to {steps[-1]:g}; "
            f"the nearest is {nearest:g}"
        )
