"""Tiny calibration sets, for tests that need no picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from firmware_py.recorder.image.maps import Mask, PanelSet, all_parts

TODAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def a_set(**changes: object) -> PanelSet:
    """8 x 8 pixels without a defect; made ten days before TODAY, valid for 80 days after it."""
    facts: dict[str, object] = {
        "panel_id": "P1",
        "unit_serial": "SIM-0001",
        "parts": all_parts(
            created=TODAY - timedelta(days=10), valid_until=TODAY + timedelta(days=80)
        ),
        "offset": np.full((8, 8), 100.0, np.float32),
        "gain": np.full((8, 8), 2.0, np.float32),
        "defects": np.zeros((8, 8), np.bool_),
        "counts_per_ugy": 100.0,
        "beam_quality": "80 kV, 2.5 mm Al",
    }
    return PanelSet(**(facts | changes))  # type: ignore[arg-type]


def defects_at(*places: tuple[int, int]) -> Mask:
    mask = np.zeros((8, 8), np.bool_)
    for place in places:
        mask[place] = True
    return mask
