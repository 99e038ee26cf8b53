"""What may be set in a model to make it fail: its harmless value, and which others there are.

Each model has a table `INJECTIONS`, name -> Injection; the names are attributes of the model.
`fresh` gives them their harmless values, `inject` refuses what can't be, `heal` takes all back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class NotHereError(ValueError):
    """This bench has no such thing; another may have it."""


@dataclass(frozen=True, slots=True)
class Injection:
    """`kind` is asked where the harmless value is None; `words`: the only texts that there are."""

    text: str
    harmless: Any = False
    kind: type = bool
    between: Sequence[float] = (-math.inf, math.inf)  # least and most of a number
    words: tuple[str, ...] = ()
    heals: bool = True  # False: no fault but an arrangement of the room; `heal` lets it be

    def check(self, name: str, value: object) -> None:
        """Raises ValueError with what is allowed."""
        wrong = self._wrong(value)
        if wrong:
            raise ValueError(f"{name} = {value!r}: must be {wrong}")

    def is_fault(self, value: object) -> bool:
        """Something for `heal` to take back."""
        return self.heals and value != self.harmless

    def _wrong(self, value: object) -> str | None:
        kind = self.kind if self.harmless is None else type(self.harmless)
        if not _is_kind(kind, value):
            return self._one_of() if self.words else _KINDS[kind]
        if isinstance(value, str):
            known = not self.words or value in self.words
            return None if known else self._one_of()
        least, most = self.between
        if isinstance(value, int | float) and not least <= value <= most:
            return f"{least:g} to {most:g}"
        return None

    def _one_of(self) -> str:
        return f"one of {', '.join(filter(None, self.words))}"

    def example(self) -> str:
        """Such a value as one writes it."""
        kind = self.kind if self.harmless is None else type(self.harmless)
        if self.words:
            return next(filter(None, self.words))
        least, most = self.between
        middle = (least + most) / 2 if math.isfinite(most - least) else 1.0
        number = f"{middle:.0f}" if kind is int else f"{middle:g}"
        return {bool: "true", str: "text"}.get(kind, number)


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def _is_kind(kind: type, value: object) -> bool:
    if kind is float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)  # type: ignore[arg-type]
    return type(value) is kind


Table = Mapping[str, Injection]


def fresh(target: object, table: Table) -> None:
    for name, injection in table.items():
        setattr(target, name, injection.harmless)


def inject(targets: Sequence[tuple[object, Table]], values: Mapping[str, Any]) -> None:
    """All of `values`, or none; each in the first target that knows it. ValueError: see `check`."""
    for target, name, value in check(targets, values):
        setattr(target, name, value)


def check(
    targets: Sequence[tuple[object, Table]], values: Mapping[str, Any]
) -> list[tuple[object, str, Any]]:
    """Where each would be set; raises ValueError with what is allowed."""
    found = []
    for name, value in values.items():
        target, table = next((one for one in targets if name in one[1]), (None, None))
        if table is None:
            names = ", ".join(known for _, one in targets for known in one)
            raise NotHereError(f"no injection {name!r} here; there are {names}")
        table[name].check(name, value)
        found.append((target, name, value))
    return found


def heal(target: object, table: Table) -> None:
    for name, injection in table.items():
        if injection.heals:
            setattr(target, name, injection.harmless)


def is_hurt(target: object, table: Table) -> bool:
    """There is something for `heal` to take back."""
    return any(injection.is_fault(getattr(target, name)) for name, injection in table.items())
