"""A simulated flat panel: its states and times; `sim.pixels` makes its frames.

    IDLE --prepare--> PREPARING (scrub) --> READY --request, T_PREP--> INTEGRATING
    INTEGRATING --request dropped, or window over--> READOUT --> RECOVER --> READY or IDLE

The handshake is modelled on Canon's RX_REQ/RX_COM (protocols.md 9.1.1): integration
begins T_PREP (0-300 ms) after the request; a request dropped before that opens no window
and locks the panel for about 1 s; read-out begins with the drop, or with the end of the
window if the request stays (`complete=False`). A request that nobody could honour is
ignored, one that was answered by a window is spent until it is dropped. The scrub,
read-out and recovery times are design choices.

States are segments with an end: `advance` closes each at its exact time, however late it
is called. After a command, call `advance` once more with the scan's `Now`, so that it
learns the new deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hal.now import NEVER_US, Now, earliest_us, since
from hal.ports import PanelFrame
from hal.types import PanelState
from sim import phantom
from sim.pixels import LAG_SHARES, Exposure, PixelModel, TrueMaps

KermaSource = Callable[[int, int], tuple[float, float]]
"""(from_us, to_us) -> (mAs of the beam in between, its mean kV). The panel's only view of it."""

T_PREP_MAX_US = 300_000
REFRESH_US = 3_000_000  # between two windows a panel reads itself out: then no lag is left


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


INJECTIONS = {
    "never_ready": "the scrub never ends (F30)",
    "window_ends_after_us": "the window closes by itself so long after it opened (F31)",
    "silent": "the control side answers nothing; whoever owns the socket keeps to it",
    "wrong_id": "answers with this id instead of its own (F40)",
    "drop_frame": "frames are counted but never arrive",
    "short_frame": "so many bytes are missing at the end of each frame (F34)",
    "in_beam": "False: the panel stands aside, no kerma reaches it and its frames are dark",
}


class SimPanel:
    """`hal.ports.PanelModel`. Injections are plain attributes; other names raise."""

    __slots__ = (
        *INJECTIONS, "_armed_count", "_closed_us", "_earlier", "_frame_count", "_id",
        "_kerma_source", "_opened_us", "_pending", "_phantom_name", "_pixels", "_prepared",
        "_requested", "_series_index", "_shot_id", "_state", "_taken", "_times", "_until_us",
    )  # fmt: skip

    def __init__(
        self,
        *,
        panel_id: str,
        pixels: PixelModel,
        kerma_source: KermaSource,
        times: PanelTimes | None = None,
    ) -> None:
        self._id, self._pixels, self._kerma_source = panel_id, pixels, kerma_source
        self._times = times or PanelTimes()
        self._state, self._until_us = PanelState.IDLE, NEVER_US
        self._prepared = self._requested = False
        self._shot_id, self._opened_us = "", 0
        self._armed_count = self._series_index = self._frame_count = 0
        self._pending: _Exposed | None = None  # integrated, read-out not finished
        self._taken: list[_Exposed] = []  # read out, not fetched yet
        self._closed_us = 0  # the newest window
        self._earlier: deque[Exposure] = deque(maxlen=len(LAG_SHARES))  # what lag remembers
        self._phantom_name = phantom.DEFAULT
        self.in_beam = True
        self.never_ready = self.silent = self.drop_frame = False
        self.window_ends_after_us: int | None = None
        self.wrong_id: str | None = None
        self.short_frame = 0

    # --- what it shows

    @property
    def panel_id(self) -> str:
        return self._id if self.wrong_id is None else self.wrong_id

    def state(self, t_us: int) -> str:
        self.advance(Now(t_us))
        return self._state.value

    def window_us(self) -> int:
        return self._times.window_us

    def frame_count(self) -> int:
        return self._frame_count

    @property
    def phantom_name(self) -> str:
        """What stands in the beam before it: one of `phantom.NAMES`, else ValueError."""
        return self._phantom_name

    @phantom_name.setter
    def phantom_name(self, name: str) -> None:
        self._phantom_name = phantom.known(name)

    def maps(self) -> TrueMaps:
        """The truth, for a bench that starts with a valid set; offsets of a 1 s window."""
        return self._pixels.maps(window_us=1_000_000)

    def take_frames(self, t_us: int) -> Sequence[PanelFrame]:
        """Pixels are drawn here: a frame that nobody fetches costs nothing."""
        self.advance(Now(t_us))
        exposed, self._taken = self._taken, []
        return [self._frame(one) for one in exposed]

    # --- what it is told

    def prepare(self, t_us: int) -> None:
        self.advance(Now(t_us))
        if self._state is PanelState.IDLE:
            self._armed_count += 1
            self._series_index = 0
            scrubbed_us = NEVER_US if self.never_ready else t_us + self._times.scrub_us
            self._enter(PanelState.PREPARING, scrubbed_us)
        self._prepared = True

    def standby(self, t_us: int) -> None:
        self.drop_request(t_us)
        self._prepared = False
        if self._state in (PanelState.PREPARING, PanelState.READY):
            self._enter(PanelState.IDLE, NEVER_US)

    def request_window(self, t_us: int, shot_id: str) -> None:
        self.advance(Now(t_us))
        if self._state is PanelState.READY and not self._requested:
            self._requested, self._shot_id = True, shot_id
            self._until_us = t_us + self._times.t_prep_us
            self.advance(Now(t_us))  # T_PREP may be 0

    def drop_request(self, t_us: int) -> None:
        self.advance(Now(t_us))
        if not self._requested:
            return
        self._requested = False
        if self._state is PanelState.INTEGRATING:
            self._close_window(t_us, complete=True)
        elif self._state is PanelState.READY and self._until_us != NEVER_US:
            self._enter(PanelState.RECOVER, t_us + self._times.lockout_us)

    # --- how time moves it

    def advance(self, now: Now) -> None:
        while now.reached(self._until_us):
            self._segment_ended(self._until_us)

    def _segment_ended(self, at_us: int) -> None:
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
            case _:
                after = PanelState.READY if self._prepared else PanelState.IDLE
                self._enter(after, NEVER_US)

    def _enter(self, state: PanelState, until_us: int) -> None:
        self._state, self._until_us = state, until_us

    def _open_window(self, at_us: int) -> None:
        length_us = self._times.window_us
        if self.window_ends_after_us is not None:
            length_us = earliest_us(length_us, self.window_ends_after_us)
        self._opened_us = at_us
        self._enter(PanelState.INTEGRATING, at_us + length_us)

    def _close_window(self, at_us: int, *, complete: bool) -> None:
        mas, kv = self._kerma_source(self._opened_us, at_us)
        if since(self._opened_us, self._closed_us + REFRESH_US):
            self._earlier.clear()
        self._closed_us = at_us
        exposure = Exposure(
            mas=mas if self.in_beam else 0.0, kv=kv, phantom_name=self._phantom_name,
            frame_count=self._frame_count,
        )  # fmt: skip
        self._pending = _Exposed(
            exposure=exposure, earlier=tuple(self._earlier), start_us=self._opened_us,
            stop_us=at_us, shot_id=self._shot_id, complete=complete, series=self._armed_count,
            index=self._series_index,
        )  # fmt: skip
        self._earlier.append(exposure)  # dropped or never fetched, it was there
        self._enter(PanelState.READOUT, at_us + self._times.readout_us)

    def _deliver(self) -> None:
        assert self._pending is not None, "read-out without a window"
        self._series_index += 1
        self._frame_count += 1
        if not self.drop_frame:
            self._taken.append(self._pending)
        self._pending = None

    def _frame(self, exposed: _Exposed) -> PanelFrame:
        window_us = exposed.stop_us - exposed.start_us
        this = exposed.exposure
        raw = self._pixels.frame(
            this.mas, this.kv, window_us, this.frame_count, this.phantom_name, exposed.earlier
        )
        data = raw.astype(np.dtype("<u2"), copy=False).tobytes()
        return PanelFrame(
            series=exposed.series, frame_index=exposed.index, rows_px=self._pixels.rows_px,
            columns_px=self._pixels.columns_px, pixels=data[: len(data) - self.short_frame],
            start_us=exposed.start_us, stop_us=exposed.stop_us, panel_id=self.panel_id,
            shot_id=exposed.shot_id, complete=exposed.complete,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exposed:
    """What a window gathered, and which frame it will be."""

    exposure: Exposure
    earlier: tuple[Exposure, ...]
    start_us: int
    stop_us: int
    shot_id: str
    complete: bool
    series: int
    index: int  # in its series
