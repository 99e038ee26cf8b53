"""The program `dxrig`: what it can do, and nothing else until a command is chosen.

A command is `rig/commands/NAME.py` with a click command called `command`. The table
below lists them, so that `dxrig --help` imports none of them: it answers in under 200 ms.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from click.exceptions import NoSuchCommand

from rig.exit_codes import MEANINGS
from rig.failures import ReaderGone, exit_code_of

COMMANDS = {
    "demo": "One simulated exposure from start to picture: the first thing to try.",
    "plan": "Check a technique against a bench: limits, power, heat, window.",
    "expose": "Programme one exposure; the handswitch starts it.",
    "observe": "Watch a generator that a person sets and presses; command nothing.",
    "run": "Run a scenario on any rung.",
    "replay": "Run a recording again and demand equality.",
    "diff": "Show the first difference between two runs.",
    "sim": "Simulated devices on real ports: up, press, show.",
    "io": "Show the room's contacts and relays live.",
    "why": "Say in one sentence who refused or ended the beam, and what to do next.",
    "tap": "Show what passes on a bench's links, decoded, with times.",
    "talk": "Send one harmless command to a device, and show its reply.",
    "params": "Save, compare and restore the settings of a bench's devices.",
    "snapshot": "Keep a bench's state in one file, and compare two.",
    "status": "Show what the running unit is doing.",
    "warmup": "Warm the tube up, or condition it; each beam by the handswitch.",
    "calibrate": "Make, list and roll back a panel's calibration sets.",
    "stop": "End the beam of the running unit, or its preparation.",
    "reset": "Clear a latched fault whose cause is gone.",
    "meter": "Import, pair and judge what an independent meter measured.",
    "scope": "Import and measure the trace of an oscilloscope.",
    "exposures": "List, show, verify, repair and export the exposures of a bench.",
    "recover": "List and acknowledge exposures that an earlier run left incomplete.",
    "doctor": "Find what keeps a bench from working on this computer.",
    "check": "Search every state that the controller reaches for a broken property.",
    "matrix": "Inject every fault in every state, and judge each reaction.",
    "devices": "List serial ports, benches and drivers.",
    "trace": "Show which test holds which requirement, and what is open.",
    "config": "Check, show and start bench files.",
}

_FOLDER = Path(__file__).parent / "commands"
_CODES = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS)


class Program(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if (_FOLDER / f"{name}.py").exists()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"rig.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except NoSuchCommand as error:  # click knows no lazy commands to compare with
            raise NoSuchCommand(error.command_name, None, self.list_commands(ctx), ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def invoke(self, ctx: click.Context) -> None:
        try:
            super().invoke(ctx)  # what a command returns is no exit code
        except BrokenPipeError:
            raise ReaderGone from None  # click would end with 1: "a check failed"

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        if os.environ.get("NO_COLOR"):
            extra["color"] = False  # click does not honour it by itself (click #1498)

        def run() -> object:
            return super(Program, self).main(
                given, prog_name, complete_var, standalone_mode=False, **extra
            )

        if not standalone_mode:
            return run()
        sys.exit(exit_code_of(run, arguments=given))


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from rig.version import version_line

    click.echo(version_line())
    ctx.exit()


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"""\b
Exit codes:
{_CODES}

\b
Examples:
  dxrig devices
  dxrig plan --bench portable --kvp 70 --mas 0.5
  dxrig config new mine > mine.toml

A bench is named by --bench, DXRIG_BENCH, or `bench = "..."` in
$XDG_CONFIG_HOME/dxrig/config.toml or /etc/dxrig/config.toml.
""",
)
@click.option(
    "--config",
    "config_file",
    metavar="FILE",
    help="Settings file, read last of the settings files.",
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show version and commit.",
)
@click.pass_context
def main(ctx: click.Context, config_file: str | None) -> None:
    """Controller and hardware-in-the-loop bench of an X-ray unit.

    With --json, the answer or the error is one JSON object on stdout and nothing else.
    """
    ctx.obj = config_file


if __name__ == "__main__":
    main(prog_name="dxrig")
