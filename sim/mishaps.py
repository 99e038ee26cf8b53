"""Verbs for what goes wrong around the models: contacts, inputs, coils, power, lines.

Each takes the world, acts at its present time and plans what follows with `world.at`.
ValueError says what is allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

from hal.generators.vj_ixs_wire import LONGEST_TEXT_BYTES, frame
from hal.room_io.mapped_table import COILS
from hal.types import CONTACTS as INPUTS
from sim import (
    battery,
    capacitors,
    chambers,
    detector_faults,
    device,
    filtration,
    generator_faults,
    generator_wires,
    meter,
    optics,
    room,
    sensors,
    wiring,
)
from sim.capacitors import CapacitorBank
from sim.device import PanelDevice, WireDevice
from sim.generator import MonoblockModel
from sim.injection import Injection, NotHereError, Table, check, heal, inject, is_hurt
from sim.radiographic import INJECTIONS as RADIOGRAPHIC
from sim.radiographic import RadiographicModel
from sim.rotor import INJECTIONS as ROTOR
from sim.world import World

ON = "ON"
DARK_MS = {"generator": 2_000.0, "room": 1_500.0, "panel": 1_000.0,
           "collimator": 1_000.0, "dap": 1_000.0}  # fmt: skip  # power-up, until it answers
BESIDE = ("collimator", "dap")  # devices that only some benches have
LONGEST_MS = 600_000.0
TIMES_MOST = 1_000
Targets = list[tuple[object, Table]]


class Powered(Protocol):
    def power(self, t_us: int, on: bool) -> None: ...


def targets_of(world: World, verb: str) -> Targets:
    """What the names of a verb are set in."""
    own = world.generator.chambers
    found: dict[str, Targets] = {
        "generator": [
            (world.generator, generator_faults.INJECTIONS),
            *_supplied(world.generator),
            (world.generator_device.desk, world.generator_wire.at_the_desk),
            *([(own, chambers.INJECTIONS)] if own is not None else []),
        ],
        "panel": [
            (world.panel, detector_faults.INJECTIONS),
            (world.panel_device, device.FRAMES),
        ],
        "wiring": [(world.wiring, wiring.INJECTIONS)],
        "room": [(world.room, room.INJECTIONS)],
        "collimator": [(world.collimator, sensors.COLLIMATOR)] if world.collimator else [],
        "dap": [(world.dap, sensors.DAP)] if world.dap else [],
        "meter": [(world.meter, meter.INJECTIONS)],
        "optics": [
            (world.geometry.optics, optics.INJECTIONS),
            (world.tube_filter, filtration.INJECTIONS),
        ],
    }
    return found[verb]


def _supplied(model: MonoblockModel) -> Targets:
    """A rotor with a preheated filament, and a battery or a bank, where there are such."""
    rotor: Targets = [(model.rotor, ROTOR)] if model.rotor is not None else []
    if isinstance(model, RadiographicModel):
        rotor.append((model, RADIOGRAPHIC))
    own = capacitors.INJECTIONS if isinstance(model.battery, CapacitorBank) else None
    own = battery.INJECTIONS if model.battery.is_pack else own
    return [*rotor, *([(model.battery, own)] if own is not None else [])]


NAMES: dict[str, tuple[str, ...]] = {  # verb -> what may be set by name
    "generator": (
        *generator_faults.INJECTIONS,
        *ROTOR,
        *RADIOGRAPHIC,
        *battery.INJECTIONS,
        *capacitors.INJECTIONS,
        *generator_wires.NAMES,
        *chambers.INJECTIONS,
    ),
    "panel": (*detector_faults.INJECTIONS, *device.FRAMES),
    "wiring": tuple(wiring.INJECTIONS),
    "room": tuple(room.INJECTIONS),
    "collimator": tuple(sensors.COLLIMATOR),
    "dap": tuple(sensors.DAP),
    "meter": tuple(meter.INJECTIONS),
    "optics": (*optics.INJECTIONS, *filtration.INJECTIONS),
    "line": tuple(device.LINE),
}


TABLES: tuple[Table, ...] = (
    generator_faults.INJECTIONS, ROTOR, RADIOGRAPHIC, battery.INJECTIONS, capacitors.INJECTIONS,
    *(wire.at_the_desk for wire in generator_wires.WIRES.values()), chambers.INJECTIONS,
    detector_faults.INJECTIONS, device.FRAMES, device.LINE, wiring.INJECTIONS, room.INJECTIONS,
    sensors.COLLIMATOR, sensors.DAP, meter.INJECTIONS, optics.INJECTIONS, filtration.INJECTIONS,
)  # fmt: skip


def set_generator(world: World, **values: Any) -> None:
    at_start = [name for name in values if name in generator_faults.FROM_NEXT_START]
    if at_start and world.generator.beam_on(world.t_us):
        raise ValueError(f"{at_start[0]} counts from the next start on: set it before the beam")
    targets = targets_of(world, "generator")
    here = {name for _, table in targets for name in table}
    for name in values:
        part = next((part for part, table in _PARTS.items() if name in table), None)
        if part is not None and name not in here:
            raise NotHereError(f"this bench has no {part} ({name})")
    check(targets, values)
    if not values.keys().isdisjoint(capacitors.INJECTIONS):
        _capacity_changes(world)
    inject(targets, values)


_PARTS: dict[str, Table] = {  # what some generators have
    "battery": battery.INJECTIONS,
    "capacitors": capacitors.INJECTIONS,
    "rotor": ROTOR,
    "preheated filament": RADIOGRAPHIC,
    "chambers": chambers.INJECTIONS,
}


def _capacity_changes(world: World) -> None:
    """Volts stay: what came and went since the last beam did so with the capacity until now."""
    world.generator.energy.close(world.t_us)


def set_panel(world: World, **values: Any) -> None:
    if "in_beam" in values:
        no_window(world, "the panel")
    inject(targets_of(world, "panel"), values)


def no_window(world: World, what: str) -> None:
    """One frame shows one scene."""
    if world.panel.state(world.t_us) == "integrating":
        raise ValueError(f"{what} stays where it is while the panel integrates: move it before")


def set_wiring(world: World, **values: Any) -> None:
    inject(targets_of(world, "wiring"), values)


def set_room(world: World, **values: Any) -> None:
    inject(targets_of(world, "room"), values)


def set_collimator(world: World, **values: Any) -> None:
    if world.collimator is None:
        raise NotHereError("no collimator tells its position on this bench")
    inject(targets_of(world, "collimator"), values)


def set_dap(world: World, **values: Any) -> None:
    if world.dap is None:
        raise NotHereError("no meter stands in the beam on this bench")
    inject(targets_of(world, "dap"), values)


def set_meter(world: World, **values: Any) -> None:
    inject(targets_of(world, "meter"), values)


def set_optics(world: World, as_bench: bool | None = None, **values: Any) -> None:
    """`as_bench`: first all as the bench's own focus, grid and patient are; False: first plain.

    With a fault beside it, `heal` puts back what was before; what is arranged alone stays.
    """
    if as_bench is not None and not isinstance(as_bench, bool):
        raise ValueError(f"as_bench = {as_bench!r}: must be true or false")
    check(targets_of(world, "optics"), values)
    own = world.geometry.optics
    of_a_grid = [name for name in values if name.startswith("grid_") and values[name]]
    if as_bench and of_a_grid and not (own.bench.grid_ratio or values.get("grid_ratio")):
        raise NotHereError(f"{of_a_grid[0]}: this bench has no grid; grid_ratio puts one there")
    _scene_moves(world)
    if as_bench is not None:
        is_fault = any(_OF_OPTICS[name].is_fault(value) for name, value in values.items())
        own.before_fault = (own.before_fault or own.now()) if is_fault else None
        own.arrange(as_bench=as_bench)
    inject(targets_of(world, "optics"), values)


_OF_OPTICS: Table = {**optics.INJECTIONS, **filtration.INJECTIONS}


def _scene_moves(world: World) -> None:
    no_window(world, "what rays meet")
    if world.dap is not None:
        world.dap.field_moves(world.t_us)


# --- lines


def devices(world: World) -> dict[str, WireDevice | PanelDevice]:
    return {
        "generator": world.generator_device,
        "room": world.room_device,
        "panel": world.panel_device,
        **world.beside,
    }


def _device(world: World, name: str) -> WireDevice | PanelDevice:
    known = devices(world)
    if name in BESIDE and name not in known:
        raise NotHereError(f"this bench has no {name} that speaks")
    if name not in known:
        raise ValueError(f"no device {name!r}; there are {', '.join(known)}")
    return known[name]


def set_line(world: World, device: str, **values: Any) -> None:
    target = _device(world, device)
    if "wrong_baud" in values and device != "generator":
        raise ValueError("wrong_baud needs a serial line; there is only the generator's")
    if "wrong_baud" in values and not world.generator_wire.serial:
        raise NotHereError("wrong_baud needs a serial line, and this generator's is none")
    inject([(target, LINE)], values)


LINE = device.LINE


def lose_off(world: World) -> None:
    if not world.generator_wire.off:
        raise NotHereError("the simulator does not know OFF on this generator's wire")
    world.generator_device.lose_once = world.generator_wire.off


def lose_answer(world: World, device: str, text: str = "") -> None:
    """The next answer, or the next that holds `text`, is lost on its way (F68)."""
    _must_be_text("text", text)
    if text and device == "generator" and not world.generator_wire.letters:
        raise NotHereError("answers on this generator's wire are no texts")
    _device(world, device).lose_answer = text.encode("ascii")


def garbage(world: World, device: str, count: int = 16, seed: int = 1) -> None:
    """Random bytes that nobody asked for; of a panel, one control message."""
    _must_be_whole("count", count, 1, 4096)
    _must_be_whole("seed", seed, 0, 1 << 32)
    _device(world, device).garbage(world.t_us, count, seed)


def false_command(world: World, text: str = ON) -> None:
    """The generator hears a command that the unit did not send: an old frame again (F64).

    "ON" is the one that asks for a beam, on any wire.
    """
    wire = world.generator_wire
    if text == ON:
        if not wire.false_on:
            raise NotHereError("the simulator does not know ON on this generator's wire")
        world.generator_device.hear(wire.false_on)
        return
    if not wire.letters:
        raise NotHereError("commands on this generator's wire are no texts; there is only 'ON'")
    _must_be_text("text", text)
    if not 1 <= len(text) <= LONGEST_TEXT_BYTES:
        raise ValueError(f"text = {text!r}: must be 1 to {LONGEST_TEXT_BYTES} letters")
    world.generator_device.hear(frame(text))


# --- power


def set_panel_battery(
    world: World, charge: float | None, shown_pct: float | None, docked: bool | None
) -> None:
    """Its charge; where its meter stands; whether it is docked: an empty panel starts there."""
    battery = world.panel.battery
    if battery is None:
        raise NotHereError("no battery: the panel is tethered")
    if shown_pct is not None and not 0 <= shown_pct <= 100:
        raise ValueError(f"shown_pct = {shown_pct:g}: must be 0 to 100")
    fed = battery.feeds()
    if docked is not None:
        battery.dock(world.t_us, docked)
    if charge is not None:
        battery.charge_to(world.t_us, charge)
    battery.shown_pct = battery.shown_pct if shown_pct is None else shown_pct
    if fed != battery.feeds():
        _power(world, "panel", on=not fed)


def power_off(world: World, device: str) -> None:
    """Dark, silent, and without memory; a generator without HV, a room with all coils open."""
    _power(world, device, False)


def power_on(world: World, device: str) -> None:
    """It answers at once, as after power-up."""
    _power(world, device, True)


def reboot(world: World, device: str, dark_ms: float | None = None) -> None:
    """Off, and on again after `dark_ms`; left out: as long as such a device needs (F17, F70)."""
    _device(world, device)
    if dark_ms is None:
        dark_ms = DARK_MS[device]
    _must_be_number("dark_ms", dark_ms, 0.0, LONGEST_MS)
    _power(world, device, False)
    on_us = world.t_us + round(dark_ms * 1000)
    world.at(on_us, lambda t_us: _power(world, device, True))


def _power(world: World, device: str, on: bool) -> None:
    target = _device(world, device)
    models: dict[str, Powered] = {
        "generator": world.generator,
        "room": world.room,
        "panel": world.panel,
    }
    for name, model in (("collimator", world.collimator), ("dap", world.dap)):
        if model is not None:
            models[name] = model
    if on and target.powered:
        return
    models[device].power(world.t_us, on)
    target.power(on)


# --- contacts


def stick(world: World, closed: bool | None = None, **which: Any) -> None:
    """One contact, input or coil: as it is now, or `closed`."""
    if closed is not None and not isinstance(closed, bool):
        raise ValueError(f"closed = {closed!r}: must be true or false")
    kind, name = _one_of(which)
    if kind == "contact":
        world.wiring.stick_contact(world.t_us, name, closed)
    elif kind == "input":
        world.room.stick_input(name, closed)
    else:
        world.room.stick_coil(world.t_us, name, closed)


def free(world: World, **which: Any) -> None:
    """It does again what it is told."""
    kind, name = _one_of(which)
    if kind == "contact":
        world.wiring.free_contact(world.t_us, name)
    elif kind == "input":
        world.room.free(world.t_us, input_name=name)
    else:
        world.room.free(world.t_us, coil=name)


KINDS = ("contact", "input", "coil")


def _one_of(which: dict[str, Any]) -> tuple[str, str]:
    if len(which) != 1:
        raise ValueError(f"needs exactly one of {', '.join(KINDS)}")
    ((kind, name),) = which.items()
    return kind, str(name)


def bounce(world: World, contact: str, at_ms: Sequence[float]) -> None:
    """The contact changes over at each of these times from now, in rising order (F46)."""
    if not isinstance(at_ms, list | tuple) or not at_ms or len(at_ms) > TIMES_MOST:
        raise ValueError(f"at_ms = {at_ms!r}: must be a list of 1 to {TIMES_MOST} times in ms")
    for time_ms in at_ms:
        _must_be_number("at_ms", time_ms, 0.0, LONGEST_MS)
    if any(later <= earlier for earlier, later in pairwise(at_ms)):
        raise ValueError(f"at_ms = {at_ms!r}: each time must be later than the one before it")
    if contact not in wiring.CONTACTS:
        raise ValueError(f"no contact {contact!r}; there are {', '.join(wiring.CONTACTS)}")
    for time_ms in at_ms:
        world.at(world.t_us + round(time_ms * 1000), _change_over(world, contact))


def _change_over(world: World, contact: str) -> Callable[[int], None]:
    return lambda t_us: world.set_contact(contact, not world.wiring.contacts[contact])


def glitch(world: World, contact: str, ms: float) -> None:
    """The other way, and back after `ms` (F53)."""
    _must_be_number("ms", ms, 0.001, LONGEST_MS)
    bounce(world, contact, [0.0, ms])


def press_often(world: World, times: int, per_s: float) -> None:
    """Both stages pressed and released so many times, half of each period closed (F47)."""
    _must_be_whole("times", times, 1, TIMES_MOST)
    _must_be_number("per_s", per_s, 0.1, 200.0)
    half_us = 500_000.0 / per_s
    for index in range(2 * times):
        at_us = world.t_us + round(index * half_us)
        world.at(at_us, _hand(world, pressed=index % 2 == 0))


def _hand(world: World, *, pressed: bool) -> Callable[[int], None]:
    stages = ("stage_1", "stage_2") if pressed else ("stage_2", "stage_1")

    def move(t_us: int) -> None:
        for stage in stages:
            world.set_contact(stage, pressed)

    return move


# --- relays, and everything again


def weld(world: World, relay: str) -> None:
    relays = {"enable": world.wiring.enable, "contactor": world.wiring.contactor}
    if relay not in relays:
        raise ValueError(f"no relay {relay!r}; there are {', '.join(relays)}")
    relays[relay].welded = True


PLACES = (
    "generator", "panel", "room", "wiring", "collimator", "dap", "meter", "optics", "line",
)  # fmt: skip


def heal_all(world: World, what: str) -> None:
    """Every fault of a place is taken back; what it did, stays: latched bits, an open chain."""
    places = PLACES if what == "all" else (what,)
    if what != "all" and what not in PLACES:
        raise ValueError(f"what = {what!r}: must be all, {', '.join(PLACES)}")
    for place in places:
        _HEAL[place](world)


def _heal_targets(world: World, place: str, targets: Targets) -> None:
    own = world.geometry.optics
    if place == "optics" and (own.before_fault or any(is_hurt(*one) for one in targets)):
        _scene_moves(world)
        own.put_back()
    for target, table in targets:
        if table is capacitors.INJECTIONS and is_hurt(target, table):
            _capacity_changes(world)
        heal(target, table)


def _heal_models(place: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        _heal_targets(world, place, targets_of(world, place))
        if place == "generator":
            world.generator.battery.stuck_v = None
        if place == "panel" and world.panel.battery is not None:
            world.panel.battery.shown_pct = None
        if place == "room":
            for name in INPUTS:
                world.room.free(world.t_us, input_name=name)
            for name in COILS:
                world.room.free(world.t_us, coil=name)
        if place == "wiring":
            for name in wiring.CONTACTS:
                world.wiring.free_contact(world.t_us, name)
            world.wiring.enable.free(world.t_us)
            world.wiring.contactor.free(world.t_us)

    return act


def _heal_lines(world: World) -> None:
    for name, target in devices(world).items():
        heal(target, LINE)
        target.lose_answer = None
        _power(world, name, True)
    world.generator_device.lose_once = b""


_HEAL: dict[str, Callable[[World], None]] = {
    **{place: _heal_models(place) for place in PLACES[:-1]},
    "line": _heal_lines,
}


def _must_be_number(name: str, value: object, least: float, most: float) -> None:
    Injection("", None, float, (least, most)).check(name, value)


def _must_be_whole(name: str, value: object, least: int, most: int) -> None:
    Injection("", None, int, (least, most)).check(name, value)


def _must_be_text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.isascii():
        raise ValueError(f"{name} = {value!r}: must be a text of ASCII letters")
