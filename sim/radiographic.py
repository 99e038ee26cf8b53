"""A radiographic generator of 32 kW with a rotating anode, on battery, mains or capacitors; R2CP.

Like no product: 300 kHU and 32 kW are those of the reference's default unit, energy and refusal
of the battery those of GE's AMX family (qc-and-physics.md 2.2, 2.4; sim/drive_battery.py);
sim/README.md lists what is chosen, and sim/tubes/sim-rad32.toml the tube, with a filament for each
focus.
"""

from __future__ import annotations

from hal.now import Now
from sim.battery import Battery, Mains, Supply
from sim.capacitors import CapacitorBank
from sim.drive_battery import DriveBattery
from sim.energy import Oil
from sim.filament import filaments_of
from sim.filament_boost import FilamentBoost
from sim.generator import MonoblockModel, Ratings
from sim.injection import Injection, fresh
from sim.rotating_energy import RotatingEnergy
from sim.rotor import Rotor
from sim.transient import Transient
from sim.tube_data import tube_sheet
from sim.tube_heat import Heat, tube_heat

SUPPLIES: dict[Supply, type[Battery]] = {
    "battery": DriveBattery,
    "mains": Mains,
    "capacitors": CapacitorBank,
}
FULL_C, AMBIENT_C = 60.0, 22.0  # the scale on which anode or housing are told, the fuller one

RATINGS = Ratings(
    model_number="SIM-RAD32",
    serial_number="R32-00001",
    tube="sim-rad32",
    ramp_us=3_000,  # 1-5 ms in medical tanks is background knowledge (protocols.md 10.2)
    ramp_reply_us=3_000,
    fall_us=10_000,  # as long as R2CP's bounds allow
    cable_nf=0.1,  # chosen: tank and a metre of cable, so that AEC still makes its least dose
    watchdog_us=2_000_000,  # of a silent application; the wire names a time-out, and no time
    oil=Oil(limit_c=FULL_C),
)

INJECTIONS = {
    "preheat_low_pct": Injection(
        "the filament is held with so much less current before a beam: mA starts low and comes up",
        0.0,
        between=(0.0, 20.0),
    ),
}


class RadiographicModel(MonoblockModel):
    """A full anode ends a beam; a full housing refuses the next one, as its thermal switch does."""

    rotor: Rotor
    energy: RotatingEnergy
    preheat_low_pct: float

    def __init__(
        self, *, seed: int = 1, ambient_c: float = AMBIENT_C, ratings: Ratings = RATINGS
    ) -> None:
        self.rotor = Rotor(
            lambda t_us, on: self._boost.order(t_us, on), lambda: self._boost.hot_us()
        )
        super().__init__(seed=seed, ambient_c=ambient_c, ratings=ratings)
        self._filaments = filaments_of(tube_sheet(ratings.tube))
        self._boost = FilamentBoost(self._filament, self._wanted_k, self._held_share)
        fresh(self, INJECTIONS)

    def _energy(self, ambient_c: float) -> RotatingEnergy:
        return RotatingEnergy(
            self.courses,
            SUPPLIES[self.ratings.supply](),
            self.ratings.oil,
            ambient_c,
            tube=tube_heat(tube_sheet(self.ratings.tube)),
            rotor=self.rotor,
        )

    def _may_start(self, t_us: int) -> bool:
        return (
            self.rotor.at_speed(Now(t_us))
            and not self.energy.housing_is_full(t_us)
            and not (self.battery.lead_refuses and self.battery.charger_plugged)
            and super()._may_start(t_us)
        )

    def fault_bits(self, t_us: int) -> frozenset[str]:
        bits = super().fault_bits(t_us)
        return bits | {"over_temperature"} if self.energy.housing_is_full(t_us) else bits

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

    # --- heat of anode and housing

    def heat(self, t_us: int) -> Heat:
        return self.energy.heat(t_us)

    def warm(self, t_us: int, heat: Heat) -> None:
        """So hot it is now, whatever it was; between beams."""
        self.energy.warm(t_us, heat)

    def power(self, t_us: int, on: bool) -> None:
        super().power(t_us, on)
        if not on:
            self.rotor.brake(t_us)
