"""What the unit remembers from scan to scan: one frozen value, nothing anywhere else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hal.types import (
    AecData,
    ChargeData,
    DapData,
    EndReason,
    ExposureReport,
    GeometryData,
    GeometrySample,
    Shot,
    TubeData,
)


class State(Enum):
    BOOT = "BOOT"
    SELF_TEST = "SELF_TEST"
    STANDBY = "STANDBY"
    PREP = "PREP"
    READY = "READY"
    INTERLOCK_CHECK = "INTERLOCK_CHECK"
    EXPOSE = "EXPOSE"
    READOUT = "READOUT"
    RELEASE_WAIT = "RELEASE_WAIT"
    FAULT = "FAULT"
    LOCKED = "LOCKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Deadlines and bands of one bench: the design's values, cut by what its devices can do."""

    boot_us: int = 10_000_000
    self_test_us: int = 3_000_000
    prep_us: int = 10_000_000
    ready_us: int = 15_000_000
    interlock_check_us: int = 500_000
    readout_us: int = 10_000_000
    release_us: int = 20_000_000
    both_open_us: int = 50_000  # SR-03, SR-04
    stage_2_us: int = 20_000
    reset_us: int = 20_000  # SR-41: the reset contact must be seen closed for so long
    room_age_us: int = 100_000  # SR-09
    panel_age_us: int = 250_000
    beam_start_us: int = 700_000  # ON -> accepted, ramp included
    status_age_us: int = 150_000  # generator status during the beam, after the ramp
    off_lead_us: int = 10_000  # OFF ordered -> HV off, as expected; not the worst case
    off_confirm_us: int = 800_000  # OFF written -> answered, worst case of this wire
    fall_us: int = 50_000  # HV off -> the status says so
    held_mas: float = 0.0  # cables hold so much at most, and let it flow in the fall
    ramp_us: int = 500_000  # worst kV rise; the generator's back-up time includes it for mAs
    time_step_us: int = 10_000
    has_own_timer: bool = True  # False: the unit is the timer of a beam by time, too
    overrun_us: int = 0  # ... and so long HV may outlive it: until the relay's pulse has lapsed
    window_margin_us: int = 200_000  # SR-10
    settle_us: int = 100_000  # after "accepted", before the bands count
    kv_band_pct: float = 10.0
    kv_band_kv: float = 3.0
    ma_band_pct: float = 20.0
    ma_band_ma: float = 0.05
    mas_over_pct: float = 15.0
    mas_over_mas: float = 0.2
    mas_known_pct: float = 10.0  # IEC 60601-2-54 203.6.4 (unverified clause): 10 % and 0.2 mAs
    mas_known_mas: float = 0.2
    mas_service_pct: float = 25.0  # SR-25: from here on it is service's business
    mas_service_mas: float = 0.4
    enable_pulse_us: int = 200_000
    enable_look_us: int = 60_000  # how late the read-back of the enable coil may show its drop
    late_us: int = 200_000
    safety_relay: tuple[str, ...] = ("door", "estop")  # contacts whose opening drops the chain
    chain_us: int = 100_000  # ... seen to have dropped so long after
    lamp_us: int = 300_000  # SR-35: visible at least so long
    sound_us: int = 500_000
    self_test_every_us: int = 24 * 3_600_000_000  # SR-46
    arcs_most_count: int = 3  # SR-26: in ten beams
    resets_most_count: int = 5  # SR-43: in `resets_within_us`
    resets_within_us: int = 600_000_000
    generator_identity: str | None = None  # None: any generator is accepted
    ends_mas: bool = False  # the generator ends a beam at its mAs; else the unit does
    account_us: int | None = None  # proved off -> the generator's own account; None: it gives none
    aec: AecData | None = None  # None: this bench has no chambers
    battery: ChargeData | None = None  # None: mains, or a wire that tells no charge
    panel_battery: ChargeData | None = None  # None: tethered
    geometry: GeometryData | None = None  # None: nobody says where the receptor stands
    dap: DapData | None = None  # None: this bench has no meter in the beam
    tube: TubeData


@dataclass(frozen=True, slots=True, kw_only=True)
class Beam:
    """The running beam, integrated in closed form at the arrival of each monitor read."""

    ordered_us: int
    sent_us: int | None = None
    accepted_us: int | None = None
    off_seen_us: int | None = None  # the scan that first saw the status "off"
    off_asked_us: int | None = None  # when that status was asked for
    read_us: int | None = None  # time of the newest monitor read used
    read_ma: float = 0.0
    most_ma: float = 0.0  # the highest that was read
    read_mas: float = 0.0  # charge up to `read_us`
    kv_sum: float = 0.0
    ma_sum: float = 0.0
    read_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A beam that was ordered off and is not proved off yet: its report waits."""

    ordered_us: int
    reason: EndReason
    answered_us: int | None = None  # the first answer to OFF was seen
    fault: str | None = None
    heard: bool = True  # False: the generator fell silent, so the charge is not known
    overran: bool = False  # "on" after its own timer's end: that bounds the charge no longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A beam that is proved off, and whose generator still owes its own account of it."""

    report: ExposureReport  # as it is told if no account comes
    from_us: int  # an account asked for before this is none of this beam
    proved_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A beam whose report is made, but for the value of the meter that stood in it."""

    report: ExposureReport
    proved_us: int


class SelfTestStep(Enum):
    """SELF_TEST: close the enable relay, then prove that it drops by itself."""

    PULL_IN = "pull in"
    DROP_OUT = "drop out"
    PASSED = "passed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    limits: Limits
    state: State = State.BOOT
    since_us: int = 0
    why: str = "power up"  # the name of the predicate that led here
    faults: tuple[str, ...] = ()  # latched, first one first
    refused: tuple[str, ...] = ()  # what refused the last press
    # the handswitch, by sample time
    open_since_us: int | None = None  # both stages seen open
    stage_2_since_us: int | None = None
    must_open: bool = False  # since both were last seen open: room lost, or stage 2 alone closed
    key_was_off: bool = False  # seen since LOCKED
    reset_since_us: int | None = None
    reset_armed: bool = False  # reset was seen open in this state: a stuck contact resets nothing
    disagree_us: int | None = None  # the safety relay's loop was first seen open, its chain closed
    # self-test
    test_step: SelfTestStep = SelfTestStep.PULL_IN
    test_step_us: int = 0
    tested_us: int = 0  # when the last self-test passed
    # the exposure
    shot: Shot | None = None  # frozen at PREP
    used_shot_id: str | None = None
    beam: Beam | None = None
    window_from_us: int | None = None  # the exposure request to the panel; held until HV is off
    window_seen_us: int | None = None  # a dark frame's window was first seen open
    beam_end_us: int | None = None
    ending: Ending | None = None
    pending: Pending | None = None
    unread: Unread | None = None
    placed: GeometrySample | None = None  # where tube and collimator stood when the beam began
    beam_asked_us: int | None = None  # the newest status that indicated a beam: when asked for,
    beam_seen_us: int | None = None  # ... and first seen
    lamp_dark: bool = False  # the beam lamp was lit without current
    aec_lock: str | None = None  # the fault that locked AEC; until a person resets (SR-22)
    # what adds up over many exposures
    arcs: tuple[bool, ...] = ()  # of the newest beams: did the tube arc?
    beams_us: tuple[tuple[int, int], ...] = ()  # (from, to) of those that a duty rule counts
    resets_us: tuple[int, ...] = ()  # of the newest resets out of FAULT
    report: ExposureReport | None = None  # until the recorder has it
    warm: bool = True  # the tube: warmed up, or not idle for long; handed in at the start
    # tube heat, in closed form
    heat_j: float = 0.0
    heat_us: int = 0
