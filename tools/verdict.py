"""What both mutation gates choose from the changes they made, and how they judge and say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from tools.gate_scope import Settings, files_of, spread
from tools.survivors import ListError, problems, read_known
from tools.trials import Fate, NotGreenError, Trial, tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was typed: the options that both gates have."""

    base: str
    whole: bool
    only: tuple[str, ...]
    most: int | None
    seen: bool
    jobs: int


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of `Asked`, and --root."""
    folder = click.Path(exists=True, file_okay=False, path_type=Path)
    for option in (
        click.option("--base", default="HEAD~1", show_default=True, help="What differs from it."),
        click.option("--whole", is_flag=True, help="All files."),
        click.option("--only", multiple=True, metavar="FILE", help="Only this file; repeatable."),
        click.option("--most", type=click.IntRange(min=1), help="At most so many changes."),
        click.option("--seen", is_flag=True, help="Also name the test that saw each change."),
        click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True),
        click.option("--root", type=folder, default=Path(), help="Another project."),
    ):
        command = option(command)
    return command


def choose(
    settings: Settings, asked: Asked, made: Sequence[Trial], files: Sequence[str], most: int
) -> tuple[list[Trial], list[str]]:
    """The changes to try, and the files that are tried as a whole.

    `most` holds where neither all nor certain files were asked for.
    """
    changed = files_of(settings, files, base=None if asked.whole else asked.base, only=asked.only)
    taken = files if changed is None else changed
    wanted = [trial for trial in made if trial.change.file in taken]
    chosen = spread(wanted, asked.most or (None if asked.whole or asked.only else most))
    return chosen, list(taken) if len(chosen) == len(wanted) else []


def judged(
    settings: Settings,
    gate: str,
    made: Sequence[Trial],
    whole_files: Sequence[str],
    fates: Sequence[Fate],
) -> list[str]:
    """What is wrong: changes that nobody judged or saw, and what is wrong with the list."""
    found = [
        f"no test reaches it, or it was not judged: {fate.change}"
        for fate in fates
        if not fate.is_seen and not fate.is_missed
    ]
    known = read_known(settings.equivalents, gate)
    names = {trial.change.file for trial in made}
    found += [
        f"listed, but there is no such file to change: {change}"
        for change in sorted(known)
        if change.file not in names
    ]
    missed = [fate.change for fate in fates if fate.is_missed]
    most_pct, total_count = settings.equivalents_pct_max, len(made)
    return found + problems(
        missed, known, tried=whole_files, total_count=total_count, most_pct=most_pct
    )


def report(
    gate: str,
    settings: Settings,
    made: Sequence[Trial],
    chosen: Sequence[Trial],
    asked: Asked,
    judge: Callable[[Sequence[Fate]], list[str]],
) -> int:
    """Tries them, says what came of it, and returns the exit code."""
    print(f"{gate}: {len(chosen)} of {len(made)} changes", flush=True)
    fates: list[Fate] = []
    try:
        read_known(settings.equivalents, gate)  # a list with a mistake is told before, not after
        fates = tried(settings, chosen, asked.jobs) if chosen else []
        found = judge(fates)
    except NotGreenError as error:
        found = [str(error)]
    except ListError as error:
        raise click.UsageError(str(error)) from None
    for fate in fates:
        if fate.is_seen and asked.seen:
            print(f"seen by {fate.test}: {fate.change}")
    for line in found:
        print(line)
    by_file = Counter(fate.test.partition("::")[0] for fate in fates if fate.is_seen)
    for test, count in by_file.most_common():
        print(f"{gate}: {count:5} seen first by {test}")
    missed_count = sum(fate.is_missed for fate in fates)
    print(f"{gate}: {by_file.total()} seen, {missed_count} missed, {len(found)} findings")
    return 1 if found else 0
