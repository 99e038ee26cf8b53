"""Which frames of this run came just before one: what its lag may be left of."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import NamedTuple

from hal.now import since

REMEMBERED_FRAMES = 8  # more than lag lasts
LAG_GAP_US = 3_000_000  # shares are measured on frames that follow at once: later ones have none


class _Seen(NamedTuple):
    """A frame when it came: the panel's stream has times within a series only."""

    number: int
    shot_id: str
    arrived_us: int
    window_us: int


class EarlierFrames:
    """Counts every frame that the panel has read out, also those that were damaged."""

    def __init__(self) -> None:
        self._count = 0
        self._frames: deque[_Seen] = deque(maxlen=REMEMBERED_FRAMES)

    def add(self, shot_id: str, *, arrived_us: int, window_us: int) -> None:
        self._count += 1
        self._frames.append(_Seen(self._count, shot_id, arrived_us, window_us))

    def damaged(self) -> None:
        self._count += 1

    def before(self, shot_id: str) -> list[tuple[int, str]]:
        """(frames ago, shot), the oldest first.

        A panel that stands idle reads itself out, so a longer pause ends the chain.
        """
        number = max((one.number for one in self._frames if one.shot_id == shot_id), default=0)
        found: list[tuple[int, str]] = []
        for before, after in pairwise(one for one in self._frames if one.number <= number):
            opened_us = after.arrived_us - after.window_us  # both are read out as fast
            if since(opened_us, before.arrived_us + LAG_GAP_US):
                found.clear()
            else:
                found.append((number - before.number, before.shot_id))
        return found
