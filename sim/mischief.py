"""What a bad line does to what passes: by seed and rate, or once and exactly.

A chunk is what one side wrote at once, or one message; where a real port joins or cuts
writes, it is one read. Each chunk has dice of its own, thrown in the same order for every
kind: what one suffers depends on seed, direction and number alone, never on the others.

Synthetic: what is put in, doubled or replayed towards the device takes no time on the line.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from hal.now import NEVER_US, Now, latest_us

T = TypeVar("T")

KINDS = {
    "drop": "the chunk is lost",
    "lose": "one byte of it is lost",
    "flip": "one bit of it is flipped",
    "insert": "one byte too many comes in between",
    "split": "it comes in two pieces, the second `delay_us` later",
    "duplicate": "it comes twice",
    "replay": "an earlier chunk comes again behind it",
    "delay": "it and all behind it come `delay_us` later",
    "merge": "it waits for the next one and comes in one piece with it",
    "reorder": "the next one overtakes it",
}
TOWARD = ("unit", "device")
DELAY_US = 20_000
DELAY_MAX_US = 60_000_000
VALUE_MAX = {"flip": 7, "insert": 255}  # else: how many chunks back


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Once, on the chunk of this number, counted from 0 when the mischief began.

    `value_code`: the bit of a flip (0-7), the byte of an insert (0-255), how many chunks back a
    replay reaches (1 = the one before).
    """

    kind: str
    chunk_index: int = 0
    byte_index: int = 0
    value_code: int = 0

    def __post_init__(self) -> None:
        _known(self.kind)
        _whole("chunk", self.chunk_index)
        _whole("byte", self.byte_index)
        _whole("value", self.value_code, VALUE_MAX.get(self.kind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Mischief:
    """`rates`: probability by kind, for each chunk. Raises ValueError with what is allowed."""

    seed: int = 1
    rates: Mapping[str, float] = field(default_factory=dict)
    delay_us: int = DELAY_US
    attacks: tuple[Attack, ...] = ()

    def __post_init__(self) -> None:
        _whole("seed", self.seed)
        for kind, rate in self.rates.items():
            _known(kind)
            if not is_number(rate) or not 0 <= rate <= 1:
                raise ValueError(f"{kind} = {rate!r}: must be a number from 0 to 1")
        if not 0 <= self.delay_us <= DELAY_MAX_US:  # us-compare: a setting, no moment
            raise ValueError(f"delay = {self.delay_us} us: must be 0 to {DELAY_MAX_US}")

    def acts(
        self, lane: str, number: int, size_bytes: int, past_count: int
    ) -> dict[str, tuple[int, int]]:
        """kind -> (byte, value), of what happens to this chunk after `past_count` others."""
        found = {
            attack.kind: (attack.byte_index, attack.value_code)
            for attack in self.attacks
            if attack.chunk_index == number
        }
        if any(self.rates.values()):
            dice = random.Random(f"mischief {self.seed} {lane} {number}")
            for kind in KINDS:
                hit, where, what = dice.random(), dice.random(), dice.random()
                if hit < self.rates.get(kind, 0.0):
                    values = range(VALUE_MAX[kind] + 1) if kind in VALUE_MAX else range(past_count)
                    value = int(what * len(values)) + (kind == "replay")
                    found.setdefault(kind, (int(where * size_bytes), value))
        return found


def _known(kind: object) -> None:
    if kind not in tuple(KINDS):
        raise ValueError(f"no mischief {kind!r}; there are {', '.join(KINDS)}")


def _whole(name: str, value: object, most: int | None = None) -> None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if not is_whole or value not in range(NEVER_US if most is None else most + 1):
        allowed = "0 or more" if most is None else f"0 to {most}"
        raise ValueError(f"{name} = {value!r}: must be a whole number, {allowed}")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# --- what can be done to bytes, and to messages


class Chunks(Protocol[T]):
    """What the kinds mean for one sort of chunk; None: it can't be done at that byte."""

    kept_count: int  # earlier chunks that a replay may reach

    def size(self, chunk: T) -> int: ...

    def patched(self, chunk: T, byte: int, old_bytes: int, new: bytes) -> T | None: ...

    def byte_at(self, chunk: T, byte: int) -> int | None: ...

    def cut(self, chunk: T, byte: int) -> tuple[T, T] | None: ...

    def joined(self, first: T, second: T) -> T: ...


class ByteChunks:
    kept_count = 256

    def size(self, chunk: bytes) -> int:
        return len(chunk)

    def patched(self, chunk: bytes, byte: int, old_bytes: int, new: bytes) -> bytes | None:
        """`old_bytes` at `byte` give way to `new`."""
        if byte + old_bytes > len(chunk):
            return None
        return chunk[:byte] + new + chunk[byte + old_bytes :]

    def byte_at(self, chunk: bytes, byte: int) -> int | None:
        return chunk[byte] if byte < len(chunk) else None

    def cut(self, chunk: bytes, byte: int) -> tuple[bytes, bytes] | None:
        return (chunk[:byte], chunk[byte:]) if 0 < byte < len(chunk) else None

    def joined(self, first: bytes, second: bytes) -> bytes:
        return first + second


class MessageChunks:
    """Bytes are counted over all parts of a message."""

    kept_count = 12  # frames are large

    def size(self, chunk: list[bytes]) -> int:
        return sum(map(len, chunk))

    def patched(
        self, chunk: list[bytes], byte: int, old_bytes: int, new: bytes
    ) -> list[bytes] | None:
        for index, part in enumerate(chunk):
            if byte + old_bytes <= len(part):
                changed = part[:byte] + new + part[byte + old_bytes :]
                return [*chunk[:index], changed, *chunk[index + 1 :]]
            byte -= len(part)
        return None

    def byte_at(self, chunk: list[bytes], byte: int) -> int | None:
        for part in chunk:
            if byte < len(part):
                return part[byte]
            byte -= len(part)
        return None

    def cut(self, chunk: list[bytes], byte: int) -> tuple[list[bytes], list[bytes]] | None:
        if not 0 < byte < self.size(chunk):
            return None
        for index, part in enumerate(chunk):
            if byte < len(part):
                return [*chunk[:index], part[:byte]], [part[byte:], *chunk[index + 1 :]]
            byte -= len(part)
        return None

    def joined(self, first: list[bytes], second: list[bytes]) -> list[bytes]:
        return [*first, *second]


# --- one direction


class Lane(Generic[T]):
    """Chunks go in when they come, and out when they are due, first come first served."""

    def __init__(self, name: str, chunks: Chunks[T], counts: Counter[str]) -> None:
        """`counts`: what was done, by kind; shared with the other direction."""
        self._name = name
        self._chunks = chunks
        self._counts = counts
        self._mischief: Mischief | None = None
        self._number = 0
        self._past: deque[T] = deque(maxlen=chunks.kept_count)
        self._due: deque[tuple[int, T]] = deque()
        self._held: T | None = None
        self._held_for = ""

    def follow(self, t_us: int, mischief: Mischief | None) -> None:
        """From now on this, or nothing; chunks are counted anew."""
        self._mischief = mischief
        self._number = 0
        if self._held is not None:
            self._send(t_us, self._held)
            self._held = None

    @property
    def due_us(self) -> int:
        return self._due[0][0] if self._due else NEVER_US

    def take(self, t_us: int) -> list[T]:
        now, taken = Now(t_us), []
        while self._due and now.reached(self._due[0][0]):
            taken.append(self._due.popleft()[1])
        return taken

    def put(self, t_us: int, chunk: T) -> None:
        mischief = self._mischief
        if mischief is None:
            self._past.append(chunk)
            self._send(t_us, chunk)
            return
        size_bytes, past_count = self._chunks.size(chunk), len(self._past)
        acts = mischief.acts(self._name, self._number, size_bytes, past_count)
        self._number += 1
        if self._done("delay", acts):
            t_us += mischief.delay_us
        pieces = self._pieces(chunk, acts, mischief.delay_us)
        self._past.append(chunk)
        if self._held is not None:
            pieces = self._with_held(pieces)
        elif len(pieces) == 1 and ("merge" in acts or "reorder" in acts):
            self._held_for = "merge" if "merge" in acts else "reorder"
            self._held = pieces.pop()[1]
            self._counts[self._held_for] += 1
        for late_us, piece in pieces:
            self._send(t_us + late_us, piece)

    def _send(self, t_us: int, chunk: T) -> None:
        if self._chunks.size(chunk):
            last_us = self._due[-1][0] if self._due else t_us
            self._due.append((latest_us(t_us, last_us), chunk))

    def _done(self, kind: str, acts: Mapping[str, object], possible: bool = True) -> bool:
        """Count it, when it was asked for and can be done."""
        done = kind in acts and possible
        self._counts[kind] += done
        return done

    def _pieces(
        self, chunk: T, acts: Mapping[str, tuple[int, int]], delay_us: int
    ) -> list[tuple[int, T]]:
        """(later by so many us, what comes)"""
        if self._done("drop", acts):
            return []
        chunk = self._patched(chunk, acts)
        pieces = [(0, chunk)]
        halves = self._chunks.cut(chunk, acts["split"][0]) if "split" in acts else None
        if self._done("split", acts, halves is not None) and halves:
            pieces = [(0, halves[0]), (delay_us, halves[1])]
        if self._done("duplicate", acts):
            pieces += [(pieces[-1][0], chunk)]
        back = acts["replay"][1] if "replay" in acts else 0
        if self._done("replay", acts, 1 <= back <= len(self._past)):
            pieces += [(pieces[-1][0], self._past[-back])]
        return pieces

    def _patched(self, chunk: T, acts: Mapping[str, tuple[int, int]]) -> T:
        for kind in ("lose", "flip", "insert"):
            if kind not in acts:
                continue
            byte, value = acts[kind]
            there = self._chunks.byte_at(chunk, byte)
            if kind == "flip":
                new = b"" if there is None else bytes((there ^ 1 << value,))
            else:
                new = bytes((value,)) if kind == "insert" else b""
            changed = self._chunks.patched(chunk, byte, 0 if kind == "insert" else 1, new)
            if self._done(kind, acts, changed is not None) and changed is not None:
                chunk = changed
        return chunk

    def _with_held(self, pieces: list[tuple[int, T]]) -> list[tuple[int, T]]:
        held, self._held = self._held, None
        assert held is not None
        if self._held_for == "reorder" or not pieces:
            return [*pieces, (pieces[-1][0] if pieces else 0, held)]
        late_us, first = pieces[0]
        return [(late_us, self._chunks.joined(held, first)), *pieces[1:]]
