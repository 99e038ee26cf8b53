"""Panels of full size with 16 bits: from a bench file to the DICOM file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from firmware_py.recorder.image.correct import PEDESTAL_COUNT
from rig.run_model import ModelRun
from rig.scenario import SHIPPED, load_scenario
from sim.beam import kerma_ugy
from sim.pixels import COUNTS_PER_UGY
from tests.routine_bench import quick_bench

PITCH_MM = 0.139

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


@pytest.mark.parametrize(("rows_px", "columns_px"), [(3072, 3072), (2500, 3052)])
def test_an_exposure_on_a_panel_of_full_size_ends_as_a_dicom_file(
    rows_px: int, columns_px: int, tmp_path: Path
) -> None:
    size = {"rows_px": str(rows_px), "columns_px": str(columns_px), "pitch_mm": str(PITCH_MM)}
    bench = quick_bench(tmp_path, panel=size | {"bits_stored": "16"})
    folder = tmp_path / "run"
    folder.mkdir()
    made = ModelRun(bench, load_scenario(SHIPPED / "clean_by_mas.toml"), folder)
    assert made.run().image_count == 1
    (path,) = folder.rglob("processing.dcm")
    image = pydicom.dcmread(path)
    assert (image.Rows, image.Columns, image.BitsStored) == (rows_px, columns_px, 16)
    pixels = image.pixel_array.astype(np.float64) - PEDESTAL_COUNT
    assert pixels.shape == (rows_px, columns_px)

    def around(down_mm: float, across_mm: float) -> float:
        """The median of 40 x 40 pixels so far from the panel's middle."""
        row = rows_px // 2 + round(down_mm / PITCH_MM)
        column = columns_px // 2 + round(across_mm / PITCH_MM)
        return float(np.median(pixels[row - 20 : row + 20, column - 20 : column + 20]))

    mas = made.rung.world.generator.courses[0].charge_mas(0, 10**9)
    open_counts = kerma_ugy(80.0, mas) * COUNTS_PER_UGY
    assert around(-92.0, 92.0) == pytest.approx(open_counts, rel=0.01)  # beside the hand
    assert abs(around(-150.0, 150.0)) < 5.0  # outside the blades
    field = pixels[rows_px // 2 - 600 : rows_px // 2 + 600, columns_px // 2 - 600 :][:, :1200]
    behind = np.mean((field > 0.1 * open_counts) & (field < 0.9 * open_counts))
    assert 0.1 < behind < 0.6  # the hand's part of it
