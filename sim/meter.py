"""An independent multimeter in the open beam: kV, air kerma, time and HVL, and a clamp's mAs.

It lies on the axis at 1 m, in front of any phantom, belongs to nobody's bench file, and no fault
of the generator deceives it: what it shows is what there was, off by its own errors alone. They
are our choice: kV, kerma and HVL by chance 0.3 % from beam to beam, and no range, no angle, no
energy response. Its kV is the peak, whatever the ripple. It counts the time at 75 % of the highest
kV, as meters do; of a beam whose kV changes before its end, time and kerma are those of its mean.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from sim import beam
from sim.beamline import BeamCourse
from sim.injection import Injection, fresh

DISTANCE_MM = 1000.0
CHANCE = 0.003
AT_LEVEL = 0.75  # of kV: where time begins and ends
INJECTIONS = {
    "meter_kv_pct": Injection("its kV has drifted by this", 0.0, between=(-50.0, 50.0)),
    "meter_dose_pct": Injection("its kerma has drifted by this", 0.0, between=(-90.0, 100.0)),
    "meter_mas_pct": Injection("its clamp has drifted by this", 0.0, between=(-90.0, 100.0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterReading:
    on_us: int  # when the beam began, by the simulator's clock
    off_us: int
    kv: float
    kerma_ugy: float
    time_ms: float
    hvl_mm_al: float
    mas: float

    @property
    def output_ugy_per_mas(self) -> float:
        return self.kerma_ugy / self.mas if self.mas else 0.0


@dataclass(frozen=True, slots=True)
class _Beam:
    """And the meter as it was then."""

    course: BeamCourse
    aluminium_mm: float
    kv_pct: float
    dose_pct: float
    mas_pct: float


class SimMeter:
    meter_kv_pct: float
    meter_dose_pct: float
    meter_mas_pct: float

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        self._seen: list[_Beam] = []
        fresh(self, INJECTIONS)

    def follow(self, course: BeamCourse, aluminium_mm: float) -> None:
        """A beam has ended, behind this filter."""
        drifts = (self.meter_kv_pct, self.meter_dose_pct, self.meter_mas_pct)
        self._seen.append(_Beam(course, aluminium_mm, *drifts))

    def readings(self) -> list[MeterReading]:
        """Of every beam that has ended, with charge; the oldest first."""
        read = (self._read(number, one) for number, one in enumerate(self._seen))
        return [one for one in read if one.mas > 0.0]

    def _read(self, number: int, one: _Beam) -> MeterReading:
        course = one.course
        made: dict[str, Any] = {"aluminium_mm": one.aluminium_mm, "condition": course.condition}
        off_us = course.on_us if course.off_us is None else course.off_us
        end_us = off_us + course.fall_us
        kv, mas = course.peak_kv(course.on_us, end_us), course.charge_mas(course.on_us, end_us)
        light_mas = course.output * course.light_mas(course.on_us, end_us)
        kerma_ugy = beam.kerma_ugy(kv, light_mas, DISTANCE_MM, **made)
        dice = random.Random(f"meter-{self._seed}-{number}")
        kv_error, dose_error, hvl_error = (1 + CHANCE * dice.gauss(0, 1) for _ in range(3))
        return MeterReading(
            on_us=course.on_us,
            off_us=off_us,
            kv=kv * kv_error * (1 + one.kv_pct / 100),
            kerma_ugy=kerma_ugy * dose_error * (1 + one.dose_pct / 100),
            time_ms=_time_us(course, off_us) / 1000,
            hvl_mm_al=beam.hvl_mm_al(kv, **made) * hvl_error if kerma_ugy else 0.0,
            mas=mas * (1 + one.mas_pct / 100),
        )


def _time_us(course: BeamCourse, off_us: int) -> float:
    """Between the two moments at which kV passes AT_LEVEL; a regulation moves neither."""
    top = course.risen(off_us)
    rise_us = AT_LEVEL * top * course.ramp_us
    return max(0.0, off_us - course.on_us - rise_us) + (1 - AT_LEVEL) * course.fall_us
