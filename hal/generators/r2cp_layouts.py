"""What R2CP data bytes mean: databank, status, post-exposure, system message, procedure.

Modelled on the host side of a public third-party program; unverified against a device, may need
the vendor's ICD. All numbers are big endian and unsigned. Section 4.5 of the protocol reference
unless a row says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import IntEnum

from hal.ports import WireError


class State(IntEnum):
    """Status byte 0."""

    INVALID = 0
    INITIALIZATION = 1
    STANDBY = 2
    PREPARATION = 3
    READY = 4
    EXPOSURE_REQUESTED = 5
    EXPOSING = 6
    WAIT_RELEASE = 7
    SHUTDOWN = 8
    ERROR = 9
    SERVICE = 10


class Points(IntEnum):
    """Databank byte 2, low six bits: what is set, and what the generator finds itself."""

    ZERO = 0  # nothing is set
    ONE = 1  # kV; the chambers end the beam
    TWO = 2  # kV and mAs; mA and ms are caps
    THREE = 3  # kV, mA and ms
    FALLING_LOAD = 4
    AUTO = 5
    TWO_MAX_MS = 6


PREP_SWITCH, EXPOSURE_SWITCH = 0x01, 0x02  # status byte 11: b0, b1 (b2 fluoro, b7 filament)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    at_index: int  # first byte
    size_bytes: int
    per_unit: int = 1  # counts on the wire per unit
    unit: str = ""


Layout = tuple[Field, ...]

# --- tables -----------------------------------------------------------------------------------

DATABANK: Layout = (  # 27 bytes, 0x20/12
    Field("databank_id", 0, 1),
    Field("imaging_id", 1, 1),
    Field("points_index", 2, 1),
    Field("kv", 3, 2, 10, "kV"),
    Field("mas", 5, 3, 1000, "mAs"),
    Field("ma", 8, 3, 100, "mA"),
    Field("ms", 11, 3, 100, "ms"),
    Field("integration_ms_min", 14, 2, 1, "ms"),
    Field("integration_ms_max", 16, 2, 1, "ms"),
    Field("focus_index", 18, 1),
    Field("sensitivity_index", 19, 1),
    Field("density_index", 20, 1),
    Field("chambers_index", 21, 1),
    Field("spare_22_index", 22, 1),
    Field("frames_hz", 23, 2, 10, "1/s"),
    Field("tracking_id", 25, 1),
    Field("spare_26_index", 26, 1),
)
STATUS: Layout = (  # 14 bytes, 0x20/147
    Field("state_index", 0, 1),
    Field("messages_index", 1, 1),
    Field("procedure_id", 2, 1),
    Field("exposure_index", 3, 1),
    Field("sequence_number", 4, 1),
    Field("fluoro_count", 5, 2),  # its unit is not stated
    Field("fluoro_index", 7, 1),
    Field("anode_pct", 8, 1, 1, "%"),
    Field("housing_pct", 9, 1, 1, "%"),
    Field("generator_pct", 10, 1, 1, "%"),
    Field("switches_index", 11, 1),
    Field("dynamic_index", 12, 1),
    Field("rotor_index", 13, 1),
)
POST_EXPOSURE: Layout = (  # 21 bytes, 0x20/144
    Field("exposure_count", 0, 2),
    Field("procedure_id", 2, 1),
    Field("sequence_number", 3, 1),
    Field("kv", 4, 2, 10, "kV"),
    Field("ma", 6, 3, 100, "mA"),
    Field("ms", 9, 3, 100, "ms"),
    Field("mas", 12, 3, 1000, "mAs"),
    Field("focus_index", 15, 1),
    Field("sensitivity_index", 16, 1),
    Field("density_index", 17, 1),
    Field("chambers_index", 18, 1),
    Field("end_code", 19, 1),  # meanings unknown
    Field("orientation_index", 20, 1),
)
MESSAGE: Layout = (  # 10 bytes, 0x80/1
    Field("node_id", 0, 1),
    Field("message_id", 1, 4),
    Field("active", 5, 1),
    Field("inhibits_beam", 6, 1),
    Field("phase_index", 7, 1),  # "inhibit generator phase": the host writes 2, Standby
    Field("inhibits_movement", 8, 1),
    Field("positioner_index", 9, 1),
)
PROCEDURE: Layout = (  # 16 bytes, 0xE0/6
    Field("procedure_id", 0, 1),
    Field("kind_id", 1, 1),
    Field("positioner_id", 2, 1),
    Field("switch_id", 3, 1),
    Field("activation_id", 4, 1),
    Field("workstation_id", 5, 1),
    Field("databank_count", 6, 1),
    Field("positioning_id", 7, 1),
    Field("collimator_id", 8, 1),
    Field("filter_id", 9, 1),
    Field("sequencing_index", 10, 4),
    Field("exposure_count", 14, 2),
)

# --- records ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Databank:
    """`points_index`: a Points, plus 0x40 auto-technique may modify, 0x80 adjust parameters."""

    databank_id: int  # the host: 1 pre-pulse, 2 pulse, 3 skip-pulse
    points_index: int
    kv: float
    mas: float
    ma: float
    ms: float
    imaging_id: int = 4  # what the host uses
    integration_ms_min: int = 1
    integration_ms_max: int
    focus_index: int = 1  # 0 small, 1 large
    sensitivity_index: int = 0
    density_index: int = 0  # a byte: see r2cp_ratings
    chambers_index: int = 0  # b0 left, b1 centre, b2 right, b7 internal or external
    frames_hz: float = 0.0
    tracking_id: int = 0
    spare_22_index: int = 0
    spare_26_index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    state_index: int  # a State
    messages_index: int = 0  # low nibble active, high nibble inhibit
    procedure_id: int = 0
    exposure_index: int = 0  # 0 none, 1 single shot, 2 serial, 3-6 fluoro
    sequence_number: int = 0
    fluoro_count: int = 0
    fluoro_index: int = 0
    anode_pct: int = 0  # heat units
    housing_pct: int = 0
    generator_pct: int = 0
    switches_index: int = 0  # PREP_SWITCH, EXPOSURE_SWITCH, b2 fluoro, b7 filament
    dynamic_index: int = 0
    rotor_index: int = 0  # "rotor speed": its unit is not stated

    @property
    def state(self) -> State:
        return State(self.state_index)

    @property
    def has_messages(self) -> bool:
        return bool(self.messages_index & 0x0F)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostExposure:
    """What the generator says that it has made."""

    exposure_count: int
    procedure_id: int
    sequence_number: int
    kv: float
    ma: float
    ms: float
    mas: float
    focus_index: int = 0
    sensitivity_index: int = 0
    density_index: int = 0
    chambers_index: int = 0
    end_code: int = 0  # meanings unknown (section 13)
    orientation_index: int = 0  # 0 unknown, 1 0 deg, 2 90, 3 180, 4 270


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A system message. The defaults are those of the host's own."""

    node_id: int
    message_id: int
    active: bool
    inhibits_beam: bool = True
    phase_index: int = 2
    inhibits_movement: bool = False
    positioner_index: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Procedure:
    procedure_id: int
    kind_id: int = 1  # standard RAD
    positioner_id: int = 0
    switch_id: int = 0
    activation_id: int = 0  # 0 software, 1 push
    workstation_id: int = 1  # direct
    databank_count: int = 1
    positioning_id: int = 0
    collimator_id: int = 0
    filter_id: int = 0
    sequencing_index: int = 0
    exposure_count: int = 1


# --- both ways --------------------------------------------------------------------------------


def packed(layout: Layout, values: Mapping[str, float]) -> bytes:
    """ValueError with field and range for what the field can't carry."""
    return b"".join(_packed(field, values[field.name]) for field in layout)


def _packed(field: Field, value: float) -> bytes:
    count = round(value * field.per_unit)
    most = 256**field.size_bytes - 1
    if not 0 <= count <= most:
        text = f"{field.name} must be 0-{most / field.per_unit:g} {field.unit}".rstrip()
        raise ValueError(f"{text}, got {value!r}")
    return count.to_bytes(field.size_bytes, "big")


def unpacked(layout: Layout, data: bytes) -> dict[str, float]:
    """Values by name, in units: whole numbers where the wire's step is the unit."""
    size_bytes = sum(field.size_bytes for field in layout)
    if len(data) != size_bytes:
        raise WireError(f"{len(data)} bytes where the layout has {size_bytes}: {data.hex(' ')}")
    return {field.name: _unpacked(field, data) for field in layout}


def _unpacked(field: Field, data: bytes) -> float:
    count = int.from_bytes(data[field.at_index : field.at_index + field.size_bytes], "big")
    return count if field.per_unit == 1 else count / field.per_unit


def databank_bytes(databank: Databank) -> bytes:
    return packed(DATABANK, asdict(databank))


def read_databank(data: bytes) -> Databank:
    return Databank(**unpacked(DATABANK, data))  # type: ignore[arg-type]  # by the table


def status_bytes(status: Status) -> bytes:
    return packed(STATUS, asdict(status))


def read_status(data: bytes) -> Status:
    """WireError for a state that section 4.5 does not name: it may be a beam."""
    status = Status(**unpacked(STATUS, data))  # type: ignore[arg-type]  # by the table
    if status.state_index not in {state.value for state in State}:
        raise WireError(f"status with state {status.state_index}, there are 0-10")
    return status


def post_bytes(post: PostExposure) -> bytes:
    return packed(POST_EXPOSURE, asdict(post))


def read_post(data: bytes) -> PostExposure:
    return PostExposure(**unpacked(POST_EXPOSURE, data))  # type: ignore[arg-type]  # by the table


def battery_bytes(pct: float) -> bytes:
    """4.3 names the entry; silent: chosen: one byte, percent of a full charge."""
    return bytes((round(pct),))


def read_battery(data: bytes) -> float | None:
    """Percent. Its size is silent, so any number that can be one counts; None: none is there."""
    pct = int.from_bytes(data, "big")
    return float(pct) if data and pct <= 100 else None


def message_bytes(message: Message) -> bytes:
    return packed(MESSAGE, asdict(message))


def read_message(data: bytes) -> Message:
    """WireError where a flag is neither 0 nor 1: nobody knows what it would mean."""
    values = unpacked(MESSAGE, data)
    for name in ("active", "inhibits_beam", "inhibits_movement"):
        if values[name] not in (0, 1):
            raise WireError(f"system message with {name} = {values[name]}")
        values[name] = bool(values[name])
    return Message(**values)  # type: ignore[arg-type]  # by the table


def procedure_bytes(procedure: Procedure) -> bytes:
    return packed(PROCEDURE, asdict(procedure))


def read_procedure(data: bytes) -> Procedure:
    return Procedure(**unpacked(PROCEDURE, data))  # type: ignore[arg-type]  # by the table
