"""The vectors of room modules against their maps, for the tests and for the planted mistakes."""

from __future__ import annotations

import pytest

from firmware_py.config import RoomConfig
from hal.links import pipe
from hal.modbus import Question, RtuClientCodec, TcpClientCodec, WriteCoil
from hal.ports import WireError
from hal.room_io import mapped
from hal.room_io.mapped import Coil, Driver, closed_of, pulse_of
from hal.room_io.mapped_table import ModuleMap
from hal.types import CONTACTS
from tests.vectors_loader import Vector, load

VECTORS = [v for file in ("waveshare", "adam", "iologik") for v in load(file) if "map" in v.fields]


def of_map(name: str) -> list[Vector]:
    return [vector for vector in VECTORS if vector.fields["map"] == name]


def driver_with(patch: pytest.MonkeyPatch, module: ModuleMap) -> Driver:
    patch.setattr(mapped, "module_map", lambda named: module)
    return Driver(pipe()[0], RoomConfig(driver="mapped", map="a map", url="sim"))


def sent(driver: Driver, vector: Vector) -> Question:
    """What the driver says when it does what the vector is about."""
    module, do = driver.map, vector.fields["do"]
    if do == "read inputs":
        return driver._ask_inputs
    if do == "read coils":
        return driver._ask_coils
    if do == "all":
        assert module.outputs.all_address is not None
        return WriteCoil(address=module.outputs.all_address, closed=True)
    if do == "pulse":
        assert module.pulse is not None
        channel = vector.fields.get("channel", module.outputs.coils.index("enable"))
        return pulse_of(module.pulse, channel, vector.fields["ms"])
    return driver._switched(Coil[do.upper()], vector.fields["ask"]["closed"])


def framed(vector: Vector, question: Question) -> bytes:
    if vector.fields["wire"] == "rtu":
        return RtuClientCodec(device_id=vector.bytes[0]).encode(question)
    number = int.from_bytes(vector.bytes[:2], "big")
    codec = TcpClientCodec(device_id=vector.bytes[6], last_transaction_id=number - 1)
    return codec.encode(question)


def assert_holds(driver: Driver, vector: Vector) -> None:
    question = sent(driver, vector)
    if vector.fields["side"] != "reply":
        assert framed(vector, question) == vector.bytes
        return
    codec = TcpClientCodec(device_id=1)
    codec.encode(question)
    reply = codec.decode(question, bytearray(vector.bytes))
    assert isinstance(reply, tuple)
    # The I/O map of the design: channel by channel, 1 = closed.
    wanted = {name: bool(bit) for name, bit in zip(CONTACTS, vector.fields["says"], strict=False)}
    assert closed_of(driver.map.inputs, reply) == wanted


def caught_by(patch: pytest.MonkeyPatch, module: ModuleMap, name: str) -> list[str]:
    """The vectors of that map that no longer hold."""
    try:
        driver = driver_with(patch, module)
    except (ValueError, IndexError) as error:
        return [str(error)]
    caught = []
    for vector in of_map(name):
        try:
            assert_holds(driver, vector)
        except (AssertionError, ValueError, IndexError, WireError):
            caught.append(vector.name)
    return caught
