"""A battery monoblock of the IXS class: ramps, own timer, watchdog, interlock, arcs, heat.

Ratings follow SPC-P366 R4 (protocols.md 2.6); ramp, fall, oil heating and what happens
where the document is silent are choices of this simulator. Everything is a segment
evaluated from its start; `advance` is called at the model's own events only.
"""

from __future__ import annotations

import math
import random

from hal.now import NEVER_US, Now
from hal.ports import GeneratorReading
from sim.battery import Battery
from sim.beamline import BeamCourse

RAMP_US = 150_000  # the document says "< 0.5 s"
FALL_US = 4_000
WATCHDOG_US = 5_000_000  # power-up default
ARC_WARNING_US = 10_000_000
ARCS_TO_LATCH = 4
OIL_LIMIT_C, COLD_LIMIT_C = 60.0, 5.0
OIL_J_PER_C, OIL_TAU_S = 4_000.0, 1_800.0
LATCHING = frozenset(
    {"over_voltage", "power_limit", "over_current", "over_temperature", "regulation", "battery_low"}
)


class MonoblockModel:
    """Physics and timers behind the IXS protocol; the Desk owns bytes and reply delays."""

    model_number = "IXS120BP120P366"
    serial_number = "S17085-A00001"

    def __init__(self, *, seed: int = 1, ambient_c: float = 22.0, ramp_us: int = RAMP_US) -> None:
        self.battery = Battery()
        self.courses: list[BeamCourse] = []  # every beam since power-up: the simulator's integral
        self.beam_changed = False  # read and cleared by the world
        self._noise = random.Random(f"monoblock-{seed}")
        self._ambient_c, self._oil_c, self._oil_us = ambient_c, ambient_c, 0
        self._ramp_us = ramp_us
        self._kv, self._ma = 0.0, 0.0
        self._time_us: int | None = None  # None = continuous, the power-up default
        self._prewarning_us = 0
        self._prewarning_end_us: int | None = None
        self._watchdog_on, self._watchdog_us = True, WATCHDOG_US
        self._fed_us = 0
        self._supply, self._interlock = False, False
        self._latched: set[str] = set()
        self._arcs_us: list[int] = []
        self._on_s = 0.0
        self._timer_end_us: int | None = None
        # faults that a scenario may plant; absent names raise AttributeError (__slots__ of sorts)
        self.refuse_start = False
        self.ignore_off = False
        self.timer_dead = False
        self.ma_factor = 1.0
        self.kv_factor = 1.0

    # --- set-points

    def set_kv(self, t_us: int, kv: float) -> None:
        self._kv = kv

    def set_ma(self, t_us: int, ma: float) -> None:
        self._ma = ma

    def set_time_us(self, t_us: int, time_us: int | None) -> None:
        self._time_us = time_us

    def set_prewarning_us(self, t_us: int, prewarning_us: int) -> None:
        self._prewarning_us = prewarning_us

    def prewarning_us(self) -> int:
        return self._prewarning_us

    def in_prewarning(self, t_us: int) -> bool:
        return self._prewarning_end_us is not None

    def ramp_us(self) -> int:
        return self._ramp_us

    # --- the beam

    def start(self, t_us: int) -> bool:
        if self.beam_on(t_us):
            return True
        if not self._may_start(t_us):
            return False
        if self._prewarning_us:
            self._prewarning_end_us = t_us + self._prewarning_us
            return False
        self._begin(t_us)
        return True

    def _may_start(self, t_us: int) -> bool:
        return (
            self._supply
            and self._interlock
            and not self._latched
            and not self.refuse_start
            and self._kv > 0
            and self._ma > 0
        )

    def _begin(self, t_us: int) -> None:
        course = BeamCourse(
            on_us=t_us,
            kv=self._kv * self.kv_factor,
            ma=self._ma * self.ma_factor,
            ramp_us=self._ramp_us,
            fall_us=FALL_US,
        )
        self.courses.append(course)
        self.beam_changed = True
        has_timer = self._time_us is not None and not self.timer_dead
        self._timer_end_us = t_us + (self._time_us or 0) if has_timer else None

    def stop(self, t_us: int) -> None:
        self._prewarning_end_us = None
        if not self.ignore_off:
            self._end(t_us)

    def _end(self, t_us: int) -> None:
        if not self.beam_on(t_us):
            return
        course = self.courses[-1]
        course.off_us = t_us
        self.beam_changed = True
        self._timer_end_us = None
        seconds = (t_us - course.on_us) / 1e6
        energy_j = course.kv * course.charge_mas(course.on_us, t_us + FALL_US)
        self._on_s += seconds
        self._oil_c = self._oil_at(t_us) + energy_j / OIL_J_PER_C
        self._oil_us = t_us
        self.battery.take(energy_j / 0.7)

    def beam_on(self, t_us: int) -> bool:
        return bool(self.courses) and self.courses[-1].off_us is None

    # --- wiring

    def set_interlock(self, t_us: int, closed: bool) -> None:
        """J3-7 / J3-8. Opening during the beam ends it in hardware and latches bit 8."""
        if self._interlock and not closed and self.beam_on(t_us):
            self._latched.add("interlock_open")
            self._end(t_us)
        self._interlock = closed

    def set_supply(self, t_us: int, closed: bool) -> None:
        if not closed:
            self._end(t_us)
        self._supply = closed

    # --- faults

    def arc(self, t_us: int) -> None:
        """One arc: a warning for 10 s; four within 10 s latch and end the beam (2.4, bit 4)."""
        recent = [at_us for at_us in self._arcs_us if t_us - at_us < ARC_WARNING_US]
        self._arcs_us = [*recent, t_us]
        if len(self._arcs_us) >= ARCS_TO_LATCH:
            self.trip(t_us, "arc")

    def trip(self, t_us: int, bit: str) -> None:
        self._latched.add(bit)
        self._end(t_us)

    def fault_bits(self, t_us: int) -> frozenset[str]:
        bits = set(self._latched)
        if not self._interlock:
            bits.add("interlock_open")
        if any(t_us - at_us < ARC_WARNING_US for at_us in self._arcs_us):
            bits.add("arc")
        if self._oil_at(t_us) < COLD_LIMIT_C:
            bits.add("under_temperature")
        return frozenset(bits)

    def clear_faults(self, t_us: int) -> None:
        if self._oil_at(t_us) < OIL_LIMIT_C:
            self._latched.discard("over_temperature")
        self._latched &= {"over_temperature"}
        self._arcs_us = []

    # --- watchdog

    def command_seen(self, t_us: int) -> None:
        self._fed_us = t_us

    def set_watchdog(self, t_us: int, *, on: bool, limit_us: int | None = None) -> None:
        self._watchdog_on = on
        if limit_us is not None:
            self._watchdog_us = limit_us

    def watchdog_on(self) -> bool:
        return self._watchdog_on

    # --- time

    def advance(self, now: Now) -> None:
        if self._prewarning_end_us is not None and now.reached(self._prewarning_end_us):
            self._prewarning_end_us = None
            if self._may_start(now.t_us):
                self._begin(now.t_us)
        if not self.beam_on(now.t_us):
            return
        if now.reached(self._hot_us()):
            self.trip(now.t_us, "over_temperature")
        if self._timer_end_us is not None and now.reached(self._timer_end_us):
            self._end(now.t_us)
        if self._watchdog_on and now.reached(self._fed_us + self._watchdog_us):
            self._end(now.t_us)

    def _hot_us(self) -> int:
        """When the oil would reach its limit if the beam went on (cooling neglected)."""
        course = self.courses[-1]
        power_w = course.kv * course.ma
        if power_w <= 0:
            return NEVER_US
        room_j = (OIL_LIMIT_C - self._oil_at(course.on_us)) * OIL_J_PER_C
        return course.on_us + round(max(0.0, room_j) / power_w * 1e6)

    def _oil_at(self, t_us: int) -> float:
        age_s = (t_us - self._oil_us) / 1e6
        return self._ambient_c + (self._oil_c - self._ambient_c) * math.exp(-age_s / OIL_TAU_S)

    # --- what it shows, and what really was

    def reading(self, t_us: int) -> GeneratorReading:
        course = self.courses[-1] if self.courses else None
        level = course.level(t_us) if course else 0.0
        kv = course.kv * level if course else 0.0
        ma = course.ma * level if course else 0.0
        return GeneratorReading(
            kv=max(0.0, kv / self.kv_factor * (1 + 0.002 * self._noise.gauss(0, 1))),
            ma=max(0.0, ma * (1 + 0.002 * self._noise.gauss(0, 1))),
            oil_c=self._oil_at(t_us),
            filament_a=1.55 + 0.3 * ma,
            battery_v=self.battery.volts(kv * ma / 0.7),
        )

    def on_time_s(self) -> float:
        return self._on_s

    def exposure(self, from_us: int, to_us: int) -> tuple[float, float]:
        """(mAs, kV) that really were between the two times: the simulator's own integral."""
        charges = [(c.charge_mas(from_us, to_us), c.kv) for c in self.courses]
        mas = sum(charge for charge, _ in charges)
        kv = max((kv for charge, kv in charges if charge > 0), default=0.0)
        return mas, kv
