"""SpekPy's own numbers for some beams, as literals that the tests compare our beams with.

Nothing here comes from our table: each row is a tube that SpekPy computes afresh, its own filters
in it. The tests that run where SpekPy is installed take `spekpy_row`, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

BEAMS = Path(__file__).parents[1] / "tests" / "spekpy_beams.toml"
COLUMNS = (
    "kv", "aluminium_mm", "copper_mm", "anode_deg", "off_axis_mm",
    "kerma_ugy_per_mas", "hvl1_mm_al", "hvl2_mm_al", "mean_kev", "fluence_per_mm2_per_ugy",
)  # fmt: skip
SETTING_COUNT = 5  # the first columns say which beam it is, the others what SpekPy says of it
QUALITIES = (  # number, kV, RQR HVL, added Al of the RQA: qc-and-physics.md 1.5
    (2, 40.0, 1.42, 4.0), (3, 50.0, 1.78, 10.0), (4, 60.0, 2.19, 16.0), (5, 70.0, 2.58, 21.0),
    (6, 80.0, 3.01, 26.0), (7, 90.0, 3.48, 30.0), (8, 100.0, 3.97, 34.0), (9, 120.0, 5.00, 40.0),
    (10, 150.0, 6.57, 45.0),
)  # fmt: skip


def settings() -> Iterator[tuple[float, float, float, float, float]]:
    """kV, mm Al, mm Cu, anode angle, off the axis at 1 m (towards the cathode)."""
    for kv in (40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0, 110.0, 120.0, 130.0, 140.0, 150.0):
        for aluminium_mm in (2.0, 2.5, 3.0, 4.0):
            yield kv, aluminium_mm, 0.0, 12.0, 0.0
    for kv in (20.5, 25.0, 30.0, 40.5, 57.5, 69.5, 70.5, 99.5, 133.5, 149.5):  # between the steps
        yield kv, 2.5, 0.0, 12.0, 0.0
    for kv in (60.0, 90.0, 120.0):
        yield kv, 2.5, 0.1, 12.0, 0.0
        yield kv, 2.5, 0.5, 12.0, 0.0
        yield kv, 10.0, 0.0, 12.0, 0.0
    for kv in (40.0, 75.0, 125.0):  # 75 and 125 lie between what the angles were fitted to
        for anode_deg in (6.0, 8.0, 10.0, 14.0, 16.0, 20.0):
            yield kv, 2.5, 0.0, anode_deg, 0.0
        for off_axis_mm in (-150.0, -100.0, -50.0, 50.0, 100.0, 200.0):
            yield kv, 2.5, 0.0, 12.0, off_axis_mm
        yield kv, 3.0, 0.0, 16.0, -150.0


def spekpy_row(setting: tuple[float, ...]) -> list[float]:
    tube = _tube(*setting)
    return [*setting, *_said(tube)]


def _tube(
    kv: float, aluminium_mm: float, copper_mm: float, anode_deg: float, off_axis_mm: float
) -> Any:
    """`x` is given to the constructor: asked for later it leaves out how radiation is directed."""
    import spekpy

    tube = spekpy.Spek(
        kvp=kv, th=anode_deg, x=off_axis_mm / 10.0, z=100.0, dk=0.5, physics="casim",
        mu_data_source="pene",
    )  # fmt: skip
    return tube.multi_filter([("Al", aluminium_mm), ("Cu", copper_mm), ("Air", 1000.0)])


def _said(tube: Any) -> list[float]:
    kerma = tube.get_kerma()
    return [
        _digits(value)
        for value in (
            kerma, tube.get_hvl1(), tube.get_hvl2(), tube.get_emean(),
            tube.get_flu() / 100.0 / kerma,
        )
    ]  # fmt: skip


def _quality_rows() -> Iterator[tuple[str, list[float]]]:
    """RQR: as much aluminium as gives the half-value layer; RQA: its own on top."""
    for number, kv, hvl_mm, added_mm in QUALITIES:
        total_mm = _total_mm(kv, hvl_mm)
        yield f"RQR{number}", spekpy_row((kv, total_mm, 0.0, 12.0, 0.0))
        yield f"RQA{number}", spekpy_row((kv, _digits(total_mm + added_mm), 0.0, 12.0, 0.0))


def _total_mm(kv: float, hvl_mm: float) -> float:
    from scipy.optimize import brentq

    def too_hard_mm(aluminium_mm: float) -> float:
        found: float = _tube(kv, aluminium_mm, 0.0, 12.0, 0.0).get_hvl1()
        return found - hvl_mm

    return _digits(brentq(too_hard_mm, 1.0, 6.0, xtol=1e-4))


def beams_toml(generator: str, made: str) -> str:
    lines = [
        "# SpekPy's own numbers, made by `python -m tools.make_spectra --beams`; none is ours.",
        f'source = "SpekPy {generator}, casim, pene, 0.5 keV, 1 m of air; {made}"',
        f"columns = [{', '.join(_quoted(name) for name in COLUMNS)}]",
        "beams = [",
        *(f"  {spekpy_row(setting)}," for setting in settings()),
        "]",
        "",
        "[qualities]  # IEC 61267:2005; as much Al as SpekPy needs for the RQR half-value layer",
        *(f"{name} = {row}" for name, row in _quality_rows()),
    ]
    return "\n".join(lines) + "\n"


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _quoted(name: str) -> str:
    return f'"{name}"'
