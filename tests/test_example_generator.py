"""EXAMPLE: its contract, its bytes against the vectors, its own rules."""

from __future__ import annotations

import pytest

from hal.links import pipe
from hal.ports import ByteLink, Direction
from hal.types import AecSetting, GeneratorState, Outputs, Technique
from tests.contract_generator import GeneratorContract
from tests.fake_generator import FakeModel
from tests.generator_bench import SCAN_US, GeneratorBench
from tests.line_vectors import assert_holds, direction_of, lines, meant, row_name
from tests.vectors_loader import Vector, load
from tools.example_generator import CODEC, FAULTS, Driver
from tools.example_generator_desk import Desk

VECTORS = load("example_generator")
MAS = Technique(kv=80.0, ma=0.5, mas=0.4)
CHAMBERS = AecSetting(chambers=("left",), sensitivity_index=1, expected_mas=0.4, backup_mas=0.8)


class TestContract(GeneratorContract):
    on_bytes = b":START\r"
    off_bytes = b":STOP\r"
    stray_on = b":STATE1 1 000 0800 00500\r"
    settings = (b":VOLT", b":CURR", b":TIME")

    def make_driver(self, link: ByteLink, **polls_us: int) -> Driver:
        return Driver(link, **polls_us)  # type: ignore[arg-type]

    def make_desk(self, model: FakeModel) -> Desk:
        return Desk(model)


# --- bytes: literally from the maker's document ---------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_line_is_the_documents_bytes_both_ways(vector: Vector) -> None:
    assert_holds(CODEC, vector)


def test_every_row_of_the_table_has_a_vector() -> None:
    held = {(direction_of(vector), row_name(vector)) for vector in VECTORS}
    assert held == {(row.direction, row.name) for row in CODEC.rows}


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_line_may_be_cut_anywhere_and_stand_between_garbage(vector: Vector) -> None:
    data, wanted = vector.bytes, [meant(CODEC, vector)]
    for at in range(1, len(data)):
        assert lines(CODEC, vector, data[:at], data[at:]) == wanted
    assert lines(CODEC, vector, b"\xff:ab\r\x00" + data + b":\x80") == wanted


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_a_line_with_any_bit_flipped_is_never_taken_for_itself(vector: Vector) -> None:
    """It may be taken for another: nothing on this wire has a checksum."""
    data = vector.bytes
    for at, bit in ((at, bit) for at in range(len(data)) for bit in range(8)):
        flipped = data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]
        assert meant(CODEC, vector) not in lines(CODEC, vector, flipped)


# --- its own rules --------------------------------------------------------------------------------


def ready() -> GeneratorBench:
    bench = GeneratorBench(Driver, Desk)
    bench.run_until(lambda s: s.identity and s.interlock_taken_us)
    bench.run_until(lambda s: s.state is GeneratorState.READY, Outputs(technique=MAS))
    return bench


def test_the_time_is_set_first_and_the_watchdog_before_it() -> None:
    sent = [data for _, data in ready().sent if data[1:5] in (b"WATC", b"TIME", b"VOLT", b"CURR")]
    assert sent == [b":WATCH02\r", b":TIME01300\r", b":VOLT0800\r", b":CURR00500\r"]


def test_each_fault_bit_has_its_code() -> None:
    for name, code, shuts_down in FAULTS:
        bench = ready()
        bench.model.bits.add(name)
        sample = bench.run_until(lambda s: s.faults)
        assert sample.faults == (code,)
        assert (sample.state is GeneratorState.FAULT) is shuts_down


def test_a_fault_bit_that_the_table_does_not_have_is_told_with_its_number() -> None:
    bench = ready()
    bench.edit = lambda reply: reply.replace(b" 000 ", b" 016 ")
    sample = bench.run_until(lambda s: s.faults)
    assert (sample.faults, sample.raw_faults) == (("GENERATOR_UNKNOWN",), "fault bits 16")
    assert sample.state is GeneratorState.FAULT


def test_clear_waits_for_the_end_of_the_beam() -> None:
    bench = ready()
    order_us = bench.t_us + SCAN_US
    outputs = Outputs(technique=MAS, expose_from_us=order_us, clear_faults_from_us=order_us)
    bench.run_until(lambda s: s.on_answered_us, outputs)
    bench.run(200_000)
    assert bench.model.clears_us == []
    bench.run(200_000, Outputs(clear_faults_from_us=order_us))
    assert len(bench.model.clears_us) == 1


@pytest.mark.parametrize(
    ("technique", "words"),
    [
        (Technique(kv=29.9, ma=0.5, mas=1.0), "kv makes 29.9 kV, must be 30-120 kV"),
        (Technique(kv=80.0, ma=10.1, mas=1.0), "ma makes 10.1 mA, must be 0.2-10 mA"),
        (Technique(kv=80.0, ma=0.5, ms=60_001.0), "ms makes 60001 ms, must be 1-60000 ms"),
        (Technique(kv=80.0, ma=0.5, mas=40.0), "mas makes 80500 ms, must be 1-60000 ms"),
        (Technique(kv=80.0, ma=0.5, mas=0.0004), "mas must be at least 0.001 mAs, got 0.0004"),
        (Technique(kv=80.0, ma=0.5, aec=CHAMBERS), "aec: this generator ends no beam by chambers"),
        (Technique(kv=80.0, ma=0.5), "exactly one of mas, ms and aec must be given"),
    ],
)
def test_a_technique_it_cannot_make_names_field_and_range(technique: Technique, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Driver(pipe()[0]).effective(technique)


def test_a_technique_is_taken_in_the_devices_steps() -> None:
    driver = Driver(pipe()[0])
    asked = Technique(kv=80.04, ma=0.50004, ms=94.2)
    assert driver.effective(asked) == Technique(kv=80.0, ma=0.5, ms=95.0)
    assert driver.maximum_mas(MAS) == pytest.approx(0.65)  # 800 ms, and 500 ms of ramp


def test_a_listener_tells_both_directions() -> None:
    heard = CODEC.listener().feed(Direction.TO_DEVICE, 0, b":VOLT0800\r:START\r")
    assert [(h.kind.value, h.text) for h in heard] == [("set", "voltage 80 kV"), ("beam", "start")]
