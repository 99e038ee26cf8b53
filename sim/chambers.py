"""Three chambers before a panel, and the circuit that ends a beam by them: plain, and synthetic.

A chamber's signal is the kerma rate at the panel, times what arrives where it stands: past the
blades, through the patient, with his scatter, and through the grid, which stands before it, as
the room's optics have them. At constant kV it is proportional to the charge, so a beam ends at
a charge that stands in closed form: where the mean of the chosen chambers reaches the cut-off.
What the circuit needs to act comes on top (`response_us`), and is what makes the shortest beam.

Left out, for a later model: kV that moves in the beam, leakage and saturation of the chambers, and
their shadow on the panel.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from hal.ports import AecChoice
from sim import beam, phantom
from sim.arrival import Arrival
from sim.condition import AS_NEW, Condition
from sim.filtration import SimFilter
from sim.geometry import SimGeometry
from sim.injection import Injection, fresh
from sim.optics import PLAIN, Optics, pixel_middles_mm

# Their middles at the panel, in mm from its own (synthetic), and half the side of a square one.
PLACES_MM = {"left": (-60.0, -40.0), "centre": (0.0, 50.0), "right": (60.0, -40.0)}
HALF_MM = 20.0
PITCH_MM = 2.0  # of the points at which a patient is looked at
SIZE_PX = 180  # of them each way: what sends scatter, about as wide as a panel
KEPT_COUNT = 256  # of what was looked at
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
        geometry: SimGeometry | None = None,
        tube_filter: SimFilter | None = None,
    ) -> None:
        """`patient`: the name of the phantom that the beam meets now. Left out, the tube stands
        where the setting has it, and has any tube's filter."""
        self.setting, self._filter = setting, tube_filter or SimFilter()
        self._geometry = geometry or SimGeometry(sid_mm=setting.sid_mm, field_mm=phantom.FIELD_MM)
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
        sid_mm, optics = self._geometry.sid_mm, self._geometry.optics.now()
        open_ugy = beam.kerma_ugy(kv, 1.0, sid_mm, aluminium_mm=aluminium_mm, condition=condition)
        if not open_ugy:
            return 0.0
        signal_ugy = open_ugy * let_through(
            self._patient(), name, round(kv, 3), aluminium_mm, condition,
            field_mm=self._geometry.field_mm, optics=optics,
            sid_mm=1000.0 if optics == PLAIN else sid_mm,
        )  # fmt: skip
        if self.chamber_noisy == name:
            dice = random.Random(f"chamber-{self._seed}-{name}-{beam_number}")
            low, high = (math.log(limit) for limit in NOISE)
            signal_ugy *= math.exp(dice.uniform(low, high))
        return signal_ugy


@lru_cache(maxsize=KEPT_COUNT)
def let_through(
    phantom_name: str,
    chamber: str,
    kv: float,
    aluminium_mm: float = beam.INHERENT_MM_AL,
    condition: Condition = AS_NEW,
    *,
    field_mm: tuple[float, float] = phantom.FIELD_MM,
    optics: Optics = PLAIN,
    sid_mm: float = 1000.0,
) -> float:
    """The part of the open beam's kerma that reaches this chamber, as the mean over its face."""
    x_mm, y_mm = PLACES_MM[chamber]
    down, across = (
        slice(*(round((at_mm + off) / PITCH_MM) + SIZE_PX // 2 for off in (-HALF_MM, HALF_MM)))
        for at_mm in (y_mm, x_mm)
    )
    part = _before_chambers().share(
        phantom_name,
        field_mm,
        lambda maps: beam.transmission(
            kv, maps, aluminium_mm=aluminium_mm, condition=condition, every_energy=True
        ),
        replace(optics, grid_stands_still=False),  # many lines lie before one face
        sid_mm,
        only=(down, across),
    )
    if part is None:
        return 1.0
    if not optics.heel:
        return float(part.mean())
    at_mm = pixel_middles_mm(SIZE_PX, PITCH_MM)[down] * beam.REFERENCE_MM / sid_mm
    shaded = beam.heel(kv, at_mm, aluminium_mm=aluminium_mm, condition=condition)
    return float((part.mean(axis=1) * shaded).mean())


@cache
def _before_chambers() -> Arrival:
    return Arrival(SIZE_PX, SIZE_PX, PITCH_MM)
