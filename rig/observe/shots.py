"""What a person is to set for each shot: of the command line, a plan's file, or an answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from firmware_py.config import Strict, TubeConfig
from rig.bench import parsed, read_text
from rig.config_errors import mistakes_of, told
from rig.exit_codes import ConfigError, UsageError
from rig.toml_lines import key_lines

FIELDS = (("kv", "kV"), ("ma", "mA"), ("mas", "mAs"), ("ms", "ms"))
SHOTS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The loading factors on a maker's console; None: not set there, or not known."""

    kv: float
    ma: float | None = None
    mas: float | None = None
    ms: float | None = None

    def __str__(self) -> str:
        shown = ((getattr(self, name), unit) for name, unit in FIELDS)
        return ", ".join(f"{value:g} {unit}" for value, unit in shown if value is not None)

    @property
    def planned_mas(self) -> float:
        if self.mas is not None:
            return self.mas
        return (self.ma or 0.0) * (self.ms or 0.0) / 1000.0

    def as_dict(self) -> dict[str, float | None]:
        return asdict(self)


class PlanShot(Strict):
    kvp: Annotated[float, Field(gt=0)]
    ma: Annotated[float | None, Field(gt=0)] = None
    mas: Annotated[float | None, Field(gt=0)] = None
    ms: Annotated[float | None, Field(gt=0)] = None
    shots: Annotated[int, Field(ge=1, le=100)] = 1


class PlanFile(Strict):
    shot: Annotated[tuple[PlanShot, ...], Field(strict=False, min_length=1)]


def plan_of(path: Path, tube: TubeConfig) -> list[Setting]:
    """The [[shot]] tables of a file, in order. Raises ConfigError with all its mistakes."""
    text = read_text(path)
    try:
        file = PlanFile.model_validate(parsed(text, str(path)))
    except ValidationError as error:
        mistakes = mistakes_of(error.errors(include_url=False), PlanFile)
        raise ConfigError(told(str(path), key_lines(text), mistakes)) from error
    settings: list[Setting] = []
    wrong: list[str] = []
    for number, shot in enumerate(file.shot, start=1):
        try:
            one = setting_of(tube, shot.kvp, ma=shot.ma, mas=shot.mas, ms=shot.ms)
            settings += [one] * shot.shots
        except UsageError as error:
            wrong += [f"{path}: shot {number}: {line}" for line in str(error).splitlines()]
    if wrong:
        raise ConfigError(wrong)
    if len(settings) > SHOTS_MAX:
        raise ConfigError([f"{path}: {len(settings)} shots are too many; at most {SHOTS_MAX}"])
    return settings


def setting_of(
    tube: TubeConfig, kv: float, *, ma: float | None, mas: float | None, ms: float | None
) -> Setting:
    """Raises UsageError with every reason why nobody should set that on this tube."""
    if (mas is None) == (ms is None) or (ms is not None and ma is None):
        raise UsageError("give mas, or ma with ms: one of them ends the beam")
    found = [
        f"{name} = {value:g} {unit} is outside {low:g} to {high:g} {unit}"
        for name, value, low, high, unit in (
            ("kvp", kv, tube.kv_min, tube.kv_max, "kV"),
            ("ma", ma, tube.ma_min, tube.ma_max, "mA"),
            ("ms", ms, tube.time_min_ms, tube.time_max_ms, "ms"),
            ("mas", mas, 0.001, most_mas(tube), "mAs"),
        )
        if value is not None and not low <= value <= high
    ]
    if ma is not None and not kv * ma <= tube.power_max_w:
        found.append(f"power = {kv * ma:g} W is above {tube.power_max_w:g} W")
    if found:
        raise UsageError("\n".join(found))
    return Setting(kv=kv, ma=ma, mas=mas, ms=ms)


def must_tell_ma(settings: Sequence[Setting]) -> None:
    """For a bench whose images are taken. Raises UsageError."""
    if any(one.ma is None for one in settings):
        raise UsageError(
            "give mA beside mAs (--ma, or ma in the plan): this bench takes the maker's images, "
            "and an image says with what it was made"
        )


def most_mas(tube: TubeConfig) -> float:
    """What this tube can be given in one beam: the bound where nothing else is known."""
    return tube.ma_max * tube.time_max_ms / 1000.0


def answered(text: str, asked: Setting, tube: TubeConfig) -> Setting:
    """Nothing: as asked; else "kV mAs", or "kV mA ms" where a time was asked for.

    Raises UsageError with what would do.
    """
    names = ("kv", "mas") if asked.mas is not None else ("kv", "ma", "ms")
    words = text.replace(",", " ").split()
    if not words:
        return asked
    units = dict(FIELDS)
    try:
        values: Mapping[str, Any] = dict(zip(names, map(float, words), strict=True))
    except ValueError:
        form = " ".join(units[name] for name in names)
        raise UsageError(f"{text!r} is no answer: press Enter, or type {form}") from None
    ma = values.get("ma", asked.ma)
    return setting_of(tube, values["kv"], ma=ma, mas=values.get("mas"), ms=values.get("ms"))
