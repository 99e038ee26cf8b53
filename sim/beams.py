"""What there really was: the simulator's own integral over all beams of a generator."""

from __future__ import annotations

from collections.abc import Sequence

from sim.beamline import BeamCourse
from sim.condition import Light


def light(courses: Sequence[BeamCourse], from_us: int, to_us: int) -> Light:
    """What a panel sees: of several beams, in the condition of the newest."""
    there = lights(courses, from_us, to_us)
    mas, kv = sum(one.mas for one in there), exposure(courses, from_us, to_us)[1]
    return Light(mas, kv, there[-1].condition) if there else Light(mas, kv)


def lights(courses: Sequence[BeamCourse], from_us: int, to_us: int) -> list[Light]:
    """As `light`, of each beam with its own kV: what adds up in a DAP meter."""
    charges = ((one, one.light_mas(from_us, to_us)) for one in courses)
    return [
        Light(one.output * mas, one.peak_kv(from_us, to_us), one.condition)
        for one, mas in charges
        if mas > 0
    ]


def exposure(courses: Sequence[BeamCourse], from_us: int, to_us: int) -> tuple[float, float]:
    """(mAs, peak kV) that really were between the two times."""
    charges = [(one.charge_mas(from_us, to_us), one.peak_kv(from_us, to_us)) for one in courses]
    mas = sum(charge for charge, _ in charges)
    kv = max((kv for charge, kv in charges if charge > 0), default=0.0)
    return mas, kv
