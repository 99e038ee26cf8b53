"""PTW MULTIDOS, the unit's side: who it is, then its measured values, over and over.

Modelled on the public manual D177.131.2/0; not checked against an instrument. What is chosen here
and not in the manual: the time-out, the pace, and that a dose counts as settled when the meter
holds (HLD, or INT that ended) and two answers in a row say the same, because how the block check is
made is not known and a flipped digit would be believed.
"""

from __future__ import annotations

from dataclasses import replace

from hal.exchange import Answer, Exchange
from hal.meters import Channel, MeterSample
from hal.meters.multidos_wire import TELEGRAMS, Codec, Data, Refusal, Reply
from hal.now import Now
from hal.ports import ByteLink

TIMEOUT_US = 500_000
ZEROING_US = 30_000_000  # "after 28 seconds", D177.131.2/0 page 6
SILENCE_US = 500_000  # after a time-out: no telegram proves that it is not a late one
POLL_US = 200_000
LOST_AFTER_TIMEOUTS_COUNT = 3
ORDERS = ("RES", "STA", "HLD", "INT", "NUL", "M0", "M1")
HOLDS = ("HLD", "INT")


class Driver:
    """One question at a time, as the manual demands. `order` is sent once, and its no is told."""

    def __init__(self, link: ByteLink, *, poll_us: int = POLL_US) -> None:
        self._exchange: Exchange[str, Reply] = Exchange(
            link, Codec(), timeout_us=TIMEOUT_US, longest_reply_us=SILENCE_US
        )
        self._poll_us = poll_us
        self._asked_us: int | None = None
        self._orders: list[str] = []
        self._silent_count = 0
        self._known: dict[str, str] = {}
        self._before: Data | None = None
        self.sample = MeterSample(taken_us=0)

    def order(self, word: str) -> None:
        """RES, STA, HLD, INT, NUL, M0 or M1, as its key would. ValueError for others."""
        if word not in ORDERS:
            raise ValueError(f"{word!r} is no order; known: {', '.join(ORDERS)}")
        self._orders.append(word)

    def read(self, now: Now) -> MeterSample:
        lost_count = self._exchange.timeouts_count
        answer = self._exchange.read(now)
        if answer is not None:
            self._silent_count = 0
            self._take(answer)
        elif self._exchange.timeouts_count != lost_count:
            self._silent_count += 1
            self._before = None
            if self._silent_count == LOST_AFTER_TIMEOUTS_COUNT:
                self._known.clear()  # whoever answers next may be another one
                self.sample = MeterSample(taken_us=self.sample.taken_us)
        return self.sample

    def write(self, now: Now) -> None:
        self._exchange.settle(now)
        if not self._exchange.free:
            return
        word = self._next(now)
        if word is not None:
            self._exchange.ask(now, word, ZEROING_US if word == "NUL" else TIMEOUT_US)

    def _next(self, now: Now) -> str | None:
        for word in ("PTW", "SER", "DU"):
            if word not in self._known:
                return word if self._due(now) else None
        if self._orders:
            return self._orders.pop(0)
        return "D" if self._due(now) else None

    def _due(self, now: Now) -> bool:
        if self._asked_us is not None and not now.reached(self._asked_us + self._poll_us):
            return False
        self._asked_us = now.t_us
        return True

    def _take(self, answer: Answer[str, Reply]) -> None:
        word, reply = answer.question, answer.reply
        sample = replace(self.sample, taken_us=answer.asked_us, link_ok=True)
        if isinstance(reply, Refusal):
            self._before = None
            sample = replace(sample, refused=f"{word}: {reply.words}", settled=False)
        elif isinstance(reply, Data):
            sample = self._measured(sample, reply)
        else:
            sample = self._heard(sample, word, reply)
        self.sample = sample

    def _heard(self, sample: MeterSample, word: str, reply: str) -> MeterSample:
        self._before = None
        if word in ORDERS:
            if word in ("M0", "M1"):
                self._known.pop("DU", None)
            return replace(sample, refused="", settled=False)
        self._known[word] = reply
        self._asked_us = None  # the next at once
        if word == "PTW":
            return replace(sample, model=f"MULTIDOS {reply}".strip())
        return replace(sample, serial=reply) if word == "SER" else sample

    def _measured(self, sample: MeterSample, data: Data) -> MeterSample:
        settled = data.status in HOLDS and data == self._before
        self._before = data
        unit = self._known["DU"]
        return replace(
            sample,
            status=data.status,
            elapsed_s=data.elapsed_s,
            channels=tuple(Channel(value=value, unit=unit) for value in data.values),
            flags=data.flags,
            settled=settled,
        )


assert set(ORDERS) <= TELEGRAMS.keys()
