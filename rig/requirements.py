"""The requirements as data: read from `firmware_py/requirements.md`, judged beside test results.

A heading is a requirement, `- key: value` lines follow it, then its text. The first 12 digits
of the sha256 of what is required stand beside it as `reviewed`: a changed text shows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rig.exit_codes import ConfigError

FILE = Path(__file__).resolve().parent.parent / "firmware_py" / "requirements.md"
KINDS = ("search", "model", "wire", "bench", "review")
TESTED = KINDS[:4]  # a review is a person's, and leaves a line instead
IN_VIRTUAL_TIME = ("search", "peer")  # kinds of test that count as `model`, too
STATES = ("met", "part", "open")
HASH_DIGITS = 12

_HEADING = re.compile(r"## ((?:SR|H)-\d+) (\S.*)")
_LINE = re.compile(r"- ([a-z]+):\s*(.*)")
_FAULT = re.compile(r"F(\d{2,3})")
_FAULTS_COUNT = 110
_NEEDED = ("hazard", "goal", "bench", "verify", "source", "state", "reviewed")
_KEYS = (*_NEEDED, "later", "unverified", "missing", "review")
_NOT_REQUIRED = ("state", "missing", "review", "reviewed")  # how far it is, not what it asks


@dataclass(frozen=True, slots=True)
class Hazard:
    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Requirement:
    id: str
    title: str
    text: str
    line: int
    values: Mapping[str, str] = field(repr=False)

    @property
    def hazards(self) -> tuple[str, ...]:
        return _words(self.values["hazard"])

    @property
    def verify(self) -> tuple[str, ...]:
        """Where a test must hold it today; what is still to come stands under `later`."""
        return _words(self.values["verify"])

    @property
    def state(self) -> str:
        return self.values["state"]

    @property
    def missing(self) -> str:
        return self.values.get("missing", "")

    @property
    def digest(self) -> str:
        asked = {key: text for key, text in self.values.items() if key not in _NOT_REQUIRED}
        parts = [self.title, *(f"{key}: {asked[key]}" for key in sorted(asked)), self.text]
        text = "\n".join(" ".join(part.split()) for part in parts)
        return hashlib.sha256(text.encode()).hexdigest()[:HASH_DIGITS]

    @property
    def changed(self) -> bool:
        """Its text is another than when its tests were last looked at."""
        return not self.values["reviewed"].startswith(self.digest)


@dataclass(frozen=True, slots=True)
class Requirements:
    hazards: tuple[Hazard, ...]
    items: tuple[Requirement, ...]

    def knows(self, name: str) -> bool:
        fault = _FAULT.fullmatch(name)
        if fault:
            number = int(fault[1])
            return 1 <= number <= _FAULTS_COUNT and name == f"F{number:02}"
        return any(name == item.id for item in self.items)


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test, all its parameters together."""

    __test__ = False  # pytest collects what is called Test...

    test: str
    ids: tuple[str, ...]
    kind: str
    result: str  # "passed", "failed", "skipped", "not run"


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", text) if word and word != "none")


# --- reading


def load_requirements(file: Path = FILE) -> Requirements:
    """Raises ConfigError with every mistake of the file."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{file}:1: can't be read ({error})"]) from None
    return parse(text, file.name)


def parse(text: str, name: str) -> Requirements:
    hazards: list[Hazard] = []
    items: list[Requirement] = []
    for line, code, title, body in _sections(text):
        if code.startswith("H-"):
            hazards.append(Hazard(code, title, " ".join(" ".join(body).split())))
        else:
            values, rest = _split(body)
            items.append(Requirement(code, title, " ".join(rest.split()), line, values))
    mistakes = [f"{name}:{line}: {what}" for line, what in _mistakes(hazards, items)]
    if mistakes:
        raise ConfigError(mistakes)
    return Requirements(tuple(hazards), tuple(items))


def _sections(text: str) -> Iterable[tuple[int, str, str, list[str]]]:
    """Line, id, title and lines of each heading that names a hazard or a requirement."""
    found: tuple[int, str, str, list[str]] | None = None
    for number, line in enumerate(text.splitlines(), start=1):
        heading = _HEADING.fullmatch(line.rstrip())
        if (heading or line.startswith("#")) and found:
            yield found
            found = None
        if heading:
            found = (number, heading[1], heading[2], [])
        elif found:
            found[3].append(line)
    if found:
        yield found


def _split(body: list[str]) -> tuple[dict[str, str], str]:
    """The `key: value` lines directly under the heading, and the text after them."""
    values: dict[str, str] = {}
    for index, line in enumerate(body):
        found = _LINE.fullmatch(line.rstrip())
        if not found:
            if line.strip() or values:
                return values, "\n".join(body[index:])
            continue
        values[found[1]] = found[2].strip()
    return values, ""


def _mistakes(hazards: list[Hazard], items: list[Requirement]) -> Iterable[tuple[int, str]]:
    names = [hazard.id for hazard in hazards]
    seen: set[str] = set()
    for name in names:
        if names.count(name) > 1 and name not in seen:
            yield 1, f"{name}: stands here twice"
        seen.add(name)
    for item in items:
        if item.id in seen:
            yield item.line, f"{item.id}: stands here twice; an id is never used again"
        seen.add(item.id)
        yield from ((item.line, f"{item.id}: {what}") for what in _wrong(item, names))


def _wrong(item: Requirement, hazards: list[str]) -> Iterable[str]:
    values = item.values
    yield from (f"no line `{key}:`" for key in _NEEDED if not values.get(key))
    yield from (f"a key nobody knows: {key!r}" for key in values if key not in _KEYS)
    if not item.text:
        yield "no text"
    if any(not values.get(key) for key in _NEEDED):
        return
    yield from (f"no hazard {name}" for name in item.hazards if name not in hazards)
    kinds = (*item.verify, *_words(values.get("later", "")))
    yield from (f"{kind!r} is none of {', '.join(KINDS)}" for kind in kinds if kind not in KINDS)
    if item.state not in STATES:
        yield f"state {item.state!r} is none of {', '.join(STATES)}"
    elif not item.verify and item.state != "open":
        yield "what is verified nowhere is open"
    elif (item.state == "met") == bool(item.missing):
        yield "`missing:` says what an open or partial one lacks, and a met one lacks nothing"
    if "review" in item.verify and not values.get("review"):
        yield "no line `review:` with who, when and what"


# --- judging


def unknown_ids(requirements: Requirements, tests: Iterable[TestResult]) -> list[str]:
    return [
        f"{test.test}: no requirement {name}"
        for test in tests
        for name in test.ids
        if not requirements.knows(name)
    ]


def gaps(requirements: Requirements, tests: Sequence[TestResult]) -> list[str]:
    """What keeps a requirement from being held as it says it is; an open one says so itself."""
    return [text for item in requirements.items for text in gaps_of(item, tests)]


def gaps_of(item: Requirement, tests: Sequence[TestResult], *, whole: bool = True) -> list[str]:
    """`whole`: all tests ran, so that one which is not there is missed."""
    own = [test for test in tests if item.id in test.ids]
    found = [f"{item.id}: {test.test} failed" for test in own if test.result == "failed"]
    if item.changed:
        found.append(f"{item.id}: its text changed since its tests were reviewed")
    if item.state == "open" or not whole:
        return found
    passed = {test.kind for test in own if test.result == "passed"}
    if not passed.isdisjoint(IN_VIRTUAL_TIME):
        passed.add("model")
    wanted = (kind for kind in item.verify if kind in TESTED and kind not in passed)
    return found + [f"{item.id}: no passing test of kind {kind}" for kind in wanted]


# --- reviewing


def reviewed(text: str, code: str, who: str, on: str) -> str:
    """`text` with the hash of one requirement renewed, and who looked at its tests when."""
    by_id = {item.id: item for item in parse(text, FILE.name).items}
    if code not in by_id:
        raise ConfigError([f"{FILE.name}:1: no requirement {code}"])
    item = by_id[code]
    lines = text.splitlines(keepends=True)
    for index in range(item.line, len(lines)):
        if lines[index].startswith("- reviewed:"):
            lines[index] = f"- reviewed: {item.digest} by {who}, {on}\n"
            break
    return "".join(lines)
