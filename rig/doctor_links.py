"""Can this computer reach the devices that a bench names? No byte is sent to any of them."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from firmware_py.config import CollimatorConfig, DapConfig, UnitConfig
from hal.generators import CodecOnlyError, must_drive_beam
from hal.line_form import USUAL
from hal.links import SerialLink, tcp_address
from hal.ports import LinkError
from rig.bench_lock import owner_of
from rig.doctor import Finding, Verdict
from rig.serial_ports import serial_ports, trouble_with

CONNECT_S = 1.0
PASSING_NAME = re.compile(r"/dev/tty(USB|ACM)\d+")  # given in the order of plugging in


def links(unit: UnitConfig, state: Path) -> list[Finding]:
    """A finding for each endpoint of the bench; `state` tells who uses it already."""
    owner = owner_of(state)
    if owner and Path(f"/proc/{owner.pid}").exists():
        found = f"in use by `{owner.command}` (process {owner.pid}, since {owner.since})"
        return [Finding(name="bench", verdict=Verdict.NOTE, found=f"{found}: its ports stay alone")]
    return [
        *_codec_only(unit.generator.driver),
        endpoint(
            "generator", unit.generator.url, unit.generator.baud, unit.generator.line or USUAL
        ),
        endpoint("room", unit.room.url),
        endpoint("panel control", unit.panel.control_url),
        endpoint("panel data", unit.panel.data_url),
        *(endpoint(name, own.url, own.baud) for name, own in _beside(unit)),
    ]


def _beside(unit: UnitConfig) -> list[tuple[str, CollimatorConfig | DapConfig]]:
    found = (("collimator", unit.collimator), ("dap", unit.dap))
    return [(name, own) for name, own in found if own is not None]


def _codec_only(driver: str) -> list[Finding]:
    try:
        must_drive_beam(driver)
    except CodecOnlyError as error:
        return [Finding(name="generator driver", verdict=Verdict.NOTE, found=str(error))]
    return []


def endpoint(name: str, url: str, baud: int = 9600, line: str = USUAL) -> Finding:
    """`sim`, a serial device or pyserial URL, tcp://host:port, or ipc://path."""
    if url == "sim":
        return Finding(name=name, verdict=Verdict.OK, found="simulated: nothing to reach")
    if url.startswith("tcp://"):
        return _tcp(name, url)
    if url.startswith("ipc://"):
        return _ipc(name, url)
    return _serial(name, url, baud, line)


def _serial(name: str, url: str, baud: int, line: str) -> Finding:
    """Opening is the only honest test for "busy"; it raises DTR, as the unit's own start does."""
    trouble = trouble_with(url) if url.startswith("/dev/") else ""
    if not trouble:
        try:
            SerialLink(url, baud=baud, line=line).close()
        except LinkError as error:
            trouble = str(error).removeprefix(f"{url}: ")
    passing = PASSING_NAME.fullmatch(url)
    if not trouble and passing:
        return Finding(
            name=name, verdict=Verdict.NOTE, cure=_lasting_cure(url),
            found=f"{url}: opens, but another adapter may have this name after the next re-plug",
        )  # fmt: skip
    return _finding(name, url, trouble, "opens")


def _lasting_cure(url: str) -> str:
    by_id = next((port.by_id for port in serial_ports() if port.path == url), None)
    name = f'write url = "{by_id}"' if by_id else "`dxrig devices --ports` lists lasting names"
    return f"{name}; or install tools/60-dxrig.rules for /dev/dxrig/NUMBER"


def _tcp(name: str, url: str) -> Finding:
    try:
        host, port = tcp_address(url)
        with socket.create_connection((host, port), timeout=CONNECT_S):
            trouble = ""
    except LinkError as error:
        trouble = str(error).removeprefix(f"{url}: ")
    except socket.gaierror:
        trouble = f"the name {host} is not known here; write its IP address"
    except TimeoutError:
        trouble = f"no answer in {CONNECT_S:g} s; check power, cable and address"
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        trouble = f"{why}; check power, address and port"
    return _finding(name, url, trouble, "accepts a connection")


def _ipc(name: str, url: str) -> Finding:
    path = Path(url.removeprefix("ipc://"))
    trouble = "" if path.parent.is_dir() else f"the folder {path.parent} does not exist"
    return _finding(name, url, trouble, "its folder exists")


def _finding(name: str, url: str, trouble: str, fine: str) -> Finding:
    found, _, cure = trouble.partition("; ") if ";" in trouble else trouble.partition(": ")
    if trouble:
        return Finding(name=name, verdict=Verdict.WRONG, found=f"{url}: {found}", cure=cure)
    return Finding(name=name, verdict=Verdict.OK, found=f"{url}: {fine}")
