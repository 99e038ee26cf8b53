"""The IXS portable source: its contract, its vectors, its times on a 9600 baud line."""

from __future__ import annotations

from hal.generators.vj_ixs import Driver
from hal.generators.vj_ixs_desk import Desk
from hal.ports import ByteLink
from tests.contract_generator import GeneratorContract
from tests.fake_generator import FakeModel


class TestContract(GeneratorContract):
    on_bytes = b"\x02ENBL1\r"
    off_bytes = b"\x02ENBL0\r"
    stray_on = b"\x021\r"
    settings = (b"VP", b"CP", b"OT")

    def make_driver(self, link: ByteLink, **polls_us: int) -> Driver:
        return Driver(link, **polls_us)  # type: ignore[arg-type]

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model)
