"""The unit's part of a bench file: what controller, drivers and recorder need to know.

Key names carry their unit. Unknown keys are errors, NaN and True are no numbers. The
bench file's schema as a whole, and how a mistake is shown to people, is `rig.bench`'s.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from hal.line_form import USUAL, LineForm, LineWord, line_form

USUAL_BITS_COUNT = line_form().bits_count  # what drivers compute the times of their lines with
Rung = Literal["model", "wire", "bench"]
Focus = Literal["small", "large"]
Place = Literal["free", "table", "wall"]


class Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, validate_default=True
    )


Positive = Annotated[float, Field(gt=0)]
Percent = Annotated[float, Field(ge=0, le=100)]


class GeneratorConfig(Strict):
    driver: str = Field(description="file name in hal/generators, such as vj_ixs")
    url: str = Field(description="serial device, pyserial URL, or tcp://host:port")
    baud: Literal[1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200] = 9600
    line: Annotated[
        LineWord | None, Field(description="data bits, parity, stop bits; default: 8N1")
    ] = None
    dialect: Literal["R3", "R4"] = "R3"
    identity: str | None = Field(
        default=None, description="model and serial number that must answer, as `status` shows it"
    )
    status_poll_ms: Annotated[int, Field(ge=5, le=1000)] = 20
    monitor_poll_ms: Annotated[int, Field(ge=20, le=2000)] = 100
    standby_poll_ms: Annotated[int, Field(ge=20, le=2000)] = 500
    model: Annotated[
        str | None, Field(description="of a driver that speaks for several, such as XRV")
    ] = None
    full_scale_kv: Annotated[
        Positive | None, Field(description="what the wire's 4095 counts are on this unit")
    ] = None
    full_scale_ma: Positive | None = None
    checksum: Annotated[
        Literal["inclusive", "exclusive", "none"] | None,
        Field(description="default: none on tcp://, else inclusive"),
    ] = None
    focus: Annotated[
        Focus | None, Field(description="focal spot, where the generator can be told one")
    ] = None
    battery_poll_ms: Annotated[
        int | None,
        Field(ge=200, le=60000, description="its battery's level, where the wire has one"),
    ] = None

    @property
    def form(self) -> LineForm:
        return line_form(self.line or USUAL)

    def options(self) -> dict[str, object]:
        """What the driver's constructor takes. Its baud is that of characters of ten bits."""
        own: dict[str, object] = {
            "dialect": self.dialect,
            "baud": self.baud * USUAL_BITS_COUNT // self.form.bits_count,
            "status_poll_us": self.status_poll_ms * 1000,
            "monitor_poll_us": self.monitor_poll_ms * 1000,
            "standby_poll_us": self.standby_poll_ms * 1000,
        }
        if self.focus is not None:
            own["focus_index"] = int(self.focus == "large")
        if self.battery_poll_ms is not None:
            own["battery_poll_us"] = self.battery_poll_ms * 1000
        return own | self.wire_options()

    def wire_options(self) -> dict[str, object]:
        """What tells the wires of one driver's models apart; a listener takes it, too."""
        if self.model is None:
            return {}
        line = "none" if self.url.startswith("tcp://") else "inclusive"
        return {
            "model": self.model,
            "full_scale_kv": self.full_scale_kv,
            "full_scale_ma": self.full_scale_ma,
            "checksum": self.checksum or line,
        }


class RoomConfig(Strict):
    driver: str = Field(description="file name in hal/room_io, such as waveshare")
    url: str = Field(description="tcp://host:port, or a serial device for RTU")
    map: Annotated[
        str | None,
        Field(min_length=1, description="in hal/room_io/maps, or a .toml file; default: driver's"),
    ] = None
    device_id: Annotated[
        Annotated[int, Field(ge=1, le=247)] | None, Field(description="default: the map's")
    ] = None
    active_poll_ms: Annotated[int, Field(ge=5, le=50)] = 5
    standby_poll_ms: Annotated[int, Field(ge=5, le=50)] = 20
    enable_pulse_ms: Literal[100, 200, 300] = 200
    watchdog_ms: Annotated[
        Annotated[int, Field(ge=1, le=3_600_000)] | None,
        Field(description="the module's own, as it is set there; default: not used"),
    ] = None


def _us(time_ms: int | None) -> int | None:
    return None if time_ms is None else time_ms * 1000


class LinesConfig(Strict):
    """A panel that is asked for its window over discrete lines, on an I/O module of its own.

    `channels`: line by its maker's name -> output of the module for lines to the panel, discrete
    input for those from it. A closed contact is an active line, whatever its level.
    """

    handshake: str = Field(description="a table of hal/handshakes.py, such as canon_cxdi_80c")
    channels: Annotated[
        dict[str, Annotated[int, Field(ge=0, le=63)]], Field(description="RX_REQ = 0, RX_COM = 0")
    ]
    device_id: Annotated[int, Field(ge=1, le=247)] = 1
    grant_ms: Annotated[
        Annotated[int, Field(ge=1, le=10_000)] | None,
        Field(description="longest from request to grant, where its maker gives none"),
    ] = None
    readout_ms: Annotated[
        int, Field(ge=50, le=60_000, description="after a window, until it takes another request")
    ] = 3000
    arm_ms: Annotated[
        Annotated[int, Field(ge=1, le=60_000)] | None,
        Field(description="automatic detection: until a trigger is believed; default: its table's"),
    ] = None
    recover_ms: Annotated[
        Annotated[int, Field(ge=1, le=60_000)] | None,
        Field(description="... and after each image"),
    ] = None

    @property
    def times(self) -> dict[str, int | None]:
        """Those that the kind of driver takes: one that asks, or one that is triggered."""
        if "TRIGGERED" in self.channels:
            return {"arm_us": _us(self.arm_ms), "recover_us": _us(self.recover_ms)}
        return {"grant_us": _us(self.grant_ms)}


PanelId = Annotated[str, Field(min_length=1, max_length=16)]


def below_warning(least_pct: float | None, info: ValidationInfo) -> float:
    """ValueError unless both are there, and somebody is told before an exposure is refused."""
    warn_pct = info.data.get("warn_pct")
    if least_pct is None or warn_pct is None or not least_pct <= warn_pct:
        raise ValueError(f"least_pct and warn_pct go together, least_pct not above it ({warn_pct})")
    return least_pct


class PanelBatteryConfig(Strict):
    """A wireless panel's battery: what the unit asks of its charge; what the simulated one takes.

    From 100 %: so much idle, and so much from "prepare" to the end of the read-out.
    """

    warn_pct: Annotated[Percent, Field(description="told below")]
    least_pct: Annotated[Percent, Field(description="no exposure is begun below")]
    idle_h: Annotated[Positive, Field(description="how long it lasts idle; simulated only")]
    working_h: Annotated[Positive, Field(description="... and prepared; simulated only")]

    @field_validator("least_pct")
    @classmethod
    def _warns_first(cls, least_pct: float, info: ValidationInfo) -> float:
        return below_warning(least_pct, info)


class PanelConfig(Strict):
    driver: str = Field(description="file name in hal/detectors, such as stream_panel")
    control_url: str = Field(description="ZeroMQ endpoint of the panel's control socket")
    data_url: str = Field(description="ZeroMQ endpoint that pushes frames")
    panel_id: PanelId
    also: Annotated[
        tuple[PanelId, ...],
        Field(strict=False, description="other registered panels of this kind, for --panel"),
    ] = ()
    rows_px: Annotated[int, Field(ge=64, le=4608)]
    columns_px: Annotated[int, Field(ge=64, le=4608)]
    pitch_mm: Annotated[float, Field(gt=0.01, le=2.0)]
    bits_stored: Annotated[int, Field(ge=12, le=16)] = 14
    window_ms: Annotated[int, Field(ge=50, le=20000)] = 5000
    lines: Annotated[
        LinesConfig | None,
        # Left out where there are none: hashes and records of all other benches are as they were.
        Field(exclude_if=lambda lines: lines is None),
    ] = None
    battery: PanelBatteryConfig | None = None  # None: tethered

    def options(self) -> dict[str, object]:
        """What the driver's constructor takes beside its link."""
        if self.lines is None:
            return {}
        own = {"panel_id": self.panel_id, "window_us": self.window_ms * 1000}
        return own | {
            "handshake": self.lines.handshake,
            "channels": self.lines.channels,
            "device_id": self.lines.device_id,
            "readout_us": self.lines.readout_ms * 1000,
            **self.lines.times,
        }

    @field_validator("also")
    @classmethod
    def _once(cls, also: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        registered = (info.data.get("panel_id"), *also)
        if len(set(registered)) != len(registered):
            raise ValueError("a panel is registered twice")
        return also

    @property
    def registered(self) -> tuple[str, ...]:
        """SR-50: who may answer at all, the selected one first."""
        return (self.panel_id, *self.also)


class FolderConfig(Strict):
    """Where the maker's own tool drops images, and what its files are like (driver "folder").

    `corrected` is what the tool's maker says: then DICOM images are made of them; else each is
    kept as it came, and nothing is made of it.
    """

    path: str = Field(description="the folder, or sim: a simulated tool")
    form: Literal["raw", "dicom"]
    files: Annotated[str, Field(min_length=1, description="names of this panel's, as *.raw")] = "*"
    corrected: bool = Field(description="offset, gain and defects are corrected by the tool")
    byte_order: Annotated[Literal["little", "big"], Field(description="of raw")] = "little"
    header_bytes: Annotated[
        int, Field(ge=0, le=1_048_576, description="of raw: to skip before the pixels")
    ] = 0
    settle_ms: Annotated[
        int, Field(ge=100, le=60_000, description="unchanged for so long: the tool is done")
    ] = 1000
    stall_s: Annotated[
        float, Field(ge=1, le=600, description="a half-written file is given up after")
    ] = 15.0
    image_s: Annotated[
        float, Field(ge=1, le=600, description="the longest from beam to whole file")
    ] = 60.0
    clock_s: Annotated[
        float, Field(ge=0, le=3600, description="how far the tool's clock may be from ours")
    ] = 2.0


class TubeConfig(Strict):
    kv_min: Annotated[float, Field(ge=10, le=200)]
    kv_max: Annotated[float, Field(ge=10, le=200)]
    ma_min: Positive
    ma_max: Annotated[float, Field(gt=0, le=1500)]
    power_max_w: Positive
    time_min_ms: Positive
    time_max_ms: Positive
    heat_max_j: Positive
    cooling_tau_s: Positive
    time_max_no_receptor_ms: Annotated[
        Positive | None, Field(description="longest beam without a panel; default: as with one")
    ] = None
    gap_ms: Annotated[
        Annotated[int, Field(gt=0)] | None, Field(description="shortest pause between two beams")
    ] = None
    duty_window_ms: Annotated[
        Annotated[int, Field(gt=0)] | None, Field(description="in any such window of time ...")
    ] = None
    duty_beam_ms: Annotated[
        Annotated[int, Field(gt=0)] | None, Field(description="... so much beam at most")
    ] = None
    focal_spot_mm: Positive
    focal_spot_small_mm: Annotated[
        Positive | None, Field(description="of the small focus; generator.focus chooses")
    ] = None
    power_small_max_w: Annotated[
        Positive | None, Field(description="power_max_w of the small focus")
    ] = None
    filter_material: str = "ALUMINUM"
    filter_mm: Annotated[float, Field(ge=0, le=50)] = 0.0


Minutes = Annotated[tuple[float, float], Field(strict=False)]


class WarmupConfig(Strict):
    """The tube's table: how long to warm up after how long a rest, and with what.

    Rows are [idle from, h; minutes]; the last row whose hours have passed counts.
    """

    source: str = Field(description="the document that the minutes come from")
    minutes: Annotated[tuple[Minutes, ...], Field(strict=False, description="[idle h, minutes]")]
    cold_c: float | None = Field(default=None, description="at or below it `cold_minutes` count")
    cold_minutes: Annotated[tuple[Minutes, ...], Field(strict=False)] = ()
    ambient_c: Annotated[float, Field(ge=-40, le=60)] = 20.0
    kv: Annotated[tuple[Positive, ...], Field(strict=False, min_length=1)]
    ma: Positive
    on_s: Annotated[float, Field(ge=1, le=120)] = 15.0
    off_s: Annotated[float, Field(ge=1, le=600)] = 15.0
    stays_warm_h: Annotated[float, Field(gt=0, le=24)] = 8.0
    resume_minutes: Annotated[float, Field(gt=0, le=600)] = 30.0
    cold_kv_max: Positive = Field(description="the highest kV before the warm-up")
    deferred_kv_max: Positive = Field(description="... when an emergency lets it wait")
    deferred_ma_max: Positive

    @field_validator("minutes", "cold_minutes")
    @classmethod
    def _in_order(cls, rows: tuple[Minutes, ...]) -> tuple[Minutes, ...]:
        hours = [row[0] for row in rows]
        if hours != sorted(set(hours)) or any(value < 0 for row in rows for value in row):
            raise ValueError("rows must be [idle from, h; minutes], hours rising, none negative")
        return rows

    @field_validator("kv")
    @classmethod
    def _rising(cls, kv: tuple[float, ...]) -> tuple[float, ...]:
        if list(kv) != sorted(set(kv)):
            raise ValueError("kv must rise: the lowest first")
        return kv


class ConditioningConfig(Strict):
    """The kV ladder of a new or long-idle tube, and how many arcs are too many."""

    source: str
    kv_from: Positive
    kv_to: Positive
    kv_step: Positive
    ma: Positive
    on_s: Annotated[float, Field(gt=0, le=120)] = 5.0
    pause_s: Annotated[float, Field(ge=1, le=600)] = 20.0
    shots: Annotated[int, Field(ge=1, le=20)] = 2
    most_arcs_at_kv: Annotated[int, Field(ge=1, le=20)] = 4
    most_arcs: Annotated[int, Field(ge=1, le=100)] = 12


Pair = Annotated[tuple[float, float], Field(strict=False)]


class AecConfig(Strict):
    """Automatic exposure control: the chambers, when they end a beam, and what ends it else.

    `cutoffs_ugy`: rows of [sensitivity, kerma behind the patient at which a beam of density 0 is
    ended]. `expected_mas`: rows of [kV, mAs] for the patient that is planned for, at the first
    sensitivity; between them the logarithms go straight.
    """

    source: str
    chambers: Annotated[
        tuple[Literal["left", "centre", "right"], ...], Field(strict=False, min_length=1)
    ]
    panels: Annotated[
        tuple[str, ...],
        Field(strict=False, description="receptors behind the chambers; default: the bench's"),
    ] = ()
    cutoffs_ugy: Annotated[tuple[Pair, ...], Field(strict=False, min_length=1)]
    expected_mas: Annotated[tuple[Pair, ...], Field(strict=False, min_length=1)]
    density_most_index: Annotated[int, Field(ge=0, le=10)] = 4
    density_pct: Annotated[float, Field(gt=0, le=100)] = 25.0
    backup_pct: Annotated[float, Field(ge=150, le=200)] = 200.0
    site_mas: Annotated[
        Positive | None, Field(description="a ceiling of the site's, below the law's")
    ] = None
    response_ms: Annotated[float, Field(ge=0.1, le=100)] = 1.0

    @field_validator("cutoffs_ugy")
    @classmethod
    def _numbered(cls, rows: tuple[Pair, ...]) -> tuple[Pair, ...]:
        numbers = [row[0] for row in rows]
        whole = all(number in range(256) for number in numbers)
        if not whole or len(set(numbers)) != len(rows) or any(row[1] <= 0 for row in rows):
            raise ValueError("rows must be [sensitivity 0-255, uGy above 0], each number once")
        return rows

    @field_validator("expected_mas")
    @classmethod
    def _kv_rising(cls, rows: tuple[Pair, ...]) -> tuple[Pair, ...]:
        kv = [row[0] for row in rows]
        if kv != sorted(set(kv)) or any(value <= 0 for row in rows for value in row):
            raise ValueError("rows must be [kV, mAs], kV rising, all above 0")
        return rows

    @property
    def sensitivities_index(self) -> tuple[int, ...]:
        return tuple(int(row[0]) for row in self.cutoffs_ugy)


class BatteryConfig(Strict):
    """The supply of a portable; without this section a routine is not split."""

    capacity_wh: Positive
    efficiency: Annotated[float, Field(gt=0, le=1)] = Field(description="tube / battery power")
    standby_w: Annotated[float, Field(ge=0)] = 0.0
    reserve: Annotated[float, Field(ge=0, lt=1)] = 0.1
    charge_h: Positive
    warn_pct: Annotated[Percent | None, Field(description="told below, if it is known")] = None
    least_pct: Annotated[Percent | None, Field(description="no exposure is begun below")] = None

    @field_validator("least_pct")
    @classmethod
    def _warns_first(cls, least_pct: float | None, info: ValidationInfo) -> float | None:
        if least_pct is not None or info.data.get("warn_pct") is not None:
            below_warning(least_pct, info)
        return least_pct


class CalibrationConfig(Strict):
    """The beam of the flats, and how long each part of a panel's set is believed."""

    kv: Positive = 70.0
    start_mas: Positive = 0.5
    window_ms: Annotated[int, Field(ge=50, le=20000)] = 1000
    flats: Annotated[int, Field(ge=16, le=500, description="more for a fine pitch")] = 16
    offset_days: Positive = 1.0
    gain_days: Positive = 365.0
    defects_days: Positive = 365.0
    lag_days: Positive = 365.0


class ReceptorConfig(Strict):
    """A place where the panel may stand: its distances, and the grid before it.

    Which documents a grid's figures come from is the bench file's to say.
    """

    sid_mm_min: Annotated[float, Field(ge=300, le=4000)]
    sid_mm_max: Annotated[float, Field(ge=300, le=4000)]
    grid_ratio: Annotated[float, Field(ge=2, le=20)] | None = None
    grid_lines_per_cm: Annotated[float, Field(ge=10, le=100)] | None = None
    grid_focus_mm: Annotated[float, Field(ge=300, le=4000)] | None = None


class ReceptorsConfig(Strict):
    """The places of a room; `geometry.receptor` says which one is used."""

    free: ReceptorConfig | None = None
    table: ReceptorConfig | None = None
    wall: ReceptorConfig | None = None


class CollimatorConfig(Strict):
    """A collimator that tells its opening and the distance; without this section nothing does."""

    driver: str = Field(description="file name in hal/collimators, such as blade_lines")
    url: str = Field(description="serial device, pyserial URL, or tcp://host:port")
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 19200


class DapConfig(Strict):
    """A meter behind the collimator's blades, and what its value is compared with.

    `output_ugy_per_mas`: rows of [kV, air kerma of 1 mAs at 1 m], as measured on this tube; between
    them the logarithms go straight. The bounds are our own choice, from two references: a computed
    DAP is good to 5 %, and each side of a field of 350 mm at 1150 mm to 2 % of the distance, 6.6 %.
    """

    driver: str = Field(description="file name in hal/meters that begins with dap_")
    url: str = Field(description="serial device, pyserial URL, or tcp://host:port")
    baud: Literal[9600, 19200, 38400, 57600, 115200] = 19200
    source: str = Field(description="where the output comes from")
    output_ugy_per_mas: Annotated[tuple[Pair, ...], Field(strict=False, min_length=2)]
    deviation_pct: Annotated[float, Field(gt=0, le=100)] = 20.0
    deviation_dgycm2: Annotated[float, Field(gt=0, le=10)] = 0.02
    wait_ms: Annotated[int, Field(ge=100, le=5000)] = 1000
    required: Annotated[bool, Field(description="no exposure without this meter")] = False

    @field_validator("output_ugy_per_mas")
    @classmethod
    def _kv_rising(cls, rows: tuple[Pair, ...]) -> tuple[Pair, ...]:
        kv = [row[0] for row in rows]
        if kv != sorted(set(kv)) or any(value <= 0 for row in rows for value in row):
            raise ValueError("rows must be [kV, uGy per mAs], kV rising, all above 0")
        return rows


class GeometryConfig(Strict):
    receptor: Place = "free"
    sid: Literal["entered", "sensed"] = Field(
        default="entered", description="who says the distance: a person, or the collimator"
    )
    sid_mm: Annotated[float, Field(ge=300, le=4000)] = 1000.0
    field_rows_mm: Positive = 200.0
    field_columns_mm: Positive = 200.0


class SiteConfig(Strict):
    manufacturer: str = "dxrig"
    model: str
    serial: str
    institution: str = ""
    station: Annotated[str, Field(max_length=16)] = "DXRIG"
    uid_root: Annotated[str, Field(pattern=r"^[0-2](\.(0|[1-9]\d*))+$")] = "2.25"


class LimitsConfig(Strict):
    """Times of the sequence. Defaults are the design's; a bench may only be stricter."""

    scan_ms: Literal[5] = 5
    prep_ms: Annotated[int, Field(ge=500, le=15000)] = 10_000
    ready_ms: Annotated[int, Field(ge=1000, le=15000)] = 15_000
    interlock_check_ms: Annotated[int, Field(ge=100, le=500)] = 500
    readout_ms: Annotated[int, Field(ge=500, le=30000)] = 10_000
    release_ms: Annotated[int, Field(ge=1000, le=60000)] = 20_000
    room_age_ms: Annotated[int, Field(ge=10, le=100)] = 100


class UnitConfig(Strict):
    name: str
    rung: Rung = "model"
    generator: GeneratorConfig
    room: RoomConfig
    panel: PanelConfig
    tube: TubeConfig
    geometry: GeometryConfig
    receptors: ReceptorsConfig = ReceptorsConfig()
    safety_relay: Annotated[tuple[str, ...], Field(strict=False)] = ("door", "estop")  # its loop
    site: SiteConfig
    limits: LimitsConfig = LimitsConfig()
    warmup: WarmupConfig | None = None
    conditioning: ConditioningConfig | None = None
    aec: AecConfig | None = None
    battery: BatteryConfig | None = None
    collimator: CollimatorConfig | None = None
    dap: DapConfig | None = None
    calibration: CalibrationConfig = CalibrationConfig()

    @property
    def receptor(self) -> ReceptorConfig | None:
        """Where the panel stands; None: the bench file says nothing of that place."""
        found: ReceptorConfig | None = getattr(self.receptors, self.geometry.receptor)
        return found
