"""A generator with its tube: ramps, own timer, watchdog, interlock, arcs, heat.

What kind it is stands in its `Ratings`: by default a battery monoblock of the IXS class, after
SPC-P366 R4 (protocols.md 2.4 to 2.6); sim/README.md lists what is synthetic.
Everything is a segment evaluated from its start; `advance` is called at the model's own
events only, and with the time of each: the world sees to that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hal.generators.vj_ixs_wire import FAULT_BITS
from hal.now import NEVER_US, Now, latest_us
from hal.ports import AecChoice, GeneratorReading
from sim import beams
from sim.anode_wear import even_share, foil_mm
from sim.arcs import CLEANED, ArcChance
from sim.battery import Battery, Mains, Supply
from sim.beamline import BeamCourse, Regulation
from sim.cable import fall_us
from sim.chambers import Chambers
from sim.condition import Condition, Light
from sim.duty_guard import FreeOfDuty
from sim.energy import OIL, Energy, Oil
from sim.filament import filament_of
from sim.generator_faults import INJECTIONS
from sim.injection import fresh
from sim.instruments import Instruments
from sim.rotor import Rotor
from sim.transient import NO_TRANSIENT, Transient
from sim.tube_data import tube_sheet

RAMP_US = 150_000  # the document says "< 0.5 s"
RAMP_REPLY_US = 500_000  # ENBL1 is answered at the end of the ramp, and not later than this
FALL_US = 4_000
WATCHDOG_US = 5_000_000  # power-up default
OVERSHOOTS_OF_RISE = 3  # chosen: an overshoot settles to 1/e in a third of the rise
ARC_WARNING_US = 10_000_000
ARCS_TO_LATCH = 4
COLD_LIMIT_C = 5.0
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
    fall_us: int = FALL_US  # with a cable: at the longest, by its own divider
    cable_nf: float | None = None  # discharged through the tube; None: it falls in `fall_us`
    watchdog_us: int | None = WATCHDOG_US  # None: it has none
    supply: Supply = "battery"
    oil: Oil = OIL


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
    overshoot_pct: float
    overshoot_settles_us: int | None
    ripple_pct: float
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
        self.courses: list[BeamCourse] = []  # every beam since power-up: the simulator's integral
        self.chambers: Chambers | None = None  # those of the bench, where it has some
        self.duty = FreeOfDuty()  # the rule of the bench, where it has one
        self.beam_changed = False  # read and cleared by the world
        sheet = tube_sheet(self.ratings.tube)
        self._filament = filament_of(sheet)
        self._arc_chance = ArcChance(seed, sheet["kv_max"])
        self._arc_us: int | None = None  # when this beam arcs
        self.arcs_count = 0  # since it was built
        self._drifted = 1.0  # by `output_drift_pct`, up to the newest beam
        self._instruments = Instruments(seed)
        self.energy = self._energy(ambient_c)
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

    def _energy(self, ambient_c: float) -> Energy:
        """Once, when it is built: what it runs on, and what gets warm."""
        battery = Mains() if self.ratings.supply == "mains" else Battery()
        return Energy(self.courses, battery, self.ratings.oil, ambient_c)

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

    def set_focus(self, t_us: int, *, small: bool) -> None:
        """A tube with one filament has one focus."""

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
            and not self.energy.is_low(t_us)
            and self.ready(Now(t_us))
        )

    def ready(self, now: Now) -> bool:
        kv, mas = self._kv, self._asked_mas()
        fed_us = self.energy.ready_us(now.t_us, kv * mas)
        return now.reached(latest_us(fed_us, self.duty.ready_us(now.t_us, kv, mas)))

    def most_mas(self, kv: float) -> float:
        return self.duty.most_mas(kv)

    def _asked_mas(self) -> float:
        """Of the exposure that is set; 0: nobody says how long it is."""
        ends_mas = [self._charge_mas] if self._charge_mas is not None else []
        ends_mas += [self._ma * self._time_us / 1e6] if self._time_us is not None else []
        return min(ends_mas, default=0.0)

    def _begin(self, t_us: int) -> None:
        self.energy.close(t_us)
        self._shown_kv = self._kv or STRAY_KV  # a start without set points is a stray one
        kv = self._shown_kv * self.kv_factor
        ma, deficit = self._emission(t_us, kv, self._ma or STRAY_MA)
        course = BeamCourse(
            on_us=t_us,
            kv=kv,
            ma=ma * self.ma_factor * self.shunt_factor,
            ramp_us=self._rise_us(),
            fall_us=self.ratings.fall_us,
            divider=self.kv_factor,
            shunt=self.shunt_factor,
            output=self._output(),
            condition=self._condition(),
            discharges=self.ratings.cable_nf is not None,
            deficit=deficit,
            overshoot=self._overshoot(),
        )
        self.courses.append(course)
        self._regulate(t_us)
        self.beam_changed = True
        self._timer_end_us = self._timer_us(t_us)
        self._arc_us = self._next_arc_us(t_us + course.ramp_us)

    def _output(self) -> float:
        """Of the beam that begins: what drift and a roughened target have taken evenly so far."""
        kept = self._drifted * (1.0 - self.output_drift_pct / 100)
        self._drifted = kept if self.output_drift_pct else 1.0
        return even_share(self.worn_anode_pct) * self._drifted

    def _condition(self) -> Condition:
        return Condition(ripple_pct=self.ripple_pct, tungsten_mm=foil_mm(self.worn_anode_pct))

    def _emission(self, t_us: int, kv: float, ma: float) -> tuple[float, Transient]:
        """What it comes to of the mA that were set, and what is missing at first."""
        return ma, NO_TRANSIENT

    def _overshoot(self) -> Transient:
        settles_us = self.overshoot_settles_us or max(1, self._rise_us() // OVERSHOOTS_OF_RISE)
        return Transient(self.overshoot_pct / 100, settles_us)

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
        course.fall_us = self._fall_us(course, 1.0)

    def _fall_us(self, course: BeamCourse, ma_share: float) -> int:
        ruling = course.regulation(NEVER_US)
        kv, ma = course.kv * ruling.kv_pct / 100, course.ma * ma_share * ruling.ma_pct / 100
        return fall_us(self.ratings.cable_nf, kv, ma, self.ratings.fall_us)

    def stop(self, t_us: int) -> None:
        if not self.ignore_off:
            self._end(t_us)

    def _end(self, t_us: int) -> None:
        """The processor wants no HV from here on, and none that a pre-warning would bring."""
        self._prewarning_end_us = None
        if self.beam_on(t_us) and not self.stray_beam:
            self._cut(t_us)

    def _cut(self, t_us: int) -> None:
        self.energy.close(t_us)
        course = self.courses[-1]
        course.fall_us = self._fall_us(course, 1 - course.deficit.at(t_us - course.on_us))
        course.off_us = t_us
        if self.slow_fall_us is not None:
            course.fall_us, course.discharges = self.slow_fall_us, False
        self.beam_changed = True
        self._count_duty(self.courses[-1])
        self._timer_end_us = None
        self.gassy_tube *= CLEANED
        self._on_s += (t_us - self.courses[-1].on_us) / 1e6

    def _count_duty(self, course: BeamCourse) -> None:
        """With what its fall will bring."""
        assert course.off_us is not None
        span_us = course.on_us, course.off_us + course.fall_us
        self.duty.exposed(course.off_us, course.peak_kv(*span_us), course.charge_mas(*span_us))

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
        self.energy.follow(t_us, on=self._powered)

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
            "battery_low": self.energy.is_low(t_us),
        }
        return frozenset(self._latched | {bit for bit, is_set in present.items() if is_set})

    def tripped(self, t_us: int) -> frozenset[str]:
        return frozenset(self._latched)

    def clear_faults(self, t_us: int) -> None:
        """What is still so stays: hot oil, an open pair, a low battery."""
        still_hot = self._oil_at(t_us) >= self.ratings.oil.limit_c
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
        self.energy.follow(now.t_us, on=self._powered)
        now.wake(self.energy.low_us(now.t_us))
        if self._prewarning_end_us is not None:
            self._follow_prewarning(now, self._prewarning_end_us)
        if self.stuck_oil_c is not None and self.stuck_oil_c >= self.ratings.oil.limit_c:
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
        yield self.energy.drained_us(course), "battery_low"
        if self._timer_end_us is not None and not self.timer_dead:
            yield self._timer_end_us, None
        if self._charge_mas is not None and not self.timer_dead:
            yield course.makes_us(self._charge_mas * course.shunt), None
        if self._aec is not None and self.chambers is not None:
            kv = course.kv * course.regulation(t_us).kv_pct / 100
            charge_mas = self.chambers.charge_mas(
                self._aec, kv, len(self.courses), course.condition
            )
            # Its circuit knows the cable: what light the fall will add is left out of it.
            charge_mas = charge_mas / course.output - course.ma * course.fall_us / 2e6
            yield course.reaches_us(charge_mas) + self.chambers.setting.response_us, None
        if self._watched():
            yield self._fed_us + self._watchdog_us, None

    def _watched(self) -> bool:
        return self._watchdog_on and not self.watchdog_dead

    # --- energy

    @property
    def battery(self) -> Battery:
        return self.energy.battery

    def charge(self, t_us: int) -> float:
        return self.energy.charge(t_us)

    def charge_battery(self, t_us: int, charge: float) -> None:
        """As a charger leaves it; ValueError beyond 0..1 and during a beam."""
        self.energy.charge_to(t_us, charge)

    def _oil_at(self, t_us: int) -> float:
        """As the thermometer has it."""
        return self.energy.oil_c(t_us) if self.stuck_oil_c is None else self.stuck_oil_c

    def _hot_us(self, course: BeamCourse, t_us: int) -> int:
        return NEVER_US if self.stuck_oil_c is not None else self.energy.hot_us(course, t_us)

    # --- what it shows, and what really was

    def reading(self, t_us: int) -> GeneratorReading:
        course = self.courses[-1] if self.courses else None
        kv, ma = self._instruments.kv_ma(course, self._shown_kv, t_us)
        return GeneratorReading(
            kv=kv,
            ma=ma,
            oil_c=self._oil_at(t_us),
            filament_a=self._filament_a(t_us),
            battery_v=self.energy.volts(t_us),
        )

    def _filament_a(self, t_us: int) -> float:
        """Hot for the full current from a beam's start to its end, else on standby."""
        if self.filament_open:
            return 0.0
        filament = self._filament.worn(self.filament_thinner_pct)
        if not self.beam_on(t_us):
            return filament.shown_a(0.0, 0.0)
        course = self.courses[-1]
        ruling = course.regulation(t_us)
        kv, ma = course.kv * ruling.kv_pct / 100, course.ma * ruling.ma_pct / 100
        return filament.shown_a(kv, ma)

    def battery_pct(self, t_us: int) -> float | None:
        return self.energy.told_pct(t_us)

    def account(self, t_us: int) -> tuple[float, float]:
        return self._instruments.account(self.courses[-1], t_us)

    def on_time_s(self) -> float:
        return self._on_s

    def light(self, from_us: int, to_us: int) -> Light:
        return beams.light(self.courses, from_us, to_us)

    def lights(self, from_us: int, to_us: int) -> list[Light]:
        return beams.lights(self.courses, from_us, to_us)

    def exposure(self, from_us: int, to_us: int) -> tuple[float, float]:
        return beams.exposure(self.courses, from_us, to_us)
