"""Where two runs part: the first differing line of their traces, and the facts that differ."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from rig.exit_codes import CheckFailed, UsageError
from rig.run_folder import as_line, read_trace

CONTEXT = 5  # lines before and after
FACTS = ("rung", "bench", "bench_sha256", "seed", "scenario", "technique", "end_reason", "fault",
         "measured", "versions")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    name: str
    a: Any
    b: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """The lines around the first differing one, which has index `at` in `lines`."""

    first_line: int  # from 1
    at: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    line: int | None  # the first differing line of the trace, from 1; None: the traces are equal
    a: Excerpt | None
    b: Excerpt | None
    facts: tuple[Fact, ...]

    @property
    def equal(self) -> bool:
        return self.line is None and not self.facts


def compare(a: Path, b: Path, *, times: bool = True) -> Difference:
    """`times=False`: what happened counts, not when. Raises UsageError, CheckFailed."""
    facts = tuple(_facts(_manifest(a), _manifest(b)))
    was, is_ = _lines(a, times=times), _lines(b, times=times)
    for index, (one, other) in enumerate(zip_longest(was, is_)):
        if one != other:
            around = _excerpt(was, index), _excerpt(is_, index)
            return Difference(line=index + 1, a=around[0], b=around[1], facts=facts)
    return Difference(line=None, a=None, b=None, facts=facts)


def _excerpt(lines: Sequence[str], index: int) -> Excerpt:
    first = max(0, index - CONTEXT)
    return Excerpt(
        first_line=first + 1,
        at=index - first,
        lines=tuple(lines[first : index + CONTEXT + 1]),
    )


def _manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder; name the folder of a run")
    try:
        found = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}  # a run that was killed: its trace is there all the same
    except (OSError, ValueError) as error:
        raise CheckFailed(f"{folder / 'run.json'}: can't be read ({error})") from error
    return found if isinstance(found, dict) else {}


def _lines(folder: Path, *, times: bool) -> list[str]:
    try:
        lines = [as_line(data).as_text() for data in read_trace(folder)]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckFailed(f"{folder}: its trace can't be read ({error})") from error
    if not lines:
        raise UsageError(f"{folder}: no trace; is this the folder of a run?")
    return lines if times else [line.partition(" ms ")[2].strip() for line in lines]


def _facts(a: dict[str, Any], b: dict[str, Any]) -> Iterator[Fact]:
    flat_a, flat_b = _flat(a), _flat(b)
    for name in dict.fromkeys([*flat_a, *flat_b]):
        if flat_a.get(name) != flat_b.get(name):
            yield Fact(name=name, a=flat_a.get(name), b=flat_b.get(name))


def _flat(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in FACTS:
        value = manifest.get(name)
        if isinstance(value, dict):
            found |= {f"{name}.{key}": item for key, item in value.items()}
        else:
            found[name] = value
    return found
