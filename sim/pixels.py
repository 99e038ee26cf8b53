"""From kerma to raw counts: one plain panel, one Gaussian number per pixel.

    s = gain * COUNTS_PER_UGY * (kerma * transmission + lag)
    raw = offset + dark * window + s * (1 - bow * s / full scale) + noise

clipped to the ADC's range. Quantum noise is Gaussian (honest above some 50 quanta per
pixel; below, electronic noise rules here) and joined with electronic noise in one draw.
Lag is linear and time-invariant, by frames: a share of each of the last exposures, seen
with the kV and the phantom of that time; it adds no noise of its own. Single pixels
deviate in gain, noise, lag and bow: see `sim.panel_defects`. Left out on purpose, for a
later model: blur (MTF), scatter, heel effect, ghosts (a gain that remembers), line noise,
energy response of the scintillator, temperature.

The scale is a design choice: 100 counts per uGy, so 14 bits end at about 160 uGy and an
open field of 80 kV, 1 mAs at 1 m (78 uGy) stands near the middle. Real panels are more
sensitive: a 139 um panel is linear to about 64 uGy (qc-and-physics.md 3.4), and a
portable source at so few mAs on an open field would saturate it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim import beam, panel_defects, phantom

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
_Scene = tuple[float, str, tuple[float, float]]  # kV, phantom, field
Light = tuple[Floats, np.float32]
"""(counts per uGy of open beam, rows x columns; uGy)"""

COUNTS_PER_UGY = 100.0
OFFSET_COUNTS = 300.0
DARK_COUNTS_PER_S = 4.0
ELECTRONIC_COUNTS = 2.0  # sigma
QUANTA_PER_UGY_MM2 = 30_600.0  # 600 per uGy in a 140 um pixel at RQA5 (qc-and-physics.md 3.4)
DQE = 0.65  # at frequency 0; published panels have 0.6-0.7
HOT_COUNTS = 8000.0  # a noisy pixel has so much more offset
BOW_PCT = 1.0  # missing at full scale
# Share of a signal that is seen again in the 1st, 2nd, ... frame after it (qc-and-physics.md
# 3.3: the first within 2-10 %, the others at 25 % of saturation). Nothing later.
LAG_SHARES = (0.020, 0.007, 0.004, 0.003)
_BLOCK_ROWS = 32  # the working set of one block stays in the cache
_MAP_STREAM = (1 << 64) - 1  # no frame has this number


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueMaps:
    """What a perfect calibration would find; rows x columns."""

    offset: Floats  # counts without beam, for the window that was asked for
    gain: Floats  # response to a small signal relative to the nominal one; 0 = dead
    defects: Mask  # of any class
    classes: Mapping[str, Mask]  # beyond the limit, by class: see `panel_defects.CLASSES`
    near_limit: Mapping[str, Mask]  # worse than others, but no defects
    bow_pct: float  # of a signal at full scale is missing: 1 - bow * signal / full scale


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What reached the panel in the window of one frame, and through what."""

    mas: float
    kv: float
    phantom_name: str
    frame_count: int  # of the frames before it, since power-on
    sid_mm: float | None = None  # None: the model's own
    field_mm: tuple[float, float] | None = None  # rows, columns at the detector


class PixelModel:
    """The same seed gives the same maps; with the same history, a frame number the same frame."""

    def __init__(
        self,
        *,
        rows_px: int,
        columns_px: int,
        pitch_mm: float,
        seed: int = 1,
        bits: int = 14,
        sid_mm: float = 1000.0,
        field_mm: tuple[float, float] = phantom.FIELD_MM,
        aluminium_mm: float = beam.INHERENT_MM_AL,
        copper_mm: float = 0.0,
        objects: tuple[phantom.Shape, ...] = phantom.OBJECTS,
        bow_pct: float = BOW_PCT,
    ) -> None:
        """`objects` and `field_mm` are the phantom "hand"; "none" is the open beam."""
        self.rows_px, self.columns_px, self.pitch_mm = rows_px, columns_px, pitch_mm
        self.seed, self.bits, self.sid_mm, self.bow_pct = seed, bits, sid_mm, bow_pct
        self._filtration = {"aluminium_mm": aluminium_mm, "copper_mm": copper_mm}
        self._field_mm = field_mm
        self._bare_mm = phantom.thickness_maps(
            rows_px, columns_px, pitch_mm, field_mm=None, objects=objects
        )
        self._draw_maps(_stream(seed, _MAP_STREAM))
        self._responses: dict[_Scene, Floats] = {}

    @property
    def full_scale_counts(self) -> int:
        return (1 << self.bits) - 1

    def maps(self, window_us: int) -> TrueMaps:
        """A window's offset includes the dark current that gathers in it."""
        offset = self._offset + np.float32(window_us / 1e6) * self._dark
        classes = {name: mask.copy() for name, mask in self._defects.classes.items()}
        return TrueMaps(
            offset=offset,
            gain=self._gain.copy(),
            defects=np.logical_or.reduce([*classes.values()]),
            classes=classes,
            near_limit={name: mask.copy() for name, mask in self._defects.near_limit.items()},
            bow_pct=self.bow_pct,
        )

    def frame(
        self,
        mas: float,
        kv: float,
        window_us: int,
        frame_count: int,
        phantom_name: str = phantom.DEFAULT,
        earlier: Sequence[Exposure] = (),
        *,
        sid_mm: float | None = None,
        field_mm: tuple[float, float] | None = None,
    ) -> NDArray[np.uint16]:
        """Raw counts, rows x columns. No charge: a dark frame, with the lag of `earlier`."""
        light = self._light(
            Exposure(
                mas=mas, kv=kv, phantom_name=phantom_name, frame_count=frame_count,
                sid_mm=sid_mm, field_mm=field_mm,
            )
        )  # fmt: skip
        lags = self._lags(frame_count, earlier)
        rng = _stream(self.seed, frame_count)
        raw = np.empty((self.rows_px, self.columns_px), np.uint16)
        for top in range(0, self.rows_px, _BLOCK_ROWS):
            rows = slice(top, top + _BLOCK_ROWS)
            self._fill(raw[rows], rows, rng, light, lags, window_us / 1e6)
        return raw

    def _light(self, one: Exposure) -> Light | None:
        sid_mm = self.sid_mm if one.sid_mm is None else one.sid_mm
        kerma_ugy = beam.kerma_ugy(one.kv, one.mas, sid_mm, **self._filtration)
        if not kerma_ugy:
            return None
        return self._response_at(one), np.float32(kerma_ugy)

    def _lags(self, frame_count: int, earlier: Sequence[Exposure]) -> list[Light]:
        """What is left of each exposure that this frame still sees."""
        shares = dict(enumerate(LAG_SHARES, start=1))  # by age in frames
        lags = []
        for one in earlier:
            share = shares.get(frame_count - one.frame_count)
            light = self._light(one) if share else None
            if share and light:
                lags.append((light[0], light[1] * np.float32(share)))
        return lags

    def _fill(
        self,
        raw: NDArray[np.uint16],
        rows: slice,
        rng: np.random.Generator,
        light: Light | None,
        lags: list[Light],
        window_s: float,
    ) -> None:
        counts = rng.standard_normal(raw.shape, dtype=np.float32)
        sigma, signal = self._sigma[rows], np.zeros(raw.shape, np.float32)
        if light is not None:
            signal += light[0][rows] * light[1]
            sigma = np.sqrt(signal * np.float32(self._counts_per_quantum()) + sigma * sigma)
        counts *= sigma
        if lags:
            signal += self._defects.lag[rows] * sum(response[rows] * ugy for response, ugy in lags)
        if light is not None or lags:
            counts += self._bent(signal, rows)
        counts += self._offset[rows]
        counts += self._dark[rows] * np.float32(window_s)
        np.rint(counts, out=counts)
        np.clip(counts, 0.0, self.full_scale_counts, out=counts)
        raw[...] = counts

    def _bent(self, signal: Floats, rows: slice) -> Floats:
        """Bent no further beyond full scale: more beam never shows less."""
        missing = np.minimum(signal / np.float32(self.full_scale_counts), np.float32(1.0))
        missing *= self._bow[rows]
        bent: Floats = signal - signal * missing
        return bent

    def _counts_per_quantum(self) -> float:
        """Variance over mean: detected quanta are Poisson (gain differences left aside)."""
        return COUNTS_PER_UGY / (DQE * QUANTA_PER_UGY_MM2 * self.pitch_mm**2)

    def _response_at(self, one: Exposure) -> Floats:
        """Counts per uGy of open beam in each pixel; to 0.1 kV, the newest are kept."""
        field_mm = self._field_mm if one.field_mm is None else one.field_mm
        key = (round(one.kv, 1), one.phantom_name, field_mm)
        if key not in self._responses:
            if len(self._responses) > len(LAG_SHARES):  # more than one frame can show
                del self._responses[next(iter(self._responses))]
            self._responses[key] = self._response(*key)
        return self._responses[key]

    def _response(self, kv: float, phantom_name: str, field_mm: tuple[float, float]) -> Floats:
        response = self._gain * np.float32(COUNTS_PER_UGY)
        if phantom.known(phantom_name) != phantom.NONE:
            maps = self._behind(field_mm)
            response *= beam.transmission(kv, maps, response=None, **self._filtration)
        return response

    def _behind(self, field_mm: tuple[float, float]) -> dict[str, Floats]:
        """Material -> mm in the way of each pixel, the collimator's lead with it."""
        lead = phantom.shutters(self.rows_px, self.columns_px, self.pitch_mm, field_mm)
        return {**self._bare_mm, "lead": self._bare_mm["lead"] + lead}

    # --- what this panel is like

    def _draw_maps(self, rng: np.random.Generator) -> None:
        shape = (self.rows_px, self.columns_px)
        columns = rng.standard_normal((1, self.columns_px), dtype=np.float32)
        self._offset = np.float32(6.0) * rng.standard_normal(shape, dtype=np.float32)
        self._offset += np.float32(OFFSET_COUNTS) + np.float32(8.0) * columns
        self._dark = np.abs(rng.standard_normal(shape, dtype=np.float32)) + np.float32(3.2)
        self._dark *= np.float32(DARK_COUNTS_PER_S / 4.0)
        self._gain = np.float32(0.02) * rng.standard_normal(shape, dtype=np.float32)
        self._defects = panel_defects.draw(rng, *shape)
        self._apply_defects()

    def _apply_defects(self) -> None:
        defects, classes = self._defects, self._defects.classes
        self._gain[defects.gain != 1.0] = 0.0  # no chance: exactly as far beyond as is said
        self._gain += self._shading() * defects.gain
        self._sigma = np.float32(ELECTRONIC_COUNTS) * defects.sigma
        self._bow = np.float32(self.bow_pct / 100.0) - defects.bend
        self._offset[classes["noisy"]] += np.float32(HOT_COUNTS)
        self._dark[classes["dead"]] = 0.0
        self._offset[defects.stuck] = self.full_scale_counts

    def _shading(self) -> Floats:
        """The scintillator is thinner towards the rim: 6 % less in the corners."""
        y = np.linspace(-1.0, 1.0, self.rows_px, dtype=np.float32)[:, None]
        x = np.linspace(-1.0, 1.0, self.columns_px, dtype=np.float32)[None, :]
        return np.float32(1.02) - np.float32(0.03) * (x * x + y * y)


def _stream(seed: int, frame_count: int) -> np.random.Generator:
    """A stream of its own for each frame: Philox keyed by both numbers."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, frame_count], np.uint64)))
