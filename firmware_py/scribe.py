"""Writes the unit's files, so that no scan waits for a disk: `python -m firmware_py.scribe FOLDER`.

The unit starts it (`handover.py`) and speaks to it over stdin: `HEAD` (what, which file, size),
then so many bytes. It answers over stdout with `SAID` (what, which file, errno). It writes at once
and in order, many chunks with one write where the disk was slow, and never a part of a chunk: where
the disk takes no more, the file ends with the last whole one. It ends when nobody holds the other
end of stdin any more, and first writes what was handed over, whatever became of the unit.

Each file is locked while it is open (flock), so that others can wait for its end.
Only small modules are imported: the unit waits for it at its start.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import sys
from contextlib import suppress

OPEN, WRITE, GO_ON, TELL = 1, 2, 3, 4  # name; a chunk; after a refusal; when all is written
REFUSED, TOLD = 1, 2
HEAD = struct.Struct("<BBI")
SAID = struct.Struct("<BBi")
READ_BYTES = 1 << 16
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # not for it: it ends after the unit


class WrittenFile:
    """One file: its whole chunks, and what has to be written next."""

    def __init__(self, path: str) -> None:
        """Empties a file that is there. Raises OSError."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        with suppress(OSError):  # a file system without locks: nobody can wait, all else works
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._waiting: list[bytes] = []
        self._whole_bytes = 0
        self._ends_whole = True
        self._refuses = False

    def add(self, chunk: bytes) -> None:
        self._waiting.append(chunk)

    def go_on(self) -> None:
        """After a refusal: what comes now is wanted behind the last whole chunk."""
        self._refuses = not self._ends_whole

    def write(self) -> None:
        """All that waits, at once. Raises OSError once; then nothing is written until `go_on`."""
        chunks, self._waiting = self._waiting, []
        if self._refuses or not chunks:
            return
        written_bytes = 0
        try:
            data = memoryview(b"".join(chunks))
            while written_bytes < len(data):
                count_bytes = os.write(self._file, data[written_bytes:])
                if not count_bytes:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                written_bytes += count_bytes
        except OSError:
            self._refuses = True
            self._cut(chunks, written_bytes)
            raise
        self._whole_bytes += written_bytes

    def _cut(self, chunks: list[bytes], written_bytes: int) -> None:
        for chunk in chunks:
            if len(chunk) > written_bytes:
                break
            written_bytes -= len(chunk)
            self._whole_bytes += len(chunk)
        try:
            os.ftruncate(self._file, self._whole_bytes)
            os.lseek(self._file, self._whole_bytes, os.SEEK_SET)
        except OSError:
            self._ends_whole = False  # never anything behind a torn chunk


class Scribe:
    """`folder`: of the files; `said`: the file descriptor for what the unit shall know."""

    def __init__(self, folder: str, said: int) -> None:
        self._folder = folder
        self._said = said
        self._files: dict[int, WrittenFile] = {}

    def take(self, data: bytes | bytearray) -> int:
        """Does what was said in whole; how many bytes that was."""
        at_bytes = 0
        while len(data) - at_bytes >= HEAD.size:
            what, number, size_bytes = HEAD.unpack_from(data, at_bytes)
            end_bytes = at_bytes + HEAD.size + size_bytes
            if end_bytes > len(data):
                break
            self._do(what, number, bytes(data[at_bytes + HEAD.size : end_bytes]))
            at_bytes = end_bytes
        self._write()
        return at_bytes

    def _do(self, what: int, number: int, payload: bytes) -> None:
        if what == WRITE:
            if number in self._files:
                self._files[number].add(payload)
            return
        self._write()
        if what == OPEN:
            try:
                self._files[number] = WrittenFile(os.path.join(self._folder, os.fsdecode(payload)))
            except OSError as error:
                self._say(REFUSED, number, error.errno or errno.EIO)
        elif what == GO_ON and number in self._files:
            self._files[number].go_on()
        elif what == TELL:
            self._say(TOLD, number, 0)

    def _write(self) -> None:
        for number, file in self._files.items():
            try:
                file.write()
            except OSError as error:
                self._say(REFUSED, number, error.errno or errno.EIO)

    def _say(self, what: int, number: int, code: int) -> None:
        with suppress(OSError):  # the unit is dead: what it handed over is written all the same
            os.write(self._said, SAID.pack(what, number, code))


def main() -> None:
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)
    scribe = Scribe(sys.argv[1], sys.stdout.fileno())
    heard = bytearray()
    while data := os.read(sys.stdin.fileno(), READ_BYTES):
        heard += data
        del heard[: scribe.take(heard)]


if __name__ == "__main__":
    main()
