"""One command at a time to a device, and only what the codec's table calls harmless.

The listener of the driver reads the very bytes that would leave. Exactly one frame, a query or a
set-point: it may. Whatever starts, readies, resets, protects, or is unknown: it may not.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from hal.clock import WallClock
from hal.ports import ByteLink, Direction, Heard, Kind, LinkError, Listener
from rig.exit_codes import DeviceError, Refused

HARMLESS = (Kind.QUERY, Kind.SET)
_WHY = {
    Kind.BEAM: "it starts a beam or readies one: only the handswitch of a unit does",
    Kind.STOP: "a unit ends beams; `dxrig stop`, the handswitch, or the emergency stop",
    Kind.ACT: "it changes the device, and is neither a query nor a set-point",
    Kind.UNKNOWN: "the command table does not have it",
    Kind.NOISE: "it is no frame of this device",
}
QUIET_S = 0.03  # more may follow the first reply, as an R2CP answer and its MSG_PROCESSED
POLL_S = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    sent: Heard
    heard: tuple[Heard, ...]  # what came back, decoded; the last ones may be noise
    took_ms: float | None  # from the command to the end of the first reply; None: none came


def allowed(listener: Listener, data: bytes) -> Heard:
    """The one harmless frame that `data` is. Raises Refused with the name of what it is."""
    found = [*listener.feed(Direction.TO_DEVICE, 0, data), *listener.rest(0)]
    if len(found) != 1:
        raise Refused(f"{data.hex(' ')}: {len(found)} frames; one command at a time")
    (frame,) = found
    if frame.kind not in HARMLESS:
        name = "" if frame.kind is Kind.NOISE else f" ({frame.text})"
        raise Refused(f"{data.hex(' ')}{name}: refused, {_WHY[frame.kind]}")
    return frame


class Talker:
    """`judge` and `listener` are two of the same kind: one reads what might leave, one what did."""

    def __init__(self, link: ByteLink, judge: Listener, listener: Listener) -> None:
        self._link, self._judge, self._listener = link, judge, listener
        self._clock = WallClock()

    def ask(self, data: bytes, *, settings: bool, wait_s: float) -> Reply:
        """`settings`: set-points are permitted, too. Raises Refused, DeviceError."""
        frame = allowed(self._judge, data)
        if frame.kind is Kind.SET and not settings:
            raise Refused(
                f"{frame.text}: the port is real and this changes a set-point; add --allow-settings"
            )
        return self.exchange(frame, data, wait_s)

    def exchange(self, frame: Heard, data: bytes, wait_s: float) -> Reply:
        """Not judged: for tables of a few commands that say themselves why each is harmless."""
        try:
            return self._exchange(frame, data, wait_s)
        except LinkError as error:
            raise DeviceError(str(error)) from error

    def _exchange(self, frame: Heard, data: bytes, wait_s: float) -> Reply:
        t_us = self._connected()
        while self._link.read(t_us):  # what an earlier question was answered too late
            pass
        self._link.write(t_us, data)
        self._listener.feed(Direction.TO_DEVICE, t_us, data)
        heard: list[Heard] = []
        end_s, took_ms = time.monotonic() + wait_s, None
        over = False
        while not over:
            over = time.monotonic() > end_s  # and then one more look, however late we are
            now_us = self._clock.now_us()
            came = self._link.read(now_us)
            heard += self._listener.feed(Direction.FROM_DEVICE, now_us, came)
            if took_ms is None and any(one.kind is Kind.REPLY for one in heard):
                took_ms = (now_us - t_us) / 1000
                end_s = min(end_s, time.monotonic() + QUIET_S)
            time.sleep(POLL_S)
        heard += self._listener.rest(self._clock.now_us())
        return Reply(sent=frame, heard=tuple(heard), took_ms=took_ms)

    def _connected(self) -> int:
        """TCP takes a moment: a first read that fails is no lost device."""
        end_s = time.monotonic() + 2.0
        while True:
            t_us = self._clock.now_us()
            try:
                self._link.read(t_us)
                return t_us
            except LinkError:
                if time.monotonic() > end_s:
                    raise
            time.sleep(POLL_S)
