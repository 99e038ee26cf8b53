"""The sockets of the plug: what a backend must offer, unit side and device side.

A driver's `read` takes what has arrived and publishes its latest sample (the same
object until it changes); its `write` sends what is missing between the commanded and
the confirmed state. Neither waits, and neither lets a `WireError` or `LinkError` out.
Each call gets the `Now` of the scan, whose `reached` is the only way to ask for time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from hal.now import Now
from hal.types import (
    DoseSample,
    ExposureReport,
    GeneratorSample,
    GeometrySample,
    Intent,
    Outputs,
    PanelSample,
    RecorderSample,
    RoomSample,
    Technique,
)


class WireError(Exception):
    """The peer sent nonsense. Counted by the driver; too many are a link fault."""


class LengthError(WireError):
    """Some of it is missing, or too much came: F34 is told apart from F35."""


class LinkError(Exception):
    """The port itself failed: gone, busy, forbidden, refused. Carries one sentence for people."""


# --- bytes and messages ----------------------------------------------------------------------


class ByteLink(Protocol):
    """A stream of bytes that never blocks."""

    def read(self, t_us: int) -> bytes:
        """All that has arrived by `t_us`; b"" if nothing. Raises LinkError if the port is gone."""

    def write(self, t_us: int, data: bytes) -> None: ...

    def arrival_us(self) -> int:
        """When the next byte can be read, NEVER_US if none is under way (known to pipes only)."""

    def close(self) -> None: ...


class FrameLink(Protocol):
    """A stream of multipart messages that never blocks."""

    def read(self, t_us: int) -> Sequence[list[bytes]]:
        """The messages that have arrived by `t_us`, oldest first."""

    def write(self, t_us: int, message: list[bytes]) -> None: ...

    def arrival_us(self) -> int: ...

    def close(self) -> None: ...


class Clock(Protocol):
    def now_us(self) -> int: ...

    def wait_until(self, t_us: int) -> None: ...


# --- listening: what stands on a line, for people -------------------------------------------


class Direction(StrEnum):
    TO_DEVICE = "to device"
    FROM_DEVICE = "from device"


class Kind(StrEnum):
    """What a frame does. To a device: QUERY to ACT; from it: REPLY; either way: the rest."""

    QUERY = "query"  # asks, changes nothing
    SET = "set"  # a set-point: makes no beam by itself
    STOP = "stop"  # ends a beam, or opens what lets one be
    BEAM = "beam"  # starts or readies a beam, or closes what lets one be
    ACT = "act"  # changes the device in another way: reset, mode, shutter, a protection
    REPLY = "reply"
    UNKNOWN = "unknown"  # a sound frame that the command table does not have
    NOISE = "noise"  # no frame: garbage, a wrong checksum, an end that never came


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One frame as it stood on the line, or bytes that are none."""

    t_us: int  # when its last byte was fed
    direction: Direction
    raw: bytes
    kind: Kind
    text: str  # one printable line


class Listener(Protocol):
    """Hears both directions of one link, because most replies mean nothing without their question.

    It never raises and never loses a byte: the `raw` of all that it gives, by direction, is the
    stream that was fed. However the stream is cut, the frames are the same; only noise may come
    in other pieces.
    """

    def feed(self, direction: Direction, t_us: int, data: bytes) -> list[Heard]:
        """The frames that `data` completes, and the bytes that can't belong to one."""

    def rest(self, t_us: int) -> list[Heard]:
        """What still waits for its end, given up as noise: after a silence, or at the end."""


# --- unit side -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorCapabilities:
    """What a generator backend can promise; each bench computes its bounds from these."""

    drives_beam: bool
    has_own_timer: bool
    has_mas_mode: bool
    has_rotor: bool
    has_aec: bool
    has_readback: bool  # False: set-points are confirmed by echo only
    has_monitor: bool = True  # kV and mA can be read while the beam is on
    watchdog_us: int | None  # silence after which the device ends the beam alone
    off_latency_us: int  # OFF on the line free -> HV off, worst case
    off_typical_us: int  # ... and as expected
    kv_rise_us: int  # start of the beam -> within tolerance, worst case
    kv_fall_us: int
    held_mas: float = 0.0  # its cables may hold so much, which flows when its timer is over
    longest_exchange_us: dict[str, int] = field(default_factory=dict)  # per phase: see the file
    account_us: int | None = None  # its own account of a beam comes so long after the end at most
    backup_mas_max: float | None = None  # the most that it takes as the back-up of its chambers
    status_age_us: int = 0  # the oldest that a healthy status gets during the beam, after the ramp
    time_step_ms: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomCapabilities:
    reply_us: int  # worst healthy request -> reply
    # The enable pulse: how long the relay outlives its last re-trigger. None: the module has
    # no self-timed pulse, its relay stays as it was told.
    pulse_us: int | None
    sample_age_us: int  # the oldest that a healthy sample gets
    watchdog_us: int | None = None  # silence after which the module opens its outputs

    @property
    def lapse_us(self) -> int | None:
        """How long the enable relay outlives the unit; None: for ever."""
        known = [us for us in (self.pulse_us, self.watchdog_us) if us is not None]
        return min(known, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelCapabilities:
    window_request_us: int  # request -> integrating, worst case (T_PREP)
    readout_us: int  # end of window -> frame complete, worst case
    sample_age_us: int


class Generator(Protocol):
    capabilities: GeneratorCapabilities

    @property
    def sample(self) -> GeneratorSample: ...

    def read(self, now: Now) -> GeneratorSample: ...

    def write(self, now: Now, outputs: Outputs) -> None: ...

    def effective(self, technique: Technique) -> Technique:
        """The technique after this generator's quantisation; raises ValueError with the field."""

    def maximum_mas(self, technique: Technique) -> float:
        """The most that the generator's own timer lets through for this technique."""


class RoomIO(Protocol):
    capabilities: RoomCapabilities
    sample: RoomSample

    def read(self, now: Now) -> RoomSample: ...

    def write(self, now: Now, outputs: Outputs) -> None: ...


class Panel(Protocol):
    """The control side of a detector; frames go to the recorder on a link of their own."""

    capabilities: PanelCapabilities
    sample: PanelSample

    def read(self, now: Now) -> PanelSample: ...

    def write(self, now: Now, outputs: Outputs) -> None: ...


class RecorderPort(Protocol):
    sample: RecorderSample

    def read(self, now: Now) -> RecorderSample: ...

    def write(
        self,
        now: Now,
        intent: Intent | None,
        report: ExposureReport | None,
        kept: tuple[str, ...],
    ) -> None:
        """`kept`: shots whose frames the panel's memory holds."""


class Collimator(Protocol):
    """Tells how far it is open and how far the receptor is; it is moved by people."""

    sample: GeometrySample

    def read(self, now: Now) -> GeometrySample: ...

    def write(self, now: Now, outputs: Outputs) -> None: ...


class DoseMeter(Protocol):
    """Measures beside the unit. Lost or wrong, it ends no beam and delays no OFF."""

    sample: DoseSample

    def read(self, now: Now) -> DoseSample: ...

    def write(self, now: Now, outputs: Outputs) -> None: ...


# --- device side -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorReading:
    """What the device itself would show on its monitor."""

    kv: float
    ma: float
    oil_c: float
    filament_a: float
    battery_v: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AecChoice:
    """What a generator is told of an automatic exposure."""

    chambers: tuple[str, ...]  # of hal.types.CHAMBERS
    density_index: int
    sensitivity_index: int


class RotorModel(Protocol):
    """A rotating anode and its starter."""

    def run_up(self, t_us: int) -> None: ...

    def brake(self, t_us: int) -> None: ...

    def at_speed(self, now: Now) -> bool: ...

    def rpm(self, t_us: int) -> float: ...


class GeneratorModel(Protocol):
    """The physics behind a generator's protocol. Times in, state out; no bytes."""

    @property
    def rotor(self) -> RotorModel | None:
        """None: a stationary anode."""

    model_number: str
    serial_number: str

    def set_kv(self, t_us: int, kv: float) -> None: ...

    def set_ma(self, t_us: int, ma: float) -> None: ...

    def set_time_us(self, t_us: int, time_us: int | None) -> None:
        """None = continuous."""

    def set_charge_mas(self, t_us: int, mas: float | None) -> None:
        """The charge that ends the next beam; None: none does."""

    def aec_refused(self, choice: AecChoice) -> str:
        """Which of "chambers", "sensitivity", "density" it has not; "" if it has all."""

    def set_aec(self, t_us: int, choice: AecChoice | None) -> None:
        """The chambers that end the next beam; None: none do."""

    def set_focus(self, t_us: int, *, small: bool) -> None:
        """Of the next beam; a tube with one focus takes no notice."""

    def set_prewarning_us(self, t_us: int, prewarning_us: int) -> None: ...

    def prewarning_us(self) -> int: ...

    def in_prewarning(self, t_us: int) -> bool: ...

    def ready(self, now: Now) -> bool:
        """For the exposure that is set, besides rotor and filament: its energy, its own rules."""

    def most_mas(self, kv: float) -> float:
        """Of one exposure at that kV, by a rule of its own; infinite: it has none."""

    def start(self, t_us: int) -> bool:
        """False: not started (refused, or entered pre-warning)."""

    def stop(self, t_us: int) -> None: ...

    def beam_on(self, t_us: int) -> bool: ...

    def ramp_us(self) -> int: ...

    def reading(self, t_us: int) -> GeneratorReading: ...

    def battery_pct(self, t_us: int) -> float | None:
        """Its charge, as its own meter has it; None: it runs on mains."""

    def account(self, t_us: int) -> tuple[float, float]:
        """(kV, mAs) of the newest beam, by its own divider and meter: the mean, the integral."""

    def fault_bits(self, t_us: int) -> frozenset[str]:
        """Names of the vendor's fault bits that are set now."""

    def tripped(self, t_us: int) -> frozenset[str]:
        """Those of them that have ended a beam, or would, and stay until they are cleared."""

    def clear_faults(self, t_us: int) -> None: ...

    def command_seen(self, t_us: int) -> None:
        """Feeds the watchdog."""

    def set_watchdog(self, t_us: int, *, on: bool, limit_us: int | None = None) -> None: ...

    def watchdog_on(self) -> bool: ...

    def on_time_s(self) -> float: ...


class RoomModel(Protocol):
    """The contacts and relays behind a remote I/O module."""

    def inputs(self, t_us: int) -> Sequence[bool]: ...

    def coils(self, t_us: int) -> Sequence[bool]: ...

    def set_coil(self, t_us: int, coil_index: int, closed: bool) -> None: ...

    def pulse_coil(self, t_us: int, coil_index: int, duration_us: int) -> None: ...


class PanelModel(Protocol):
    """The panel behind its control and data sockets."""

    @property
    def panel_id(self) -> str: ...

    def state(self, t_us: int) -> str:
        """A value of PanelState."""

    def advance(self, now: Now) -> None:
        """Move to `now`; asks `now.reached` for its own timers."""

    def prepare(self, t_us: int) -> None: ...

    def standby(self, t_us: int) -> None: ...

    def request_window(self, t_us: int, shot_id: str) -> None: ...

    def drop_request(self, t_us: int) -> None: ...

    def window_us(self) -> int: ...

    def frame_count(self) -> int: ...

    def battery_pct(self, t_us: int) -> int | None:
        """Charge of its battery; None: it is tethered."""

    def take_frames(self, t_us: int) -> Sequence[PanelFrame]:
        """Frames to be sent now: read out, or asked for once more."""

    def kept(self) -> tuple[str, ...]:
        """Shots whose frames its memory holds, the oldest first."""

    def resend(self, t_us: int, shot_id: str) -> bool:
        """False: its memory does not hold that frame."""

    def free(self, t_us: int, shot_id: str) -> None:
        """The frame is safe elsewhere; one that is not held is no error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BladesSeen:
    """What a collimator's own sensors show. Openings are those at 1 m."""

    sid_mm: float | None
    rows_mm: float
    columns_mm: float
    moving: bool = False
    failed: bool = False


class CollimatorModel(Protocol):
    name: str
    serial_number: str

    def seen(self, t_us: int) -> BladesSeen: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseSeen:
    dap_dgycm2: float  # since the reset
    failed: bool = False


class DoseModel(Protocol):
    name: str
    serial_number: str

    def seen(self, t_us: int) -> DoseSeen: ...

    def reset(self, t_us: int) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelFrame:
    """One raw frame: `pixels` are rows x columns little-endian uint16, row by row."""

    series: int
    frame_index: int
    rows_px: int
    columns_px: int
    pixels: bytes
    start_us: int  # the window opened
    stop_us: int  # ... and closed
    panel_id: str
    shot_id: str  # as the exposure request named it
    complete: bool = True  # False: the window ended before the request was dropped


class Desk(Protocol):
    """The device side of a protocol: bytes in, bytes out, delays and dialect."""

    def receive(self, now: Now, data: bytes) -> None: ...

    def poll(self, now: Now) -> bytes:
        """Bytes that are due to leave now; asks `now.reached` for those that are not."""
