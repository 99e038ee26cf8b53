"""A panel whose maker's own tool drops a file for each image into a folder.

There is no control in it: by itself it is for `dxrig observe`, and a bench that commands its
generator needs the panel's lines beside it (`line_panel.py`). A file carries no exposure's name
either; it is paired by time, one exposure at a time. How such tools write is no standard, so
everything here is by what can be seen of a file:

| a file that | is |
|---|---|
| changed less than `settle_us` ago | growing: left alone |
| has settled and is shorter than it says or must be | half-written; told after `stall_us` |
| is whole and looks as if its end were empty yet | left alone until `stall_us`, then taken |
| is not of the size, or can't be read | of a wrong size, garbage |
| lay there before, or is older than the exposure | earlier |
| has pixels or bytes that were there before | a duplicate |
| names another panel, or is named as none of ours | another's |
| settles while no exposure waits | unasked; after a shot's own image: a second one |
| is undated, and an earlier exposure's never came | unasked: nobody can tell whose it is |

Only what is none of these becomes a frame. Everything else is handed out as `Aside` and kept by
whoever reads them; nothing in the folder is ever moved or changed. Files are listed and read in
`read`, which may take as long as a network share: **never in the scan**, but in the process that
takes frames. The clock of the files may differ by `slack_us`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from typing import Protocol

from hal.now import NEVER_US, Now, since
from hal.ports import LinkError, PanelFrame
from hal.stream_v1 import encode_image

SOURCE = "none: no maker's tool is followed; names and layout as the bench file has them"
VERIFIED = "synthetic: never checked against a maker's tool"
DRIVES_BEAM = False
OBSERVE_ONLY = "its images are dropped by the maker's tool; see `dxrig observe`"

LOOK_US = 250_000


class Verdict(Enum):
    HALF_WRITTEN = "half-written"
    WRONG_SIZE = "of a wrong size"
    GARBAGE = "garbage"
    EARLIER = "older than the exposure"
    DUPLICATE = "a duplicate"
    OTHER_PANEL = "another panel's"
    UNASKED = "an image that no exposure waits for"
    SECOND = "a second image of one exposure"


class NoPictureError(Exception):
    """This is no image of ours; the text says why."""

    def __init__(self, verdict: Verdict, why: str) -> None:
        super().__init__(why)
        self.verdict = verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file as the listing shows it; `changed_us` is by the clock of the exposures."""

    name: str
    size_bytes: int
    changed_us: int


class Folder(Protocol):
    """Both raise OSError."""

    def entries(self) -> Sequence[Entry]: ...

    def read(self, name: str) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What one file holds. None: it does not say."""

    pixels: bytes  # rows x columns, little-endian uint16
    rows_px: int
    columns_px: int
    panel_id: str | None = None
    made_us: int | None = None  # when it was acquired, by its own word
    ends_empty: bool = False  # as a file that was given its size before its content


@dataclass(frozen=True, slots=True, kw_only=True)
class Aside:
    """A file that became no frame. `data` None: too large, or not read."""

    name: str
    verdict: Verdict
    why: str
    data: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """The one exposure whose image is awaited."""

    shot_id: str
    start_us: int  # of its beam
    end_us: int
    asked: bool = True  # False: a beam of which nothing is known; its image is put aside


@dataclass(slots=True)
class _File:
    entry: Entry
    since_us: int  # seen like this from then on
    done: bool = False
    is_half: bool = False  # judged so: no second look at the same bytes before it has stalled


@dataclass(slots=True)
class _Known:
    """Digests of what was judged already."""

    files: dict[bytes, str] = field(default_factory=dict)  # sha256 -> name
    pixels: dict[bytes, str] = field(default_factory=dict)


class FolderLink:
    """A `FrameLink`: `read` gives Stream V1 messages of whole frames, `asides` grows beside."""

    def __init__(
        self,
        folder: Folder,
        decode: Callable[[bytes], Picture],
        *,
        panel_id: str,
        pattern: str = "*",
        most_bytes: int,
        settle_us: int = 1_000_000,
        stall_us: int = 15_000_000,
        slack_us: int = 2_000_000,
    ) -> None:
        """`decode` raises NoPictureError. Raises LinkError where the folder can't be listed."""
        self.asides: list[Aside] = []
        self._folder, self._decode = folder, decode
        self._panel_id, self._pattern, self._most_bytes = panel_id, pattern, most_bytes
        self._settle_us, self._stall_us, self._slack_us = settle_us, stall_us, slack_us
        self._waiting: Waiting | None = None
        self._served: str | None = None  # the newest shot that has its image
        self._missed: str | None = None  # one whose image never came, and may come yet
        self._known = _Known()
        self._awaited: Callable[[], Waiting | None] | None = None
        self._keep: Callable[[Aside], None] | None = None
        self._series = 0
        self._down: LinkError | None = None  # the folder could not be listed when last looked
        self._look_us = 0
        self._files = {entry.name: _File(entry, 0, done=True) for entry in self._entries()}
        self.before_count = len(self._files)  # lay there when this began: looked at no more

    @property
    def waiting(self) -> Waiting | None:
        return self._waiting

    def expect(self, waiting: Waiting | None) -> None:
        """From now on the next whole image is this exposure's; None: waited long enough."""
        if self._waiting is not None:
            self._missed = self._waiting.shot_id
        self._waiting = waiting

    def follow(self, awaited: Callable[[], Waiting | None], keep: Callable[[Aside], None]) -> None:
        """Ask at each look whose image is awaited, and hand on what is none at once."""
        self._awaited, self._keep = awaited, keep

    def read(self, t_us: int) -> list[list[bytes]]:
        """Raises LinkError while the folder can't be listed."""
        self._ask_who_waits()
        found = self._look_around(Now(t_us))
        while self._keep is not None and self.asides:
            self._keep(self.asides.pop(0))
        return found

    def _ask_who_waits(self) -> None:
        waiting = self._awaited() if self._awaited is not None else self._waiting
        if waiting != self._waiting and (waiting is None or waiting.shot_id != self._served):
            self.expect(waiting)

    def _look_around(self, now: Now) -> list[list[bytes]]:
        if not now.reached(self._look_us):
            if self._down is not None:
                raise self._down
            return []
        self._look_us = now.t_us + LOOK_US
        entries = sorted(self._entries(), key=lambda entry: (entry.changed_us, entry.name))
        names = {entry.name for entry in entries}
        self._files = {name: file for name, file in self._files.items() if name in names}
        found = [self._look(now, entry) for entry in entries]
        return [message for message in found if message is not None]

    def write(self, t_us: int, message: list[bytes]) -> None:
        raise LinkError("images come from this folder, nothing goes back")

    def arrival_us(self) -> int:
        self._ask_who_waits()
        return self._look_us if self._waiting is not None else NEVER_US

    def close(self) -> None:
        return None

    def unfinished(self) -> list[str]:
        """Names of files that were never judged: still growing, or stalled not long enough."""
        return sorted(name for name, file in self._files.items() if not file.done)

    def _entries(self) -> Sequence[Entry]:
        self._down = None
        try:
            return self._folder.entries()
        except OSError as error:
            self._down = LinkError(f"the panel's folder can't be listed: {error.strerror or error}")
            raise self._down from error

    # --- one file

    def _look(self, now: Now, entry: Entry) -> list[bytes] | None:
        file = self._files.get(entry.name)
        if file is None or file.entry != entry:
            self._files[entry.name] = _File(entry, now.t_us)
            return None
        if file.done or not now.reached(file.since_us + self._settle_us):
            return None
        stalled = self._stalled(now, entry)
        if file.is_half and not stalled:
            return None
        try:
            message = self._judged(now, entry)
        except NoPictureError as error:
            if error.verdict is Verdict.HALF_WRITTEN and not stalled:
                file.is_half = True
                return None
            self._put_aside(entry, error)
            message = None
        except OSError:
            return None  # gone, or still held by its writer: the next look says
        file.done = True
        return message

    def _stalled(self, now: Now, entry: Entry) -> bool:
        return now.reached(self._files[entry.name].since_us + self._stall_us)

    def _judged(self, now: Now, entry: Entry) -> list[bytes]:
        """The frame, or NoPictureError with what it is instead."""
        if not fnmatchcase(entry.name, self._pattern):
            # It may be the tool's own name for a file that it is still writing.
            stalled = self._stalled(now, entry)
            verdict = Verdict.OTHER_PANEL if stalled else Verdict.HALF_WRITTEN
            raise NoPictureError(verdict, f"is not named {self._pattern}")
        if entry.size_bytes > self._most_bytes:
            why = f"{entry.size_bytes} bytes are more than {self._most_bytes}"
            raise NoPictureError(Verdict.WRONG_SIZE, why)
        data = self._folder.read(entry.name)
        if len(data) != entry.size_bytes:
            raise NoPictureError(Verdict.HALF_WRITTEN, "it changed while it was read")
        _once(self._known.files, data, entry.name, keep=False)
        picture = self._decode(data)
        if picture.ends_empty and not self._stalled(now, entry):
            raise NoPictureError(Verdict.HALF_WRITTEN, "its end is empty")
        if picture.panel_id not in (None, self._panel_id):
            raise NoPictureError(
                Verdict.OTHER_PANEL, f"it is of panel {picture.panel_id}, not of {self._panel_id}"
            )
        _once(self._known.pixels, picture.pixels, entry.name, keep=False)
        waiting = self._must_wait(entry, picture)
        self._must_be_its_own(waiting, picture)
        _once(self._known.files, data, entry.name)
        _once(self._known.pixels, picture.pixels, entry.name)
        self._waiting, self._served = None, waiting.shot_id
        return self._frame(waiting, picture)

    def _must_wait(self, entry: Entry, picture: Picture) -> Waiting:
        waiting = self._waiting
        if waiting is None:
            if self._served is None:
                raise NoPictureError(Verdict.UNASKED, "no exposure waits for an image")
            why = f"no exposure waits for an image; {self._served} has its own"
            raise NoPictureError(Verdict.SECOND, why)
        oldest_us = waiting.start_us - self._slack_us
        for what, at_us in (("written", entry.changed_us), ("acquired", picture.made_us)):
            if at_us is not None and not since(at_us, oldest_us):
                before_s = (waiting.start_us - at_us) / 1e6
                raise NoPictureError(
                    Verdict.EARLIER, f"{what} {before_s:.1f} s before the beam of {waiting.shot_id}"
                )
        return waiting

    def _must_be_its_own(self, waiting: Waiting, picture: Picture) -> None:
        if self._missed is not None and picture.made_us is None:
            raise NoPictureError(
                Verdict.UNASKED,
                f"it may be of {self._missed}, whose image never came, or of {waiting.shot_id}; "
                "end this session and begin anew to take images again",
            )
        if not waiting.asked:
            self._waiting, self._served = None, waiting.shot_id
            raise NoPictureError(
                Verdict.UNASKED, f"of {waiting.shot_id}, a beam that nobody was asked for"
            )

    def _frame(self, waiting: Waiting, picture: Picture) -> list[bytes]:
        self._series += 1
        return encode_image(
            PanelFrame(
                series=self._series,
                frame_index=0,
                rows_px=picture.rows_px,
                columns_px=picture.columns_px,
                pixels=picture.pixels,
                start_us=waiting.start_us,
                stop_us=waiting.end_us,
                panel_id=self._panel_id,
                shot_id=waiting.shot_id,
            )
        )

    def _put_aside(self, entry: Entry, error: NoPictureError) -> None:
        data = None
        if entry.size_bytes <= self._most_bytes:
            try:
                data = self._folder.read(entry.name)
            except OSError as failed:
                error = NoPictureError(error.verdict, f"{error}; and can't be kept: {failed}")
        if data is not None:
            self._known.files.setdefault(hashlib.sha256(data).digest(), entry.name)
        self.asides.append(Aside(name=entry.name, verdict=error.verdict, why=str(error), data=data))


def _once(known: dict[bytes, str], data: bytes, name: str, *, keep: bool = True) -> None:
    """Raises NoPictureError where the same was judged under another or the same name."""
    digest = hashlib.sha256(data).digest()
    if keep:
        known[digest] = name
    elif digest in known:
        raise NoPictureError(Verdict.DUPLICATE, f"the same as {known[digest]}")
