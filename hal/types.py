"""The words that both sides of the plug speak.

Everything here is frozen and plain: a sample says what a device showed and when it
was *asked for* (`taken_us`); `None` means "not known" and never "zero". Units stand
in the names (`kv`, `ma`, `mas`, `_us`, `_ugy`, ...).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import Enum, StrEnum


class GeneratorState(Enum):
    OFFLINE = "offline"  # nothing believable heard within the link's limit
    STANDBY = "standby"  # answers; not prepared for a beam
    PREPARING = "preparing"  # set-points, watchdog and start conditions under way
    READY = "ready"  # everything confirmed; ON would be honoured
    BEAM = "beam"  # the generator says that X-rays are on
    FAULT = "fault"  # the generator reports a fault that keeps the beam off


class PanelState(Enum):
    """Project names of protocols.md 9.3."""

    DISCONNECTED = "disconnected"
    INIT = "init"
    IDLE = "idle"
    PREPARING = "preparing"
    READY = "ready"  # armed: a window can be asked for; not integrating
    INTEGRATING = "integrating"  # the exposure window is open
    READOUT = "readout"
    RECOVER = "recover"
    ERROR = "error"


CHAMBERS = ("left", "centre", "right")  # as the patient's image is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class AecSetting:
    """How an automatic exposure is to end: the generator's chambers, or its back-up."""

    chambers: tuple[str, ...]  # of CHAMBERS, in their order
    density_index: int = 0  # steps of the generator's; more is darker
    sensitivity_index: int  # the generator's number of a cut-off dose
    expected_mas: float  # for the patient that is planned for
    backup_mas: float  # at which the generator ends the beam if the chambers don't

    def problems(self) -> tuple[str, ...]:
        """Fields that are no usable value; what a bench has is the bench's business."""
        in_order = tuple(name for name in CHAMBERS if name in self.chambers)
        found = []
        if not in_order or in_order != self.chambers:
            found.append(f"chambers must be of {', '.join(CHAMBERS)}, got {self.chambers!r}")
        for name in ("density_index", "sensitivity_index"):
            value = getattr(self, name)
            if type(value) is not int:
                found.append(f"{name} must be a whole number, got {value!r}")
        for name in ("expected_mas", "backup_mas"):
            value = getattr(self, name)
            if not _positive(value):
                found.append(f"{name} must be a positive number, got {value!r}")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Technique:
    """The loading factors asked for. Exactly one of `mas`, `ms` and `aec` ends the beam.

    `mas`: ended by the charge, which the unit integrates where the generator has no mAs mode;
    `ms`: ended by the generator's own timer; `aec`: ended by the generator's chambers.
    """

    kv: float
    ma: float
    mas: float | None = None
    ms: float | None = None
    aec: AecSetting | None = None

    @property
    def planned_mas(self) -> float:
        """What heat, time and window must allow for: in AEC the back-up."""
        if self.aec is not None:
            return self.aec.backup_mas
        return self.mas if self.mas is not None else self.ma * (self.ms or 0.0) / 1000.0

    @property
    def expected_mas(self) -> float:
        """What will be irradiated if all goes well: in AEC less than what is allowed for."""
        return self.planned_mas if self.aec is None else self.aec.expected_mas

    @property
    def planned_ms(self) -> float:
        return self.ms if self.ms is not None else 1000.0 * self.planned_mas / self.ma

    def problems(self) -> tuple[str, ...]:
        """Fields that are no usable number (SR-05); ranges are the bench's business."""
        found = [
            f"{name} must be a positive number, got {value!r}"
            for name, value in (("kv", self.kv), ("ma", self.ma))
            if not _positive(value)
        ]
        if sum(ending is not None for ending in (self.mas, self.ms, self.aec)) != 1:
            found.append("exactly one of mas, ms and aec must be given")
        for name, value in (("mas", self.mas), ("ms", self.ms)):
            if value is not None and not _positive(value):
                found.append(f"{name} must be a positive number, got {value!r}")
        return (*found, *(self.aec.problems() if self.aec is not None else ()))


def _positive(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # A whole number too long for a float is none that a device could be told.
    return is_number and 0 < value <= sys.float_info.max  # type: ignore[operator]


TEST_EXAM_ID = "TEST"  # nobody's exam: the only one that shots of a routine may have


class ShotKind(StrEnum):
    """What a shot does with tube and panel (design, "Shots")."""

    IMAGING = "imaging"  # a beam onto an armed panel
    NO_RECEPTOR = "no receptor"  # a beam onto nothing that makes an image
    DARK = "dark"  # a read-out without a beam; the technique says how long the window lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """What the next press of the handswitch may do, handed in from outside the scan.

    It programmes, it never starts: a beam needs the local two-stage handswitch. Only a
    dark frame, which has no beam, needs no press. A `shot_id` that was used once is never
    used again (one press, one beam).
    """

    shot_id: str
    technique: Technique
    exam_id: str  # "TEST" or a worklist item: identity is bound before PREP (SR-13)
    panel_id: str  # the panel that must answer (SR-10)
    kind: ShotKind = ShotKind.IMAGING
    raw: bool = False  # the frame is kept as it came: needs no calibration set, makes no image
    clear_by: str | None = None  # who confirmed that no receptor stands in the beam
    warms: bool = False  # a step of a warm-up: a cold tube is no reason to refuse it
    deferred: str | None = None  # emergency: why the warm-up waits
    sid_mm: float | None = None  # source to detector, for this shot; None: as the bench has it

    @property
    def has_beam(self) -> bool:
        return self.kind is not ShotKind.DARK

    @property
    def has_frame(self) -> bool:
        return self.kind is not ShotKind.NO_RECEPTOR

    @property
    def needs_set(self) -> bool:
        """A calibration set must be there: the frame becomes an image."""
        return self.kind is ShotKind.IMAGING and not self.raw


@dataclass(frozen=True, slots=True, kw_only=True)
class TubeData:
    """What the tube may do. Sources stand in the bench file."""

    kv_min: float
    kv_max: float
    ma_min: float
    ma_max: float
    power_max_w: float
    time_min_ms: float
    time_max_ms: float
    heat_max_j: float
    cooling_tau_s: float
    time_max_no_receptor_ms: float | None = None  # None: as with one
    cold_kv_max: float | None = None  # before the warm-up; None: this tube needs none
    deferred_kv_max: float | None = None  # ... when an emergency lets it wait
    deferred_ma_max: float | None = None
    gap_us: int | None = None  # shortest pause between two beams; None: no rule
    duty_window_us: int | None = None  # in any such window ...
    duty_beam_us: int | None = None  # ... so much beam at most


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeData:
    """Below which charge of a battery somebody is told, and below which no beam is begun."""

    warn_pct: float
    least_pct: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryData:
    """Where this bench's receptor stands and may stand. Sources stand in the bench file."""

    sid_mm: float  # for shots that name none
    sid_mm_min: float
    sid_mm_max: float
    rows_mm: float  # of the panel
    columns_mm: float
    field_rows_mm: float  # as a person sets the light field
    field_columns_mm: float
    sensed: bool = False  # tube and collimator say where they stand
    age_us: int = 0  # ... and a sample may be so old


@dataclass(frozen=True, slots=True, kw_only=True)
class DapData:
    """What this bench needs to judge its meter in the beam. Sources stand in the bench file."""

    output_ugy_per_mas: tuple[
        tuple[float, float], ...
    ]  # rows of kV and air kerma at 1 m, kV rising
    deviation_pct: float  # between measured and computed, the larger of the two:
    deviation_dgycm2: float
    wait_us: int  # so long a report waits for its value
    required: bool  # without the meter there is no exposure


@dataclass(frozen=True, slots=True, kw_only=True)
class AecData:
    """What this bench has for automatic exposures. Sources stand in the bench file."""

    chambers: tuple[str, ...]  # of CHAMBERS
    panels: tuple[str, ...]  # the receptors that they stand before
    sensitivities_index: tuple[int, ...]
    density_most_index: int  # steps to either side
    backup_pct: float  # of the expected mAs
    site_mas: float | None = None  # a lower ceiling than the law's
    own_mas: float  # the generator's own limit


# --- what the unit reads -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorSample:
    """What the generator showed. All of it is *indicated*: the unit's own feedback."""

    taken_us: int  # when the newest answer was asked for
    state: GeneratorState = GeneratorState.OFFLINE
    identity: str | None = None  # model and serial number
    confirmed: Technique | None = None  # the technique as the generator echoed it
    interlock_closed: bool | None = None
    interlock_taken_us: int | None = None
    beam_on: bool | None = None
    beam_taken_us: int | None = None  # when the answer behind `beam_on` was asked for
    on_sent_us: int | None = None  # ON left for the wire in the current request
    on_answered_us: int | None = None  # ... and was accepted
    refused: bool = False  # the current ON request was answered "not started", or expired
    off_confirmed_us: int | None = None  # OFF was answered after it was last commanded
    kv: float | None = None  # newest monitor read of the current or last beam
    ma: float | None = None
    monitor_taken_us: int | None = None
    beam_mas: float | None = None  # the generator's own account of its last beam, once it is over
    beam_ms: float | None = None
    account_taken_us: int | None = None  # when that account was asked for
    battery_v: float | None = None
    battery_pct: float | None = None  # of a full charge
    oil_c: float | None = None
    faults: tuple[str, ...] = ()  # codes of hal.faults
    raw_faults: str = ""  # the vendor's own words, for the service engineer


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelSample:
    taken_us: int
    state: PanelState = PanelState.DISCONNECTED
    panel_id: str | None = None
    window_us: int | None = None  # length of the exposure window that the panel grants
    window_open_us: int | None = None  # when "integrating" was first seen
    frame_count: int = 0  # frames that the panel says it has sent
    kept: tuple[str, ...] = ()  # shots whose frames its memory holds, the oldest first
    given_up: tuple[str, ...] = ()  # those of them that were fetched in vain often enough
    battery_pct: float | None = None  # of a full charge; None: it tells none
    faults: tuple[str, ...] = ()
    lines: tuple[str, ...] | None = None  # of a handshake over lines: those that are active now
    troubles: tuple[str, ...] = ()  # ... and what was not as its document says, for people


# The I/O map (design, "Hard-wired chain"): fields of RoomSample from discrete input 0 up.
CONTACTS = ("stage_1", "stage_2", "door", "estop", "chain", "key", "reset", "lamp_current")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSample:
    """Contacts of the room; True = closed = permitted (stages: pressed)."""

    taken_us: int
    link_ok: bool = False
    stage_1: bool = False
    stage_2: bool = False
    door: bool = False
    estop: bool = False
    chain: bool = False  # the latching safety relay
    key: bool = False
    reset: bool = False
    lamp_current: bool = False
    enable_readback: bool | None = None  # the enable coil as the module reports it
    enable_taken_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecorderSample:
    """What the unit must know of the recorder. Ids are `Shot.shot_id`."""

    taken_us: int
    alive: bool = False
    disk_ok: bool = False
    panel_set_ok: bool = False  # valid offset, gain and defect maps for the named panel
    incomplete_count: int = 0  # irradiated, without dose or image, and nobody acknowledged it
    intent_durable: str | None = None
    dose_saved: str | None = None
    image_saved: str | None = None
    image_failed: str | None = None
    level_counts: int | None = None  # median of the newest raw frame that was kept as it came
    # of the frames that the panel keeps:
    frames_safe: tuple[str, ...] = ()  # saved, or worth nothing: the panel may forget them
    frames_wanted: tuple[str, ...] = ()  # not here yet: to be fetched if they don't come


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometrySample:
    """Where the tube and the collimator stand, by their own sensors. None: not known."""

    taken_us: int
    link_ok: bool = False
    identity: str | None = None
    sid_mm: float | None = None
    field_rows_mm: float | None = None  # of the light field, at the receptor
    field_columns_mm: float | None = None
    moving: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseSample:
    """What an independent meter in the beam has added up since its reset."""

    taken_us: int
    link_ok: bool = False
    identity: str | None = None
    shot_id: str | None = None  # the shot that it was reset for, once it has said so
    dap_dgycm2: float | None = None
    trouble: str = ""  # what it complains of, in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """What people and programs outside the scan may ask. None of it can start a beam."""

    shot: Shot | None = None
    stop: bool = False
    reset: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The input image of one scan."""

    t_us: int
    room: RoomSample
    generator: GeneratorSample
    panel: PanelSample
    recorder: RecorderSample
    geometry: GeometrySample | None = None  # None: this bench senses it not
    dose: DoseSample | None = None  # None: this bench has no meter in the beam
    requests: Requests = Requests()
    late_us: int = 0  # how late this scan began


# --- what the unit writes ------------------------------------------------------------------


class EndReason(Enum):
    """Why a beam (or an attempt at one) ended."""

    PLANNED = "planned end"
    RELEASED = "handswitch released"
    STOPPED = "stop requested"
    REFUSED = "generator refused"
    FAULT = "fault"
    NO_BEAM = "ended before the beam"
    DARK = "dark frame"  # without a beam, as asked
    OBSERVED = "observed"  # another's beam: not commanded by this unit, only seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is about to be irradiated; durable before the beam (SR-52)."""

    shot: Shot
    planned_mas: float
    maximum_mas: float  # the bound on an unknown dose: the generator's own timer, and the fall
    at_us: int
    timer_us: int | None = None  # alone; without one the unit's own and the relay's pulse


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureReport:
    """What was irradiated, measured where it could be (SR-53)."""

    shot: Shot
    reason: EndReason
    fault: str | None = None
    beam: bool  # False: ON never left, so no beam was possible
    mas: float | None  # indicated; None = unknown, bounded by maximum_mas
    maximum_mas: float
    kv: float | None = None  # mean of the monitor reads after the ramp
    ma: float | None = None
    beam_ms: float | None = None  # middle of the ramp to beam end, as indicated
    start_us: int | None = None
    end_us: int | None = None
    # where it was sensed, when the beam was let out:
    sid_mm: float | None = None
    field_rows_mm: float | None = None
    field_columns_mm: float | None = None
    # dose-area product: by an independent meter, and computed from the indicated values
    dap_dgycm2: float | None = None
    calculated_dap_dgycm2: float | None = None
    dap_doubt: str | None = None  # why there is no measured one, or what is wrong with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The output image of one scan. The defaults are the safe ones."""

    # room
    ready_lamp: bool = False
    beam_lamp: bool = False
    buzzer: bool = False
    enable: bool = False  # held by a self-timed pulse that each scan re-triggers
    enable_lapse: bool = False  # self-test: neither re-trigger nor drop, its own timer must end it
    contactor: bool = False
    prep_line: bool = False
    expose_line: bool = False
    # generator
    technique: Technique | None = None  # to be set and confirmed
    expose_from_us: int | None = None  # None = OFF; else the scan that ordered ON
    clear_faults_from_us: int | None = None
    # panel
    prepare_panel: bool = False
    window_from_us: int | None = None  # None = no exposure request
    window_shot_id: str | None = None  # goes with the request, comes back with the frame
    fetch: tuple[str, ...] = ()  # frames of its memory that it shall send once more
    free: tuple[str, ...] = ()  # ... and that it may forget
    beam_seen: bool = False  # the generator indicates X-rays: a panel on lines is told so
    # meter in the beam
    dose_shot_id: str | None = None  # its value of this shot is wanted ...
    dose_reset: bool = False  # ... and the beam has not begun: it shall begin at nothing
    # recorder
    intent: Intent | None = None
    report: ExposureReport | None = None
    kept: tuple[str, ...] = ()  # as the panel tells: the recorder knows what is to become of them
    # when nothing arrives, nothing changes before this time
    next_us: int = field(default=0, compare=False)
