"""How long kV falls: what high-voltage cables and tank hold must flow through the tube."""

from __future__ import annotations


def fall_us(cable_nf: float | None, kv: float, ma: float, longest_us: int) -> int:
    """From `kv` to nothing: C * kV / mA, since a tube at constant emission is a constant current.

    `longest_us`: what the generator's own divider needs for it; without a cable, that is it.
    """
    if cable_nf is None or ma <= 0.0:
        return longest_us
    held_mas = cable_nf * kv / 1e3  # nF times kV is uC
    return min(longest_us, max(1, round(held_mas / ma * 1e6)))
