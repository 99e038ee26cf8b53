"""Links that return what they returned when a run was recorded, and keep what is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from firmware_py.record import ScanRecord
from hal.now import NEVER_US, Now
from hal.ports import LinkError
from hal.types import ExposureReport, Intent, RecorderSample


@dataclass(slots=True)
class Played:
    """The scan that is being played, and what the unit sends in it."""

    scan: ScanRecord
    sent: dict[str, bytes] = field(default_factory=dict)
    sent_messages: dict[str, list[list[bytes]]] = field(default_factory=dict)
    writes_count: dict[str, int] = field(default_factory=dict)

    def wrote(self, link: str) -> None:
        """Raises LinkError where this write failed in the recording."""
        index = self.writes_count.get(link, 0)
        self.writes_count[link] = index + 1
        why = self.scan.not_sent.get(link, {}).get(index)
        if why is not None:
            raise LinkError(why)


class Player:
    """Stands for all links of a recording."""

    def __init__(self) -> None:
        self.now = Played(ScanRecord(0, 0))

    def play(self, scan: ScanRecord) -> None:
        self.now = Played(scan)


class ByteReplay:
    def __init__(self, name: str, player: Player) -> None:
        self._name, self._player = name, player

    def read(self, t_us: int) -> bytes:
        scan = self._player.now.scan
        if self._name in scan.failed:
            raise LinkError(scan.failed[self._name])
        return scan.got.get(self._name, b"")

    def write(self, t_us: int, data: bytes) -> None:
        now = self._player.now
        now.sent[self._name] = now.sent.get(self._name, b"") + data
        now.wrote(self._name)

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        return None


class MessageReplay:
    def __init__(self, name: str, player: Player) -> None:
        self._name, self._player = name, player

    def read(self, t_us: int) -> Sequence[list[bytes]]:
        scan = self._player.now.scan
        if self._name in scan.failed:
            raise LinkError(scan.failed[self._name])
        return scan.got_messages.get(self._name, [])

    def write(self, t_us: int, message: list[bytes]) -> None:
        now = self._player.now
        now.sent_messages.setdefault(self._name, []).append(message)
        now.wrote(self._name)

    def arrival_us(self) -> int:
        return NEVER_US

    def close(self) -> None:
        return None


class RecorderReplay:
    """Publishes the recorder samples of the recording; intents and reports stand in the trace."""

    def __init__(self, player: Player) -> None:
        self._player = player
        self.sample = RecorderSample(taken_us=0)

    def read(self, now: Now) -> RecorderSample:
        if self._player.now.scan.recorder is not None:
            self.sample = self._player.now.scan.recorder
        return self.sample

    def write(
        self,
        now: Now,
        intent: Intent | None,
        report: ExposureReport | None,
        kept: tuple[str, ...],
    ) -> None:
        return None
