"""What a tube bears: power on its focal spot, heat of its anode, heat of its housing, each apart.

Of a rotating anode the power for 0.1 s stands in the data sheet. For other times and speeds it
goes, as Oosterkamp's equation has it, with sqrt(f) / (1 + K * sqrt(t * f)), f turns a second: a
point of the track is heated in passing, and the track by all that has passed. Shorter than one
turn it is that of one turn. The equation is from memory and K is *chosen*; of the four powers
that data sheets give for 50 and for 60 Hz (Toshiba E7884, E7894) the second is 1.034 to 1.100
of the first, 1.071 in the mean, and this gives 1.072. A stationary anode bears its power for
any time. That no technique is judged by one number alone is the reference's (2.3), as are 90 and
100 % (SR-14).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sim.tube_data import TubeError, TubeSheet
from sim.tube_heat import Heat, TubeHeat, tube_heat

TRACK = 0.13  # K
SHEET_S = 0.1  # for which data sheets give the power
SHEET_RPM = 3_000.0  # where a sheet does not say at which speed: 50 Hz at the stator
REFUSE_PCT = 100.0
FOCI = ("large", "small")


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One of the three that are judged."""

    what: str  # "focal spot", "anode", "housing"
    used_pct: float  # of what it bears
    text: str

    @property
    def refused(self) -> bool:
        return self.used_pct > REFUSE_PCT


@dataclass(frozen=True, slots=True, kw_only=True)
class Focus:
    name: str
    size_mm: float
    power_w: float  # as the sheet has it
    sheet_rpm: float | None  # ... at this speed; None: a stationary anode

    def most_w(self, span_s: float, rpm: float | None = None) -> float:
        """What it bears for `span_s`, at the sheet's speed or another."""
        if self.sheet_rpm is None:
            return self.power_w
        rpm = self.sheet_rpm if rpm is None else rpm
        share = _borne(span_s, rpm / 60) / _borne(SHEET_S, self.sheet_rpm / 60)
        return self.power_w * share


def _borne(span_s: float, turns_hz: float) -> float:
    if turns_hz <= 0.0:
        return 0.0  # of an anode that stands nothing is known, so nothing is allowed
    span_s = max(span_s, 1 / turns_hz)
    return math.sqrt(turns_hz) / (1 + TRACK * math.sqrt(span_s * turns_hz))


def focus_of(sheet: TubeSheet, name: str = "large") -> Focus:
    """Raises TubeError where the sheet has not got its power."""
    if name not in FOCI:
        raise TubeError(f"{sheet.name}.toml: no focal spot {name!r}; there are {', '.join(FOCI)}")
    sheet_hz = sheet.get("rating_hz")
    sheet_rpm = SHEET_RPM if sheet_hz is None else 60 * sheet_hz
    return Focus(
        name=name,
        size_mm=sheet[f"{name}_mm"],
        power_w=sheet[f"{name}_w"],
        sheet_rpm=sheet_rpm if sheet.anode == "rotating" else None,
    )


def foci_of(sheet: TubeSheet) -> list[Focus]:
    """Those whose power is known."""
    return [focus_of(sheet, name) for name in FOCI if f"{name}_w" in sheet]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    foci: tuple[Focus, ...]
    heat: TubeHeat | None  # None: the sheet has none

    def loads(
        self,
        kv: float,
        ma: float,
        span_s: float,
        *,
        focus: str = "large",
        heat: Heat | None = None,
        rpm: float | None = None,
    ) -> tuple[Load, ...]:
        """What one beam asks of the tube, in the order in which it is told.

        `heat`: what is stored already; None = a cold tube. Cooling in the beam is not counted.
        Raises TubeError for a focal spot that has no power.
        """
        heat, power_w = heat or Heat(), kv * ma
        loads = [self._spot(focus, power_w, span_s, rpm)]
        if self.heat is not None:
            energy_j = power_w * span_s
            loads.append(_stored("anode", heat.anode_j, energy_j, self.heat.anode.full_j))
            if self.heat.housing is not None:
                # All that the anode holds is the housing's at last.
                held_j = heat.housing_j + heat.anode_j
                loads.append(_stored("housing", held_j, energy_j, self.heat.housing.full_j))
        return tuple(loads)

    def _spot(self, name: str, power_w: float, span_s: float, rpm: float | None) -> Load:
        known = {focus.name: focus for focus in self.foci}
        if name not in known:
            raise TubeError(f"no power of a {name} focal spot; there are {', '.join(known)}")
        most_w = known[name].most_w(span_s, rpm)
        text = f"{power_w / 1e3:.3g} kW for {span_s:g} s, and {most_w / 1e3:.3g} kW is the most"
        return Load(what="focal spot", used_pct=_pct(power_w, most_w), text=text)


def rating_of(sheet: TubeSheet) -> Rating:
    heat = tube_heat(sheet) if "anode_heat_j" in sheet else None
    return Rating(foci=tuple(foci_of(sheet)), heat=heat)


def refusals(loads: tuple[Load, ...]) -> list[str]:
    """A sentence for each that is above its limit; nothing: the tube bears it."""
    return [f"{load.what}: {load.text} ({load.used_pct:.0f} %)" for load in loads if load.refused]


def _stored(what: str, held_j: float, energy_j: float, full_j: float) -> Load:
    text = f"{_kj(energy_j)} kJ on top of {_kj(held_j)} kJ, and {_kj(full_j)} kJ is the most"
    return Load(what=what, used_pct=_pct(held_j + energy_j, full_j), text=text)


def _kj(energy_j: float) -> str:
    """Four digits, and never an exponent."""
    return f"{energy_j / 1e3:.0f}" if energy_j >= 1e6 else f"{energy_j / 1e3:.4g}"


def _pct(asked: float, most: float) -> float:
    if most > 0.0:
        return 100 * asked / most
    return math.inf if asked > 0.0 else 0.0
