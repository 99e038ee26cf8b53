"""The Spellman vectors against tables and codec, for the tests and for the planted mistakes."""

from __future__ import annotations

import pytest

from hal.generators import spellman_tables as tables
from hal.generators.spellman_framing import Dsp
from hal.generators.spellman_opcodes import Codec, Model, Question, Reply, Scale
from tests.vectors_loader import Vector, load

VECTORS = load("spellman")
OLD = load("spellman_old")
SENT = [vector for vector in VECTORS if "command" in vector.fields]
ANSWERED = [vector for vector in VECTORS if "to" in vector.fields]
SCALE = Scale(kv=160.0, ma=30.0)


def model_of(vector: Vector) -> Model:
    return tables.MODELS[vector.fields["model"]]


def framing_of(vector: Vector) -> Dsp:
    return Dsp(vector.fields.get("checksum", "inclusive"))


def codec_of(vector: Vector) -> Codec:
    return Codec(model_of(vector), framing_of(vector))


def asked(vector: Vector) -> Question:
    return model_of(vector).question(
        vector.fields["command"], *vector.fields["values"], scale=SCALE
    )


def answered(vector: Vector) -> Question:
    """The question that this reply answers; what a command carried is not in its reply."""
    model = model_of(vector)
    return Question(model, model.by_name[vector.fields["to"]])


def assert_means(vector: Vector, reply: Reply) -> None:
    fields = vector.fields
    if "error" in fields:
        assert reply.error.startswith(fields["error"])
        assert reply.accepted is (fields["error"] == "")
        return
    assert reply.accepted
    if "texts" in fields:
        assert list(reply.texts) == fields["texts"]
        return
    opcode = answered(vector).opcode
    pairs = zip(opcode.answers, reply.values, strict=False)
    units = {made.name: made.value(count, SCALE) for made, count in pairs}
    assert len(units) == len(reply.values)
    if "flags" in fields:
        assert [name for name, value in units.items() if value == 1] == fields["flags"]
        assert set(units.values()) <= {0, 1}
    else:
        assert units == pytest.approx(fields["reply"], abs=1e-3)


def assert_sent(vector: Vector) -> None:
    """Both ways: what it means becomes its bytes, and its bytes mean that."""
    question, framing = asked(vector), framing_of(vector)
    assert codec_of(vector).encode(question) == vector.bytes
    buffer = bytearray(vector.bytes)
    text = framing.take(buffer)
    assert text is not None
    assert model_of(vector).read(text) == question
    assert buffer == b""


def assert_answered(vector: Vector) -> None:
    buffer = bytearray(vector.bytes)
    reply = codec_of(vector).decode(answered(vector), buffer)
    assert reply is not None
    assert buffer == b""
    assert_means(vector, reply)
    if not reply.texts[0].startswith("E#"):
        number = answered(vector).opcode.number
        text = ",".join((f"{number:02d}", *reply.texts, ""))
        assert framing_of(vector).frame(text) == vector.bytes


def assert_holds(vector: Vector) -> None:
    if "command" in vector.fields:
        assert_sent(vector)
    else:
        assert_answered(vector)
