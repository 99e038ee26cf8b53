"""The charge of the unit's battery and of the panel's: low it is told, lower begins no beam.

A beam that is on is never ended for it: the generator's own fault bit and the panel's state do
that. The unit's charge may be unknown, since the source refuses by itself when it is low; a panel
whose battery the bench names must tell its charge (SR-10).
"""

from __future__ import annotations

from firmware_py.decide.memory import Limits
from hal.types import ChargeData, Inputs, PanelState, Shot

FULL_PCT = 100.0


def warnings(limits: Limits, inputs: Inputs) -> list[str]:
    """Codes of what should be charged soon, while there is still enough."""
    checks = (
        (_soon(limits.battery, inputs.generator.battery_pct), "BATTERY_WARNING"),
        (_soon(limits.panel_battery, inputs.panel.battery_pct), "PANEL_BATTERY_WARNING"),
    )
    return [code for soon, code in checks if soon]


def inhibits(limits: Limits, inputs: Inputs, shot: Shot | None) -> list[str]:
    """Codes of what must be charged before this shot, or any."""
    found = ["BATTERY_EMPTY"] if _unit_empty(limits, inputs) else []
    asks_panel = shot is None or shot.has_frame
    if asks_panel and _panel_empty(limits, inputs):
        found.append("PANEL_BATTERY_EMPTY")
    return found


def _unit_empty(limits: Limits, inputs: Inputs) -> bool:
    data, pct = limits.battery, inputs.generator.battery_pct
    return data is not None and pct is not None and not data.least_pct <= pct <= FULL_PCT


def _panel_empty(limits: Limits, inputs: Inputs) -> bool:
    data, panel = limits.panel_battery, inputs.panel
    if data is None or panel.state is PanelState.DISCONNECTED:
        return False  # tethered; or told as lost
    return panel.battery_pct is None or not data.least_pct <= panel.battery_pct <= FULL_PCT


def _soon(data: ChargeData | None, pct: float | None) -> bool:
    return data is not None and pct is not None and data.least_pct <= pct < data.warn_pct
