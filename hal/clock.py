"""Two clocks: one that jumps, one that waits."""

from __future__ import annotations

import time


class VirtualClock:
    """Time of the model rung: it is whatever the world has reached."""

    def __init__(self, t_us: int = 0) -> None:
        self._t_us = t_us

    def now_us(self) -> int:
        return self._t_us

    def wait_until(self, t_us: int) -> None:
        self._t_us = max(self._t_us, t_us)


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
