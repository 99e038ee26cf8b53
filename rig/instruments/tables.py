"""Tables of one kind: those that ship, by name, and people's own, by file. A TOML file each.

A table is checked as a bench file is: every mistake with file, line and range.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import ValidationError

from firmware_py.config import Strict
from rig.bench import parsed, read_text
from rig.bench_names import shown_path
from rig.config_errors import Mistake, mistakes_of, suggestion, told
from rig.exit_codes import ConfigError, UsageError
from rig.toml_lines import key_lines

T = TypeVar("T", bound=Strict)


class Tables(Generic[T]):
    def __init__(
        self,
        folder: str,
        kind: type[T],
        crossed: Callable[[T], list[Mistake]],
        *,
        word: str = "map",
    ) -> None:
        """`folder`: beside this file. `crossed`: what no single field shows. `word`: for people."""
        self._folder = Path(__file__).parent / folder
        self._kind = kind
        self._crossed = crossed
        self._word = word

    def shipped(self) -> list[str]:
        return sorted(path.stem for path in self._folder.glob("*.toml"))

    def path(self, name_or_file: str) -> Path:
        """Raises UsageError with the nearest name."""
        if name_or_file in self.shipped():
            return self._folder / f"{name_or_file}.toml"
        path = Path(name_or_file)
        if path.suffix == ".toml" or path.exists():
            return path
        near = suggestion(name_or_file, self.shipped())
        raise UsageError(f"no {self._word} {name_or_file!r}; {near}")

    def load(self, named: str | Path) -> T:
        """Raises as `path` does, and ConfigError with all the mistakes of the file."""
        path = named if isinstance(named, Path) else self.path(named)
        text, name = read_text(path), shown_path(path)
        data = parsed(text, name)
        try:
            found = self._kind.model_validate(data | {"name": path.stem})
        except ValidationError as error:
            mistakes = mistakes_of(error.errors(include_url=False), self._kind)
            raise ConfigError(told(name, key_lines(text), mistakes)) from None
        mistakes = self._crossed(found)
        if mistakes:
            raise ConfigError(told(name, key_lines(text), mistakes))
        return found
