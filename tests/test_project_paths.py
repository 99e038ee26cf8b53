"""What the READMEs and the changelog name exists: paths, globs, commands of dxrig and dev.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rig.cli import main
from tests.project import PACKAGES, ROOT
from tools import dev

PAGES = sorted(
    page
    for folder in (".", *PACKAGES, "tools", "tests")
    for page in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
)
TOP = frozenset((*PACKAGES, "tools", "tests", ".ci", ".github"))
SUFFIXES = frozenset((".py", ".toml", ".md", ".lock", ".yml", ".rules", ".html", ".svg"))
MADE_BY_RUNNING = ("runs/", "wheels", ".venv", "out.xml", "bench.toml", "curve.svg")
BY_THE_READER = ("mine.toml", "tests/test_acme_dx.py")
PLACEHOLDER = re.compile(r"[A-Z]{3,}|[$~<{]|\.\.\.|…")  # NAME.py, $XDG_STATE_HOME, <bench>

FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
TYPED = re.compile(r"\bdxrig ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)")
DEV = re.compile(r"tools/dev\.py(?: --wheels \S+)? ([a-z]+)")


def code_of(text: str) -> Iterator[str]:
    """What stands in backticks or on a line of a fenced block."""
    for block in FENCE.findall(text):
        yield from block.splitlines()[1:-1]
    yield from INLINE.findall(FENCE.sub("", text))


def claimed_paths(text: str) -> list[str]:
    """The words that say "here is a file": known suffix, known top folder, or a closing slash."""
    words = [word for code in code_of(text) for word in re.split(r"[\s,;:()'\"=]+", code)]
    links = LINK.findall(FENCE.sub("", text))
    return sorted({word for word in (*words, *links) if is_path(word)})


def is_path(word: str) -> bool:
    if PLACEHOLDER.search(word) or word.startswith(("/", "-", *MADE_BY_RUNNING, *BY_THE_READER)):
        return False
    if word.partition("/")[0] in TOP and "/" in word:
        return True
    return word.endswith("/") or (Path(word).suffix in SUFFIXES and word[0] != ".")


def exists(path: str, page: Path) -> bool:
    """From the root, beside the page, or (a bare name) anywhere below the page."""
    where = path.rstrip("/")
    bases = (ROOT, page.parent)
    if any(next(base.glob(where), None) for base in bases):
        return True
    return "/" not in where and next(page.parent.rglob(where), None) is not None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    named = claimed_paths(page.read_text(encoding="utf-8"))
    assert [path for path in named if not exists(path, page)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_names_is_there(page: Path) -> None:
    code = "\n".join(code_of(page.read_text(encoding="utf-8")))
    unknown = [typed for typed in TYPED.findall(code) if not is_command(typed.split())]
    unknown += [name for name in DEV.findall(code) if name not in dev.COMMANDS]
    assert unknown == []


def is_command(words: list[str]) -> bool:
    """`words`: a command, and perhaps its subcommand or argument."""
    context = click.Context(main)
    command = main.get_command(context, words[0])
    if isinstance(command, click.Group) and len(words) == 2:
        return command.get_command(context, words[1]) is not None
    return command is not None


@pytest.mark.parametrize("folder", [*PACKAGES, "tools", "tests"])
def test_every_folder_says_what_lives_in_it(folder: str) -> None:
    assert (ROOT / folder / "README.md").is_file()


def test_the_top_level_holds_what_the_design_lists_and_nothing_else() -> None:
    allowed = {*PACKAGES, "tests", "tools", "pyproject.toml", "README.md"}
    allowed |= {"CHANGELOG.md", "LICENSE", "requirements.lock"}
    made = {"build", "dist", "runs"}  # ignored by git
    top = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert top - allowed - made == set()


# --- the checks can fail ---------------------------------------------------------------------

PLANTED = """
Start in `hal/types.py`, then `hal/nowhere.py`; devices are `hal/generators/NAME.py`.
Run `dxrig demo --kvp 70` or `python3 tools/dev.py tset`. A `kv/ma` is no path, `sim/` is,
`$HOME/x.py` none of ours.
See [the rules](tests/absent.md#rules) and [a page](https://example.invalid/a.md).
```
.venv/bin/dxrig frobnicate rig/scenarios
cat rig/benches/*.toml > runs/all.toml
```
"""


def test_planted_paths_are_found_and_other_words_let_pass() -> None:
    assert claimed_paths(PLANTED) == [
        "hal/nowhere.py",
        "hal/types.py",
        "rig/benches/*.toml",
        "rig/scenarios",
        "sim/",
        "tests/absent.md",
        "tools/dev.py",
    ]


def test_a_path_that_is_not_there_is_missed() -> None:
    page = ROOT / "tests" / "README.md"
    assert not exists("hal/nowhere.py", page)
    assert not exists("rig/benches/*.nothing", page)
    assert exists("hal/types.py", page)
    assert exists("peers.py", page)
    assert exists("rig/benches/*.toml", page)


def test_an_unknown_command_is_missed() -> None:
    assert TYPED.findall("\n".join(code_of(PLANTED))) == ["frobnicate rig", "demo"]
    assert not is_command(["frobnicate"])
    assert is_command(["devices"])
    assert DEV.findall("\n".join(code_of(PLANTED))) == ["tset"]
