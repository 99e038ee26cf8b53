"""The GeniX3D's tables against bytes from outside, and mistakes planted into them.

Driver and desk share the tables, so no conversation between the two can find any of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hal.generators import genix3d_wire as wire
from hal.modbus import Question, TcpClientCodec
from hal.ports import WireError
from tests.vectors_loader import Vector, load

VECTORS = load("genix3d")
Plant = Callable[[pytest.MonkeyPatch], None]


def framed(vector: Vector, question: Question) -> bytes:
    number = int.from_bytes(vector.bytes[:2], "big")
    return TcpClientCodec(device_id=1, last_transaction_id=number - 1).encode(question)


def decoded(vector: Vector, question: Question) -> Any:
    codec = TcpClientCodec(device_id=1, last_transaction_id=vector.bytes[1] - 1)
    codec.encode(question)
    return codec.decode(question, bytearray(vector.bytes))


def assert_holds(vector: Vector) -> None:
    means = vector.fields["means"]
    if "question" in means:
        assert framed(vector, getattr(wire, means["question"])) == vector.bytes
    elif "command" in means:
        assert framed(vector, wire.command(means["command"], on=means["on"])) == vector.bytes
    elif "power_function" in means:
        assert framed(vector, wire.ASK_POWER[means["power_function"]]) == vector.bytes
    elif "status" in means:
        bits = decoded(vector, wire.ASK_STATUS)
        assert wire.read_status(bits).set_names == set(means["status"])
        assert tuple(wire.status_bits(set(means["status"]))) == bits
    else:
        counts, power = decoded(vector, wire.ASK_POWER[3]), wire.Power(**means["power"])
        assert wire.read_power(counts) == power
        assert tuple(wire.power_counts(power)) == counts


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_tables_make_and_read_the_bytes(vector: Vector) -> None:
    assert_holds(vector)


def test_every_bit_and_every_command_has_a_vector() -> None:
    means = [vector.fields["means"] for vector in VECTORS]
    assert {one["command"] for one in means if "command" in one} == set(wire.COMMANDS)
    assert {name for one in means for name in one.get("status", ())} == set(wire.BITS)


def test_what_has_another_size_is_refused() -> None:
    with pytest.raises(WireError, match="35 coils are no status"):
        wire.read_status((False,) * 35)
    with pytest.raises(WireError, match="3 registers are no power"):
        wire.read_power((1, 2, 3))


# --- planted mistakes ----------------------------------------------------------------------------


def bit_moved(name: str) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        rows = [replace(b, index=b.index + (1 if b.name == name else 0)) for b in wire._BITS]
        patch.setattr(wire, "_BITS", tuple(rows))
        patch.setattr(wire, "BITS", {row.name: row for row in rows})

    return plant


def command_moved(name: str) -> Plant:
    return lambda patch: patch.setitem(wire.COMMANDS, name, wire.COMMANDS[name] + 1)


def value(name: str, wrong: object) -> Plant:
    return lambda patch: patch.setattr(wire, name, wrong)


def asked(name: str, **wrong: int) -> Plant:
    return lambda patch: patch.setattr(wire, name, replace(getattr(wire, name), **wrong))


def words_turned(patch: pytest.MonkeyPatch) -> None:
    honest = wire.read_power
    patch.setattr(wire, "read_power", lambda values: honest(values[::-1]))


def bytes_turned(patch: pytest.MonkeyPatch) -> None:
    honest = wire.read_power

    def turned(values: tuple[int, ...]) -> wire.Power:
        return honest(tuple(v % 256 * 256 + v // 256 for v in values))

    patch.setattr(wire, "read_power", turned)


def planted() -> Iterator[tuple[str, Plant]]:
    yield from ((f"bit {name}", bit_moved(name)) for name in wire.BITS)
    yield from ((f"coil {name}", command_moved(name)) for name in wire.COMMANDS)
    yield "kV x 10", value("PER_KV", 10)
    yield "mA x 10", value("PER_MA", 10)
    yield "mA x 1000", value("PER_MA", 1000)
    yield "status: address", asked("ASK_STATUS", address=211)
    yield "status: one-based", asked("ASK_STATUS", address=209)
    yield "status: count", asked("ASK_STATUS", count=35)
    yield "registers: the other function", value("ASK_POWER", {3: wire.ASK_POWER[4], 4: None})
    yield "registers: address", value("ASK_POWER", {3: replace(wire.ASK_POWER[3], address=51)})
    yield "word order", words_turned
    yield "byte order", bytes_turned
    yield "ON for OFF", value("OFF", wire.XRAYS_ON)
    yield "OFF closes the shutter alone", value("OFF", wire.CLOSE[1])
    yield "ON: X-rays for the shutter", value("ON", wire.XRAYS_ON)
    yield "ON: the shutter's other coil", value("ON", wire.CLOSE[1])


PLANTED = list(planted())


def caught_by() -> list[str]:
    """The vectors that no longer hold."""
    caught = []
    for vector in VECTORS:
        try:
            assert_holds(vector)
        except (AssertionError, KeyError, WireError, AttributeError):
            caught.append(vector.name)
    return caught


@pytest.mark.parametrize("plant", [p for _, p in PLANTED], ids=[name for name, _ in PLANTED])
def test_a_planted_mistake_is_found_by_the_vectors_alone(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)
    assert caught_by()
