"""The portable bench with shorter routines, and the wiring's own record of what was closed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path

from rig.bench import Bench, load_bench
from rig.model import ModelRung
from tests.live_bench import PORTABLE

Move = tuple[int, str, bool]
# Two pulses of 2 s at each kV.
QUICK = {
    "warmup": {
        "minutes": "[[72, 0.3], [720, 0.6], [2160, 3]]",
        "cold_minutes": "[[0, 0.3], [24, 0.6], [720, 3]]",
        "on_s": "2.0",
        "off_s": "1.0",
    },
    "conditioning": {
        "kv_to": "60.0", "on_s": "2.0", "pause_s": "12.0", "shots": "1",
    },
}  # fmt: skip


def bench_text(**sections: dict[str, str]) -> str:
    """The shipped file with the values of these keys changed."""
    text = PORTABLE
    for section, values in sections.items():
        for key, value in values.items():
            pattern = rf"(^\[{section}\](?:.*\n)(?:(?!^\[\w).*\n)*?{key} *= *)[^#\n]*"
            text, count = re.subn(pattern, rf"\g<1>{value}  ", text, flags=re.MULTILINE)
            assert count == 1, f"[{section}] {key}"
    return text


def bench_file(folder: Path, **sections: dict[str, str]) -> Path:
    path = folder / "portable.toml"
    path.write_text(bench_text(**sections), encoding="utf-8")
    return path


def quick_bench(folder: Path, **sections: dict[str, str]) -> Bench:
    return load_bench(str(bench_file(folder, **(QUICK | sections))))


# --- the wiring's own record


def settled(log: Iterable[Move]) -> Iterator[tuple[int, dict[str, bool]]]:
    """All nets after every moment at which one of them moved."""
    nets: dict[str, bool] = {}
    for t_us, moves in groupby(log, key=lambda move: move[0]):
        nets = nets | {name: closed for _, name, closed in moves}
        yield t_us, nets


def closed_times(log: Iterable[Move], name: str) -> list[tuple[int, int]]:
    """From when to when a net was closed."""
    found: list[tuple[int, int]] = []
    since_us: int | None = None
    for t_us, nets in settled(log):
        if nets[name] and since_us is None:
            since_us = t_us
        elif not nets[name] and since_us is not None:
            found.append((since_us, t_us))
            since_us = None
    assert since_us is None, f"{name} is still closed"
    return found


def must_hold_stage_2(log: list[Move], beams: Iterable[tuple[int, int | None]]) -> int:
    """No beam and no closed interlock pair without a held stage 2; the count of beams.

    `beams`: from when to when, by the simulator.
    """
    for t_us, nets in settled(log):
        if nets["interlock_pair"]:
            held = [nets[name] for name in ("stage_2", "enable", "door", "estop", "safety_relay")]
            assert all(held), f"the pair is closed at {t_us} with {nets}"
    pressed = closed_times(log, "stage_2")
    count = 0
    for on_us, off_us in beams:
        assert off_us is not None
        assert any(from_us <= on_us and off_us <= to_us for from_us, to_us in pressed)
        count += 1
    return count


def held_beams(rung: ModelRung) -> int:
    """How many beams were made in a room, each with stage 2 held."""
    courses = rung.world.generator.courses
    beams = [(course.on_us, course.off_us) for course in courses]
    return must_hold_stage_2(list(rung.world.wiring.log), beams)
