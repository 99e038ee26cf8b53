"""A Spellman conversation told in words: which model's table reads it must be said beforehand.

One opcode means another thing on another model (3.14), so a listener without the right model would
tell a watchdog as a scaling. Replies carry their opcode; a uX also speaks unasked.
"""

from __future__ import annotations

from hal.generators.spellman_framing import Checksum, Dsp
from hal.generators.spellman_opcodes import Does, Field, Model, Question, Reply, Scale, split
from hal.generators.spellman_tables import MODELS
from hal.listener import WireListener
from hal.ports import Direction, Kind, WireError

_STARTS = {"XRV": "hv", "uX": "hv", "uXMAN": "hv", "XRB011": "hv"}  # what 1 starts and 0 stops


def listener(
    *,
    model: str = "XRV",
    full_scale_kv: float = 160.0,
    full_scale_ma: float = 30.0,
    checksum: Checksum = "inclusive",
) -> WireListener[str]:
    """ValueError for a model without a table of opcodes."""
    if model not in MODELS:
        raise ValueError(f"no opcodes of a Spellman {model!r}; there are {', '.join(MODELS)}")
    scale = Scale(kv=full_scale_kv, ma=full_scale_ma)
    return WireListener(_Wire(MODELS[model], Dsp(checksum), scale))


class _Wire:
    def __init__(self, model: Model, framing: Dsp, scale: Scale) -> None:
        self._model, self._framing, self._scale = model, framing, scale

    def take(self, direction: Direction, buffer: bytearray) -> str | None:
        return self._framing.take(buffer)

    def tell(self, direction: Direction, frame: str) -> tuple[Kind, str]:
        if direction is Direction.TO_DEVICE:
            return self._asked(self._model.read(frame))
        return Kind.REPLY, self._answered(frame)

    def _asked(self, question: Question) -> tuple[Kind, str]:
        row, words = question.opcode, self._words(question)
        if row.name == _STARTS.get(self._model.name):
            return (Kind.BEAM, "HV on") if question.counts == (1,) else (Kind.STOP, "HV off")
        if row.does is Does.ASK:
            return Kind.QUERY, f"{words}?"
        set_point = row.does is Does.SET and row.sends[0].name in ("kv", "ma", "mas", "ms")
        return (Kind.SET if set_point else Kind.ACT), words

    def _words(self, question: Question) -> str:
        pairs = zip(question.opcode.sends, question.counts, strict=True)
        values = (
            f"{made.value(count, self._scale):g} {made.unit}".strip() for made, count in pairs
        )
        return " ".join((question.opcode.name.replace("_", " "), *values))

    def _answered(self, text: str) -> str:
        if text.startswith("E#"):
            return f"error {text}: {self._model.errors.get(text, 'not in its manual')}"
        row = self._model.by_number.get(split(text)[0])
        if row is None:
            raise WireError(f"{text!r}: {self._model.name} has no such opcode")
        name = row.name.replace("_", " ")
        reply = self._model.reply(Question(self._model, row), text)
        if not reply.accepted:
            return f"{name}: refused, {reply.error}"
        if row.does is not Does.ASK:
            return f"{name}: taken"
        return f"{name}: {self._shown(row.answers, reply)}"

    def _shown(self, fields: tuple[Field, ...], reply: Reply) -> str:
        if not fields:
            return ", ".join(reply.texts)
        if all(made.most_count == 1 for made in fields):
            on = [n for n, value in enumerate(reply.values) if value == 1]
            return (
                ", ".join(fields[n].name if n < len(fields) else f"flag {n}" for n in on) or "none"
            )
        pairs = zip(fields, reply.values, strict=False)
        return ", ".join(
            f"{made.name} {made.value(value, self._scale):g} {made.unit}".strip()
            for made, value in pairs
        )
