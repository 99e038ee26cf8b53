"""The GeniX3D driver: its contract, and the rules of a source behind a shutter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hal.generators.genix3d import Driver
from hal.generators.genix3d_desk import Desk
from hal.generators.genix3d_ratings import SHUTTER_US, effective, maximum_mas
from hal.ports import ByteLink
from hal.types import GeneratorSample, GeneratorState, Outputs, Technique
from tests.contract_generator import GeneratorContract
from tests.fake_generator import FakeModel
from tests.generator_bench import SCAN_US, GeneratorBench

FULL = Technique(kv=50.0, ma=0.6, mas=0.4)
STANDBY = Technique(kv=30.0, ma=0.3, mas=0.5)
LINE_BAUD = 1_000_000  # TCP: a frame takes well under a scan
TIMES: dict[str, Any] = {"standby_us": 60_000, "full_us": 100_000, "close_us": 10_000}

# PDUs (tests/vectors/genix3d.toml has their sources)
OPEN = bytes.fromhex("05 00 f7 ff 00")
LIFTED = bytes.fromhex("05 00 f7 00 00")
CLOSE = bytes.fromhex("05 00 f8 ff 00")
XRAYS_ON = bytes.fromhex("05 00 fb ff 00")
XRAYS_OFF = bytes.fromhex("05 00 fb 00 00")
STATUS = bytes.fromhex("01 00 d2 00 24")
POWER = bytes.fromhex("03 00 32 00 02")
POWER_REPLY = bytes.fromhex("00 07 01 03 04")  # the end of its header, function, byte count


class TestContract(GeneratorContract):
    on_bytes = OPEN
    off_bytes = XRAYS_OFF
    # Remote, X-rays on, interlock ok, shutter open: answer to a question of earlier.
    stray_on = bytes.fromhex("00 02 00 00 00 08 01 01 05 03 00 00 0a 00")
    baud = LINE_BAUD
    technique = FULL
    other_technique = STANDBY
    settings = (b"kv", b"ma")

    def make_driver(self, link: ByteLink, **polls_us: int) -> Driver:
        """Replies get lost on purpose here: nobody waits the full 100 ms for each."""
        return Driver(link, timeout_us=47_003, **polls_us)  # type: ignore[arg-type]

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model, reply_us=8_000, **TIMES)

    def answers_on(self, reply: bytes) -> bool:
        return OPEN in reply

    def ends_otherwise(self, command: bytes) -> bool:
        return CLOSE in command

    def wrong_echo(self, reply: bytes, setting: bytes) -> bytes:
        """The indication is off by 2.56 kV or mA, which is beyond what is taken for right."""
        at = reply.find(POWER_REPLY)
        if at < 0:
            return reply
        at += len(POWER_REPLY) + {b"kv": 0, b"ma": 2}[setting]
        return reply[:at] + bytes(((reply[at] + 1) % 256,)) + reply[at + 1 :]
