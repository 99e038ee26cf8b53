"""Heat of a tube: the anode warms its housing, the housing the room. One step over any time.

A stator in the housing warms it, too, by itself: heat in proportion adds up (`Store.left_j`).

The anode loses cooling_w * (heat / full) ** order, order 1 (conduction) or 2; published cooling
curves lie between (qc-and-physics.md 2.3). The housing takes what the anode loses and loses in
proportion to its own heat. All heat is above that of the room. Under a power that stays the same
both have a solution: `after` evaluates it from the start of a span, so that it does not matter in
how many pieces a span is walked. Only a housing beside an anode of order 2 has no solution in
elementary functions: there one integral is taken by Gauss's quadrature, to the accuracy of floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sim.tube_data import TubeSheet

# Gauss-Legendre, 10 nodes on -1..1: (node, weight), the other half by symmetry.
_GAUSS = (
    (0.1488743389816312, 0.29552422471475287),
    (0.4333953941292472, 0.26926671930999635),
    (0.6794095682990244, 0.21908636251598204),
    (0.8650633666889845, 0.1494513491505806),
    (0.9739065285171717, 0.06667134430868814),
)
_FORGOTTEN = 40.0  # time constants: what a housing took before has decayed below a float's last bit


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """What stores heat, and how it loses it."""

    full_j: float
    cooling_w: float  # when full
    order: int = 1  # which power of the heat the loss goes with

    @property
    def tau_s(self) -> float:
        """In which a store of order 1 falls to 1/e."""
        return self.full_j / self.cooling_w

    def loss_w(self, heat_j: float) -> float:
        return float(self.cooling_w * (heat_j / self.full_j) ** self.order)

    def steady_j(self, power_w: float) -> float:
        """The heat at which the loss is `power_w`."""
        return float(self.full_j * (power_w / self.cooling_w) ** (1 / self.order))

    def after(self, heat_j: float, span_s: float, power_w: float = 0.0) -> float:
        """The heat after `span_s` >= 0 with the same power."""
        steady_j = self.steady_j(power_w)
        if self.order == 1:
            return steady_j + (heat_j - steady_j) * math.exp(-span_s / self.tau_s)
        if steady_j == 0.0:
            return heat_j / (1 + heat_j * span_s / (self.full_j * self.tau_s))
        reached = math.tanh(span_s * self._rate_per_s(steady_j))
        return steady_j * (heat_j + steady_j * reached) / (steady_j + heat_j * reached)

    def reaches_s(self, heat_j: float, wanted_j: float, power_w: float = 0.0) -> float:
        """After which time `heat_j` has become `wanted_j`; infinite: never, or it was before."""
        steady_j = self.steady_j(power_w)
        if heat_j == wanted_j:
            return 0.0
        if not min(heat_j, steady_j) <= wanted_j <= max(heat_j, steady_j) or wanted_j == steady_j:
            return math.inf
        if self.order == 1:
            return self.tau_s * math.log((heat_j - steady_j) / (wanted_j - steady_j))
        if steady_j == 0.0:
            return self.full_j * self.tau_s * (1 / wanted_j - 1 / heat_j)
        reached = steady_j * (wanted_j - heat_j) / (steady_j**2 - heat_j * wanted_j)
        return math.atanh(reached) / self._rate_per_s(steady_j)

    def left_j(self, power_w: float, from_s: float, to_s: float) -> float:
        """Of order 1: what is left now of a power that came from `from_s` to `to_s` ago."""
        decayed = math.exp(-to_s / self.tau_s) * -math.expm1(-(from_s - to_s) / self.tau_s)
        return power_w * self.tau_s * decayed

    def _rate_per_s(self, heat_j: float) -> float:
        """Of an order of 2: how fast it changes at that heat."""
        return heat_j / (self.full_j * self.tau_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """Above that of the room."""

    anode_j: float = 0.0
    housing_j: float = 0.0

    def with_more(self, energy_j: float) -> Heat:
        """So much at once into the anode: a beam that is short against every time constant."""
        return Heat(anode_j=self.anode_j + energy_j, housing_j=self.housing_j)


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeHeat:
    anode: Store
    housing: Store | None = None  # None: nothing is known of it, and it keeps nothing

    def after(self, heat: Heat, span_s: float, power_w: float = 0.0) -> Heat:
        """After `span_s` >= 0 with the same power into the anode."""
        anode_j = self.anode.after(heat.anode_j, span_s, power_w)
        if self.housing is None:
            return Heat(anode_j=anode_j)
        left_j = heat.housing_j * math.exp(-span_s / self.housing.tau_s)
        taken_j = _taken_j(self.anode, self.housing.tau_s, heat.anode_j, span_s, power_w)
        return Heat(anode_j=anode_j, housing_j=left_j + taken_j)


def tube_heat(sheet: TubeSheet) -> TubeHeat:
    """Of a data sheet. Raises TubeError where it has no heat of the anode."""
    anode = Store(
        full_j=sheet["anode_heat_j"],
        cooling_w=sheet["anode_cooling_w"],
        order=round(sheet["anode_cooling_order"]),
    )
    return TubeHeat(anode=anode, housing=housing_of(sheet))


def housing_of(sheet: TubeSheet) -> Store | None:
    if "housing_heat_j" not in sheet:
        return None
    return Store(full_j=sheet["housing_heat_j"], cooling_w=sheet["housing_cooling_w"])


# --- what the housing keeps of what the anode gave it in a span


def _taken_j(anode: Store, tau_s: float, heat_j: float, span_s: float, power_w: float) -> float:
    """Integral of the anode's loss, each part of it decaying with `tau_s` until the end."""
    if anode.order == 1:
        steady = power_w * tau_s * -math.expm1(-span_s / tau_s)
        above_w = anode.loss_w(heat_j) - power_w
        return steady + above_w * _both_decay_s(anode.tau_s, tau_s, span_s)
    kept_w = lambda at_s: (  # noqa: E731 (the integrand)
        anode.loss_w(anode.after(heat_j, at_s, power_w)) * math.exp((at_s - span_s) / tau_s)
    )
    start_s = max(0.0, span_s - _FORGOTTEN * tau_s)
    changes_s = _changes_s(anode, heat_j, power_w)
    return sum(_gauss(kept_w, *piece) for piece in _pieces(start_s, span_s, changes_s, tau_s))


def _both_decay_s(one_s: float, other_s: float, span_s: float) -> float:
    """Integral over s of exp(-s / one_s) * exp(-(span_s - s) / other_s)."""
    apart = span_s * abs(1 / one_s - 1 / other_s)
    share = -math.expm1(-apart) / apart if apart else 1.0
    return span_s * math.exp(-span_s / max(one_s, other_s)) * share


def _changes_s(anode: Store, heat_j: float, power_w: float) -> float:
    """The time in which the anode's loss begins to change."""
    fastest_j = max(heat_j, anode.steady_j(power_w))
    return anode.full_j * anode.tau_s / fastest_j if fastest_j else math.inf


def _pieces(
    start_s: float, end_s: float, changes_s: float, tau_s: float
) -> Iterator[tuple[float, float]]:
    """Each no longer than the housing's time constant, or than the anode's change there.

    The loss is a rational function or a tanh, whose nearest pole lies `changes_s` before 0 or
    further: a piece that is as long as its distance to it costs the rule less than 1e-15.
    """
    while start_s < end_s:
        next_s = min(end_s, start_s + min(tau_s, changes_s + start_s))
        yield start_s, next_s
        start_s = next_s


def _gauss(of: Callable[[float], float], start_s: float, end_s: float) -> float:
    middle_s, half_s = (start_s + end_s) / 2, (end_s - start_s) / 2
    pairs = ((of(middle_s - half_s * x) + of(middle_s + half_s * x), w) for x, w in _GAUSS)
    return half_s * sum(both * weight for both, weight in pairs)
