"""Byte links: serial on any pyserial URL, TCP client, in-memory pipe.

None of them blocks. A port that is gone raises LinkError with one sentence for people,
on every call until it is back.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections import deque
from typing import Any

import serial

from hal.line_form import USUAL, line_form
from hal.now import NEVER_US
from hal.ports import LinkError

READ_BYTES = 4096
RECONNECT_US = 1_000_000
PORT_MAX = 65_535
HUNG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL


# --- in memory --------------------------------------------------------------------------------


class _Lane:
    """One direction of a pipe: bytes under way, each chunk with its pace."""

    def __init__(self, latency_us: int, byte_us: float) -> None:
        self._latency_us = latency_us
        self._byte_us = byte_us
        self._chunks: deque[tuple[int, bytes]] = deque()  # (leaves the sender, all of it)
        self._taken_bytes = 0  # of the oldest chunk, whose times stay those of the whole
        self._free_us = 0
        self.arrival_us = NEVER_US  # oldest chunk complete: a device writes one frame at a time

    def put(self, t_us: int, data: bytes) -> None:
        if not data:
            return
        start_us = max(t_us, self._free_us)
        self._free_us = start_us + round(len(data) * self._byte_us)
        self._chunks.append((start_us + self._latency_us, data))
        self._look()

    def take(self, t_us: int) -> bytes:
        if not self._chunks:
            return b""
        taken = b""
        while self._chunks:
            start_us, data = self._chunks[0]
            count_bytes = self._arrived_bytes(start_us, len(data), t_us)
            taken += data[self._taken_bytes : count_bytes]
            if count_bytes != len(data):
                self._taken_bytes = count_bytes
                break
            self._chunks.popleft()
            self._taken_bytes = 0
        self._look()
        return taken

    def _arrived_bytes(self, start_us: int, size_bytes: int, t_us: int) -> int:
        if t_us >= start_us + round(size_bytes * self._byte_us):
            return size_bytes
        if not self._byte_us:
            return 0
        return max(0, min(size_bytes - 1, int((t_us - start_us) / self._byte_us)))

    def _look(self) -> None:
        start_us, data = self._chunks[0] if self._chunks else (NEVER_US, b"")
        self.arrival_us = start_us + round(len(data) * self._byte_us)


class PipeLink:
    """One end of an in-memory line with modelled baud rate and latency."""

    def __init__(self, inbound: _Lane, outbound: _Lane) -> None:
        self._inbound = inbound
        self._outbound = outbound

    def read(self, t_us: int) -> bytes:
        return self._inbound.take(t_us)

    def write(self, t_us: int, data: bytes) -> None:
        self._outbound.put(t_us, data)

    def arrival_us(self) -> int:
        return self._inbound.arrival_us

    def close(self) -> None:
        return None


def pipe(
    *, latency_us: int = 0, baud: int | None = None, bits: int = 10
) -> tuple[PipeLink, PipeLink]:
    """The two ends of a line; `bits` a byte on it (8N1 = 10), no `baud` = no pacing."""
    byte_us = bits * 1e6 / baud if baud else 0.0
    there, back = _Lane(latency_us, byte_us), _Lane(latency_us, byte_us)
    return PipeLink(there, back), PipeLink(back, there)


# --- real ports -------------------------------------------------------------------------------


class SerialLink:
    """Any pyserial URL: /dev/ttyUSB0, COM3, socket://host:port, rfc2217://, spy://, loop://.

    A device file that is lost is looked for once a second, under the same name, and opened again;
    what a driver then hears begins anew. URLs are not: opening one of them may wait.
    """

    def __init__(self, url: str, *, baud: int = 9600, line: str = USUAL) -> None:
        """`line`: a word of hal.line_form. A URL may not be able to set it: a socket has none."""
        form = line_form(line)
        self._url = url
        self._is_file = "://" not in url and os.name == "posix"
        self._form: dict[str, Any] = {
            "baudrate": baud,
            "bytesize": form.data_count,
            "parity": form.parity,
            "stopbits": form.stop_count,
            "timeout": 0,
            "write_timeout": None if url.startswith("loop://") else 0,  # 0 fails there
            **({"exclusive": True} if self._is_file else {}),
        }
        self._gone: str | None = None
        self._retry_us = 0
        self._fd: int | None = None
        self._watch: select.poll | None = None
        self._open()

    def _open(self) -> None:
        url = self._url
        try:
            self._port = serial.serial_for_url(url, **self._form)
        except (serial.SerialException, ValueError, OSError) as error:
            raise LinkError(_why_not_open(url, error)) from error
        self._fd = self._port.fileno() if self._is_file else None
        if self._fd is not None:
            self._watch = select.poll()
            self._watch.register(self._fd, select.POLLIN)

    def read(self, t_us: int) -> bytes:
        if self._gone:
            self._look_again(t_us, self._gone)
        try:
            if self._fd is None:
                return bytes(self._port.read(READ_BYTES))
            data = os.read(self._fd, READ_BYTES)  # pyserial's own read takes longer
        except BlockingIOError:
            return b""
        except (serial.SerialException, OSError) as error:
            raise self._lost(t_us, error) from error
        if not data and self._hung_up():
            raise self._lost(t_us, OSError(errno.EIO, "the device was unplugged"))
        return data

    def _hung_up(self) -> bool:
        """A port whose adapter was pulled out reads as one where nothing came: Linux tells here."""
        assert self._watch is not None
        return any(events & HUNG_UP for _, events in self._watch.poll(0))

    def write(self, t_us: int, data: bytes) -> None:
        if self._gone:
            raise LinkError(self._gone)
        try:
            # pyserial's own write would wait, busily and for ever, for a full buffer
            sent_bytes = self._port.write(data) if self._fd is None else os.write(self._fd, data)
        except (BlockingIOError, serial.SerialTimeoutException):
            sent_bytes = 0
        except (serial.SerialException, OSError) as error:
            raise self._lost(t_us, error) from error
        if sent_bytes is not None and sent_bytes != len(data):
            raise LinkError(f"{self._url}: the line is jammed, nobody reads at the other end")

    def arrival_us(self) -> int:
        return NEVER_US

    def fileno(self) -> int:
        """For whoever waits with select, -1 while the port is gone; not every URL has one."""
        return -1 if self._gone else int(self._port.fileno())

    def close(self) -> None:
        self._port.close()

    def _lost(self, t_us: int, error: Exception) -> LinkError:
        then = "it is looked for every second" if self._is_file else "then restart"
        self._gone = f"{self._url}: the port is gone ({error}); check cable and power, {then}"
        self._retry_us = t_us + RECONNECT_US  # a beam's fault has been seen long before
        with contextlib.suppress(serial.SerialException, OSError):
            self._port.close()  # the name can only come back when nobody holds the old one
        return LinkError(self._gone)

    def _look_again(self, t_us: int, gone: str) -> None:
        """Raises LinkError while the port is not back."""
        if not self._is_file or t_us < self._retry_us:
            raise LinkError(gone)
        self._retry_us = t_us + RECONNECT_US
        try:
            self._open()
        except LinkError:
            raise LinkError(gone) from None
        self._gone = None


def _why_not_open(url: str, error: Exception) -> str:
    number = getattr(error, "errno", None)
    text = str(error)
    if number == errno.ENOENT or "No such file" in text:
        return f"{url}: no such port; `dxrig devices` lists the ports of this machine"
    if number == errno.EACCES or "Permission denied" in text:
        return f"{url}: no permission; add yourself to the group that owns it (often dialout)"
    if number == errno.EBUSY or "exclusively lock" in text or "Resource temporarily" in text:
        return f"{url}: busy, another program holds it"
    return f"{url}: can't be opened ({text})"


def tcp_address(url: str) -> tuple[str, int]:
    """(host, port) of tcp://HOST:PORT; LinkError for whatever is none."""
    scheme, _, rest = url.partition("://")
    host, _, port = rest.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= PORT_MAX
    if scheme != "tcp" or not host or not is_port:
        raise LinkError(f"{url}: is no address; write tcp://HOST:PORT, PORT 1-{PORT_MAX}")
    return host.removeprefix("[").removesuffix("]"), int(port)


class TcpLink:
    """A TCP client that connects without blocking and comes back by itself."""

    def __init__(self, host: str, port: int) -> None:
        """May block for a host name: asked here once, never in a scan. LinkError if unknown."""
        self._name = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
        self._family, self._address = _resolved(self._name, host, port)
        self._socket: socket.socket | None = None
        self._connected = False
        self._trouble = "not connected yet"
        self._retry_us = 0

    def read(self, t_us: int) -> bytes:
        self._connect(t_us)
        if not self._connected or self._socket is None:
            raise LinkError(f"{self._name}: {self._trouble}")
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._drop(t_us, error.strerror or str(error)) from error
        if not data:
            raise self._drop(t_us, "the device closed the connection")
        return data

    def write(self, t_us: int, data: bytes) -> None:
        if not self._connected or self._socket is None:
            raise LinkError(f"{self._name}: {self._trouble}")
        try:
            sent_bytes = self._socket.send(data)
        except OSError as error:
            raise self._drop(t_us, error.strerror or str(error)) from error
        if sent_bytes != len(data):
            raise self._drop(t_us, "the line is jammed: a request left only in part")

    def arrival_us(self) -> int:
        return NEVER_US

    def fileno(self) -> int:
        """For whoever waits with select; -1 while there is no connection."""
        return self._socket.fileno() if self._socket is not None else -1

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket, self._connected = None, False

    def _connect(self, t_us: int) -> None:
        if self._connected:
            return
        if self._socket is None:
            if t_us < self._retry_us:
                return
            self._retry_us = t_us + RECONNECT_US
        try:
            state = self._try()
        except OSError as error:  # no more sockets, or an address that can't be had here
            state = error.errno or errno.EIO
        if state in (0, errno.EISCONN):
            self._connected = True
        elif state not in (errno.EINPROGRESS, errno.EALREADY):
            self._drop(t_us, os.strerror(state).lower())

    def _try(self) -> int:
        if self._socket is None:
            self._socket = socket.socket(self._family)
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._socket.connect_ex(self._address)

    def _drop(self, t_us: int, why: str) -> LinkError:
        self.close()
        self._trouble = why
        self._retry_us = t_us + RECONNECT_US
        return LinkError(f"{self._name}: {why}")


def _resolved(name: str, host: str, port: int) -> tuple[socket.AddressFamily, tuple[Any, ...]]:
    """The numeric address; IPv4 first, since that is what devices speak."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, OverflowError) as error:
        raise LinkError(
            f"{name}: no machine of the name {host!r} is known here; check its spelling and the "
            "network's name server, or write the device's IP address"
        ) from error
    family, _, _, _, address = min(found, key=lambda one: one[0] is not socket.AF_INET)
    return family, address
