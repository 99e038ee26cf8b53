"""What each word of `dxrig sim show` takes for a beam: the same ranges for all."""

from __future__ import annotations

from rig.options import Numbers

KV = Numbers(20, 150)  # what the table of spectra has
ALUMINIUM_MM = Numbers(0, 100)
COPPER_MM = Numbers(0, 10)
LEAST_UGY_PER_MAS = 0.001  # at 1 m, some 30 photons per mm2: with less there is nothing to show
