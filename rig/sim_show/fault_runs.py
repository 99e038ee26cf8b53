"""What a fault does to what people see: an exposure each on the model rung, and its observables.

Indicated values are the unit's own record; the meter lies in the beam (`sim.meter`); the image is
the corrected one of the ordinary file, read as a stranger would.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rig.bench import load_bench
from rig.run_model import ModelRun
from rig.scenario import SHIPPED, Scenario, StepSection, load_scenario
from rig.signatures import Signature
from sim.beam import spectrum
from sim.phantoms import PHANTOMS
from sim.scintillator import quality_of

BENCH = "room"  # it has all that may fail: rotor, chambers, collimator
FIELD_MM = 160.0
MIDDLE_MM = 40.0  # the square in which the image is read
SIDE_MM = 60.0  # from the middle to the left and to the right: where its sides are read
EI_PER_UGY = 100.0  # IEC 62494-1: at the calibration quality 1 uGy is EI 100
CALIBRATION = (70.0, {"aluminium": 21.0})  # RQA5; its beam's own filtration as the tube has it

Image = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """None where there was nothing to see."""

    ready_ms: float | None  # from the press to READY
    end: str
    kv: float | None  # indicated, as are the next two
    ma: float | None
    mas: float | None
    meter_kv: float | None
    meter_mas: float | None
    meter_ms: float | None
    output_ugy_per_mas: float | None
    hvl_mm_al: float | None
    ei: float | None
    arcs_count: int
    pattern_pct: float | None  # sigma of the middle, rows and columns taken out; even phantoms only
    row_pct: float | None  # the row that stands out most; even phantoms only
    field_off_mm: float | None  # rows: where the field is, less where its light was
    sides_pct: float | None  # darker than the middle, left and right


def observe(fault: Signature) -> Observed:
    """Runs it: about a second."""
    bench = load_bench(BENCH)
    with TemporaryDirectory(prefix="dxrig-") as folder:
        run = ModelRun(bench, _scenario(fault), Path(folder))
        run.run()
        image = _image(Path(folder))
    seen = _seen_in(image, bench.unit.panel.pitch_mm, even=_is_even(fault.phantom))
    return _observed(run, seen)


def _scenario(fault: Signature) -> Scenario:
    clean = load_scenario(SHIPPED / "clean_by_mas.toml")
    before: list[tuple[str, dict[str, Any]]] = [
        ("phantom", {"name": fault.phantom}),
        ("geometry", {"rows_mm": FIELD_MM, "columns_mm": FIELD_MM}),
        *fault.steps,
    ]
    first = [StepSection(event="STANDBY", do=verb, args=args) for verb, args in before]
    changed = {"name": "fault", "shot": fault.shot, "step": [*first, *clean.step]}
    return clean.model_copy(update=changed)


def _observed(run: ModelRun, seen: dict[str, float | None]) -> Observed:
    lines = run.seen().lines
    report = next((line for line in lines if line["kind"] == "report"), {})
    readings = run.rung.world.meter.readings()
    meter = readings[0] if readings else None
    return Observed(
        ready_ms=_ready_ms(lines),
        end=report.get("fault") or report.get("reason", "no beam"),
        kv=report.get("kv"),
        ma=report.get("ma"),
        mas=report.get("mas"),
        meter_kv=None if meter is None else meter.kv,
        meter_mas=None if meter is None else meter.mas,
        meter_ms=None if meter is None else meter.time_ms,
        output_ugy_per_mas=None if meter is None else meter.output_ugy_per_mas,
        hvl_mm_al=None if meter is None else meter.hvl_mm_al,
        arcs_count=run.rung.world.generator.arcs_count,
        **seen,
    )


def _ready_ms(lines: list[dict[str, Any]]) -> float | None:
    at_us: dict[str, int] = {
        line["to"]: line["t_us"] for line in reversed(lines) if line["kind"] == "state"
    }
    if "PREP" not in at_us or "READY" not in at_us:
        return None
    return (at_us["READY"] - at_us["PREP"]) / 1000


# --- the image


def _image(folder: Path) -> Image | None:
    """For Processing: linear in kerma."""
    import pydicom

    files = list(folder.rglob("processing.dcm"))
    return pydicom.dcmread(files[0]).pixel_array.astype(np.float64) if files else None


def _is_even(phantom: str) -> bool:
    """The same everywhere: what varies in its image is the panel's or the beam's."""
    one = PHANTOMS[phantom]
    return not one.shapes and not one.plates and one.paint is None


def _seen_in(image: Image | None, pitch_mm: float, *, even: bool = True) -> dict[str, float | None]:
    """`even`: so is the phantom; of another, anatomy would be told as a pattern."""
    if image is None:
        return dict.fromkeys(("ei", "pattern_pct", "row_pct", "field_off_mm", "sides_pct"))
    half = round(MIDDLE_MM / 2 / pitch_mm)
    row, column = (length // 2 for length in image.shape)
    middle = image[row - half : row + half, column - half : column + half]
    level = float(np.median(middle))
    rows = middle.mean(axis=1)
    rest = middle - rows[:, None] - middle.mean(axis=0) + middle.mean()
    return {
        "ei": EI_PER_UGY * level / _counts_per_ugy(),
        "pattern_pct": 100 * float(rest.std()) / level if even else None,
        "row_pct": 100 * float(abs(rows - np.median(rows)).max()) / level if even else None,
        "field_off_mm": _middle_px(image.mean(axis=1)) * pitch_mm,
        "sides_pct": (
            100 * (1 - _sides(image[row - half : row + half], pitch_mm) / level) if even else None
        ),
    }


def _sides(rows: Image, pitch_mm: float) -> float:
    """The mean of two strips as wide as an eighth of MIDDLE_MM each way."""
    middle, off, half = rows.shape[1] // 2, SIDE_MM / pitch_mm, MIDDLE_MM / 8 / pitch_mm
    strips = [rows[:, round(middle + at - half) : round(middle + at + half)] for at in (-off, off)]
    return float(np.mean([np.median(strip) for strip in strips if strip.size]))


def _middle_px(profile: Image) -> float:
    """Where the field's middle stands, from the panel's, by its two edges at half light."""
    from_end = len(profile) - _edge_px(profile[::-1])
    return (_edge_px(profile) + from_end) / 2 - len(profile) / 2


def _edge_px(profile: Image) -> float:
    """From the start; pixel k lies between k and k + 1."""
    half = float(profile.min() + profile.max()) / 2
    lit = int(np.argmax(profile > half))
    if lit == 0:
        return 0.0
    before, after = profile[lit - 1], profile[lit]
    return lit - 0.5 + float((half - before) / (after - before))


@cache
def _counts_per_ugy() -> float:
    """In the calibration beam."""
    kv, added_mm = CALIBRATION
    return quality_of(spectrum(kv).behind(added_mm)).counts_per_ugy
