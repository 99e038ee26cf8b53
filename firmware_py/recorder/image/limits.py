"""A number that a result is held against, and who says so: data, not code.

Marks as in qc-and-physics.md: S stated in a public source, C computed for this project,
M from memory of a standard and not verified against its text, D our own choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mark = Literal["S", "C", "M", "D"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    name: str
    text: str  # what is held against the value
    value: float
    unit: str
    source: str
    mark: Mark

    @property
    def verified(self) -> bool:
        """False: quoted from memory, so never a limit that safety rests on."""
        return self.mark != "M"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    limit: Limit
    found: float | None  # in the limit's unit; None: nothing there to be measured
    ok: bool


NO_RESPONSE = Limit(
    name="dead",
    text="no response (signal at most this share of the panel's median), or constant",
    value=0.05,
    unit="of the median",
    source="class: ASTM E2597 (x-ray-forum.net thread), S; the share: our own",
    mark="D",
)
