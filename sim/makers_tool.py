"""A maker's own acquisition tool: after each beam it drops a file into its folder.

**Synthetic.** Nobody publishes how such tools write; these are the ways that a file system
offers. The folder lies in memory and is a function of time: what has been written at `t_us` is
what a listing at `t_us` shows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hal.detectors.folder import Entry
from hal.now import NEVER_US, Now, earliest_us
from sim.pixels import PixelModel

Pixels = NDArray[np.uint16]
How = Literal["rename", "in place", "sized first"]
AFTER_US = 2_000_000  # read-out, transfer and processing: a choice
WRITE_US = 800_000
STEP_US = 50_000  # a writer's buffers reach the disk now and then
WINDOW_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """One file. rename: written under another name first; sized first: zeros until written."""

    name: str
    data: bytes
    from_us: int
    write_us: int = WRITE_US
    how: How = "rename"
    stops_bytes: int | None = None  # its writer dies there
    dated_us: int | None = None  # copied with the date that it had elsewhere

    def _written_us(self, t_us: int) -> int:
        steps = (earliest_us(t_us, self.from_us + self.write_us) - self.from_us) // STEP_US
        return steps * STEP_US

    def entry(self, t_us: int) -> Entry | None:
        now = Now(t_us)
        if not now.reached(self.from_us):
            return None
        is_whole = len(self.written(t_us)) == len(self.data)
        name = f"{self.name}.tmp" if self.how == "rename" and not is_whole else self.name
        size_bytes = len(self.data if self.how == "sized first" else self.written(t_us))
        changed_us = self.from_us + self._written_us(t_us)
        return Entry(
            name=name,
            size_bytes=size_bytes,
            changed_us=changed_us if self.dated_us is None else self.dated_us,
        )

    def written(self, t_us: int) -> bytes:
        done = len(self.data)
        if self.write_us:
            done = done * self._written_us(t_us) // self.write_us
        return self.data[: done if self.stops_bytes is None else min(done, self.stops_bytes)]

    def content(self, t_us: int) -> bytes:
        found = self.written(t_us)
        return found.ljust(len(self.data), b"\0") if self.how == "sized first" else found


class DropFolder:
    """A `hal.detectors.folder.Folder` in memory. Faults: `how`, `broken`, what is in `drops`."""

    def __init__(self, clock: Callable[[], int], *, pattern: str = "*.raw") -> None:
        self.how: How = "rename"
        self.after_us = AFTER_US
        self.broken = False  # a share that is gone
        self.drops: list[Drop] = []
        self._clock, self._pattern = clock, pattern

    def drop(self, data: bytes, from_us: int, **facts: Any) -> Drop:
        """`facts`: of `Drop`, where they are others than the tool's own."""
        name = self._pattern.replace("*", f"{len(self.drops) + 1:04d}")
        usual = Drop(name=name, data=data, from_us=from_us, how=self.how)
        self.drops.append(replace(usual, **facts))
        return self.drops[-1]

    def entries(self) -> Sequence[Entry]:
        if self.broken:
            raise OSError(5, "Input/output error")
        t_us = self._clock()
        return [entry for drop in self.drops if (entry := drop.entry(t_us)) is not None]

    def read(self, name: str) -> bytes:
        t_us = self._clock()
        for drop in reversed(self.drops):
            entry = drop.entry(t_us)
            if entry is not None and entry.name == name:
                return drop.content(t_us)
        raise FileNotFoundError(2, "No such file or directory", name)


class MakersTool(DropFolder):
    """Makes an image of each beam by itself, for a generator that is only watched."""

    def __init__(
        self,
        pixels: PixelModel,
        encode: Callable[[Pixels, int], bytes],
        clock: Callable[[], int],
        *,
        pattern: str = "*.raw",
    ) -> None:
        """`encode`: pixels and when they were acquired, to a file's bytes."""
        super().__init__(clock, pattern=pattern)
        self.images_count = 0
        self._pixels, self._encode = pixels, encode

    def exposed(self, off_us: int, *, on_us: int, kv: float, mas: float) -> None:
        """A beam has ended: its image comes `after_us` later."""
        self.images_count += 1
        data = self._encode(self.picture(kv, mas), on_us)
        self.drop(data, off_us + self.after_us)

    def picture(self, kv: float, mas: float) -> Pixels:
        """Offset, gain and defects corrected, as such a tool does it; linear."""
        raw = self._pixels.frame(mas, kv, WINDOW_US, self.images_count)
        maps = self._pixels.maps(WINDOW_US)
        gain = np.where(maps.defects, np.float32(1.0), maps.gain)
        flat = (raw - maps.offset) * (gain.mean() / gain)
        flat[maps.defects] = np.median(flat)
        # One count at least: where nothing came through is not where nothing was written.
        clipped: Pixels = np.clip(np.rint(flat), 1, self._pixels.full_scale_counts).astype("u2")
        return clipped


class ToolOfPanel:
    """A `FrameOutlet`: the tool drops each frame of a simulated panel, raw and without its shot."""

    has_peer = True

    def __init__(self, folder: DropFolder, encode: Callable[[Pixels], bytes]) -> None:
        self.folder, self._encode = folder, encode

    def read(self, t_us: int) -> list[list[bytes]]:
        return []

    def write(self, t_us: int, message: list[bytes]) -> None:
        """Part 3 of an image is its pixels; whatever they are, the tool writes them down."""
        self.folder.drop(
            self._encode(np.frombuffer(message[2], "<u2")), t_us + self.folder.after_us
        )

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        return None
