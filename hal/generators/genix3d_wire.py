"""Xenocs GeniX3D over Modbus TCP: its coils and registers as tables, and what they mean.

Facts are those of a third party's program written after the maker's manual, version E, 2012
(protocols.md 8.1 [R]); **unverified, from a third-party source**. Not known: the unit id (1 is
taken), whether registers are read by FC03 or FC04 (the driver tries both), coils 8, 23, 28.

Register 252 ("set value") is not in these tables: its source writes kV x 10 and mA x 100 to it, so
at least one is wrong. The six unnamed coils 30 to 35 lie where the command coils 240 to 245 do.
"""

from __future__ import annotations

from dataclasses import dataclass

from hal.modbus import ReadCoils, ReadHolding, ReadInputRegisters, WriteCoil
from hal.ports import WireError

SOURCE = (
    "genix.py, a third party's program after the maker's manual, version E; protocols.md 8.1 [R]"
)
VERIFIED = "unverified: from third-party source, never checked against a device"

STATUS_ADDRESS, STATUS_COUNT = 210, 36
POWER_ADDRESS, HOURS_ADDRESS = 50, 55
PER_KV = PER_MA = 100  # counts of registers 50 and 51


@dataclass(frozen=True, slots=True, kw_only=True)
class Bit:
    """A coil of the status, counted from STATUS_ADDRESS."""

    index: int
    name: str
    fault: str | None = None  # of hal.faults: set, it keeps the beam off


_BITS = (
    Bit(index=0, name="remote"),
    Bit(index=1, name="xray_on"),
    Bit(index=2, name="standby running"),
    Bit(index=3, name="automatic cycle running"),
    Bit(index=4, name="automatic conditions ok"),
    Bit(index=5, name="reset cycle"),
    Bit(index=6, name="tube warm-up"),
    Bit(index=7, name="tube of 50 W"),
    Bit(index=9, name="faults"),
    Bit(index=10, name="X-ray lamp fault", fault="LAMP_FAILED"),
    Bit(index=11, name="shutter lamp fault", fault="LAMP_FAILED"),
    Bit(index=12, name="sensor-2 fault", fault="GENERATOR_FAULT"),
    Bit(index=13, name="tube position fault", fault="GENERATOR_FAULT"),
    Bit(index=14, name="vacuum fault", fault="GENERATOR_FAULT"),
    Bit(index=15, name="water-flow fault", fault="GENERATOR_FAULT"),
    Bit(index=16, name="safety-shutter fault", fault="GENERATOR_FAULT"),
    Bit(index=17, name="temperature fault", fault="OVER_TEMPERATURE"),
    Bit(index=18, name="sensor-1 fault", fault="GENERATOR_FAULT"),
    Bit(index=19, name="relay interlock fault", fault="INTERLOCK_OPEN"),
    Bit(index=20, name="door fault", fault="INTERLOCK_OPEN"),
    Bit(index=21, name="filament fault", fault="GENERATOR_FAULT"),
    Bit(index=22, name="warm-up needed", fault="TUBE_COLD"),
    Bit(index=24, name="blink"),
    Bit(index=25, name="interlock ok"),
    Bit(index=26, name="shutter closed"),
    Bit(index=27, name="shutter open"),
    Bit(index=29, name="safety circuit overridden", fault="GENERATOR_FAULT"),
)
BITS = {bit.name: bit for bit in _BITS}
INTERLOCKS = ("relay interlock fault", "door fault")  # an early release sets them, too
CYCLES = ("automatic cycle running", "reset cycle", "tube warm-up")

COMMANDS = {  # coils; "pulse": 1, then 0, with 250 at 0
    "mA up": 240,
    "mA down": 241,
    "kV up": 242,
    "kV down": 243,
    "power off": 244,
    "warm-up start": 245,
    "warm-up stop": 246,
    "shutter open": 247,  # pulse, with the other one at 0; within 2 s
    "shutter close": 248,
    "acknowledge": 249,  # write 1
    "standby": 250,  # 1 stays; 0 before other cycles
    "X-rays": 251,  # 1 on, 0 off
    "full power": 252,
}
SHUTTER_US = 2_000_000  # 8.1: its time-out


@dataclass(frozen=True, slots=True)
class Status:
    set_names: frozenset[str]

    def has(self, name: str) -> bool:
        assert name in BITS, name
        return name in self.set_names

    @property
    def shutter_closed(self) -> bool | None:
        """None: the two sensors don't agree; it moves, or one of them is broken."""
        closed, is_open = self.has("shutter closed"), self.has("shutter open")
        return closed if closed is not is_open else None

    @property
    def in_cycle(self) -> bool:
        return any(self.has(name) for name in CYCLES)

    @property
    def fault_names(self) -> list[str]:
        return [bit.name for bit in _BITS if bit.fault and bit.name in self.set_names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    kv: float
    ma: float


def read_status(values: tuple[bool, ...]) -> Status:
    if len(values) != STATUS_COUNT:
        raise WireError(f"{len(values)} coils are no status, {STATUS_COUNT} are")
    return Status(frozenset(bit.name for bit in _BITS if values[bit.index]))


def status_bits(set_names: set[str]) -> list[bool]:
    bits = [False] * STATUS_COUNT
    for name in set_names:
        bits[BITS[name].index] = True
    return bits


def read_power(values: tuple[int, ...]) -> Power:
    if len(values) != 2:
        raise WireError(f"{len(values)} registers are no power, 2 are")
    return Power(kv=values[0] / PER_KV, ma=values[1] / PER_MA)


def power_counts(power: Power) -> list[int]:
    return [round(power.kv * PER_KV), round(power.ma * PER_MA)]


def command(name: str, *, on: bool) -> WriteCoil:
    return WriteCoil(address=COMMANDS[name], closed=on)


ASK_STATUS = ReadCoils(address=STATUS_ADDRESS, count=STATUS_COUNT)
ASK_POWER = {
    3: ReadHolding(address=POWER_ADDRESS, count=2),
    4: ReadInputRegisters(address=POWER_ADDRESS, count=2),
}
ON = command("shutter open", on=True)
OFF = command("X-rays", on=False)
OPEN_LIFTED, CLOSE_LIFTED = command("shutter open", on=False), command("shutter close", on=False)
CLOSE = (OPEN_LIFTED, command("shutter close", on=True), CLOSE_LIFTED)
CLEAR = command("acknowledge", on=True)
XRAYS_ON = command("X-rays", on=True)
STANDBY = (command("standby", on=True),)
FULL_POWER = (
    command("standby", on=False),
    command("full power", on=True),
    command("full power", on=False),
)
