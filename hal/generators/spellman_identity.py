"""Who is there? Asked with nothing that any Spellman model could take for a command.

An opcode of one model does something else on another (3.14): 28 is harmless on an XRV and sets
the watchdog of an XRB011, 32 asks a uX and switches the focus of an XRV. So before anything else
leaves, only opcodes do that are queries on every model of the tables. Their answers tell models
apart by how many values they have: 22 has 17 flags on an XRV, 3 on a uX, 8 on an SLM, 26 on a PMX.

Of XRB011 and PMX not all opcodes are public (13): on those a query may be harmless or unknown.
"""

from __future__ import annotations

from collections.abc import Iterable

from hal.generators.spellman_opcodes import Does, Model
from hal.generators.spellman_tables import MODELS


def harmless(models: Iterable[Model] = MODELS.values()) -> frozenset[int]:
    """Opcodes that are a query somewhere, and nowhere anything else or of unknown effect."""
    listed = tuple(models)
    asks = {row.number for model in listed for row in model.opcodes if row.does is Does.ASK}
    acts = {row.number for model in listed for row in model.opcodes if row.does is not Does.ASK}
    unknown = {number for model in listed for number in model.unknown}
    return frozenset(asks - acts - unknown)


def fitting(number: int, count: int, models: Iterable[Model] = MODELS.values()) -> tuple[str, ...]:
    """The models whose answer to this query has so many values."""
    rows = ((model.name, model.by_number.get(number)) for model in models)
    return tuple(
        name
        for name, row in rows
        if row and not row.is_text and count in row.counts and row.answers
    )


def mismatch(model: Model, number: int, count: int) -> str:
    """Both names, when this answer is not one of the bench's model; else nothing."""
    row = model.by_number[number]
    if row.is_text or count in row.counts:
        return ""
    found = fitting(number, count)
    other = f"a Spellman {' or '.join(found)}" if found else "no Spellman that is known here"
    return (
        f"the bench names a Spellman {model.name}, but what answers is {other}: "
        f"{number} has {count} values, not {row.counts.start}"
    )
