"""`dxrig sim`: a simulated bench on real ports, and the hand in its room."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rig import sim_meter, sim_proxy
from rig.answers import answer_json, answer_table
from rig.options import at_option, bench_option, chosen_bench, json_option
from rig.sim_show import group as sim_show

if TYPE_CHECKING:
    from rig.sim_server import SimServer


@click.group(
    epilog="""\b
Examples:
  dxrig sim up --bench portable --json > sim.json &
  dxrig sim press --stage 2 --for-ms 800
  dxrig sim show
  dxrig sim show beam --kvp 80

Everything here is simulated. A real room has no `sim press`: radiation has no remote start.
"""
)
def command() -> None:
    """Simulated devices on real ports: up, press, show."""


@command.command(
    epilog="""\b
Examples:
  dxrig sim up --bench portable --json
  dxrig sim up --uncalibrated --idle 40d
  dxrig sim up --fault F40 --fault F06
  dxrig sim up --fault "filter lost"

\b
--uncalibrated: exposures are refused until `dxrig calibrate` has made offset,
  gain and defects.
--idle: `dxrig warmup` is due.
--fault: a row of the fault catalogue (rig/injections.toml) that lasts, or a
  name of `dxrig sim show faults`; what happens at a moment is done later, by
  `dxrig sim do`.

Sets and records of a bench outlive its simulator.

\b
Exit codes: 0 ended by a signal; 2 usage; 3 the bench is served already.
"""
)
@bench_option
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Of the panel's noise and defects.")
@click.option("--uncalibrated", is_flag=True, help="The panel has no set yet; else a perfect one.")
@click.option(
    "--idle",
    metavar="TIME",
    help="The tube has rested so long: 40d, 3h, 90m, 2w; default: it is warm.",
)
@click.option(
    "--fault",
    "faults",
    metavar="ID|NAME",
    multiple=True,
    help="In place from the start; repeatable.",
)
@json_option
@click.pass_context
def up(
    ctx: click.Context,
    bench: str | None,
    seed: int | None,
    uncalibrated: bool,
    idle: str | None,
    faults: tuple[str, ...],
    as_json: bool,
) -> None:
    """Serve a simulated bench until SIGINT or SIGTERM."""
    import signal
    import tempfile

    from rig.announce import announce, refuse_a_second, withdraw
    from rig.durations import seconds_of
    from rig.sim_server import SimServer

    idle_s = 0.0 if idle is None else seconds_of(idle)
    chosen = chosen_bench(ctx, bench)
    refuse_a_second(chosen.name)
    with tempfile.TemporaryDirectory(prefix="dxrig-") as sockets:
        server = SimServer(
            chosen,
            Path(sockets),
            seed=seed,
            uncalibrated=uncalibrated,
            idle_s=idle_s,
            faults=[_fault(one) for one in faults],
        )

        def stop(*_: object) -> None:
            server.stopping = True

        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), stop)
        announce(chosen.name, server.announcement())
        try:
            _tell(server, as_json)
            server.serve()
        finally:
            withdraw(chosen.name)


def _fault(word: str) -> str:
    """An id of the catalogue, or a name of `rig.signatures`, as it is written there."""
    from rig.injections import as_written
    from rig.signatures import is_signature, signature

    return signature(word).name if is_signature(word) else as_written(word)


def _about(fault: str) -> str:
    from rig.injections import known_injection
    from rig.signatures import signatures

    known = signatures()
    return known[fault].sign if fault in known else known_injection(fault).title


def _tell(server: SimServer, as_json: bool) -> None:
    from rig.durations import words_of
    from rig.wire_words import wire_line

    facts = server.announcement()
    if as_json:
        answer_json(facts)
    else:
        rows = [
            ("generator", facts["generator"]["url"]),
            ("room I/O", facts["room"]["url"]),
            ("panel control", facts["panel"]["control_url"]),
            ("panel frames", facts["panel"]["data_url"]),
            *((name, facts[name]["url"]) for name in ("collimator", "dap") if name in facts),
            ("hand and faults", facts["control"]),
        ]
        answer_table(("device", "at"), rows, title=f"Simulated bench {facts['bench']}")
        click.echo(wire_line(server.bench.unit.generator.driver))
        if facts["uncalibrated"]:
            click.echo("The panel has no calibration set.")
        for fault in facts["faults"]:
            click.echo(f"{fault} is in place: {_about(fault)}.")
        if facts["idle_s"]:
            click.echo(f"The last beam was {words_of(facts['idle_s'])} ago.")
        click.echo("Ctrl-C ends it.")
    sys.stdout.flush()


command.add_command(sim_meter.command)
command.add_command(sim_proxy.command)
command.add_command(sim_show.command)


@command.command(
    epilog="""\b
Examples:
  dxrig sim press --stage 2 --for-ms 800
  dxrig sim press --stage 1
"""
)
@bench_option
@at_option
@click.option("--stage", type=click.Choice(["1", "2"]), default="2", show_default=True)
@click.option("--for-ms", type=click.FloatRange(1, 60_000), help="Release after so long.")
@click.option("--release", is_flag=True, help="Release both stages instead.")
@click.pass_context
def press(
    ctx: click.Context,
    bench: str | None,
    at: Path | None,
    stage: str,
    for_ms: float | None,
    release: bool,
) -> None:
    """Press the simulated handswitch."""
    from rig.announce import found
    from rig.simulator import ask

    facts = found(chosen_bench(ctx, bench).name, at)
    if release:
        ask(facts, {"kind": "do", "verb": "release", "args": {}})
    else:
        ask(facts, {"kind": "press", "stage": int(stage), "for_ms": for_ms})


@command.command(
    name="do",
    epilog="""\b
Examples:
  dxrig sim do "open door"
  dxrig sim do "press reset"
  dxrig sim do weld --set relay=enable
  dxrig sim do line --set device=room --set silent=true
  dxrig sim do phantom --set name=chest
  dxrig sim do panel --set in_beam=false
  dxrig sim do inject --set id="filter lost"
  dxrig sim do geometry --set sid_mm=1500
  dxrig sim do optics --set as_bench=true --set lift_mm=50
  dxrig sim do optics --set grid_ratio=10 --set grid_upside_down=true

Without values: press, release, "open door", "close door", "press e-stop", "pull e-stop",
"press reset", "release reset", "key off", "key on", "lose OFF once", arc,
"charge battery".

With --set: weld, line, generator, panel, phantom, geometry, optics, meter, wiring, room,
collimator, dap, "trip generator", battery, "panel battery", mischief, stick, free, bounce, glitch,
"press often", "power off", "power on", reboot, "lose answer", "false command", garbage, heal,
inject (a fault of the catalogue or of `dxrig sim show faults`, by its id or name);
without --set each says which names it takes. "charge battery" takes charge, 0 to 1;
"panel battery" that, shown_pct, or docked; generator takes charger_plugged. optics as_bench=true
takes the bench's own focal spot and grid, with scatter, heel and fall-off; false is plain
geometry, as at first.

Phantoms: hand, none (an open beam on the whole panel), chest, flat_rqr, flat_rqa3, flat_rqa5,
flat_rqa7, flat_rqa9, al_wedge, cu_wedge, pmma_100, pmma_200, low_contrast, edge, bars, star,
border.

Once opened (door, emergency stop), the safety chain stays open until "press reset".
""",
)
@bench_option
@at_option
@click.option("--set", "values", metavar="NAME=VALUE", multiple=True, help="A value; repeatable.")
@click.argument("what")
@click.pass_context
def do_command(
    ctx: click.Context, bench: str | None, at: Path | None, values: tuple[str, ...], what: str
) -> None:
    """Do something in the simulated room: open door, press e-stop, key off, ..."""
    from rig.announce import found
    from rig.sim_do import arguments_of, check_action, done
    from rig.simulator import ask

    args = arguments_of(values)
    check_action(what, args)
    ask(found(chosen_bench(ctx, bench).name, at), {"kind": "do", "verb": what, "args": args})
    click.echo(done(what, args))
