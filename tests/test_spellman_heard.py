"""What a tap shows of a Spellman line: each vector in one line, and a beam as one."""

from __future__ import annotations

import pytest

from hal.generators import open_listener
from hal.ports import Direction, Heard, Kind
from tests.spellman_vectors import ANSWERED, SENT, framing_of, model_of

TO, FROM = Direction.TO_DEVICE, Direction.FROM_DEVICE


def heard(direction: Direction, data: bytes, **options: object) -> list[Heard]:
    return open_listener("spellman", **options).feed(direction, 0, data)


@pytest.mark.parametrize(
    ("model", "direction", "data", "kind", "text"),
    [
        ("XRV", TO, "02 39 38 2c 31 2c 46 03", Kind.BEAM, "HV on"),
        ("XRV", TO, "02 39 38 2c 30 2c 47 03", Kind.STOP, "HV off"),
        ("uX", TO, "02 39 39 2c 31 2c 45 03", Kind.BEAM, "HV on"),
        ("SLM", TO, "02 39 39 2c 31 2c 45 03", Kind.ACT, "remote 1"),
        ("XRV", TO, "02 31 30 2c 31 32 38 30 2c 7c 03", Kind.SET, "set kv 50.0122 kV"),
        ("XRV", TO, "02 32 38 2c 6a 03", Kind.QUERY, "scaling?"),
        ("XRB011", TO, "02 32 38 2c 35 2c 49 03", Kind.ACT, "set watchdog 5 s"),
        ("XRV", TO, "02 33 31 2c 70 03", Kind.ACT, "clear"),
        ("XRV", FROM, "02 39 38 2c 24 2c 53 03", Kind.REPLY, "hv: taken"),
        ("PMX", FROM, "02 37 34 2c 39 2c 44 03", Kind.REPLY,
         "set mas: refused, 9 (X-ray is on)"),
        ("uX", FROM, "02 32 32 2c 30 2c 31 2c 30 2c 5b 03", Kind.REPLY, "status: interlock_open"),
        ("XRV", FROM, "02 32 38 2c 31 36 30 2c 33 30 2c 30 2c 7c 03", Kind.REPLY,
         "scaling: kv_max 160 kV, ma_max 30 mA, bipolar 0"),
        ("uX", FROM, "02 32 38 2c 31 36 30 2c 33 30 2c 30 2c 7c 03", Kind.UNKNOWN,
         "unknown: '28,160,30,0,': uX has no such opcode"),
        ("XRV", TO, "02 39 39 2c 31 2c 45 03", Kind.UNKNOWN,
         "unknown: '99,1,' is no command of XRV"),
        ("XRV", TO, "02 39 38 2c 31 2c 47 03", Kind.NOISE,
         "wrong checksum: 39 38 2c 31 2c 47"),
    ],
)  # fmt: skip
def test_a_frame_is_told_by_its_models_table(
    model: str, direction: Direction, data: str, kind: Kind, text: str
) -> None:
    (found,) = heard(direction, bytes.fromhex(data), model=model)
    assert (found.kind, found.text, found.raw) == (kind, text, bytes.fromhex(data))


def test_a_flag_beyond_the_table_is_told_by_its_number() -> None:
    data = b"\x02" + b"32," + b"0," * 8 + b"1,"
    (found,) = heard(FROM, data + b"\x03", model="uX", checksum="none")
    assert found.text == "faults: flag 8"


def test_a_bare_error_is_told_in_words() -> None:
    (found,) = heard(FROM, b"E#2", model="uXMAN", checksum="none")
    assert found.text == "error E#2: interlock"


def test_every_vector_is_told_in_one_line_and_no_byte_is_lost() -> None:
    for vectors, direction in ((SENT, TO), (ANSWERED, FROM)):
        for vector in vectors:
            (found,) = heard(
                direction,
                vector.bytes,
                model=model_of(vector).name,
                checksum=framing_of(vector).checksum,
            )
            assert found.raw == vector.bytes
            assert found.text.isprintable()
            assert found.kind not in (Kind.NOISE, Kind.UNKNOWN)


def test_only_on_is_a_beam() -> None:
    for vector in SENT:
        options = {"model": model_of(vector).name, "checksum": framing_of(vector).checksum}
        (found,) = heard(TO, vector.bytes, **options)
        starts = vector.fields["command"] == "hv" and vector.fields["values"] == [1]
        assert (found.kind is Kind.BEAM) is starts


def test_without_a_table_nothing_is_told() -> None:
    with pytest.raises(ValueError, match="no opcodes of a Spellman '695'; there are XRV, uX"):
        open_listener("spellman", model="695")
