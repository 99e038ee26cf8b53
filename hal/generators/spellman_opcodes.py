"""What a Spellman opcode is, and a question or a command of one model; family 1.

An opcode means one thing on one model and another on the next (3.14 of the protocol reference):
28 reads the scaling of an XRV and sets the watchdog of an XRB011. So a `Question` can be made by a
`Model` alone, from its own table, and the codec of another model refuses to write it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum

from hal.generators.spellman_framing import Dsp
from hal.ports import WireError

FULL_COUNT = 4095  # "4095 scale": 12 bits over the full range


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """What 4095 counts are on this unit; 3.6: it "may differ from the manual"."""

    kv: float
    ma: float


@dataclass(frozen=True, slots=True)
class Field:
    """One argument; `of` = "kv" or "ma": its counts are of that full scale, x `over`."""

    name: str
    unit: str = ""  # "": flags, counts without a known scale, and numbers in unknown units
    per_count: float = 1.0  # units of one count
    of: str = ""
    over: float = 1.0  # 1.2: the converter's range goes 20 % over full scale
    least_count: int = 0
    most_count: int = FULL_COUNT

    def value(self, count: float, scale: Scale) -> float:
        return count * self._per_count(scale)

    def count(self, value: float, scale: Scale) -> int:
        """Rounded; ValueError outside the range."""
        count = round(value / self._per_count(scale))
        if not self.least_count <= count <= self.most_count:
            low, high = (self.value(end, scale) for end in (self.least_count, self.most_count))
            raise ValueError(f"{self.name} must be {low:g}-{high:g} {self.unit}, got {value!r}")
        return count

    def _per_count(self, scale: Scale) -> float:
        full: float = getattr(scale, self.of) * self.over / FULL_COUNT if self.of else 1.0
        return self.per_count * full


class Does(Enum):
    ASK = "asks, changes nothing"
    SET = "sets a value or a mode"
    ACT = "starts, ends or resets something"


@dataclass(frozen=True, slots=True)
class Opcode:
    number: int
    name: str
    does: Does
    source: str  # section of the protocol reference, and its tag
    sends: tuple[Field, ...] = ()
    answers: tuple[Field, ...] = ()  # of a query; a command is answered `$`
    fewest_count: int | None = None  # where document and its own example disagree; None: all
    most_count: int | None = None
    is_text: bool = False  # the answer is part numbers and names, of any count

    @property
    def counts(self) -> range:
        """How many arguments a reply may have."""
        fewest = len(self.answers) if self.fewest_count is None else self.fewest_count
        return range(
            fewest, (len(self.answers) if self.most_count is None else self.most_count) + 1
        )


@dataclass(frozen=True, slots=True)
class Question:
    """Made by `Model.question`, `Model.query` and `Model.read`."""

    model: Model
    opcode: Opcode
    counts: tuple[int, ...] = ()

    @property
    def text(self) -> str:
        return "".join(f"{part}," for part in (f"{self.opcode.number:02d}", *self.counts))


@dataclass(frozen=True, slots=True)
class Reply:
    """`values` in the order of the opcode's fields, as counts; `texts` the same as they came."""

    texts: tuple[str, ...] = ()
    values: tuple[float, ...] = ()
    error: str = ""  # refused: the device's own words

    @property
    def accepted(self) -> bool:
        return not self.error


@dataclass(frozen=True, slots=True, eq=False)  # one of each: known by identity
class Model:
    name: str
    opcodes: tuple[Opcode, ...]
    errors: dict[str, str]  # the device's word -> ours
    source: str
    drives_beam: bool = False  # ON, OFF and the beam's feedback are all known
    unknown: frozenset[int] = frozenset()  # accepted by it, and nobody says what they do
    by_name: dict[str, Opcode] = field(init=False)
    by_number: dict[int, Opcode] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {row.name: row for row in self.opcodes})
        object.__setattr__(self, "by_number", {row.number: row for row in self.opcodes})

    def question(self, name: str, *values: float, scale: Scale) -> Question:
        """A query, or a command with its values in the fields' units. ValueError outside."""
        opcode = self._named(name)
        if len(values) != len(opcode.sends):
            raise ValueError(f"{self.name} {name} takes {len(opcode.sends)} values")
        pairs = zip(opcode.sends, values, strict=True)
        return Question(self, opcode, tuple(made.count(value, scale) for made, value in pairs))

    def query(self, name: str) -> Question:
        """One without values."""
        opcode = self._named(name)
        if opcode.sends:
            raise ValueError(f"{self.name} {name} takes {len(opcode.sends)} values")
        return Question(self, opcode)

    def _named(self, name: str) -> Opcode:
        if name not in self.by_name:
            raise ValueError(f"a Spellman {self.name} has no {name!r} ({self.source})")
        return self.by_name[name]

    def read(self, text: str) -> Question:
        """What the device reads; WireError for what its document does not define."""
        number, arguments = split(text)
        opcode = self.by_number.get(number)
        if opcode is None or len(arguments) != len(opcode.sends):
            raise WireError(f"{text!r} is no command of {self.name}")
        counts = tuple(_whole(argument) for argument in arguments)
        for made, count in zip(opcode.sends, counts, strict=True):
            if not made.least_count <= count <= made.most_count:
                raise OutOfRangeError(
                    f"{text!r}: {made.name} must be {made.least_count}-{made.most_count}"
                )
        return Question(self, opcode, counts)

    def reply(self, question: Question, text: str) -> Reply:
        """What an answer means to its question; WireError when it is none."""
        if text.startswith("E#"):  # 3.4: no opcode in it, so it is the outstanding question's
            return Reply((text,), (), self._words(text))
        number, arguments = split(text)
        if number != question.opcode.number:
            raise WireError(f"{text!r} is no reply to {question.text!r}")
        if arguments[:1] == ("!",):
            return Reply(arguments, (), self._words(",".join(arguments)))
        if question.opcode.does is not Does.ASK:
            return self._receipt(arguments)
        return self._answer(question.opcode, arguments)

    def _receipt(self, arguments: tuple[str, ...]) -> Reply:
        """3.4: a number after a set is an error, and on an XRV whatever is not `$`."""
        if arguments == ("$",):
            return Reply(arguments)
        return Reply(arguments, (), self._words(",".join(arguments)))

    def _answer(self, opcode: Opcode, arguments: tuple[str, ...]) -> Reply:
        if opcode.is_text:
            return Reply(arguments)
        if len(arguments) in opcode.counts:
            return Reply(arguments, _inside(opcode, arguments))
        if len(arguments) == 1 and arguments[0] in self.errors:
            return Reply(arguments, (), self._words(arguments[0]))
        told = f"{opcode.counts.start} to {opcode.counts.stop - 1}"
        raise WireError(f"{len(arguments)} values for {opcode.name} of {self.name}, not {told}")

    def _words(self, error: str) -> str:
        return f"{error} ({self.errors.get(error, 'not in its manual')})"


class OutOfRangeError(WireError):
    """An argument beyond its field: devices answer that, they don't ignore it."""


class Codec:
    """One model's frames, for the side that asks."""

    def __init__(self, model: Model, framing: Dsp) -> None:
        self._model, self._framing = model, framing

    def encode(self, question: Question) -> bytes:
        if question.model is not self._model:
            raise ValueError(f"{question.model.name}'s opcodes never leave for {self._model.name}")
        return self._framing.frame(question.text)

    def decode(self, question: Question, buffer: bytearray) -> Reply | None:
        text = self._framing.take(buffer)
        return None if text is None else self._model.reply(question, text)


def split(text: str) -> tuple[int, tuple[str, ...]]:
    """`10,1280,` -> 10 and its arguments. An opcode has two digits (3.1)."""
    match = re.fullmatch(r"(\d\d),((?:[^,]*,)*)", text)
    if match is None:
        raise WireError(f"{text!r} has no opcode")
    return int(match[1]), tuple(match[2].split(",")[:-1])


def _inside(opcode: Opcode, arguments: tuple[str, ...]) -> tuple[float, ...]:
    """More arguments than fields are read as the last one is: flags, of which a unit has more."""
    values = tuple(_number(argument) for argument in arguments)
    fields = opcode.answers + opcode.answers[-1:] * len(values)
    for made, value in zip(fields, values, strict=False):
        if not made.least_count <= value <= made.most_count:
            raise WireError(
                f"{opcode.name}: {made.name} {value:g} is not {made.least_count}-{made.most_count}"
            )
    return values


def _whole(argument: str) -> int:
    """`42`, `042` and `0042` are equal (3.1)."""
    if not re.fullmatch(r"\d{1,6}", argument):
        raise WireError(f"{argument!r} is no number")
    return int(argument)


def _number(argument: str) -> float:
    if not re.fullmatch(r"-?\d{1,7}(\.\d{1,6})?", argument):
        raise WireError(f"{argument!r} is no number")
    return float(argument) if "." in argument else int(argument)
