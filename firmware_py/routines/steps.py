"""What a routine is made of: shots, pauses, questions, and what came of each.

A routine is a generator: it yields a step and is sent that step's result. It asks no clock,
no chance and no device, so the same results lead to the same steps: that is how it is run
dry, and how it is resumed after a crash (the results so far are sent again).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hal.types import ShotKind, Technique


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """One shot through the ordinary sequence; a dark frame needs no press."""

    technique: Technique
    kind: ShotKind
    note: str  # what it is for: "40 kV, 3 of 10"
    part: str = ""  # which group of frames or steps it belongs to
    raw: bool = False
    warms: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Nothing is irradiated and nobody holds anything."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A person must do something and say so. `key`: what a simulated room does by itself."""

    key: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """The supply does not last for the next step: charge, then resume."""

    hours: float
    text: str


Step = Fire | Pause | Ask | Charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """What came of a shot. Doses are *indicated* by the generator."""

    shot_id: str
    reason: str  # EndReason's value
    beam: bool = False
    mas: float | None = None  # None with a beam: unknown
    beam_ms: float | None = None
    kv: float | None = None
    ma: float | None = None
    faults: tuple[str, ...] = ()
    level_counts: int | None = None  # median of a raw frame

    @property
    def released(self) -> bool:
        """A person ended it early: by the handswitch, or by a stop."""
        return self.reason in ("handswitch released", "stop requested")


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What came of a pause, a question or a charge. `who`: the person who said so."""

    who: str = ""


Result = Fired | Done


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a routine ended by itself."""

    passed: bool
    text: str


Routine = Generator[Step, Result, Verdict]


class ReplayError(ValueError):
    """The results do not fit the routine's steps: they are of another plan."""


def result_to_dict(result: Result) -> dict[str, Any]:
    name = "fired" if isinstance(result, Fired) else "done"
    return {"result": name, **asdict(result)}


def result_from_dict(data: Mapping[str, Any]) -> Result:
    """Raises ValueError."""
    values = {key: value for key, value in data.items() if key != "result"}
    try:
        if data.get("result") == "fired":
            return Fired(**values | {"faults": tuple(values.get("faults", ()))})
        if data.get("result") == "done":
            return Done(**values)
    except TypeError as error:
        raise ValueError(f"no result of a step: {error}") from error
    raise ValueError(f"no result of a step: {data!r}")


def fits(step: Step, result: Result) -> bool:
    return isinstance(result, Fired) is isinstance(step, Fire)
