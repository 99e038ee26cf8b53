"""Radiation qualities of IEC 61267: RQR2 to RQR10 and RQA2 to RQA10, and how our tube sets them."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path

from sim import beam

FILE = Path(__file__).with_name("qualities.toml")
_SEARCHED_MM = (0.0, 20.0)  # of total filtration, for the RQR half-value layer
_STEPS_COUNT = 50  # of halving them


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    name: str
    kv: float
    rqr_hvl_mm: float  # of aluminium, as all here; the beam is tuned to it without what is added
    added_mm: float  # 0 for an RQR
    hvl_mm: float  # as published, of this quality itself
    homogeneity: float | None  # HVL1 / HVL2 as published; of an RQA none is at hand
    edition: str
    source: str
    verified: bool


def quality(name: str) -> Quality:
    """Case counts for nothing. ValueError names the nearest, or all."""
    known = _known()
    if name.upper() in known:
        return known[name.upper()]
    near = get_close_matches(name.upper(), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    raise ValueError(f"no radiation quality {name!r}; {hint}")


def names() -> tuple[str, ...]:
    return tuple(_known())


@lru_cache(maxsize=64)
def total_mm_al(name: str, anode_deg: float = beam.ANODE_DEG) -> float:
    """As much aluminium as this quality needs in all; ValueError where the tube is too hard."""
    wanted = quality(name)
    low_mm, high_mm = _SEARCHED_MM

    def hvl_mm_al(aluminium_mm: float) -> float:
        one = beam.spectrum(wanted.kv, aluminium_mm=aluminium_mm, anode_deg=anode_deg)
        return one.hvl_mm_al()

    if not hvl_mm_al(low_mm) <= wanted.rqr_hvl_mm <= hvl_mm_al(high_mm):
        raise ValueError(f"no filtration up to {high_mm:g} mm Al makes {wanted.name}")
    for _ in range(_STEPS_COUNT):  # the half-value layer rises with the filtration
        middle_mm = (low_mm + high_mm) / 2.0
        if hvl_mm_al(middle_mm) >= wanted.rqr_hvl_mm:
            high_mm = middle_mm
        else:
            low_mm = middle_mm
    return high_mm + wanted.added_mm


@cache
def _known() -> dict[str, Quality]:
    with FILE.open("rb") as file:
        content = tomllib.load(file)
    both = {}
    for kind in ("rqr", "rqa"):
        for number, row in content["numbers"].items():
            added = kind == "rqa"
            column = f"{kind}_hvl_mm_al"
            name = f"{kind.upper()}{number}"
            both[name] = Quality(
                name=name,
                kv=row["kv"],
                rqr_hvl_mm=row["rqr_hvl_mm_al"],
                added_mm=row["added_mm_al"] if added else 0.0,
                hvl_mm=row[column],
                homogeneity=None if added else row["rqr_homogeneity"],
                edition=content["edition"],
                source=content["sources"][column],
                verified=content["verified"][column],
            )
    return both
