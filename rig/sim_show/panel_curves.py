"""What is simulated of a panel, as numbers: sharpness, noise, DQE, response, defects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim import lag, panel_defects
from sim.image_truth import ImageTruth
from sim.panel_maps import ELECTRONIC_COUNTS, OFFSET_COUNTS, PanelMaps
from sim.pixels import BOW_PCT
from sim.scintillator import Quality

TOLD_PER_MM = (0.1, 0.2, 0.3, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
_POINTS_COUNT = 101
_LEAST_UGY = 0.01
LAG_WINDOW_US = 1_000_000
TOLD_LAG_S = (0.0, 0.5, 1.0, 3.0)
_LAG_MOST_S, _GHOST_MOST_MIN = 6.0, 60.0
_DIGITS = 5  # of what is told: more is noise of the machine
_BEYOND = 1.3  # the response is shown so far beyond full scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Which one: size and bits as on the wire, its seed."""

    rows_px: int
    columns_px: int
    pitch_mm: float
    bits_count: int
    seed: int

    @property
    def full_scale_counts(self) -> int:
        return (1 << self.bits_count) - 1

    @property
    def nyquist_per_mm(self) -> float:
        return 0.5 / self.pitch_mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    name: str  # of a standard quality, or what was typed
    kv: float
    aluminium_mm: float
    copper_mm: float


def curves(panel: Panel, beam: Beam, quality: Quality, doses_ugy: tuple[float, ...]) -> Any:
    """Everything of one panel in one beam, ready for JSON."""
    truth = ImageTruth(pitch_mm=panel.pitch_mm, quality=quality)
    per_mm = np.linspace(0.0, panel.nyquist_per_mm, _POINTS_COUNT)
    response = _response(panel, quality)
    end_ugy = response["saturates_at_ugy"]
    content = {
        "panel": {
            "rows_px": panel.rows_px,
            "columns_px": panel.columns_px,
            "pitch_mm": panel.pitch_mm,
            "bits_stored": panel.bits_count,
            "seed": panel.seed,
            "nyquist_per_mm": panel.nyquist_per_mm,
        },
        "beam": {
            "quality": beam.name,
            "kvp": beam.kv,
            "total_al_mm": beam.aluminium_mm,
            "cu_mm": beam.copper_mm,
            "fluence_per_mm2_per_ugy": quality.fluence_per_mm2_per_ugy,
            "quanta_per_mm2_per_ugy": quality.quanta_per_mm2_per_ugy,
            "absorbed_pct": quality.efficiency_pct,
            "counts_per_ugy": quality.counts_per_ugy,
        },
        "per_mm": per_mm.tolist(),
        "mtf": truth.mtf(per_mm).tolist(),
        "mtf_half_per_mm": _half_per_mm(truth, panel),
        "doses": [_dose(truth, per_mm, dose, end_ugy) for dose in doses_ugy],
        "response": response,
        "noise": _noise(panel, truth),
        "lag": _lag(),
        "ghost": _ghost(),
        "defects": _defects(panel),
    }
    return rounded(content)


def rounded(part: Any) -> Any:
    """All its numbers to a few digits."""
    if isinstance(part, dict):
        return {name: rounded(one) for name, one in part.items()}
    if isinstance(part, list):
        return [rounded(one) for one in part]
    return float(f"{part:.{_DIGITS}g}") if isinstance(part, float) else part


def at(content: dict[str, Any], values: list[float], per_mm: float) -> float | None:
    """None: beyond Nyquist."""
    known = content["per_mm"]
    return float(np.interp(per_mm, known, values)) if per_mm <= known[-1] else None


def _dose(truth: ImageTruth, per_mm: Any, dose: float, end_ugy: float) -> dict[str, Any]:
    """Beyond full scale all pixels are alike: no noise power, no DQE."""
    if dose > end_ugy:
        return {"kerma_ugy": dose, "saturated": True, "nnps_mm2": None, "dqe": None}
    return {
        "kerma_ugy": dose,
        "saturated": False,
        "nnps_mm2": truth.nnps_mm2(per_mm, np.zeros_like(per_mm), dose).tolist(),
        "dqe": truth.dqe(per_mm, dose).tolist(),
    }


def _lag() -> dict[str, Any]:
    """In a window of 1 s that opens so long after the exposed one has closed."""
    gap_s = np.linspace(0.0, _LAG_MOST_S, _POINTS_COUNT)
    return {
        "window_s": LAG_WINDOW_US / 1e6,
        "gap_s": gap_s.tolist(),
        "share_pct": [lag_pct(each) for each in gap_s],
    }


def lag_pct(gap_s: float) -> float:
    return 100.0 * lag.kept(round(gap_s * 1e6), LAG_WINDOW_US).lag


def _ghost() -> dict[str, Any]:
    """Of the gain, after one exposure of full scale."""
    after_min = np.linspace(0.0, _GHOST_MOST_MIN, _POINTS_COUNT)
    return {"after_min": after_min.tolist(), "gain_pct": [ghost_pct(each) for each in after_min]}


def ghost_pct(after_min: float) -> float:
    filled = lag.kept(round(after_min * 60e6), LAG_WINDOW_US).ghost
    return lag.GHOST_PCT * filled / (1.0 + filled)


def _half_per_mm(truth: ImageTruth, panel: Panel) -> float | None:
    """Where MTF is one half; None: not up to Nyquist."""
    per_mm = np.linspace(0.0, panel.nyquist_per_mm, 10_001)
    below = np.flatnonzero(truth.mtf(per_mm) <= 0.5)
    return float(per_mm[below[0]]) if len(below) else None


def _response(panel: Panel, quality: Quality) -> dict[str, Any]:
    """Counts above no beam, of a mean pixel, in one frame."""
    full = panel.full_scale_counts
    room = full - OFFSET_COUNTS
    bow = BOW_PCT / 100.0
    signal_at_end = full * (1.0 - np.sqrt(1.0 - 4.0 * bow * room / full)) / (2.0 * bow)
    end_ugy = float(signal_at_end / quality.counts_per_ugy)
    kerma_ugy = np.linspace(0.0, _BEYOND * end_ugy, _POINTS_COUNT)
    signal = quality.counts_per_ugy * kerma_ugy
    counts = np.minimum(signal * (1.0 - bow * np.minimum(signal / full, 1.0)), room)
    return {
        "kerma_ugy": kerma_ugy.tolist(),
        "counts": counts.tolist(),
        "full_scale_counts": full,
        "offset_counts": OFFSET_COUNTS,
        "bow_pct": BOW_PCT,
        "saturates_at_ugy": end_ugy,
    }


def _noise(panel: Panel, truth: ImageTruth) -> dict[str, Any]:
    """Sigma of a pixel, from hardly any dose to full scale."""
    most_ugy = panel.full_scale_counts / truth.quality.counts_per_ugy
    kerma_ugy = np.geomspace(_LEAST_UGY, most_ugy, _POINTS_COUNT)
    total = np.array([truth.noise_counts(float(one)) for one in kerma_ugy])
    dark = truth.noise_counts(0.0)
    return {
        "kerma_ugy": kerma_ugy.tolist(),
        "sigma_counts": total.tolist(),
        "quanta_counts": np.sqrt(total**2 - dark**2).tolist(),
        "dark_counts": dark,
        "electronic_counts": ELECTRONIC_COUNTS,
    }


def _defects(panel: Panel) -> dict[str, Any]:
    found = PanelMaps(
        panel.seed,
        (panel.rows_px, panel.columns_px),
        full_scale_counts=panel.full_scale_counts,
        bow_pct=BOW_PCT,
    ).defects
    beyond = {name: int(mask.sum()) for name, mask in found.classes.items()}
    return {
        "beyond_limit": beyond,
        "near_limit": {name: int(mask.sum()) for name, mask in found.near_limit.items()},
        "stuck_at_full_scale": int(found.stuck.sum()),
        "clusters_of_nine": panel_defects.CLUSTER_COUNT,
        "total": sum(beyond.values()),
        "share_pct": 100.0 * sum(beyond.values()) / (panel.rows_px * panel.columns_px),
    }
