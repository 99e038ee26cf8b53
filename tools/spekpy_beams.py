"""SpekPy's own numbers for some beams, as literals that the tests compare our beams with."""

from __future__ import annotations

from pathlib import Path

BEAMS = Path(__file__).parents[1] / "tests" / "spekpy_beams.toml"


def beams_toml(generator: str, made: str) -> str:
    raise NotImplementedError
