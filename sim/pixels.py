"""From kerma to raw counts: light, chance, gain, read-out.

    light  = response * kerma, blurred by the panel's MTF          (per scene, kept)
    quanta = chance whose variance is the spectrum's, blurred by it (per frame)
    s      = gain * ghost * (light + quanta + lag)
    raw    = offset(window, warmth) + s * (1 - bow * s / full scale) + electronic noise
             + line noise, if there is any                         (one number a row)

clipped to the ADC's range. So the quanta's noise is correlated from pixel to pixel and the
electronics' is white: MTF, noise power and DQE are those that `sim.image_truth` writes down.
How a scene lets photons through depends on their energy, and so do signal and noise
(`sim.scintillator`). What earlier exposures leave goes by the time since (`sim.lag`), and is seen
with the kV and the phantom of that time; lag adds no noise of its own. Single pixels deviate in
gain, noise, lag and bow: see `sim.panel_defects`.

The scale is a design choice: 100 counts per uGy of 80 kV behind 2.5 mm Al, so 14 bits end at
about 160 uGy and an open field of 80 kV, 1 mAs at 1 m (78 uGy) stands near the middle. Real
panels are more sensitive: a 139 um panel is linear to about 64 uGy (qc-and-physics.md 3.4),
and a portable source at so few mAs on an open field would saturate it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim import beam, lag, phantom, pixel_noise, scintillator
from sim.arrival import Arrival
from sim.condition import AS_NEW, Condition
from sim.optics import PLAIN, Optics, pixel_middles_mm
from sim.panel_maps import PanelMaps
from sim.shapes import Shape
from sim.sharpness import blurred, noise_kernel, signal_kernel

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

COUNTS_PER_UGY = scintillator.COUNTS_PER_UGY
BOW_PCT = 1.0  # missing at full scale
_BLOCK_ROWS = 32  # the working set of one block stays in the cache


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
    sid_mm: float | None = None  # None: the model's own
    field_mm: tuple[float, float] | None = None  # rows, columns at the detector
    optics: Optics = PLAIN
    aluminium_mm: float | None = None  # in the beam; None: the model's own
    condition: Condition = AS_NEW


@dataclass(frozen=True, slots=True)
class Past:
    """An exposure of before, and how long after its window had closed the new one opened."""

    exposure: Exposure
    gap_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """All that decides what an open beam of 1 uGy becomes in each pixel."""

    kv: float  # to 0.1
    aluminium_mm: float
    copper_mm: float
    condition: Condition
    phantom_name: str
    field_mm: tuple[float, float]
    optics: Optics
    sid_mm: float  # 0 where it matters not

    @property
    def beam(self) -> dict[str, Any]:
        """What `sim.beam` wants to know of it, beside its kV."""
        return {"aluminium_mm": self.aluminium_mm, "copper_mm": self.copper_mm,
                "condition": self.condition}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Response:
    """To 1 uGy of open beam, before the gain. One number each where all pixels get the same."""

    counts: Floats  # rows x columns, blurred
    grain: Floats  # sigma before the blur; as many pixels more on each side as it reaches


@dataclass(frozen=True, slots=True)
class _Light:
    response: _Response
    ugy: np.float32


@dataclass(frozen=True, slots=True)
class _Memory:
    """What is left of all exposures of one scene."""

    lag: _Light
    ghost: _Light  # relative to full scale


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
        objects: tuple[Shape, ...] = phantom.OBJECTS,
        bow_pct: float = BOW_PCT,
    ) -> None:
        """`objects` are what the phantom "hand" is made of; `field_mm` the collimator's."""
        self.rows_px, self.columns_px, self.pitch_mm = rows_px, columns_px, pitch_mm
        self.seed, self.bits, self.sid_mm, self.bow_pct = seed, bits, sid_mm, bow_pct
        self._aluminium_mm, self._copper_mm = aluminium_mm, copper_mm
        self._field_mm = field_mm
        self._arrival = Arrival(rows_px, columns_px, pitch_mm, objects, light_spreads=True)
        self._panel = PanelMaps(
            seed,
            (rows_px, columns_px),
            full_scale_counts=self.full_scale_counts,
            bow_pct=bow_pct,
        )
        self._kernel = noise_kernel(pitch_mm)
        self._responses: dict[_Scene, _Response] = {}

    @property
    def full_scale_counts(self) -> int:
        return (1 << self.bits) - 1

    def maps(self, window_us: int) -> TrueMaps:
        """A window's offset includes the dark current that gathers in it."""
        defects = self._panel.defects
        classes = {name: mask.copy() for name, mask in defects.classes.items()}
        return TrueMaps(
            offset=self._panel.offset(window_us / 1e6),
            gain=self._panel.gain.copy(),
            defects=np.logical_or.reduce([*classes.values()]),
            classes=classes,
            near_limit={name: mask.copy() for name, mask in defects.near_limit.items()},
            bow_pct=self.bow_pct,
        )

    def frame(
        self,
        mas: float,
        kv: float,
        window_us: int,
        frame_count: int,
        phantom_name: str = phantom.DEFAULT,
        earlier: Sequence[Past] = (),
        *,
        sid_mm: float | None = None,
        field_mm: tuple[float, float] | None = None,
        optics: Optics = PLAIN,
        aluminium_mm: float | None = None,
        condition: Condition = AS_NEW,
        warmer_c: float = 0.0,
        aged_pct: float = 0.0,
        ghost_pct: float = lag.GHOST_PCT,
        line_noise_count: float = 0.0,
    ) -> NDArray[np.uint16]:
        """Raw counts, rows x columns. No charge: a dark frame, with the lag of `earlier`.

        `earlier`: oldest first. `warmer_c`, `aged_pct`: than when `maps` was true; see
        `sim.panel_maps`. `ghost_pct`: see `sim.lag`. `line_noise_count`: sigma.
        """
        light = self._light(
            Exposure(
                mas=mas, kv=kv, phantom_name=phantom_name,
                sid_mm=sid_mm, field_mm=field_mm, optics=optics, aluminium_mm=aluminium_mm,
                condition=condition,
            )
        )  # fmt: skip
        memories = self._memories(window_us, earlier)
        quanta = None if light is None else self._quanta(light, frame_count)
        electronics = pixel_noise.stream(self.seed, frame_count, pixel_noise.ELECTRONICS)
        lines = pixel_noise.lines(self.seed, frame_count, self.rows_px)
        lines = np.float32(line_noise_count) * lines
        raw = np.empty((self.rows_px, self.columns_px), np.uint16)
        for rows in self._blocks(self.rows_px):
            counts = pixel_noise.white(electronics, *raw[rows].shape) * self._panel.sigma[rows]
            counts += self._panel.offset(window_us / 1e6, warmer_c, rows)
            if light is not None or memories:
                signal = self._signal(rows, light, quanta, memories)
                signal *= self._panel.gain_now(rows, aged_pct)
                if ghost_pct and memories:
                    signal *= self._ghost(rows, ghost_pct, memories)
                counts += self._bent(signal, rows)
            if line_noise_count:
                counts += lines[rows] * (self._panel.sigma[rows] > 0.0)  # dead ones are constant
            np.rint(counts, out=counts)
            np.clip(counts, 0.0, self.full_scale_counts, out=counts)
            raw[rows] = counts
        return raw

    # --- what the beam leaves

    def _light(self, one: Exposure) -> _Light | None:
        scene = self._scene(one)
        kerma_ugy = self._kerma_ugy(one, scene)
        if not kerma_ugy:
            return None
        return _Light(self._response_at(scene), np.float32(kerma_ugy))

    def _memories(self, window_us: int, earlier: Sequence[Past]) -> list[_Memory]:
        """By scene; signals as parts of full scale, as a first guess of which are worth it."""
        full_scale = float(self.full_scale_counts)
        seen: list[tuple[_Scene, float, lag.Kept]] = []
        for one in earlier:
            scene = self._scene(one.exposure)
            if kerma_ugy := self._kerma_ugy(one.exposure, scene):
                signal = kerma_ugy * _open_counts(scene) / full_scale
                seen.append((scene, signal, lag.kept(one.gap_us, window_us)))
        found = []
        for scene, lag_part, ghost_part in lag.by_scene(seen):
            response, each_ugy = self._response_at(scene), 1.0 / _open_counts(scene)
            lag_ugy = np.float32(lag_part * full_scale * each_ugy)
            ghost = _Light(response, np.float32(ghost_part * each_ugy))
            found.append(_Memory(_Light(response, lag_ugy), ghost))
        return found

    def _kerma_ugy(self, one: Exposure, scene: _Scene) -> float:
        sid_mm = self.sid_mm if one.sid_mm is None else one.sid_mm
        return beam.kerma_ugy(one.kv, one.mas, sid_mm, **scene.beam)

    def _quanta(self, light: _Light, frame_count: int) -> Floats:
        """Chance before the blur, in counts; the kernel's reach more on each side."""
        chance = pixel_noise.stream(self.seed, frame_count, pixel_noise.QUANTA)
        more = 2 * self._reach_px
        quanta = np.empty((self.rows_px + more, self.columns_px + more), np.float32)
        grain = light.response.grain
        root_ugy = np.sqrt(light.ugy)
        for rows in self._blocks(len(quanta)):
            drawn = pixel_noise.white(chance, *quanta[rows].shape)
            sigma = root_ugy * (grain[rows] if grain.ndim else grain)
            np.multiply(drawn, sigma, out=quanta[rows])
        return quanta

    def _signal(
        self,
        rows: slice,
        light: _Light | None,
        quanta: Floats | None,
        memories: list[_Memory],
    ) -> Floats:
        """Before the gain."""
        panel = self._panel
        if light is None or quanta is None:
            signal = np.zeros_like(panel.gain[rows])
        else:
            around = slice(rows.start, rows.stop + 2 * self._reach_px)
            signal = blurred(quanta[around], self._kernel)
            signal += _of(light, rows)
        for one in memories:
            signal += panel.defects.lag[rows] * _of(one.lag, rows)
        return signal

    def _ghost(self, rows: slice, ghost_pct: float, memories: list[_Memory]) -> Floats:
        """Factor on the gain. A quotient and no exponential: its bytes are every machine's."""
        filled = np.zeros_like(self._panel.gain[rows])
        for one in memories:
            filled += _of(one.ghost, rows)
        filled /= np.float32(1.0) + filled
        filled *= np.float32(ghost_pct / 100.0)
        filled += np.float32(1.0)
        return filled

    def _bent(self, signal: Floats, rows: slice) -> Floats:
        """Bent no further beyond full scale: more beam never shows less."""
        missing = np.minimum(signal / np.float32(self.full_scale_counts), np.float32(1.0))
        missing *= self._panel.bow[rows]
        bent: Floats = signal - signal * missing
        return bent

    @property
    def _reach_px(self) -> int:
        return len(self._kernel) - 1

    def _blocks(self, rows_count: int) -> list[slice]:
        tops = range(0, rows_count, _BLOCK_ROWS)
        return [slice(top, min(top + _BLOCK_ROWS, rows_count)) for top in tops]

    # --- scenes

    def _scene(self, one: Exposure) -> _Scene:
        plain = one.optics == PLAIN
        return _Scene(
            kv=round(one.kv, 1),
            aluminium_mm=self._aluminium_mm if one.aluminium_mm is None else one.aluminium_mm,
            copper_mm=self._copper_mm,
            condition=one.condition,
            phantom_name=one.phantom_name,
            field_mm=self._field_mm if one.field_mm is None else one.field_mm,
            optics=one.optics,
            sid_mm=0.0 if plain else one.sid_mm or self.sid_mm,
        )

    def _response_at(self, scene: _Scene) -> _Response:
        """The newest are kept."""
        if scene not in self._responses:
            if len(self._responses) > lag.SCENES_COUNT:  # more than one frame can show
                del self._responses[next(iter(self._responses))]
            self._responses[scene] = self._response(scene)
        return self._responses[scene]

    def _response(self, scene: _Scene) -> _Response:
        quality = scintillator.quality(scene.kv, **scene.beam)
        counts = np.float32(quality.counts_per_ugy)
        quanta_per_ugy = quality.quanta_per_mm2_per_ugy * self.pitch_mm**2
        grain = np.float32(quality.counts_per_ugy / np.sqrt(quanta_per_ugy))
        arriving = self._share(scene, scintillator.signal_weight())
        noisy = self._share(scene, scintillator.variance_weight())
        if arriving is None or noisy is None:
            return _Response(np.asarray(counts), np.asarray(grain))
        kernel = signal_kernel(self.pitch_mm)
        signal = np.pad(arriving * counts, len(kernel) - 1, mode="edge")
        return _Response(
            counts=blurred(signal, kernel),
            grain=np.pad(np.sqrt(noisy) * grain, self._reach_px, mode="edge"),
        )

    def _share(self, scene: _Scene, weight: scintillator.Doubles) -> Floats | None:
        """The part of the signal, or of its variance, that arrives; None: all, everywhere."""
        part = self._arrival.share(
            scene.phantom_name,
            scene.field_mm,
            lambda maps: beam.transmission(
                scene.kv,
                maps,
                response=weight,
                **scene.beam,
            ),
            scene.optics,
            scene.sid_mm,
        )
        if part is not None and scene.optics.heel:
            part *= self._heel(scene, weight)
        return part

    def _heel(self, scene: _Scene, weight: scintillator.Doubles) -> Floats:
        """Rows x 1. Of scatter, too, as if it came from the row in which it arrives."""
        at_mm = pixel_middles_mm(self.rows_px, self.pitch_mm) * beam.REFERENCE_MM / scene.sid_mm
        shaded = beam.heel(scene.kv, at_mm, response=weight, **scene.beam)
        return shaded[:, None].astype(np.float32)


def _open_counts(scene: _Scene) -> float:
    """Of 1 uGy with nothing in the way."""
    return scintillator.quality(scene.kv, **scene.beam).counts_per_ugy


def _of(light: _Light, rows: slice) -> Floats:
    counts = light.response.counts
    seen: Floats = light.ugy * (counts[rows] if counts.ndim else counts)
    return seen
