"""A conversation with a remote I/O module told in words, by its map."""

from __future__ import annotations

from hal.listener import WireListener
from hal.modbus import COIL_OFF, COIL_ON
from hal.modbus_heard import Frame, modbus_listener
from hal.ports import Kind
from hal.room_io.mapped_table import ModuleMap, Pulse, module_map

LETS_BEAM = ("enable", "contactor", "prep", "expose")


def listener(named: str, *, rtu: bool = False) -> WireListener[Frame]:
    """Raises MapError."""
    return modbus_listener(_Words(module_map(named)), rtu=rtu)


class _Words:
    def __init__(self, module: ModuleMap) -> None:
        self._inputs, self._outputs, self._pulse = module.inputs, module.outputs, module.pulse
        self._channels = range(module.outputs.count)

    def name(self, function: int, address: int) -> str:
        contact, channel = address - self._inputs.address, address - self._outputs.address
        if function == self._inputs.function in (1, 2) and contact in range(self._inputs.count):
            names = self._inputs.contacts
            return names[contact] if contact < len(names) else ""
        if function == 1 and channel in self._channels:
            return self._relay(channel)
        return ""

    def written(self, function: int, address: int, values: tuple[int, ...]) -> tuple[Kind, str]:
        channel = address - self._outputs.address
        if function == 15:
            return self._switched(range(channel, channel + len(values)), values)
        pulse = self._pulse
        if function == 5 and pulse is not None and address - pulse.address in self._channels:
            return self._pulsed(pulse, address - pulse.address, values[0])
        closed = {COIL_ON: 1, COIL_OFF: 0}.get(values[0])
        if function == 5 and closed is not None:
            if address == self._outputs.all_address:
                kind, _ = self._switched(self._channels, (closed,) * len(self._channels))
                return kind, f"all relays {'closed' if closed else 'open'}"
            return self._switched(range(channel, channel + 1), (closed,))
        return Kind.UNKNOWN, f"write {address}: {', '.join(f'{value:04x}' for value in values)}"

    def _pulsed(self, pulse: Pulse, channel: int, value: int) -> tuple[Kind, str]:
        name = self._relay(channel)
        begins = Kind.BEAM if name in LETS_BEAM else Kind.ACT
        if pulse.unit_ms is not None:
            return begins, f"{name} closed for {value * pulse.unit_ms} ms"
        if value == COIL_ON:
            return begins, f"{name} pulse started"
        if value == COIL_OFF:
            return (Kind.STOP if name in LETS_BEAM else Kind.ACT), f"{name} pulse ended"
        return Kind.UNKNOWN, f"{name} pulse: {value:04x}"

    def _switched(self, channels: range, values: tuple[int, ...]) -> tuple[Kind, str]:
        pairs = [(self._relay(c), closed) for c, closed in zip(channels, values, strict=True)]
        text = ", ".join(f"{name} {'closed' if closed else 'open'}" for name, closed in pairs)
        if not all(channel in self._channels for channel in channels):
            return Kind.UNKNOWN, text
        guarded = [closed for name, closed in pairs if name in LETS_BEAM]
        if any(guarded):
            return Kind.BEAM, text
        return (Kind.STOP if guarded else Kind.ACT), text

    def _relay(self, channel: int) -> str:
        """By its number where nothing of ours hangs on it."""
        names = self._outputs.coils
        known = channel in range(len(names)) and names[channel] != "spare"
        return names[channel] if known else f"relay {channel}"
