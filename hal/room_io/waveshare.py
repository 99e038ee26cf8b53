"""Waveshare 8-channel Modbus relay and I/O modules, over TCP 502 or RTU 9600 8N1, unit id 1.

Modelled on the public Waveshare wiki ("Modbus RTU Relay", development protocol) and the map
collected from it in nobrega8/mbmap-library; not checked against a module. Not safety-rated:
the hard-wired chain cuts the beam without it (protocols.md 8.2).

Doubts, unverified on a real module:
- whether a second "flash on" restarts a running one. The driver relies on it, and the
  read-back of the enable coil shows when it fails.
- whether an ordinary OFF cancels a running "flash on". The simulated room lets it cancel;
  if a module does not, the relay still drops when its pulse ends.
- how a TCP module answers another unit id, and "flash on" of 0 (here: exceptions 0x0b and 3).
Not modelled: output modes (holding 0x1000-0x1007), "flash off", toggle, device settings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from hal.exchange import Answer, Exchange
from hal.modbus import (
    COIL_OFF,
    COIL_ON,
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    ModbusServer,
    PulseCoil,
    Question,
    ReadCoils,
    ReadInputs,
    RefusedError,
    Reply,
    RtuClientCodec,
    TcpClientCodec,
    WriteCoil,
    Written,
    silence_us,
)
from hal.now import Now, grid_us, latest_us
from hal.ports import ByteLink, RoomCapabilities, RoomModel
from hal.room_io import RoomSettings
from hal.types import CONTACTS, Outputs, RoomSample

SOURCE = "Waveshare wiki (Modbus RTU Relay); nobrega8/mbmap-library"
VERIFIED = "from vendor pages, never checked against a module"
DRIVES_BEAM = False

# --- 1 the manual ------------------------------------------------------------------------------

_MAP = "mbmap-library, maps/waveshare/modbus-rtu-relay; protocols.md 8.2"
_WIKI = "Waveshare wiki, Modbus RTU Relay, development protocol"


@dataclass(frozen=True, slots=True)
class Command:
    name: str
    functions: tuple[int, ...]
    addresses: range
    value: str
    source: str


RELAYS = Command("relay", (1, 5, 15), range(8), "ff00 closes, 0000 opens", _MAP)
ALL_RELAYS = Command("all relays", (5,), range(0xFF, 0x100), "ff00 closes, 0000 opens", _MAP)
FLASH_ON = Command("flash on", (5,), range(0x200, 0x208), "closed for value x 100 ms", _WIKI)
INPUTS = Command("input", (2,), range(8), "1 = closed", _MAP)
COMMANDS = (RELAYS, ALL_RELAYS, FLASH_ON, INPUTS)

FLASH_UNIT_MS = 100
FLASH_MAX = 0x7FFF  # _WIKI


class Coil(IntEnum):
    READY_LAMP = 0
    BEAM_LAMP = 1
    BUZZER = 2
    ENABLE = 3  # only ever closed by "flash on"
    CONTACTOR = 4
    PREP = 5
    EXPOSE = 6


# --- 2 unit side ---------------------------------------------------------------------------------

SCAN_US = 5_000
TCP_REPLY_US = 5_000  # assumed of a module on its own switch; `dxrig doctor` measures it
TIMEOUT_US = 50_000
LONGEST_BYTES = 8 + 8  # RTU: the longest question and the longest reply of this file
READBACK_US = 100_000
READBACK_FAST_US = 20_000  # while the self-test watches the enable relay
OTHERS_COUNT_MAX = 3  # questions between two reads of the inputs that are due
LOST_AFTER_TIMEOUTS_COUNT = 3

DROP_FIRST = (Coil.ENABLE, Coil.CONTACTOR, Coil.EXPOSE, Coil.PREP)
THEN = (Coil.CONTACTOR, Coil.PREP, Coil.EXPOSE, Coil.BEAM_LAMP, Coil.READY_LAMP, Coil.BUZZER)

ASK_INPUTS = ReadInputs(address=INPUTS.addresses.start, count=8)
ASK_COILS = ReadCoils(address=RELAYS.addresses.start, count=8)


class Driver:
    """Converges: sends what is missing between commanded and confirmed coils, then reads.

    A coil is confirmed by the echo of its write or by the read-back. On TCP an OFF leaves
    at once, even while a reply is outstanding, and again after that reply. On RTU it is
    the next frame instead: RS-485 is half-duplex, sent into the reply it would destroy both.
    """

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
        """`timeout_us` and `reply_us` leave out the time that bytes need on an RTU line."""
        self._rtu = rtu
        self._silence_us = silence_us(baud) if rtu else 0
        line_us = _line_us(baud) if rtu else 0
        self._timeout_us = timeout_us + line_us
        codec = (RtuClientCodec if rtu else TcpClientCodec)(device_id=config.device_id)
        self._exchange: Exchange[Question, Reply] = Exchange(
            link,
            codec,
            timeout_us=self._timeout_us,
            # Without transaction ids only silence tells a late reply from the next one.
            longest_reply_us=self._timeout_us if rtu else 0,
        )
        self._active_us = config.active_poll_ms * 1000
        self._standby_us = config.standby_poll_ms * 1000
        self._pulse_tenths = config.enable_pulse_ms // FLASH_UNIT_MS
        self._retrigger_us = config.enable_pulse_ms * 1000 // 2
        self._confirmed: list[bool | None] = [None] * len(Coil)
        self._line_free_us = 0
        self._pulse_due_us = 0
        self._inputs_asked_us: int | None = None
        self._coils_asked_us: int | None = None
        self._others_count = 0  # questions since the last read of the inputs
        self.sample = RoomSample(taken_us=0)
        self.capabilities = _capabilities(config, reply_us + line_us)

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
        match answer.question, answer.reply:
            case ReadInputs(), tuple() as closed:
                contacts = {name: bool(bit) for name, bit in zip(CONTACTS, closed, strict=True)}
                self.sample = replace(
                    self.sample, taken_us=answer.asked_us, link_ok=True, **contacts
                )
            case ReadCoils(), tuple() as closed:
                self._confirmed = [bool(bit) for bit in closed[: len(Coil)]]
                self.sample = replace(
                    self.sample,
                    enable_readback=self._confirmed[Coil.ENABLE],
                    enable_taken_us=answer.asked_us,
                )
            case WriteCoil() as write, Written():
                self._confirmed[write.address] = write.closed
            case PulseCoil(), Written():
                self._confirmed[Coil.ENABLE] = True

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
        commanded = _coils(outputs)
        self._exchange.settle(now)
        off_must_wait = self._rtu and bool(self._to_drop(commanded))
        if self._others_count >= OTHERS_COUNT_MAX and not off_must_wait:
            self._read_inputs(now, outputs)
        self._drop(now, commanded)
        if not self._exchange.free:
            if self._exchange.waiting_for is None:
                now.wake(now.t_us)  # a stray echo may still come: asked again next scan
            return
        if not self._pulse(now, outputs) and not self._switch(now, commanded):
            self._poll(now, outputs)

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
                self._exchange.preempt(now, WriteCoil(address=coil, closed=False))

    def _pulse(self, now: Now, outputs: Outputs) -> bool:
        if not outputs.enable:
            return False
        if self._confirmed[Coil.ENABLE] is True and not now.reached(self._pulse_due_us):
            return False
        address = FLASH_ON.addresses.start + Coil.ENABLE
        if not self._ask(now, PulseCoil(address=address, tenths=self._pulse_tenths)):
            return False
        self._confirmed[Coil.ENABLE] = None
        self._pulse_due_us = now.t_us + self._retrigger_us
        return True

    def _switch(self, now: Now, commanded: dict[Coil, bool | None]) -> bool:
        for coil in THEN:
            closed = commanded[coil]
            if closed is None or closed is self._confirmed[coil]:
                continue
            if self._ask(now, WriteCoil(address=coil, closed=closed)):
                self._confirmed[coil] = None
            return True
        return False

    def _poll(self, now: Now, outputs: Outputs) -> None:
        """Both reads due: they take turns, so that a slow line starves neither."""
        inputs_due = self._inputs_due(now, outputs)
        if self._coils_due(now, outputs) and (self._others_count == 0 or not inputs_due):
            if self._ask(now, ASK_COILS):
                self._coils_asked_us = now.t_us
        else:
            self._read_inputs(now, outputs)

    def _read_inputs(self, now: Now, outputs: Outputs) -> None:
        if self._inputs_due(now, outputs) and self._ask(now, ASK_INPUTS):
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


def _coils(outputs: Outputs) -> dict[Coil, bool | None]:
    """What each coil shall be; None = let it be."""
    return {
        Coil.READY_LAMP: outputs.ready_lamp,
        Coil.BEAM_LAMP: outputs.beam_lamp,
        Coil.BUZZER: outputs.buzzer,
        Coil.ENABLE: True if outputs.enable else None if outputs.enable_lapse else False,
        Coil.CONTACTOR: outputs.contactor,
        Coil.PREP: outputs.prep_line,
        Coil.EXPOSE: outputs.expose_line,
    }


def _is_active(outputs: Outputs) -> bool:
    """PREP to EXPOSE, as far as the outputs show it."""
    lines = (outputs.contactor, outputs.enable, outputs.prep_line, outputs.expose_line)
    return any(lines) or outputs.technique is not None


def _line_us(baud: int) -> int:
    """What question, reply and the silences before each take on an RTU line."""
    return round(LONGEST_BYTES * 11 * 1e6 / baud) + 2 * silence_us(baud)


def _capabilities(config: RoomSettings, reply_us: int) -> RoomCapabilities:
    """The age is that from PREP to EXPOSE. Just before a newer answer comes, it has waited for
    its period, for the questions that may go before the next read of the inputs, for one OFF
    that leaves again, and for the reply; each is seen by the scan after it.
    """
    exchange_us = grid_us(reply_us, SCAN_US)
    period_us = latest_us(grid_us(config.active_poll_ms * 1000, SCAN_US), exchange_us)
    return RoomCapabilities(
        reply_us=reply_us,
        pulse_us=config.enable_pulse_ms * 1000,
        sample_age_us=period_us + (OTHERS_COUNT_MAX + 2) * exchange_us,
    )


# --- 3 device side -------------------------------------------------------------------------------


class Desk:
    """The module on the wall: answers one request after the other, `reply_us` after each."""

    def __init__(
        self,
        model: RoomModel,
        *,
        device_id: int = 1,
        rtu: bool = False,
        baud: int = 9600,
        reply_us: int = 1_000,
    ) -> None:
        self._server = ModbusServer(_Module(model), device_id=device_id, rtu=rtu, baud=baud)
        self._reply_us = reply_us
        self._leaving: deque[tuple[int, bytes]] = deque()
        self._last_us = 0

    def receive(self, now: Now, data: bytes) -> None:
        for reply in self._server.feed(now, data):
            self._last_us = latest_us(now.t_us, self._last_us) + self._reply_us
            self._leaving.append((self._last_us, reply))

    def poll(self, now: Now) -> bytes:
        self.receive(now, b"")  # RTU: a silence may have ended a request
        replies = b""
        while self._leaving and now.reached(self._leaving[0][0]):
            replies += self._leaving.popleft()[1]
        return replies


class _Module:
    """The map of the manual over the room's contacts and relays."""

    def __init__(self, model: RoomModel) -> None:
        self._model = model

    def read_bits(self, t_us: int, function: int, address: int, count: int) -> Sequence[bool]:
        row = RELAYS if function in RELAYS.functions else INPUTS
        _must_hold(row, address, count)
        closed = self._model.coils(t_us) if row is RELAYS else self._model.inputs(t_us)
        return [*closed, *[False] * len(row.addresses)][address : address + count]

    def read_registers(self, t_us: int, function: int, address: int, count: int) -> Sequence[int]:
        raise RefusedError(ILLEGAL_ADDRESS)

    def write_coil(self, t_us: int, address: int, value: int) -> None:
        if address in FLASH_ON.addresses:
            self._flash_on(t_us, address - FLASH_ON.addresses.start, value)
        elif address in ALL_RELAYS.addresses:
            self.write_coils(t_us, 0, [_closes(value)] * len(RELAYS.addresses))
        else:
            _must_hold(RELAYS, address, 1)
            self.write_coils(t_us, address, [_closes(value)])

    def _flash_on(self, t_us: int, coil_index: int, value: int) -> None:
        if not 1 <= value <= FLASH_MAX:
            raise RefusedError(ILLEGAL_VALUE)
        self._model.pulse_coil(t_us, coil_index, value * FLASH_UNIT_MS * 1000)

    def write_coils(self, t_us: int, address: int, closed: Sequence[bool]) -> None:
        _must_hold(RELAYS, address, len(closed))
        for coil_index, is_closed in enumerate(closed, start=address):
            self._model.set_coil(t_us, coil_index, is_closed)

    def write_registers(self, t_us: int, address: int, values: Sequence[int]) -> None:
        raise RefusedError(ILLEGAL_ADDRESS)


def _must_hold(row: Command, address: int, count: int) -> None:
    if address not in row.addresses or address + count - 1 not in row.addresses:
        raise RefusedError(ILLEGAL_ADDRESS)


def _closes(value: int) -> bool:
    if value not in (COIL_ON, COIL_OFF):
        raise RefusedError(ILLEGAL_VALUE)
    return value == COIL_ON
