"""Where the generator's interlock pair is open, as far as the room's contacts can tell.

The room sees contacts, and the generator their series connection: what reads closed here and is
open there is the enable relay's own contact, which nobody reads, or a wire or plug between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rig.service.pins import Pin

SEEN_AS = {"safety_relay": "chain"}  # a member of the pair -> the contact that shows it
UNSEEN = ("enable",)  # its coil is read back, its contact is not
Contacts = Mapping[str, tuple[bool, int]]


def open_in(pair: Sequence[str], contacts: Contacts) -> str:
    """The first contact of the pair that reads open; "" = none that is seen does."""
    names = _seen(pair)
    return next((name for name in names if contacts.get(name, (True, 0))[0] is False), "")


def where_to_measure(
    pair: Sequence[str], contacts: Contacts, pins: Mapping[str, Pin], plug: str
) -> str:
    """What to do next. `plug`: the generator's own name of the place; "" = its file has none."""
    at = f" ({plug})" if plug else ""
    name = open_in(pair, contacts)
    if name:
        return f"Look at {pins[name].told}: its switch, its wire, and the pair{at}."
    closed = [pins[one].told for one in _seen(pair) if contacts.get(one, (False, 0))[0]]
    rest = [f"the contact of the {pins[one].told}" for one in pair if one in UNSEEN]
    suspects = ", ".join([*rest, "a wire", "the plug"])
    known = f"These read closed: {', '.join(closed)}. " if closed else ""
    return f"{known}Measure the pair at the generator{at}: open is {_or(suspects)}."


def _seen(pair: Sequence[str]) -> list[str]:
    return [SEEN_AS.get(one, one) for one in pair if one not in UNSEEN]


def _or(listed: str) -> str:
    head, _, last = listed.rpartition(", ")
    return f"{head} or {last}" if head else last
