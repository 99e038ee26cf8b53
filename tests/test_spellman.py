"""The Spellman driver: its contract on XRV and uX, and the rules of its wire."""

from __future__ import annotations

from hal.generators.spellman import Driver
from hal.generators.spellman_desk import Desk
from hal.generators.spellman_framing import Dsp
from hal.ports import ByteLink, WireError
from tests.contract_generator import GeneratorContract
from tests.fake_generator import FakeModel


def retold(reply: bytes, opcode: bytes, more_count: int) -> bytes:
    """The one value of this answer, so many counts off, in a sound frame; others as they are."""
    try:
        text = Dsp().take(bytearray(reply)) or ""
    except WireError:
        return reply
    number, *values = text.split(",")
    if number.encode() != opcode or len(values) != 2 or not values[0].isdigit():
        return reply
    return Dsp().frame(f"{number},{int(values[0]) + more_count},")


class TestContractOfTheXrv(GeneratorContract):
    kind = "XRV"
    on_bytes = b"\x0298,1,F\x03"
    off_bytes = b"\x0298,0,G\x03"
    stray_on = b"\x0222,1,1,1,0,0,0,1,0,0,0,0,0,0,0,0,1,1,N\x03"
    settings = (b"14", b"15")
    timed_out_us = 250_000

    def make_driver(self, link: ByteLink, **polls_us: int) -> Driver:
        return Driver(link, model=self.kind, **polls_us)  # type: ignore[arg-type]

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model, kind=self.kind)

    def answers_on(self, reply: bytes) -> bool:
        return reply == b"\x0298,$,S\x03"

    def wrong_echo(self, reply: bytes, setting: bytes) -> bytes:
        """One count off is what a converter may make of it (protocol reference 0)."""
        return retold(reply, setting, 2)


class TestContractOfTheUx(TestContractOfTheXrv):
    kind = "uX"
    on_bytes = b"\x0299,1,E\x03"
    off_bytes = b"\x0299,0,F\x03"
    stray_on = b"\x0222,1,0,0,[\x03"

    def answers_on(self, reply: bytes) -> bool:
        return reply == b"\x0299,$,R\x03"
