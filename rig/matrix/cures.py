"""What takes an injected cause away again, so that it shows whether the reaction stays."""

from __future__ import annotations

from collections.abc import Callable

from rig.injections import InjectionSection
from rig.matrix.room import Room

OPPOSITE = {
    "open door": "close door",
    "press e-stop": "pull e-stop",
    "key off": "key on",
    "press reset": "release reset",
}
HEALTHY = {"dead": False, "disk_full": False, "writes_fail": False, "set_expired": False}
QUIET = {device: {"device": device} for device in ("generator", "room", "panel")}


def cure_of(row: InjectionSection, room: Room) -> Callable[[], None]:
    """The row's own cure; else all devices healed, lines good again, contacts as before."""

    def own() -> None:
        for step in row.cure or ():
            room.after(step.after_ms, step.do, step.args)

    def usual() -> None:
        room.act("heal", {"what": "all"})
        room.act("recorder", HEALTHY)
        for step in row.how:
            if step.do in OPPOSITE:
                room.act(OPPOSITE[step.do], {})
            elif step.do == "mischief":
                room.act("mischief", QUIET[step.args["device"]])

    return usual if row.cure is None else own
