"""What a victim said before it died: what was acknowledged, and what was refused in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Heard:
    """`intents`: the journal's number by story number. `silent`: step and
    story number of what was refused without a word.

    `unheard`: reports that were sent several times and never acknowledged.
    """

    intents: dict[int, int] = field(default_factory=dict)
    doses: set[int] = field(default_factory=set)
    images: set[int] = field(default_factory=set)
    unheard: set[int] = field(default_factory=set)
    silent: list[tuple[str, int]] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)
    closing: list[str] = field(default_factory=list)  # the errors of an end in good order
    has_ended: bool = False

    @property
    def acknowledged_count(self) -> int:
        return len(self.intents) + len(self.doses) + len(self.images)

    def under_way(self) -> int | None:
        """The exposure whose intent was acknowledged and whose dose was not: sent again."""
        waiting = set(self.intents) - self.doses - self.unheard
        return max(waiting) if waiting else None

    def take(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Of one more life in the same folder."""
        self.has_ended = False
        for line in lines:
            self._take(line)

    def _take(self, line: Mapping[str, Any]) -> None:
        match line.get("ack"):
            case "intent":
                self.intents[line["story"]] = line["number"]
            case "dose":
                self.doses.add(line["story"])
                self.unheard.discard(line["story"])
            case "image":
                self.images.add(line["story"])
        if "closing" in line:
            self.closing.append(line["closing"])
        if "crash" in line:
            self.crashes.append(line["crash"])
        if line.get("refused") == "dose":
            self.unheard.add(line["story"])
        if "refused" in line and not _was_told(line):
            self.silent.append((line["refused"], line.get("story", 0)))
        self.has_ended |= "end" in line


def _was_told(line: Mapping[str, Any]) -> bool:
    return bool(line["told"] or line.get("image_failed") or not line.get("disk_ok", True))
