"""`dxrig sim show` without physics: contacts, relays, beams, the simulator's own word."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from rig.sim_show.optics_words import optics_words

LISTENERS = ("generator", "room", "panel")
Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def _closed(value: bool) -> str:
    return "closed" if value else "open"


def _panel_battery(pct: int | None) -> list[tuple[str, str]]:
    return [] if pct is None else [("panel's battery", f"{pct} %")]


def _supply(facts: dict[str, Any]) -> tuple[str, str]:
    if facts["supply"] == "mains":
        return ("supply", "mains")
    return (facts["supply"], f"{100 * facts['battery_charge']:.0f} %")


def _faults(found: dict[str, dict[str, Any]]) -> list[tuple[str, str]]:
    """A row for each place; so whoever joins sees why the room does what it does."""
    rows = [
        ("faults in place", f"{place}: {', '.join(_named(*one) for one in values.items())}")
        for place, values in found.items()
    ]
    return rows or [("faults in place", "none")]


def _named(name: str, value: object) -> str:
    return f"{name} = {json.dumps(value)}"


def _room(facts: dict[str, Any]) -> Table:
    rows = [(f"contact {name}", _closed(value)) for name, value in facts["contacts"].items()]
    rows.append(("safety relay", _closed(facts["safety_relay"])))
    rows += [(f"relay {name}", _closed(value)) for name, value in facts["relays"].items()]
    rows += [(f"coil {name}", "on" if value else "off") for name, value in facts["coils"].items()]
    rows += [
        ("panel", facts["panel"]),
        ("panel in beam", "yes" if facts["panel_in_beam"] else "no"),
        ("panel keeps", ", ".join(facts["panel_keeps"]) or "no frame"),
        ("phantom", facts["phantom"]),
        ("optics", optics_words(facts["optics"])),
        ("source to detector", f"{facts['sid_mm']:g} mm"),
        ("light field there", " x ".join(f"{mm:g}" for mm in facts["field_mm"]) + " mm"),
        _supply(facts),
        *_panel_battery(facts["panel_battery_pct"]),
        *([] if facts["rotor_rpm"] is None else [("rotor", f"{facts['rotor_rpm']:.0f} rpm")]),
        ("beam", "ON" if facts["beam_on"] else "off"),
        *_faults(facts["faults_in_place"]),
    ]
    return ("what", "is"), rows


def _beams(facts: dict[str, Any]) -> Table:
    rows = [
        (
            f"{b['on_us'] / 1000:.3f}",
            _ms(b["off_us"]),
            _ms(b["gone_us"]),
            f"{b['mas']:.4f}",
            *(_last_word(b, name) for name in LISTENERS),
        )
        for b in facts["beams"]
    ]
    last = tuple(f"last word to {name}, ms" for name in LISTENERS)
    return ("on, ms", "off, ms", "HV below 10 %, ms", "mAs", *last), rows


def _last_word(beam: dict[str, Any], name: str) -> str:
    """When the unit last spoke to this device before the beam went off, and how long before."""
    heard_us = beam["heard_us"].get(name)
    if heard_us is None or beam["off_us"] is None:
        return "-"
    return f"{heard_us / 1000:.3f} (off {(beam['off_us'] - heard_us) / 1000:.1f} ms later)"


def _ms(t_us: int | None) -> str:
    return "on" if t_us is None else f"{t_us / 1000:.3f}"


def _meter(facts: dict[str, Any]) -> Table:
    rows = [
        (
            _ms(one["on_us"]),
            f"{one['kv']:.1f}",
            f"{one['time_ms']:.1f}",
            f"{one['mas']:.3f}",
            f"{one['kerma_ugy']:.1f}",
            f"{one['kerma_ugy'] / one['mas']:.1f}",
            f"{one['hvl_mm_al']:.2f}",
        )
        for one in facts["meter"]
    ]
    return ("on, ms", "kV", "ms", "clamp mAs", "uGy", "uGy/mAs", "HVL, mm Al"), rows


def _nets(facts: dict[str, Any]) -> Table:
    rows = [(_ms(n["t_us"]), n["net"], _closed(n["closed"])) for n in facts["nets"]]
    return ("t, ms", "net", "is"), rows


VIEWS: dict[str, Callable[[dict[str, Any]], Table]] = {
    "room": _room,
    "io": _room,
    "beams": _beams,
    "meter": _meter,
    "nets": _nets,
}
