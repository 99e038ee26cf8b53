"""The same module as `waveshare.py`, read only: it asks for the inputs and can ask nothing else.

For benches on which dxrig must never command: no write is imported here, so no relay, lamp,
enable or expose line can be switched, not even off. Doubts about the module are told there.
"""

from __future__ import annotations

from hal.exchange import Exchange
from hal.modbus import (
    ModbusException,
    ReadInputs,
    Reply,
    RtuClientCodec,
    TcpClientCodec,
    silence_us,
)
from hal.now import Now
from hal.ports import ByteLink, RoomCapabilities
from hal.room_io import RoomSettings
from hal.types import CONTACTS, Outputs, RoomSample

ASK = ReadInputs(address=0, count=8)
DEVICE_ID = 1  # where the bench names none
SCAN_US = 5_000
TIMEOUT_US = 50_000
RTU_BYTES = 8 + 6  # the question and its reply, with checksums
BAUD = 9600
LOST_AFTER_TIMEOUTS_COUNT = 3


class Reader:
    """A RoomIO whose `write` takes outputs and lets them be: it polls."""

    def __init__(self, link: ByteLink, config: RoomSettings, *, rtu: bool = False) -> None:
        self._silence_us = silence_us(BAUD) if rtu else 0
        line_us = round(RTU_BYTES * 11 * 1e6 / BAUD) + 2 * self._silence_us if rtu else 0
        self._timeout_us = TIMEOUT_US + line_us
        codec = (RtuClientCodec if rtu else TcpClientCodec)(device_id=config.device_id or DEVICE_ID)
        self._exchange: Exchange[ReadInputs, Reply] = Exchange(
            link,
            codec,
            timeout_us=self._timeout_us,
            longest_reply_us=self._timeout_us if rtu else 0,
        )
        self._poll_us = config.active_poll_ms * 1000
        self._asked_us: int | None = None
        self._line_free_us = 0
        self.sample = RoomSample(taken_us=0)
        self.capabilities = RoomCapabilities(
            reply_us=SCAN_US + line_us,
            pulse_us=None,  # it gives none
            sample_age_us=self._poll_us + line_us + 2 * SCAN_US,
        )

    def read(self, now: Now) -> RoomSample:
        answer = self._exchange.read(now)
        if answer is not None:
            self._line_free_us = now.t_us + self._silence_us
            if not isinstance(answer.reply, ModbusException):
                assert isinstance(answer.reply, tuple)
                closed = dict(zip(CONTACTS, map(bool, answer.reply), strict=True))
                self.sample = RoomSample(taken_us=answer.asked_us, link_ok=True, **closed)
        if self.sample.link_ok and self._lost(now):
            self.sample = RoomSample(taken_us=self.sample.taken_us)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        due = self._asked_us is None or now.reached(self._asked_us + self._poll_us)
        if due and now.reached(self._line_free_us) and self._exchange.ask(now, ASK):
            self._asked_us = now.t_us

    def _lost(self, now: Now) -> bool:
        """By the age of what was read: a module that refuses to be read shows nothing, too."""
        if self._exchange.down is not None:
            return True
        return now.reached(self.sample.taken_us + LOST_AFTER_TIMEOUTS_COUNT * self._timeout_us)
