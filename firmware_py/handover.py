"""What the scan hands to the scribe, and what it says of the disk. Only `settle` ever waits.

A pipe holds what the disk keeps waiting, and a killed unit leaves there all that it had handed
over; what the pipe has no room for waits in memory, up to a limit. Beyond it the store counts as
stalled: the files end there.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from firmware_py.scribe import GO_ON, HEAD, OPEN, REFUSED, SAID, TELL, TOLD, WRITE

PIPE_BYTES = 1 << 20  # what Linux grants everybody
LIMIT_BYTES = 1 << 20  # in memory, behind it
PART_BYTES = 1 << 16  # moved from memory to the pipe in one go: a scan has other things to do
START_S = 5.0
END_S = 2.0
STALLS = (errno.ETIMEDOUT, "the disk keeps all waiting")
GONE = (errno.EPIPE, "the process that writes the unit's files is gone")


class StoreError(OSError):
    """The unit's files are written no further, for another reason than the disk's own word."""


class Handover:
    """The unit's ends of the two pipes.

    `chunks`, `said`: file descriptors, to be owned; `limit_bytes`: how much may wait in memory.
    """

    def __init__(self, chunks: int, said: int, *, limit_bytes: int = LIMIT_BYTES) -> None:
        self._chunks, self._said = chunks, said
        self._limit_bytes = limit_bytes
        self._waiting = bytearray()
        self._troubles: dict[int, OSError] = {}
        self._file_count = 0
        self._gone = False
        self._asked_count = self._told_count = 0
        os.set_blocking(chunks, False)
        os.set_blocking(said, False)
        with suppress(OSError):  # the user's share of pipes is used up: the usual 64 KiB then
            fcntl.fcntl(chunks, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def open(self, name: str) -> HandedFile:
        """A new file of this name in the scribe's folder."""
        file = HandedFile(self, self._file_count)
        self._file_count += 1
        self.hand(OPEN, file.number, os.fsencode(name))
        return file

    def hand(self, what: int, number: int, payload: bytes, *, last: bool = False) -> None:
        """`last`: taken though the file has ended, for it says why.

        Raises OSError when the file has ended, each time: as the disk said it, or StoreError.
        """
        self._hear()
        self._move()
        said = HEAD.pack(what, number, len(payload)) + payload
        if not last:
            self._refuse(number, len(said))
        elif self._gone:
            raise StoreError(*GONE)
        self._waiting += said
        if len(self._waiting) == len(said):
            self._move()

    def _refuse(self, number: int, size_bytes: int) -> None:
        if self._gone:
            raise StoreError(*GONE)
        if len(self._waiting) + size_bytes > self._limit_bytes:
            self._troubles.setdefault(number, StoreError(*STALLS))
        trouble = self._troubles.get(number)
        if trouble is not None:
            raise type(trouble)(trouble.errno, trouble.strerror)

    def _move(self) -> None:
        """From memory into the pipe, as much as it takes at once."""
        if not self._waiting or self._gone:
            return
        try:
            count_bytes = os.write(self._chunks, self._waiting[:PART_BYTES])
        except BlockingIOError:
            return
        except OSError:  # nobody reads any more
            self._lose()
            return
        del self._waiting[:count_bytes]

    def _hear(self) -> None:
        try:
            said = os.read(self._said, SAID.size * 64)
        except BlockingIOError:
            return
        if not said:
            self._lose()
        for what, number, code in SAID.iter_unpack(said):
            if what == REFUSED:
                self._troubles.setdefault(number, OSError(code, os.strerror(code)))
            self._told_count += what == TOLD

    def _lose(self) -> None:
        self._gone = True
        self._waiting.clear()

    # --- before the first scan and after the last

    def settle(self, limit_s: float) -> None:
        """Until all is written, or so long. Raises OSError of the first file that has ended."""
        self.hand(TELL, 0, b"", last=True)
        self._asked_count += 1
        end_s = time.monotonic() + limit_s
        while not self._settled() and (left_s := end_s - time.monotonic()) > 0:
            select.select([self._said], [self._chunks] if self._waiting else [], [], left_s)
            self._move()
            self._hear()
        if self._troubles:
            raise next(iter(self._troubles.values()))
        if self._gone:
            raise StoreError(*GONE)

    def _settled(self) -> bool:
        return self._gone or self._told_count >= self._asked_count

    def close(self) -> None:
        os.close(self._chunks)
        os.close(self._said)


class HandedFile:
    """One of the files, as `Recording` and `Runner` write to it."""

    def __init__(self, handover: Handover, number: int) -> None:
        self._handover = handover
        self.number = number
        self._last = False

    def write(self, data: memoryview | bytes | str, /) -> int:
        """One chunk, of which the file gets all or nothing. Raises OSError when it has ended."""
        chunk = data.encode() if isinstance(data, str) else bytes(data)
        self._handover.hand(WRITE, self.number, chunk, last=self._last)
        return len(data)

    def truncate(self, size: int, /) -> int:
        """The scribe has cut it to whole chunks already; what follows says why it ended."""
        self._last = True
        self._handover.hand(GO_ON, self.number, b"", last=True)
        return size

    def seek(self, offset: int, /) -> int:
        return offset


@contextmanager
def scribe_of(folder: Path) -> Iterator[Handover]:
    """A scribe of one's own; at the end it gets the time to write what it has."""
    its_chunks, chunks = os.pipe()
    said, its_said = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "firmware_py.scribe", str(folder)],
        stdin=its_chunks,
        stdout=its_said,
        start_new_session=True,  # Ctrl-C is not for it
    )
    os.close(its_chunks)
    os.close(its_said)
    handover = Handover(chunks, said)
    try:
        yield handover
    finally:
        end_s = time.monotonic() + END_S
        with suppress(OSError):  # told already, or nobody is left to be told
            handover.settle(END_S)
        handover.close()
        with suppress(subprocess.TimeoutExpired):  # it ends by itself, as after a kill
            process.wait(max(0.0, end_s - time.monotonic()))
