"""Faults of a simulated tube that depend on what it is asked for: model rung only."""

from __future__ import annotations

from rig.model import ModelRung

AFTER_US = 1_000_000  # into the beam: HV stands


def arc_at(rung: ModelRung, kv: float) -> None:
    """One arc in the first beam whose set kV is at least this."""
    world = rung.world
    tell = world.on_event
    left = [kv]

    def on_event(t_us: int, name: str) -> None:
        tell(t_us, name)
        if name == "beam_on" and left and world.generator.courses[-1].kv >= left[0]:
            left.clear()
            world.at(t_us + AFTER_US, world.generator.arc)

    world.on_event = on_event
