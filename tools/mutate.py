"""Changes the decision a little, a thousand times over, and asks the tests: python -m tools.mutate

mutmut makes the changes (an operator, a number, a word, an argument) in the functions of
firmware_py/decide, in a copy, and runs the fast tests that reach each one. What no test sees
must stand in tools/equivalents.toml. A run also fails when the tests fail without any change,
when there are fewer mutants than there should be, or when a mutant was not really judged: a
broken harness must not look like success.

Exit codes: 0 no survivor, 1 the gate fails, 2 usage.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Sequence
from difflib import ndiff
from functools import partial
from itertools import takewhile
from pathlib import Path
from textwrap import indent
from typing import Any

import click

from tools.gate_scope import Settings, read_settings
from tools.survivors import Change
from tools.trials import Fate, Trial, find_function
from tools.verdict import Asked, choose, judged, options, report

MOST_OF_CHANGED = 240
LINE_CHARS = 140  # a longer line is told by what stands around its change


def mutants(settings: Settings, files: Sequence[str]) -> list[Trial]:
    """All that mutmut changes in these files; the working folder is the project's."""
    return [trial for file in files for trial in _mutants_of(settings, file)]


def _mutants_of(settings: Settings, file: str) -> Iterator[Trial]:
    from mutmut.mutation.file_mutation import mutate_file_contents

    source = (settings.root / file).read_text(encoding="utf-8")
    tree = ast.parse(source)
    mutated = mutate_file_contents(file, source)
    bodies = {
        node.name: node
        for node in ast.walk(ast.parse(mutated.code))
        if isinstance(node, ast.FunctionDef)
    }
    for name in mutated.mutant_names:
        function = name.partition("__mutmut_")[0]
        function = re.sub(r"^x_", "", function).replace("x\u01c1", "").replace("\u01c1", ".")
        yield _trial(file, source, function, find_function(tree, function), bodies[name])


def _trial(
    file: str, source: str, function: str, old: ast.FunctionDef, new: ast.FunctionDef
) -> Trial:
    """The change is told by the lines that differ, as `ast` writes them."""
    new.name, new.decorator_list = old.name, []
    before, after = ast.unparse(old).splitlines(), ast.unparse(new).splitlines()
    lines = [line for line in ndiff(before, after) if line[0] in "-+"]
    was, becomes = ([line[2:].strip() for line in lines if line[0] == sign] for sign in "-+")
    if len(was) == len(becomes) == 1:
        was[0], becomes[0] = _around_the_change(was[0], becomes[0])
    change = Change(file=file, where=function, was="\n".join(was), becomes="\n".join(becomes))
    rows = source.splitlines(keepends=True)
    indented = indent(ast.unparse(new), " " * old.col_offset) + "\n"
    changed = [*rows[: old.lineno - 1], indented, *rows[old.end_lineno :]]
    return Trial(change=change, source="".join(changed), function=function)


def _around_the_change(was: str, becomes: str) -> tuple[str, str]:
    """Of long lines what differs, and what stands around it."""
    if len(was) <= LINE_CHARS:
        return was, becomes
    alike = _alike_count(was, becomes)
    alike_after = _alike_count(was[alike:][::-1], becomes[alike:][::-1])
    start = max(0, alike - LINE_CHARS // 3)
    told = (line[start : len(line) - alike_after + LINE_CHARS // 3] for line in (was, becomes))
    first, second = (f"...{text}..." for text in told)
    return first, second


def _alike_count(one: str, other: str) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def judge(
    settings: Settings, made: Sequence[Trial], whole_files: Sequence[str], fates: Sequence[Fate]
) -> list[str]:
    """What the gate fails on, a line each; empty = it holds."""
    found = []
    if len(made) < settings.mutants_at_least:
        found.append(f"only {len(made)} mutants were made, not {settings.mutants_at_least}")
    return found + judged(settings, "mutate", made, whole_files, fates)


@click.command(help=__doc__)
@options
def main(root: Path, **typed: Any) -> None:
    os.chdir(root)  # mutmut's settings are those of the working folder
    settings, asked = read_settings(Path.cwd()), Asked(**typed)
    files = settings.files(settings.mutated)
    made = mutants(settings, files)
    chosen, whole_files = choose(settings, asked, made, files, MOST_OF_CHANGED)
    judges = partial(judge, settings, made, whole_files)
    sys.exit(report("mutate", settings, made, chosen, asked, judges))


if __name__ == "__main__":
    main()
