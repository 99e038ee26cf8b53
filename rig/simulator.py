"""A question to a running simulator's control."""

from __future__ import annotations

from typing import Any

from hal.bus import BusClient
from hal.ports import LinkError
from rig.exit_codes import DeviceError, UsageError


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
