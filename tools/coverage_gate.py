"""Every line and branch of what decides and of what turns bytes into words: a gate on .coverage.

    python3 tools/dev.py test && .venv/bin/python -m tools.coverage_gate

The files stand in pyproject.toml (`fully_covered`); a file that no test imported counts as not
covered at all. Coverage says what was run, not what was checked: the mutation gates do that.

Exit codes: 0 all covered, 1 something is not, 2 no data.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
from coverage import Coverage
from coverage.exceptions import CoverageException, NoDataError

from tools.gate_scope import Settings, read_settings


def gaps(settings: Settings, data: Path) -> list[str]:
    """A line for each file that is not covered, with its missing lines and branches.

    FileNotFoundError: there is no data. CoverageException: it can't be read.
    """
    if not data.exists():
        raise FileNotFoundError(data)
    files = settings.files(settings.fully_covered)
    report = _measured(settings, data, files)
    found = [_gap(file, report.get(file)) for file in files if _gap(file, report.get(file))]
    measured_s = data.stat().st_mtime
    found += [
        f"{file}: changed since it was measured"
        for file in files
        if (settings.root / file).stat().st_mtime > measured_s
    ]
    missing = [glob for glob in settings.fully_covered if not settings.files((glob,))]
    return found + [f"{glob}: no such file" for glob in missing]


def _measured(settings: Settings, data: Path, files: Sequence[str]) -> dict[str, Any]:
    """Per file what `coverage json` says of it; nothing of a file that never ran."""
    config = str(settings.root / "pyproject.toml")
    coverage = Coverage(data_file=str(data), config_file=config)
    coverage.load()
    measured = coverage.get_data().measured_files()
    ran = [str(settings.root / file) for file in files if str(settings.root / file) in measured]
    if not ran:
        return {}
    with TemporaryDirectory() as folder:
        out = Path(folder) / "report.json"
        coverage.json_report(morfs=ran, outfile=str(out), ignore_errors=True)
        told = json.loads(out.read_text(encoding="utf-8"))["files"]
    return {_relative(settings.root, name): values for name, values in told.items()}


def _relative(root: Path, name: str) -> str:
    path = Path(name)
    absolute = path if path.is_absolute() else Path.cwd() / path
    return absolute.resolve().relative_to(root.resolve()).as_posix()


def _gap(file: str, values: dict[str, Any] | None) -> str:
    if values is None:
        return f"{file}: no test ran it"
    lines = ", ".join(map(str, values["missing_lines"]))
    ways = ", ".join(
        f"{start} -> {end if end > 0 else 'exit'}" for start, end in values["missing_branches"]
    )
    told = [f"lines {lines}"] * bool(lines) + [f"branches {ways}"] * bool(ways)
    return f"{file}: {'; '.join(told)}" if told else ""


@click.command(help=__doc__)
@click.option("--data", type=click.Path(dir_okay=False, path_type=Path), default=Path(".coverage"))
@click.option(
    "--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=Path()
)
def main(data: Path, root: Path) -> None:
    settings = read_settings(root.resolve())
    try:
        found = gaps(settings, data if data.is_absolute() else settings.root / data)
    except FileNotFoundError as error:
        raise click.UsageError(f"no {error}; `python3 tools/dev.py test` makes it") from None
    except (CoverageException, NoDataError) as error:
        raise click.UsageError(str(error)) from None
    for line in found:
        print(line)
    count = len(settings.files(settings.fully_covered))
    print(f"coverage: {count} files must be covered wholly, {len(found)} are not")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
