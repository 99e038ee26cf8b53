"""`dxrig devices`: supported devices, how far that is verified, and what is plugged in."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from rig.answers import answer_json, answer_table
from rig.bench_names import DRIVER_FOLDERS, drivers, shipped_benches
from rig.options import json_option
from rig.serial_ports import serial_ports

if TYPE_CHECKING:
    from rig.service.devices import Device

UNVERIFIED = "No driver has been checked against a device: all this is from documents."
WIDTH = 80


@click.command(
    epilog="""\b
Examples:
  dxrig devices
  dxrig devices --ports
  dxrig devices --json | jq '.devices[] | select(.drives_beam) | .name'
  dxrig devices --json | jq '.serial[].by_id'
"""
)
@click.option("--ports", is_flag=True, help="Only the serial ports of this computer.")
@json_option
def command(ports: bool, as_json: bool) -> None:
    """List supported devices with their sources, benches that ship, and serial ports.

    Write the by-id name of a port into a bench file: /dev/ttyUSB0 is another device after
    the next re-plug.
    """
    from rig.service.devices import devices

    if as_json:
        answer_json(
            {
                "verified_on_hardware": False,
                "devices": [{**asdict(one), "use": one.use} for one in devices()],
                "serial": [
                    {"path": p.path, "by_id": p.by_id, "about": p.about, "trouble": p.trouble}
                    for p in serial_ports()
                ],
                "benches": sorted(shipped_benches()),
                "drivers": {section: drivers(section) for section in DRIVER_FOLDERS},
            }
        )
        return
    if not ports:
        click.echo(UNVERIFIED)
        for one in devices():
            _tell(one)
        click.echo(f"\nBenches: {', '.join(shipped_benches())}\n")
    _tell_ports()


def _tell(device: Device) -> None:
    click.echo(f"\n{device.section} {device.name}: {device.use}")
    if device.codec_only:
        _wrapped("because", device.codec_only)
    _wrapped("from", device.source)
    _wrapped("state", device.verified)
    if device.line:
        _wrapped("line", device.line)


def _wrapped(head: str, text: str) -> None:
    first, rest = f"  {head:<9}", " " * 11
    click.echo(textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=rest))


def _tell_ports() -> None:
    found = serial_ports()
    if not found:
        click.echo("Serial ports: none found")
        return
    rows = [(p.path, p.by_id or "-", p.about or "-", p.trouble or "free") for p in found]
    answer_table(("port", "lasting name", "device", "state"), rows, title="Serial ports")
