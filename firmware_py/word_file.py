"""Where the last words of a bench's unit lie, so that the next run finds them.

In memory that is a file (`/dev/shm`): a store there never waits for a disk, whereas a page that is
being written back may block its writer, on some file systems for long. Where there is no such
folder, or somebody else has put one of our name there, the bench's state folder has to do.

They outlive the unit and every other process of ours. A reboot or a power cut takes them along,
and so may the logout of the last session of this user (logind's RemoveIPC); what a disk kept of
them over a reboot is of another boot and not believed. The programme's bound holds then.
"""

from __future__ import annotations

import fcntl
import hashlib
import mmap
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import UUID

from firmware_py.last_words import LastWords, Word, decode
from firmware_py.word_ring import SIZE_BYTES, Ring, newest_body

SHARED = Path("/dev/shm")  # tmpfs on every Linux; a folder of our own in it
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_OURS = stat.S_IFDIR | 0o700
_OPEN = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW


class WordFile:
    """The page of a living unit. Raises OSError or ValueError where there can be none."""

    def __init__(self, state: Path, shared: Path = SHARED) -> None:
        self.boot = boot_id()
        self._words: LastWords | None = None
        self._path = _place(state, shared, make=True)
        with ExitStack() as undone:
            self._descriptor = os.open(self._path, _OPEN | os.O_CREAT, 0o600)
            undone.callback(os.close, self._descriptor)
            # A store into a page that the file system has no room for is a SIGBUS.
            os.posix_fallocate(self._descriptor, 0, SIZE_BYTES)
            os.ftruncate(self._descriptor, SIZE_BYTES)
            flags = mmap.MAP_SHARED | mmap.MAP_POPULATE  # no store waits for its first page
            self.page = mmap.mmap(self._descriptor, SIZE_BYTES, flags=flags)
            undone.pop_all()

    def speak(self, run: UUID, dead_us: int) -> LastWords:
        self._words = LastWords(Ring(self.page), self.boot, run, dead_us, self._claim)
        return self._words

    def _claim(self) -> bool:
        """From here on whoever reads sees that this unit lives; False: another one does.

        At the first word, not before: the recorder that starts with this unit has read then what
        the unit before it has left. The kernel lets go when the process dies, however it does.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """An ordinary end leaves nothing: but what is owed, or was said by a unit before it."""
        words = self._words
        owed = words is not None and words.owed
        others = any(bytes(self.page)) and not (words is not None and words.claimed)
        if not owed and not others:
            self._path.unlink(missing_ok=True)
        self.page.close()
        os.close(self._descriptor)


def read_words(state: Path, shared: Path = SHARED) -> list[Word]:
    """The newest word of each place where a unit of this bench that is dead can have spoken."""
    found = []
    for path in dict.fromkeys((_place(state, shared), _beside(state))):
        with suppress(OSError, ValueError), _of_the_dead(path) as page:
            body = newest_body(page)
            word = None if body is None else decode(body)
            if word is not None and word.boot == boot_id():
                found.append(word)
    return found


def forget(state: Path, shared: Path = SHARED) -> None:
    """After what was owed is in the journal, by whoever holds the bench."""
    for path in dict.fromkeys((_place(state, shared), _beside(state))):
        with suppress(OSError, ValueError), _of_the_dead(path):
            path.unlink()


def boot_id() -> UUID:
    """Of this run of the kernel. Raises OSError, ValueError."""
    return UUID(_BOOT.read_text(encoding="ascii").strip())


@contextmanager
def _of_the_dead(path: Path) -> Iterator[bytes]:
    """Raises OSError where there is none, or where its unit still lives."""
    descriptor = os.open(path, _OPEN)
    try:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise PermissionError(path)
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        yield os.pread(descriptor, SIZE_BYTES + 1, 0)
    finally:
        os.close(descriptor)


def _place(state: Path, shared: Path, *, make: bool = False) -> Path:
    """In a folder of ours: anybody may write into `shared`, and this name is no secret."""
    folder = shared / f"dxrig-{os.getuid()}"
    try:
        if make:
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError:
        return _beside(state)
    if (found.st_mode, found.st_uid) != (_OURS, os.getuid()):
        return _beside(state)
    return folder / hashlib.sha256(bytes(state.resolve())).hexdigest()[:32]


def _beside(state: Path) -> Path:
    return state / "last-words"
