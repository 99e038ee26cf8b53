"""Begin a generator driver: a small whole one, which passes the contract, under its new name.

    python tools/new_generator.py acme_dx             writes four files
    python tools/new_generator.py acme_dx --dry-run   says which, and writes nothing

What it writes is a driver for an invented device (tools/example_generator.py), marked as such:
hal/generators/README.md says in ten steps how it becomes one for yours. It overwrites nothing.
Exit codes: 0 done, 2 a name or a tree that can't be.
"""

from __future__ import annotations

import argparse
import difflib
import keyword
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = "example_generator"
LONGEST = 24  # characters: the lines of the files stay within their width
IS_NAME = re.compile(rf"[a-z][a-z0-9_]{{0,{LONGEST - 2}}}[a-z0-9]")
PARTS = ("_desk", "_wire", "_heard", "_ratings")  # files that belong to a driver
# What is copied, and where to; {} is the name.
FILES = {
    f"tools/{TEMPLATE}.py": "hal/generators/{}.py",
    f"tools/{TEMPLATE}_desk.py": "hal/generators/{}_desk.py",
    f"tests/vectors/{TEMPLATE}.toml": "tests/vectors/{}.toml",
    f"tests/test_{TEMPLATE}.py": "tests/test_{}.py",
}


class NameRefusedError(Exception):
    """One sentence: what is wrong with the name, and what would do."""


def check_name(name: str, existing: Sequence[str]) -> None:
    """`existing`: modules in hal/generators. Raises NameRefusedError."""
    if not IS_NAME.fullmatch(name):
        rule = f"2-{LONGEST} of a-z, 0-9 and _, a letter first, no _ last"
        raise NameRefusedError(f"{name!r} must be a module's name ({rule}){_near(name)}")
    if keyword.iskeyword(name):
        raise NameRefusedError(f"{name!r} is a word of Python; add the maker or the model")
    if name in existing:
        raise NameRefusedError(f"{name!r} exists: hal/generators/{name}.py; choose another name")
    if name.endswith(PARTS):
        raise NameRefusedError(f"{name!r} would be a part of another driver: its end has a meaning")
    # A bench finds a driver by name, and takes NAME_something for a part of NAME.
    for other in existing:
        if other.startswith("_") or other.endswith(PARTS):
            continue
        if name.startswith(f"{other}_"):
            raise NameRefusedError(f"{name!r} would be taken for a part of {other!r}")
        if other.startswith(f"{name}_"):
            raise NameRefusedError(f"{name!r} would hide {other!r}, as a part of itself")


def _near(name: str) -> str:
    """The name that was meant, where it would be accepted."""
    near = re.sub(r"[^a-z0-9]+", "_", name.lower()).lstrip("_0123456789")[:LONGEST].rstrip("_")
    is_free = IS_NAME.fullmatch(near) and not keyword.iskeyword(near) and near not in modules()
    return f"; did you mean {near!r}?" if is_free else ""


def modules() -> list[str]:
    return sorted(path.stem for path in (ROOT / "hal/generators").glob("*.py"))


def targets(name: str) -> dict[Path, Path]:
    """From template to file. Raises NameRefusedError where a file is in the way."""
    found = {ROOT / source: ROOT / target.format(name) for source, target in FILES.items()}
    there = [path.relative_to(ROOT).as_posix() for path in found.values() if path.exists()]
    if there:
        raise NameRefusedError(f"{name!r}: {', '.join(there)} exists, and nothing is overwritten")
    return found


def renamed(text: str, name: str) -> str:
    """The template's text for this driver; it is named in imports and file names only."""
    return text.replace(f"tools.{TEMPLATE}", f"hal.generators.{name}").replace(TEMPLATE, name)


def begin(name: str, *, dry_run: bool) -> list[Path]:
    """The files, all or none. Raises NameRefusedError."""
    check_name(name, modules())
    files = targets(name)
    if dry_run:
        return list(files.values())
    for source, path in files.items():
        with path.open("x", encoding="utf-8") as file:
            file.write(renamed(source.read_text(encoding="utf-8"), name))
    try:
        tidy([path for path in files.values() if path.suffix == ".py"])
    except BaseException:
        for path in files.values():
            path.unlink()
        raise
    return list(files.values())


def tidy(paths: Sequence[Path]) -> None:
    """Imports in order, lines broken as the house does: both depend on the name."""
    for command in (["check", "--select", "I", "--fix", "--quiet"], ["format", "--quiet"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *map(str, paths)],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        if done.returncode:
            raise NameRefusedError(f"ruff: {done.stderr.strip()}; run python3 tools/dev.py setup")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0],
        epilog="hal/generators/README.md goes on from here.",
    )
    parser.add_argument("name", help="of the module and in bench files, such as acme_dx")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written")
    asked = parser.parse_args(arguments)
    near = difflib.get_close_matches(asked.name, modules(), n=1, cutoff=0.85)
    try:
        made = begin(asked.name, dry_run=asked.dry_run)
    except NameRefusedError as error:
        print(f"new_generator.py: {error}", file=sys.stderr)
        return 2
    for path in made:
        print("would write" if asked.dry_run else "wrote", path.relative_to(ROOT).as_posix())
    if near:
        print(f"there is a {near[0]!r} already: is yours another device?")
    if not asked.dry_run:
        print(f"next: pytest tests/test_{asked.name}.py, then hal/generators/README.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
