"""What is wrong in a simulated world at this moment: what `heal` would take back."""

from __future__ import annotations

from typing import Any

from sim.battery import Supply
from sim.device import LINE
from sim.injection import Table
from sim.mishaps import NAMES, PLACES, devices, targets_of
from sim.world import World

Found = dict[str, dict[str, Any]]


def faults_in_place(world: World) -> Found:
    """{place: {name: value}}, in the words of `dxrig sim do`; a place without faults is left out.

    What a fault has done (a latched bit, an open chain) is none, nor how the room is arranged.
    """
    found: Found = {
        verb: _hurts(world, verb) for verb in PLACES if verb in NAMES and verb != "line"
    }
    found["generator"] |= _stuck_meters(world)
    found |= {"welded": _welded(world), "stuck": _stuck(world)}
    for name, device in devices(world).items():
        found[f"line {name}"] = _of(device, LINE) | ({} if device.powered else {"powered": False})
    return {place: values for place, values in found.items() if values}


def supply_of(world: World) -> Supply:
    return world.generator.ratings.supply


def _hurts(world: World, verb: str) -> dict[str, Any]:
    return {
        name: value
        for target, table in targets_of(world, verb)
        for name, value in _of(target, table).items()
    }


def _of(target: object, table: Table) -> dict[str, Any]:
    now = {name: getattr(target, name) for name in table}
    return {name: value for name, value in now.items() if table[name].is_fault(value)}


def _stuck_meters(world: World) -> dict[str, Any]:
    volts = world.generator.battery.stuck_v
    return {} if volts is None else {"battery volts": volts}


def _welded(world: World) -> dict[str, Any]:
    relays = {"enable": world.wiring.enable, "contactor": world.wiring.contactor}
    return {name: True for name, relay in relays.items() if relay.welded}


def _stuck(world: World) -> dict[str, Any]:
    """Contacts, inputs and coils, True where they are closed."""
    contacts = {f"contact {name}": world.wiring.contacts[name] for name in world.wiring.stuck()}
    return contacts | world.room.stuck()
