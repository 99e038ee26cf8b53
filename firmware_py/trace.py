"""What the unit did, as readable lines: a line for every change, none for what stayed.

The trace is a function of the scans alone, so replay must reproduce it exactly. No
seed, date, path or version stands in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from firmware_py.decide.memory import Memory
from hal.types import CONTACTS, ExposureReport, Inputs, Outputs, PanelSample, RoomSample, Technique

LEVELS = (
    "ready_lamp",
    "beam_lamp",
    "buzzer",
    "enable",
    "contactor",
    "prep_line",
    "expose_line",
    "prepare_panel",
)


@dataclass(frozen=True, slots=True)
class Line:
    t_us: int
    kind: str  # state | room | generator | panel | recorder | collimator | dap | out | report ...
    data: dict[str, Any]

    def as_json(self) -> str:
        return json.dumps({"t_us": self.t_us, "kind": self.kind, **self.data})

    def as_text(self) -> str:
        words = " ".join(f"{key}={_word(value)}" for key, value in self.data.items())
        return f"{self.t_us / 1000:12.3f} ms  {self.kind:<10} {words}"


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "-" if value is None else str(value)


class Trace:
    """The lines of one run, scan by scan; keeps none, for a unit may run for weeks."""

    def __init__(self) -> None:
        self._memory: Memory | None = None
        self._inputs: Inputs | None = None
        self._outputs = Outputs()

    def scan(self, inputs: Inputs, memory: Memory, outputs: Outputs) -> list[Line]:
        """The lines that this scan adds."""
        new = [
            Line(inputs.t_us, kind, data) for kind, data in self._changes(inputs, memory, outputs)
        ]
        self._inputs, self._memory, self._outputs = inputs, memory, outputs
        return new

    def _changes(
        self, inputs: Inputs, memory: Memory, outputs: Outputs
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        before, then = self._inputs, self._memory
        if before is None or before.room is not inputs.room:
            yield from _room(before.room if before else None, inputs.room)
        if before is None or before.generator is not inputs.generator:
            yield from _fields(
                "generator", before and before.generator, inputs.generator, GENERATOR
            )
        if before is None or before.panel is not inputs.panel:
            yield from _panel(before.panel if before else None, inputs.panel)
        if before is None or before.recorder is not inputs.recorder:
            yield from _fields("recorder", before and before.recorder, inputs.recorder, RECORDER)
        yield from _beside(before, inputs)
        if then is None or then.state is not memory.state or then.since_us != memory.since_us:
            yield "state", _state(then, memory)
        if (then.aec_lock if then else None) != memory.aec_lock:
            yield "aec", {"locked_by": memory.aec_lock}
        if memory.refused and (then is None or then.refused != memory.refused):
            yield "refused", {"because": list(memory.refused)}
        if outputs is not self._outputs:
            yield from _levels(self._outputs, outputs)
        if memory.report is not None and (then is None or then.report is not memory.report):
            yield "report", _report(memory.report)


GENERATOR = (
    "state",
    "confirmed",
    "interlock_closed",
    "beam_on",
    "refused",
    "kv",
    "ma",
    "faults",
    "monitor_taken_us",
)
PANEL = ("state", "panel_id", "frame_count", "kept", "given_up", "faults")
HANDSHAKE = ("lines", "troubles")
RECORDER = ("alive", "disk_ok", "incomplete_count", "intent_durable", "dose_saved", "image_saved",
            "image_failed")  # fmt: skip


COLLIMATOR = ("link_ok", "sid_mm", "field_rows_mm", "field_columns_mm", "moving")
DAP = ("link_ok", "shot_id", "dap_dgycm2", "trouble")
SENSED = ("sid_mm", "field_rows_mm", "field_columns_mm", "dap_dgycm2", "calculated_dap_dgycm2",
          "dap_doubt")  # fmt: skip


def _panel(before: PanelSample | None, after: PanelSample) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from _fields("panel", before, after, PANEL)
    if after.lines is not None:
        yield from _fields("handshake", before, after, HANDSHAKE)


def _beside(before: Inputs | None, inputs: Inputs) -> Iterator[tuple[str, dict[str, Any]]]:
    """What only some benches have."""
    for kind, was, now, names in (
        ("collimator", before and before.geometry, inputs.geometry, COLLIMATOR),
        ("dap", before and before.dose, inputs.dose, DAP),
    ):
        if now is not None and was is not now:
            yield from _fields(kind, was, now, names)


def _fields(
    kind: str, before: object, after: object, names: tuple[str, ...]
) -> Iterator[tuple[str, dict[str, Any]]]:
    changed = {
        name: _plain(getattr(after, name))
        for name in names
        if before is None or getattr(before, name) != getattr(after, name)
    }
    if changed:
        yield kind, changed


def _plain(value: Any) -> Any:
    if hasattr(value, "value"):  # an Enum
        return value.value
    if hasattr(value, "kv"):  # a Technique
        return f"{value.kv:g} kV {value.ma:g} mA {ending_of(value)}"
    return list(value) if isinstance(value, tuple) else value


def ending_of(technique: Technique) -> str:
    """What ends the beam: "0.5 mAs", "200 ms", "AEC left+right, back-up 20 mAs"."""
    aec = technique.aec
    if aec is None:
        by_charge = technique.mas is not None
        return f"{technique.mas:g} mAs" if by_charge else f"{technique.ms:g} ms"
    density = f" density {aec.density_index:+d}" if aec.density_index else ""
    return f"AEC {'+'.join(aec.chambers)}{density}, back-up {aec.backup_mas:g} mAs"


def _room(before: RoomSample | None, after: RoomSample) -> Iterator[tuple[str, dict[str, Any]]]:
    changed = {
        name: getattr(after, name)
        for name in ("link_ok", *CONTACTS)
        if before is None or getattr(before, name) is not getattr(after, name)
    }
    if changed:
        yield "room", changed


def _state(then: Memory | None, memory: Memory) -> dict[str, Any]:
    data: dict[str, Any] = {
        "from": then.state.value if then else "",
        "to": memory.state.value,
        "why": memory.why,
    }
    return data | ({"faults": list(memory.faults)} if memory.faults else {})


def _levels(before: Outputs, after: Outputs) -> Iterator[tuple[str, dict[str, Any]]]:
    changed = {
        name: getattr(after, name)
        for name in LEVELS
        if getattr(before, name) is not getattr(after, name)
    }
    for name, was_us, is_us in (
        ("expose", before.expose_from_us, after.expose_from_us),
        ("window", before.window_from_us, after.window_from_us),
    ):
        if (was_us is None) is not (is_us is None):
            changed[name] = is_us is not None
    if changed:
        yield "out", changed


def _report(report: ExposureReport) -> dict[str, Any]:
    return {
        "shot": report.shot.shot_id,
        "reason": report.reason.value,
        "fault": report.fault,
        "beam": report.beam,
        "mas": report.mas,
        "maximum_mas": report.maximum_mas,
        "kv": report.kv,
        "ma": report.ma,
        "beam_ms": report.beam_ms,
        **{name: value for name in SENSED if (value := getattr(report, name)) is not None},
    }
