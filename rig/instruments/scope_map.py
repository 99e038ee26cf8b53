"""What the columns of an oscilloscope's CSV mean, and how many kV or mA a volt is."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from firmware_py.config import Strict
from rig.bench import parsed, read_text
from rig.bench_names import shown_path
from rig.config_errors import Mistake, mistakes_of, suggestion, told
from rig.exit_codes import ConfigError, UsageError
from rig.instruments.column_map import Pct
from rig.toml_lines import key_lines

SHIPPED = Path(__file__).parent / "scope_maps"
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


def shipped_scope_maps() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def scope_map_path(name_or_file: str) -> Path:
    """Raises UsageError with the nearest name."""
    if name_or_file in shipped_scope_maps():
        return SHIPPED / f"{name_or_file}.toml"
    path = Path(name_or_file)
    if path.suffix == ".toml" or path.exists():
        return path
    raise UsageError(f"no map {name_or_file!r}; {suggestion(name_or_file, shipped_scope_maps())}")


def load_scope_map(path: Path) -> ScopeMap:
    """Raises ConfigError with all the mistakes of the file."""
    text, name = read_text(path), shown_path(path)
    data = parsed(text, name)
    found, mistakes = None, []
    try:
        found = ScopeMap.model_validate(data | {"name": path.stem})
    except ValidationError as error:
        mistakes = mistakes_of(error.errors(include_url=False), ScopeMap)
    if found is not None:
        mistakes = _crossed(found)
    if found is None or mistakes:
        raise ConfigError(told(name, key_lines(text), mistakes))
    return found


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
