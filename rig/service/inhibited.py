"""Before any relay is switched: proof that no high voltage can come of it.

Proved is what the module reads back, not what was sent; what can't be read back is not proved.
"""

from __future__ import annotations

from collections.abc import Mapping

from hal.types import RoomSample
from rig.exit_codes import Refused
from rig.service.pins import Pin

OPEN_RELAYS = ("enable", "contactor", "prep", "expose")


def proof(
    sample: RoomSample, coils: Mapping[str, bool | None], pins: Mapping[str, Pin]
) -> list[str]:
    """What was proved, in words. Raises Refused with the first thing that was not."""
    for name in OPEN_RELAYS:
        if coils.get(name) is not False:
            how = "reads ON" if coils.get(name) else "can't be read back"
            raise Refused(
                f"high voltage is not proved inhibited: {pins[name].told} {how}; nothing was "
                "switched. Switch the generator off at its breaker, then look at the module"
            )
    for name in ("stage_1", "stage_2"):
        if getattr(sample, name):
            raise Refused(
                f"high voltage is not proved inhibited: {pins[name].told} is pressed; release "
                "the handswitch, nothing was switched"
            )
    return [
        "no unit runs: this command owns the bench",
        "the generator is not addressed: its port is not opened",
        *(f"{pins[name].told} reads open" for name in OPEN_RELAYS),
        "both stages of the handswitch read open",
    ]
