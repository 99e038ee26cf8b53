"""A panel that is asked for its window over discrete lines, on an I/O module of its own.

Which lines there are and how long each step may take stands in `hal/handshakes.py`, by the
maker's document; `hal/handshake_lines.py` follows it; here are the module's coils and inputs.
Modbus TCP: FC02 from discrete input 0, FC05 on coils from 0, on whatever module has so many. A
closed contact is an active line, so a module that is dead or without power asks for nothing.

What lines can't say, and what is taken for it:
- *who answers*: whatever hangs on them is taken for the registered panel. A DICOM file of its
  tool names it; a raw one does not.
- *that a frame was read out*: the panel has `readout_us` after its window.
- *the frame*: it comes another way, and names no shot: paired by time (`folder.py`).
- *its memory*: none; a frame that is lost is not fetched again.
"""

from __future__ import annotations

from collections.abc import Mapping

from hal.exchange import Answer, Exchange
from hal.frame_pipes import BytesOfFrames
from hal.handshake_lines import LineHandshake, Trouble, Wish
from hal.handshakes import HANDSHAKES, TO_PANEL, Signal, level
from hal.modbus import Question, ReadInputs, Reply, TcpClientCodec, WriteCoil, Written
from hal.now import Now
from hal.ports import FrameLink, PanelCapabilities
from hal.types import Outputs, PanelSample, PanelState

SOURCE = "lines: hal/handshakes.py, as its tables say; module: Modbus application protocol V1.1b3"
VERIFIED = "never checked against a panel; the tables are from makers' manuals"
DRIVES_BEAM = False

ACTIVE_US = 5_000
IDLE_US = 100_000
TIMEOUT_US = 50_000
LOST_COUNT = 3
SEEN_LATE_US = 15_000  # a write, the next read and its reply: each is seen a scan later
OVER = (PanelState.READOUT, PanelState.RECOVER)
AT_FAULT = (Trouble.ERROR, Trouble.GRANT_UNASKED)  # told as a fault while they last


class Driver:
    """Drops first: a request that ends leaves before anything else, and again after a reply."""

    def __init__(
        self,
        link: FrameLink,
        *,
        handshake: str,
        channels: Mapping[str, int],
        panel_id: str,
        window_us: int,
        device_id: int = 1,
        grant_us: int | None = None,
        readout_us: int = 3_000_000,
    ) -> None:
        """Raises ValueError for a table that has no lines, or no time to its grant."""
        self._table = HANDSHAKES[handshake]
        self._shake = LineHandshake(self._table, grant_limit_us=grant_us, seen_late_us=SEEN_LATE_US)
        self._exchange: Exchange[Question, Reply] = Exchange(
            BytesOfFrames(link), TcpClientCodec(device_id=device_id), timeout_us=TIMEOUT_US
        )
        signals = {name: signal for signal, name in self._table.lines.items()}
        self._signals = {name: signals[name] for name in channels}
        self._coils = {n: at for n, at in channels.items() if signals[n] in TO_PANEL}
        self._inputs = {n: at for n, at in channels.items() if signals[n] not in TO_PANEL}
        self._ask_inputs = ReadInputs(address=0, count=max(self._inputs.values()) + 1)
        self._confirmed: dict[str, bool | None] = dict.fromkeys(self._coils)  # active lines
        self._levels: dict[str, bool] = {}
        self._panel_id, self._window_us, self._readout_us = panel_id, window_us, readout_us
        longest_us = self._table.grant_us[1] if self._table.grant_us else grant_us
        assert longest_us is not None
        self.capabilities = PanelCapabilities(
            window_request_us=longest_us + SEEN_LATE_US,
            readout_us=readout_us,
            sample_age_us=IDLE_US + TIMEOUT_US,
        )
        self.sample = PanelSample(taken_us=0, lines=())
        self._outputs = Outputs()
        self._asked_us: int | None = None  # the inputs
        self._taken_us = 0
        self._spent_from_us: int | None = None  # a request that had its answer, or none in time
        self._open_us: int | None = None
        self._closed_us: int | None = None
        self._frames_count = 0

    def read(self, now: Now) -> PanelSample:
        answer = self._exchange.read(now)
        if answer is not None:
            self._take(answer)
        self._step(now)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        self._outputs = outputs
        self._step(now)
        self._exchange.settle(now)
        wanted = {name: self._wanted(name) for name in self._coils}
        missing = [n for n in self._coils if wanted[n] is not self._confirmed[n]]
        for name in missing:
            if not wanted[name]:
                self._exchange.preempt(now, self._switched(name, active=False))
        if not self._exchange.free:
            return
        for name in missing:
            self._exchange.ask(now, self._switched(name, active=wanted[name]))
            return
        period_us = ACTIVE_US if self._is_active() else IDLE_US
        due = self._asked_us is None or now.reached(self._asked_us + period_us)
        if due and self._exchange.ask(now, self._ask_inputs):
            self._asked_us = now.t_us

    # --- the module

    def _take(self, answer: Answer[Question, Reply]) -> None:
        question, reply = answer.question, answer.reply
        if question == self._ask_inputs and isinstance(reply, tuple):
            self._taken_us = answer.asked_us
            for name, channel in self._inputs.items():
                closed = bool(reply[channel])
                self._levels[name] = level(self._table, self._signals[name], closed)
        elif isinstance(reply, Written):
            for name in self._coils:
                for active in (False, True):
                    if question == self._switched(name, active=active):
                        self._confirmed[name] = active

    def _switched(self, name: str, *, active: bool) -> WriteCoil:
        return WriteCoil(address=self._coils[name], closed=active)

    def _wanted(self, name: str) -> bool:
        """Active: the level that its table drives is the active one."""
        return self._shake.drives()[name] is level(self._table, self._signals[name], True)

    def _lost(self, now: Now) -> bool:
        heard_us = self._exchange.heard_us
        if self._exchange.down is not None or heard_us is None:
            return True
        return now.reached(heard_us + IDLE_US + LOST_COUNT * TIMEOUT_US)

    # --- the handshake

    def _step(self, now: Now) -> None:
        outputs = self._outputs
        from_us = outputs.window_from_us
        if from_us is None:
            self._spent_from_us = self._open_us = None
        wish = Wish(
            prepare=outputs.prepare_panel or from_us is not None,
            request=from_us is not None and from_us != self._spent_from_us,
            beam=outputs.beam_seen,
            frame_came=self._has_read_out(now),
        )
        before = self._shake.state
        self._shake.step(now, wish, self._levels)
        self._follow(now, before, from_us)
        self._publish(now)

    def _has_read_out(self, now: Now) -> bool:
        closed_us = self._closed_us
        return closed_us is not None and now.reached(closed_us + self._readout_us)

    def _follow(self, now: Now, before: PanelState, from_us: int | None) -> None:
        state = self._shake.state
        if state is before:
            return
        now.wake(now.t_us)  # the lines that follow from it leave at once
        if state is PanelState.INTEGRATING:
            self._open_us = now.t_us
        if state is PanelState.READOUT:
            self._closed_us = now.t_us
            self._frames_count += 1
        if state in OVER:
            self._spent_from_us = from_us
        if before is PanelState.READOUT:
            self._closed_us = None

    def _publish(self, now: Now) -> None:
        if self._lost(now):
            self._confirmed = dict.fromkeys(self._coils)
            self._levels.clear()
            found = PanelSample(taken_us=self._taken_us, lines=())
        else:
            found = PanelSample(
                taken_us=self._taken_us,
                state=self._shake.state,
                panel_id=self._panel_id,
                window_us=self._window_us,
                window_open_us=self._open_us,
                frame_count=self._frames_count,
                faults=("PANEL_ERROR",) if self._at_fault() else (),
                lines=self._active_lines(),
                troubles=tuple(trouble.value for trouble in self._shake.troubles),
            )
        if found != self.sample:
            self.sample = found

    def _at_fault(self) -> bool:
        """A grant that stands unasked is a welded contact: it would be taken for the next one."""
        resting = self._shake.state in (PanelState.IDLE, PanelState.PREPARING, PanelState.READY)
        stands = self._is_shown(Signal.GRANT) and resting and self._open_us is None
        unasked = stands and Trouble.GRANT_UNASKED in self._shake.troubles
        return self._shake.state is PanelState.ERROR or unasked

    def _is_shown(self, signal: Signal) -> bool:
        name = self._table.lines.get(signal)
        return name is not None and self._levels.get(name) is level(self._table, signal, True)

    def _active_lines(self) -> tuple[str, ...]:
        """Outputs as confirmed, inputs as read, in the order of the table."""
        shown = {n for n in self._inputs if self._is_shown(self._signals[n])}
        driven = {n for n, active in self._confirmed.items() if active}
        return tuple(name for name in self._table.lines.values() if name in shown | driven)

    def _is_active(self) -> bool:
        asked = self._outputs.prepare_panel or self._outputs.window_from_us is not None
        return asked or self._shake.state not in (PanelState.IDLE, PanelState.ERROR)
