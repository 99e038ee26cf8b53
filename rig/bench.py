"""One TOML file is one bench: devices, links, wiring, tube, panel, limits, simulator.

The unit's part of the schema is `firmware_py.config`'s; this file adds what only the
bench needs and loads the whole, or names every mistake at once.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from firmware_py.config import (
    AecConfig,
    BatteryConfig,
    CalibrationConfig,
    CollimatorConfig,
    ConditioningConfig,
    DapConfig,
    FolderConfig,
    GeneratorConfig,
    GeometryConfig,
    LimitsConfig,
    PanelConfig,
    Positive,
    ReceptorsConfig,
    RoomConfig,
    Rung,
    SiteConfig,
    Strict,
    TubeConfig,
    UnitConfig,
    WarmupConfig,
)
from hal.room_io.mapped_table import map_text
from rig import bench_names
from rig.bench_checks import Values, cross_checks
from rig.bench_modules import ending_checks, map_path, module_checks
from rig.config_errors import mistakes_of, told
from rig.exit_codes import ConfigError, UsageError
from rig.toml_lines import key_lines

FILE_MAX_BYTES = 256 * 1024
Contact = Literal["door", "estop", "stage_1", "stage_2", "key", "enable", "safety_relay"]


class BenchSection(Strict):
    # The name is a folder's name in the state folder: nothing that could lead out of it.
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    about: str = ""
    rung: Rung = "model"


class WiringConfig(Strict):
    """The hard-wired chain. Lists are contacts in series (design.md section 4)."""

    interlock_pair: Annotated[
        tuple[Contact, ...], Field(strict=False, description="contacts in the generator's pair")
    ]
    safety_relay: Annotated[
        tuple[Literal["door", "estop"], ...],
        Field(strict=False, description="contacts that the latching relay watches"),
    ]


Label = Annotated[str, Field(max_length=16, description="as on the terminal strip, X1:3")]


class TerminalsConfig(Strict):
    """Where the wires of contacts and outputs end: labels for people, nothing decides by them."""

    stage_1: Label = ""
    stage_2: Label = ""
    door: Label = ""
    estop: Label = ""
    chain: Label = ""
    key: Label = ""
    reset: Label = ""
    lamp_current: Label = ""
    ready_lamp: Label = ""
    beam_lamp: Label = ""
    buzzer: Label = ""
    enable: Label = ""
    contactor: Label = ""
    prep: Label = ""
    expose: Label = ""


class SimConfig(Strict):
    """What only the simulated rungs read."""

    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 1
    ambient_c: Annotated[float, Field(ge=-20, le=40)] = 22.0  # SPC-P366 R4: operating range
    frame_format: Literal["<", "lz4<", "bs16-lz4<", "cbor"] = Field(
        default="<", description="how the panel sends frames: Stream V1 by its encoding, or V2"
    )
    supply: Annotated[
        Literal["battery", "mains", "capacitors"] | None,
        # Left out where it is: the hash of every other bench is as it was.
        Field(
            exclude_if=lambda supply: supply is None,
            description="what an r2cp generator runs on; left out: by [battery], or on mains",
        ),
    ] = None
    duty: Annotated[
        Literal["mobilett-plus", "amx-4-plus"] | None,
        Field(
            exclude_if=lambda duty: duty is None,
            description="the energy rule that the generator keeps: sim/duty_rules.toml",
        ),
    ] = None


class TypicalConfig(Strict):
    """The shot of this bench: `dxrig demo` makes it, and scenarios take kV and mA from it.

    `story_ma`: the mA of scenarios, which need a beam of seconds so that something can happen in
    it; left out, it is `ma`.
    """

    kv: Positive
    ma: Positive
    mas: Positive
    story_ma: Positive | None = None


class ObserveConfig(Strict):
    """Only for a generator that is watched and never commanded (driver "manual")."""

    beam_contact: Annotated[
        Literal["lamp_current", "stage_1", "stage_2", "chain"],
        Field(description="input that is closed while there are X-rays"),
    ] = "lamp_current"
    gap_ms: Annotated[int, Field(ge=10, le=1000, description="a shorter pause is no end")] = 50


class BenchFile(Strict):
    bench: BenchSection
    generator: GeneratorConfig
    room: RoomConfig
    panel: PanelConfig
    tube: TubeConfig
    geometry: GeometryConfig = GeometryConfig()
    receptors: ReceptorsConfig = ReceptorsConfig()
    site: SiteConfig
    wiring: WiringConfig
    terminals: TerminalsConfig = TerminalsConfig()
    typical: TypicalConfig | None = None
    limits: LimitsConfig = LimitsConfig()
    warmup: WarmupConfig | None = None
    conditioning: ConditioningConfig | None = None
    aec: AecConfig | None = None
    battery: BatteryConfig | None = None
    collimator: CollimatorConfig | None = None
    dap: DapConfig | None = None
    calibration: CalibrationConfig = CalibrationConfig()
    sim: SimConfig = SimConfig()
    observe: ObserveConfig | None = None
    folder: FolderConfig | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    path: Path
    about: str
    unit: UnitConfig
    wiring: WiringConfig
    terminals: TerminalsConfig
    typical: TypicalConfig | None
    sim: SimConfig
    observe: ObserveConfig | None
    folder: FolderConfig | None
    hash: str  # sha256 of the values, defaults included: comments and order do not count

    @property
    def name(self) -> str:
        return self.unit.name


def load_bench(name_or_path: str | Path) -> Bench:
    """A bench that ships, by name, or a file. Raises ConfigError with all its mistakes."""
    path = bench_names.bench_path(name_or_path)
    return bench_of(read_text(path), path)


def on_panel(bench: Bench, panel_id: str) -> Bench:
    """The bench with that registered panel selected (SR-50); UsageError names those there are.

    Maps, shots and frames go by the selected panel from then on.
    """
    panel = bench.unit.panel
    if panel_id not in panel.registered:
        raise UsageError(
            f"panel {panel_id} is not registered on bench {bench.name}; "
            f"registered: {', '.join(panel.registered)}"
        )
    others = tuple(one for one in panel.registered if one != panel_id)
    chosen = panel.model_copy(update={"panel_id": panel_id, "also": others})
    return replace(bench, unit=bench.unit.model_copy(update={"panel": chosen}))


def read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ConfigError([f"{path}: can't be read: {why}"]) from error
    if len(data) > FILE_MAX_BYTES:
        raise ConfigError([f"{path}: {len(data)} bytes are too many for a bench file"])
    try:
        return data.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError([f"{path}:{line}: not UTF-8 text"]) from error


def bench_of(text: str, path: Path) -> Bench:
    file = _with_map(_validated(text, path), path)
    content = file.model_dump(mode="json")
    _as_ever(content)
    return Bench(
        path=path,
        about=file.bench.about,
        unit=_unit_of(file),
        wiring=file.wiring,
        terminals=file.terminals,
        typical=file.typical,
        sim=file.sim,
        observe=file.observe,
        folder=file.folder,
        hash=hashlib.sha256(
            json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        ).hexdigest(),
    )


def _as_ever(content: dict[str, Any]) -> None:
    """What a bench goes without is not in its hash: that of older files is as it was."""
    for name in ("observe", "folder", "collimator", "dap"):
        if content[name] is None:
            del content[name]
    if content["generator"]["line"] is None:
        del content["generator"]["line"]
    if content["geometry"]["sid"] == "entered":
        del content["geometry"]["sid"]


def _with_map(file: BenchFile, path: Path) -> BenchFile:
    """A map of one's own is carried as its text: a recorded run knows it for ever."""
    named = file.room.map
    if named is None or not named.endswith(".toml"):
        return file
    room = file.room.model_copy(update={"map": map_text(map_path(named, path))})
    return file.model_copy(update={"room": room})


def _validated(text: str, path: Path) -> BenchFile:
    file_name = bench_names.shown_path(path)
    data = parsed(text, file_name)
    file: BenchFile | None = None
    mistakes = []
    try:
        file = BenchFile.model_validate(data)
    except ValidationError as error:
        mistakes = mistakes_of(error.errors(include_url=False), BenchFile)
    values = Values(data, BenchFile, {mistake.path for mistake in mistakes})
    mistakes += cross_checks(values)
    mistakes += module_checks(values, path)
    if file is not None and not mistakes:
        mistakes += ending_checks(file.generator, file.room, path)
    if file is None or mistakes:
        raise ConfigError(told(file_name, key_lines(text), mistakes))
    return file


def parsed(text: str, file: str) -> dict[str, Any]:
    """The tables of a TOML text; a syntax error says line and column."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ConfigError([f"{file}:1: nested too deep"]) from None
    except ValueError as error:  # also an integer of over 4300 digits
        raise ConfigError([_syntax(str(error), text, file)]) from error


def _syntax(why: str, text: str, file: str) -> str:
    place = re.fullmatch(
        r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", why, re.DOTALL
    )
    if not place:
        return f"{file}:1: not valid TOML: {why[:1].lower()}{why[1:]}"
    what, line, column = place.groups()
    if line is None:
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    return f"{file}:{line}:{column}: not valid TOML: {what[:1].lower()}{what[1:]}"


def _unit_of(file: BenchFile) -> UnitConfig:
    return UnitConfig(
        name=file.bench.name,
        rung=file.bench.rung,
        generator=file.generator,
        room=file.room,
        panel=file.panel,
        tube=_tube_in_use(file),
        geometry=file.geometry,
        receptors=file.receptors,
        safety_relay=file.wiring.safety_relay,
        site=file.site,
        limits=file.limits,
        warmup=file.warmup,
        conditioning=file.conditioning,
        aec=file.aec,
        battery=file.battery,
        collimator=file.collimator,
        dap=file.dap,
        calibration=file.calibration,
    )


def _tube_in_use(file: BenchFile) -> TubeConfig:
    """With the focal spot that the generator is told, and the power that this one bears."""
    tube = file.tube
    if file.generator.focus != "small":
        return tube
    small = {"focal_spot_mm": tube.focal_spot_small_mm, "power_max_w": tube.power_small_max_w}
    return tube.model_copy(update=small)


# --- shown to people and editors -------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownValue:
    key: str
    value: Any
    origin: str  # file:line, or "default"


def bench_values(bench: Bench) -> list[ShownValue]:
    """Every value of a bench, defaults included, with its line in the file."""
    text = read_text(bench.path)
    lines = key_lines(text)
    content = _validated(text, bench.path).model_dump(mode="json")
    return [
        ShownValue(
            key=".".join(path),
            value=value,
            origin=f"{bench_names.shown_path(bench.path)}:{line}"
            if (line := lines.get(path))
            else "default",
        )
        for section, table in content.items()
        if table is not None
        for path, value in _leaves((section,), table)
    ]


def _leaves(path: tuple[str, ...], table: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """A table inside a section is shown key by key; one that is left out is not shown."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaves((*path, key), value)
        elif value is not None or path[0] != "receptors":
            yield (*path, key), value


def bench_schema() -> dict[str, Any]:
    return BenchFile.model_json_schema()


def starter(name: str) -> str:
    """The portable bench under a new name: complete, commented and sound."""
    try:
        BenchSection(name=name)
    except ValidationError as error:
        (mistake,) = mistakes_of(error.errors(include_url=False), BenchSection)
        raise UsageError(f"name: {mistake.text}") from error
    text = read_text(bench_names.bench_path("portable"))
    text = text.replace('name = "portable"', f'name = "{name}"')
    return text.replace("#:schema dxrig-bench", "#:schema ./dxrig.schema.json")
