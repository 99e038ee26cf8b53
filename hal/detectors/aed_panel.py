"""A panel that detects the X-rays by itself, and tells by one line that it has begun.

Nobody asks it and it grants nothing: its window opens when its pixels see light, and a shock
looks the same. So each trigger is judged by the generator's own feedback (`hal/knocks.py`, F42):
one without X-rays is a knock; its image is nobody's and is put aside by whoever takes the images
(`folder.py`), and no press is granted until the panel has armed again.

The line is synthetic: makers tell of a trigger by their SDK's events. A closed contact on the
module's input means triggered, until the image was read out. A request is "granted" while armed.
"""

from __future__ import annotations

from collections.abc import Mapping

from hal.exchange import Exchange
from hal.frame_pipes import BytesOfFrames
from hal.handshakes import HANDSHAKES
from hal.knocks import Detection, Feedback, KnockJudge
from hal.modbus import Question, ReadInputs, Reply, TcpClientCodec
from hal.now import Now
from hal.ports import FrameLink, PanelCapabilities
from hal.types import Outputs, PanelSample, PanelState

SOURCE = "times: hal/handshakes.py, PZMedical [R]; module: Modbus application protocol V1.1b3"
VERIFIED = "synthetic line; never checked against a panel"
DRIVES_BEAM = False

TRIGGERED = "TRIGGERED"
POLL_US = 5_000  # of the one line while an exposure may come
IDLE_US = 50_000  # ... and else: a knock may come at any time, and lasts for a window
TIMEOUT_US = 50_000
LOST_COUNT = 3


class Driver:
    def __init__(
        self,
        link: FrameLink,
        *,
        handshake: str,
        channels: Mapping[str, int],
        panel_id: str,
        window_us: int,
        device_id: int = 1,
        arm_us: int | None = None,
        recover_us: int | None = None,
        readout_us: int = 3_000_000,
    ) -> None:
        """Raises ValueError for a table that has lines, or no times."""
        self._judge = KnockJudge(HANDSHAKES[handshake], arm_us=arm_us, recover_us=recover_us)
        self._exchange: Exchange[Question, Reply] = Exchange(
            BytesOfFrames(link), TcpClientCodec(device_id=device_id), timeout_us=TIMEOUT_US
        )
        self._question = ReadInputs(address=channels[TRIGGERED], count=1)
        self._panel_id, self._window_us = panel_id, window_us
        self.capabilities = PanelCapabilities(
            window_request_us=POLL_US, readout_us=readout_us, sample_age_us=IDLE_US + TIMEOUT_US
        )
        self.sample = PanelSample(taken_us=0, lines=())
        self._outputs = Outputs()
        self._triggered = False
        self._asked_us: int | None = None
        self._taken_us = 0
        self._open_us: int | None = None
        self._is_over = False  # of the present request: its window never opens twice
        self._frames_count = 0

    def read(self, now: Now) -> PanelSample:
        answer = self._exchange.read(now)
        if answer is not None and isinstance(answer.reply, tuple):
            self._triggered, self._taken_us = bool(answer.reply[0]), answer.asked_us
        self._step(now)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        self._outputs = outputs
        self._step(now)
        self._exchange.settle(now)
        due = self._asked_us is None or now.reached(self._asked_us + self._poll_us())
        if due and self._exchange.ask(now, self._question):
            self._asked_us = now.t_us

    def _step(self, now: Now) -> None:
        before = self._judge.state
        self._judge.step(
            now,
            triggered=self._triggered,
            frame_came=not self._triggered,
            feedback=Feedback(kv_seen=self._outputs.beam_seen),
        )
        if before is Detection.EXPOSED and self._judge.state is not Detection.EXPOSED:
            self._frames_count += 1
        if self._judge.state is not before:
            now.wake(now.t_us)
        self._publish(now, self._state(now))

    def _state(self, now: Now) -> PanelState:
        """A request is granted while it is armed; what began in it is its window."""
        requested = self._outputs.window_from_us is not None
        detection = self._judge.state
        if not requested:
            self._open_us, self._is_over = None, False
        can_integrate = detection in (Detection.ARMED, Detection.JUDGING, Detection.EXPOSED)
        if requested and self._open_us is None and detection is Detection.ARMED:
            self._open_us = now.t_us
        self._is_over = self._is_over or (self._open_us is not None and not can_integrate)
        if self._open_us is not None and not self._is_over:
            return PanelState.INTEGRATING
        match detection:
            case Detection.ARMING:
                return PanelState.PREPARING
            case Detection.ARMED:
                return PanelState.READY if self._outputs.prepare_panel else PanelState.IDLE
            case Detection.EXPOSED:
                return PanelState.READOUT
            case _:
                return PanelState.RECOVER

    def _publish(self, now: Now, state: PanelState) -> None:
        if self._lost(now):
            found = PanelSample(taken_us=self._taken_us, lines=())
        else:
            found = PanelSample(
                taken_us=self._taken_us,
                state=state,
                panel_id=self._panel_id,
                window_us=self._window_us,
                window_open_us=self._open_us,
                frame_count=self._frames_count,
                lines=(TRIGGERED,) if self._triggered else (),
                troubles=self._troubles(),
            )
        if found != self.sample:
            self.sample = found

    def _troubles(self) -> tuple[str, ...]:
        counted = (
            (
                self._judge.knocks_count,
                "triggers without X-rays: knocks, no image is made",
            ),
            (self._judge.missed_count, "beams that triggered nothing: irradiated without an image"),
        )
        return tuple(f"{count} {what}" for count, what in counted if count)

    def _poll_us(self) -> int:
        may_begin = self._judge.state in (Detection.ARMED, Detection.JUDGING)
        asked = self._outputs.prepare_panel or self._outputs.window_from_us is not None
        return POLL_US if may_begin and asked else IDLE_US

    def _lost(self, now: Now) -> bool:
        heard_us = self._exchange.heard_us
        if self._exchange.down is not None or heard_us is None:
            return True
        return now.reached(heard_us + IDLE_US + LOST_COUNT * TIMEOUT_US)
