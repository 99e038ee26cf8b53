"""An exposure in words: a row of the list, the sheet of one, and both as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from firmware_py.recorder.store.exposures import Exposure
from hal.faults import FAULTS
from hal.types import ShotKind
from rig.exposures.quarantine import ASIDE, Event, read_events
from rig.exposures.stored import Stored
from rig.records.words import plain_number

HEADINGS = ("number", "exposure", "when", "exam", "end", "dose", "image", "looked at by")
_TECHNIQUE = (("kv", "kV"), ("ma", "mA"), ("mas", "mAs"), ("ms", "ms"))
_INDICATED = (("kv", "kV"), ("ma", "mA"), ("mas", "mAs"), ("beam_ms", "ms"))


def row(one: Exposure) -> tuple[str, ...]:
    return (
        str(one.number),
        one.shot_id,
        _when(one.at),
        one.exam_id,
        one.outcome,
        _dose(one),
        _image(one),
        one.acknowledged_by or "",
    )


def as_dict(one: Exposure) -> dict[str, Any]:
    content = asdict(one) | {"outcome": one.outcome, "missing": one.missing}
    return content | {"dose": one.dose_text, "image": one.image is not None}


def whole(found: Stored, independent: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    return {
        **as_dict(found.exposure),
        "folder": None if found.folder is None else str(found.folder),
        "files": found.sha256,
        "quarantine": [asdict(event) for event in events_of(found)],
        "independent": list(independent),
        "details": {"intent": found.intent, "dose": found.dose},
    }


def sheet(found: Stored, independent: Sequence[dict[str, Any]] = ()) -> Iterator[str]:
    """`independent`: of `rig.instruments.kept.values_of`."""
    one, shot = found.exposure, found.intent.get("shot", {})
    yield f"Exposure {one.number}, {one.shot_id}: {one.outcome}"
    yield ""
    yield from _lines(
        ("when", one.at),
        ("exam", one.exam_id),
        ("panel", shot.get("panel_id", "")),
        ("kind", one.kind),
        ("technique", _values(shot.get("technique", {}), _TECHNIQUE)),
        ("distance", _distance(shot.get("sid_mm"))),
        ("sensed", _sensed(found.dose)),
        ("set by", _set_by(found.intent.get("observed"))),
        ("planned", f"{plain_number(one.planned_mas)} mAs"),
        ("at most", _at_most(one)),
        ("dose", _dose(one)),
        ("indicated", _values(found.dose, _INDICATED)),
        ("dose-area product", dap_text(found.dose)),
        *(("independent", text) for text in map(_measured, independent)),
        ("seen", _seen(found.dose.get("observed"))),
        ("ended by", one.reason or "nobody has said yet"),
        ("fault", found.dose.get("fault") or ""),
        ("image", _image(one)),
        ("looked at by", one.acknowledged_by or ""),
        ("because", one.acknowledged_why or ""),
        ("folder", "" if found.folder is None else str(found.folder)),
    )
    uids = found.intent.get("uids", {})
    if uids:
        yield ""
        yield from _lines(*((f"{name.replace('_', ' ')} UID", uid) for name, uid in uids.items()))
    if found.sha256:
        yield ""
        yield from (f"{sha256[:16]}  {name}" for name, sha256 in sorted(found.sha256.items()))

    events = events_of(found)
    if events:
        yield ""
        yield from (f"  {line}" for line in map(_event, events))


def _distance(sid_mm: Any) -> str:
    """Of an exposure that was asked for at another than the bench's own."""
    return "" if sid_mm is None else f"{plain_number(sid_mm)} mm, source to detector"


def _sensed(dose: dict[str, Any]) -> str:
    """By the collimator's own sensors, when the beam began."""
    if dose.get("sid_mm") is None:
        return ""
    rows, columns = (plain_number(round(dose[f"field_{way}_mm"])) for way in ("rows", "columns"))
    return f"field {rows} x {columns} mm at {plain_number(dose['sid_mm'])} mm"


def dap_text(dose: dict[str, Any]) -> str:
    """The independent value and the computed one; "" of a bench without a meter."""
    measured, computed = dose.get("dap_dgycm2"), dose.get("calculated_dap_dgycm2")
    if measured is None and computed is None and not dose.get("dap_doubt"):
        return ""
    told = [
        "not measured" if measured is None else f"{measured:.3f} dGy cm2 measured",
        "not computed" if computed is None else f"{computed:.3f} computed",
    ]
    doubt = FAULTS.get(dose.get("dap_doubt") or "")
    return "; ".join([", ".join(told), *([doubt.text] if doubt else [])])


def _set_by(observed: Any) -> str:
    """Of a beam that was only seen: whose word its technique is."""
    if not observed:
        return ""
    if observed.get("unasked"):
        return "nobody was asked for this beam; not commanded by dxrig"
    return f"{observed.get('by') or 'a person'}, {observed['how']}; not commanded by dxrig"


def _seen(observed: Any) -> str:
    if not observed:
        return ""
    seen_ms = observed.get("seen_ms")
    lasted = "its beginning was not seen" if seen_ms is None else f"{plain_number(seen_ms)} ms"
    return f"{lasted}, by the contact {observed['by_contact']}"


def events_of(found: Stored) -> list[Event]:
    """What repairs did to its files, oldest first."""
    if found.folder is None:
        return []
    events = read_events(found.folder.parents[1])
    return [event for event in events if event.exposure == found.exposure.shot_id]


def _event(event: Event) -> str:
    """When, which file, what was done, why; and where the old one is."""
    because = f" ({event.why})" if event.why else ""
    kept = f": {event.kept}" if event.kept and event.event == ASIDE else ""
    name = event.file.rpartition("/")[2]
    return f"{_when(event.at)}  {name} {event.event}{because}{kept}"


def _lines(*pairs: tuple[str, str]) -> Iterator[str]:
    shown = [(name, text) for name, text in pairs if text]
    width = max(len(name) for name, _ in shown)
    yield from (f"  {name.ljust(width)}  {text}" for name, text in shown)


def _values(found: dict[str, Any], units: tuple[tuple[str, str], ...]) -> str:
    given = [(found.get(name), unit) for name, unit in units]
    return ", ".join(f"{plain_number(value)} {unit}" for value, unit in given if value is not None)


_MEASURED = (
    ("kv", "kV"), ("ma", "mA"), ("mas", "mAs"), ("time_ms", "ms"), ("dose_ugy", "uGy"),
    ("hvl_mm", "mm Al HVL"),
)  # fmt: skip


def _measured(found: dict[str, Any]) -> str:
    """The values, and the instrument that they are by."""
    instrument = found["instrument"]
    by = " ".join(filter(None, (instrument["model"], instrument["serial"]))) or "not stated"
    due = ", CALIBRATION PAST DUE" if found["calibration"] == "past due" else ""
    values = _values(found["values"], _MEASURED) or "nothing"
    return f"{values}; by {by}{due} (import {found['import']}, row {found['row']})"


def _when(at: str) -> str:
    return at[:19].replace("T", " ") + ("Z" if at.endswith("+00:00") else at[-6:])


def _dose(one: Exposure) -> str:
    return one.dose_text if one.mas is None or not one.beam else f"{plain_number(one.mas)} mAs"


def _at_most(one: Exposure) -> str:
    """The programme's, and the dose's own where its unit did not live to report it."""
    programme = f"{plain_number(one.maximum_mas)} mAs by the programme"
    if one.bound_by is None or one.at_most_mas == one.maximum_mas:
        return programme
    return f"{plain_number(one.at_most_mas)} mAs by {one.bound_by}; {programme}"


def _image(one: Exposure) -> str:
    if one.image is not None:
        return "saved"
    if one.kind == ShotKind.NO_RECEPTOR:
        return "not asked for"
    return "missing" if one.beam else ""
