"""A dose-area product meter behind the collimator's blades: reset before a beam, read after it.

**Synthetic**, and of no vendor: no serial protocol of one is public (protocols.md 8.3). Lines of
`summed_lines.py` at 19200 8N1. It adds up what passes its chamber until it is reset; so what is
read belongs to a shot only if the reset before it was answered.

Chosen, all of it: 5 ms to an answer, steps of 0.01 uGy m2 up to a million (10 uGy m2 are 1 dGy cm2,
the unit of DICOM and of our types), a reset that counts when it is answered.
"""

from __future__ import annotations

from hal.exchange import Answer
from hal.line_codec import Line, LineCodec, Number, Row, Word
from hal.now import Now
from hal.ports import ByteLink, DoseModel, Kind, Listener
from hal.summed_lines import Answers, Asker, Summed
from hal.types import DoseSample, Outputs

SOURCE = "synthetic: no DAP meter's wire is public (protocols.md 8.3); frame after NMEA 0183"
VERIFIED = "never checked against a device: synthetic, no meter speaks so"
DRIVES_BEAM = False
LINE = "19200 8N1"
UGYM2_PER_DGYCM2 = 10.0
REPLY_US = 5_000
ACTIVE_US = 40_000  # before the beam, and after it until its value is there
STANDBY_US = 500_000

# --- 1 COMMANDS

_HERE = "synthetic, this file"
STATES = {"R": "ready", "F": "its chamber has no voltage", "O": "over its range"}
TABLE = LineCodec(
    (
        Row(name="who", form="DAM?", kind=Kind.QUERY, source=_HERE),
        Row(name="reset", form="RST", kind=Kind.ACT, source=_HERE),
        Row(name="value", form="DAP?", kind=Kind.QUERY, source=_HERE),
        Row(name="identity", form="DAM,{},{}", kind=Kind.REPLY, values=(Word(), Word()),
            to=("who",), source=_HERE),
        Row(name="is reset", form="RST,0", kind=Kind.REPLY, to=("reset",), source=_HERE),
        Row(name="dose-area product", form="DAP,{},{}", kind=Kind.REPLY, to=("value",),
            values=(Number(unit="uGy m2", per_unit=100, digits=8), Word(words=STATES)),
            source=_HERE),
    ),
    commands=Summed(),
    replies=Summed(),
)  # fmt: skip


def listener() -> Listener:
    return TABLE.listener()


# --- 2 the unit's side


class Driver:
    """Converges to "reset for this shot" before its beam; then the value, over and over."""

    def __init__(self, link: ByteLink) -> None:
        self._asker = Asker(link, TABLE)
        self._identity: str | None = None
        self._reset_for: str | None = None  # the shot whose reset was answered
        self._resetting: str | None = None
        self.sample = DoseSample(taken_us=0)

    def read(self, now: Now) -> DoseSample:
        answer = self._asker.read(now)
        if answer is not None:
            self._take(answer)
        elif self._asker.lost and self.sample.link_ok:
            # Whoever answers next may be another one, or have begun anew: nothing is of this shot.
            self._identity = self._reset_for = None
            self.sample = DoseSample(taken_us=self.sample.taken_us)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        """In the beam nothing is reset: what has passed the chamber stays."""
        shot_id = outputs.dose_shot_id
        if self._identity is None:
            self._asker.ask(now, "who", every_us=STANDBY_US)
        elif outputs.dose_reset and shot_id != self._reset_for:
            if self._asker.ask(now, "reset"):
                self._resetting = shot_id
        else:
            waited_for = shot_id is not None and outputs.expose_from_us is None
            often = waited_for or not self.sample.link_ok
            self._asker.ask(now, "value", every_us=ACTIVE_US if often else STANDBY_US)

    def _take(self, answer: Answer[str, Line]) -> None:
        line = answer.reply
        if line.row.name == "identity":
            self._identity = " ".join(map(str, line.values))
        elif line.row.name == "is reset":
            self._reset_for = self._resetting
        else:
            ugym2, state = line.values
            assert isinstance(ugym2, int | float)
            self.sample = DoseSample(
                taken_us=answer.asked_us,
                link_ok=True,
                identity=self._identity,
                shot_id=self._reset_for,
                dap_dgycm2=round(ugym2 / UGYM2_PER_DGYCM2, 3) if state == "R" else None,
                trouble="" if state == "R" else STATES[str(state)],
            )


# --- 3 the device's side


class Desk:
    def __init__(self, model: DoseModel) -> None:
        self._model = model
        self._answers = Answers(TABLE, REPLY_US)

    def receive(self, now: Now, data: bytes) -> None:
        for question in self._answers.receive(data):
            if question == "who":
                self._answers.say(now, "identity", self._model.name, self._model.serial_number)
            elif question == "reset":
                self._model.reset(now.t_us)
                self._answers.say(now, "is reset")
            else:
                seen = self._model.seen(now.t_us)
                self._answers.say(
                    now, "dose-area product", seen.dap_dgycm2 * UGYM2_PER_DGYCM2,
                    "F" if seen.failed else "R",
                )  # fmt: skip

    def poll(self, now: Now) -> bytes:
        return self._answers.poll(now)
