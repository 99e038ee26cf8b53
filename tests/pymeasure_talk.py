"""pymeasure's SpellmanXRV, unmodified, asks and tells a supply; its answers as one JSON line.

Run by test_spellman_peer.py in a process of its own, with `tests/peers.lock` on its path.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

PATIENCE_S = 10.0


def talk(port: str) -> dict[str, Any]:
    from pymeasure.instruments.spellmanhv import SpellmanXRV

    supply = SpellmanXRV(f"ASRL{port}::INSTR", visa_library="@py", query_delay=0.01)
    said: dict[str, Any] = {"scaling": supply.scaling, "dsp": supply.dsp, "fpga": supply.fpga}
    supply.voltage_setpoint, supply.current_setpoint = 70_000, 0.0005
    said["set"] = [supply.voltage_setpoint, supply.current_setpoint]
    said["unscaled"] = [supply.unscaled.voltage_setpoint, supply.unscaled.current_setpoint]
    said["before"] = int(supply.status)
    said["faults"] = int(supply.errors)
    said["refused"] = _refused(supply)  # the filament is off
    supply.filament.enabled = True
    supply.output_enabled = True
    _until_up(supply)
    said["during"] = int(supply.status)
    said["monitor"] = supply.analog_monitor
    said["kv_now"] = supply.voltage
    supply.output_enabled = False
    said["after"] = [bool(supply.output_enabled), int(supply.status)]
    supply.reset_errors()
    said["limits"] = supply.configuration
    said["hours"] = supply.hv_on_timer
    supply.adapter.connection.close()
    return said


def _until_up(supply: Any) -> None:
    """The ramp: the supply's own word says when it is over."""
    end_s = time.monotonic() + PATIENCE_S
    while supply.voltage < 69_500:
        if time.monotonic() > end_s:
            raise TimeoutError("the voltage never came up")


def _refused(supply: Any) -> str:
    try:
        supply.output_enabled = True
    except ValueError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    print(json.dumps(talk(sys.argv[1])))  # noqa: T201
