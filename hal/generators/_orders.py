"""What each driver of a beam does with the controller's orders, whatever its wire is.

`Orders` holds the levels that are ordered (technique, beam, clearing of faults), how far each has
come, and the sample that shows it. It sends nothing: a driver asks it what is due, and tells it
what was answered. What a device calls ON, OFF, ready or a beam is the driver's to know.

- One technique, one preparation, one beam. What was prepared is void with another technique, and
  when the beam that it was made for has been.
- ON leaves once for an order, within 200 ms of it, and only if all was ready when it was ordered:
  it is not kept for an answer to come.
- OFF is due from the first moment on, after each order, and again for a beam that nobody ordered
  (SR-33); then in each scan until it is answered, so a lost one is sent again. `hal/exchange.py`
  sends it into a pending reply, and again after that one.
- A lost reply leaves it open what the device has heard: ON waits for a new look at the beam.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from hal.now import Now
from hal.types import GeneratorSample, GeneratorState, Technique

Q = TypeVar("Q")
L = TypeVar("L")

ON_EXPIRES_US = 200_000


class Orders:
    def __init__(self) -> None:
        self.sample = GeneratorSample(taken_us=0)
        self.technique: Technique | None = None
        self.prepared = False  # the device has confirmed all that the technique needs
        self.spent = False  # ON has left for it
        self.order_us: int | None = None  # since when a beam is ordered
        self.on_open = False  # the order's ON has neither left nor expired
        self.acked_us: int | None = None  # ... was answered, where that is no beam yet
        self.refusal = ""  # why it was refused, for people
        self.off_wanted = True  # a beam counts as on until it is proven off
        self.clear_due = False
        self.ended_alone = False  # the newest beam ended while it was ordered
        self._was_ready = False  # when the beam was ordered
        self._clear_us: int | None = None

    def set(self, now: Now, **changes: Any) -> None:
        """After a change the horizon is zero: whoever looks at the sample must look again."""
        if any(getattr(self.sample, name) != value for name, value in changes.items()):
            self.sample = replace(self.sample, **changes)
            now.wake(now.t_us)

    # what is ordered

    @property
    def beam_ordered(self) -> bool:
        return self.order_us is not None

    def follow_technique(self, now: Now, technique: Technique | None) -> bool:
        """True: what was prepared is void, and is begun anew."""
        used_up = self.spent and not self.beam_ordered and self.sample.beam_on is False
        if technique == self.technique and not used_up:
            return False
        self.technique = technique
        self._start_over(now)
        return True

    def follow_beam(self, now: Now, order_us: int | None, *, ready: bool = True) -> bool:
        """True: a beam is ordered anew, or no longer. `ready`: what else ON needs is there."""
        changed = order_us != self.order_us
        if changed:
            self.order_us = order_us
            self.on_open = self.beam_ordered
            self._was_ready = self.prepared and not self.spent and ready
        if changed and self.beam_ordered:
            self.off_wanted = True  # from here on ON may leave: OFF will have to be answered
            self.acked_us, self.refusal = None, ""
            self.set(
                now, on_sent_us=None, on_answered_us=None, refused=False, off_confirmed_us=None
            )
        if self.on_open and order_us is not None and now.reached(order_us + ON_EXPIRES_US):
            self.on_open = False
            self.set(now, refused=True)
        return changed

    def follow_clear(self, clear_us: int | None) -> None:
        if clear_us is not None and clear_us != self._clear_us:
            self._clear_us = clear_us
            self.clear_due = True

    def _start_over(self, now: Now) -> None:
        self.prepared = self.spent = False
        self.set(now, confirmed=None)

    # what may leave

    @property
    def beam_awaited(self) -> bool:
        """ON was answered, and its beam is still to be seen."""
        unseen = self.beam_ordered and self.sample.on_answered_us is None
        return unseen and self.acked_us is not None

    @property
    def off_due(self) -> bool:
        return self.off_wanted and not self.beam_ordered

    def start(
        self, now: Now, on: Q, *, look: L, first: L | None = None, ready: bool = True
    ) -> Q | L | None:
        """What leaves while `on_open`: ON, or what has to come before it, or nothing.

        `look` asks for the beam: ON meets none that somebody else has started. `first`: what the
        device needs before ON. `ready`: what else ON needs is there.
        """
        if not (self._was_ready and self.prepared and ready):
            return None
        if self.sample.beam_on is not False:
            return look
        if first is not None:
            return first
        self.on_open = False
        self.spent = True
        self.set(
            now, on_sent_us=now.t_us, beam_on=None, beam_taken_us=None,
            kv=None, ma=None, monitor_taken_us=None,
            beam_mas=None, beam_ms=None, account_taken_us=None,
        )  # fmt: skip
        return on

    # what was answered, and what was not

    def confirm(self, now: Now) -> None:
        """The last of what the technique needs was answered as it must be."""
        self.prepared = True
        self.set(now, confirmed=self.technique)

    def accept(self, now: Now, **shown: Any) -> None:
        """There is a beam, and it is the ordered one. `shown`: of the sample, what else says so."""
        self.set(now, on_answered_us=now.t_us, **shown)

    def refuse(self, now: Now, why: str = "") -> None:
        self.refusal = why
        self.set(now, refused=True)

    def off_answered(self, now: Now) -> None:
        """Counts while no beam is ordered: later it is the answer to an OFF of before."""
        if not self.beam_ordered:
            self.off_wanted = False
            self.set(now, off_confirmed_us=now.t_us)

    def cleared(self) -> None:
        self.clear_due = self.ended_alone = False

    def saw_beam(self, now: Now, beam_on: bool | None, asked_us: int) -> bool:
        """What a status shows; None: it can't tell. True: the first "off" after something else."""
        if beam_on and not self.beam_ordered:
            self.off_wanted = True  # SR-33: OFF again until the feedback says so
        is_over = beam_on is False and self.sample.beam_on is not False
        if is_over:
            answered = self.sample.on_answered_us is not None
            self.ended_alone = self.beam_ordered and answered
        self.set(now, beam_on=beam_on, beam_taken_us=asked_us)
        return is_over

    def lost_reply(self, now: Now) -> None:
        if self.sample.beam_on is False:
            self.set(now, beam_on=None)  # asked again before an ON: who knows what it heard

    def lost_device(self, now: Now) -> None:
        """Whoever answers next may be another one, or the same after a power cycle."""
        self.off_wanted = True
        self._start_over(now)
        self.set(now, beam_on=None, interlock_closed=None)

    # what is shown

    @property
    def in_beam(self) -> bool:
        """The ordered beam was seen, and its end was not."""
        return self.sample.beam_on is not False and self.sample.on_answered_us is not None

    def state(self, *, offline: bool, faulty: bool, ready: bool = True) -> GeneratorState:
        if offline:
            return GeneratorState.OFFLINE
        if self.sample.beam_on:
            return GeneratorState.BEAM
        if faulty:
            return GeneratorState.FAULT
        if self.technique is None:
            return GeneratorState.STANDBY
        return GeneratorState.READY if self.prepared and ready else GeneratorState.PREPARING
