"""`dxrig replay`: a recording run again, and equality demanded."""

from __future__ import annotations

from pathlib import Path

import click

from rig.answers import answer_json
from rig.options import json_option


@click.command(
    epilog="""\b
Example:
  dxrig replay runs/20261121T200405Z-portable-1a2b3c

Needs no simulator and no device. Exit code 1 when anything differs: a byte sent, a line of
the trace, a pixel, a DICOM element, or a hash that the run wrote.
"""
)
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def command(ctx: click.Context, run: Path, as_json: bool) -> None:
    """Run the recording of a run folder again and demand equality."""
    from firmware_py.record import RecordError
    from rig.exit_codes import CheckFailed, UsageError
    from rig.replay import replay

    if run.is_file():
        raise UsageError(f"{run}: is a file; name the folder of a run, as {run.parent}")
    if not run.is_dir():
        raise UsageError(f"{run}: no such folder; name the folder of a run")
    try:
        found = replay(run)
    except RecordError as error:
        raise CheckFailed(str(error)) from error
    if as_json:
        answer_json(
            {
                "run": str(run),
                "equal": found.equal,
                "scans": found.scan_count,
                "trace_sha256": found.trace_sha256,
                "differences": list(found.differences),
            }
        )
    elif found.equal:
        click.echo(f"equal: {found.scan_count} scans, trace {found.trace_sha256}")
    else:
        click.echo(f"different: {found.scan_count} scans, trace {found.trace_sha256}")
        for difference in found.differences:
            click.echo(f"  {difference}")
    ctx.exit(0 if found.equal else 1)
