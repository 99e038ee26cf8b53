"""Which layer a fault speaks for: whose no it was, told to the person who has to look there."""

from __future__ import annotations

PERSON = "person"
CONTACT = "interlock contact"
ROOM = "room I/O"
GENERATOR = "generator"
PANEL = "panel"
SUPERVISOR = "supervisor"
RECORDER = "recorder"
COLLIMATOR = "collimator"
METER = "meter in the beam"
DUTY = "duty"
TIMER = "timer"
PROGRAMME = "programme"
UNIT = "unit"

_CODES = {
    PERSON: "HANDSWITCH_STUCK HANDSWITCH_CLOSED SHOT_CHANGED INCOMPLETE_EXPOSURE",
    CONTACT: "DOOR_OPEN ESTOP CHAIN_OPEN CHAIN_STUCK KEY_OFF ENABLE_WELDED INTERLOCK_OPEN",
    ROOM: "ROOM_IO_LOST LAMP_FAILED SELF_TEST_ENABLE SELF_TEST_LAMP",
    GENERATOR: "GENERATOR_LINK_LOST GENERATOR_NOT_READY GENERATOR_REFUSED GENERATOR_FAULT "
    "GENERATOR_UNKNOWN GENERATOR_IDENTITY OVER_VOLTAGE OVER_CURRENT OVER_POWER ARC ARCS "
    "OVER_TEMPERATURE UNDER_TEMPERATURE REGULATION BATTERY_LOW BEAM_ENDED_EARLY "
    "BATTERY_WARNING BATTERY_EMPTY "
    "GENERATOR_ACCOUNT AEC_BACKUP AEC_IMPLAUSIBLE",
    SUPERVISOR: "GENERATOR_STATUS_OLD KV_OUT_OF_BAND MA_OUT_OF_BAND OVER_MAS OVER_MAS_SERVICE "
    "BEAM_OFF_NOT_CONFIRMED STRAY_BEAM RESETS",
    PANEL: "PANEL_LINK_LOST PANEL_NOT_READY PANEL_ERROR PANEL_WRONG WINDOW_REFUSED WINDOW_ENDED "
    "WINDOW_TOO_SHORT FRAME_MISSING PANEL_SET_MISSING "
    "PANEL_BATTERY_WARNING PANEL_BATTERY_EMPTY",
    COLLIMATOR: "SID_WRONG FIELD_OFF_PANEL COLLIMATOR_LOST",
    METER: "DAP_LOST DAP_DEVIATES DAP_METER",
    RECORDER: "RECORDER_LOST DISK INTENT_NOT_DURABLE DOSE_NOT_SAVED",
    DUTY: "TUBE_COLD TUBE_HEAT DUTY",
    TIMER: "READY_TIMEOUT BACKUP_TIME",
    PROGRAMME: "AEC_LOCKED AEC_SETTING NO_SHOT SHOT_USED TECHNIQUE NOT_TEST RECEPTOR_NOT_CLEAR SID",
    UNIT: "SELF_TEST_TIMEOUT SCAN_LATE UNIT_LOST UNIT_BUG",
}
LAYERS = {code: layer for layer, codes in _CODES.items() for code in codes.split()}

CONTACT_OF = {  # the contact of the room whose sample was the reason
    "DOOR_OPEN": "door",
    "ESTOP": "estop",
    "CHAIN_OPEN": "chain",
    "CHAIN_STUCK": "chain",
    "KEY_OFF": "key",
    "LAMP_FAILED": "lamp_current",
    "SELF_TEST_LAMP": "lamp_current",
}
COIL_OF = {"ENABLE_WELDED": "enable", "SELF_TEST_ENABLE": "enable"}


def ends_by_wire(contact: str, pair: tuple[str, ...], relay: tuple[str, ...]) -> bool:
    """Does this contact open the generator's interlock pair without any program?"""
    if contact == "chain":
        return "safety_relay" in pair
    return contact in pair or (contact in relay and "safety_relay" in pair)
