"""What happens in a simulated room, told relative to events: "beam_on +20 ms: open door".

The same steps run on both rungs, inside the world, so what follows an event of the
world happens at its exact microsecond. Events of the unit ("state READY") are handed in
by whoever sees them. The hand exists only here: radiation has no remote start anywhere.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from sim import mishaps
from sim.injection import NotHereError
from sim.mischief_links import make_mischief
from sim.world import World

SHORT_COUNT = 8  # names that one takes in at a glance
UNIT_VERBS = ("kill unit", "stop unit", "continue unit", "start unit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """At the `nth` time that `event` happens, and `after_ms` later, do it."""

    event: str
    do: str
    after_ms: float = 0.0
    nth: int = 1
    args: Mapping[str, Any] = field(default_factory=dict)


class ScriptError(ValueError):
    """A step names something that this world has not."""


class NotOnThisBenchError(ScriptError):
    """It is a word, but of other benches: of another generator's wire, or of a rotor."""


# --- what can be done, by name


def _stage(stage: int) -> None:
    if stage not in (1, 2):
        raise ScriptError(f"stage = {stage!r}: must be 1 or 2")


def _press(world: World, stage: int = 2) -> None:
    _stage(stage)
    world.set_contact("stage_1", True)
    if stage == 2:
        world.set_contact("stage_2", True)


def _release(world: World, stage: int = 1) -> None:
    """Stage 2 alone, or both."""
    _stage(stage)
    world.set_contact("stage_2", False)
    if stage == 1:
        world.set_contact("stage_1", False)


def _contact(name: str, closed: bool) -> Callable[[World], None]:
    return lambda world: world.set_contact(name, closed)


def _phantom(world: World, name: str) -> None:
    mishaps.no_window(world, "the phantom")
    world.panel.phantom_name = name


def _geometry(
    world: World,
    sid_mm: float | None = None,
    rows_mm: float | None = None,
    columns_mm: float | None = None,
) -> None:
    """The tube moved, or the collimator's knobs turned: the light field, at the receptor."""
    if world.geometry.stands(sid_mm=sid_mm, rows_mm=rows_mm, columns_mm=columns_mm):
        return  # nothing moves: said of a panel that integrates, too
    mishaps.no_window(world, "the tube")
    if world.dap is not None:
        world.dap.field_moves(world.t_us)
    world.geometry.move(sid_mm=sid_mm, rows_mm=rows_mm, columns_mm=columns_mm)


def _arc(world: World) -> None:
    world.generator.arc(world.t_us)


def _trip(world: World, bit: str) -> None:
    world.generator.trip(world.t_us, bit)


def _battery(world: World, volts: float) -> None:
    if not _same_kind(0.0, volts):
        raise ScriptError(f"volts = {volts!r}: must be a number")
    world.generator.battery.stuck_v = volts


def _charge_battery(world: World, charge: float = 1.0) -> None:
    if not _same_kind(0.0, charge):
        raise ScriptError(f"charge = {charge!r}: must be a number")
    world.generator.charge_battery(world.t_us, charge)


def _panel_battery(
    world: World,
    charge: float | None = None,
    shown_pct: float | None = None,
    docked: bool | None = None,
) -> None:
    """It holds this charge; its meter stands at a figure; it is put into its dock, or taken out."""
    for name, value in (("charge", charge), ("shown_pct", shown_pct)):
        if value is not None and not _same_kind(0.0, value):
            raise ScriptError(f"{name} = {value!r}: must be a number")
    if docked is not None and not _same_kind(False, docked):
        raise ScriptError(f"docked = {docked!r}: must be true or false")
    mishaps.set_panel_battery(world, charge, shown_pct, docked)


VERBS: dict[str, Callable[..., None]] = {
    "press": _press,
    "release": _release,
    "open door": _contact("door", False),
    "close door": _contact("door", True),
    "press e-stop": _contact("estop", False),
    "pull e-stop": _contact("estop", True),
    "press reset": _contact("reset", True),
    "release reset": _contact("reset", False),
    "key off": _contact("key", False),
    "key on": _contact("key", True),
    "generator": mishaps.set_generator,
    "panel": mishaps.set_panel,
    "phantom": _phantom,
    "geometry": _geometry,
    "collimator": mishaps.set_collimator,
    "dap": mishaps.set_dap,
    "meter": mishaps.set_meter,
    "optics": mishaps.set_optics,
    "wiring": mishaps.set_wiring,
    "weld": mishaps.weld,
    "room": mishaps.set_room,
    "line": mishaps.set_line,
    "lose OFF once": mishaps.lose_off,
    "lose answer": mishaps.lose_answer,
    "garbage": mishaps.garbage,
    "false command": mishaps.false_command,
    "arc": _arc,
    "trip generator": _trip,
    "battery": _battery,
    "charge battery": _charge_battery,
    "panel battery": _panel_battery,
    "power off": mishaps.power_off,
    "power on": mishaps.power_on,
    "reboot": mishaps.reboot,
    "stick": mishaps.stick,
    "free": mishaps.free,
    "bounce": mishaps.bounce,
    "glitch": mishaps.glitch,
    "press often": mishaps.press_often,
    "heal": mishaps.heal_all,
    "mischief": make_mischief,
}


# What may be set by name, verb by verb: each model lists its own.
INJECTED: dict[str, tuple[str, ...]] = {
    **mishaps.NAMES,
    "stick": mishaps.KINDS,
    "free": mishaps.KINDS,
}


def check(verb: str, args: Mapping[str, Any]) -> None:
    """An action that is not built is an error, never a silent pass: ScriptError says what is."""
    verbs = (*VERBS, *UNIT_VERBS)
    if verb not in verbs:
        raise ScriptError(f"no action {verb!r}; there are {', '.join(verbs)}{_near(verb, verbs)}")
    known, needed = arguments(verb)
    for name in args:
        if name not in known:
            there_are = f"there are {', '.join(known)}" if known else "it takes none"
            raise ScriptError(f"{verb} has no {name!r}; {there_are}{_near(name, known)}")
    for name in needed:
        if name not in args:
            raise ScriptError(f"{verb} needs {name!r}")


def _near(word: str, known: Sequence[str]) -> str:
    """Behind a long list: the one that was meant, perhaps."""
    found = get_close_matches(word, known, n=1) if len(known) > SHORT_COUNT else []
    return f"; did you mean {found[0]!r}?" if found else ""


def arguments(verb: str) -> tuple[list[str], list[str]]:
    """(those that it knows, those that it needs)"""
    if verb in UNIT_VERBS:
        return [], []
    given = list(inspect.signature(VERBS[verb]).parameters.values())[1:]  # the first is the world
    named = [p for p in given if p.kind is not p.VAR_KEYWORD]
    known = [p.name for p in named] + list(INJECTED.get(verb, ()))
    return known, [p.name for p in named if p.default is p.empty]


def _same_kind(now: object, value: object) -> bool:
    if isinstance(now, bool) or isinstance(value, bool):
        return type(now) is type(value)
    if isinstance(now, int | float):
        return isinstance(value, int | float) and math.isfinite(value)
    return True


def do(world: World, verb: str, args: Mapping[str, Any]) -> None:
    check(verb, args)
    if verb not in VERBS:
        raise ScriptError(f"{verb!r} concerns the unit, not the room")
    try:
        VERBS[verb](world, **args)
    except NotHereError as error:
        raise NotOnThisBenchError(str(error)) from error
    except ValueError as error:  # a value that the model refuses
        raise ScriptError(str(error)) from error
    world.poke()


class Script:
    """Waits for events and does its steps. `on_unit` gets the verbs that concern the unit.

    Raises ScriptError at once when a step names what does not exist.
    """

    def __init__(
        self,
        world: World,
        steps: Sequence[Step],
        on_unit: Callable[[str], None] = lambda verb: None,
    ) -> None:
        self._world = world
        self._steps = tuple(steps)
        for step in self._steps:
            check(step.do, step.args)
        self._on_unit = on_unit
        self._seen: Counter[str] = Counter()
        self.done: list[tuple[int, str]] = []  # (t_us, what)
        self._tell = world.on_event
        world.on_event = self._world_event

    def event(self, name: str) -> None:
        """Something happened now: start what waits for it."""
        self._seen[name] += 1
        for step in self._steps:
            if step.event == name and step.nth == self._seen[name]:
                self._world.at(
                    self._world.t_us + round(step.after_ms * 1000),
                    lambda t_us, step=step: self._do(t_us, step),  # type: ignore[misc]
                )

    def _world_event(self, t_us: int, name: str) -> None:
        self._tell(t_us, name)
        self.event(name)

    def _do(self, t_us: int, step: Step) -> None:
        self.done.append((t_us, step.do))
        if step.do in UNIT_VERBS:
            self._on_unit(step.do)
        else:
            do(self._world, step.do, step.args)
