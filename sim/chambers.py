"""Three chambers before a panel, and the circuit that ends a beam by them: plain, and synthetic.

A chamber's signal is the kerma rate at the panel, times what the patient lets through where it
stands, times its own response. At constant kV it is proportional to the charge, so a beam ends at
a charge that stands in closed form: where the mean of the chosen chambers reaches the cut-off.
What the circuit needs to act comes on top (`response_us`), and is what makes the shortest beam.

Left out, for a later model: kV that moves in the beam, leakage and saturation of the chambers,
scatter, the grid, chambers that lie beside the patient in part.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from hal.ports import AecChoice
from sim import beam, phantom
from sim.arrival import Arrival
from sim.condition import AS_NEW, Condition
from sim.filtration import SimFilter
from sim.injection import Injection, fresh

# Their middles at the panel, in mm from its own (synthetic), and half the side of a square one.
PLACES_MM = {"left": (-60.0, -40.0), "centre": (0.0, 50.0), "right": (60.0, -40.0)}
HALF_MM = 20.0
PITCH_MM = 2.0  # of the grid that a patient is looked at with
NOISE = (0.25, 4.0)  # a noisy chamber's signal is off by a factor between these

_WORDS = ("", *PLACES_MM)
INJECTIONS = {
    "chamber_dead": Injection("this chamber gives no signal; all: none does (F18)", "",
                              words=(*_WORDS, "all")),
    "chamber_stuck_high": Injection("this chamber's signal is at its end at once (F18)", "",
                                    words=_WORDS),
    "chamber_noisy": Injection("its signal is off by another factor in each beam (F18)", "",
                               words=_WORDS),
    "chamber_wrong": Injection("the generator listens to this chamber, whichever is chosen (F18)",
                               "", words=_WORDS),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ChamberSetting:
    """What a bench file says of its chambers."""

    chambers: tuple[str, ...]
    cutoffs_ugy: Mapping[int, float]  # by sensitivity, at density 0
    density_most_index: int
    density_pct: float  # of each step
    response_us: int
    sid_mm: float


class Chambers:
    """The names of INJECTIONS are attributes that a scenario may set."""

    chamber_dead: str
    chamber_stuck_high: str
    chamber_noisy: str
    chamber_wrong: str

    def __init__(
        self,
        setting: ChamberSetting,
        patient: Callable[[], str],
        *,
        seed: int = 1,
        sid_mm: Callable[[], float] | None = None,
        tube_filter: SimFilter | None = None,
    ) -> None:
        """`patient`: the name of the phantom that the beam meets now; `sid_mm`: where the tube
        stands now, left out: where the setting has it. `tube_filter`: left out, any tube's."""
        self.setting, self._filter = setting, tube_filter or SimFilter()
        self._sid_mm = sid_mm or (lambda: setting.sid_mm)
        self._patient, self._seed = patient, seed
        fresh(self, INJECTIONS)

    def refused(self, choice: AecChoice) -> str:
        """What it has not: "chambers", "sensitivity", "density"; "" if it has all."""
        own = self.setting
        checks = (
            (bool(choice.chambers) and set(choice.chambers) <= set(own.chambers), "chambers"),
            (choice.sensitivity_index in own.cutoffs_ugy, "sensitivity"),
            (abs(choice.density_index) <= own.density_most_index, "density"),
        )
        return next((name for has, name in checks if not has), "")

    def cutoff_ugy(self, choice: AecChoice) -> float:
        step = 1 + self.setting.density_pct / 100
        return self.setting.cutoffs_ugy[choice.sensitivity_index] * step**choice.density_index

    def charge_mas(
        self, choice: AecChoice, kv: float, beam_number: int, condition: Condition = AS_NEW
    ) -> float:
        """At which the beam is ended; infinite: never."""
        names = (self.chamber_wrong,) if self.chamber_wrong else choice.chambers
        signals = [self._signal_ugy(name, kv, beam_number, condition) for name in names]
        mean_ugy = sum(signals) / len(signals)  # of one mAs
        return self.cutoff_ugy(choice) / mean_ugy if mean_ugy > 0 else math.inf

    def _signal_ugy(
        self, name: str, kv: float, beam_number: int, condition: Condition = AS_NEW
    ) -> float:
        """What one mAs makes of it."""
        if self.chamber_stuck_high == name:
            return math.inf
        if self.chamber_dead in (name, "all"):
            return 0.0
        aluminium_mm = self._filter.aluminium_mm
        open_ugy = beam.kerma_ugy(
            kv, 1.0, self._sid_mm(), aluminium_mm=aluminium_mm, condition=condition
        )
        if not open_ugy:
            return 0.0
        signal_ugy = open_ugy * let_through(
            self._patient(), name, round(kv, 3), aluminium_mm, condition
        )
        if self.chamber_noisy == name:
            dice = random.Random(f"chamber-{self._seed}-{name}-{beam_number}")
            low, high = (math.log(limit) for limit in NOISE)
            signal_ugy *= math.exp(dice.uniform(low, high))
        return signal_ugy


@cache
def let_through(
    phantom_name: str,
    chamber: str,
    kv: float,
    aluminium_mm: float = beam.INHERENT_MM_AL,
    condition: Condition = AS_NEW,
) -> float:
    """The part of the kerma that reaches this chamber, as the mean over its face."""
    columns, rows = (round(size / PITCH_MM) for size in phantom.FIELD_MM)
    x_mm, y_mm = PLACES_MM[chamber]
    across = slice(*(_index(x_mm + off, columns) for off in (-HALF_MM, HALF_MM)))
    down = slice(*(_index(y_mm + off, rows) for off in (-HALF_MM, HALF_MM)))
    part = _before_chambers().share(
        phantom_name,
        phantom.FIELD_MM,
        lambda maps: beam.transmission(
            kv, maps, aluminium_mm=aluminium_mm, condition=condition, every_energy=True
        ),
        only=(down, across),
    )
    return 1.0 if part is None else float(part.mean())


@cache
def _before_chambers() -> Arrival:
    """The hand's field, looked at in steps of 2 mm."""
    columns, rows = (round(size / PITCH_MM) for size in phantom.FIELD_MM)
    return Arrival(rows, columns, PITCH_MM)


def _index(at_mm: float, count: int) -> int:
    return round(at_mm / PITCH_MM + count / 2)
