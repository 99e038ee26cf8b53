"""What must be answered so before a beam of an R2CP generator: one technique, one beam.

Load the databank, read it back, assign it, activate the procedure (protocol reference 4.7). That
the generator is Ready it says itself, in its status. Unverified against a device.
"""

from __future__ import annotations

from hal.generators.r2cp_exchange import Answer
from hal.generators.r2cp_layouts import Databank, read_databank
from hal.generators.r2cp_ratings import (
    ACTIVATE,
    ASSIGN,
    READ_BACK,
    databank_of,
    differences,
    load,
)
from hal.generators.r2cp_results import WRONG_STATE, accepted, result_fault, result_words
from hal.generators.r2cp_wire import Question
from hal.types import Technique

TRIES = 3  # that failed before it is a fault


class Preparation:
    def __init__(self) -> None:
        self.active = False  # all was answered as it must be
        self.failed: tuple[str, str] | None = None  # code of hal.faults, words
        self._steps: list[Question] = []
        self.databank: Databank | None = None  # what was asked for
        self._tries = 0

    @property
    def begun(self) -> bool:
        return bool(self._steps) or self.active

    def begin(self, technique: Technique, focus_index: int) -> None:
        try:
            self.databank = databank_of(technique, focus_index=focus_index)
        except ValueError as error:
            self.failed = "GENERATOR_FAULT", str(error)
            return
        self._steps = [load(self.databank), READ_BACK, ASSIGN, ACTIVATE]

    def next(self) -> Question | None:
        return self._steps[0] if self._steps else None

    def start_over(self) -> None:
        """An answer was lost: begun again, from the databank on."""
        self._steps = []

    def take(self, answer: Answer) -> bool:
        """The answer to what `next` gave; False: it was not as it must be. May raise WireError."""
        asked, code = self._steps[0], answer.result_code
        if not accepted(asked.name, code):
            # But for a wrong state, the same question would get the same answer.
            tries = self._tries + 1 if code == WRONG_STATE else TRIES
            return self._fail(tries, result_fault(asked.name, code), result_words(asked.name, code))
        if asked is READ_BACK:
            assert self.databank is not None
            wrong = differences(self.databank, read_databank(answer.data))
            if wrong:
                words = f"read back: {'; '.join(wrong)}"
                return self._fail(self._tries + 1, "GENERATOR_FAULT", words)
        self._steps.pop(0)
        self.active = asked is ACTIVATE
        return True

    def _fail(self, tries: int, fault: str, words: str) -> bool:
        self._tries = tries
        self._steps = []
        if tries >= TRIES:
            self.failed = fault, words
        return False
