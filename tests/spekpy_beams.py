"""SpekPy's own numbers for some beams, made by `tools/make_spectra.py`: none of them is ours."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

from sim import beam
from tests.project import ROOT

CONTENT = tomllib.loads((ROOT / "tests" / "spekpy_beams.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True, kw_only=True)
class SpekpyBeam:
    kv: float
    aluminium_mm: float
    copper_mm: float
    anode_deg: float
    off_axis_mm: float
    kerma_ugy_per_mas: float
    hvl1_mm_al: float
    hvl2_mm_al: float
    mean_kev: float
    fluence_per_mm2_per_ugy: float

    def __str__(self) -> str:  # the name of a test's case
        where = f"{self.kv:g}kV-{self.aluminium_mm:g}Al-{self.copper_mm:g}Cu"
        return f"{where}-{self.anode_deg:g}deg-{self.off_axis_mm:+g}mm"

    def ours(self) -> beam.Spectrum:
        return beam.spectrum(
            self.kv,
            aluminium_mm=self.aluminium_mm,
            copper_mm=self.copper_mm,
            anode_deg=self.anode_deg,
            off_axis_mm=self.off_axis_mm,
        )


def as_beam(row: list[float]) -> SpekpyBeam:
    return SpekpyBeam(**dict(zip(CONTENT["columns"], row, strict=True)))


BEAMS = [as_beam(row) for row in CONTENT["beams"]]
QUALITIES = {name: as_beam(row) for name, row in CONTENT["qualities"].items()}
