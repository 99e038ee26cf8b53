"""What a device must be asked, one thing after the other, and answer as it must, before ON.

For preparations that are a list of questions. One wrong answer begins the list anew; a third one,
or a technique that can't be, is a fault, and nothing more is asked for this technique.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

S = TypeVar("S")

TRIES = 3  # lists with a wrong answer before it is a fault


class Steps(Generic[S]):
    """Of one preparation; the next one has its own."""

    def __init__(self) -> None:
        self.failed = ""  # why nothing more is asked, for people
        self.tries_count = 0  # that were in vain
        self._left: list[S] = []

    @property
    def first(self) -> S | None:
        """The one that is to be asked, or is being answered."""
        return self._left[0] if self._left else None

    def next(self, begin: Callable[[], list[S]]) -> S | None:
        """`begin` makes the list, or raises ValueError: then it has failed."""
        if not self._left and not self.failed:
            try:
                self._left = begin()
            except ValueError as error:
                self.failed = str(error)
        return self.first

    def took(self, wrong: str = "") -> bool:
        """The first one was answered; `wrong`: how it should not be. True: that was the last."""
        self._left.pop(0)
        if not wrong:
            return not self._left
        self.tries_count += 1
        self._left = []
        if self.tries_count == TRIES:
            self.failed = wrong
        return False
