"""OFF for an R2CP generator: at once, and again until an answer says that it was obeyed.

The answers carry the number of their question, so several may be under way. Silent, chosen: 100 ms
between two; one that is refused (a stop in a state that has nothing to stop may be answered 202)
counts once a status that was asked for later shows no beam. Unverified against a device.
"""

from __future__ import annotations

from hal.generators.r2cp_exchange import Exchange, Processed
from hal.generators.r2cp_results import OK
from hal.generators.r2cp_wire import STOP
from hal.now import Now, since

AGAIN_US = 100_000


class Stop:
    def __init__(self) -> None:
        self._sent_us: int | None = None  # None: due at once
        self._owed = False  # it overtook a question: due again after that one's answer
        self._numbers: set[int] = set()  # of those whose answer counts
        self._refused_us: int | None = None

    def order_changed(self, *, begins: bool) -> None:
        """`begins`: from here on a beam may be made, and no answer of earlier counts."""
        self._sent_us = None
        if begins:
            self._numbers.clear()
            self._refused_us = None

    def send(self, now: Now, exchange: Exchange) -> bool:
        """While OFF is due; True: it has left in this scan."""
        waiting = exchange.waiting_for is not None
        if not self._due(now, waiting):
            return False
        number = exchange.overtake(now, STOP)
        # The first may have met a device that was busy with the question: only a later one counts.
        self._owed = waiting and self._sent_us is None
        if not self._owed:
            self._numbers.add(number)
        self._sent_us = now.t_us
        now.wake(now.t_us)  # what else is due was not looked at
        return True

    def _due(self, now: Now, waiting: bool) -> bool:
        if self._sent_us is None or (self._owed and not waiting):
            return True
        return now.reached(self._sent_us + AGAIN_US)

    def answered(self, now: Now, answer: Processed) -> bool | None:
        """True: obeyed. False: refused. None: that is not OFF's answer."""
        if answer.sequence_index not in self._numbers:
            return None
        self._numbers.clear()
        if answer.result_code != OK:
            self._refused_us = now.t_us
            return False
        self._done()
        return True

    def shown_off(self, asked_us: int) -> bool:
        """A status without a beam; True: it is the proof that a refused OFF was waiting for."""
        if self._refused_us is None or not since(asked_us, self._refused_us):
            return False
        self._done()
        return True

    def _done(self) -> None:
        self._sent_us = None
        self._refused_us = None
