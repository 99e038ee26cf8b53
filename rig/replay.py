"""Run a recording again: links that return what they returned, and equality demanded.

Needs no simulator, no port and no clock. Compared are every byte sent, scan by scan, the
trace, and (where the run kept frames) pixel arrays and DICOM data sets.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

from firmware_py.assemble import LINKS, Links, build_unit
from firmware_py.config import UnitConfig
from firmware_py.record import RecordError, ScanRecord, read_record
from firmware_py.recorder.archive import differences as images_differ
from firmware_py.recorder.exposure_record import ImageError
from firmware_py.unit import Unit
from hal.now import NEVER_US, Now
from hal.ports import LinkError
from hal.types import ExposureReport, Intent, RecorderSample, Requests
from rig.run_folder import lives


@dataclass(slots=True)
class _Played:
    """The scan that is being played, and what the unit sends in it."""

    scan: ScanRecord
    sent: dict[str, bytes] = field(default_factory=dict)
    sent_messages: dict[str, list[list[bytes]]] = field(default_factory=dict)


class _Player:
    """Stands for all links of a recording."""

    def __init__(self) -> None:
        self.now = _Played(ScanRecord(0, 0))

    def play(self, scan: ScanRecord) -> None:
        self.now = _Played(scan)


class _ByteReplay:
    def __init__(self, name: str, player: _Player) -> None:
        self._name, self._player = name, player

    def read(self, t_us: int) -> bytes:
        scan = self._player.now.scan
        if self._name in scan.failed:
            raise LinkError(scan.failed[self._name])
        return scan.got.get(self._name, b"")

    def write(self, t_us: int, data: bytes) -> None:
        sent = self._player.now.sent
        sent[self._name] = sent.get(self._name, b"") + data

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        return None


class _MessageReplay:
    def __init__(self, name: str, player: _Player) -> None:
        self._name, self._player = name, player

    def read(self, t_us: int) -> Sequence[list[bytes]]:
        scan = self._player.now.scan
        if self._name in scan.failed:
            raise LinkError(scan.failed[self._name])
        return scan.got_messages.get(self._name, [])

    def write(self, t_us: int, message: list[bytes]) -> None:
        self._player.now.sent_messages.setdefault(self._name, []).append(message)

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        return None


class _RecorderReplay:
    """Publishes the recorder samples of the recording; intents and reports stand in the trace."""

    def __init__(self, player: _Player) -> None:
        self._player = player
        self.sample = RecorderSample(taken_us=0)

    def read(self, now: Now) -> RecorderSample:
        if self._player.now.scan.recorder is not None:
            self.sample = self._player.now.scan.recorder
        return self.sample

    def write(self, now: Now, intent: Intent | None, report: ExposureReport | None) -> None:
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    scan_count: int
    trace_sha256: str
    differences: tuple[str, ...]  # the first one names the first differing scan

    @property
    def equal(self) -> bool:
        return not self.differences


def replay(folder: Path) -> Replay:
    """Raises RecordError when the folder holds no readable recording."""
    scan_count, sha256, differences = 0, hashlib.sha256(), []
    pairs = lives(folder)
    if not pairs:
        raise RecordError(f"{folder}: no record.bin; is this the folder of a run?")
    for record, trace in pairs:
        unit, found = _replay_life(folder, record, trace)
        differences += found
        scan_count += unit.scan_count
        sha256.update(unit.trace.hexdigest().encode())
    differences += _image_differences(folder)
    return Replay(
        scan_count=scan_count,
        trace_sha256=unit.trace.hexdigest() if len(pairs) == 1 else sha256.hexdigest(),
        differences=tuple(differences),
    )


def _replay_life(folder: Path, record: Path, trace: Path) -> tuple[Unit, list[str]]:
    header, scans, sha256 = read_record(record)
    try:
        config = UnitConfig.model_validate(header["unit"])
    except ValueError as error:
        raise RecordError(f"{record.name}: its header holds no unit's configuration") from error
    unit, player = _unit(config, header.get("start_us", 0))
    differences = list(_hash_difference(folder, record, sha256))
    differences += _first(_sent_differences(unit, player, scans))
    differences += _first(_trace_differences(trace, unit))
    return unit, differences


def _unit(config: UnitConfig, start_us: int) -> tuple[Unit, _Player]:
    player = _Player()
    links = Links(
        generator=_ByteReplay(LINKS[0], player),
        room=_ByteReplay(LINKS[1], player),
        panel=_MessageReplay(LINKS[2], player),
    )
    return build_unit(
        config, links, _RecorderReplay(player), poll_all=True, start_us=start_us
    ), player


def _image_differences(folder: Path) -> list[str]:
    """Correct and wrap every kept frame again: pixels and data sets must be the same."""
    found = []
    for record in sorted(folder.glob("exposures/*/exposure.json")):
        try:
            found += [f"{record.parent.name}: {what}" for what in images_differ(record.parent)]
        except (ImageError, OSError) as error:
            found.append(str(error))
    return found


def _hash_difference(folder: Path, record: Path, sha256: str) -> Iterator[str]:
    """The manifest is written when a run ends; a killed run has none, and its record stands."""
    path = folder / "run.json"
    if not path.is_file():
        return
    wanted = json.loads(path.read_text()).get("record_sha256", {}).get(record.name)
    if wanted is not None and wanted != sha256:
        yield f"{record.name}: its sha256 is {sha256[:16]}..., the run wrote {wanted[:16]}..."


def _sent_differences(unit: Unit, player: _Player, scans: Sequence[ScanRecord]) -> Iterator[str]:
    """Plays every scan; tells where the unit sends something else than it sent."""
    requests: Requests | None = None
    for index, scan in enumerate(scans):
        player.play(scan)
        if scan.requests is not None and scan.requests != requests:
            requests = scan.requests
            unit.request(requests)
        if scan.safe:
            unit.make_safe(scan.t_us)
        else:
            unit.scan(scan.t_us, scan.late_us)
        yield from _sent_difference(index, scan, player.now)


def _sent_difference(index: int, scan: ScanRecord, played: _Played) -> Iterator[str]:
    for name in LINKS:
        was, is_ = scan.sent.get(name, b""), played.sent.get(name, b"")
        was_messages = scan.sent_messages.get(name, [])
        is_messages = played.sent_messages.get(name, [])
        if was != is_:
            yield f"scan {index} at {_ms(scan)}: to {name} sent {_hex(is_)}, recorded {_hex(was)}"
        if was_messages != is_messages:
            yield (
                f"scan {index} at {_ms(scan)}: to {name} sent {is_messages}, "
                f"recorded {was_messages}"
            )


def _ms(scan: ScanRecord) -> str:
    return f"{scan.t_us / 1000:.3f} ms"


def _hex(data: bytes) -> str:
    return data.hex(" ") or "nothing"


def _first(differences: Iterator[str]) -> list[str]:
    """The first one, but everything is played: the trace needs all scans."""
    found = list(differences)
    return found[:1]


def _trace_differences(trace: Path, unit: Unit) -> Iterator[str]:
    recorded = trace.read_text(encoding="utf-8").splitlines() if trace.is_file() else []
    played = [line.as_json() for line in unit.trace.lines]
    for index, (was, is_) in enumerate(zip_longest(recorded, played, fillvalue="(no line)")):
        if was != is_:
            yield f"{trace.name} line {index + 1}: {is_}, recorded {was}"
