"""When the files of a unit that has ended are complete: its scribe holds a lock until then."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

LIMIT_S = 2.0
LOOK_S = 0.002


def wait_until_written(path: Path, limit_s: float = LIMIT_S) -> bool:
    """`path`: of a record or a trace; False: somebody still writes it after so long.

    A file that is not there, or on a file system without locks, is waited for by nobody.
    """
    end_s = time.monotonic() + limit_s
    try:
        with path.open("rb") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > end_s:
                        return False
                    time.sleep(LOOK_S)
                else:
                    return True
    except OSError:
        return True
