"""Our own ends of a line, each with a responder at the other end."""

from __future__ import annotations

import os
import select
import socket
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from tools.bench.responder import Dialogue, responder

WAIT_MS = 2000


@contextmanager
def terminal(dialogue: Dialogue) -> Iterator[tuple[str, int]]:
    """A pseudo-terminal: the path of our end, and a file number of it, raw."""
    master_fd, slave_fd = os.openpty()
    tty.setraw(slave_fd)
    try:
        with responder(master_fd, dialogue):
            yield os.ttyname(slave_fd), slave_fd
    finally:
        os.close(master_fd)
        os.close(slave_fd)


@contextmanager
def listener(dialogue: Dialogue) -> Iterator[tuple[str, int]]:
    """Host and port of a responder that takes one client."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()[:2]
        with responder(server.fileno(), dialogue):
            yield host, port


class Port(Protocol):
    def read(self, t_us: int) -> bytes: ...

    def fileno(self) -> int: ...


class Waiting:
    """Sleeps until a link that never blocks has something to read."""

    def __init__(self, fd: int) -> None:
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def __call__(self) -> None:
        if not self._poll.poll(WAIT_MS):
            raise TimeoutError("the responder says nothing")
