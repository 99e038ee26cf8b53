"""`dxrig sim do`: what an action is called, what it needs, and what is so after it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rig.exit_codes import UsageError

if TYPE_CHECKING:
    from sim.injection import Injection

RESET = 'the chain stays open until reset: `dxrig sim do "press reset"`'
DONE = {  # action without arguments -> what is so now
    "press": "both stages are pressed",
    "release": "both stages are released",
    "open door": "door is open, and with it the safety chain",
    "close door": f"door is closed; {RESET}",
    "press e-stop": "emergency stop is pressed, and the safety chain open",
    "pull e-stop": f"emergency stop is pulled; {RESET}",
    "press reset": 'reset is pressed, and stays so until `dxrig sim do "release reset"`',
    "release reset": "reset is released",
    "key off": "key switch is off",
    "key on": "key switch is on",
    "lose OFF once": "the next OFF to the generator will be lost on its line",
    "arc": "the tube has arced",
    "false command": "the generator heard ENBL1, which the unit has not sent",
    "charge battery": "the battery is full",
}

EXAMPLES = {"relay": "enable", "device": "room", "name": "chest", "id": "F40", "what": "all"}


def arguments_of(texts: Sequence[str]) -> dict[str, Any]:
    """Of `name=value`: true, false and numbers as in JSON, all else as text."""
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {text}: write name=value, such as --set {_example(name)}")
        own = _injection(name)
        found[name] = value if own is not None and value in own.words else _value(value)
    return found


def _injection(name: str) -> Injection | None:
    from sim.mishaps import TABLES

    return next((table[name] for table in TABLES if name in table), None)


def _example(name: str) -> str:
    """Of its own word."""
    own = _injection(name)
    if own is not None:
        return f"{name}={own.example()}"
    return f"{name}={EXAMPLES.get(name, 'VALUE')}" if name else "relay=enable"


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def check_action(verb: str, args: dict[str, Any]) -> None:
    """Raises UsageError with the form to use."""
    from rig.scenario_words import INJECT
    from sim.script import UNIT_VERBS, VERBS, ScriptError, arguments, check

    if verb == INJECT:
        return _check_fault(args)
    if verb in UNIT_VERBS:
        raise UsageError(f"{verb!r} concerns the unit, not the room; only scenarios do it")
    if verb not in VERBS:
        raise UsageError(f"no action {verb!r}; there are {', '.join((*VERBS, INJECT))}")
    known, needed = arguments(verb)
    if verb not in DONE and not args:
        form = " ".join(f"--set {name}=VALUE" for name in needed) or "--set NAME=VALUE"
        names = "" if needed == known else f"; names: {', '.join(known)}"
        raise UsageError(f"{verb} needs values: dxrig sim do {json.dumps(verb)} {form}{names}")
    try:
        check(verb, args)
    except ScriptError as error:
        raise UsageError(str(error)) from error


def _check_fault(args: dict[str, Any]) -> None:
    from rig.injections import steps_of
    from sim.script import UNIT_VERBS

    if set(args) != {"id"}:
        raise UsageError('inject takes exactly one value: --set id=F40, or --set id="filter lost"')
    for step in steps_of(str(args["id"]), "scenario"):
        if step.do in UNIT_VERBS:
            raise UsageError(f"{step.do!r} concerns the unit, not the room; only scenarios do it")


def done(verb: str, args: dict[str, Any]) -> str:
    if not args:
        return DONE[verb]
    return f"{verb}: {', '.join(f'{name} = {json.dumps(value)}' for name, value in args.items())}"
