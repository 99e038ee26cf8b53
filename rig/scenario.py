"""A scenario: one shot, what happens in the room, and what must be seen. The same on all rungs.

Steps are told relative to events ("beam_on +20 ms"); what is expected is a path of
states, a fault, an end, and device-side times. See rig/scenarios/README.md for the words.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from firmware_py.config import Strict
from hal.types import Technique
from rig.bench import parsed, read_text
from rig.config_errors import Mistake, mistakes_of, suggestion, told
from rig.exit_codes import ConfigError
from rig.toml_lines import key_lines
from sim.script import UNIT_VERBS, VERBS, Step

STATES = ("BOOT", "SELF_TEST", "STANDBY", "PREP", "READY", "INTERLOCK_CHECK", "EXPOSE",
          "READOUT", "RELEASE_WAIT", "FAULT", "LOCKED")  # fmt: skip
EVENTS = ("start", "beam_on", "beam_off", *STATES)


class ShotSection(Strict):
    kv: float
    ma: float
    mas: float | None = None
    ms: float | None = None

    def technique(self) -> Technique:
        return Technique(kv=self.kv, ma=self.ma, mas=self.mas, ms=self.ms)


class StepSection(Strict):
    event: str
    do: str
    after_ms: Annotated[float, Field(ge=0, le=600_000)] = 0.0
    nth: Annotated[int, Field(ge=1, le=1000)] = 1
    args: dict[str, Any] = Field(default_factory=dict)

    def step(self) -> Step:
        return Step(
            event=self.event, do=self.do, after_ms=self.after_ms, nth=self.nth, args=self.args
        )


class UntilSection(Strict):
    """When the scenario is over: the nth time a state is entered, and a while later."""

    event: str = "STANDBY"
    nth: Annotated[int, Field(ge=1)] = 2
    after_ms: Annotated[float, Field(ge=0)] = 100.0


class OffSection(Strict):
    """HV below 10 % at the device, at most `ms` after an action; `bound` names the layer."""

    after: str
    ms: Annotated[float, Field(gt=0)]


class ReactSection(Strict):
    """The unit enters `to` so many executed scan periods after the action (model: exact ms)."""

    after: str
    to: str
    at_most_ms: Annotated[float, Field(gt=0)]


class ExpectSection(Strict):
    path: list[str] = Field(min_length=1)
    fault: str | None = None
    refused: list[str] = Field(default_factory=list)
    reason: str | None = None
    beams: Annotated[int, Field(ge=0)] = 1
    images: Annotated[int, Field(ge=0)] = 1
    dose_known: bool | None = None
    true_mas: float | None = None
    incomplete: Annotated[int, Field(ge=0)] = 0
    off: OffSection | None = None
    react: ReactSection | None = None


class Scenario(Strict):
    title: str
    covers: list[str] = Field(default_factory=list)
    about: str = ""
    name: str = ""  # the file's
    shot: ShotSection
    step: list[StepSection] = Field(min_length=1)
    until: UntilSection = UntilSection()
    deadline_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    expect: ExpectSection

    def steps(self) -> list[Step]:
        return [section.step() for section in self.step]


def load_scenario(path: Path) -> Scenario:
    """Raises ConfigError with all the mistakes of the file."""
    text = read_text(path)
    data = parsed(text, str(path))
    scenario: Scenario | None = None
    mistakes: list[Mistake] = []
    try:
        scenario = Scenario.model_validate(data | {"name": path.stem})
    except ValidationError as error:
        mistakes = mistakes_of(error.errors(include_url=False), Scenario)
    mistakes += _unknown_words(data)
    if scenario is None or mistakes:
        raise ConfigError(told(str(path), key_lines(text), mistakes))
    return scenario


def _unknown_words(data: dict[str, Any]) -> list[Mistake]:
    verbs = (*VERBS, *UNIT_VERBS)
    checks: list[tuple[tuple[str | int, ...], object, tuple[str, ...]]] = []
    for index, step in enumerate(_tables(data.get("step"))):
        checks.append((("step", index, "event"), step.get("event"), EVENTS))
        checks.append((("step", index, "do"), step.get("do"), verbs))
    expect = data.get("expect")
    path = expect.get("path") if isinstance(expect, dict) else None
    if isinstance(path, list):
        checks += [(("expect", "path"), state, STATES) for state in path]
    return [
        Mistake(path=where, text=f"unknown word '{word}'; {suggestion(word, known)}")
        for where, word, known in checks
        if isinstance(word, str) and word not in known
    ]


def _tables(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def find_scenarios(paths: list[Path]) -> list[Path]:
    """Files, and the files of folders, in order of name."""
    found: list[Path] = []
    for path in paths:
        found += sorted(path.glob("*.toml")) if path.is_dir() else [path]
    return found
