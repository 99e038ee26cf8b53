"""The device's end of real ports: a pseudo-terminal, a TCP listener. Neither blocks."""

from __future__ import annotations

import contextlib
import os
import socket
import tty

from hal.now import NEVER_US
from hal.ports import LinkError

READ_BYTES = 4096


class PtyLink:
    """The device's end of a pseudo-terminal; `path` is what the unit opens.

    A pseudo-terminal ignores the baud rate, and parity makes it fail: an 8E1 device goes
    over socket:// instead (performance.md, "Links").
    """

    def __init__(self) -> None:
        self._master_fd, self._slave_fd = os.openpty()
        tty.setraw(self._slave_fd)  # a new pty echoes until it is set raw
        os.set_blocking(self._master_fd, False)
        self.path = os.ttyname(self._slave_fd)

    def read(self, t_us: int) -> bytes:
        try:
            return os.read(self._master_fd, READ_BYTES)
        except BlockingIOError:
            return b""

    def write(self, t_us: int, data: bytes) -> None:
        with contextlib.suppress(BlockingIOError):  # nobody reads: a real line loses it too
            os.write(self._master_fd, data)

    def arrival_us(self) -> int:
        return NEVER_US

    def fileno(self) -> int:
        return self._master_fd

    def close(self) -> None:
        os.close(self._master_fd)
        os.close(self._slave_fd)


class ListenerLink:
    """The device's end of a TCP port: one client at a time, a second one is turned away."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((host, port))
        except OSError as error:
            self._listener.close()
            raise LinkError(f"tcp://{host}:{port}: {error.strerror}") from error
        self._listener.listen(4)
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()[:2]
        self._client: socket.socket | None = None

    def read(self, t_us: int) -> bytes:
        self._accept()
        if self._client is None:
            return b""
        try:
            data = self._client.recv(READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._client.close()
            self._client = None
        return data

    def write(self, t_us: int, data: bytes) -> None:
        if self._client is not None and data:
            with contextlib.suppress(OSError):
                self._client.send(data)

    def arrival_us(self) -> int:
        return NEVER_US

    def filenos(self) -> list[int]:
        return [s.fileno() for s in (self._listener, self._client) if s is not None]

    def close(self) -> None:
        self._listener.close()
        if self._client is not None:
            self._client.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except BlockingIOError:
            return
        if self._client is not None and not self._closed_by_peer():
            client.close()
            return
        if self._client is not None:
            self._client.close()
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client

    def _closed_by_peer(self) -> bool:
        assert self._client is not None
        try:
            return self._client.recv(1, socket.MSG_PEEK) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True
