"""`dxrig sim proxy`: a bad line between a unit and one of its devices."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import click

from rig.answers import answer_json
from rig.options import json_option
from sim.mischief import DELAY_MAX_US, DELAY_US, KINDS, TOWARD

RATE = click.FloatRange(0.0, 1.0)


def _rates(function: Callable[..., None]) -> Callable[..., None]:
    """An option for each kind of mischief."""
    for kind, what in reversed(KINDS.items()):
        words = what[0].upper() + what[1:].replace("`delay_us`", "--delay-ms") + "."
        option = click.option(f"--{kind}", type=RATE, default=0.0, metavar="RATE", help=words)
        function = option(function)
    return function


@click.command(
    name="proxy",
    epilog="""\b
Examples:
  dxrig sim proxy --serial /dev/pts/7 --seed 3 --flip 0.01
  dxrig sim proxy --tcp tcp://127.0.0.1:40213 --drop 0.02 --cut 0.001 --json
  dxrig sim proxy --serial /dev/ttyUSB0 --toward unit --delay 0.1 --delay-ms 150

It prints what the unit must connect to: write that as `url` into a bench file. A RATE is a
probability, 0 to 1, for each chunk of bytes; without one everything passes. It listens on
this machine alone, and ends with the program that started it.

\b
Exit codes: 0 ended by a signal; 2 usage; 3 the device's port can't be opened, or is gone.
""",
)
@click.option("--serial", metavar="PORT|URL", help="The device's serial port.")
@click.option("--tcp", metavar="URL", help="The device's tcp://HOST:PORT.")
@click.option("--baud", type=click.IntRange(1), default=9600, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option(
    "--toward", type=click.Choice([*TOWARD, "both"]), default="both", show_default=True,
    help="Which direction is bad.",
)  # fmt: skip
@click.option(
    "--delay-ms", type=click.FloatRange(0, DELAY_MAX_US / 1000), default=DELAY_US / 1000,
    show_default=True, help="How late a delayed chunk, or the second piece of a split one, is.",
)  # fmt: skip
@click.option("--cut", type=RATE, default=0.0, metavar="RATE", help="The connection is cut.")
@click.option(
    "--cut-ms", type=click.FloatRange(1, 600_000), default=500.0, show_default=True,
    help="How long a cut lasts.",
)  # fmt: skip
@_rates
@json_option
def command(
    serial: str | None,
    tcp: str | None,
    baud: int,
    seed: int,
    toward: str,
    delay_ms: float,
    cut: float,
    cut_ms: float,
    as_json: bool,
    **rates: float,
) -> None:
    """Put a bad line between a unit and a device, until SIGINT or SIGTERM."""
    from rig.exit_codes import UsageError
    from rig.session import die_with_parent
    from rig.toxic_proxy import Poison, serial_proxy, serve, tcp_proxy
    from sim.mischief import Mischief

    if (serial is None) == (tcp is None):
        raise UsageError("name one device: --serial PORT or --tcp tcp://HOST:PORT")
    mischief = Mischief(seed=seed, rates=rates, delay_us=round(delay_ms * 1000))
    poison = Poison(mischief=mischief, toward=toward, cut=cut, cut_us=round(cut_ms * 1000))
    if serial is not None:
        proxy = serial_proxy(serial, poison, baud=baud)
    else:
        proxy = tcp_proxy(str(tcp), poison)
    told = _signals()
    die_with_parent()
    done = {kind: rate for kind, rate in (rates | {"cut": cut}).items() if rate}
    if as_json:
        answer_json({"url": proxy.front.url, "device": serial or tcp, "seed": seed, "rates": done})
    else:
        click.echo(f"The unit connects to {proxy.front.url}; Ctrl-C ends it.")
    sys.stdout.flush()
    try:
        serve(proxy, lambda: bool(told))
    finally:
        did = ", ".join(f"{count} x {kind}" for kind, count in proxy.counts.items() if count)
        click.echo(f"done: {did or 'nothing'}", err=True)


def _signals() -> list[int]:
    """Filled by the signals that end it."""
    told: list[int] = []
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), lambda number, frame: told.append(number))
    return told
