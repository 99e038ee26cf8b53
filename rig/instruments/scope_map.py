"""What the columns of an oscilloscope's CSV mean, and how many kV or mA a volt is."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal

from pydantic import Field

from firmware_py.config import Strict
from rig.config_errors import Mistake, suggestion
from rig.instruments.column_map import Pct
from rig.instruments.tables import Tables

SECONDS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
MEASURED = ("kv", "time_ms", "ma", "mas")


class Time(Strict):
    """One of three: a column of times, the interval in the row behind a header, or said."""

    header: str = ""
    interval_header: str = ""
    interval_us: Annotated[float, Field(gt=0, le=1e6)] | None = None
    unit: Literal["s", "ms", "us", "ns"] = "s"


class Channel(Strict):
    """`per_volt`: kV or mA; below 0 where the divider turns the sign. `range_v`: of the input."""

    header: str = Field(min_length=1)
    means: Literal["kv", "ma", "sync"]
    per_volt: float = 1.0
    range_v: Annotated[tuple[float, float], Field(strict=False)] | None = None
    optional: bool = False


class Sync(Strict):
    """`means`: what of our timeline the edge is."""

    threshold_v: float = 2.5
    edge: Literal["rising", "falling"] = "rising"
    means: Literal["on_command", "beam_on"] = "on_command"


class ScopeMap(Strict):
    name: str = ""
    about: str
    delimiter: Literal[",", ";", "\t"] = ","
    decimal: Literal[".", ","] = "."
    rows_behind_header: Annotated[int, Field(ge=0, le=10)] = 0
    time: Time
    channel: list[Channel] = Field(min_length=1)
    sync: Sync = Sync()
    uncertainty_pct: dict[str, Pct] = Field(default_factory=dict)  # kv, time_ms, ma, mas; k = 2

    def of(self, means: str) -> Channel | None:
        return next((one for one in self.channel if one.means == means), None)


def _crossed(found: ScopeMap) -> list[Mistake]:
    mistakes = []
    time = found.time
    ways = (bool(time.header), bool(time.interval_header), time.interval_us is not None)
    if sum(ways) != 1:
        text = "say one of header, interval_header, interval_us"
        mistakes.append(Mistake(path=("time",), text=text))
    for means, count in Counter(one.means for one in found.channel).items():
        if count > 1:
            text = f"{count} channels mean {means}"
            mistakes.append(Mistake(path=("channel",), text=text))
    if found.of("kv") is None and found.of("ma") is None:
        mistakes.append(Mistake(path=("channel",), text="none means kv or ma"))
    for at, channel in enumerate(found.channel):
        if channel.per_volt == 0:
            text = "0 kV or mA a volt is no scale"
            mistakes.append(Mistake(path=("channel", at, "per_volt"), text=text))
    if found.delimiter == found.decimal == ",":
        text = "the same sign parts cells and decimals"
        mistakes.append(Mistake(path=("decimal",), text=text))
    mistakes += [
        Mistake(path=("uncertainty_pct", name), text=f"unknown; {suggestion(name, MEASURED)}")
        for name in found.uncertainty_pct
        if name not in MEASURED
    ]
    return mistakes


SCOPE_MAPS = Tables("scope_maps", ScopeMap, _crossed)
