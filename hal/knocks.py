"""Automatic exposure detection, the unit's side: a trigger without X-rays is a knock (F42).

The panel starts by itself when light reaches its pixels, and a shock looks the same (CareRay
F2AED guidance: shocks cause false triggers). So a trigger is believed only where the unit's
own feedback, kV or dose, says that there was a beam: else its frame is thrown away and the
panel is armed again. Where neither feedback is known nothing is believed.

    ARMING --arm time--> ARMED --trigger--> JUDGING --feedback--> EXPOSED
    JUDGING --no feedback within FEEDBACK_US--> KNOCK: discard, recover, arm again

`FEEDBACK_US` is ours: a monoblock's slowest monitor read. On a bench: `detectors/aed_panel.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hal.handshakes import Handshake
from hal.now import Now

FEEDBACK_US = 200_000


class Detection(Enum):
    ARMING = "arming: a trigger is not believed yet"
    ARMED = "armed"
    JUDGING = "triggered: was there a beam?"
    EXPOSED = "exposed: the frame is an image"
    RECOVERING = "recovering"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What the unit knows of a beam in this scan; None: nothing."""

    kv_seen: bool | None = None
    dose_seen: bool | None = None

    @property
    def beam(self) -> bool:
        return self.kv_seen is True or self.dose_seen is True


class KnockJudge:
    """`step` in each scan. A frame is an image in EXPOSED only; any other is discarded."""

    def __init__(
        self, table: Handshake, *, arm_us: int | None = None, recover_us: int | None = None
    ) -> None:
        """`arm_us`, `recover_us`: where the maker gives none; ValueError if both are silent."""
        arm_us = table.arm_us[1] if table.arm_us else arm_us
        recover_us = table.recover_us if table.recover_us is not None else recover_us
        if not table.is_automatic:
            raise ValueError("this panel is asked for its window: it has no automatic detection")
        if arm_us is None or recover_us is None:
            raise ValueError(f"{table.source}: give arm_us and recover_us")
        self.state = Detection.ARMING
        self.knocks_count = 0
        self.missed_count = 0  # beams that triggered nothing: irradiated without an image
        self._arm_us, self._recover_us = arm_us, recover_us
        self._until_us: int | None = None
        self._beam_before = False

    def step(self, now: Now, *, triggered: bool, frame_came: bool, feedback: Feedback) -> None:
        """`triggered`: the panel says that it has begun; it stays so until its frame came."""
        begins = feedback.beam and not self._beam_before
        self._beam_before = feedback.beam
        if self.state is Detection.JUDGING:
            self._judge(now, feedback)
        elif self.state is Detection.ARMED:
            self._armed(now, triggered, begins, feedback)
        elif self.state is Detection.EXPOSED:
            if frame_came:
                self._recover(now)
        else:
            self._missed(begins)
            self._rest(now)

    def _rest(self, now: Now) -> None:
        """Recovering, then arming: each for its own time."""
        arms = self.state is Detection.ARMING
        if now.reached(self._deadline_us(now, self._arm_us if arms else self._recover_us)):
            self._enter(Detection.ARMED if arms else Detection.ARMING)
            if not arms:
                self._deadline_us(now, self._arm_us)

    def _recover(self, now: Now) -> None:
        self._enter(Detection.RECOVERING)
        self._deadline_us(now, self._recover_us)

    def _armed(self, now: Now, triggered: bool, begins: bool, feedback: Feedback) -> None:
        """A beam may be seen before its trigger is: that has the same time to come."""
        if triggered:
            self._enter(Detection.JUDGING)
            self._judge(now, feedback)
        elif begins:
            self._until_us = None
            self._deadline_us(now, FEEDBACK_US)
        elif self._until_us is not None and now.reached(self._until_us):
            self._until_us = None
            self._missed(True)

    def _judge(self, now: Now, feedback: Feedback) -> None:
        if feedback.beam:
            self._enter(Detection.EXPOSED)
        elif now.reached(self._deadline_us(now, FEEDBACK_US)):
            self.knocks_count += 1
            self._recover(now)

    def _missed(self, begins: bool) -> None:
        self.missed_count += begins

    def _enter(self, state: Detection) -> None:
        self.state, self._until_us = state, None

    def _deadline_us(self, now: Now, after_us: int) -> int:
        """Of the present state; set when it is first asked for."""
        if self._until_us is None:
            self._until_us = now.t_us + after_us
            now.wake(self._until_us)
        return self._until_us
