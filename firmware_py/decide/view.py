"""What a predicate sees: the memory, this scan's inputs, the time, and the causes found."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_py.decide.memory import Memory
from hal.now import Now
from hal.types import Inputs


@dataclass(slots=True)
class View:
    memory: Memory
    inputs: Inputs
    now: Now
    causes: tuple[str, ...] = ()  # faults of hal.faults that are present in this scan
    why: str = ""  # the predicate that matched
