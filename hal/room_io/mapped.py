"""Any Modbus remote I/O module, driven by its map (mapped_table.py). The unit's side.

None of these modules is safety-rated: the hard-wired chain cuts the beam without them
(protocols.md 8.2). What a map can't say, and how its driver takes it:
- A pulse that is asked for again while one runs is taken to begin anew. No maker's text says
  so; the read-back of the enable coil shows when it fails.
- Where the pulse is only started ("start"), its width is set in the module and must be the
  bench's `enable_pulse_ms`; the self-test at start-up sees it when it is longer.
- A module without a pulse holds the enable relay by a plain coil. It stays closed when the unit
  dies, so the bench refuses a source that has no other end (rig.bench_checks).
Outputs are coils. A module that has them as one word only (ADAM-6051, ADAM-4100) is not carried.
"""

from __future__ import annotations

from dataclasses import replace
from enum import IntEnum
from typing import ClassVar

from hal.exchange import Answer, Exchange
from hal.modbus import (
    PulseCoil,
    Question,
    ReadCoils,
    ReadHolding,
    ReadInputRegisters,
    ReadInputs,
    Reply,
    RtuClientCodec,
    TcpClientCodec,
    Write,
    WriteCoil,
    Written,
    silence_us,
)
from hal.now import Now, grid_us, latest_us
from hal.ports import ByteLink, Listener, RoomCapabilities
from hal.room_io import RoomSettings, mapped_heard
from hal.room_io.mapped_desk import Desk
from hal.room_io.mapped_table import (
    COILS,
    WORD_BITS,
    Inputs,
    ModuleMap,
    Pulse,
    map_name,
    module_map,
)
from hal.types import Outputs, RoomSample

__all__ = ["SOURCE", "VERIFIED", "Coil", "Desk", "Driver"]  # both sides, as each file here has
SOURCE = "the map that the bench names (hal/room_io/maps)"
VERIFIED = "as the map says, never checked against a module"
DRIVES_BEAM = False


class Coil(IntEnum):
    """The design's I/O map; `COILS` are their names in a module's map."""

    READY_LAMP = 0
    BEAM_LAMP = 1
    BUZZER = 2
    ENABLE = 3  # only ever closed by a self-timed pulse, where the module has one
    CONTACTOR = 4
    PREP = 5
    EXPOSE = 6


SCAN_US = 5_000
TCP_REPLY_US = 5_000  # assumed of a module on its own switch; `dxrig doctor` measures it
TIMEOUT_US = 50_000
QUESTION_BYTES = 8  # RTU: each question of this file, and the echo of each write
READBACK_US = 100_000
READBACK_FAST_US = 20_000  # while the self-test watches the enable relay
OTHERS_COUNT_MAX = 3  # questions between two reads of the inputs that are due
LOST_AFTER_TIMEOUTS_COUNT = 3

DROP_FIRST = (Coil.ENABLE, Coil.CONTACTOR, Coil.EXPOSE, Coil.PREP)
THEN = (Coil.CONTACTOR, Coil.PREP, Coil.EXPOSE, Coil.BEAM_LAMP, Coil.READY_LAMP, Coil.BUZZER)

_Reads = ReadCoils | ReadInputs | ReadHolding | ReadInputRegisters
_READS: dict[int, type[_Reads]] = {
    1: ReadCoils,
    2: ReadInputs,
    3: ReadHolding,
    4: ReadInputRegisters,
}


def listener(named: str | None = None, *, rtu: bool = False, family: str = "mapped") -> Listener:
    """What a tap shows of the line. Raises MapError."""
    return mapped_heard.listener(map_name(family, named), rtu=rtu)


def ask_inputs(inputs: Inputs) -> Question:
    count = inputs.count if inputs.function in (1, 2) else -(-inputs.count // WORD_BITS)
    return _READS[inputs.function](address=inputs.address, count=count)


def closed_of(inputs: Inputs, values: tuple[bool, ...] | tuple[int, ...]) -> dict[str, bool]:
    """The contacts that the answer to `ask_inputs` shows."""
    bits: list[bool] = [bool(value) for value in values]
    if inputs.function in (3, 4):
        bits = [bool(word >> bit & 1) for word in values for bit in range(WORD_BITS)]
    return {
        name: bits[channel] is not (name in inputs.inverted)
        for channel, name in enumerate(inputs.contacts)
    }


def pulse_of(pulse: Pulse, channel: int, time_ms: int) -> Write:
    """What closes the output of `channel` for `time_ms`."""
    address = pulse.address + channel
    if pulse.unit_ms is None:
        return WriteCoil(address=address, closed=True)
    return PulseCoil(address=address, count=time_ms // pulse.unit_ms)


class Driver:
    """Converges: sends what is missing between commanded and confirmed coils, then reads.

    A coil is confirmed by the echo of its write or by the read-back. On TCP an OFF leaves
    at once, even while a reply is outstanding, and again after that reply. On RTU it is
    the next frame instead: RS-485 is half-duplex, sent into the reply it would destroy both.
    """

    family: ClassVar[str] = "mapped"

    def __init__(
        self,
        link: ByteLink,
        config: RoomSettings,
        *,
        rtu: bool = False,
        baud: int = 9600,
        timeout_us: int = TIMEOUT_US,
        reply_us: int = TCP_REPLY_US,
    ) -> None:
        """`timeout_us` and `reply_us` leave out the time that bytes need on an RTU line.

        Raises MapError.
        """
        self.map = module_map(map_name(self.family, config.map))
        self._channels = _channels(self.map)
        self._ask_inputs = ask_inputs(self.map.inputs)
        outputs = self.map.outputs
        self._ask_coils = ReadCoils(address=outputs.address, count=outputs.count)
        self._rtu = rtu
        self._silence_us = silence_us(baud) if rtu else 0
        line_us = _line_us(self.map, baud) if rtu else 0
        self._timeout_us = timeout_us + line_us
        device_id = config.device_id or self.map.device_id
        codec = (RtuClientCodec if rtu else TcpClientCodec)(device_id=device_id)
        self._exchange: Exchange[Question, Reply] = Exchange(
            link,
            codec,
            timeout_us=self._timeout_us,
            # Without transaction ids only silence tells a late reply from the next one.
            longest_reply_us=self._timeout_us if rtu else 0,
        )
        self._active_us = config.active_poll_ms * 1000
        self._standby_us = config.standby_poll_ms * 1000
        self._pulse = self._close_enable(config.enable_pulse_ms)
        self._has_pulse = self.map.pulse is not None
        self._retrigger_us = config.enable_pulse_ms * 1000 // 2
        # An output without a channel is wired to nothing: there is nothing to be sent for it.
        self._confirmed: list[bool | None] = [None] * len(Coil)
        self._line_free_us = 0
        self._pulse_due_us = 0
        self._inputs_asked_us: int | None = None
        self._coils_asked_us: int | None = None
        self._others_count = 0  # questions since the last read of the inputs
        self.sample = RoomSample(taken_us=0)
        self.capabilities = _capabilities(config, self.map, reply_us + line_us)

    # --- read

    def read(self, now: Now) -> RoomSample:
        answer = self._exchange.read(now)
        if answer is not None:
            self._line_free_us = now.t_us + self._silence_us
            self._take(answer)
        if self.sample.link_ok and self._lost(now):
            self.sample = RoomSample(taken_us=self.sample.taken_us)
        return self.sample

    def _take(self, answer: Answer[Question, Reply]) -> None:
        """A ModbusException proves the link and nothing else: what it refused is asked again."""
        question, reply = answer.question, answer.reply
        if isinstance(reply, tuple) and question == self._ask_inputs:
            contacts = closed_of(self.map.inputs, reply)
            self.sample = replace(self.sample, taken_us=answer.asked_us, link_ok=True, **contacts)
        elif isinstance(reply, tuple):
            for coil, channel in self._channels.items():
                self._confirmed[coil] = bool(reply[channel])
            self.sample = replace(
                self.sample,
                enable_readback=self._confirmed[Coil.ENABLE],
                enable_taken_us=answer.asked_us,
            )
        elif isinstance(reply, Written):
            self._took_write(question)

    def _took_write(self, question: Question) -> None:
        if question == self._pulse:
            self._confirmed[Coil.ENABLE] = True
            return
        for coil in self._channels:
            for closed in (False, True):
                if question == self._switched(coil, closed):
                    self._confirmed[coil] = closed

    def _lost(self, now: Now) -> bool:
        heard_us = self._exchange.heard_us
        if self._exchange.down is not None or heard_us is None:
            return True
        return now.reached(heard_us + LOST_AFTER_TIMEOUTS_COUNT * self._timeout_us)

    def coils(self) -> dict[str, bool | None]:
        """As last confirmed, by echo or read-back: for service, not for the scan."""
        return {coil.name.lower(): self._confirmed[coil] for coil in Coil}

    # --- write

    def write(self, now: Now, outputs: Outputs) -> None:
        """In order: OFF, the enable pulse, other coils, reads; a starved read goes before them."""
        commanded = self._commanded(outputs)
        self._exchange.settle(now)
        off_must_wait = self._rtu and bool(self._to_drop(commanded))
        if self._others_count >= OTHERS_COUNT_MAX and not off_must_wait:
            self._read_inputs(now, outputs)
        self._drop(now, commanded)
        if not self._exchange.free:
            if self._exchange.waiting_for is None:
                now.wake(now.t_us)  # a stray echo may still come: asked again next scan
            return
        if not self._hold_enable(now, outputs) and not self._switch(now, commanded):
            self._poll(now, outputs)

    def _commanded(self, outputs: Outputs) -> dict[Coil, bool | None]:
        """What each coil shall be; None = let it be. Without a pulse nothing lapses by itself."""
        lapses = outputs.enable_lapse and self._has_pulse
        commanded: dict[Coil, bool | None] = {
            Coil.READY_LAMP: outputs.ready_lamp,
            Coil.BEAM_LAMP: outputs.beam_lamp,
            Coil.BUZZER: outputs.buzzer,
            Coil.ENABLE: True if outputs.enable else None if lapses else False,
            Coil.CONTACTOR: outputs.contactor,
            Coil.PREP: outputs.prep_line,
            Coil.EXPOSE: outputs.expose_line,
        }
        return {coil: commanded[coil] if coil in self._channels else None for coil in Coil}

    def _switched(self, coil: Coil, closed: bool) -> WriteCoil:
        """A pulse that was started is ended where it was started: its output may take no other."""
        pulse = self.map.pulse
        starts = coil is Coil.ENABLE and pulse is not None and pulse.value == "start"
        first = pulse.address if starts and pulse is not None else self.map.outputs.address
        return WriteCoil(address=first + self._channels[coil], closed=closed)

    def _close_enable(self, time_ms: int) -> Write | None:
        if Coil.ENABLE not in self._channels:
            return None
        if self.map.pulse is None:
            return self._switched(Coil.ENABLE, closed=True)
        return pulse_of(self.map.pulse, self._channels[Coil.ENABLE], time_ms)

    def _to_drop(self, commanded: dict[Coil, bool | None]) -> list[Coil]:
        return [
            coil
            for coil in DROP_FIRST
            if commanded[coil] is False and self._confirmed[coil] is not False
        ]

    def _drop(self, now: Now, commanded: dict[Coil, bool | None]) -> None:
        for coil in self._to_drop(commanded):
            if self._rtu and self._exchange.waiting_for is not None:
                return
            if now.reached(self._line_free_us):
                if self._exchange.waiting_for is None:
                    self._others_count += 1
                self._exchange.preempt(now, self._switched(coil, closed=False))

    def _hold_enable(self, now: Now, outputs: Outputs) -> bool:
        if not outputs.enable or self._pulse is None:
            return False
        if self._confirmed[Coil.ENABLE] is True and not self._pulse_is_due(now):
            return False
        if not self._ask(now, self._pulse):
            return False
        self._confirmed[Coil.ENABLE] = None
        self._pulse_due_us = now.t_us + self._retrigger_us
        return True

    def _pulse_is_due(self, now: Now) -> bool:
        return self._has_pulse and now.reached(self._pulse_due_us)

    def _switch(self, now: Now, commanded: dict[Coil, bool | None]) -> bool:
        for coil in THEN:
            closed = commanded[coil]
            if closed is None or closed is self._confirmed[coil]:
                continue
            if self._ask(now, self._switched(coil, closed)):
                self._confirmed[coil] = None
            return True
        return False

    def _poll(self, now: Now, outputs: Outputs) -> None:
        """Both reads due: they take turns, so that a slow line starves neither."""
        inputs_due = self._inputs_due(now, outputs)
        if self._coils_due(now, outputs) and (self._others_count == 0 or not inputs_due):
            if self._ask(now, self._ask_coils):
                self._coils_asked_us = now.t_us
        else:
            self._read_inputs(now, outputs)

    def _read_inputs(self, now: Now, outputs: Outputs) -> None:
        if self._inputs_due(now, outputs) and self._ask(now, self._ask_inputs):
            self._inputs_asked_us = now.t_us
            self._others_count = 0

    def _inputs_due(self, now: Now, outputs: Outputs) -> bool:
        period_us = self._active_us if _is_active(outputs) else self._standby_us
        return self._inputs_asked_us is None or now.reached(self._inputs_asked_us + period_us)

    def _coils_due(self, now: Now, outputs: Outputs) -> bool:
        # The self-test, and nobody else, waits for the relay: it is the one without a contactor.
        watched = (outputs.enable or outputs.enable_lapse) and not outputs.contactor
        period_us = READBACK_FAST_US if watched else READBACK_US
        return self._coils_asked_us is None or now.reached(self._coils_asked_us + period_us)

    def _ask(self, now: Now, question: Question) -> bool:
        if not now.reached(self._line_free_us) or not self._exchange.ask(now, question):
            return False
        self._others_count += 1
        return True


def _channels(module: ModuleMap) -> dict[Coil, int]:
    names = module.outputs.coils
    return {coil: names.index(COILS[coil]) for coil in Coil if COILS[coil] in names}


def _is_active(outputs: Outputs) -> bool:
    """PREP to EXPOSE, as far as the outputs show it."""
    lines = (outputs.contactor, outputs.enable, outputs.prep_line, outputs.expose_line)
    return any(lines) or outputs.technique is not None


def _line_us(module: ModuleMap, baud: int) -> int:
    """What question, reply and the silences before each take on an RTU line."""
    bits = WORD_BITS if module.inputs.function in (3, 4) else 8
    read_bytes = [-(-module.inputs.count // bits) * bits // 8, -(-module.outputs.count // 8)]
    reply_bytes = max(QUESTION_BYTES, 5 + max(read_bytes))
    return round((QUESTION_BYTES + reply_bytes) * 11 * 1e6 / baud) + 2 * silence_us(baud)


def _capabilities(config: RoomSettings, module: ModuleMap, reply_us: int) -> RoomCapabilities:
    """The age is that from PREP to EXPOSE. Just before a newer answer comes, it has waited for
    its period, for the questions that may go before the next read of the inputs, for one OFF
    that leaves again, and for the reply; each is seen by the scan after it.
    """
    exchange_us = grid_us(reply_us, SCAN_US)
    period_us = latest_us(grid_us(config.active_poll_ms * 1000, SCAN_US), exchange_us)
    watchdog_ms = config.watchdog_ms
    return RoomCapabilities(
        reply_us=reply_us,
        pulse_us=config.enable_pulse_ms * 1000 if module.pulse else None,
        watchdog_us=watchdog_ms * 1000 if watchdog_ms and module.watchdog else None,
        sample_age_us=period_us + (OTHERS_COUNT_MAX + 2) * exchange_us,
    )
