"""`dxrig config`: check, show and start bench files."""

from __future__ import annotations

import json

import click

from rig.answers import answer_json, answer_table
from rig.exit_codes import ConfigError, UsageError
from rig.options import bench_option, chosen_bench, json_option
from rig.settings import settings


@click.group(
    epilog="""\b
Examples:
  dxrig config check mine.toml
  dxrig config show --bench mine.toml --origin
  dxrig config new mine > mine.toml
"""
)
def command() -> None:
    """Check, show and start bench files."""


@command.command(
    epilog="""\b
Every mistake is named at once, as file:line: key: what is wrong. Exit code 2 if any.
Example:
  dxrig config check rig/benches/portable.toml mine.toml
"""
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@json_option
def check(files: tuple[str, ...], as_json: bool) -> None:
    """Check bench files, or benches that ship by name."""
    from rig.bench import load_bench

    benches, messages = [], []
    for file in files:
        try:
            benches.append((file, load_bench(file)))
        except UsageError as error:
            messages += str(error).splitlines()
    if messages:
        raise ConfigError(messages)
    if as_json:
        answer_json({"files": [{"file": f, "bench": b.name, "hash": b.hash} for f, b in benches]})
        return
    for file, bench in benches:
        click.echo(f"{file}: bench {bench.name} is sound (hash {bench.hash[:12]})")


@command.command(
    epilog="""\b
Example:
  dxrig config show --bench portable --origin
"""
)
@bench_option
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
@json_option
@click.pass_context
def show(ctx: click.Context, bench: str | None, origin: bool, as_json: bool) -> None:
    """Show settings and bench with all defaults filled in."""
    from rig.bench import bench_values

    own = settings(config_file=ctx.obj, bench=bench)
    loaded = chosen_bench(ctx, bench)
    rows = [
        ("settings.bench", json.dumps(own.bench.value), own.bench.origin),
        ("settings.out", json.dumps(own.out.value), own.out.origin),
        *((v.key, json.dumps(v.value), v.origin) for v in bench_values(loaded)),
    ]
    if as_json:
        values = {key: {"value": json.loads(value), "origin": where} for key, value, where in rows}
        answer_json({"bench": loaded.name, "hash": loaded.hash, "values": values})
    elif origin:
        answer_table(("key", "value", "from"), rows)
    else:
        answer_table(("key", "value"), [row[:2] for row in rows])


@command.command(
    epilog="""\b
Example (editors find it by the first line `#:schema ./dxrig.schema.json`):
  dxrig config schema > dxrig.schema.json
"""
)
def schema() -> None:
    """Print the JSON Schema of a bench file, for editors."""
    from rig.bench import bench_schema

    click.echo(json.dumps(bench_schema(), indent=2))


@command.command(
    epilog="""\b
Example:
  dxrig config new mine > mine.toml && dxrig config check mine.toml
"""
)
@click.argument("name")
def new(name: str) -> None:
    """Print a commented bench file to start from."""
    from rig.bench import starter

    click.echo(starter(name), nl=False)
