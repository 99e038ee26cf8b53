"""What there is to choose from: benches that ship, and drivers, which are files in hal."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from rig.exit_codes import ConfigError, UsageError

ROOT = Path(__file__).resolve().parent.parent
BENCHES = ROOT / "rig" / "benches"
DRIVER_FOLDERS = {"generator": "generators", "room": "room_io", "panel": "detectors",
                  "collimator": "collimators", "dap": "meters"}  # fmt: skip
BEGIN = {"dap": "dap_"}  # what else lies in that folder is of other use


def shipped_benches() -> dict[str, Path]:
    return {file.stem: file for file in sorted(BENCHES.glob("*.toml"))}


def variants() -> dict[str, Path]:
    """Benches that ship beside those of the table: one thing of a bench done another way.

    `all` means none of them; they are named.
    """
    return {file.stem: file for file in sorted((BENCHES / "variants").glob("*.toml"))}


def drivers(section: str) -> list[str]:
    """Driver names for a section of the bench file: generator, room, panel, collimator or dap.

    NAME_desk.py, NAME_wire.py and such belong to NAME.py.
    """
    folder = ROOT / "hal" / DRIVER_FOLDERS[section]
    names = {file.stem for file in folder.glob("*.py") if not file.stem.startswith("_")}
    names = {name for name in names if name.startswith(BEGIN.get(section, ""))}
    return sorted(n for n in names if not any(n.startswith(f"{other}_") for other in names))


def bench_path(name_or_path: str | Path) -> Path:
    """A bench that ships, by its bare name; else a file, relative to the working folder.

    Raises UsageError or ConfigError.
    """
    shipped = shipped_benches()
    name = str(name_or_path)
    if name in shipped:
        return shipped[name]
    if name in variants():
        return variants()[name]
    path = Path(name)
    if path.is_file():
        return path
    if path.suffix == ".toml" or len(path.parts) > 1:
        raise ConfigError([f"{name}: {'is a folder' if path.is_dir() else 'no such file'}"])
    near = get_close_matches(name, [*shipped, *variants()], n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"benches that ship: {', '.join(shipped)}"
    raise UsageError(f"no bench '{name}'; {hint}")


def shown_path(path: Path) -> str:
    """As short as it can be written from the working folder."""
    here = Path.cwd()
    absolute = path.resolve()
    return str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)
