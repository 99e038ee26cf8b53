"""What status and fault flags of XRV and uX mean to us: codes of hal.faults.

The flags' names are those of `spellman_tables.py` (protocol reference 3.5.1, 3.5.2, 3.6), and so is
their order. Which of our codes a flag is, is our choice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hal.generators.spellman_opcodes import Field, Model, Reply
from hal.generators.spellman_tables import UX, UXMAN

_OF_NAME = {
    # XRV 68
    "over_temperature_near": "OVER_TEMPERATURE",
    "over_voltage": "OVER_VOLTAGE",
    "under_voltage": "REGULATION",
    "over_current": "OVER_CURRENT",
    "under_current": "REGULATION",
    "over_temperature_anode": "OVER_TEMPERATURE",
    "over_temperature_cathode": "OVER_TEMPERATURE",
    "arc_anode": "ARC",
    "arc_cathode": "ARC",
    "board_over_temperature": "OVER_TEMPERATURE",
    "over_power": "OVER_POWER",
    "kv_difference": "REGULATION",
    "ma_difference": "REGULATION",
    # uX 32
    "interlock_fault": "INTERLOCK_OPEN",
}
_NO_FAULT = frozenset({"hv_on", "interlock_open"})  # stand in the uX's list, and are states


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Reply 22, in words that both kinds have; None: this kind does not say."""

    hv_on: bool
    interlock_closed: bool
    fault: bool
    prewarning: bool | None = None
    filament_on: bool | None = None
    local: bool | None = None


def status_of(model: Model, reply: Reply) -> Status:
    """3.14: flag 2 is 1 = *open* on a uX and 1 = *closed* on an XRV."""
    shown = {made.name: value == 1 for made, value in _named(model, "status", reply)}
    if model in (UX, UXMAN):
        return Status(
            hv_on=shown["hv_on"],
            interlock_closed=not shown["interlock_open"],
            fault=shown["fault"],
        )
    return Status(
        hv_on=shown["hv_on"],
        interlock_closed=shown["interlock_1_closed"] and shown["interlock_2_closed"],
        fault=shown["fault"],
        prewarning=shown["prewarning"],
        filament_on=shown["filament_on"],
        local=shown["local"],
    )


@dataclass(frozen=True, slots=True)
class Fault:
    code: str  # of hal.faults
    text: str  # number and name, for the service engineer


def faults_of(model: Model, reply: Reply) -> tuple[Fault, ...]:
    """The flags that are set, but for states. One beyond the table is unknown, by its number."""
    fields = model.by_name["faults"].answers
    found = []
    for at, value in enumerate(reply.values):
        name = fields[at].name if at in range(len(fields)) else ""
        if value == 1 and name not in _NO_FAULT:
            known = _OF_NAME.get(name, "GENERATOR_FAULT") if name else "GENERATOR_UNKNOWN"
            found.append(Fault(known, f"flag {at} {name}".rstrip()))
    return tuple(found)


def _named(model: Model, name: str, reply: Reply) -> Iterator[tuple[Field, object]]:
    return zip(model.by_name[name].answers, reply.values, strict=True)
