"""A simulated flat panel: its states and times; `sim.pixels` makes its frames.

    IDLE --prepare--> PREPARING (scrub) --> READY --request, T_PREP--> INTEGRATING
    INTEGRATING --request dropped, or window over--> READOUT --> RECOVER --> READY or IDLE

The handshake is modelled on Canon's RX_REQ/RX_COM (protocols.md 9.1.1): integration
begins T_PREP (0-300 ms) after the request; a request dropped before that opens no window
and locks the panel for about 1 s; read-out begins with the drop, or with the end of the
window if the request stays (`complete=False`). A request that nobody could honour is
ignored, one that was answered by a window is spent until it is dropped. The scrub,
read-out and recovery times are design choices.

Each frame that was read out stays in a memory that outlives the power (F32: a battery that
dies loses what was being read out, not what lies there) until `free` names it; with no place
left the panel arms no more. Size and permanence are design choices.

States are segments with an end: `advance` closes each at its exact time, however late it
is called. After a command, call `advance` once more with the scan's `Now`, so that it
learns the new deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hal.handshakes import T_PREP_MAX_US
from hal.now import NEVER_US, Now, earliest_us
from hal.ports import PanelFrame
from hal.types import PanelState
from sim import phantom, phantoms
from sim.condition import Light
from sim.detector_faults import INJECTIONS
from sim.filtration import SimFilter
from sim.geometry import SimGeometry
from sim.injection import fresh
from sim.lag import REMEMBERED_COUNT
from sim.optics import PLAIN
from sim.panel_battery import PanelBattery
from sim.pixels import Exposure, Past, PixelModel, TrueMaps

KermaSource = Callable[[int, int], Light]
"""(from_us, to_us) -> (mAs of the beam in between, its mean kV). The panel's only view of it."""

BOOT_US = 2_000_000  # power-up, or the end of an error -> idle
UNKNOWN_SHOT = "BEFORE-POWER-UP"  # of a frame that was still in its memory
MEMORY_COUNT = 8  # frames
AT_WORK = (
    PanelState.PREPARING, PanelState.READY, PanelState.INTEGRATING, PanelState.READOUT
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelTimes:
    scrub_us: int = 150_000
    t_prep_us: int = 120_000
    window_us: int = 5_000_000
    readout_us: int = 300_000
    recover_us: int = 150_000
    lockout_us: int = 1_000_000

    def __post_init__(self) -> None:
        if self.t_prep_us not in range(T_PREP_MAX_US + 1):
            raise ValueError(f"t_prep_us = {self.t_prep_us}: Canon allows 0 to {T_PREP_MAX_US}")
        for name in ("scrub_us", "window_us", "readout_us", "recover_us", "lockout_us"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must be positive")


class SimPanel:
    """`hal.ports.PanelModel`. Injections are plain attributes; other names raise."""

    never_ready: bool
    late_ready_us: int
    claims_ready: bool
    late_window_us: int
    claims_window: bool
    window_ends_after_us: int | None
    late_frame_us: int
    stuck: bool
    failed: bool
    memory_full: bool
    wrong_id: str | None
    drop_frame: bool
    long_frame_bytes: int
    frame_of_before: bool
    zero_frame: bool
    saturated_frame: bool
    dead_rows_count: int
    warmer_c: float
    aged_pct: float
    ghost_pct: float
    line_noise_count: float
    hot_row_offset_count: int
    knocked: bool
    trigger_ugy_per_s: float
    in_beam: bool

    __slots__ = (
        *INJECTIONS, "_armed_count", "_before", "_filter", "_frame_count", "_geometry", "_id",
        "_kept", "_kerma_source", "_lit", "_now_us", "_opened_us", "_pending", "_phantom_name",
        "_pixels", "_prepared", "_requested", "_series_index", "_shot_id", "_state", "_taken",
        "_times", "_until_us", "battery",
    )  # fmt: skip

    def __init__(
        self,
        *,
        panel_id: str,
        pixels: PixelModel,
        kerma_source: KermaSource,
        times: PanelTimes | None = None,
        battery: PanelBattery | None = None,
        geometry: SimGeometry | None = None,
        tube_filter: SimFilter | None = None,
    ) -> None:
        """`battery`: None is a tethered panel. `geometry`: where tube and collimator are, and
        `tube_filter` what is in the beam; left out, as the pixel model has them.
        """
        self._id, self._pixels, self._kerma_source = panel_id, pixels, kerma_source
        self._times, self._geometry, self._filter = times or PanelTimes(), geometry, tube_filter
        self.battery, self._now_us = battery, 0
        self._state, self._until_us = PanelState.IDLE, NEVER_US
        self._prepared = self._requested = False
        self._shot_id, self._opened_us = "", 0
        self._armed_count = self._series_index = self._frame_count = 0
        self._pending: _Exposed | None = None  # integrated, read-out not finished
        self._taken: list[_Exposed] = []  # read out or asked for again, not sent yet
        self._kept: dict[str, _Exposed] = {}  # by shot, until they are freed
        self._lit: deque[tuple[int, Exposure]] = deque(maxlen=REMEMBERED_COUNT)  # and its end
        self._phantom_name = phantom.DEFAULT
        self._before: _Exposed | None = None  # the newest that was read out
        self.short_frame: int
        fresh(self, INJECTIONS)

    # --- what it shows

    @property
    def panel_id(self) -> str:
        return self._id if self.wrong_id is None else self.wrong_id

    def state(self, t_us: int) -> str:
        self.advance(Now(t_us))
        if self.claims_ready and self._state is PanelState.PREPARING:
            return PanelState.READY.value
        return self._state.value

    def window_us(self) -> int:
        return self._times.window_us

    def frame_count(self) -> int:
        return self._frame_count

    def battery_pct(self, t_us: int) -> int | None:
        return None if self.battery is None else self.battery.pct(t_us)

    def alive(self) -> bool:
        """False: its battery is empty, so nobody answers."""
        return self.battery is None or self.battery.feeds()

    @property
    def phantom_name(self) -> str:
        """What stands in the beam before it: one of `phantoms.NAMES`, else ValueError."""
        return self._phantom_name

    @phantom_name.setter
    def phantom_name(self, name: str) -> None:
        self._phantom_name = phantoms.known(name)

    def maps(self) -> TrueMaps:
        """The truth, for a bench that starts with a valid set; offsets of a 1 s window."""
        return self._pixels.maps(window_us=1_000_000)

    def take_frames(self, t_us: int) -> Sequence[PanelFrame]:
        """Pixels are drawn here: a frame that nobody fetches costs nothing."""
        self.advance(Now(t_us))
        exposed, self._taken = self._taken, []
        return [] if self.drop_frame else [self._frame(one) for one in exposed]

    def kept(self) -> tuple[str, ...]:
        return tuple(self._kept)

    # --- what it is told

    def prepare(self, t_us: int) -> None:
        self.advance(Now(t_us))
        if self.stuck or self._state in (PanelState.INIT, PanelState.ERROR):
            return
        if self._state is PanelState.IDLE and self._is_full():
            self._fail()
            return
        if self._state is PanelState.IDLE:
            self._armed_count += 1
            self._series_index = 0
            scrubbed_us = t_us + self._times.scrub_us + self.late_ready_us
            self._enter(PanelState.PREPARING, NEVER_US if self.never_ready else scrubbed_us)
        self._prepared = True

    def standby(self, t_us: int) -> None:
        self.drop_request(t_us)
        if self.stuck:
            return
        self._prepared = False
        if self._state in (PanelState.PREPARING, PanelState.READY):
            self._enter(PanelState.IDLE, NEVER_US)

    def request_window(self, t_us: int, shot_id: str) -> None:
        self.advance(Now(t_us))
        if self.stuck or self.claims_ready:
            return
        if self._is_full():
            self._fail()
            return
        if self._state is PanelState.READY and not self._requested:
            self._requested, self._shot_id = True, shot_id
            self._until_us = t_us + self._times.t_prep_us + self.late_window_us
            self.advance(Now(t_us))  # T_PREP may be 0

    def drop_request(self, t_us: int) -> None:
        self.advance(Now(t_us))
        if self.stuck or not self._requested:
            return
        self._requested = False
        if self._state is PanelState.INTEGRATING:
            self._close_window(t_us, complete=True)
        elif self._state is PanelState.READY and self._until_us != NEVER_US:
            self._enter(PanelState.RECOVER, t_us + self._times.lockout_us)

    def resend(self, t_us: int, shot_id: str) -> bool:
        self.advance(Now(t_us))
        kept = self._kept.get(shot_id)
        if kept is None or self.stuck:
            return kept is not None
        self._taken.append(kept)
        return True

    def free(self, t_us: int, shot_id: str) -> None:
        self.advance(Now(t_us))
        if not self.stuck:
            self._kept.pop(shot_id, None)

    def power(self, t_us: int, on: bool) -> None:
        """Off: forgets what it was told and what it was sending; its memory stays."""
        self._now_us = t_us
        self._forget()
        self._taken.clear()
        self._enter(PanelState.INIT, t_us + BOOT_US if on else NEVER_US)
        if self.battery is not None:
            self.battery.switch(t_us, on)

    def _fail(self) -> None:
        self._forget()
        self._enter(PanelState.ERROR, NEVER_US)

    def _is_full(self) -> bool:
        return self.memory_full or len(self._kept) >= MEMORY_COUNT

    def _forget(self) -> None:
        self._pending = None
        self._requested = self._prepared = False

    # --- how time moves it

    def advance(self, now: Now) -> None:
        if self.stuck:
            return
        self._advance(now)
        self._now_us = now.t_us
        battery = self.battery
        if battery is not None and battery.charge > 0 and now.reached(battery.empty_us()):
            battery.charge_to(now.t_us, 0.0)
            self.power(now.t_us, on=False)

    def _advance(self, now: Now) -> None:
        in_error = self._state is PanelState.ERROR
        if self.failed and not in_error:
            self._now_us = now.t_us
            self._fail()
        elif in_error and not self.failed and not self._is_full():
            self._now_us = now.t_us
            self._enter(PanelState.INIT, now.t_us + BOOT_US)
        while now.reached(self._until_us):
            self._segment_ended(self._until_us)

    def _segment_ended(self, at_us: int) -> None:
        self._now_us = at_us
        match self._state:
            case PanelState.PREPARING:
                self._enter(PanelState.READY, NEVER_US)
            case PanelState.READY:  # T_PREP has passed with the request held
                self._open_window(at_us)
            case PanelState.INTEGRATING:
                self._close_window(at_us, complete=False)
            case PanelState.READOUT:
                self._deliver()
                self._enter(PanelState.RECOVER, at_us + self._times.recover_us)
            case PanelState.INIT:
                self._enter(PanelState.IDLE, NEVER_US)
            case _:
                after = PanelState.READY if self._prepared else PanelState.IDLE
                self._enter(after, NEVER_US)

    def _enter(self, state: PanelState, until_us: int) -> None:
        self._state, self._until_us = state, until_us
        if self.battery is not None:
            self.battery.follow(self._now_us, state in AT_WORK)

    def _open_window(self, at_us: int) -> None:
        length_us = self._times.window_us
        if self.window_ends_after_us is not None:
            length_us = earliest_us(length_us, self.window_ends_after_us)
        self._opened_us = at_us
        self._enter(PanelState.INTEGRATING, at_us + length_us)

    def _close_window(self, at_us: int, *, complete: bool) -> None:
        light = self._kerma_source(self._opened_us, at_us)
        gathers = self.in_beam and not self.claims_window
        exposure = Exposure(
            mas=light.mas if gathers else 0.0, kv=light.kv, phantom_name=self._phantom_name,
            sid_mm=self._geometry.sid_mm if self._geometry else None,
            field_mm=self._geometry.field_mm if self._geometry else None,
            optics=self._geometry.optics.now() if self._geometry else PLAIN,
            aluminium_mm=self._filter.aluminium_mm if self._filter else None,
            condition=light.condition,
        )  # fmt: skip
        self._pending = _Exposed(
            exposure=exposure, earlier=self._past(), number=self._frame_count,
            start_us=self._opened_us, stop_us=at_us, shot_id=self._shot_id, complete=complete,
            series=self._armed_count, index=self._series_index, warmer_c=self.warmer_c,
            aged_pct=self.aged_pct, ghost_pct=self.ghost_pct,
            line_noise_count=self.line_noise_count,
        )  # fmt: skip
        if exposure.mas:
            self._lit.append((at_us, exposure))  # dropped or never fetched, it was there
        self._enter(PanelState.READOUT, at_us + self._times.readout_us + self.late_frame_us)

    def _past(self) -> tuple[Past, ...]:
        return tuple(Past(one, self._opened_us - closed_us) for closed_us, one in self._lit)

    def _deliver(self) -> None:
        assert self._pending is not None, "read-out without a window"
        self._series_index += 1
        self._frame_count += 1
        sent = self._again(self._pending) if self.frame_of_before else self._pending
        self._taken.append(sent)
        self._kept[self._pending.shot_id] = self._pending
        self._before, self._pending = self._pending, None

    def _again(self, this: _Exposed) -> _Exposed:
        """An older frame in the place of this one; its memory holds one of before power-up."""
        older = self._before or replace(this, shot_id=UNKNOWN_SHOT)
        return replace(older, series=this.series, index=this.index)

    def _frame(self, exposed: _Exposed) -> PanelFrame:
        window_us = exposed.stop_us - exposed.start_us
        this = exposed.exposure
        raw = self._pixels.frame(
            this.mas, this.kv, window_us, exposed.number, this.phantom_name, exposed.earlier,
            sid_mm=this.sid_mm, field_mm=this.field_mm, optics=this.optics,
            aluminium_mm=this.aluminium_mm, condition=this.condition,
            warmer_c=exposed.warmer_c, aged_pct=exposed.aged_pct, ghost_pct=exposed.ghost_pct,
            line_noise_count=exposed.line_noise_count,
        )  # fmt: skip
        data = self._spoiled(raw).astype(np.dtype("<u2"), copy=False).tobytes()
        data = data[: max(0, len(data) - self.short_frame)] + bytes(self.long_frame_bytes)
        return PanelFrame(
            series=exposed.series, frame_index=exposed.index, rows_px=self._pixels.rows_px,
            columns_px=self._pixels.columns_px, pixels=data,
            start_us=exposed.start_us, stop_us=exposed.stop_us, panel_id=self.panel_id,
            shot_id=exposed.shot_id, complete=exposed.complete,
        )  # fmt: skip

    def _spoiled(self, raw: NDArray[np.uint16]) -> NDArray[np.uint16]:
        if self.zero_frame:
            return np.zeros_like(raw)
        if self.saturated_frame:
            return np.full_like(raw, self._pixels.full_scale_counts)
        if self.dead_rows_count:
            first = max(0, (len(raw) - self.dead_rows_count) // 2)
            raw = raw.copy()
            raw[first : first + self.dead_rows_count] = 0
        if self.hot_row_offset_count:
            raw = raw.copy()
            middle = raw[len(raw) // 2]
            middle += np.minimum(self._pixels.full_scale_counts - middle, self.hot_row_offset_count)
        return raw


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exposed:
    """What a window gathered, and which frame it will be."""

    exposure: Exposure
    earlier: tuple[Past, ...]
    number: int  # of the frames before it, since power-on
    start_us: int
    stop_us: int
    shot_id: str
    complete: bool
    series: int
    index: int  # in its series
    warmer_c: float
    aged_pct: float
    ghost_pct: float
    line_noise_count: float
