"""What an R2CP generator says no with: result codes, system messages, states; our word for each.

Sections 4.2, 4.5, 4.6 and 4.7 of the protocol reference, from a public third-party program;
unverified against a device, may need the vendor's ICD. The reference gives no texts of system
messages and names few of their ids: all others are GENERATOR_UNKNOWN, with the raw number.
"""

from __future__ import annotations

from hal.generators.r2cp_layouts import Message, State
from hal.generators.r2cp_wire import Node

OK, TOKEN_HELD, WRONG_STATE, NO_ACCESS = 0, 201, 202, 203
ALREADY_ASSIGNED, ALREADY_CREATED = 8, 18
UNSUPPORTED = 6  # of a databank: this technique
RX_DISABLE_ID = 500_074  # "general RX disable": active whenever no beam is wanted
TEST_IDS = range(500_071, 500_074)
DC_BUS_IDS = range(140_400, 140_500)

_ANY = {  # 4.2
    TOKEN_HELD: "another node holds the token",
    WRONG_STATE: "not available in this state",
    NO_ACCESS: "unknown entry, wrong access or wrong size",
}
_BY_ENTRY = {  # 4.6
    "databank": {
        1: "procedure id out of range", 2: "not defined", 4: "paediatric code",
        5: "technique out of range", 6: "technique unsupported", 7: "kVp", 8: "mAs", 9: "mA",
        10: "ms", 11: "longest integration time", 12: "focus code", 13: "focus unsupported",
        14: "AEC sensitivity", 15: "AEC density", 17: "tube power limit", 18: "frames per second",
        19: "shortest integration time", 21: "tracking unsupported", 24: "databank type mismatch",
    },
    "exposure": {1: "not supported by the detector interface", 2: "value out of range"},
    "assign": {
        1: "procedure undefined", 2: "out of range", 3: "already active",
        4: "sequence out of range", 5: "databank undefined", 6: "databank out of range",
        7: "incompatible", ALREADY_ASSIGNED: "already assigned",
    },
    "acceptance": {
        1: "undefined", 2: "out of range", 3: "sequence out of range", 4: "nothing assigned",
    },
    "procedure": {
        1: "id out of range", 2: "type unsupported", 10: "switch index out of range",
        12: "no such workstation", 13: "databank count", 14: "sequencing", 15: "sequencing",
        16: "workstation out of range", 17: "switch undefined", ALREADY_CREATED: "already created",
    },
    "activate": {
        1: "undefined", 2: "out of range", 3: "sequence out of range", 4: "databank not assigned",
        5: "invalid activation", 6: "invalid deactivation", 7: "sequence number invalid",
    },
}  # fmt: skip
_OVER_POWER = ("databank", 17)
_FORGOTTEN = {("assign", 1), ("activate", 1)}  # procedure undefined: this connection defined it
_TOLERATED = {("assign", ALREADY_ASSIGNED), ("procedure", ALREADY_CREATED)}


def accepted(entry: str, result_code: int) -> bool:
    """It is as asked: done now, or so already."""
    return result_code == OK or (entry, result_code) in _TOLERATED


def is_forgotten(entry: str, result_code: int) -> bool:
    """It was without power since the connection was made, or it is another generator."""
    return (entry, result_code) in _FORGOTTEN


def result_words(entry: str, result_code: int) -> str:
    """For the service engineer: which request, the raw number, and its meaning if that is known."""
    known = _BY_ENTRY.get(entry, {}).get(result_code) or _ANY.get(result_code)
    return f"{entry} was answered {result_code}: {known or 'a code that is not known'}"


def result_fault(entry: str, result_code: int) -> str:
    """The code of hal.faults."""
    if (entry, result_code) == _OVER_POWER:
        return "OVER_POWER"
    known = result_code in _ANY or result_code in _BY_ENTRY.get(entry, {})
    return "GENERATOR_FAULT" if known else "GENERATOR_UNKNOWN"


def message_words(message: Message) -> str:
    number = f"message {message.message_id} of node {message.node_id}"
    if message.message_id in DC_BUS_IDS:
        # 4.7: "looks identical"; the one needs a repair and the other an operator's restart.
        return f"{number}: DC bus, or the e-stop was open while the generator started: restart it"
    return f"{number}: a test message" if message.message_id in TEST_IDS else number


def message_fault(message: Message) -> str:
    known = message.message_id in DC_BUS_IDS or message.message_id in TEST_IDS
    return "GENERATOR_FAULT" if known else "GENERATOR_UNKNOWN"


def is_our_own(message: Message) -> bool:
    """The RX disable that the unit itself keeps active."""
    return message.node_id == Node.APPLICATION and message.message_id == RX_DISABLE_ID


# 4.7: what the host gives up on. INITIALIZATION passes by itself, so it is waited for.
STATE_FAULTS = {
    State.INVALID: "GENERATOR_FAULT",
    State.SHUTDOWN: "GENERATOR_FAULT",
    State.ERROR: "GENERATOR_FAULT",
    State.SERVICE: "GENERATOR_FAULT",
}
