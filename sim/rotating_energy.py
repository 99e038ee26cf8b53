"""Energy of a unit with a rotating anode: heat of anode and housing, what its rotor takes."""

from __future__ import annotations

from collections.abc import Sequence

from sim.battery import Battery
from sim.beamline import BeamCourse
from sim.energy import Energy, Oil
from sim.rotor import Rotor
from sim.tube_heat import Heat, TubeHeat

ROTOR_W = 120.0  # from the battery: the stator's 50 W, about 60 W of filament [M], the starter


class RotatingEnergy(Energy):
    """Told as oil is the fuller one of anode and housing: `oil.limit_c` is full."""

    def __init__(
        self,
        courses: Sequence[BeamCourse],
        battery: Battery,
        oil: Oil,
        ambient_c: float,
        *,
        tube: TubeHeat,
        rotor: Rotor,
    ) -> None:
        super().__init__(courses, battery, oil, ambient_c)
        self._tube, self._rotor = tube, rotor
        self._heat = Heat()  # when this segment began
        self._rotor_long_us = 0  # when this segment began

    def close(self, t_us: int) -> None:
        super().close(t_us)
        self._rotor.forget(t_us)
        self._rotor_long_us = self._rotor.long_us(t_us)

    def _rest_j(self, t_us: int) -> float:
        """A rotor kept turning for too long takes more than a charge's figures allow for.

        Without a battery the mains, or the socket, turn it.
        """
        if not self.battery.is_pack:
            return super()._rest_j(t_us)
        long_s = (self._rotor.long_us(t_us) - self._rotor_long_us) / 1e6
        return super()._rest_j(t_us) + long_s * ROTOR_W

    def heat(self, t_us: int) -> Heat:
        """Of the beams, and in the housing that of the stator."""
        heat = self._of_beams(t_us)
        return Heat(anode_j=heat.anode_j, housing_j=heat.housing_j + self._of_stator_j(t_us))

    def _of_beams(self, t_us: int) -> Heat:
        """A beam's energy so far counts as evenly spread, the cables' discharge as at once."""
        energy_j, span_s = self.spent_j(t_us), (t_us - self._segment_us) / 1e6
        if not self._in_beam():
            return self._tube.after(self._heat.with_more(energy_j), span_s)
        return self._tube.after(self._heat, span_s, energy_j / span_s) if span_s else self._heat

    def _of_stator_j(self, t_us: int) -> float:
        """What the housing has left of this segment's."""
        housing = self._tube.housing
        if housing is None:
            return 0.0
        return sum(
            housing.left_j(watts, (t_us - from_us) / 1e6, (t_us - to_us) / 1e6)
            for from_us, to_us, watts in self._rotor.stator(self._segment_us, t_us)
        )

    def warm(self, t_us: int, heat: Heat) -> None:
        """So hot it is now, whatever it was; between beams."""
        self.close(t_us)
        self._heat = heat

    def _keep_heat(self, t_us: int) -> None:
        self._heat = self.heat(t_us)

    def housing_is_full(self, t_us: int) -> bool:
        return self._housing_share(self.heat(t_us)) >= 1.0

    def _housing_share(self, heat: Heat) -> float:
        housing = self._tube.housing
        return 0.0 if housing is None else heat.housing_j / housing.full_j

    def oil_c(self, t_us: int) -> float:
        heat = self.heat(t_us)
        share = max(heat.anode_j / self._tube.anode.full_j, self._housing_share(heat))
        return self._ambient_c + share * (self._oil.limit_c - self._ambient_c)

    def hot_us(self, course: BeamCourse, t_us: int) -> int:
        """As if it did not cool from now on."""
        left_j = self._tube.anode.full_j - self.heat(t_us).anode_j
        if left_j <= 0.0:
            return t_us
        return course.spends_us(course.energy_j(course.on_us, t_us) + left_j)
