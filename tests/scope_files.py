"""Traces of a beam worked out by hand: straight edges, flat tops, 20 kV and 1 mA a volt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

Wave = Callable[[float], float]
STEP_MS = 0.1
FROM_MS, TO_MS = -20.0, 130.0


def line(points: Sequence[tuple[float, float]]) -> Wave:
    """Straight between (ms, value), level before the first and behind the last."""

    def at(ms: float) -> float:
        before = [point for point in points if point[0] <= ms]
        after = [point for point in points if point[0] > ms]
        if not before or not after:
            return (before or after)[-1 if before else 0][1]
        (a_ms, a), (b_ms, b) = before[-1], after[0]
        return a + (b - a) * (ms - a_ms) / (b_ms - a_ms)

    return at


# 80 kV within 2 ms from 0, down within 4 ms from 100: 60 kV (75 %) at 1.5 ms and at 101 ms.
KV = line([(0.0, 0.0), (2.0, 80.0), (100.0, 80.0), (104.0, 0.0)])
MA = line([(0.0, 0.0), (2.0, 2.0), (100.0, 2.0), (100.2, 0.0)])
SYNC = line([(-5.0, 0.0), (-4.95, 5.0)])


def samples(
    kv: Wave = KV, ma: Wave = MA, sync: Wave = SYNC, *, from_ms: float = FROM_MS,
    to_ms: float = TO_MS, step_ms: float = STEP_MS,
) -> list[tuple[float, float, float, float]]:  # fmt: skip
    """Rows of ms, kV, mA, V."""
    count = round((to_ms - from_ms) / step_ms)
    times = [from_ms + n * step_ms for n in range(count)]
    return [(ms, kv(ms), ma(ms), sync(ms)) for ms in times]


def write_tek(path: Path, rows: Sequence[tuple[float, float, float, float]]) -> Path:
    lines = ["Model,MSO", f"Sample Interval,{STEP_MS / 1000}", "TIME,CH1,CH2,CH3"]
    lines += [f"{ms / 1000:.7f},{kv / 20:.5f},{ma:.5f},{v:.2f}" for ms, kv, ma, v in rows]
    path.write_text("\n".join(lines) + "\n")
    return path
