"""Devices of registers: what a GeniX3D tells of itself, and the set-up that a module's map names.

Nothing of it is written back: neither tells a serial number, and a module's set-up is done with
its maker's own program. It is compared, and the rest is for the sheet.
"""

from __future__ import annotations

from collections.abc import Callable

from hal.modbus import (
    ModbusException,
    Question,
    ReadCoils,
    ReadHolding,
    ReadInputRegisters,
    ReadInputs,
    RtuClientCodec,
    TcpClientCodec,
)
from hal.ports import WireError
from hal.room_io.mapped_table import Settings
from rig.exit_codes import DeviceError
from rig.service.params_device import Asker, Known, Value

GENIX3D_ID = 1  # hal/generators/genix3d.py
ASKS: dict[int, Callable[..., Question]] = {
    1: ReadCoils,
    2: ReadInputs,
    3: ReadHolding,
    4: ReadInputRegisters,
}
Values = tuple[bool, ...] | tuple[int, ...]


def _asked(asker: Asker, codec: TcpClientCodec | RtuClientCodec, question: Question) -> Values:
    """() where it is silent, refuses, or says something else."""
    raw = asker.raw(f"hex {codec.encode(question).hex(' ')}")
    try:
        reply = codec.decode(question, bytearray(raw)) if raw else None
    except WireError:
        reply = None
    return () if isinstance(reply, ModbusException) or not isinstance(reply, tuple) else reply


def read_genix3d(asker: Asker) -> Known:
    from hal.generators.genix3d_wire import ASK_STATUS, HOURS_ADDRESS, read_power, read_status

    codec = TcpClientCodec(device_id=GENIX3D_ID)
    bits = tuple(bool(one) for one in _asked(asker, codec, ASK_STATUS))
    if not bits:
        raise DeviceError(f"{asker.unit.generator.url}: no GeniX3D answers; check power and cable")
    status = read_status(bits)
    function, words = _registers(asker, codec)
    power = read_power(words) if words else None
    counters: dict[str, Value] = {} if power is None else {"kv": power.kv, "ma": power.ma}
    hours = _asked(asker, codec, ASKS[function](address=HOURS_ADDRESS, count=2)) if words else ()
    if hours:
        counters["tube_on_min"] = 60 * int(hours[1]) + int(hours[0])
    return Known(
        driver="genix3d", model=f"GeniX3D {50 if status.has('tube of 50 W') else 30} W",
        values={
            "remote_on": status.has("remote"),
            "safety_circuit_overridden": status.has("safety circuit overridden"),
        },
        counters=counters, silent=tuple(asker.silent), hv_on=status.has("xray_on"),
        unread=("IP address", "full-power kV and mA", "warm-up table"),
    )  # fmt: skip


def _registers(asker: Asker, codec: TcpClientCodec) -> tuple[int, tuple[int, ...]]:
    """Which of FC03 and FC04 it answers is not known (8.1): both are tried."""
    from hal.generators.genix3d_wire import ASK_POWER

    for function, question in ASK_POWER.items():
        if found := _asked(asker, codec, question):
            return function, tuple(int(one) for one in found)
    return 0, ()


def read_module(asker: Asker) -> Known:
    """Of any mapped module: the registers or coils that its map names in [settings]."""
    from hal.room_io import speaks_rtu
    from hal.room_io.mapped_table import map_name, module_map

    config = asker.unit.room
    module = module_map(map_name(config.driver, config.map))
    codec = (RtuClientCodec if speaks_rtu(config.url) else TcpClientCodec)(
        device_id=config.device_id or module.device_id
    )
    if not asker.raw("inputs"):
        raise DeviceError(f"{config.url}: no module answers; check power, cable and address")
    values = _settings(asker, codec, module.settings) if module.settings else {}
    dog = ("watchdog: time, and outputs open when it ends",) if module.watchdog else ()
    return Known(
        driver=config.driver, values=values, silent=tuple(asker.silent),
        unread=("model and firmware", "unit id, address, baud rate", *dog,
                "what its outputs do at power-up"),
    )  # fmt: skip


def _settings(
    asker: Asker, codec: TcpClientCodec | RtuClientCodec, kept: Settings
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, address in zip(kept.names, kept.addresses, strict=True):
        found = _asked(asker, codec, ASKS[kept.function](address=address, count=1))
        if not found:
            asker.silent.append(f"{name}: the module refuses the registers")
            break
        values[name] = int(found[0])
    return values
