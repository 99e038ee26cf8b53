"""Does the room module that a bench names fit this bench? By its map; no device is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from firmware_py.config import GeneratorConfig, RoomConfig
from hal.room_io import speaks_rtu
from hal.room_io.mapped_table import DEFAULTS, MapError, ModuleMap, map_name, module_map
from rig.bench_checks import Values
from rig.config_errors import Mistake, shown


def map_path(named: str, bench: Path) -> Path:
    """Of a map that is a file: beside the bench file, unless the path says where."""
    return bench.parent / named


def module_checks(values: Values, bench: Path) -> list[Mistake]:
    return list(_module_mistakes(values, bench))


def _module_mistakes(values: Values, bench: Path) -> Iterator[Mistake]:
    driver, named = values.text("room", "driver"), values.text("room", "map")
    if driver not in DEFAULTS:
        return  # told already
    try:
        module = _module(driver, named, bench)
    except MapError as error:
        for text in error.mistakes:
            yield Mistake(path=("room", "map"), text=text)
        return
    if module.missing():
        text = f"{module.name} has no channel for {', '.join(module.missing())}; a room needs them"
        yield Mistake(path=("room", "map"), text=text)
    url = values.text("room", "url")
    wire = "rtu" if url is not None and speaks_rtu(url) else "tcp"
    if url is not None and wire not in module.wires:
        text = f"{shown(url)} is Modbus {wire.upper()}; {module.name} speaks {_listed(module)}"
        yield Mistake(path=("room", "url"), text=text)
    yield from _watchdog(values, module)
    yield from _width(values, module)


def _module(driver: str, named: str | None, bench: Path) -> ModuleMap:
    if named is not None and named.endswith(".toml"):
        named = str(map_path(named, bench))
    return module_map(map_name(driver, named))


def _listed(module: ModuleMap) -> str:
    return " and ".join(wire.upper() for wire in module.wires)


def _watchdog(values: Values, module: ModuleMap) -> Iterator[Mistake]:
    time_ms, dog = values.number("room", "watchdog_ms"), module.watchdog
    if time_ms is None:
        return
    if dog is None:
        text = f"the map of {module.name} has no watchdog"
        yield Mistake(path=("room", "watchdog_ms"), text=text)
    elif not dog.least_ms <= time_ms <= dog.longest_ms:
        text = f"{time_ms:g} is outside {dog.least_ms} to {dog.longest_ms} of {module.name}"
        yield Mistake(path=("room", "watchdog_ms"), text=text)


def _width(values: Values, module: ModuleMap) -> Iterator[Mistake]:
    pulse, time_ms = module.pulse, values.number("room", "enable_pulse_ms")
    if pulse is None or pulse.unit_ms is None or pulse.longest_count is None or time_ms is None:
        return
    longest_ms = pulse.unit_ms * pulse.longest_count
    if time_ms % pulse.unit_ms or time_ms > longest_ms:
        text = (
            f"{time_ms:g} is no pulse of {module.name}: steps of {pulse.unit_ms}, to {longest_ms}"
        )
        yield Mistake(path=("room", "enable_pulse_ms"), text=text)


def ending_checks(generator: GeneratorConfig, room: RoomConfig, bench: Path) -> list[Mistake]:
    """A source that nothing ends when the unit dies makes no beam on this bench.

    Its own timer or watchdog, the module's self-timed pulse, or the module's watchdog: one of
    them must be there. `generator` and `room` are sound.
    """
    if room.driver not in DEFAULTS:
        return []
    module = _module(room.driver, room.map, bench)
    if module.pulse is not None or (module.watchdog is not None and room.watchdog_ms is not None):
        return []
    from hal.generators import CodecOnlyError
    from rig.drivers import generator_of, nobody

    try:
        able = generator_of(generator, nobody()).capabilities
    except CodecOnlyError:
        return []  # it makes no beam at all
    if able.has_own_timer or able.watchdog_us is not None:
        return []
    ways = " or set watchdog_ms" if module.watchdog is not None else ""
    text = (
        f"{module.name} has no self-timed pulse, and the generator ({generator.driver}) neither "
        f"timer nor watchdog: nothing would end a beam when the unit dies; "
        f"take a module with a pulse{ways}"
    )
    return [Mistake(path=("room", "driver" if room.map is None else "map"), text=text)]
