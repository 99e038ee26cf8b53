"""`dxrig trace`: from hazard over requirement to test and result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import UsageError
from rig.options import json_option


@click.command(
    epilog="""\b
Examples:
  dxrig trace
  python3 tools/dev.py test && dxrig trace --html trace.html
  dxrig trace --results results.json --json | jq .open
  dxrig trace --review SR-17 --who NAME

What is met, in part or open is what the file of requirements says; with the results of the
whole suite each is compared with its tests. Without --results those of the newest run of
`tools/dev.py test` count; where there was none, the tests are only named. Exit code 1 when
they disagree, an id is unknown, a link leads nowhere, or a text changed since its tests were
reviewed. --review says that somebody has looked at text and tests of one requirement, and
writes name and day beside it.
"""
)
@click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="What `pytest --requirements-json` wrote; default: the newest run's.",
)
@click.option("--html", metavar="FILE", type=click.Path(path_type=Path), help="Write a page, too.")
@click.option("--review", metavar="ID", help="Its tests fit its text, somebody says.")
@click.option("--who", metavar="NAME", help="Who has looked, for --review.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    results: Path | None,
    html: Path | None,
    review: str | None,
    who: str | None,
    as_json: bool,
) -> None:
    """Show which test holds which requirement, and what is open."""
    from rig.requirements import load_requirements
    from rig.trace_matrix import latest_results, load_results, matrix

    if bool(review) != bool(who and who.strip()):
        raise UsageError("--review ID and --who NAME go together")
    if review and who:
        _review(review, " ".join(who.split()), as_json)
        return
    content = matrix(load_requirements(), load_results(results) if results else latest_results())
    if html:
        _write(html, content)
    if as_json:
        answer_json(content)
    else:
        _tell(content)
    ctx.exit(1 if content["gaps"] else 0)


def _review(code: str, who: str, as_json: bool) -> None:
    from datetime import UTC, datetime

    from rig.requirements import FILE, reviewed

    text = reviewed(FILE.read_text(encoding="utf-8"), code, who, f"{datetime.now(UTC):%Y-%m-%d}")
    try:
        FILE.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{FILE}: can't be written ({error.strerror})") from None
    if as_json:
        answer_json({"reviewed": code, "who": who})
    else:
        click.echo(f"{code}: reviewed by {who}; look at the difference and commit it")


def _write(html: Path, content: dict[str, Any]) -> None:
    from rig.trace_matrix import page
    from rig.version import version_line

    try:
        html.write_text(page(content, software=version_line()), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{html}: can't be written ({error.strerror})") from None


def _tell(content: dict[str, Any]) -> None:
    from rig.trace_matrix import outcome

    rows = [
        (
            item["id"],
            " ".join(item["hazards"]),
            item["state"],
            str(len(item["tests"])),
            outcome(item),
            item["title"],
        )
        for item in content["requirements"]
    ]
    answer_table(("id", "hazards", "state", "tests", "result", "requirement"), rows)
    counts = content["counts"]
    click.echo(f"{counts['met']} met, {counts['part']} in part, {counts['open']} open")
    click.echo(_of_what(content))
    for text in content["gaps"]:
        click.echo(text)


def _of_what(content: dict[str, Any]) -> str:
    from rig.version import commit

    ran = content["commit"]
    if not ran:
        return "No test was run: these are the tests that name each. `python3 tools/dev.py test`."
    of = "of the whole suite" if content["whole_suite"] else "of a part of the suite"
    here = commit()
    aged = f"; this is {here}" if here not in (ran, None) else ""
    return f"Results {of} at commit {ran}{aged}."
