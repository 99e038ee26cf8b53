"""The gates on the tests themselves, one after the other: python3 tools/dev.py gates [--whole]

coverage   every line and branch of what decides and of the codecs, by the data of the last
           `dev.py test` (tools/coverage_gate.py)
mutate     small changes in the functions that decide (tools/mutate.py)
perturb    limits, defaults, guards and rows of tables (tools/perturb.py)

Without --whole the last two take files that differ from --base, and of many changes an even
selection that is the same in each run: about six minutes in CI. --whole tries every change.

Exit codes: 0 all hold, 1 one fails, 2 usage.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent


@click.command(help=__doc__)
@click.option("--base", default="HEAD~1", show_default=True, help="Only what differs from it.")
@click.option("--whole", is_flag=True, help="Every change in every file.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True)
def main(base: str, whole: bool, jobs: int) -> None:
    scope = ("--whole",) if whole else ("--base", base)
    asked = (
        ("tools.coverage_gate",),
        ("tools.mutate", *scope, "--jobs", str(jobs)),
        ("tools.perturb", *scope, "--jobs", str(jobs)),
    )
    codes = {module[0]: _run(*module) for module in asked}
    failed = [name.removeprefix("tools.") for name, code in codes.items() if code]
    print(f"gates: FAILED: {', '.join(failed)}" if failed else "gates: all hold")
    sys.exit(max(codes.values()) if failed else 0)


def _run(module: str, *arguments: str) -> int:
    return subprocess.run(
        (sys.executable, "-m", module, *arguments), cwd=ROOT, check=False
    ).returncode


if __name__ == "__main__":
    main()
