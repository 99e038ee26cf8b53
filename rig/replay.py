"""Run a recording again: links that return what they returned, and equality demanded.

Needs no simulator, no port and no clock. Compared are every byte sent and every trace
line, scan by scan, then (where the run kept frames) pixel arrays and DICOM data sets, then
the hashes that the run wrote of its own record and trace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_py.assemble import LINKS, OPTIONAL_LINKS, Links, build_unit
from firmware_py.config import UnitConfig
from firmware_py.record import RecordError, ScanRecord, read_record, whole_bytes
from firmware_py.recorder.archive import differences as images_differ
from firmware_py.recorder.exposure_record import ImageError
from firmware_py.runner import status
from firmware_py.unit import Unit
from hal.types import Requests
from rig.replay_links import ByteReplay, MessageReplay, Player, RecorderReplay
from rig.run_folder import lives

HASHES = ("record_sha256", "trace_sha256", "files")  # the tables of run.json


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    scan_count: int
    trace_sha256: str  # of all lives, as it came out now
    differences: tuple[str, ...]  # of each life the first differing scan, before all else

    @property
    def equal(self) -> bool:
        return not self.differences


def replay(folder: Path) -> Replay:
    """Raises RecordError when the folder holds no readable recording."""
    scan_count, sha256 = 0, hashlib.sha256()
    differences: list[str] = []
    pairs = lives(folder)
    if not pairs:
        raise RecordError(f"{folder}: no record.bin; is this the folder of a run?")
    for record, trace in pairs:
        unit, found = _replay_life(record, trace, sha256.update)
        differences += found
        scan_count += unit.scan_count
    differences += _image_differences(folder)
    differences += _hash_differences(folder)
    return Replay(
        scan_count=scan_count, trace_sha256=sha256.hexdigest(), differences=tuple(differences)
    )


def _replay_life(
    record: Path, trace: Path, tell: Callable[[bytes], None]
) -> tuple[Unit, list[str]]:
    """`tell` gets the trace as it comes out now."""
    try:
        header, scans, trouble = read_record(record)
        recorded = trace.read_text(encoding="utf-8").splitlines() if trace.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{record} or its trace can't be read: {error}") from error
    unit, player = _unit(header, record)
    lines = _by_time(recorded)
    found = list(_scan_differences(unit, player, scans, lines, tell))
    if trouble:  # the lines of later scans have none to be compared with
        found.append(f"{record.name}: good up to {_last(scans)}; then {trouble}")
    elif lines:
        if found and found[0].startswith(f"scan {len(scans) - 1} "):
            found.clear()  # what a half scan lacks follows from the damage
        found.append(_unsaid(record, scans, lines))
    return unit, found[:1]  # what comes after the first one follows from it


def status_at_end(record: Path) -> dict[str, Any]:
    """What `dxrig status` would have said after the last scan that decided.

    Raises RecordError, OSError.
    """
    header, scans, _ = read_record(record)
    unit, player = _unit(header, record)
    requests: Requests | None = None
    for scan in scans:
        if scan.safe:
            break
        if scan.requests is not None and scan.requests != requests:
            requests = scan.requests
            unit.request(requests)
        _play(unit, player, scan)
    return status(unit)


def _last(scans: Sequence[ScanRecord]) -> str:
    return f"scan {len(scans) - 1} at {scans[-1].t_us / 1000:.3f} ms" if scans else "no scan at all"


def _unsaid(record: Path, scans: Sequence[ScanRecord], lines: dict[int, list[str]]) -> str:
    """The trace holds what no scan of the record says: the record ends early, or was changed."""
    t_us, of = next(iter(lines.items()))
    end_us = max(lines)
    if scans and end_us <= scans[-1].t_us:  # us-compare: of a file, nothing runs
        return (
            f"{record.name}: it has no scan at {t_us / 1000:.3f} ms, but the trace has; "
            f"one of the two files was changed. Line: {of[0]}"
        )
    end_bytes, size_bytes = whole_bytes(record), record.stat().st_size
    return (
        f"{record.name}: it can be read up to {_last(scans)}, byte {end_bytes} of {size_bytes}, "
        f"but the trace goes on to {end_us / 1000:.3f} ms; the file is damaged or cut off there"
    )


def _unit(header: dict[str, Any], record: Path) -> tuple[Unit, Player]:
    try:
        config = UnitConfig.model_validate(header["unit"])
        start_us = int(header.get("start_us", 0))
        heat_j = float(header.get("heat_j", 0.0))  # the model rung starts with a cold tube
        warm = bool(header.get("warm", True))
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"{record}: its header holds no unit's configuration") from error
    player = Player()
    links = Links(
        generator=ByteReplay(LINKS[0], player),
        room=ByteReplay(LINKS[1], player),
        panel=MessageReplay(LINKS[2], player),
        collimator=ByteReplay("collimator", player) if config.collimator else None,
        dap=ByteReplay("dap", player) if config.dap else None,
    )
    recorder = RecorderReplay(player)
    unit = build_unit(
        config,
        links,
        recorder,
        poll_all=True,
        start_us=start_us,
        heat_j=heat_j,
        warm=warm,
        aec_lock=header.get("aec_lock"),
    )
    return unit, player


# --- scan by scan


def _scan_differences(
    unit: Unit,
    player: Player,
    scans: Sequence[ScanRecord],
    recorded: dict[int, list[str]],
    tell: Callable[[bytes], None],
) -> Iterator[str]:
    """Plays every scan; tells where the unit sends or says something else than it did.

    Takes from `recorded` what it has compared.
    """
    requests: Requests | None = None
    for index, scan in enumerate(scans):
        if scan.requests is not None and scan.requests != requests:
            requests = scan.requests
            unit.request(requests)
        where = f"scan {index} at {scan.t_us / 1000:.3f} ms"
        try:
            said = _play(unit, player, scan)
        except Exception as error:  # as the recorded unit may have stopped
            yield f"{where}: the unit stops: {type(error).__name__}: {error}"
            return
        tell("".join(line + "\n" for line in said).encode())
        yield from (f"{where}: {what}" for what in _sent_differences(scan, player))
        was = [] if scan.safe else recorded.pop(scan.t_us, [])
        killed_here = index == len(scans) - 1 and said[: len(was)] == was  # before it was written
        if said != was and not killed_here:
            yield f"{where}: {_trace_difference(was, said)}"


def _play(unit: Unit, player: Player, scan: ScanRecord) -> list[str]:
    """The trace lines of this scan."""
    player.play(scan)
    if scan.safe:
        unit.make_safe(scan.t_us)
        return []
    return [line.as_json() for line in unit.scan(scan.t_us, scan.late_us)]


def _sent_differences(scan: ScanRecord, player: Player) -> Iterator[str]:
    for name in (*LINKS, *OPTIONAL_LINKS):
        was, is_ = scan.sent.get(name, b""), player.now.sent.get(name, b"")
        was_messages = scan.sent_messages.get(name, [])
        is_messages = player.now.sent_messages.get(name, [])
        if was != is_:
            yield f"to {name} sent {_hex(is_)}, recorded {_hex(was)}"
        if was_messages != is_messages:
            yield f"to {name} sent {is_messages}, recorded {was_messages}"


def _hex(data: bytes) -> str:
    return data.hex(" ") or "nothing"


def _trace_difference(was: Sequence[str], said: Sequence[str]) -> str:
    only_now = [line for line in said if line not in was]
    only_then = [line for line in was if line not in said]
    return f"trace {' '.join(only_now) or 'nothing'}, recorded {' '.join(only_then) or 'nothing'}"


def _by_time(lines: Sequence[str]) -> dict[int, list[str]]:
    """The trace's lines by their `t_us`; a line that has none stands under -1."""
    found: dict[int, list[str]] = {}
    for line in lines:
        try:
            t_us = int(json.loads(line)["t_us"])
        except (ValueError, KeyError, TypeError):
            t_us = -1
        found.setdefault(t_us, []).append(line)
    return found


# --- what lies beside the record


def _image_differences(folder: Path) -> Iterator[str]:
    """Correct and wrap every kept frame again: pixels and data sets must be the same."""
    for record in sorted(folder.glob("exposures/*/exposure.json")):
        try:
            found = images_differ(record.parent)
        except (ImageError, OSError) as error:
            found = [str(error)]
        yield from (f"{record.parent.name}: {what}" for what in found)


def _hash_differences(folder: Path) -> Iterator[str]:
    """The manifest is written when a run ends; a run killed before has none, and stands."""
    path = folder / "run.json"
    if not path.is_file():
        return
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        yield f"{path}: is no JSON; the file is damaged"
        return
    wanted: dict[str, Any] = {}
    for name in HASHES:
        found = manifest.get(name) if isinstance(manifest, dict) else None
        if not isinstance(found, dict):
            yield f"{path}: has no table {name!r} of hashes; the file is damaged"
            return
        wanted |= found
    yield from _unlike(folder, wanted)


def _unlike(folder: Path, wanted: dict[str, Any]) -> Iterator[str]:
    for name, sha256 in wanted.items():
        file = folder / name
        found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
        if not found:
            yield f"{name}: is missing, the run wrote one"
        elif found != sha256:
            yield f"{name}: its sha256 is {found[:16]}, the run wrote {str(sha256)[:16]}"
