"""A GeniX3D conversation told in words: coils and registers by name.

Unverified, from a third-party source, as all of the GeniX3D here.
"""

from __future__ import annotations

from hal.generators.genix3d_wire import BITS, COMMANDS, HOURS_ADDRESS, POWER_ADDRESS, STATUS_ADDRESS
from hal.listener import WireListener
from hal.modbus import COIL_OFF, COIL_ON
from hal.modbus_heard import Frame, modbus_listener
from hal.ports import Kind

_COILS = {STATUS_ADDRESS + bit.index: bit.name for bit in BITS.values()}
_REGISTERS = {
    POWER_ADDRESS: "kV x 100", POWER_ADDRESS + 1: "mA x 100",
    HOURS_ADDRESS: "minutes", HOURS_ADDRESS + 1: "hours",
}  # fmt: skip
_NAMES = {address: name for name, address in COMMANDS.items()}
_STEPS = ("mA up", "mA down", "kV up", "kV down")


def listener() -> WireListener[Frame]:
    return modbus_listener(_Words(), rtu=False)


class _Words:
    def name(self, function: int, address: int) -> str:
        if function == 1:
            return _COILS.get(address, "")
        return _REGISTERS.get(address, "") if function in (3, 4) else ""

    def written(self, function: int, address: int, values: tuple[int, ...]) -> tuple[Kind, str]:
        name, value = _NAMES.get(address), {COIL_ON: 1, COIL_OFF: 0}.get(values[0])
        if function != 5 or name is None or value is None:
            shown = ", ".join(f"{each:04x}" for each in values)
            return Kind.UNKNOWN, f"write {address}: {shown}"
        return _kind(name, value == 1), f"{name} {value}"


def _kind(name: str, on: bool) -> Kind:
    """X-rays behind a closed shutter ready a beam, the shutter lets it out."""
    if name in ("X-rays", "shutter open") and on:
        return Kind.BEAM
    if (name == "X-rays" and not on) or (name in ("shutter close", "power off") and on):
        return Kind.STOP
    return Kind.SET if name in _STEPS else Kind.ACT
