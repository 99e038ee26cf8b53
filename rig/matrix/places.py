"""The eleven states as places on a bench, and how a person gets there."""

from __future__ import annotations

from dataclasses import dataclass

from hal.types import Technique
from rig.bench import Bench
from rig.matrix.person import Person
from rig.matrix.room import Room
from sim.pixels import PixelModel

REACH_US = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """`after_ms` its state was entered; `again`: exposures wanted after the present one.

    `from_beam`: `after_ms` the first scan with HV, however long after the entry ON has left.
    `from_end`: so long as a beam that was ordered at the entry would last.
    """

    state: str
    moment: str = ""
    after_ms: float
    again: int = 0
    from_beam: bool = False
    from_end: bool = False

    @property
    def name(self) -> str:
        return f"{self.state} {self.moment}".strip()


PLACES = (
    Place(state="BOOT", after_ms=15),
    Place(state="SELF_TEST", after_ms=50),
    Place(state="STANDBY", after_ms=100),
    Place(state="PREP", after_ms=50),
    Place(state="READY", after_ms=50),
    Place(state="INTERLOCK_CHECK", after_ms=40),
    Place(state="EXPOSE", moment="early", after_ms=5, from_beam=True),  # HV rises
    Place(state="EXPOSE", moment="middle", after_ms=400),
    Place(state="EXPOSE", moment="late", after_ms=-15, from_end=True, again=1),
    Place(state="READOUT", after_ms=20, again=1),
    Place(state="RELEASE_WAIT", after_ms=150, again=1),
    Place(state="FAULT", after_ms=100, again=1),
    Place(state="LOCKED", after_ms=100, again=1),
)


def brought_to(
    place: Place, bench: Bench, technique: Technique, pixels: PixelModel
) -> tuple[Room, Person]:
    """A room whose unit is there, just before the injection. Raises RuntimeError if it can't be."""
    room = Room(bench, technique, pixels)
    person = Person(room)
    prepare = _PREPARE.get(place.state)
    if prepare is not None:
        prepare(room, person)
    if not room.run_until(lambda: room.state == place.state, REACH_US):
        raise RuntimeError(f"{place.name} was not reached; the unit is in {room.state}")
    if place.from_beam and not room.run_until(lambda: _beam_on(room), REACH_US):
        raise RuntimeError(f"{place.name}: no beam came; the unit is in {room.state}")
    # A charge takes half the ramp more; a generator's timer counts from the start of the ramp.
    ramp_ms = 0.0 if technique.mas is None else room.world.generator.ramp_us() / 2000
    lasts_ms = technique.planned_ms + ramp_ms
    room.pass_ms(place.after_ms + (lasts_ms if place.from_end else 0.0))
    if room.state != place.state:
        raise RuntimeError(f"{place.name}: the unit went on to {room.state}")
    person.wishes += place.again
    person.holds = False
    return room, person


def _beam_on(room: Room) -> bool:
    """By the simulator's own course: what the unit knows comes later."""
    return room.world.generator.beam_on(room.world.t_us)


def _held(room: Room, person: Person) -> None:
    """The hand has not let go after an exposure."""
    person.holds = True
    room.run_until(lambda: room.state == "READOUT", REACH_US)


def _door_in_ready(room: Room, person: Person) -> None:
    room.run_until(lambda: room.state == "READY", REACH_US)
    room.after(20, "open door")
    person.cures.append(lambda: room.act("close door", {}))


def _relay_welded(room: Room, person: Person) -> None:
    room.act("weld", {"relay": "enable"})

    wiring = room.world.wiring

    def mended() -> None:
        """A new relay. Nothing else is healed: something may have been injected by then."""
        wiring.enable.free(room.world.t_us)
        room.world.poke()

    person.cures.append(mended)


_PREPARE = {"RELEASE_WAIT": _held, "FAULT": _door_in_ready, "LOCKED": _relay_welded}
