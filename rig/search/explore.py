"""Breadth first through every memory that the real `step` reaches in the world of `world.py`.

A node is a memory and a world, as `normal.py` writes them; an edge is one thing that happens
(or nothing), one scan, and what the devices make of its outputs. So a path to a broken
property is a shortest one. At the end the edges are walked backwards: from every node a safe
STANDBY must be reachable.

Time moves scan by scan; that a wait may be jumped over to `Outputs.next_us` is one of the
properties.

Covered: shots of all kinds, any two faults at a time, each moment of the hand; a generator with a
timer, and one without. Not covered: the
wire and its delays (samples are of this scan, unless they are stale), real durations (deadlines
are a few scans long, not in the proportions of a bench), more than one technique a kind (and one
that chambers end), the generator's own account of a beam and what locks AEC, dose, the
panel's memory, heat, lamp, buzzer, refusals by technique, identity, disk or maps, one shot made by
two presses, two things in one scan, three faults, and at rest a fault that stays unseen (it
may begin again where it can be seen).
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from firmware_py.decide.controller import step
from firmware_py.decide.memory import Memory, State
from firmware_py.decide.states import TABLE, Row
from hal.types import Outputs
from rig.search.events import BUDGET, DAY, RESET, STOP, events
from rig.search.normal import key_of, normal
from rig.search.properties import Transition, broken, too_early
from rig.search.samples import inputs_of
from rig.search.words import LIMITS, NOW_US, UNTIMED
from rig.search.world import World, look, obey, wait

NO_WAY_HOME = "no way back to a safe STANDBY"


@dataclass(frozen=True, slots=True)
class Violation:
    what: str
    path: tuple[str, ...]  # from power up, in words


@dataclass(slots=True)
class Found:
    """What a search found; `complete` is False when it stopped at a bound."""

    states: int = 0
    transitions: int = 0
    seconds: float = 0.0
    complete: bool = True
    reached: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)
    beams: Counter[str] = field(default_factory=Counter)  # orders, by kind of shot
    not_taken: list[str] = field(default_factory=list)  # rows of the table
    violations: list[Violation] = field(default_factory=list)


class Search:
    """Nodes are numbered in the order in which they were found."""

    def __init__(
        self,
        budget: int = BUDGET,
        *,
        most_states: int = 0,
        until: str | None = None,
        has_timer: bool = True,
    ) -> None:
        """`has_timer`: of the generator; without one the unit ends a beam by time."""
        self._budget, self._most, self._until = budget, most_states, until
        self._has_timer = has_timer
        self._numbers: dict[tuple[object, ...], int] = {}
        self._nodes: list[tuple[Memory, World] | None] = []  # forgotten once it was expanded
        self._from = array("q")
        self._words: list[str] = []
        self._states: list[State] = []
        self._home = array("q")
        self._sources, self._targets = array("q"), array("q")
        self._told: set[str] = set()
        self.found = Found()

    def run(self) -> Found:
        began_s = time.monotonic()
        limits = LIMITS if self._has_timer else UNTIMED
        world = World(has_timer=self._has_timer)
        self._number(Memory(limits=limits, since_us=NOW_US), world, -1, "power up")
        number = 0
        while number < len(self._nodes) and not self._is_enough():
            self._expand(number)
            number += 1
        found = self.found
        found.complete = number == len(self._nodes)
        if found.complete:
            self._judge_ways_home()
        found.states, found.transitions = len(self._nodes), len(self._sources)
        found.not_taken = [name for name in map(_row_name, TABLE) if name not in found.rows]
        found.seconds = time.monotonic() - began_s
        return found

    def _is_enough(self) -> bool:
        if self._until is not None and any(self._until in v.what for v in self.found.violations):
            return True
        return bool(self._most) and len(self._nodes) >= self._most

    def _expand(self, number: int) -> None:
        node = self._nodes[number]
        assert node is not None
        self._nodes[number] = None
        memory, world = node
        aged = replace(memory, tested_us=NOW_US - LIMITS.self_test_every_us)
        for words, changed in events(world, memory.state, self._budget):
            seen = look(changed)
            inputs = inputs_of(seen, stop=words == STOP, reset=words == RESET)
            try:
                after, outputs = step(aged if words == DAY else memory, inputs)
            except Exception as error:  # a bug of the controller is a finding, not an end
                self._tell(f"step raises {type(error).__name__}: {error}", number, words)
                continue
            self._follow(number, words, Transition(
                memory, seen, inputs, after, outputs, obey(seen, outputs)
            ))  # fmt: skip

    def _follow(self, number: int, words: str, t: Transition) -> None:
        for what in broken(t):
            self._tell(what, number, words)
        if not words:
            for what in too_early(t):
                self._tell(what, number, words)
        self._count(t.before, t.after, t.outputs)
        memory, world = normal(t.after, wait(t.obeyed))
        to = self._number(memory, world, number, words)
        self._sources.append(number)
        self._targets.append(to)

    def _number(self, memory: Memory, world: World, origin: int, words: str) -> int:
        key = key_of(memory, world)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._nodes)
            self._nodes.append((memory, world))
            self._from.append(origin)
            self._words.append(words)
            self._states.append(memory.state)
            self.found.reached[memory.state.value] += 1
            if _is_home(memory, world):
                self._home.append(number)
        return number

    def _count(self, before: Memory, after: Memory, outputs: Outputs) -> None:
        if before.state is after.state:
            return
        self.found.rows[f"{before.state.value} > {after.state.value}: {after.why}"] += 1
        if outputs.expose_from_us is not None and after.shot is not None:
            self.found.beams[after.shot.kind.value] += 1

    def _judge_ways_home(self) -> None:
        """Against the arrows, from every safe STANDBY."""
        origins: list[list[int]] = [[] for _ in self._nodes]
        for source, target in zip(self._sources, self._targets, strict=True):
            origins[target].append(source)
        reached = bytearray(len(self._nodes))
        waiting = list(self._home)
        while waiting:
            number = waiting.pop()
            if not reached[number]:
                reached[number] = 1
                waiting += origins[number]
        lost = reached.find(0)
        if lost >= 0:
            self._tell(NO_WAY_HOME, self._from[lost], self._words[lost])

    def _tell(self, what: str, number: int, words: str) -> None:
        """Each property once: the first path to it is a shortest one."""
        if what not in self._told:
            self._told.add(what)
            path = (*reversed(list(self._back(number))), words or "a scan")
            self.found.violations.append(Violation(what, (*_short(path), what)))

    def _back(self, number: int) -> Iterator[str]:
        while number >= 0:
            yield f"{self._words[number] or 'a scan'} ({self._states[number].value})"
            number = self._from[number]


def _short(path: tuple[str, ...]) -> Iterator[str]:
    """Scans in which nothing happens and nothing changes are told once."""
    for before, words in zip(("", *path), path, strict=False):
        if words != before:
            yield words


def _row_name(row: Row) -> str:
    return f"{row.source.value} > {row.dest.value}: {row.when.__name__}"


def _is_home(memory: Memory, world: World) -> bool:
    quiet = not (world.faults or world.hv or world.stage_1 or world.stage_2)
    return memory.state is State.STANDBY and not memory.faults and quiet
