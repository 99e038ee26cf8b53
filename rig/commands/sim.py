"""`dxrig sim`: a simulated bench on real ports, and the hand in its room."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rig import sim_proxy
from rig.answers import answer_json, answer_table
from rig.options import at_option, bench_option, chosen_bench, json_option

if TYPE_CHECKING:
    from rig.sim_server import SimServer

LISTENERS = ("generator", "room", "panel")
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


@click.group(
    epilog="""\b
Examples:
  dxrig sim up --bench portable --json > sim.json &
  dxrig sim press --stage 2 --for-ms 800
  dxrig sim show

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

--uncalibrated: exposures are refused until `dxrig calibrate` has made offset, gain and defects.
--idle: `dxrig warmup` is due.
--fault: a row of the fault catalogue (rig/injections.toml) that lasts; what happens at a
moment is done later, by `dxrig sim do`. Sets and records of a bench outlive its simulator.

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
    "--fault", "faults", metavar="ID", multiple=True, help="In place from the start; repeatable."
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
            faults=[fault.upper() for fault in faults],
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


def _tell(server: SimServer, as_json: bool) -> None:
    from rig.durations import words_of
    from rig.injections import known_injection
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
            click.echo(f"{fault} is in place: {known_injection(fault).title}.")
        if facts["idle_s"]:
            click.echo(f"The last beam was {words_of(facts['idle_s'])} ago.")
        click.echo("Ctrl-C ends it.")
    sys.stdout.flush()


command.add_command(sim_proxy.command)


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
  dxrig sim do geometry --set sid_mm=1500
  dxrig sim do optics --set focus_mm=1.2 --set lift_mm=100 --set scatter=true

Without values: press, release, "open door", "close door", "press e-stop", "pull e-stop",
"press reset", "release reset", "key off", "key on", "lose OFF once", arc,
"charge battery".

With --set: weld, line, generator, panel, phantom, geometry, optics, meter, wiring, room,
collimator, dap, "trip generator", battery, mischief, stick, free, bounce, glitch,
"press often", "power off", "power on", reboot, "lose answer", "false command", garbage, heal;
without --set each says which names it takes. "charge battery" takes charge, 0 to 1;
"panel battery" that, or shown_pct.

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


@command.command(
    epilog="""\b
Examples:
  dxrig sim show
  dxrig sim show io --json
"""
)
@click.argument("what", type=click.Choice(["room", "io", "beams", "nets"]), default="room")
@bench_option
@at_option
@json_option
@click.pass_context
def show(ctx: click.Context, what: str, bench: str | None, at: Path | None, as_json: bool) -> None:
    """Show contacts, relays, beams: the simulator's own word."""
    from rig.announce import found
    from rig.simulator import ask

    facts = ask(found(chosen_bench(ctx, bench).name, at), {"kind": "show"})
    if as_json:
        facts.pop("kind", None)
        facts.pop("schema", None)
        answer_json(facts)
        return
    headings, rows = _VIEWS[what](facts)
    answer_table(headings, rows)


def _closed(value: bool) -> str:
    return "closed" if value else "open"


def _panel_battery(pct: int | None) -> list[tuple[str, str]]:
    return [] if pct is None else [("panel's battery", f"{pct} %")]


def _room(facts: dict[str, Any]) -> Table:
    rows = [(f"contact {name}", _closed(value)) for name, value in facts["contacts"].items()]
    rows.append(("safety relay", _closed(facts["safety_relay"])))
    rows += [(f"relay {name}", _closed(value)) for name, value in facts["relays"].items()]
    rows += [(f"coil {name}", "on" if value else "off") for name, value in facts["coils"].items()]
    rows += [
        ("panel", facts["panel"]),
        ("panel in beam", "yes" if facts["panel_in_beam"] else "no"),
        ("panel keeps", ", ".join(facts["panel_keeps"]) or "no frame"),
        ("phantom", facts["phantom"]),
        ("source to detector", f"{facts['sid_mm']:g} mm"),
        ("light field there", " x ".join(f"{mm:g}" for mm in facts["field_mm"]) + " mm"),
        ("battery", f"{100 * facts['battery_charge']:.0f} %"),
        *_panel_battery(facts["panel_battery_pct"]),
        *([] if facts["rotor_rpm"] is None else [("rotor", f"{facts['rotor_rpm']:.0f} rpm")]),
        ("beam", "ON" if facts["beam_on"] else "off"),
    ]
    return ("what", "is"), rows


def _beams(facts: dict[str, Any]) -> Table:
    rows = [
        (
            f"{b['on_us'] / 1000:.3f}",
            _ms(b["off_us"]),
            _ms(b["gone_us"]),
            f"{b['mas']:.4f}",
            *(_last_word(b, name) for name in LISTENERS),
        )
        for b in facts["beams"]
    ]
    last = tuple(f"last word to {name}, ms" for name in LISTENERS)
    return ("on, ms", "off, ms", "HV below 10 %, ms", "mAs", *last), rows


def _last_word(beam: dict[str, Any], name: str) -> str:
    """When the unit last spoke to this device before the beam went off, and how long before."""
    heard_us = beam["heard_us"].get(name)
    if heard_us is None or beam["off_us"] is None:
        return "-"
    return f"{heard_us / 1000:.3f} (off {(beam['off_us'] - heard_us) / 1000:.1f} ms later)"


def _ms(t_us: int | None) -> str:
    return "on" if t_us is None else f"{t_us / 1000:.3f}"


def _nets(facts: dict[str, Any]) -> Table:
    rows = [(_ms(n["t_us"]), n["net"], _closed(n["closed"])) for n in facts["nets"]]
    return ("t, ms", "net", "is"), rows


_VIEWS: dict[str, Callable[[dict[str, Any]], Table]] = {
    "room": _room,
    "io": _room,
    "beams": _beams,
    "nets": _nets,
}
