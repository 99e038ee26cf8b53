"""Sound copies of what nothing can make again: in a backup, an export, or the state itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from firmware_py.recorder.image import maps
from rig.exposures.wrong import sha256_of


def copy_of(name: str, shot_id: str, sha256: str, source: Path | None) -> Path | None:
    """In `source`, in a folder that is named after the exposure: an export's, or a run's."""
    if source is None:
        return None
    for path in sorted(source.rglob(f"*{shot_id}/{name}")):
        with suppress(OSError):
            if sha256_of(path) == sha256:
                return path
    return None


def panel_set_copy(state: Path, run: Path, sha256: str, source: Path | None) -> Path | None:
    """A sound set with this very content: each run has its own, and the panel its versions."""
    paths = _sets(state, run, f"panel-set-{sha256[:16]}.npz", source)
    return next((path for path in paths if _sha256_of_set(path) == sha256), None)


def panel_sets(state: Path, run: Path, source: Path | None) -> Iterator[str]:
    """The sha256 of each sound set that a run may have used, the likely ones first."""
    seen = set[str]()
    for own in [*sorted(run.glob("panel-set-*.npz")), run / "panel-set-.npz"]:
        for path in (own, *_sets(state, run, own.name, source)):
            sha256 = _sha256_of_set(path)
            if sha256 is not None and sha256 not in seen:
                seen.add(sha256)
                yield sha256


def _sets(state: Path, run: Path, name: str, source: Path | None) -> Iterator[Path]:
    yield run / "work" / "panel-set.npz"
    yield from sorted(state.glob(f"runs/*/{name}"))
    yield from sorted(state.glob("panels/*/set-*.npz"))
    if source is not None:
        yield from sorted(source.rglob("*.npz"))


def _sha256_of_set(path: Path) -> str | None:
    try:
        return maps.load(path).sha256
    except maps.PanelSetError:
        return None
