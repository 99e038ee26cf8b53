"""The general RX disable (message 500074) as the unit keeps it at an R2CP generator.

Active whenever no beam is wanted (protocol reference 4.7), so a start needs two messages and not
one; and setting it is a second way to end a beam. Unverified against a device.
"""

from __future__ import annotations

from hal.generators.r2cp_exchange import Answer
from hal.generators.r2cp_ratings import RX_DISABLE, RX_ENABLE
from hal.generators.r2cp_results import OK, result_fault, result_words
from hal.generators.r2cp_wire import Question
from hal.now import Now


class RxKey:
    def __init__(self) -> None:
        self.disabled: bool | None = None  # None: not confirmed
        self.refused: tuple[str, str] | None = None  # code of hal.faults, words
        self._asked_us: int | None = None

    def due(self, now: Now, period_us: int) -> bool:
        """It must be set (again); no oftener than the period, should it be refused or lost."""
        if self.disabled is True:
            return False
        return self._asked_us is None or now.reached(self._asked_us + period_us)

    def asked(self, now: Now, question: Question) -> None:
        self.disabled = None
        self._asked_us = now.t_us if question is RX_DISABLE else None

    def take(self, answer: Answer) -> bool:
        """False: it is the answer to another message."""
        if answer.question not in (RX_DISABLE, RX_ENABLE):
            return False
        code = answer.result_code
        self.refused = None
        if code == OK:
            self.disabled = answer.question is RX_DISABLE
        else:
            self.refused = result_fault("message", code), result_words("RX disable", code)
        return True
