"""The words of a scenario file that must exist: events, actions and their arguments, what is seen.

A word that nothing knows would make a scenario pass for the wrong reason, so it is an error
before anything runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from hal.faults import FAULTS
from hal.types import EndReason
from rig.config_errors import Mistake, suggestion
from rig.exit_codes import UsageError
from rig.toml_lines import Path
from rig.unit_states import STATES
from sim.script import UNIT_VERBS, VERBS, ScriptError, check

EVENTS = ("start", "beam_on", "beam_off", *STATES)
INJECT = "inject"  # a row of the fault catalogue by its id, a signature by its name
ACTIONS = (*VERBS, *UNIT_VERBS, INJECT)
REASONS = tuple(reason.value for reason in EndReason)


def unknown_words(data: dict[str, Any]) -> list[Mistake]:
    """Of a parsed file, whatever else is wrong with it."""
    steps = [step for step in _list(data.get("step")) if isinstance(step, dict)]
    done = [verb for step in steps for verb in _done(step)]
    expect, until = _table(data.get("expect")), _table(data.get("until"))
    return [
        *(mistake for index, step in enumerate(steps) for mistake in _step(index, step)),
        *_unknown(("until", "event"), [until.get("event")], STATES),
        *_unknown(("expect", "path"), _list(expect.get("path")), STATES),
        *_unknown(("expect", "fault"), [expect.get("fault")], FAULTS),
        *_unknown(("expect", "refused"), _list(expect.get("refused")), FAULTS),
        *_unknown(("expect", "reason"), [expect.get("reason")], REASONS),
        *_followed(_table(expect.get("off")), "off", done),
        *_bound(_table(expect.get("off")).get("bound")),
        *_followed(_table(expect.get("react")), "react", done),
    ]


def _step(index: int, step: dict[str, Any]) -> Iterator[Mistake]:
    verb, args = step.get("do"), step.get("args", {})
    yield from _unknown(("step", index, "event"), [step.get("event")], EVENTS)
    yield from _unknown(("step", index, "do"), [verb], ACTIONS)
    if verb == INJECT:
        yield from _injection(index, args)
    elif verb in ACTIONS and isinstance(args, dict):
        try:
            check(verb, args)
        except ScriptError as error:
            yield Mistake(path=("step", index, "args"), text=str(error))


def _bound(name: object) -> Iterator[Mistake]:
    if isinstance(name, str):
        from rig.matrix.bounds import BOUNDS  # drivers, which most scenarios don't need

        yield from _unknown(("expect", "off", "bound"), [name], BOUNDS)


def _done(step: dict[str, Any]) -> list[object]:
    """What the room notes of a step: of an injection, each verb of its row."""
    if step.get("do") != INJECT:
        return [step.get("do")]
    from rig.injections import steps_of

    try:
        return [part.do for part in steps_of(str(_table(step.get("args")).get("id")), "scenario")]
    except UsageError:
        return []  # told as a mistake of its own


def _injection(index: int, args: object) -> Iterator[Mistake]:
    from rig.injections import steps_of  # it reads its file, which most scenarios don't need

    where = ("step", index, "args")
    if not isinstance(args, dict) or set(args) != {"id"}:
        yield Mistake(
            path=where,
            text='inject takes exactly one value: { id = "F31" } or { id = "filter lost" }',
        )
        return
    try:
        steps_of(str(args["id"]), "scenario")
    except UsageError as error:
        yield Mistake(path=where, text=str(error))


def _followed(section: dict[str, Any], name: str, done: list[object]) -> Iterator[Mistake]:
    """What an action is followed by: the action must be one of the steps."""
    after = section.get("after")
    if isinstance(after, str) and after not in done:
        known = [verb for verb in done if isinstance(verb, str)]
        yield Mistake(
            path=("expect", name, "after"),
            text=f"no step does '{after}'; {suggestion(after, set(known))}",
        )
    yield from _unknown(("expect", name, "to"), [section.get("to")], STATES)


def _unknown(where: Path, words: list[Any], known: Iterable[str]) -> Iterator[Mistake]:
    names = list(known)
    for word in words:
        if isinstance(word, str) and word not in names:
            yield Mistake(path=where, text=f"unknown word '{word}'; {suggestion(word, names)}")


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
