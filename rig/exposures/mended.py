"""One finding of a repair, and what was done about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

MADE, COPIED, ASIDE, GIVEN_BACK, LEFT = (
    "made again", "copied back", "put aside", "given back", "left",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """`why`: what a person must know or do. `kept`: what lies in quarantine because of it.

    Sums are sha256: of when it was saved, and as it was found; None: not known.
    """

    exposure: str  # its id, or "journal"; "": of a run, and of no exposure of it
    file: str
    found: str
    done: str  # MADE, COPIED, ASIDE, GIVEN_BACK, LEFT
    why: str = ""
    path: Path | None = None
    kept: Path | None = None
    expected: str | None = None
    sha256: str | None = None

    @property
    def is_mended(self) -> bool:
        return self.done != LEFT

    def as_dict(self) -> dict[str, Any]:
        return {
            "exposure": self.exposure or None,
            "file": self.file,
            "path": self.path and str(self.path),
            "found": self.found,
            "done": self.done,
            "mended": self.is_mended,
            "why": self.why or None,
            "quarantined": self.kept and str(self.kept),
            "sha256_expected": self.expected,
            "sha256_found": self.sha256,
        }
