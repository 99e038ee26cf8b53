"""The clock that really runs. On the model rung there is none: time is what the world reached."""

from __future__ import annotations

import os
import time


class WallClock:
    """Monotonic time since it was made; wall-clock jumps do not exist here (SR-32)."""

    def __init__(self) -> None:
        self._start_ns = time.monotonic_ns()

    def now_us(self) -> int:
        return (time.monotonic_ns() - self._start_ns) // 1000

    def wait_until(self, t_us: int) -> None:
        # time.sleep is clock_nanosleep on Linux; see performance.md, "Loop timing".
        remaining_us = t_us - self.now_us()
        if remaining_us > 0:
            time.sleep(remaining_us / 1e6)


UNIT_PRIORITY = 20
DEVICE_PRIORITY = 15  # simulated devices: hardware does not wait for a busy computer


def real_time(priority: int) -> bool:
    """Ask for SCHED_FIFO, which is what survives a busy machine; True when it was granted.

    Priorities are Linux's 1-99, and what this process starts does not inherit it.
    """
    try:
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except (OSError, AttributeError):
        return False
    return True
