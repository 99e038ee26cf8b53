"""A module that is only read, and a generator without a wire: nothing may be sent to either."""

from __future__ import annotations

import pytest

from firmware_py.config import RoomConfig
from hal.generators.manual import _NoWire, listener
from hal.links import pipe
from hal.now import Now
from hal.ports import Direction, Kind, LinkError, WireError
from hal.room_io import open_room_inputs
from hal.types import Outputs

CONFIG = RoomConfig(driver="waveshare", url="sim")
# 0001: transaction 1; function 2, one byte: inputs 2 and 3, door and emergency stop, closed.
REPLY = bytes.fromhex("00 01 00 00 00 04 01 02 01 0c")


class Unplugged:
    """Answers once, then its port is gone."""

    def __init__(self) -> None:
        self.replies = [REPLY]
        self.asked: list[bytes] = []

    def read(self, t_us: int) -> bytes:
        if not self.asked:
            return b""
        if not self.replies:
            raise LinkError("the port is gone")
        return self.replies.pop()

    def write(self, t_us: int, data: bytes) -> None:
        self.asked.append(data)

    def arrival_us(self) -> int:
        return 0

    def close(self) -> None: ...


def test_a_port_that_goes_shows_nothing_in_the_same_scan() -> None:
    link = Unplugged()
    reader = open_room_inputs("waveshare", link, CONFIG)
    reader.write(Now(0), Outputs())
    assert link.asked == [bytes.fromhex("00 01 00 00 00 06 01 02 00 00 00 08")]
    assert (reader.read(Now(5_000)).door, reader.sample.link_ok) == (True, True)
    shown = reader.read(Now(10_000))
    assert (shown.door, shown.link_ok, shown.taken_us) == (False, False, 0)


def test_a_module_that_can_not_be_only_read_is_told() -> None:
    with pytest.raises(ValueError, match=r"no hal/room_io/adam_inputs\.py: .* can't be only read"):
        open_room_inputs("adam", pipe()[0], CONFIG)


def test_what_stands_on_a_line_is_never_an_observed_generators() -> None:
    (heard,) = listener().feed(Direction.TO_DEVICE, 0, b"\x02ENBL1\r")
    assert (heard.kind, heard.raw) == (Kind.NOISE, b"\x02ENBL1\r")
    assert "this generator has no wire" in heard.text
    with pytest.raises(WireError, match="ENBL1"):
        _NoWire().tell(Direction.FROM_DEVICE, "ENBL1")
