"""The program's own settings, and which of several places each came from.

Later wins: default, /etc/dxrig/config.toml, $XDG_CONFIG_HOME/dxrig/config.toml, --config,
environment, flag. A path in a file is relative to that file.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from rig.exit_codes import ConfigError

KEYS = ("bench", "out")
DEFAULTS = {"bench": "portable", "out": "runs"}
SYSTEM_FILE = Path("/etc/dxrig/config.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    value: str
    origin: str  # a file, a variable, a flag, or "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    bench: Setting
    out: Setting


def user_file() -> Path:
    given = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path.home() / ".config"
    return base / "dxrig" / "config.toml"


def settings(
    *, config_file: str | None = None, bench: str | None = None, out: str | None = None
) -> Settings:
    """Raises ConfigError with all mistakes of the first file that has some."""
    found = {key: Setting(value=DEFAULTS[key], origin="default") for key in KEYS}
    for file in (SYSTEM_FILE, user_file()):
        if file.exists():
            found |= _from_file(file)
    if config_file is not None:
        found |= _from_file(Path(config_file))
    for key, flag in (("bench", bench), ("out", out)):
        variable = f"DXRIG_{key.upper()}"
        if os.environ.get(variable):
            found[key] = Setting(value=os.environ[variable], origin=variable)
        if flag is not None:
            found[key] = Setting(value=flag, origin=f"--{key}")
    return Settings(bench=found["bench"], out=found["out"])


def _from_file(file: Path) -> dict[str, Setting]:
    data = _tables(file)
    found = {key: _mistake(key, value) for key, value in data.items()}
    mistakes = [f"{file}: {key}: {text}" for key, text in found.items() if text]
    if mistakes:
        raise ConfigError(mistakes)
    return {
        key: Setting(value=_beside(file, key, value), origin=str(file))
        for key, value in data.items()
    }


def _tables(file: Path) -> dict[str, str]:
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8"))
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise ConfigError([f"{file}: can't be read: {why}"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{file}: not valid TOML: {error}"]) from error


def _mistake(key: str, value: object) -> str:
    if key not in KEYS:
        near = get_close_matches(key, KEYS, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(KEYS)}"
        return f"unknown key; {hint}"
    if not isinstance(value, str) or not value:
        return 'expected a text in "quotes"'
    return ""


def _beside(file: Path, key: str, value: str) -> str:
    is_name = key == "bench" and not value.endswith(".toml")
    return value if is_name else str(file.parent / value)
