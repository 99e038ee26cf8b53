"""A collimator with sensors at its blades and one for the distance: it tells, a person moves it.

**Synthetic**, and of no vendor: no such wire is public. Lines of `summed_lines.py` at 19200 8N1.
The blades tell the opening at 1 m, as the scale of a hand-driven collimator does; the distance is
that of the receptor. What the field on the receptor is, is computed here.

Chosen, all of it: 5 ms to an answer, 0.1 mm and 1 mm steps, no more than one question at a time,
a SID of 0000 where the sensor sees no receptor.
"""

from __future__ import annotations

from hal.exchange import Answer
from hal.line_codec import Line, LineCodec, Number, Row, Word
from hal.now import Now
from hal.ports import ByteLink, CollimatorModel, Kind, Listener
from hal.summed_lines import Answers, Asker, Summed
from hal.types import GeometrySample, Outputs

SOURCE = "synthetic: no collimator's wire is public (protocols.md 8.3); frame after NMEA 0183"
VERIFIED = "never checked against a device: synthetic, no collimator speaks so"
DRIVES_BEAM = False
LINE = "19200 8N1"
SCALE_MM = 1000.0  # the distance that the blades' scale is made for
REPLY_US = 5_000
ACTIVE_US = 40_000  # from PREP to the end of the beam
STANDBY_US = 200_000

# --- 1 COMMANDS

_HERE = "synthetic, this file"
_SID = Number(unit="mm SID", digits=4, high=9999)
_OPENING = Number(unit="mm at 1 m", per_unit=10, digits=4, high=999.9)
STATES = {"R": "at rest", "M": "moving", "E": "a sensor has failed"}
TABLE = LineCodec(
    (
        Row(name="who", form="COL?", kind=Kind.QUERY, source=_HERE),
        Row(name="position", form="POS?", kind=Kind.QUERY, source=_HERE),
        Row(name="identity", form="COL,{},{}", kind=Kind.REPLY, values=(Word(), Word()),
            to=("who",), source=_HERE),
        Row(name="opening", form="POS,{},{},{},{}", kind=Kind.REPLY, to=("position",),
            values=(_SID, _OPENING, _OPENING, Word(words=STATES)),
            source=_HERE),
    ),
    commands=Summed(),
    replies=Summed(),
)  # fmt: skip


def listener() -> Listener:
    return TABLE.listener()


# --- 2 the unit's side


class Driver:
    """Who it is, then where it stands, over and over; it is told nothing."""

    def __init__(self, link: ByteLink) -> None:
        self._asker = Asker(link, TABLE)
        self._identity: str | None = None
        self.sample = GeometrySample(taken_us=0)

    def read(self, now: Now) -> GeometrySample:
        answer = self._asker.read(now)
        if answer is not None:
            self._take(answer)
        elif self._asker.lost and self.sample.link_ok:
            self._identity = None  # whoever answers next may be another one
            self.sample = GeometrySample(taken_us=self.sample.taken_us)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        often = outputs.technique is not None or not self.sample.link_ok
        if self._identity is None:
            self._asker.ask(now, "who", every_us=STANDBY_US)
        else:
            self._asker.ask(now, "position", every_us=ACTIVE_US if often else STANDBY_US)

    def _take(self, answer: Answer[str, Line]) -> None:
        if answer.reply.row.name == "identity":
            self._identity = " ".join(map(str, answer.reply.values))
            return
        sid_mm, rows_mm, columns_mm, state = answer.reply.values
        assert isinstance(sid_mm, int | float)
        assert isinstance(rows_mm, int | float)
        assert isinstance(columns_mm, int | float)
        known = state != "E"
        seen = known and sid_mm > 0
        found = GeometrySample(
            taken_us=answer.asked_us,
            link_ok=True,
            identity=self._identity,
            sid_mm=float(sid_mm) if seen else None,
            field_rows_mm=rows_mm * sid_mm / SCALE_MM if seen else None,
            field_columns_mm=columns_mm * sid_mm / SCALE_MM if seen else None,
            moving=state == "M",
        )
        self.sample = found


# --- 3 the device's side


class Desk:
    def __init__(self, model: CollimatorModel) -> None:
        self._model = model
        self._answers = Answers(TABLE, REPLY_US)

    def receive(self, now: Now, data: bytes) -> None:
        for question in self._answers.receive(data):
            if question == "who":
                self._answers.say(now, "identity", self._model.name, self._model.serial_number)
                continue
            seen = self._model.seen(now.t_us)
            state = "E" if seen.failed else "M" if seen.moving else "R"
            sid_mm = 0.0 if seen.sid_mm is None else seen.sid_mm
            self._answers.say(
                now, "opening", sid_mm, min(seen.rows_mm, 999.9), min(seen.columns_mm, 999.9), state
            )

    def poll(self, now: Now) -> bytes:
        return self._answers.poll(now)
