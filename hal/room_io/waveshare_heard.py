"""A conversation with a Waveshare module told in words, by the I/O map of our benches."""

from __future__ import annotations

from hal.listener import WireListener
from hal.modbus import COIL_OFF, COIL_ON
from hal.modbus_heard import Frame, modbus_listener
from hal.ports import Kind
from hal.room_io.waveshare import ALL_RELAYS, FLASH_ON, FLASH_UNIT_MS, INPUTS, RELAYS, Coil
from hal.types import CONTACTS

LETS_BEAM = (Coil.ENABLE, Coil.CONTACTOR, Coil.PREP, Coil.EXPOSE)


def listener(*, rtu: bool = False) -> WireListener[Frame]:
    return modbus_listener(_Map(), rtu=rtu)


class _Map:
    def name(self, function: int, address: int) -> str:
        if function == 1 and address in RELAYS.addresses:
            return _relay(address)
        if function == 2 and address in INPUTS.addresses:
            return CONTACTS[address] if address < len(CONTACTS) else ""
        return ""

    def written(self, function: int, address: int, values: tuple[int, ...]) -> tuple[Kind, str]:
        if function == 15:
            return _switched(range(address, address + len(values)), values)
        if function == 5 and address in FLASH_ON.addresses:
            relay = address - FLASH_ON.addresses.start
            text = f"{_relay(relay)} closed for {values[0] * FLASH_UNIT_MS} ms"
            return (Kind.BEAM if relay in LETS_BEAM else Kind.ACT), text
        closed = {COIL_ON: 1, COIL_OFF: 0}.get(values[0])
        if function == 5 and closed is not None:
            if address in ALL_RELAYS.addresses:
                kind, _ = _switched(RELAYS.addresses, (closed,) * len(RELAYS.addresses))
                return kind, f"all relays {'closed' if closed else 'open'}"
            return _switched(range(address, address + 1), (closed,))
        return Kind.UNKNOWN, f"write {address}: {', '.join(f'{value:04x}' for value in values)}"


def _switched(relays: range, values: tuple[int, ...]) -> tuple[Kind, str]:
    pairs = list(zip(relays, values, strict=True))
    text = ", ".join(f"{_relay(relay)} {'closed' if closed else 'open'}" for relay, closed in pairs)
    if not all(relay in RELAYS.addresses for relay in relays):
        return Kind.UNKNOWN, text
    guarded = [closed for relay, closed in pairs if relay in LETS_BEAM]
    if any(guarded):
        return Kind.BEAM, text
    return (Kind.STOP if guarded else Kind.ACT), text


def _relay(address: int) -> str:
    known = address in set(Coil)
    return Coil(address).name.lower() if known else f"relay {address}"
