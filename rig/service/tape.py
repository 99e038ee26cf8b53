"""A tap's file, and a run's record: both are conversations, read the same way.

The file has the format of a run's record (firmware_py/record.py): one header line, then what
came from the device (GOT) and went to it (SENT), each with its time. A run's record holds all
links of a unit, so `dxrig replay` can run it again; a tap's file holds one link, so it can be
shown again (`dxrig tap --read`) and can answer in the device's place (`dxrig talk --play`). A
panel has two links, control and frames; frames are kept whole, pixels and all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from firmware_py.config import UnitConfig
from firmware_py.record import RecordError, Recording, ScanRecord, read_record
from hal.ports import Direction
from rig.exit_codes import DeviceError, UsageError

CONNECTING = "not connected yet"  # hal.links.TcpLink: the first scans of a unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Bytes or a message that passed together, or (`trouble`) why nothing did."""

    t_us: int
    link: str
    direction: Direction
    data: bytes = b""
    message: tuple[bytes, ...] = ()
    trouble: str = ""


class Tape:
    """Written as it happens; raises DeviceError when the file can't be begun."""

    def __init__(self, path: Path, links: Sequence[str], unit: UnitConfig, **facts: Any) -> None:
        """`links`: one, or a panel's two."""
        named = {"links": [*links], "tap": links[0]}
        header = {**named, "unit": unit.model_dump(mode="json"), **facts}
        try:
            self._file = path.open("xb", buffering=0)
            self._recording = Recording(self._file, header)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise DeviceError(f"{path}: can't be written: {why}") from error

    @property
    def stopped(self) -> str:
        """Why nothing is written any more; "" as long as all is well."""
        error = self._recording.stopped
        return "" if error is None else (error.strerror or str(error)).lower()

    def write(self, passage: Passage) -> None:
        self._recording.scan(passage.t_us, 0)
        link, sent = passage.link, passage.direction is Direction.TO_DEVICE
        if passage.trouble:
            self._recording.failed(link, passage.trouble)
        elif passage.message:
            keep = self._recording.sent_message if sent else self._recording.got_message
            keep(link, list(passage.message))
        else:
            (self._recording.sent if sent else self._recording.got)(link, passage.data)
        self._recording.end_scan()

    def close(self) -> None:
        self._file.close()


def read_tape(path: Path) -> tuple[UnitConfig, list[Passage], str]:
    """(unit, what passed, why it ends early or ""). `path`: of a tap, a record, or a run's folder.

    Raises UsageError for what is none of them.
    """
    file = path / "record.bin" if path.is_dir() else path
    try:
        record = read_record(file)
        unit = UnitConfig.model_validate(record.header["unit"])
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(f"{file}: can't be read: {why}") from error
    except (RecordError, KeyError, ValueError) as error:
        raise UsageError(f"{file}: no tap and no record of a run ({error})") from error
    return unit, list(passages(record.scans)), record.trouble


def passages(scans: Iterable[ScanRecord]) -> Iterator[Passage]:
    """In a scan the unit reads before it writes."""
    down: dict[str, str] = {}
    for scan in scans:
        for link, why in scan.failed.items():
            if down.get(link) != why and CONNECTING not in why:  # told once, not in each scan
                yield _passage(scan, link, Direction.FROM_DEVICE, trouble=why)
        down = {**{link: why for link, why in down.items() if not _came(scan, link)}, **scan.failed}
        for link, data in scan.got.items():
            yield _passage(scan, link, Direction.FROM_DEVICE, data=data)
        for link, messages in scan.got_messages.items():
            for message in messages:
                yield _passage(scan, link, Direction.FROM_DEVICE, message=tuple(message))
        for link, data in scan.sent.items():
            yield _passage(scan, link, Direction.TO_DEVICE, data=data)
        for link, messages in scan.sent_messages.items():
            for message in messages:
                yield _passage(scan, link, Direction.TO_DEVICE, message=tuple(message))


def _came(scan: ScanRecord, link: str) -> bool:
    return link in scan.got or link in scan.got_messages


def _passage(scan: ScanRecord, link: str, direction: Direction, **what: Any) -> Passage:
    return Passage(t_us=scan.t_us, link=link, direction=direction, **what)
