"""A simulator that runs elsewhere: a question to its control, and a unit on its ports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hal.bus import BusClient
from hal.ports import LinkError
from rig.exit_codes import DeviceError, UsageError

if TYPE_CHECKING:
    from firmware_py.config import UnitConfig

OPTIONAL = ("collimator", "dap")  # sections that a bench may go without


def ask(facts: dict[str, Any], message: dict[str, Any]) -> dict[str, Any]:
    """`facts`: its announcement. Raises DeviceError, UsageError."""
    client = BusClient(facts["control"])
    try:
        answer = client.ask({"schema": 1, **message})
    except LinkError as error:
        raise DeviceError(f"the simulator does not answer: {error}") from error
    finally:
        client.close()
    if "error" in answer:
        raise UsageError(answer["error"])
    return answer


def with_ports(unit: UnitConfig, facts: dict[str, Any]) -> UnitConfig:
    """The unit's configuration on the ports that a simulator announced."""
    data = unit.model_dump()
    data["rung"] = "wire"
    data["generator"]["url"] = facts["generator"]["url"]
    data["room"]["url"] = facts["room"]["url"]
    data["panel"]["control_url"] = facts["panel"]["control_url"]
    data["panel"]["data_url"] = facts["panel"]["data_url"]
    for name in OPTIONAL:
        if data[name] is not None and name in facts:
            data[name]["url"] = facts[name]["url"]
    return type(unit).model_validate(data)
