"""The device's side of the GeniX3D: coils, registers, cycles, shutter. Physics is the model's.

The reference knows coils and registers from the host's side only, so *all that this desk does
beyond them is synthetic* and unverified against a device. Chosen, where nothing is said:
- Registers by FC03 (or FC04); the other function gets exception 1, an unknown address 2.
- What is refused for want of remote mode gets exception 4.
- The way to standby or to nothing takes `standby_us`, to full power and through a warm-up
  `full_us`. Values jump at the end of a cycle. A warm-up ends at standby.
- The shutter opens in the model's ramp time and closes in `close_us`; it does not open while the
  model refuses a beam. The interlock pair holds its drive: open, it closes, and bit 19 latches if
  that ended a beam. Without supply the tube is powered down, and X-rays are off.
- A pulse acts at its rising edge; coils 30 to 35 of the status show commands 240 to 245.
- kV and mA step by 1 kV and 0.02 mA. kV taken to 0 while mA flows damages the source for good.
- Every fault of the model without a coil of its own shows as bit 9 alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from hal.generators.genix3d_ratings import PLACES
from hal.generators.genix3d_wire import (
    BITS,
    COMMANDS,
    HOURS_ADDRESS,
    POWER_ADDRESS,
    STATUS_ADDRESS,
    STATUS_COUNT,
    Power,
    power_counts,
    status_bits,
)
from hal.modbus import COIL_OFF, COIL_ON
from hal.modbus_server import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    ModbusServer,
    RefusedError,
)
from hal.now import Now, latest_us
from hal.ports import GeneratorModel

DEVICE_FAILED = 0x04
KV_STEP_KV, MA_STEP_MA = 1.0, 0.02
NOTHING = Power(kv=0.0, ma=0.0)
_NAMES = {address: name for name, address in COMMANDS.items()}
_FAULTS = {"over_temperature": "temperature fault"}  # the model's word: the coil's
_NO_FAULT = frozenset(("interlock_open", "arc", "under_temperature", "battery_low", "no_supply"))


class Desk:
    """`faults` are coils by name that a scenario or a test may set."""

    def __init__(
        self,
        model: GeneratorModel,
        *,
        reply_us: int = 2_000,
        standby_us: int = 1_000_000,
        full_us: int = 2_000_000,
        close_us: int = 50_000,
        register_function: int = 3,
        device_id: int = 1,
    ) -> None:
        self._model = model
        self._server = ModbusServer(self, device_id=device_id)
        self._reply_us = reply_us
        self._standby_us, self._full_us, self._close_us = standby_us, full_us, close_us
        self._function = register_function
        self._leaving: deque[tuple[int, bytes]] = deque()
        self._last_us = 0
        self.remote = True
        self.faults: set[str] = set()
        self._coils = dict.fromkeys(COMMANDS, False)
        self._xrays = False
        self._power = NOTHING
        self._cycle: tuple[str, int, Power] | None = None  # bit, end, what is there then
        self._open = False  # the shutter, as it was told
        self._moved_us = 0  # ... since then
        self._relay_fault = False
        self.damaged = False

    def receive(self, now: Now, data: bytes) -> None:
        self._follow(now.t_us)
        for reply in self._server.feed(now, data):
            self._last_us = latest_us(now.t_us, self._last_us) + self._reply_us
            self._leaving.append((self._last_us, reply))

    def poll(self, now: Now) -> bytes:
        replies = b""
        while self._leaving and now.reached(self._leaving[0][0]):
            replies += self._leaving.popleft()[1]
        return replies

    # --- what happens without being told

    def _follow(self, t_us: int) -> None:
        bits = self._model.fault_bits(t_us)
        if "no_supply" in bits:
            self._xrays, self._power, self._cycle = False, NOTHING, None
        if self._cycle is not None and Now(t_us).reached(self._cycle[1]):
            self._power, self._cycle = self._cycle[2], None
        if self._open and self._xrays and not self._model.beam_on(t_us):
            self._relay_fault |= "interlock_open" in bits
            self._move(t_us, is_open=False)

    def _move(self, t_us: int, *, is_open: bool) -> None:
        if is_open is not self._open:
            self._open, self._moved_us = is_open, t_us

    def _sensors(self, t_us: int) -> set[str]:
        lit = self._model.beam_on(t_us)
        travel_us = self._model.ramp_us() if self._open else self._close_us
        if not Now(t_us).reached(self._moved_us + travel_us) and self._moved_us:
            return set()
        return {"shutter open" if self._open or lit else "shutter closed"}

    # --- what it shows

    def read_bits(self, t_us: int, function: int, address: int, count: int) -> Sequence[bool]:
        first = address - STATUS_ADDRESS
        if function != 1 or first < 0 or first + count > STATUS_COUNT:
            raise RefusedError(ILLEGAL_ADDRESS)
        shown = status_bits(self._set_names(t_us))
        for command_address in range(STATUS_ADDRESS + 30, STATUS_ADDRESS + STATUS_COUNT):
            shown[command_address - STATUS_ADDRESS] = self._coils[_NAMES[command_address]]
        return shown[first : first + count]

    def _set_names(self, t_us: int) -> set[str]:
        bits = self._model.fault_bits(t_us)
        names = self._sensors(t_us) | self.faults
        names |= {coil for bit, coil in _FAULTS.items() if bit in bits}
        states = {
            "remote": self.remote,
            "xray_on": self._xrays or self._model.beam_on(t_us),
            "standby running": self._coils["standby"],
            "automatic conditions ok": not self.damaged,
            "interlock ok": "interlock_open" not in bits,
            "relay interlock fault": self._relay_fault,
            "blink": t_us // 500_000 % 2 == 1,
        }
        names |= {name for name, is_set in states.items() if is_set}
        if self._cycle is not None and self._cycle[0]:
            names.add(self._cycle[0])
        if self.damaged or bits - _NO_FAULT or any(BITS[name].fault for name in names):
            names.add("faults")
        return names

    def read_registers(self, t_us: int, function: int, address: int, count: int) -> Sequence[int]:
        if function != self._function:
            raise RefusedError(ILLEGAL_FUNCTION)
        minutes = int(self._model.on_time_s() // 60)
        table = dict(enumerate(power_counts(self._shown(t_us)), start=POWER_ADDRESS))
        table |= {HOURS_ADDRESS: minutes % 60, HOURS_ADDRESS + 1: minutes // 60 % 65536}
        wanted = range(address, address + count)
        if not all(each in table for each in wanted):
            raise RefusedError(ILLEGAL_ADDRESS)
        return [table[each] for each in wanted]

    def _shown(self, t_us: int) -> Power:
        """In the beam what the model measures, behind the shutter what was set."""
        if not self._model.beam_on(t_us):
            return self._power if self._xrays else NOTHING
        reading = self._model.reading(t_us)
        return Power(kv=reading.kv, ma=reading.ma)

    # --- what it is told

    def write_coil(self, t_us: int, address: int, value: int) -> None:
        name = _NAMES.get(address)
        if name is None:
            raise RefusedError(ILLEGAL_ADDRESS)
        if value not in (COIL_ON, COIL_OFF):
            raise RefusedError(ILLEGAL_VALUE)
        if not self.remote:
            raise RefusedError(DEVICE_FAILED)
        self._model.command_seen(t_us)
        rises = value == COIL_ON and not self._coils[name]
        self._coils[name] = value == COIL_ON
        if name == "X-rays":
            self._switch_xrays(t_us, value == COIL_ON)
        elif name == "acknowledge" and value == COIL_ON:
            self._acknowledge(t_us)  # 8.1: "write 1", where the others are pulses
        elif rises:
            self._pulse(t_us, name)

    def _switch_xrays(self, t_us: int, on: bool) -> None:
        if not on:
            self._model.stop(t_us)
        refused = "no_supply" in self._model.fault_bits(t_us) or self.damaged
        self._xrays = on and not refused
        self._power = self._power if self._xrays else NOTHING
        self._cycle = self._cycle if self._xrays else None
        if self._xrays:
            self._light(t_us)

    def _pulse(self, t_us: int, name: str) -> None:
        if name == "shutter open" and not self._coils["shutter close"]:
            self._open_shutter(t_us)
        elif name == "shutter close" and not self._coils["shutter open"]:
            self._model.stop(t_us)
            if not self._model.beam_on(t_us):
                self._move(t_us, is_open=False)
        elif name in _STEPS:
            kv, ma = _STEPS[name]
            self._step(kv, ma)
        elif name in _CYCLES and self._xrays and (name == "standby" or not self._coils["standby"]):
            self._begin(t_us, name)

    def _acknowledge(self, t_us: int) -> None:
        self._relay_fault = False
        self._model.clear_faults(t_us)

    def _open_shutter(self, t_us: int) -> None:
        """Without X-rays it may stand open; with them the model has the last word."""
        if not self._xrays or self._light(t_us, opening=True):
            self._move(t_us, is_open=True)

    def _light(self, t_us: int, *, opening: bool = False) -> bool:
        if not (self._open or opening):
            return False
        self._model.set_time_us(t_us, None)
        self._model.set_kv(t_us, self._power.kv)
        self._model.set_ma(t_us, self._power.ma)
        return self._model.start(t_us)

    def _begin(self, t_us: int, name: str) -> None:
        """A cycle. Each but standby wants coil 250 at 0."""
        bit, power = _CYCLES[name]
        upwards = name in ("full power", "warm-up start")
        self._cycle = (bit, t_us + (self._full_us if upwards else self._standby_us), power)

    def _step(self, kv: float, ma: float) -> None:
        before = self._power
        self._power = replace(
            before, kv=max(0.0, before.kv + kv), ma=max(0.0, round(before.ma + ma, 2))
        )
        if before.kv > 0 and self._power.kv == 0 and self._power.ma > 0:
            self.damaged, self._xrays = True, False

    def write_coils(self, t_us: int, address: int, closed: Sequence[bool]) -> None:
        for at, is_closed in enumerate(closed, start=address):
            self.write_coil(t_us, at, COIL_ON if is_closed else COIL_OFF)

    def write_registers(self, t_us: int, address: int, values: Sequence[int]) -> None:
        """252 is known to be written by somebody, and not how: it is not served."""
        raise RefusedError(ILLEGAL_ADDRESS)


_CYCLES = {  # the bit that shows it, and what is there at its end
    "standby": ("", PLACES["standby"]),
    "full power": ("automatic cycle running", PLACES["full power"]),
    "power off": ("reset cycle", NOTHING),
    "warm-up start": ("tube warm-up", PLACES["standby"]),
    "warm-up stop": ("reset cycle", NOTHING),
}
_STEPS = {
    "mA up": (0.0, MA_STEP_MA),
    "mA down": (0.0, -MA_STEP_MA),
    "kV up": (KV_STEP_KV, 0.0),
    "kV down": (-KV_STEP_KV, 0.0),
}
