"""The fault catalogue as data: `injections.toml`, one row for each of F01 to F110.

A row says how the fault is brought about, which bound holds, and which code must be told in
which state. Steps use the words of `sim.script` (then scenarios and `dxrig sim up --fault`
can use the row, too) and those of `rig.matrix.verbs`, which concern unit and recorder.
A word that nothing knows is an error with file, line and the nearest known one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from firmware_py.config import Strict
from hal.faults import FAULTS
from rig import bench_names
from rig.bench import Bench, parsed, read_text
from rig.config_errors import Mistake, mistakes_of, suggestion, told
from rig.exit_codes import ConfigError, UsageError
from rig.matrix.bounds import BOUNDS
from rig.matrix.verbs import BENCH_VERBS, check_bench_verb
from rig.scenario import ShotSection, StepSection
from rig.signatures import is_signature, signature, signatures
from rig.toml_lines import key_lines
from rig.unit_states import STATES
from sim.script import UNIT_VERBS, VERBS, ScriptError, check

Need = Literal[
    "rotor", "readings", "OFF by the unit", "own timer", "battery", "IXS", "sensed geometry"
]  # why a bench has none: rig/matrix/elsewhere.py
FILE = bench_names.ROOT / "rig" / "injections.toml"
IDS = tuple(f"F{number:02}" for number in range(1, 111))
TYPES = (
    "ok", "off", "stuck", "garbage", "wrong", "slow", "delayed", "intermittent", "duplicate",
    "reorder", "truncate", "lie", "script",
)  # fmt: skip
CLASSES = "PERTL"
NONE, ENDED, NOTHING, HELD, DEAD = "none", "ended", "nothing", "held", "dead"
OUTCOMES = (NONE, ENDED, NOTHING, HELD, DEAD)
MOMENTS = ("early", "middle", "late")  # of EXPOSE
PLACES = (*STATES, *(f"EXPOSE {moment}" for moment in MOMENTS))
# What a model keeps until it is told otherwise: it may be so from the start on.
LASTING = (
    "generator", "panel", "wiring", "room", "line", "weld", "battery", "stick", "mischief",
    "collimator", "dap",
)  # fmt: skip


class HowSection(Strict):
    """One step, `after_ms` after the moment of injection."""

    do: str
    after_ms: Annotated[float, Field(ge=0, le=60_000)] = 0.0
    args: dict[str, Any] = Field(default_factory=dict)


def _lasts_ms(step: HowSection) -> float:
    if step.do != "press often":
        return 0.0
    return 1000 * float(step.args["times"]) / float(step.args["per_s"])


class InjectionSection(Strict):
    """`expect`: code or outcome by state; the other tables give a reason by state.

    `except_in`: why the state excludes the cause; `beam_in`: why a beam still comes;
    `defect_in`: what is known to be wrong (it must be wrong, and is counted apart).
    `only_with`: a part that only some benches have: scenarios and `sim up --fault` take the row
    there, though the matrix has no such bench.
    `told_bound`: where the code comes later than the end of the beam, which `bound` limits.
    """

    id: str
    title: str
    component: str
    type: list[str] = Field(min_length=1)
    sr: list[str] = Field(default_factory=list)
    classes: str
    how: list[HowSection] = Field(default_factory=list)
    how_in: dict[str, list[HowSection]] = Field(default_factory=dict)
    how_on: dict[str, list[HowSection]] = Field(default_factory=dict)  # driver: as `how`
    cure: list[HowSection] | None = None
    shot: ShotSection | None = None
    bound: str | None = None
    told_bound: str | None = None
    stray: bool = False
    expect: dict[str, str] = Field(default_factory=dict)
    except_in: dict[str, str] = Field(default_factory=dict)
    beam_in: dict[str, str] = Field(default_factory=dict)
    beam_in_on: dict[str, dict[str, str]] = Field(default_factory=dict)  # driver: as `beam_in`
    defect_in: dict[str, str] = Field(default_factory=dict)
    expect_on: dict[str, dict[str, str]] = Field(default_factory=dict)  # driver: as `expect`
    needs: list[Need] = Field(default_factory=list)  # of the bench; it is not run on others
    not_applicable: str = ""
    only_with: Literal["aec"] | None = None
    note: str = ""

    @property
    def runs(self) -> bool:
        return not self.not_applicable

    def reason_not_in(self, state: str) -> str | None:
        """Why it isn't run in this state; None = it is."""
        return self.not_applicable or self.except_in.get(state)

    def steps(self, state: str) -> list[HowSection]:
        return self.how_in.get(state, self.how)

    def defect_of(self, state: str, moment: str = "") -> str | None:
        return self.defect_in.get(f"{state} {moment}", self.defect_in.get(state))

    def over_ms(self, state: str) -> float:
        """... to the end of its last step, where one goes on for a while."""
        return max(step.after_ms + _lasts_ms(step) for step in self.steps(state))

    def last_ms(self, state: str) -> float:
        """From the moment of injection to its last step."""
        return max(step.after_ms for step in self.steps(state))

    def expected(self, state: str, moment: str = "") -> str:
        """What must be told first: a code of `hal.faults`, or one of OUTCOMES."""
        found = self.expect.get(f"{state} {moment}", self.expect.get(state))
        return found if found is not None else self.expect["default"]


class File(Strict):
    injection: list[InjectionSection] = Field(min_length=1)


Injections = Mapping[str, InjectionSection]


@cache
def shipped_injections() -> Injections:
    return load_injections(FILE)


def load_injections(path: Path) -> Injections:
    """Rows by id. Raises ConfigError with all the mistakes of the file."""
    text = read_text(path)
    name = bench_names.shown_path(path)
    data = parsed(text, name)
    try:
        file = File.model_validate(data)
    except ValidationError as error:
        mistakes = mistakes_of(error.errors(include_url=False), File)
        raise ConfigError(told(name, key_lines(text), mistakes)) from None
    mistakes = list(_mistakes(file.injection))
    if mistakes:
        raise ConfigError(told(name, key_lines(text), mistakes))
    return {row.id: row for row in file.injection}


def known_injection(injection_id: str) -> InjectionSection:
    """Raises UsageError with the nearest id."""
    rows = shipped_injections()
    if injection_id not in rows:
        raise UsageError(f"no injection '{injection_id}'; {_nearest_id(injection_id)}")
    return rows[injection_id]


def _nearest_id(word: str) -> str:
    from rig.config_errors import nearest

    near = nearest(word, (*IDS, *signatures()))
    all_there_are = "there are F01 to F110, and the names of dxrig sim show faults"
    return f"did you mean '{near}'?" if near else all_there_are


# --- what is wrong with a file


def _mistakes(rows: list[InjectionSection]) -> Iterator[Mistake]:
    seen: set[str] = set()
    for index, row in enumerate(rows):
        where = ("injection", index)
        if row.id not in IDS:
            yield Mistake(path=(*where, "id"), text=f"no id '{row.id}'; {_nearest_id(row.id)}")
        if row.id in seen:
            yield Mistake(path=(*where, "id"), text=f"{row.id} stands here twice")
        seen.add(row.id)
        for path, text in _wrong(row):
            yield Mistake(path=(*where, *path), text=f"{row.id}: {text}")


Wrong = tuple[tuple[str | int, ...], str]


def _wrong(row: InjectionSection) -> Iterator[Wrong]:
    yield from _words("type", row.type, TYPES)
    yield from _words("classes", list(row.classes), tuple(CLASSES))
    yield from _words("except_in", list(row.except_in), STATES)
    yield from _words("how_in", list(row.how_in), STATES)
    yield from _words("beam_in", list(row.beam_in), STATES)
    yield from _words("defect_in", list(row.defect_in), PLACES)
    yield from _expectations(("expect",), row.expect)
    for name in ("expect_on", "how_on", "beam_in_on"):
        yield from _words(name, [*getattr(row, name)], tuple(bench_names.drivers("generator")))
    for states in row.beam_in_on.values():
        yield from _words("beam_in_on", list(states), STATES)
    for driver, expected in row.expect_on.items():
        yield from _expectations(("expect_on", driver), expected)
    for name, bound in (("bound", row.bound), ("told_bound", row.told_bound)):
        if bound is not None:
            yield from _words(name, [bound], tuple(BOUNDS))
    if row.runs:
        yield from _cannot_run(row)
    elif row.only_with is not None:
        yield from _unknown_steps({("how",): row.how})
    elif row.how or row.expect or row.except_in:
        yield ("not_applicable",), "a row that can't run has neither steps nor expectations"


def _expectations(where: tuple[str, ...], expected: Mapping[str, str]) -> Iterator[Wrong]:
    for path, text in _words(where[0], list(expected), ("default", *PLACES)):
        yield (*where[:-1], *path), text
    for name, code in expected.items():
        for _, text in _words(name, [code], (*OUTCOMES, *FAULTS)):
            yield (*where, name), text


def _cannot_run(row: InjectionSection) -> Iterator[Wrong]:
    if not row.how:
        yield ("how",), "says neither how it is done nor why it can't be (not_applicable)"
    if "default" not in row.expect:
        yield ("expect",), "needs a default: what is told in most states"
    if "E" in row.classes and row.bound is None and row.expected("EXPOSE") != NONE:
        yield ("bound",), f"class E needs a bound; known: {', '.join(BOUNDS)}"
    parts: dict[tuple[str, ...], list[HowSection]] = {
        ("how",): row.how,
        ("cure",): row.cure or [],
        **{("how_in", state): steps for state, steps in row.how_in.items()},
        **{("how_on", driver): steps for driver, steps in row.how_on.items()},
    }
    yield from _unknown_steps(parts)


def _unknown_steps(parts: Mapping[tuple[str, ...], list[HowSection]]) -> Iterator[Wrong]:
    for path, steps in parts.items():
        for index, step in enumerate(steps):
            try:
                check_step(step)
            except ScriptError as error:
                yield (*path, index), str(error)


def check_step(step: HowSection) -> None:
    """Raises ScriptError when nothing does this."""
    if step.do in BENCH_VERBS:
        check_bench_verb(step.do, step.args)
        return
    verbs = (*VERBS, *UNIT_VERBS)
    if step.do not in verbs:
        known = (*verbs, *BENCH_VERBS)
        raise ScriptError(f"no action '{step.do}'; {suggestion(step.do, known)}")
    check(step.do, step.args)


def _words(name: str, words: list[str], known: tuple[str, ...]) -> Iterator[Wrong]:
    for word in words:
        if word not in known:
            yield (name,), f"unknown word '{word}'; {suggestion(word, known)}"


# --- where else a row may be used


Use = Literal["scenario", "start"]


def steps_of(injection_id: str, use: Use, bench: Bench | None = None) -> list[HowSection]:
    """Those of a row, or of a fault of `rig.signatures` by its name.

    Raises UsageError with the reason where that can't be. No `bench`: it will be seen there.
    """
    if is_signature(injection_id):
        return _named(injection_id)
    injection_id = as_written(injection_id)
    row = known_injection(injection_id)
    reason = _why_not(row, use)
    if row.only_with == "aec" and bench is not None and bench.unit.aec is None:
        reason = f"bench {bench.name} has no chambers (no [aec] in its file)"
    if reason:
        raise UsageError(f"{injection_id} ({row.title}): {reason}")
    return row.how


def as_written(word: str) -> str:
    """An id of the catalogue in either case."""
    return word.upper() if word[:1] in "Ff" and word[1:].isdecimal() else word


def _named(name: str) -> list[HowSection]:
    steps = signature(name).steps
    if not steps or name.lower().startswith("none"):
        raise UsageError(f"{name!r} is no fault")
    return [HowSection(do=verb, args=args) for verb, args in steps]


def _why_not(row: InjectionSection, use: Use) -> str:
    if not row.runs and row.only_with is None:
        return f"the simulator has no such fault: {row.not_applicable}"
    ours = [step.do for step in row.how if step.do in BENCH_VERBS]
    if ours:
        return f"'{ours[0]}' concerns unit or recorder; run it with: dxrig matrix --only {row.id}"
    if use == "scenario":
        return ""
    passing = [step.do for step in row.how if step.do not in LASTING or step.after_ms]
    if passing:
        return (
            f"'{passing[0]}' happens at a moment and is no lasting fault; "
            f'do it while the bench runs: dxrig sim do "{passing[0]}"'
        )
    return ""


def as_steps(section: StepSection) -> list[StepSection]:
    """A scenario's `do = "inject"` step as the steps of its row. Raises UsageError."""
    return [
        StepSection(
            event=section.event,
            nth=section.nth,
            after_ms=section.after_ms + step.after_ms,
            do=step.do,
            args=step.args,
        )
        for step in steps_of(str(section.args.get("id")), "scenario")
    ]
