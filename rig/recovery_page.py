"""What `dxrig recover` shows: each open exposure, what is known of it, and what to do next.

Lines of at most 80 characters: it is read over SSH, by somebody who wants to go on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from rig.recovery import Open

if TYPE_CHECKING:
    from rig.panel_fetch import Fetched

_UNITS = (("kv", "kV"), ("ma", "mA"), ("mas", "mAs"), ("ms", "ms"))
_IMAGE = {
    "saved": "saved",
    "missing": "missing; the panel may still keep its frame",
    "not awaited": "none was to come",
    "not known": "not known, the record is damaged",
}


def page(bench: str, found: Sequence[Open], fetched: Sequence[Fetched] | None) -> Iterator[str]:
    """`fetched`: None where the panel was not asked."""
    if fetched is not None:
        yield from _fetched(fetched)
    if not found:
        yield f"Bench {bench}: no incomplete exposure"
        return
    many = "1 exposure is" if len(found) == 1 else f"{len(found)} exposures are"
    yield f"Bench {bench}: {many} incomplete."
    yield "No exposure is granted before somebody has looked and said so."
    for one in found:
        yield ""
        yield f"{one.shot_id}   {_when(one.at)}   {_technique(one)}".rstrip()
        yield f"  dose   {one.dose}"
        yield f"  image  {_IMAGE[one.image]}"
    yield ""
    yield from _next(bench, found, asked=fetched is not None)


def _fetched(fetched: Sequence[Fetched]) -> Iterator[str]:
    if not fetched:
        yield "The panel keeps no frame."
    for one in fetched:
        yield f"Frame {one.shot_id}: {one.said}."
    yield ""


def _next(bench: str, found: Sequence[Open], *, asked: bool) -> Iterator[str]:
    yield "Next:"
    if not asked and any(one.image == "missing" for one in found):
        yield f"  dxrig recover --bench {bench} --fetch"
        yield "      asks the panel for its frames and makes their images; irradiates nothing"
    yield f"  dxrig recover --bench {bench} --acknowledge ID --who NAME --why TEXT"
    yield "      when you have looked; the record stays, your name and reason beside it"


def _when(at: str) -> str:
    return datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M:%S %Z")


def _technique(one: Open) -> str:
    values = one.technique
    return " ".join(f"{values[name]:g} {unit}" for name, unit in _UNITS if values.get(name))
