"""What a run leaves behind, and the one file that ties it together.

run.json     what ran where and when, versions, hashes of everything, how it ended
bench.toml   the bench as it was
record.bin   what every link returned, scan by scan (replay)
trace.jsonl  trace.txt    what the unit did, for programs and for people
             record-2.bin and so on: the lives of a unit that was killed and started again
curve.svg    kV and mA as indicated
exposures/   frame, DICOM images, preview, exposure record
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from firmware_py.trace import Line
from hal.types import Technique
from rig.bench import Bench
from rig.curve import draw_curve
from rig.version import commit, version
from rig.why import in_words

LIBRARIES = ("numpy", "pydicom", "pymodbus", "pyserial", "pyzmq", "transitions")


def versions() -> dict[str, str]:
    found = {name: installed(name) for name in LIBRARIES}
    own = {"dxrig": version(), "commit": commit() or "", "python": platform.python_version()}
    return own | {"platform": sys.platform} | found


def record_header(bench: Bench, **facts: Any) -> dict[str, Any]:
    """What a recording must carry to run again: the unit's whole configuration."""
    from firmware_py.assemble import link_names

    return {
        "links": list(link_names(bench.unit)),
        "unit": bench.unit.model_dump(mode="json"),
        "bench": bench.name,
        "bench_sha256": bench.hash,
        **facts,
    }


def as_dict(line: Line) -> dict[str, Any]:
    return {"t_us": line.t_us, "kind": line.kind, **line.data}


def as_line(data: dict[str, Any]) -> Line:
    rest = {key: value for key, value in data.items() if key not in ("t_us", "kind")}
    return Line(data["t_us"], data["kind"], rest)


def life_mark(index: int) -> str:
    """What the file names of the unit's nth life end in: nothing, "-2", "-3", ..."""
    return "" if index == 0 else f"-{index + 1}"


def lives(folder: Path) -> list[tuple[Path, Path]]:
    """(record, trace) of each life of the unit, in order."""
    pairs = []
    for index in range(len(list(folder.glob("record*.bin")))):
        mark = life_mark(index)
        pairs.append((folder / f"record{mark}.bin", folder / f"trace{mark}.jsonl"))
    return pairs


def trace_sha256(folder: Path) -> str:
    """Of the traces of all lives, one after the other."""
    return hashlib.sha256(b"".join(trace.read_bytes() for _, trace in lives(folder))).hexdigest()


def read_trace(folder: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for _, trace in lives(folder)
        for line in trace.read_text(encoding="utf-8").splitlines()
    ]


def write_trace(path: Path, lines: Sequence[Line]) -> None:
    """As the trace's hash was made."""
    _write(path, "".join(line.as_json() + "\n" for line in lines))


def _tell_trace(path: Path) -> None:
    """The same for people, beside it."""
    lines = [as_line(json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    _write(path.with_suffix(".txt"), "".join(line.as_text() + "\n" for line in lines))


def finish(
    folder: Path,
    bench: Bench,
    *,
    technique: Technique,
    **facts: Any,
) -> dict[str, Any]:
    """Write texts, curve and run.json over what the unit left; the manifest, as written."""
    lines = read_trace(folder)
    for _, trace in lives(folder):
        _tell_trace(trace)
    if any(line["kind"] == "state" and line["to"] == "EXPOSE" for line in lines):
        draw_curve(folder / "curve.svg", lines, kv=technique.kv, ma=technique.ma)
    (folder / "bench.toml").write_bytes(bench.path.read_bytes())
    manifest = {
        "schema": 1,
        "bench": bench.name,
        "bench_sha256": bench.hash,
        "versions": versions(),
        "record_sha256": {record.name: _sha256(record) for record, _ in lives(folder)},
        "trace_sha256": {trace.name: _sha256(trace) for _, trace in lives(folder)},
        **summary(lines, technique),
        **facts,
        "files": _files(folder),
    }
    _write(folder / "run.json", json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    return manifest


def summary(lines: Sequence[dict[str, Any]], technique: Technique) -> dict[str, Any]:
    """How it went: the end, what was asked and what was indicated, the timeline."""
    report: dict[str, Any] = next((x for x in reversed(lines) if x["kind"] == "report"), {})
    measured = {name: report.get(name) for name in ("kv", "ma", "mas", "maximum_mas", "beam_ms")}
    return {
        "end_reason": report.get("reason"),
        "fault": report.get("fault"),
        "technique": {
            "kv": technique.kv,
            "ma": technique.ma,
            "mas": technique.mas,
            "ms": technique.ms,
            **({"aec": asdict(technique.aec)} if technique.aec is not None else {}),
        },
        "measured": {**measured, "instrument": "indicated by the generator"},
        **_dap(report),
        "timeline": timeline(lines),
    }


def _dap(report: dict[str, Any]) -> dict[str, Any]:
    """Of a bench with a meter in the beam."""
    names = ("dap_dgycm2", "calculated_dap_dgycm2", "dap_doubt")
    told = {name: report.get(name) for name in names}
    if all(value is None for value in told.values()):
        return {}
    return {"dap": told | {"instrument": "independent: the meter in the beam"}}


def timeline(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "state": line["to"],
            "t_ms": line["t_us"] / 1000,
            "why": in_words(line["why"]),
            "faults": line.get("faults", []),
        }
        for line in lines
        if line["kind"] == "state"
    ]


def _files(folder: Path) -> dict[str, str]:
    """Every whole file of the run but the manifest and the state: relative path -> sha256.

    Space that is reserved for a frame (`.part`) is none yet.
    """
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix != ".part")
    relative = [p.relative_to(folder) for p in paths]
    kept = [p for p in relative if p.parts[0] not in ("state", "run.json", "work")]
    return {p.as_posix(): _sha256(folder / p) for p in kept}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
