"""What shall go wrong on a disk, and when: said by counting operations, so that it repeats.

The mapped file of SQLite (`-shm`) does not count: the kernel writes it back when it likes,
and SQLite makes it anew at every start.
"""

from __future__ import annotations

import errno
import random
import time
from collections import Counter
from dataclasses import dataclass, field

KINDS = ("create", "write", "truncate", "sync", "rename", "remove")
ERRORS = {"ENOSPC": errno.ENOSPC, "EIO": errno.EIO}


@dataclass(frozen=True, slots=True)
class Trouble:
    """`cut_after_count`: the power goes before the operation after so many (None: never).

    `keeps_seed`: of what nobody synced, chance keeps a part (None: nothing is kept).
    `fail_kind`, `fail_nth`: that operation, counted from 1, fails with `error` ("ENOSPC",
    "EIO"); all of its kind after it too, with `for_good`.
    `sync_stall_ms`: every sync takes so long, as on a tired card or a busy array; whoever
    asked for it waits.
    """

    cut_after_count: int | None = None
    keeps_seed: int | None = None
    fail_kind: str | None = None
    fail_nth: int = 1
    error: str = "EIO"
    for_good: bool = False
    sync_stall_ms: float = 0.0

    @property
    def chance(self) -> random.Random | None:
        return None if self.keeps_seed is None else random.Random(self.keeps_seed)


@dataclass(slots=True)
class Operations:
    """Counts operations, and makes the trouble that was planned. `counts`: by kind."""

    trouble: Trouble = Trouble()
    counts: Counter[str] = field(default_factory=Counter)
    failed_count: int = 0
    stalled_ms: list[float] = field(default_factory=list)  # how long each stalled sync really took

    def cuts_now(self) -> bool:
        return self.counts.total() == self.trouble.cut_after_count

    def count(self, kind: str) -> None:
        """Before the operation is done. Raises OSError when this one shall fail."""
        self.counts[kind] += 1
        plan = self.trouble
        if kind != plan.fail_kind:
            return
        nth = self.counts[kind]
        if nth == plan.fail_nth or (plan.for_good and nth >= plan.fail_nth):
            self.failed_count += 1
            number = ERRORS[plan.error]
            raise OSError(number, "as planned")

    def stall(self) -> None:
        """In a sync, before it is done."""
        if self.trouble.sync_stall_ms:
            start_s = time.monotonic()
            time.sleep(self.trouble.sync_stall_ms / 1000)
            self.stalled_ms.append((time.monotonic() - start_s) * 1000)
