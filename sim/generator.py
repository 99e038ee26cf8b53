"""A generator with its tube: ramps, own timer, watchdog, interlock, arcs, heat.

What kind it is stands in its `Ratings`: by default a battery monoblock of the IXS class, after
SPC-P366 R4 (protocols.md 2.4 to 2.6); sim/README.md lists what is synthetic.
Everything is a segment evaluated from its start; `advance` is called at the model's own
events only, and with the time of each: the world sees to that.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hal.generators.vj_ixs_wire import FAULT_BITS
from hal.now import NEVER_US, Now
from hal.ports import AecChoice, GeneratorReading
from sim.arcs import CLEANED, ArcChance
from sim.battery import EFFICIENCY, LOW_V, Battery, Mains
from sim.beamline import BeamCourse, Regulation
from sim.chambers import Chambers
from sim.filament import filament_of
from sim.generator_faults import INJECTIONS
from sim.injection import fresh
from sim.rotor import Rotor
from sim.tube_data import tube_sheet

RAMP_US = 150_000  # the document says "< 0.5 s"
RAMP_REPLY_US = 500_000  # ENBL1 is answered at the end of the ramp, and not later than this
FALL_US = 4_000
WATCHDOG_US = 5_000_000  # power-up default
ARC_WARNING_US = 10_000_000
ARCS_TO_LATCH = 4
OIL_LIMIT_C, COLD_LIMIT_C = 60.0, 5.0
OIL_J_PER_C, OIL_TAU_S = 4_000.0, 1_800.0
STRAY_KV, STRAY_MA = 40.0, 0.2  # a stray beam without set points
BITS = tuple(bit.name for bit in FAULT_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratings:
    """What tells one kind of generator from another."""

    model_number: str = "IXS120BP120P366"
    serial_number: str = "S17085-A00001"
    tube: str = "vj-ixs120"  # its data sheet: sim/tubes/
    ramp_us: int = RAMP_US
    ramp_reply_us: int = RAMP_REPLY_US
    fall_us: int = FALL_US
    watchdog_us: int | None = WATCHDOG_US  # None: it has none
    on_mains: bool = False  # False: a battery pack
    oil_limit_c: float = OIL_LIMIT_C
    oil_j_per_c: float = OIL_J_PER_C
    oil_tau_s: float = OIL_TAU_S


class MonoblockModel:
    """Physics and timers behind a generator's protocol; the Desk owns bytes and reply delays.

    The names of INJECTIONS are attributes that a scenario may set.
    """

    rotor: Rotor | None = None  # None: a stationary anode
    refuse_start: bool
    ignore_off: bool
    ignores_pair: bool
    stray_beam: bool
    timer_dead: bool
    watchdog_dead: bool
    kv_off_pct: float
    ma_off_pct: float
    filament_open: bool
    filament_thinner_pct: float
    gassy_tube: float
    worn_anode_pct: float
    output_drift_pct: float
    slow_rise_us: int | None
    slow_fall_us: int | None
    stuck_oil_c: float | None

    def __init__(
        self, *, seed: int = 1, ambient_c: float = 22.0, ratings: Ratings | None = None
    ) -> None:
        self.ratings = ratings or Ratings()
        self.model_number = self.ratings.model_number
        self.serial_number = self.ratings.serial_number
        self.battery: Battery = Mains() if self.ratings.on_mains else Battery()
        self.courses: list[BeamCourse] = []  # every beam since power-up: the simulator's integral
        self.chambers: Chambers | None = None  # those of the bench, where it has some
        self.beam_changed = False  # read and cleared by the world
        sheet = tube_sheet(self.ratings.tube)
        self._filament = filament_of(sheet)
        self._arc_chance = ArcChance(seed, sheet["kv_max"])
        self._arc_us: int | None = None  # when this beam arcs
        self.arcs_count = 0  # since it was built
        self._drifted = 1.0  # by `output_drift_pct`, up to the newest beam
        self._noise = random.Random(f"monoblock-{seed}")
        self._ambient_c, self._oil_c = ambient_c, ambient_c
        self._segment_us = 0  # since when there has been this beam, or this pause
        self._supply, self._interlock = False, False
        self._on_s = 0.0
        self._timer_end_us: int | None = None
        self._shown_kv = 0.0
        self.ma_factor: float
        self.kv_factor: float
        self.shunt_factor: float
        self.timer_off_pct: float
        fresh(self, INJECTIONS)
        self._power_up(0)

    def _power_up(self, t_us: int) -> None:
        """As the ICD gives it: continuous, watchdog on with 5 s, nothing set."""
        self._powered = True
        self._kv, self._ma = 0.0, 0.0
        self._time_us: int | None = None  # None = continuous
        self._charge_mas: float | None = None
        self._aec: AecChoice | None = None
        self._prewarning_us = 0
        self._prewarning_end_us: int | None = None
        limit_us = self.ratings.watchdog_us
        self._watchdog_on, self._watchdog_us = limit_us is not None, limit_us or WATCHDOG_US
        self._fed_us = t_us
        self._latched: set[str] = set()
        self._arcs_us: list[int] = []

    # --- set-points

    def set_kv(self, t_us: int, kv: float) -> None:
        self._kv = kv

    def set_ma(self, t_us: int, ma: float) -> None:
        self._ma = ma

    def set_time_us(self, t_us: int, time_us: int | None) -> None:
        self._time_us = time_us

    def set_charge_mas(self, t_us: int, mas: float | None) -> None:
        self._charge_mas = mas

    def aec_refused(self, choice: AecChoice) -> str:
        return "chambers" if self.chambers is None else self.chambers.refused(choice)

    def set_aec(self, t_us: int, choice: AecChoice | None) -> None:
        self._aec = choice

    def set_prewarning_us(self, t_us: int, prewarning_us: int) -> None:
        self._prewarning_us = prewarning_us

    def prewarning_us(self) -> int:
        return self._prewarning_us

    def in_prewarning(self, t_us: int) -> bool:
        return self._prewarning_end_us is not None

    def ramp_us(self) -> int:
        """Start -> its answer."""
        return min(self._rise_us(), self.ratings.ramp_reply_us)

    def _rise_us(self) -> int:
        return self.ratings.ramp_us if self.slow_rise_us is None else self.slow_rise_us

    # --- the beam

    def start(self, t_us: int) -> bool:
        if self.beam_on(t_us):
            return True
        if self.in_prewarning(t_us) or not self._may_start(t_us):
            return False
        if self._prewarning_us:
            self._prewarning_end_us = t_us + self._prewarning_us
            return False
        self._begin(t_us)
        return True

    def _may_start(self, t_us: int) -> bool:
        return (
            self._supply
            and (self._interlock or self.ignores_pair)
            and not self._latched
            and not self.refuse_start
            and self._kv > 0
            and self._ma > 0
            and self._volts(t_us) >= LOW_V
        )

    def _begin(self, t_us: int) -> None:
        self._close_segment(t_us)
        self._shown_kv = self._kv or STRAY_KV  # a start without set points is a stray one
        course = BeamCourse(
            on_us=t_us,
            kv=self._shown_kv * self.kv_factor,
            ma=(self._ma or STRAY_MA) * self.ma_factor * self.shunt_factor,
            ramp_us=self._rise_us(),
            fall_us=self.ratings.fall_us,
            divider=self.kv_factor,
            shunt=self.shunt_factor,
            output=self._output(),
        )
        self.courses.append(course)
        self._regulate(t_us)
        self.beam_changed = True
        self._timer_end_us = self._timer_us(t_us)
        self._arc_us = self._next_arc_us(t_us + course.ramp_us)

    def _timer_us(self, on_us: int) -> int | None:
        if self._time_us is None:
            return None
        return on_us + round(self._time_us * (1 + self.timer_off_pct / 100))

    def _regulate(self, t_us: int) -> None:
        """What faults make of kV and mA from now on."""
        course = self.courses[-1]
        ma_pct = 0.0 if self.filament_open else 100.0 + self.ma_off_pct
        wanted = Regulation(t_us, 100.0 + self.kv_off_pct, ma_pct)
        if replace(course.regulation(t_us), from_us=t_us) != wanted:
            course.regulations.append(wanted)

    def stop(self, t_us: int) -> None:
        if not self.ignore_off:
            self._end(t_us)

    def _end(self, t_us: int) -> None:
        """The processor wants no HV from here on, and none that a pre-warning would bring."""
        self._prewarning_end_us = None
        if self.beam_on(t_us) and not self.stray_beam:
            self._cut(t_us)

    def _cut(self, t_us: int) -> None:
        self._close_segment(t_us)
        self.courses[-1].off_us = t_us
        if self.slow_fall_us is not None:
            self.courses[-1].fall_us = self.slow_fall_us
        self.beam_changed = True
        self._timer_end_us = None
        self.gassy_tube *= CLEANED
        self._on_s += (t_us - self.courses[-1].on_us) / 1e6

    def beam_on(self, t_us: int) -> bool:
        return bool(self.courses) and self.courses[-1].off_us is None

    # --- wiring

    def set_interlock(self, t_us: int, closed: bool) -> None:
        """J3-7 / J3-8. Opening during the beam ends it in hardware and latches bit 8."""
        if not closed and not self.ignores_pair:
            if self.beam_on(t_us):
                self._latched.add("interlock_open")
            self._end(t_us)
        self._interlock = closed

    def set_supply(self, t_us: int, closed: bool) -> None:
        """The supply of the HV side; the processor lives on and keeps what it was told."""
        if not closed:
            self._lose_supply(t_us)
        self._supply = closed

    def _lose_supply(self, t_us: int) -> None:
        self._prewarning_end_us = None
        if self.beam_on(t_us):
            self._cut(t_us)

    def power(self, t_us: int, on: bool) -> None:
        """The whole device: off forgets all that it was told, oil and battery stay as they are."""
        if on and not self._powered:
            self._power_up(t_us)
        elif not on:
            self._lose_supply(t_us)
            self._powered = False

    # --- faults

    def arc(self, t_us: int) -> None:
        """One arc: a warning for 10 s; four within 10 s latch and end the beam (2.4, bit 4)."""
        self.arcs_count += 1
        self._arcs_us = [*self._recent_arcs_us(Now(t_us)), t_us]
        if len(self._arcs_us) >= ARCS_TO_LATCH:
            self.trip(t_us, "arc")

    def _next_arc_us(self, after_us: int) -> int | None:
        return self._arc_chance.next_us(self.gassy_tube, self.courses[-1].kv, after_us)

    def _follow_arcs(self, now: Now) -> None:
        while self._arc_us is not None and now.reached(self._arc_us):
            self.arc(self._arc_us)
            self._arc_us = self._next_arc_us(self._arc_us) if self.beam_on(now.t_us) else None

    def _recent_arcs_us(self, now: Now) -> list[int]:
        return [at_us for at_us in self._arcs_us if not now.reached(at_us + ARC_WARNING_US)]

    def trip(self, t_us: int, bit: str) -> None:
        """A fault that shuts down; ValueError when the protocol has no such bit."""
        if bit not in BITS:
            raise ValueError(f"no fault bit {bit!r}; there are {', '.join(BITS)}")
        self._latched.add(bit)
        self._end(t_us)

    def fault_bits(self, t_us: int) -> frozenset[str]:
        present = {
            "interlock_open": not self._interlock,
            "arc": bool(self._recent_arcs_us(Now(t_us))),
            "under_temperature": self._oil_at(t_us) < COLD_LIMIT_C,
            "battery_low": self._volts(t_us) < LOW_V,
        }
        return frozenset(self._latched | {bit for bit, is_set in present.items() if is_set})

    def tripped(self, t_us: int) -> frozenset[str]:
        return frozenset(self._latched)

    def clear_faults(self, t_us: int) -> None:
        """What is still so stays: hot oil, an open pair, a low battery."""
        still_hot = self._oil_at(t_us) >= self.ratings.oil_limit_c
        self._latched &= {"over_temperature"} if still_hot else set()
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
        self._arcs_us = self._recent_arcs_us(now)
        if self._prewarning_end_us is not None:
            self._follow_prewarning(now, self._prewarning_end_us)
        if self.stuck_oil_c is not None and self.stuck_oil_c >= self.ratings.oil_limit_c:
            self.trip(now.t_us, "over_temperature")
        if self.stray_beam and self._supply and self._powered and not self.beam_on(now.t_us):
            self._begin(now.t_us)
        if not self.beam_on(now.t_us):
            return
        self._follow_arcs(now)
        if not self.beam_on(now.t_us):
            return
        self._regulate(now.t_us)
        for end_us, bit in self._ends(now.t_us):
            if now.reached(end_us):
                self._latched |= {bit} if bit else set()
                self._end(now.t_us)
                return

    def _follow_prewarning(self, now: Now, end_us: int) -> None:
        if self._watched() and now.reached(self._fed_us + self._watchdog_us):
            self._prewarning_end_us = None
        elif now.reached(end_us):
            self._prewarning_end_us = None
            if self._may_start(now.t_us):
                self._begin(now.t_us)

    def _ends(self, t_us: int) -> Iterator[tuple[int, str | None]]:
        """What will end this beam if nobody else does, and the bit that it latches."""
        if self.stray_beam:
            return
        course = self.courses[-1]
        yield self._hot_us(course, t_us), "over_temperature"
        yield self._drained_us(course), "battery_low"
        if self._timer_end_us is not None and not self.timer_dead:
            yield self._timer_end_us, None
        if self._charge_mas is not None and not self.timer_dead:
            yield course.makes_us(self._charge_mas * course.shunt), None
        if self._aec is not None and self.chambers is not None:
            kv = course.kv * course.regulation(t_us).kv_pct / 100
            charge_mas = self.chambers.charge_mas(self._aec, kv, len(self.courses))
            charge_mas /= course.output
            yield course.reaches_us(charge_mas) + self.chambers.setting.response_us, None
        if self._watched():
            yield self._fed_us + self._watchdog_us, None

    def _watched(self) -> bool:
        return self._watchdog_on and not self.watchdog_dead

    # --- energy: oil and battery follow it in closed form

    def _energy_j(self, t_us: int) -> float:
        """Put into the tube since this segment began: kV x mAs, the ramp at full kV."""
        return self.courses[-1].energy_j(self._segment_us, t_us) if self.courses else 0.0

    def _taken_j(self, t_us: int) -> float:
        """From the battery since this segment began."""
        return self._energy_j(t_us) / EFFICIENCY

    def _close_segment(self, t_us: int) -> None:
        self._keep_heat(t_us)
        self.battery.take(self._taken_j(t_us))
        self._segment_us = t_us

    def _keep_heat(self, t_us: int) -> None:
        self._oil_c = self._real_oil_c(t_us)

    def _oil_at(self, t_us: int) -> float:
        """As the thermometer has it."""
        return self._real_oil_c(t_us) if self.stuck_oil_c is None else self.stuck_oil_c

    def _real_oil_c(self, t_us: int) -> float:
        """Warms by the energy, cools towards ambient between beams only."""
        warmed_c = self._energy_j(t_us) / self.ratings.oil_j_per_c
        if self.beam_on(t_us):
            return self._oil_c + warmed_c
        age_s = (t_us - self._segment_us) / 1e6
        left = math.exp(-age_s / self.ratings.oil_tau_s)
        return self._ambient_c + (self._oil_c - self._ambient_c) * left + warmed_c

    def _hot_us(self, course: BeamCourse, t_us: int) -> int:
        """When this beam makes it too hot; too early is harmless, since it is asked again then."""
        if self.stuck_oil_c is not None:
            return NEVER_US
        left_c = self.ratings.oil_limit_c - self._oil_c
        return course.spends_us(left_c * self.ratings.oil_j_per_c)

    def _drained_us(self, course: BeamCourse) -> int:
        """Judged under full load, so from the end of the ramp on."""
        power_w = _full_power_w(course, NEVER_US)
        energy_j = EFFICIENCY * self.battery.lasts_j(power_w / EFFICIENCY)
        return max(course.spends_us(energy_j), course.on_us + course.ramp_us)

    def _volts(self, t_us: int) -> float:
        course = self.courses[-1] if self.courses else None
        power_w = _full_power_w(course, t_us) * course.level(t_us) ** 2 if course else 0.0
        return self.battery.volts(power_w / EFFICIENCY, self._taken_j(t_us))

    def charge(self, t_us: int) -> float:
        """Of the battery, 0..1, with what this segment has taken."""
        return self.battery.left(self._taken_j(t_us))

    def charge_battery(self, t_us: int, charge: float) -> None:
        """As a charger leaves it; ValueError beyond 0..1 and during a beam."""
        if not 0.0 <= charge <= 1.0:
            raise ValueError(f"charge = {charge:g}: must be 0 to 1")
        if self.beam_on(t_us):
            raise ValueError("the battery is not charged during a beam")
        self._close_segment(t_us)  # what was taken so far was taken from the old charge
        self.battery.charge = charge

    # --- what it shows, and what really was

    def reading(self, t_us: int) -> GeneratorReading:
        course = self.courses[-1] if self.courses else None
        level = course.level(t_us) if course else 0.0
        ruling = course.regulation(t_us) if course else Regulation(t_us)
        ma = course.ma * level * (ruling.ma_pct / 100) if course else 0.0
        kv = self._shown_kv * level * (ruling.kv_pct / 100)
        return GeneratorReading(
            kv=max(0.0, kv * (1 + self._shown())),
            ma=max(0.0, ma / (course.shunt if course else 1.0) * (1 + self._shown())),
            oil_c=self._oil_at(t_us),
            filament_a=self._filament_a(t_us, ruling),
            battery_v=self._volts(t_us),
        )

    def _filament_a(self, t_us: int, ruling: Regulation) -> float:
        """Hot for the full current from a beam's start to its end, else on standby."""
        if self.filament_open:
            return 0.0
        filament = self._filament.worn(self.filament_thinner_pct)
        if not self.beam_on(t_us):
            return filament.shown_a(0.0, 0.0)
        course = self.courses[-1]
        kv, ma = course.kv * ruling.kv_pct / 100, course.ma * ruling.ma_pct / 100
        return filament.shown_a(kv, ma)

    def battery_pct(self, t_us: int) -> float | None:
        told = self.battery.told(self._taken_j(t_us))
        return None if told is None else 100 * told

    def account(self, t_us: int) -> tuple[float, float]:
        """Drifted dividers and shunts look perfect in it; what cables discharge is counted, too."""
        course = self.courses[-1]
        end_us = t_us if course.off_us is None else course.off_us + course.fall_us
        kv = course.mean_kv(course.on_us, end_us) / course.divider if course.divider else 0.0
        mas = course.charge_mas(course.on_us, end_us) / course.shunt
        return kv * (1 + self._shown()), mas * (1 + self._shown())

    def _shown(self) -> float:
        """What an indication is off, by chance."""
        return 0.002 * self._noise.gauss(0, 1)

    def _output(self) -> float:
        """Of the beam that begins: what a drift has taken so far, and a roughened target."""
        kept = self._drifted * (1.0 - self.output_drift_pct / 100)
        self._drifted = kept if self.output_drift_pct else 1.0
        return (1.0 - self.worn_anode_pct / 100) * self._drifted

    def on_time_s(self) -> float:
        return self._on_s

    def light(self, from_us: int, to_us: int) -> tuple[float, float]:
        """(mAs of a new tube that give as much kerma, kV): what panel and DAP meter see."""
        charges = (course.output * course.charge_mas(from_us, to_us) for course in self.courses)
        return sum(charges), self.exposure(from_us, to_us)[1]

    def exposure(self, from_us: int, to_us: int) -> tuple[float, float]:
        """(mAs, kV) that really were between the two times: the simulator's own integral."""
        charges = [(c.charge_mas(from_us, to_us), c.mean_kv(from_us, to_us)) for c in self.courses]
        mas = sum(charge for charge, _ in charges)
        kv = max((kv for charge, kv in charges if charge > 0), default=0.0)
        return mas, kv


def _full_power_w(course: BeamCourse, t_us: int) -> float:
    """At full level, with the regulation of that moment."""
    ruling = course.regulation(t_us)
    return course.kv * course.ma * (ruling.kv_pct * ruling.ma_pct / 1e4)
