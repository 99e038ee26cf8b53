"""Frames that answered nothing: a uX's own 22 (3.6), or what another model made of a question.

They come in pieces, between the answers; what is no frame is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator

from hal.generators.spellman_framing import LONGEST_BODY_BYTES, Dsp
from hal.ports import WireError

KEPT_BYTES = 2 * LONGEST_BODY_BYTES  # of what has no end yet


class Unasked:
    def __init__(self, framing: Dsp) -> None:
        self._framing = framing
        self._buffer = bytearray()

    def texts(self, data: bytes) -> Iterator[str]:
        """Of the frames that `data` completes. Never raises."""
        if data:
            self._buffer = self._buffer[-KEPT_BYTES:] + data
        while data and self._buffer:
            try:
                text = self._framing.take(self._buffer)
            except WireError:
                continue
            if text is None:
                return
            yield text
