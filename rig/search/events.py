"""What may happen between two scans: one thing at a time, or nothing."""

from __future__ import annotations

from collections.abc import Iterator

from firmware_py.decide.memory import State
from hal.types import ShotKind
from rig.search.words import AUTOMATIC, FROZEN, NEXT
from rig.search.world import World

S = State
PREPARED = frozenset((S.PREP, S.READY, S.INTERLOCK_CHECK))
BEAM = frozenset((S.EXPOSE,))
CHECK = frozenset((S.INTERLOCK_CHECK,))
READOUT = frozenset((S.READOUT,))
IN_SEQUENCE = PREPARED | BEAM | READOUT
SEQUENCE = IN_SEQUENCE | {S.STANDBY}
START = frozenset((S.BOOT,))

# In which states a fault may begin: where it is seen first. Begun earlier it would lie dormant.
FAULTS = {
    "door open": SEQUENCE,
    "e-stop": frozenset(S),
    "chain open": SEQUENCE,
    "chain stuck": SEQUENCE,
    "key off": SEQUENCE | {S.LOCKED},
    "room silent": frozenset(S),
    "room stale": SEQUENCE | {S.RELEASE_WAIT},
    "relay welded": frozenset((S.SELF_TEST, S.PREP, S.READY, S.EXPOSE)),
    "lamp dead": frozenset((S.SELF_TEST,)),
    "generator silent": SEQUENCE | START,
    "generator slow": frozenset((S.PREP, S.READY)),
    "echo wrong": PREPARED,
    "arc": SEQUENCE,
    "pair not seen": CHECK | BEAM,
    "ON refused": CHECK,
    "ON unanswered": CHECK,
    "status stale": CHECK | BEAM | READOUT,
    "stray beam": frozenset(S) - BEAM - {S.LOCKED},
    "beam ends early": BEAM,
    "timer dead": BEAM,
    "OFF lost": BEAM,
    "kV too high": BEAM,
    "panel silent": SEQUENCE | START,
    "panel stale": PREPARED | BEAM,
    "panel error": SEQUENCE,
    "panel slow": frozenset((S.PREP, S.READY)),
    "another panel": PREPARED,
    "no window": CHECK | BEAM | READOUT,
    "panel integrates": SEQUENCE - BEAM - READOUT,
    "recorder hangs": PREPARED | BEAM | READOUT,
    "recorder dead": SEQUENCE - READOUT | START,
    "frame lost": READOUT,
    "scan late": BEAM,
}
BUDGET = 2  # faults at a time
STOPS = IN_SEQUENCE
RESETS = frozenset((S.STANDBY, S.FAULT, S.LOCKED))
PROGRAMS = frozenset((S.STANDBY, S.PREP, S.READY, S.INTERLOCK_CHECK))
HANDS = (
    (False, False, "the switch is released"),
    (True, False, "stage 1 is held"),
    (True, True, "both stages are held"),
    (False, True, "stage 2 alone is held"),
)
STOP, RESET = "stop", "reset"
DAY = "a day passes"  # since the last self-test
# What is held there makes no odds.
MUST_OPEN = frozenset((S.SELF_TEST, S.RELEASE_WAIT, S.FAULT, S.LOCKED))
HELD_OR_NOT = (HANDS[0], HANDS[2])


def events(world: World, state: State, budget: int = BUDGET) -> Iterator[tuple[str, World]]:
    """Words and the world after it; STOP, RESET and DAY change no world."""
    yield "", world
    for words, states in ((STOP, STOPS), (RESET, RESETS), (DAY, frozenset((S.STANDBY,)))):
        if state in states:
            yield words, world
    yield from _moves(world, state)
    if state in BEAM:
        yield from _chambers(world)
    if state in PROGRAMS:
        yield from _programs(world)
    if world.faults:
        yield "all faults are gone", world._replace(faults=frozenset())
    if len(world.faults) < budget:
        for name, states in FAULTS.items():
            if state in states and name not in world.faults:
                yield name, world._replace(faults=world.faults | {name})


def _moves(world: World, state: State) -> Iterator[tuple[str, World]]:
    for stage_1, stage_2, words in HELD_OR_NOT if state in MUST_OPEN else HANDS:
        if (stage_1, stage_2) != (world.stage_1, world.stage_2):
            yield words, world._replace(stage_1=stage_1, stage_2=stage_2)


def _chambers(world: World) -> Iterator[tuple[str, World]]:
    if world.hv and world.prepared == AUTOMATIC:
        yield "the chambers end the beam", world._replace(hv=False)


def _programs(world: World) -> Iterator[tuple[str, World]]:
    for kind in (*ShotKind, AUTOMATIC):
        if kind is not world.kind or world.name != NEXT:
            yield f"a shot is programmed: {kind}", world._replace(kind=kind, name=NEXT)
    if world.kind is None:
        again = world._replace(kind=ShotKind.IMAGING, name=FROZEN)
        yield "the last shot is programmed again", again
