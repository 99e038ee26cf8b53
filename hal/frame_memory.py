"""The unit's side of a panel's memory: frames are fetched again from it, and freed when safe.

A panel keeps each frame until it is told that the frame is safe (security 5). What the
recorder has not got after the time that a frame takes is asked for again, three times at
most (SR-56, at least three): nothing is irradiated again for a line that was bad. A reset
by a person, who may have mended that line, begins the count anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hal.now import Now
from hal.types import Outputs

FETCH_AFTER_US = 1_500_000  # sent, received, made an image and saved; a choice
FETCHES_COUNT = 3  # SR-56


@dataclass(slots=True)
class _Kept:
    """One frame in the panel's memory."""

    sent_us: int  # the panel was seen to have it, and so has sent it; or was last asked
    fetch_count: int = 0
    given_up: bool = False


class FrameMemory:
    """What is to be asked of the panel next, about the frames that it keeps."""

    def __init__(self, fetch_after_us: int = FETCH_AFTER_US) -> None:
        self._fetch_after_us = fetch_after_us
        self._kept: dict[str, _Kept] = {}
        self._reset_us: int | None = None  # the newest reset that was seen

    def see(self, now: Now, shots: tuple[str, ...]) -> None:
        """As the panel's newest status has it."""
        known = self._kept
        self._kept = {shot: known.get(shot) or _Kept(now.t_us) for shot in shots}

    def forget(self) -> None:
        """The link was lost: whatever comes back starts anew, and so do the tries."""
        self._kept = {}

    def given_up(self, now: Now) -> tuple[str, ...]:
        """Fetched as often as it may be, and the last time has passed as well."""
        for one in self._kept.values():
            if one.fetch_count == FETCHES_COUNT and self._over(now, one):
                one.given_up = True
        return tuple(shot for shot, one in self._kept.items() if one.given_up)

    def wanted(self, now: Now, outputs: Outputs) -> tuple[str, str] | None:
        """("free" or "resend", shot); the newest frame first, for somebody waits for it."""
        self._follow_reset(outputs.clear_faults_from_us)
        return next(self._due(now, outputs), None)

    def asked(self, now: Now, do: str, shot: str | None) -> None:
        """That question leaves now."""
        one = self._kept.get(shot or "")
        if do == "resend" and one is not None:
            one.sent_us = now.t_us
            one.fetch_count += 1
            now.wake(now.t_us + self._fetch_after_us)

    def _follow_reset(self, reset_us: int | None) -> None:
        if reset_us in (None, self._reset_us):
            return
        self._reset_us = reset_us
        for one in self._kept.values():
            one.fetch_count, one.given_up = 0, False

    def _due(self, now: Now, outputs: Outputs) -> Iterator[tuple[str, str]]:
        for shot in reversed(self._kept):
            if shot in outputs.free:
                yield "free", shot
        for shot, one in reversed(self._kept.items()):
            tries_left = one.fetch_count < FETCHES_COUNT
            if shot in outputs.fetch and tries_left and self._over(now, one):
                yield "resend", shot

    def _over(self, now: Now, one: _Kept) -> bool:
        return now.reached(one.sent_us + self._fetch_after_us)
