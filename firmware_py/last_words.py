"""What a unit leaves behind if it dies in this scan: the newest readings of the running exposure.

Noted in each scan from PREP until the recorder has the dose, after the decision and *before*
anything of it is written to a device. So a word in which ON can't leave, and has not left, is
proof that it never did: a scan that sends ON has said so first. What the next recorder makes of
the newest word is in `recorder/lost_dose.py`; where it lies, and what it outlives, in
`word_file.py`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from firmware_py.decide.memory import Memory
from firmware_py.decide.supervisor import IN_SEQUENCE
from firmware_py.word_ring import Ring
from hal.now import since
from hal.types import Inputs, Outputs

SHOT_ID_BYTES = 64  # as the recorder accepts them; a longer one gets no intent, and so no beam
_BODY = struct.Struct("<16s16s64s16sB6q5d")
_FLAGS = ("may_leave", "relay_counts", "over", "reported_beam", "beam_on")
_KNOWN = 1 << len(_FLAGS)  # `beam_on` is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One scan. Times are of that unit's own clock; what its generator said is *indicated*."""

    boot: UUID  # of the computer: memory that came back from a disk is of another one
    run: UUID  # the recorder's `uid_namespace`: two runs may use one shot id
    shot_id: str
    state: str
    t_us: int  # the scan began; its bytes left later, if at all
    dead_us: int  # from there to HV off, by the relay pulse, if nothing came after this scan
    relay_counts: bool  # the module that times the pulse was heard just before
    may_leave: bool  # ON may leave in this scan
    sent_us: int | None = None  # ON left, in an earlier scan
    accepted_us: int | None = None
    read_us: int | None = None  # newest monitor read that was used ...
    mas: float | None = None  # ... and the charge up to it
    kv: float | None = None  # newest monitor read
    ma: float | None = None
    most_ma: float | None = None  # the highest of this beam
    beam_on: bool | None = None
    beam_taken_us: int | None = None  # that status was asked for
    reported_beam: bool = False  # the report says that ON left
    reported_mas: float | None = None  # ... and at most so much; None: it was not made yet
    over: bool = False  # nothing is owed any more


class LastWords:
    """Says them, scan by scan."""

    def __init__(
        self,
        ring: Ring,
        boot: UUID,
        run: UUID,
        dead_us: int,
        claim: Callable[[], bool] = lambda: True,
    ) -> None:
        """`claim`: asked before the first word; nothing is said where it says no."""
        self._ring = ring
        self._boot, self._run, self._dead_us = boot, run, dead_us
        self._claim = claim
        self.claimed: bool | None = None
        self.owed = False  # the exposure that was spoken of has no dose in the journal yet

    def note(self, inputs: Inputs, memory: Memory, outputs: Outputs) -> None:
        """Before `outputs` are written."""
        waits = any(one is not None for one in (memory.ending, memory.unread, memory.report))
        owed = memory.shot is not None and (memory.state in IN_SEQUENCE or waits)
        if owed and self.claimed is None:
            self.claimed = self._claim()
        if self.claimed and (owed or self.owed):
            self._say(inputs, memory, outputs, over=not owed)
        self.owed = owed

    def _say(self, inputs: Inputs, memory: Memory, outputs: Outputs, *, over: bool) -> None:
        shot, beam, generator = memory.shot, memory.beam, inputs.generator
        if shot is None or len(shot.shot_id.encode(errors="replace")) > SHOT_ID_BYTES:
            return
        sent_us = None
        if beam is not None and since(generator.on_sent_us, beam.ordered_us):
            sent_us = generator.on_sent_us
        is_ours = sent_us is not None and since(generator.monitor_taken_us, sent_us)
        read_ma = generator.ma or 0.0 if is_ours else 0.0
        fresh_us = inputs.t_us - memory.limits.room_age_us
        report = memory.report if memory.report and memory.report.shot == shot else None
        word = Word(
            boot=self._boot,
            run=self._run,
            shot_id=shot.shot_id,
            state=memory.state.value,
            t_us=inputs.t_us,
            dead_us=self._dead_us,
            relay_counts=inputs.room.link_ok and since(inputs.room.taken_us, fresh_us),
            may_leave=outputs.expose_from_us is not None or outputs.expose_line,
            sent_us=sent_us if beam is None or beam.sent_us is None else beam.sent_us,
            accepted_us=beam.accepted_us if beam else None,
            read_us=beam.read_us if beam else None,
            mas=beam.read_mas if beam and beam.read_us is not None else None,
            kv=generator.kv if is_ours else None,
            ma=generator.ma if is_ours else None,
            most_ma=max(beam.most_ma, read_ma) if beam else None,
            beam_on=generator.beam_on,
            beam_taken_us=generator.beam_taken_us,
            reported_beam=report is not None and report.beam,
            reported_mas=None if report is None else _most(report.maximum_mas, report.mas),
            over=over,
        )
        self._ring.add(encode(word))


def _most(maximum_mas: float, mas: float | None) -> float:
    return max(maximum_mas, mas or 0.0)


def encode(word: Word) -> bytes:
    flags = sum(1 << bit for bit, name in enumerate(_FLAGS) if getattr(word, name))
    return _BODY.pack(
        word.boot.bytes,
        word.run.bytes,
        word.shot_id.encode(errors="replace"),
        word.state.encode(),
        flags | (0 if word.beam_on is None else _KNOWN),
        word.t_us,
        word.dead_us,
        *(-1 if value is None else value
          for value in (word.sent_us, word.accepted_us, word.read_us, word.beam_taken_us)),
        *(math.nan if value is None else value
          for value in (word.mas, word.kv, word.ma, word.most_ma, word.reported_mas)),
    )  # fmt: skip


def decode(body: bytes) -> Word:
    """Raises ValueError for what is none, though its checksum is right."""
    boot, run, shot_id, state, flags, t_us, dead_us, *values = _BODY.unpack_from(body)
    sent_us, accepted_us, read_us, taken_us = (None if us == -1 else us for us in values[:4])
    mas, kv, ma, most_ma, reported_mas = (None if math.isnan(v) else v for v in values[4:])
    is_set = {name: bool(flags & 1 << bit) for bit, name in enumerate(_FLAGS)}
    if not flags & _KNOWN:
        del is_set["beam_on"]
    return Word(
        boot=UUID(bytes=boot),
        run=UUID(bytes=run),
        shot_id=shot_id.rstrip(b"\0").decode(),
        state=state.rstrip(b"\0").decode(),
        t_us=t_us,
        dead_us=dead_us,
        sent_us=sent_us,
        accepted_us=accepted_us,
        read_us=read_us,
        beam_taken_us=taken_us,
        mas=mas,
        kv=kv,
        ma=ma,
        most_ma=most_ma,
        reported_mas=reported_mas,
        **is_set,
    )
