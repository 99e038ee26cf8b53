"""The room's outputs one at a time, and its contacts as a person moves them: pass or fail each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from rig.io_view import ALONE, word
from rig.room_watch import POLL_S, RoomWatch
from rig.service.inhibited import OPEN_RELAYS, proof
from rig.service.pins import Pin


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`good`: None = nothing here can judge it, a person has to look."""

    name: str
    what: str
    found: str
    good: bool | None


@dataclass(frozen=True, slots=True)
class Move:
    """What a person is asked to do, and how contacts must read then."""

    ask: str
    wanted: Mapping[str, bool]

    @property
    def name(self) -> str:
        return next(iter(self.wanted))


MOVES = (  # the latching chain drops with door and e-stop, and only reset closes it
    Move("Press stage 1 of the handswitch and hold it", {"stage_1": True, "stage_2": False}),
    Move("Press it through to stage 2 and hold it", {"stage_2": True, "stage_1": True}),
    Move("Let the handswitch go", {"stage_1": False, "stage_2": False}),
    Move("Open the door", {"door": False, "chain": False}),
    Move("Close the door", {"door": True, "chain": False}),
    Move("Press reset and hold it", {"reset": True, "chain": True}),
    Move("Let reset go", {"reset": False, "chain": True}),
    Move("Press the emergency stop", {"estop": False, "chain": False}),
    Move("Pull the emergency stop out", {"estop": True, "chain": False}),
    Move("Press reset and hold it", {"reset": True, "chain": True}),
    Move("Let reset go", {"reset": False, "chain": True}),
    Move("Turn the key off", {"key": False}),
    Move("Turn the key on", {"key": True}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switched:
    """One output, held for a moment. Booleans as read back; None = not known."""

    name: str
    on: bool | None
    off_again: bool | None
    lamp_current: bool | None  # of the beam lamp only
    alone: bool  # enable, contactor, PREP and EXPOSE stayed open beside it

    @property
    def good(self) -> bool:
        off_again = self.off_again is not False
        return self.on is not False and off_again and self.lamp_current is not False and self.alone


def proved(room: RoomWatch, pins: Mapping[str, Pin]) -> list[str]:
    """What keeps high voltage off, as read back now. Raises Refused unless all of it does."""
    room.make_safe()
    coils = room.read_back()
    return proof(room.poll(), coils, pins)


def switched(room: RoomWatch, pins: Mapping[str, Pin], name: str, hold_s: float) -> Switched:
    """Raises Refused unless high voltage is proved inhibited right before."""
    proved(room, pins)
    sample = room.hold(ALONE[name], hold_s)
    coils = room.coils()
    room.make_safe()
    off = room.coils().get(name)
    return Switched(
        name=name,
        on=coils.get(name),
        off_again=None if off is None else not off,
        lamp_current=sample.lamp_current if name == "beam_lamp" else None,
        alone=all(coils.get(other) is False for other in OPEN_RELAYS if other != name),
    )


def told(found: Switched) -> str:
    words = {True: "on", False: "off", None: "not read back"}
    lamp = found.lamp_current
    current = "" if lamp is None else f", lamp current {'flows' if lamp else 'NONE'}"
    off = None if found.off_again is None else not found.off_again
    beside = "" if found.alone else "; ANOTHER RELAY CLOSED WITH IT"
    return f"asked for on, reads {words[found.on]}{current}; then off, reads {words[off]}{beside}"


def output_steps(
    room: RoomWatch,
    pins: Mapping[str, Pin],
    *,
    hold_s: float,
    seen: Callable[[str], bool | None],
) -> Iterator[Step]:
    """`seen`: asks a person whether a lamp was lit or a buzzer heard; None: nobody to ask."""
    for name in ALONE:
        found = switched(room, pins, name, hold_s)
        good: bool | None = found.good
        text = told(found)
        if good and name in ("ready_lamp", "buzzer"):
            answer = seen(name)
            good = answer
            text += {True: "; seen", False: "; NOT SEEN", None: "; nobody looked"}[answer]
        yield Step(name=name, what=pins[name].told, found=text, good=good)


def contact_steps(
    room: RoomWatch,
    pins: Mapping[str, Pin],
    *,
    wait_s: float,
    say: Callable[[str], None],
) -> Iterator[Step]:
    """Each move is told to a person and waited for; all outputs stay off."""
    for move in MOVES:
        say(f"{move.ask}.")
        room.make_safe()
        end_s = time.monotonic() + wait_s
        found = _now(room, move)
        while found != dict(move.wanted) and time.monotonic() < end_s:
            time.sleep(POLL_S)
            found = _now(room, move)
        names = " and ".join(f"{pins[name].told} {word(name, is_)}" for name, is_ in found.items())
        good = found == dict(move.wanted)
        yield Step(name=move.name, what=move.ask, found=names, good=good)


def _now(room: RoomWatch, move: Move) -> dict[str, bool]:
    sample = room.poll()
    return {name: getattr(sample, name) for name in move.wanted}
