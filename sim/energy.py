"""Where a generator's energy comes from and where it goes: battery and oil, in closed form.

A segment is one beam, or one pause with the fall of the beam before it. What a segment has put
into the tube and taken from the battery is evaluated from its start; `close` books both and begins
the next one.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from hal.now import NEVER_US, latest_us
from sim.battery import Battery
from sim.beamline import BeamCourse

OIL_LIMIT_C = 60.0
OIL_J_PER_C, OIL_TAU_S = 4_000.0, 1_800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Oil:
    limit_c: float = OIL_LIMIT_C
    j_per_c: float = OIL_J_PER_C
    tau_s: float = OIL_TAU_S


OIL = Oil()


class Energy:
    """Of the beams in `courses`, which the model goes on with."""

    def __init__(
        self, courses: Sequence[BeamCourse], battery: Battery, oil: Oil, ambient_c: float
    ) -> None:
        self.battery, self._oil = battery, oil
        self._courses = courses
        self._ambient_c, self._oil_c = ambient_c, ambient_c  # the oil: when this segment began
        self._segment_us = 0
        self._on = True
        self._lead = False

    def close(self, t_us: int) -> None:
        """A beam begins or ends, or something else counts from here on."""
        self._keep_heat(t_us)
        self.battery.take(self.taken_j(t_us))
        self._segment_us = t_us

    def follow(self, t_us: int, *, on: bool) -> None:
        """The device is switched on or off; and the charger's lead, as it is now."""
        lead = self.battery.charger_plugged
        if (on, lead) != (self._on, self._lead):
            self.close(t_us)
            self._on, self._lead = on, lead

    def spent_j(self, t_us: int) -> float:
        """Put into the tube since this segment began: kV x mAs, the ramp at full kV."""
        return self._courses[-1].energy_j(self._segment_us, t_us) if self._courses else 0.0

    def _in_beam(self) -> bool:
        return bool(self._courses) and self._courses[-1].off_us is None

    # --- heat

    def oil_c(self, t_us: int) -> float:
        """Warms by the energy, cools towards ambient between beams only."""
        warmed_c = self.spent_j(t_us) / self._oil.j_per_c
        if self._in_beam():
            return self._oil_c + warmed_c
        age_s = (t_us - self._segment_us) / 1e6
        left = math.exp(-age_s / self._oil.tau_s)
        return self._ambient_c + (self._oil_c - self._ambient_c) * left + warmed_c

    def _keep_heat(self, t_us: int) -> None:
        self._oil_c = self.oil_c(t_us)

    def hot_us(self, course: BeamCourse, t_us: int) -> int:
        """When this beam makes it too hot; too early is harmless, since it is asked again then."""
        left_c = self._oil.limit_c - self._oil_c
        return course.spends_us(self._before_j(course) + left_c * self._oil.j_per_c)

    def _before_j(self, course: BeamCourse) -> float:
        """What it had put into the tube when this segment began."""
        return course.energy_j(course.on_us, self._segment_us)

    # --- battery

    def taken_j(self, t_us: int) -> float:
        """From the battery since this segment began; less than 0: it was charged."""
        return self.spent_j(t_us) / self.battery.efficiency + self._rest_j(t_us)

    def _rest_j(self, t_us: int) -> float:
        """... for all but the tube."""
        return self._rest_w() * (t_us - self._segment_us) / 1e6

    def _rest_w(self) -> float:
        return self.battery.rest_w(on=self._on, lead=self._lead, in_beam=self._in_beam())

    def drained_us(self, course: BeamCourse) -> int:
        """Judged under full load, so from the end of the ramp on."""
        lasts_j = self.battery.lasts_j(self._load_w(course, NEVER_US))
        if math.isinf(lasts_j):
            return NEVER_US
        at_us = self._tube_drains_us(course, lasts_j)
        rest_j = self._rest_j(at_us)
        if rest_j > 0.0:
            at_us = self._takes_us(lasts_j, self._segment_us, at_us)
        elif rest_j < 0.0:  # a charger's lead is in
            at_us = self._takes_us(lasts_j, at_us, NEVER_US)
        return latest_us(at_us, course.on_us + course.ramp_us)

    def _takes_us(self, taken_j: float, from_us: int, to_us: int) -> int:
        """When so much has been taken in this segment; it is in between. It only grows."""
        times_us = range(from_us, to_us)
        return from_us + bisect_left(times_us, True, key=lambda t_us: self.taken_j(t_us) >= taken_j)

    def _tube_drains_us(self, course: BeamCourse, taken_j: float) -> int:
        """When the tube alone has taken so much in this segment."""
        return course.spends_us(self._before_j(course) + self.battery.efficiency * taken_j)

    def ready_us(self, t_us: int, wanted_j: float) -> int:
        """From when on it can give so much to the tube; now: `t_us`."""
        short_j, fed_w = self.battery.short_j(wanted_j, self.taken_j(t_us)), -self._rest_w()
        if short_j == 0.0:
            return t_us
        if fed_w <= 0.0 or math.isinf(short_j):
            return NEVER_US
        return t_us + math.ceil(short_j / fed_w * 1e6)

    def low_us(self, t_us: int) -> int:
        """When, if nobody exposes, the charge will have become too low; never, or it is."""
        rest_w = self._rest_w()
        left_j = self.battery.lasts_j(0.0) - self.taken_j(t_us)
        if rest_w <= 0.0 or left_j <= 0.0 or math.isinf(left_j):
            return NEVER_US
        return t_us + math.ceil(left_j / rest_w * 1e6)

    def volts(self, t_us: int) -> float:
        return self.battery.volts(self._load_now_w(t_us), self.taken_j(t_us))

    def is_low(self, t_us: int) -> bool:
        return self.battery.is_low(self._load_now_w(t_us), self.taken_j(t_us))

    def _load_now_w(self, t_us: int) -> float:
        course = self._courses[-1] if self._courses else None
        return self._load_w(course, t_us) * course.level(t_us) ** 2 if course else 0.0

    def _load_w(self, course: BeamCourse, t_us: int) -> float:
        return _full_power_w(course, t_us) / self.battery.efficiency

    def charge(self, t_us: int) -> float:
        """Of the battery, 0..1, with what this segment has taken."""
        return self.battery.left(self.taken_j(t_us))

    def charge_to(self, t_us: int, charge: float) -> None:
        """As a charger leaves it; ValueError beyond 0..1 and during a beam."""
        if not 0.0 <= charge <= 1.0:
            raise ValueError(f"charge = {charge:g}: must be 0 to 1")
        if self._in_beam():
            raise ValueError("the battery is not charged during a beam")
        self.close(t_us)  # what was taken so far was taken from the old charge
        self.battery.charge = charge

    def told_pct(self, t_us: int) -> float | None:
        """The charge as the battery's own meter has it; None: it has none."""
        told = self.battery.told(self.taken_j(t_us))
        return None if told is None else 100 * told


def _full_power_w(course: BeamCourse, t_us: int) -> float:
    """At full level, with the regulation of that moment."""
    ruling = course.regulation(t_us)
    kv = course.kv * course.condition.mean_share
    return kv * course.ma * (ruling.kv_pct * ruling.ma_pct / 1e4)
