"""How much an exposure can have had whose unit died: by its programme, and by its last words.

    ON can't have left             no beam: it is proved, as it is where a unit reports it (I2)
    the unit had made its report   the report's bound
    ON may have left               mA x (from ON to when the relay pulse has lapsed)

mA is the set one, or the highest that was indicated. The enable pulse is the layer that counts:
it is timed by the module, needs no process, and the relay was seen open with stage 2 closed just
before this beam (SR-46). The generator's own timer bounds it from above: that is the programme's
bound. Both fail where a status says "on" after that timer has ended: then only the pulse counts.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from firmware_py.last_words import Word
from hal.now import since
from hal.types import Intent

BY_PROGRAMME, BY_WORDS = "the programme", "the last readings"
TIMER_LATE_US = 60_000  # a step of the timer and the fall: as late as a good one shows "on"
STEPS_IN_MAS = 1000  # a bound is written down in uAs, rounded up


@dataclass(frozen=True, slots=True, kw_only=True)
class LostDose:
    """`maximum_mas` 0 and `beam` False: nothing was irradiated."""

    beam: bool
    maximum_mas: float
    by: str
    word: Word | None = None

    def as_dict(self) -> dict[str, object]:
        """Beside a report in the journal: where its bound comes from."""
        found: dict[str, object] = {"bound_by": self.by}
        if self.word is not None:
            said = asdict(self.word)
            found["last_words"] = {k: v for k, v in said.items() if k not in _ELSEWHERE}
        return found


_ELSEWHERE = ("boot", "run", "shot_id")  # in the intent, or of no use afterwards
KEYS = ("bound_by", "last_words")


def lost_dose(intent: Intent, word: Word | None) -> LostDose:
    """`word`: the newest of this very exposure; None: there is none that can be believed."""
    if not intent.shot.has_beam:
        return LostDose(beam=False, maximum_mas=0.0, by=BY_PROGRAMME)
    if word is None:
        return _by_programme(intent)
    if word.reported_mas is not None:
        return _by_words(word, word.reported_mas, beam=word.reported_beam)
    if word.sent_us is None and not word.may_leave:
        # A beam that it saw all the same was not its own: nobody knows of how much.
        return _by_programme(intent) if word.beam_on else _by_words(word, 0.0, beam=False)
    return _of_beam(intent, word)


def _of_beam(intent: Intent, word: Word) -> LostDose:
    set_ma = intent.shot.technique.ma
    ma = max(set_ma, word.most_ma or 0.0)
    programme_mas = intent.maximum_mas * ma / set_ma
    # Not sent yet: it leaves in this scan, or never. However late that is, the pulse is as long.
    on_us = word.t_us if word.sent_us is None else word.sent_us
    pulse_mas = max(ma * (word.t_us + word.dead_us - on_us) / 1e6, word.mas or 0.0)
    if _outlived_timer(intent, word):
        return _by_words(word, max(programme_mas, pulse_mas))
    if not word.relay_counts or programme_mas <= pulse_mas:
        return _by_programme(intent) if ma == set_ma else _by_words(word, programme_mas)
    return _by_words(word, pulse_mas)


def _outlived_timer(intent: Intent, word: Word) -> bool:
    """A status that says "on", asked for when the generator's own timer had ended the beam."""
    if not word.beam_on or word.sent_us is None:
        return False
    return since(word.beam_taken_us, word.sent_us + _timer_us(intent) + TIMER_LATE_US)


def _timer_us(intent: Intent) -> int:
    """An older journal has it only in the bound, which held nothing of the fall then."""
    if intent.timer_us is not None:
        return intent.timer_us
    return round(intent.maximum_mas / intent.shot.technique.ma * 1e6)


def _by_programme(intent: Intent) -> LostDose:
    return LostDose(beam=True, maximum_mas=intent.maximum_mas, by=BY_PROGRAMME)


def _by_words(word: Word, mas: float, *, beam: bool = True) -> LostDose:
    rounded_mas = math.ceil(mas * STEPS_IN_MAS - 1e-6) / STEPS_IN_MAS
    return LostDose(beam=beam, maximum_mas=rounded_mas, by=BY_WORDS, word=word)
