"""A scenario: one shot, what happens in the room, and what must be seen. The same on all rungs.

Steps are told relative to events ("beam_on +20 ms"); what is expected is a path of
states, a fault, an end, and device-side times. See rig/scenarios/README.md for the words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from firmware_py.config import Positive, Strict
from rig import bench_names
from rig.bench import parsed, read_text
from rig.config_errors import Mistake, mistakes_of, suggestion, told
from rig.exit_codes import ConfigError, UsageError
from rig.scenario_words import INJECT, unknown_words
from rig.toml_lines import key_lines
from sim.script import Step

# Why one can be missing: rig/scenario_on.py
Need = Literal["OFF by the unit", "AEC", "sensed geometry", "capacitors"]
SHIPPED = bench_names.ROOT / "rig" / "scenarios"


class AecSection(Strict):
    """As `dxrig expose --aec`; what is left out is the bench's own."""

    chambers: str
    density: int | None = None
    sensitivity: int | None = None
    expected_mas: float | None = None


class ShotSection(Strict):
    """`kind`: a `ShotKind`; `clear_by`: who confirmed that no receptor stands in the beam.

    kV and mA that are left out are those of the bench's [typical], `kv_times` and `ma_times`
    as much. What ends the beam: `ms`, `mas`, `aec`, or `beam_s`, the mAs of so many seconds.
    """

    kv: float | None = None
    kv_times: Positive = 1.0
    ma: float | None = None
    ma_times: Positive = 1.0
    mas: float | None = None
    ms: float | None = None
    aec: AecSection | None = None
    beam_s: Positive | None = None
    kind: Literal["imaging", "no receptor", "dark"] = "imaging"
    raw: bool = False
    clear_by: str | None = None
    sid_mm: Positive | None = None

    @model_validator(mode="after")
    def _not_twice(self) -> ShotSection:
        for own, times in (("kv", self.kv_times), ("ma", self.ma_times)):
            if getattr(self, own) is not None and times != 1.0:
                raise ValueError(f"give {own} or {own}_times: the one is its own, the other not")
        endings = (self.beam_s, self.mas, self.ms, self.aec)
        if sum(ending is not None for ending in endings) > 1:
            raise ValueError("one of beam_s, mas, ms and aec ends the beam; give only one")
        return self


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
    """HV below 10 % at the device, at most `ms` after an action, or as soon as the bench promises.

    `bound`: the name of that promise, in rig/matrix/bounds.py. `ms_on`: benches by name whose
    simulated devices do better than the promise, and must go on doing so.
    """

    after: str
    ms: Annotated[float, Field(gt=0)] | None = None
    bound: str | None = None
    ms_on: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_limit(self) -> OffSection:
        if (self.ms is None) == (self.bound is None):
            raise ValueError("give ms, or bound: one of them is the limit")
        if self.ms_on and self.bound is None:
            raise ValueError("ms_on sharpens a bound, and there is none")
        return self


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
    true_s: float | None = None  # ... as seconds of the shot's mA
    true_aec: Literal["expected", "back-up"] | None = None  # ... as its AEC setting has it
    incomplete: Annotated[int, Field(ge=0)] = 0
    off: OffSection | None = None
    react: ReactSection | None = None
    _not_judged: tuple[str, ...] = PrivateAttr(default=())

    @property
    def not_judged(self) -> tuple[str, ...]:
        """What is expected and can't be seen on this bench, as "which: why"."""
        return self._not_judged

    def without(self, name: str, why: str) -> ExpectSection:
        """The same, but that `name` is not judged."""
        made = self.model_copy(update={name: None})
        made._not_judged = (*self._not_judged, f"{name}: {why}")
        return made


class Scenario(Strict):
    title: str
    covers: list[str] = Field(default_factory=list)
    needs: list[Need] = Field(default_factory=list)  # of the bench; else it is not run there
    about: str = ""
    name: str = ""  # the file's
    shot: ShotSection
    step: list[StepSection] = Field(min_length=1)
    until: UntilSection = UntilSection()
    deadline_s: Annotated[float, Field(gt=0, le=600)] = 60.0
    expect: ExpectSection

    @model_validator(mode="after")
    def _judges_what_is_made(self) -> Scenario:
        if self.expect.true_aec is not None and self.shot.aec is None:
            raise ValueError("expect.true_aec needs shot.aec: chambers end no other beam")
        return self

    def steps(self) -> list[Step]:
        """An injection as the steps of its row. Raises UsageError where a scenario can't do it."""
        return [step for section in self.step for step in steps_of(section)]


def steps_of(section: StepSection) -> list[Step]:
    if section.do != INJECT:
        return [section.step()]
    from rig.injections import as_steps  # it reads its file, which most scenarios don't need

    return [step.step() for step in as_steps(section)]


def load_scenario(path: Path) -> Scenario:
    """Raises ConfigError with all the mistakes of the file."""
    text = read_text(path)
    file_name = bench_names.shown_path(path)
    data = parsed(text, file_name)
    scenario: Scenario | None = None
    mistakes: list[Mistake] = []
    try:
        scenario = Scenario.model_validate(data | {"name": path.stem})
    except ValidationError as error:
        mistakes = mistakes_of(error.errors(include_url=False), Scenario)
    mistakes += unknown_words(data)
    if scenario is None or mistakes:
        raise ConfigError(told(file_name, key_lines(text), mistakes))
    return scenario


def find_scenarios(words: Sequence[str]) -> list[Path]:
    """Files, the files of folders in order of name, and shipped scenarios by their bare names.

    Raises UsageError for what is none of these; two of one name could not be told apart.
    """
    found = list(dict.fromkeys(path for word in words for path in _meant(word)))
    for name, count in Counter(path.stem for path in found).items():
        if count > 1:
            raise UsageError(f"{count} scenarios are called '{name}'; run them one by one")
    return found


def _meant(word: str) -> list[Path]:
    path = Path(word)
    if path.is_dir():
        files = sorted(path.glob("*.toml"))
        if not files:
            raise UsageError(f"{word}: no scenario in this folder (a scenario is a .toml file)")
        return files
    if path.is_file():
        return [path]
    shipped = {file.stem: file for file in sorted(SHIPPED.glob("*.toml"))}
    if word in shipped:
        return [shipped[word]]
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise UsageError(f"{word}: no such file or folder")
    raise UsageError(f"no scenario '{word}'; {suggestion(word, shipped)}")
