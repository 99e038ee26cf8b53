"""A number says its unit in its name: fields of the classes in hal, firmware_py and sim."""

from __future__ import annotations

import ast

import pytest

from tests.project import name_of, parse, sources

# design.md, section 4 (the last word of the name); the count and index suffixes as well.
# fmt: off
SUFFIXES = frozenset((
    "us", "ms", "s", "kv", "ma", "mas", "ua", "ugy", "mgy", "dgycm2", "mm", "c", "v", "a", "w", "j",
    "kev", "deg", "rpm", "hz", "bytes", "px", "pct", "count", "index",
    "minutes", "h", "days", "wh",  # as makers' tables and people say it; never "min": kv_min
))
# fmt: on
# These may stand behind the unit: kv_min, ma_max, kv_sum, kv_from.
QUALIFIERS = frozenset(("min", "max", "sum", "from", "to", "step"))
# A number that names something and measures nothing.
NAMING = frozenset(
    ("id", "number", "nth", "version", "seed", "address", "code", "function", "functions", "series")
)

STANDARD = {  # whole names that DICOM gives, with what they count
    "bits_stored": "(0028,0101), bits",
    "window_center": "(0028,1050), the image's own values",
    "window_width": "(0028,1051), the image's own values",
}
WITHOUT_UNIT = {  # `file:Class.field` and why
    "firmware_py/config.py:BatteryConfig.efficiency": "a ratio",
    "firmware_py/config.py:BatteryConfig.reserve": "a ratio",
    "firmware_py/config.py:CalibrationConfig.flats": "how many",
    "firmware_py/config.py:ConditioningConfig.most_arcs": "how many",
    "firmware_py/config.py:ConditioningConfig.shots": "how many",
    "firmware_py/config.py:ReceptorConfig.grid_lines_per_cm": "lines per cm: the trade's word",
    "firmware_py/config.py:ReceptorConfig.grid_ratio": "a ratio",
    "firmware_py/recorder/image/calibrate.py:Linearity.b": "a ratio",
    "firmware_py/recorder/image/correct.py:Earlier.frames_ago": "how many",
    "firmware_py/recorder/image/limits.py:Judgement.found": "in its limit's unit",
    "firmware_py/recorder/image/limits.py:Limit.value": "its unit stands beside it",
    "firmware_py/recorder/image/maps.py:PanelSet.lag": "ratios: shares of a signal",
    "firmware_py/recorder/image/maps.py:PanelSet.linearity": "coefficients of a ratio",
    "firmware_py/routines/calibration.py:PanelPlan.flats": "how many",
    "firmware_py/routines/calibration.py:PanelPlan.full_scale": "raw counts",
    "firmware_py/routines/conditioning.py:ConditioningPlan.most_arcs": "how many",
    "firmware_py/routines/conditioning.py:ConditioningPlan.most_faults": "how many",
    "firmware_py/routines/conditioning.py:ConditioningPlan.shots": "how many",
    "firmware_py/routines/conditioning.py:_Ladder.arcs": "how many",
    "firmware_py/routines/conditioning.py:_Ladder.clean": "how many",
    "firmware_py/routines/conditioning.py:_Ladder.faults": "how many",
    "firmware_py/routines/conditioning.py:_Ladder.needed": "how many",
    "firmware_py/routines/dry_run.py:DryRun.seconds": "the name is the unit",
    "firmware_py/routines/dry_run.py:Row.charge": "a ratio: 1 is full",
    "firmware_py/routines/steps.py:Charge.hours": "the name is the unit",
    "firmware_py/routines/steps.py:Fired.level_counts": "raw counts, as the name says",
    "firmware_py/routines/steps.py:Pause.seconds": "the name is the unit",
    "firmware_py/routines/supply.py:Supply.charge": "a ratio: 1 is full",
    "firmware_py/routines/supply.py:Supply.efficiency": "a ratio",
    "firmware_py/routines/supply.py:Supply.reserve": "a ratio",
    "firmware_py/routines/warmup.py:WarmupPlan.pulses": "how many",
    "hal/bus.py:Client.ask": "which one: the number of a question",
    "hal/detectors/stream_panel_wire.py:Event.k": "which one; the key on the wire",
    "hal/detectors/stream_panel_wire.py:Question.n": "which one; the key on the wire",
    "hal/detectors/stream_panel_wire.py:Reply.n": "which one; the key on the wire",
    "hal/generators/r2cp_layouts.py:Field.per_unit": "counts on the wire per unit, a scale",
    "hal/generators/r2cp_wire.py:Frame.issuer": "a node's number",
    "hal/generators/r2cp_wire.py:Frame.subindex": "an entry's number",
    "hal/generators/r2cp_wire.py:Frame.target": "a node's number",
    "hal/generators/r2cp_wire.py:Entry.subindex": "an entry's number",
    "hal/generators/spellman_opcodes.py:Field.over": "a ratio: 1.2 is 20 % over full scale",
    "hal/generators/spellman_opcodes.py:Question.counts": "on the wire, as the name says",
    "hal/generators/spellman_opcodes.py:Reply.values": "counts on the wire, and plain numbers",
    "hal/generators/vj_ixs_wire.py:Command.digits": "how many; the manual's word",
    "hal/generators/vj_ixs_wire.py:Command.maximum": "counts on the wire",
    "hal/generators/vj_ixs_wire.py:Command.per_unit": "counts on the wire per unit, a scale",
    "hal/line_codec.py:Line.values": "in the units of its row",
    "hal/line_codec.py:Number.decimals": "how many; the manual's word",
    "hal/line_codec.py:Number.digits": "how many; the manual's word",
    "hal/line_codec.py:Number.high": "its unit stands beside it",
    "hal/line_codec.py:Number.low": "its unit stands beside it",
    "hal/line_codec.py:Number.per_unit": "counts on the wire per unit, a scale",
    "hal/meters/__init__.py:Channel.value": "its unit stands beside it",
    "hal/meters/multidos_wire.py:Data.mode": "which one; the manual's word",
    "hal/meters/multidos_wire.py:Data.values": "in the unit that DU says",
    "hal/modbus.py:WriteRegister.value": "a raw register",
    "hal/modbus.py:WriteRegisters.values": "raw registers",
    "hal/room_io/mapped_table.py:Settings.addresses": "of registers or coils, as the map has them",
    "hal/room_io/mapped_table.py:_Key.least": "of whatever the key counts",
    "hal/room_io/mapped_table.py:_Key.most": "of whatever the key counts",
    "hal/room_io/mapped_table.py:_Key.words": "of whatever the key counts",
    "hal/types.py:RecorderSample.level_counts": "raw counts, as the name says",
    "sim/lag.py:Kept.ghost": "part of a signal",
    "sim/lag.py:Kept.lag": "part of a signal",
    "sim/meter.py:MeterReading.hvl_mm_al": "mm of aluminium",
    "sim/optics.py:Optics.grid_lines_per_cm": "lines per cm: the trade's word",
    "sim/optics.py:SimOptics.grid_lines_per_cm": "lines per cm: the trade's word",
    "sim/optics.py:Optics.grid_ratio": "a grid's own number: height over distance of its strips",
    "sim/optics.py:SimOptics.grid_ratio": "a grid's own number: height over distance of its strips",
    "sim/phantoms/tubes.py:Tube.core": "a ratio",
    "sim/phantoms/tubes.py:Tube.depth": "a ratio: thickness over width",
    "sim/beamline.py:BeamCourse.divider": "a ratio",
    "sim/beamline.py:BeamCourse.output": "a ratio",
    "sim/beamline.py:BeamCourse.shunt": "a ratio",
    "sim/filament.py:Filament.exponent": "a ratio",
    "sim/filament.py:Filament.point_k": "kelvin",
    "sim/generator.py:Ratings.cable_nf": "nanofarads",
    "sim/transient.py:Transient.share": "of the steady value",
    "sim/generator.py:MonoblockModel.gassy_tube": "a likelihood",
    "sim/battery.py:Battery.weak_cells": "a factor of the internal resistance",
    "sim/qualities.py:Quality.homogeneity": "a ratio",
    "sim/shapes.py:Bone.marrow": "a ratio",
    "sim/shapes.py:Bone.thinning": "a ratio",
    "sim/shapes.py:Limb.depth": "a ratio: thickness over width",
    "sim/tube_data.py:Fact.value": "in the unit that ends its name",
    "sim/tube_heat.py:Store.order": "a ratio: 1 or 2",
}


def fields_without_unit(tree: ast.Module) -> list[str]:
    """`Class.field` of each numeric field whose name says no unit."""
    aliases = numeric_aliases(tree)
    return [
        f"{cls.name}.{field.target.id}"
        for cls in ast.walk(tree)
        if isinstance(cls, ast.ClassDef)
        for field in cls.body
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and is_numeric(field.annotation, aliases)
        and not says_unit(field.target.id)
    ]


def numeric_aliases(tree: ast.Module) -> frozenset[str]:
    """Names such as `Positive = Annotated[float, ...]`."""
    return frozenset(
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign) and is_numeric(node.value, frozenset())
        for target in node.targets
        if isinstance(target, ast.Name)
    )


def is_numeric(annotation: ast.expr, aliases: frozenset[str]) -> bool:
    match annotation:
        case ast.Name(id=name):
            return name in ("int", "float") or name in aliases
        case ast.BinOp(left=left, right=right):  # float | None
            return is_numeric(left, aliases) or is_numeric(right, aliases)
        case ast.Subscript(value=ast.Name(id="tuple"), slice=ast.Tuple(elts=[first, *_])):
            return is_numeric(first, aliases)
        case ast.Subscript(value=ast.Name(id="Annotated"), slice=ast.Tuple(elts=[first, *_])):
            return is_numeric(first, aliases)
        case ast.Subscript(value=ast.Name(id="Final" | "ClassVar" | "Optional"), slice=inner):
            return is_numeric(inner, aliases)
    return False


def says_unit(name: str) -> bool:
    words = name.lower().strip("_").split("_")
    if words[-1] in QUALIFIERS and len(words) != 1:
        words.pop()
    return words[-1] in SUFFIXES | NAMING or name in STANDARD


def found_fields() -> list[str]:
    return [
        f"{name_of(path)}:{field}"
        for path in sources("hal", "firmware_py", "sim")
        for field in fields_without_unit(parse(path))
    ]


def test_every_number_in_a_class_says_its_unit() -> None:
    unexplained = [field for field in found_fields() if field not in WITHOUT_UNIT]
    assert not unexplained, f"no unit in the name (or a reason in WITHOUT_UNIT): {unexplained}"


def test_every_exception_still_has_its_field() -> None:
    assert WITHOUT_UNIT.keys() <= set(found_fields())


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("voltage: float", ["Plan.voltage"]),
        ("timeout: int | None = None", ["Plan.timeout"]),
        ("max: float", ["Plan.max"]),
        ("steps: tuple[float, ...]", ["Plan.steps"]),
        ("dose: Positive", ["Plan.dose"]),
        ("kv: float", []),
        ("kv_max: float", []),
        ("kv_from: float", []),
        ("resume_min: float", ["Plan.resume_min"]),
        ("resume_minutes: float", []),
        ("timeout_us: int | None = None", []),
        ("frame_count: int", []),
        ("transaction_id: int", []),
        ("ready: bool", []),
        ("name: str | None", []),
    ],
)
def test_a_planted_field_without_a_unit_is_found(field: str, found: list[str]) -> None:
    tree = ast.parse(f"Positive = Annotated[float, Field(gt=0)]\nclass Plan:\n    {field}\n")
    assert fields_without_unit(tree) == found
