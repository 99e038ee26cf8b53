"""The serial ports of this computer (Linux), read from files: opening one may raise its DTR."""

from __future__ import annotations

import grp
import os
from dataclasses import dataclass
from pathlib import Path

SYS_TTY = Path("/sys/class/tty")
BY_ID = Path("/dev/serial/by-id")


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialPort:
    path: str
    by_id: str | None  # a name that survives re-plugging
    about: str  # maker, product and serial number, as the USB device says
    trouble: str  # why this user can't open it; "" if permitted


def serial_ports(sys_tty: Path = SYS_TTY, by_id: Path = BY_ID) -> list[SerialPort]:
    """Ports with hardware behind them, USB and on board."""
    lasting = _lasting_names(by_id)
    found = []
    for entry in sorted(sys_tty.glob("*")):
        if not (entry / "device").exists() or _is_empty_socket(entry):
            continue
        path = f"/dev/{entry.name}"
        found.append(
            SerialPort(
                path=path,
                by_id=lasting.get(path),
                about=_about(entry / "device"),
                trouble=trouble_with(path),
            )
        )
    return found


def trouble_with(path: str) -> str:
    """What keeps this user from opening a device file, with the cure; "" if nothing does."""
    if not os.path.exists(path):
        return "no such port; `dxrig devices` lists those of this computer"
    if os.access(path, os.R_OK | os.W_OK):
        return ""
    group = _group_of(path)
    return f"no permission: run `sudo usermod -aG {group} $USER`, then log in again"


def _group_of(path: str) -> str:
    number = os.stat(path).st_gid
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)


def _lasting_names(by_id: Path) -> dict[str, str]:
    return {os.path.realpath(link): str(link) for link in sorted(by_id.glob("*"))}


def _is_empty_socket(entry: Path) -> bool:
    """The kernel lists UARTs that a PC might have; type 0 means that none was found."""
    return _first_line(entry / "type") == "0"


def _about(device: Path) -> str:
    """A USB adapter's own words stand in the USB device, two or three folders up."""
    folder = device.resolve()
    for parent in (folder, *list(folder.parents)[:3]):
        if (parent / "idVendor").exists():
            words = [_first_line(parent / name) for name in ("manufacturer", "product", "serial")]
            return " ".join(word for word in words if word)
    return ""


def _first_line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
