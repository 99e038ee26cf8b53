"""Perturbs every limit, default and guard, drops and swaps every row: python -m tools.perturb

mutmut sees only what stands in functions. This takes the rest of firmware_py/decide, and the
reactions and defaults that it lives by (tools/perturbations.py says what), one change at a time,
and runs the fast tests until one fails. That test is named: without it nobody would have
noticed. A change that no test sees must stand in tools/equivalents.toml.

Each change is tried in a forked process that imports the project anew with one file changed;
what the project imports from elsewhere is loaded once, before the fork.

Exit codes: 0 no survivor, 1 the gate fails, 2 usage.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from tools.gate_scope import Settings, environment, read_settings
from tools.perturbations import Members, Text, enum_members, perturbations, table_rows
from tools.trials import Fate, Trial
from tools.verdict import Asked, choose, judged, options, report

MOST_OF_CHANGED = 160
# Of these files a part; the rest of each has its own tests.
PARTS = {
    "hal/faults.py": ("_ROWS",),
    "hal/types.py": (
        "Shot", "TubeData", "GeneratorSample", "PanelSample", "RoomSample", "RecorderSample",
        "Requests", "Inputs", "Outputs",
    ),
}  # fmt: skip


# --- what to change ----------------------------------------------------------------------------


def all_perturbations(settings: Settings, files: Sequence[str]) -> list[Trial]:
    texts = {file: _text(settings, file) for file in settings.files(settings.perturbed)}
    members: Members = {}
    for text in texts.values():
        members |= enum_members(text.tree)
    found: list[Trial] = []
    for file in files:
        made = perturbations(texts[file], members, guards=file not in PARTS)
        found += [one for one in made if _is_part(file, one.change.where)]
        if settings.table.startswith(f"{file}:"):
            name = settings.table.partition(":")[2]
            found += table_rows(texts[file], name, rows_of(settings, file, name))
    return [one for one in found if _compiles(one)]


def _is_part(file: str, where: str) -> bool:
    return file not in PARTS or where.partition(".")[0] in PARTS[file]


def _text(settings: Settings, file: str) -> Text:
    return Text(file, (settings.root / file).read_text(encoding="utf-8"))


def _compiles(one: Trial) -> bool:
    try:
        ast.parse(one.source)
    except SyntaxError:
        return False
    return True


def rows_of(settings: Settings, file: str, name: str) -> list[tuple[str, str]]:
    """What each row of the table says, and its source: read from the table as it is made."""
    module = file.removesuffix(".py").replace("/", ".")
    say = "f'{r.source.name} -> {r.dest.name}: {r.when.__name__}', r.source.name"
    code = f"import json, {module} as m; print(json.dumps([({say}) for r in m.{name}]))"
    ran = subprocess.run(
        (sys.executable, "-c", code),
        cwd=settings.root,
        env=environment() | {"PYTHONPATH": str(settings.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"{file}: the table {name} can't be read:\n{ran.stderr}")
    return [(told, source) for told, source in json.loads(ran.stdout)]


def judge(
    settings: Settings, made: Sequence[Trial], whole_files: Sequence[str], fates: Sequence[Fate]
) -> list[str]:
    """What the gate fails on, a line each; empty = it holds."""
    found = []
    if len(made) < settings.perturbations_at_least:
        found.append(f"only {len(made)} changes were found, not {settings.perturbations_at_least}")
    return found + judged(settings, "perturb", made, whole_files, fates)


@click.command(help=__doc__)
@click.option("--list", "only_list", is_flag=True, help="Only say what would be changed.")
@options
def main(root: Path, only_list: bool, **typed: Any) -> None:
    settings, asked = read_settings(root.resolve()), Asked(**typed)
    files = settings.files(settings.perturbed)
    made = all_perturbations(settings, files)
    chosen, whole_files = choose(settings, asked, made, files, MOST_OF_CHANGED)
    if only_list:
        print(*(one.change for one in chosen), sep="\n")
        return
    judges = partial(judge, settings, made, whole_files)
    sys.exit(report("perturb", settings, made, chosen, asked, judges))


if __name__ == "__main__":
    main()
