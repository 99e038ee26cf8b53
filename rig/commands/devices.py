"""`dxrig devices`: what this computer has to offer a bench."""

from __future__ import annotations

import click

from rig.answers import answer_json, answer_table
from rig.bench_names import DRIVER_FOLDERS, drivers, shipped_benches
from rig.options import json_option
from rig.serial_ports import serial_ports


@click.command(
    epilog="""\b
Examples:
  dxrig devices
  dxrig devices --json | jq '.serial[].by_id'
"""
)
@json_option
def command(as_json: bool) -> None:
    """List serial ports, benches that ship, and drivers.

    Write the by-id name of a port into a bench file: /dev/ttyUSB0 is another device after
    the next re-plug.
    """
    ports = serial_ports()
    if as_json:
        answer_json(
            {
                "serial": [
                    {"path": p.path, "by_id": p.by_id, "about": p.about, "trouble": p.trouble}
                    for p in ports
                ],
                "benches": sorted(shipped_benches()),
                "drivers": {section: drivers(section) for section in DRIVER_FOLDERS},
            }
        )
        return
    if ports:
        rows = [(p.path, p.by_id or "-", p.about or "-", p.trouble or "free") for p in ports]
        answer_table(("port", "lasting name", "device", "state"), rows, title="Serial ports")
    else:
        click.echo("Serial ports: none found")
    click.echo(f"\nBenches: {', '.join(shipped_benches())}")
    for section in DRIVER_FOLDERS:
        click.echo(f"Drivers, {section}: {', '.join(drivers(section)) or 'none'}")
    click.echo("No driver has been checked against a device; each file's head names its source.")
