"""A unit's status for people: the state in colour and in words, and what is in the way."""

from __future__ import annotations

from typing import Any

import click

from rig.exposure_view import coloured, styled
from rig.why import in_words

WORDS = {
    "BOOT": "waiting for its devices",
    "SELF_TEST": "self-test",
    "STANDBY": "waiting for the handswitch",
    "PREP": "preparing",
    "READY": "ready for exposure",
    "INTERLOCK_CHECK": "last check",
    "EXPOSE": "X-RAYS ON",
    "READOUT": "reading the image out",
    "RELEASE_WAIT": "waiting for both stages to be open",
    "FAULT": "latched fault; no beam until a local reset",
    "LOCKED": "locked; key switch and reset",
}


def tell_state(status: dict[str, Any]) -> None:
    state = status["state"]
    since = ""
    if "since_us" in status:
        since = f", for {(status['t_us'] - status['since_us']) / 1e6:.1f} s"
    words, why = WORDS.get(state, ""), in_words(status["why"])
    click.echo(f"{coloured(state)}  {words} ({why}{since})")


def tell_way(status: dict[str, Any]) -> None:
    for one in status.get("reset_waits_for", []):
        click.echo(f"a reset waits for: {one['text']} {one['action']}")


def tell_status(bench: str, status: dict[str, Any]) -> None:
    click.echo(f"Bench {bench}, unit process {status['pid']}")
    tell_state(status)
    for one in status["faults"]:
        click.echo(f"{styled('fault', fg='red')} {one['code']}: {one['text']} {one['action']}")
        click.echo(f"      hazard: {one['hazard']}")
    tell_way(status)
    if status["state"] == "STANDBY":
        for one in status["inhibits"]:
            click.echo(f"a press would be refused: {one['text']} {one['action']}")
    for one in status.get("warnings", []):
        click.echo(f"{styled('warning', fg='yellow')} {one['text']} {one['action']}")
    for one in status.get("aec_locked", []):
        click.echo(f"{styled('AEC locked', fg='red')} {one['text']} {one['action']}")
    for one in status.get("refused", []):
        click.echo(f"the last press was refused: {one['text']}")
    if status.get("routine"):
        click.echo(f"{'routine':<10} {_routine(status['routine'])}")
    for name in _DEVICES:
        if name in status:
            click.echo(f"{name:<10} {_DEVICES[name](status[name])}")
    late = f"at most {status['latest_us'] / 1000:.1f} ms late"
    click.echo(f"{'scan':<10} {status['scans']} scans, {status['skipped_scans']} skipped, {late}")


def _routine(found: dict[str, Any]) -> str:
    step = found["step"]
    if step is None:
        return f"{found['run_id']}, ended: {(found['verdict'] or {}).get('text', '')}"
    told = step.get("note") or step.get("why") or step.get("text")
    return f"{found['run_id']}, step {found['step_index'] + 1}: {told}"


def _generator(found: dict[str, Any]) -> str:
    parts = [found["state"], found["identity"] or ""]
    parts.append(f"{found['battery_v']:.1f} V" if found["battery_v"] is not None else "")
    parts.append(_battery(found))
    parts.append(f"oil {found['oil_c']:.0f} C" if found["oil_c"] is not None else "")
    parts.append(f"raw faults {found['raw_faults']}" if found["raw_faults"] else "")
    return ", ".join(filter(None, parts))


def _panel(found: dict[str, Any]) -> str:
    return ", ".join(filter(None, (found["state"], found["panel_id"], _battery(found))))


def _battery(found: dict[str, Any]) -> str:
    pct = found.get("battery_pct")
    return f"battery {pct:.0f} %" if pct is not None else ""


def _room(found: dict[str, Any]) -> str:
    if not found["link_ok"]:
        return "does not answer"
    names = ("stage_1", "stage_2", "door", "estop", "chain", "key")
    closed = [name for name in names if found[name]]
    opened = [name for name in names if not found[name]]
    return f"closed: {', '.join(closed) or '-'}; open: {', '.join(opened) or '-'}"


def _recorder(found: dict[str, Any]) -> str:
    if not found["alive"]:
        return "does not answer"
    disk = "disk ok" if found["disk_ok"] else "DISK FULL or failing"
    maps = "panel set valid" if found["panel_set_ok"] else "no valid panel set"
    return f"{disk}, {maps}, {found['incomplete_count']} incomplete"


def _collimator(found: dict[str, Any]) -> str:
    if not found["link_ok"]:
        return "does not answer"
    if found["sid_mm"] is None:
        return "shows no distance"
    field = f"{found['field_rows_mm']:.0f} x {found['field_columns_mm']:.0f} mm"
    moving = ", moving" if found["moving"] else ""
    return f"{field} at {found['sid_mm']:.0f} mm{moving}, {found['identity']}"


def _dap(found: dict[str, Any]) -> str:
    if not found["link_ok"]:
        return "does not answer"
    if found["trouble"]:
        return f"{found['trouble']}, {found['identity']}"
    return f"{found['dap_dgycm2']:.3f} dGy cm2 since its reset, {found['identity']}"


_DEVICES = {
    "generator": _generator,
    "panel": _panel,
    "room": _room,
    "collimator": _collimator,
    "dap": _dap,
    "recorder": _recorder,
}
