"""A Spellman's settings: what its model's table reads back, and what of it may be written.

Who it is comes first, as in its driver: an opcode that reads on one model sets on another. The
wire tells a part number and a version, and no serial number: that is read off the plate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from firmware_py.config import UnitConfig
from hal.generators.spellman_hello import Hello
from hal.generators.spellman_opcodes import Field, Model, Reply, Scale
from hal.generators.spellman_tables import MODELS
from hal.ports import Kind, WireError
from rig.exit_codes import DeviceError, UsageError
from rig.service.params_device import Asker, Known, Value, Write, by_hand

TRIES = 3
COUNTERS = ("hours",)
# A command and the query that reads it back, by model; settings are named by the query's fields.
_READ = {
    "XRV": ("get_kv", "get_ma", "get_filament_limit", "get_filament_preheat", "power_limits",
            "configuration", "scaling", "hours"),
    "uX": ("get_kv", "get_ma", "get_filament_limit", "get_filament_preheat", "get_ramp"),
}  # fmt: skip
_READ["uXMAN"] = _READ["uX"]
_SETS = {  # query: command
    "get_kv": "set_kv", "get_ma": "set_ma", "get_filament_limit": "set_filament_limit",
    "get_filament_preheat": "set_filament_preheat", "power_limits": "set_power_limits",
    "get_ramp": "set_ramp",
}  # fmt: skip
_UNREAD = {
    "XRV": ("serial baud rate (07)", "focus (32)"),
    "uX": ("watchdog", "pre-warning", "arc count and quench"),
}
_UNREAD["uXMAN"] = _UNREAD["uX"]


def read(asker: Asker) -> Known:
    """Raises DeviceError where nothing answers or another model does."""
    model, scale = _model(asker.unit)
    names = _names(asker, model, scale)
    values: dict[str, Value] = {}
    for query in _READ[model.name]:
        reply = _asked(asker, model, query)
        if reply is not None:
            values |= _values(model, query, reply, scale)
    counters = {name: values.pop(name) for name in COUNTERS if name in values}
    status = _asked(asker, model, "status")
    return Known(
        driver="spellman", model=model.name, firmware=" ".join(names), values=values,
        counters=counters, silent=tuple(asker.silent), unread=_UNREAD[model.name],
        hv_on=status is not None and status.values[0] == 1,
    )  # fmt: skip


def _model(unit: UnitConfig) -> tuple[Model, Scale]:
    config = unit.generator
    scale = Scale(kv=config.full_scale_kv or 0.0, ma=config.full_scale_ma or 0.0)
    return MODELS[str(config.model)], scale


def _names(asker: Asker, model: Model, scale: Scale) -> list[str]:
    """By the driver's own acquaintance: until it is known, nothing of its model leaves."""
    hello, lost_count, names = Hello(model, scale), 0, []
    while not (hello.problem and hello.known) and (name := hello.next) is not None:
        reply = _hello_reply(asker, model, hello, name)
        if reply is not None:
            hello.took(name, reply)
            names += list(reply.texts) if name in ("identity", "model") else []
            continue
        hello.lost(name)
        lost_count += 1
        if hello.next == name and lost_count >= TRIES:
            raise DeviceError(hello.problem or f"{asker.unit.generator.url}: no Spellman answers")
    if hello.problem and "full scale" in hello.problem:
        raise DeviceError(hello.problem)
    return names


def _hello_reply(asker: Asker, model: Model, hello: Hello, name: str) -> Reply | None:
    for heard in asker.reply(name).heard:
        text = _text(asker, heard.raw)
        if heard.kind is Kind.REPLY:
            return model.reply(model.query(name), text)
        if text and not hello.known:
            hello.overheard(text)
    return None


def _text(asker: Asker, raw: bytes) -> str:
    from hal.generators.spellman_framing import Dsp

    framing = Dsp(asker.unit.generator.wire_options()["checksum"])  # type: ignore[arg-type]
    try:
        return framing.take(bytearray(raw)) or ""
    except WireError:
        return ""


def _asked(asker: Asker, model: Model, name: str) -> Reply | None:
    raw = asker.raw(name)
    try:
        reply = model.reply(model.query(name), _text(asker, raw)) if raw else None
    except WireError:
        reply = None
    return reply if reply is not None and reply.accepted else None


def _values(model: Model, query: str, reply: Reply, scale: Scale) -> dict[str, Value]:
    fields = model.by_name[query].answers
    pairs = zip(fields, reply.values, strict=False)
    return {_key(query, made): round(made.value(count, scale), 3) for made, count in pairs}


def _key(query: str, made: Field) -> str:
    """get_kv has one field of its own name; of the others the query stands before it."""
    return made.name if query.removeprefix("get_") == made.name else f"{query}.{made.name}"


def write(unit: UnitConfig, name: str, now: Value | None, saved: Mapping[str, Value]) -> Write:
    """A command carries all its values: those of the file, so a file that lacks one is told."""
    model, _ = _model(unit)
    keys = {_key(query, made): query for query in _SETS for made in _answers(model, query)}
    if name not in keys:
        return by_hand(name, now, saved)
    query = keys[name]
    wanted = {_key(query, made): made for made in model.by_name[_SETS[query]].sends}
    numbers = {key: saved[key] for key in wanted if isinstance(saved.get(key), int | float)}
    if len(numbers) != len(wanted):
        return Write(name=name, now=now, then=saved[name], by_hand="the file lacks a value of it")
    if beyond := _beyond_the_tube(unit, numbers):
        return Write(name=name, now=now, then=saved[name], by_hand=beyond)
    values = [float(value) for value in numbers.values()]
    return Write(name=name, now=now, then=saved[name], data=_bytes(unit, model, query, values))


def _beyond_the_tube(unit: UnitConfig, values: Mapping[str, Value]) -> str:
    """A limit that is raised protects less: that is done by hand, by somebody who sees it."""
    tube = unit.tube
    most = {
        "kv": tube.kv_max,
        "ma": tube.ma_max,
        "power_limits.large_w": tube.power_max_w,
        "power_limits.small_w": tube.power_small_max_w or tube.power_max_w,
    }
    over = [key for key, value in values.items() if not float(value) <= most.get(key, math.inf)]
    return ", ".join(f"{key}: this bench's tube takes {most[key]:g} at most" for key in over)


def _answers(model: Model, query: str) -> tuple[Field, ...]:
    """Those fields of a query that its command sets."""
    if query not in model.by_name:
        return ()
    names = {made.name for made in model.by_name[_SETS[query]].sends}
    return tuple(made for made in model.by_name[query].answers if made.name in names)


def _bytes(unit: UnitConfig, model: Model, query: str, numbers: list[float]) -> bytes:
    from hal.generators.spellman_framing import Dsp

    _, scale = _model(unit)
    try:
        question = model.question(_SETS[query], *numbers, scale=scale)
    except ValueError as error:
        raise UsageError(f"{_SETS[query]}: {error}") from error
    framing = Dsp(unit.generator.wire_options()["checksum"])  # type: ignore[arg-type]
    return framing.frame(question.text)
