"""A radiographic generator of 32 kW with a rotating anode, on a battery or on mains; behind R2CP.

Like no product: 300 kHU and 32 kW are those of the reference's default unit, energy and refusal
of the battery those of GE's AMX family (qc-and-physics.md 2.2, 2.4); sim/README.md lists what is
chosen, and sim/tubes/sim-rad32.toml the tube, with a filament for each focus.
"""

from __future__ import annotations

from hal.now import NEVER_US, Now
from sim.battery import EFFICIENCY, FULL_V, LOW_V, Battery, Mains
from sim.beamline import BeamCourse
from sim.filament import filaments_of
from sim.filament_boost import FilamentBoost
from sim.generator import MonoblockModel, Ratings
from sim.injection import Injection, fresh
from sim.rotor import Rotor
from sim.transient import Transient
from sim.tube_data import tube_sheet
from sim.tube_heat import Heat, tube_heat

TUBE_J = 1_000_000.0  # of a full charge: 10 000 mAs at 100 kVp (GE AMX-II)
REFUSED_BELOW = 0.10  # GE AMX-4
ROTOR_W = 120.0  # running: 55 V and 4 A (Varian B-100), with a power factor of about a half
FULL_C, AMBIENT_C = 60.0, 22.0  # the scale on which anode or housing are told, the fuller one

RATINGS = Ratings(
    model_number="SIM-RAD32",
    serial_number="R32-00001",
    tube="sim-rad32",
    ramp_us=3_000,  # 1-5 ms in medical tanks is background knowledge (protocols.md 10.2)
    ramp_reply_us=3_000,
    fall_us=10_000,  # as long as R2CP's bounds allow
    cable_nf=0.4,  # chosen: 2 ms at 80 kV, 16 mA; 133 kV and 5 mA, a bench's least, still in 10 ms
    watchdog_us=2_000_000,  # of a silent application; the wire names a time-out, and no time
    oil_limit_c=FULL_C,
)

INJECTIONS = {
    "preheat_low_pct": Injection(
        "the filament is held with so much less current before a beam: mA starts low and comes up",
        0.0,
        between=(0.0, 20.0),
    ),
    "charger_plugged": Injection("its lead is in: a mobile's start is refused (GE AMX-II)"),
}


class DriveBattery(Battery):
    """Its volts are a scale of its charge: LOW_V is where an exposure is refused."""

    capacity_j = TUBE_J / EFFICIENCY

    def volts(self, load_w: float, taken_j: float = 0.0) -> float:
        if self.stuck_v is not None:
            return self.stuck_v
        above = (self.left(taken_j) - REFUSED_BELOW) / (1 - REFUSED_BELOW)
        return LOW_V + (FULL_V - LOW_V) * above

    def told(self, taken_j: float = 0.0) -> float:
        """By its volts, so that a voltmeter that is stuck is believed here, too."""
        above = (self.volts(0.0, taken_j) - LOW_V) / (FULL_V - LOW_V)
        return min(max(REFUSED_BELOW + (1 - REFUSED_BELOW) * above, 0.0), 1.0)

    def _low_charge(self, load_w: float) -> float:
        return REFUSED_BELOW


class RadiographicModel(MonoblockModel):
    """A full anode ends a beam; a full housing refuses the next one, as its thermal switch does."""

    rotor: Rotor
    preheat_low_pct: float
    charger_plugged: bool

    def __init__(
        self, *, seed: int = 1, ambient_c: float = AMBIENT_C, ratings: Ratings = RATINGS
    ) -> None:
        self.rotor = Rotor(lambda t_us, on: self._boost.order(t_us, on))
        super().__init__(seed=seed, ambient_c=ambient_c, ratings=ratings)
        sheet = tube_sheet(ratings.tube)
        self._filaments = filaments_of(sheet)
        self._boost = FilamentBoost(self._filament, self._wanted_k, self._held_share)
        self.battery = Mains() if ratings.on_mains else DriveBattery()
        self._tube = tube_heat(sheet)
        self._rotor_long_us = 0  # when this beam or this pause began
        fresh(self, INJECTIONS)
        self._heat = Heat()  # when this beam or this pause began

    def _may_start(self, t_us: int) -> bool:
        return (
            self.rotor.at_speed(Now(t_us))
            and self._housing_share(self.heat(t_us)) < 1.0
            and not (self.charger_plugged and not self.ratings.on_mains)
            and super()._may_start(t_us)
        )

    def _taken_j(self, t_us: int) -> float:
        """A rotor kept turning for too long takes more than a charge's figures allow for."""
        long_s = (self.rotor.long_us(t_us) - self._rotor_long_us) / 1e6
        return super()._taken_j(t_us) + long_s * ROTOR_W

    def _close_segment(self, t_us: int) -> None:
        super()._close_segment(t_us)
        self._rotor_long_us = self.rotor.long_us(t_us)

    # --- mA, as the filament gives it

    def _wanted_k(self) -> float:
        """That what is set needs, or as hot as the filament may be."""
        filament = self._filament
        needs_k = filament.needs_k(self._kv * self.kv_factor, self._ma)
        return min(needs_k, filament.temperature_k(filament.full_a))

    def _held_share(self) -> float:
        return 1 - self.preheat_low_pct / 100

    def _emission(self, t_us: int, kv: float, ma: float) -> tuple[float, Transient]:
        """Space charge, or the filament's limit, may let by less than was set."""
        filament = self._filament
        most_ma = filament.tube_ma(kv, filament.temperature_k(filament.full_a))
        return min(ma, most_ma), self._boost.deficit(t_us, kv)

    def set_focus(self, t_us: int, *, small: bool) -> None:
        self._filament = self._filaments[small]
        self._boost.choose(t_us, self._filament)

    # --- heat of anode and housing, from the start of this beam or this pause

    def heat(self, t_us: int) -> Heat:
        """A beam's energy so far counts as evenly spread, the cables' discharge as at once."""
        energy_j, span_s = self._energy_j(t_us), (t_us - self._segment_us) / 1e6
        if not self.beam_on(t_us):
            return self._tube.after(self._heat.with_more(energy_j), span_s)
        return self._tube.after(self._heat, span_s, energy_j / span_s) if span_s else self._heat

    def warm(self, t_us: int, heat: Heat) -> None:
        """So hot it is now, whatever it was; between beams."""
        self._close_segment(t_us)
        self._heat = heat

    def fault_bits(self, t_us: int) -> frozenset[str]:
        bits = super().fault_bits(t_us)
        full = self._housing_share(self.heat(t_us)) >= 1.0
        return bits | {"over_temperature"} if full else bits

    def _keep_heat(self, t_us: int) -> None:
        self._heat = self.heat(t_us)

    def _housing_share(self, heat: Heat) -> float:
        housing = self._tube.housing
        return 0.0 if housing is None else heat.housing_j / housing.full_j

    def _real_oil_c(self, t_us: int) -> float:
        heat = self.heat(t_us)
        share = max(heat.anode_j / self._tube.anode.full_j, self._housing_share(heat))
        return self._ambient_c + share * (self.ratings.oil_limit_c - self._ambient_c)

    def _hot_us(self, course: BeamCourse, t_us: int) -> int:
        """As if it did not cool from now on."""
        if self.stuck_oil_c is not None:
            return NEVER_US
        left_j = self._tube.anode.full_j - self.heat(t_us).anode_j
        if left_j <= 0.0:
            return t_us
        return course.spends_us(course.energy_j(course.on_us, t_us) + left_j)

    def power(self, t_us: int, on: bool) -> None:
        super().power(t_us, on)
        if not on:
            self.rotor.brake(t_us)
