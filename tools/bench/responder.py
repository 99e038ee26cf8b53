"""The other end of a line: answers each request with the same bytes, as fast as it can.

A process of its own: `python -m tools.bench.responder FD SIZE COPIED REPLY`, where SIZE is
the length of a request, COPIED how many of its first bytes come back (Modbus TCP's
transaction id), and REPLY the rest in hex. FD is inherited.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialogue:
    """One request and its reply."""

    request: bytes
    reply: bytes
    copied_bytes: int = 0  # of the request, in place of the reply's first ones


@contextmanager
def responder(fd: int, dialogue: Dialogue) -> Iterator[None]:
    """Answers on `fd`, a listening socket or the master of a pseudo-terminal, until the end."""
    rest = dialogue.reply[dialogue.copied_bytes :].hex()
    numbers = (fd, len(dialogue.request), dialogue.copied_bytes)
    process = subprocess.Popen(
        [sys.executable, "-m", "tools.bench.responder", *map(str, numbers), rest],
        cwd=ROOT,
        pass_fds=[fd],
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def answer(fd: int, size_bytes: int, copied_bytes: int, rest: bytes) -> None:
    request = b""
    while data := os.read(fd, 4096):
        request += data
        if len(request) >= size_bytes:
            os.write(fd, request[:copied_bytes] + rest)
            request = request[size_bytes:]


def main() -> None:
    fd, size_bytes, copied_bytes = map(int, sys.argv[1:4])
    if os.isatty(fd):
        answer(fd, size_bytes, copied_bytes, bytes.fromhex(sys.argv[4]))
        return
    with socket.socket(fileno=fd) as listener:
        client, _ = listener.accept()
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answer(client.fileno(), size_bytes, copied_bytes, bytes.fromhex(sys.argv[4]))


if __name__ == "__main__":
    main()
