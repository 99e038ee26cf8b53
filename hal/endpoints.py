"""Where a ZeroMQ socket may listen: this machine only (security checks C04, C14, C29).

Nothing on these sockets is encrypted or authenticated, so tcp is loopback, and a
socket file lies in a folder that only its owner can enter. ZeroMQ takes a path away
from a living listener without a word; `claim` asks first.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import stat
import struct
from pathlib import Path

from hal.ports import LinkError

PATH_BYTES = 107  # sun_path of Linux, less its NUL


def check_bind(endpoint: str) -> None:
    """ValueError, saying why, for an endpoint that another machine could reach."""
    scheme, _, rest = endpoint.partition("://")
    if scheme == "tcp":
        _check_loopback(endpoint, rest)
    elif scheme == "ipc":
        _check_path(endpoint, rest)
    elif scheme != "inproc" or not rest:
        raise ValueError(f"{endpoint}: must be ipc://PATH, tcp://127.0.0.1:PORT or inproc://NAME")


def claim(endpoint: str) -> Path | None:
    """Make an ipc path ready to bind: private folder, stale file gone; None for tcp, inproc.

    Raises LinkError when a living process listens there, naming it.
    """
    check_bind(endpoint)
    if not endpoint.startswith("ipc://"):
        return None
    path = Path(endpoint.removeprefix("ipc://"))
    _make_private(path.parent)
    if path.exists():
        _remove_stale(path)
    return path


def keep_private(path: Path | None) -> None:
    """0600 for a socket file that has just been bound."""
    if path is not None:
        path.chmod(0o600)


def release(endpoint: str) -> None:
    """Take the path away *before* the socket is closed: afterwards it may be a successor's."""
    if endpoint.startswith("ipc://"):
        Path(endpoint.removeprefix("ipc://")).unlink(missing_ok=True)


def _check_loopback(endpoint: str, rest: str) -> None:
    host = rest.rpartition(":")[0].strip("[]")
    try:
        is_loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:  # "*", an interface name, a host name
        is_loopback = False
    if not is_loopback:
        raise ValueError(
            f"{endpoint}: listens beyond this machine, and these sockets are neither encrypted "
            "nor authenticated; use tcp://127.0.0.1:PORT or ipc://PATH"
        )


def _check_path(endpoint: str, rest: str) -> None:
    if not rest.startswith("/"):
        raise ValueError(f"{endpoint}: needs an absolute path (ipc:///run/...), not {rest!r}")
    if len(os.fsencode(rest)) > PATH_BYTES:
        raise ValueError(f"{endpoint}: a socket's path has at most {PATH_BYTES} bytes")


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    about = folder.stat()
    if about.st_uid != os.getuid():
        raise LinkError(f"{folder}: belongs to another user; sockets need a folder of their own")
    if about.st_mode & 0o077:
        raise LinkError(f"{folder}: is open to other users; `chmod 700` it, or choose another")


def _remove_stale(path: Path) -> None:
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise LinkError(f"{path}: is a file and no socket; it is left alone")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:  # its owner is dead
            path.unlink(missing_ok=True)
            return
        raise LinkError(f"ipc://{path}: already served by {_owner(probe)}")


def _owner(probe: socket.socket) -> str:
    if not hasattr(socket, "SO_PEERCRED"):
        return "another process"
    credentials = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    pid, _, _ = struct.unpack("3i", credentials)
    return f"process {pid}"
