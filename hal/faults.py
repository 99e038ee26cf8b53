"""What the unit can report: one row per fault.

The machine knows reactions, never single faults; the console shows `text` and `action`.
An unknown vendor code becomes GENERATOR_UNKNOWN with the raw number beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reaction(Enum):
    WARN = "warn"  # told, nothing else
    INHIBIT = "inhibit"  # no PREP while it lasts
    ABORT = "abort"  # from PREP to READOUT: beam off, FAULT, local reset; else inhibits
    TRIP = "trip"  # in every state: FAULT, local reset
    LOCK = "lock"  # beam off, LOCKED: key switch and reset


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`text`: what is wrong, in plain words. `action`: what service does, with the pin.

    `hazard`: what can happen to people or device if nobody minds it (SR-43).
    """

    code: str
    reaction: Reaction
    text: str
    action: str
    sr: str  # the requirement that decides the reaction

    @property
    def hazard(self) -> str:
        return HAZARDS[self.sr]


_UNASKED = "A beam that nobody asked for."
_ENDLESS = "A beam that does not end: more dose than intended."
_OTHER_TECHNIQUE = "Another dose than intended, or an image that must be made again."
_ROOM = "Somebody in the room is irradiated."
_NO_IMAGE = "Dose without an image: the patient is irradiated again."
_WHO = "Dose or image of another person, or lost."
_TUBE = "The tube is overloaded: hot oil, breaking glass."
_LAYER = "A protective layer is missing: the next fault meets none."
_UNTOLD = "People go on without knowing."

HAZARDS = {  # by the requirement that decides, see firmware_py/requirements.md
    "SR-03": _UNASKED, "SR-04": _UNASKED, "SR-05": _OTHER_TECHNIQUE, "SR-07": _OTHER_TECHNIQUE,
    "SR-08": _TUBE, "SR-09": _ROOM, "SR-10": _NO_IMAGE, "SR-11": _NO_IMAGE, "SR-13": _WHO,
    "SR-14": _TUBE, "SR-16": _TUBE, "SR-18": _ROOM, "SR-21": _ENDLESS, "SR-22": _ENDLESS,
    "SR-23": _OTHER_TECHNIQUE, "SR-24": _OTHER_TECHNIQUE,
    "SR-25": _OTHER_TECHNIQUE, "SR-26": _TUBE, "SR-27": _ENDLESS, "SR-28": _ENDLESS,
    "SR-29": _ENDLESS, "SR-30": _NO_IMAGE, "SR-33": _ENDLESS, "SR-34": _UNASKED,
    "SR-38": _UNTOLD, "SR-39": _OTHER_TECHNIQUE, "SR-41": _UNASKED, "SR-43": _LAYER,
    "SR-44": _ENDLESS, "SR-46": _LAYER, "SR-50": _OTHER_TECHNIQUE, "SR-52": _WHO, "SR-53": _WHO,
    "SR-56": _NO_IMAGE,
}  # fmt: skip


# A table: code, reaction, text, action, requirement.
# fmt: off
_ROWS = (
    # --- room and operator
    ("DOOR_OPEN", Reaction.ABORT, "The door is open.",
     "Close the door. Contact: room input 2 (door), 1 = closed.", "SR-09"),
    ("ESTOP", Reaction.TRIP, "The emergency stop is pressed or was not reset.",
     "Pull the button out, then press reset. Contact: room input 3 (e-stop).", "SR-18"),
    ("CHAIN_OPEN", Reaction.ABORT, "The hard-wired safety chain is open.",
     "Close door and e-stop, press reset. Safety relay: room input 4 (chain).", "SR-09"),
    ("CHAIN_STUCK", Reaction.LOCK, "The safety relay stays closed although its loop is open.",
     "Its contact is welded or bridged: replace the relay. Room inputs 2, 3 and 4 (chain).",
     "SR-09"),
    ("KEY_OFF", Reaction.ABORT, "The key switch is off.",
     "Turn the key on. Contact: room input 5 (key).", "SR-09"),
    ("HANDSWITCH_STUCK", Reaction.TRIP, "The handswitch was not released in time.",
     "Release both stages. If it stays: unplug it, measure room inputs 0 and 1.", "SR-04"),
    ("HANDSWITCH_CLOSED", Reaction.INHIBIT, "Release the handswitch.",
     "Both stages must be open for 50 ms before a press counts.", "SR-03"),
    ("READY_TIMEOUT", Reaction.WARN, "READY was held too long; press again.",
     "Nothing to repair: READY ends by itself to spare the tube.", "SR-08"),
    ("ROOM_IO_LOST", Reaction.ABORT, "The room I/O does not answer, or too late.",
     "Check its power and network cable; `dxrig io` shows it live.", "SR-09"),
    ("ENABLE_WELDED", Reaction.LOCK, "The interlock pair is closed without the enable relay.",
     "Its contact is welded or bridged: measure the interlock pair with stage 2 held.", "SR-46"),
    ("LAMP_FAILED", Reaction.INHIBIT, "The beam lamp draws no current.",
     "Replace the lamp. Lamp current: room input 7.", "SR-38"),
    # --- generator
    ("GENERATOR_LINK_LOST", Reaction.ABORT, "The generator does not answer.",
     "Check power, cable and baud rate (`dxrig doctor`).", "SR-27"),
    ("GENERATOR_STATUS_OLD", Reaction.ABORT, "The generator's status is too old during the beam.",
     "Check the line for noise; `dxrig doctor --bounds` states the limit.", "SR-27"),
    ("GENERATOR_NOT_READY", Reaction.ABORT, "The generator did not become ready in time.",
     "See its own fault list; check filament and battery.", "SR-08"),
    ("GENERATOR_REFUSED", Reaction.ABORT, "The generator refused to start the beam.",
     "Check its interlock pair and its fault list.", "SR-41"),
    ("GENERATOR_FAULT", Reaction.ABORT, "The generator reports a fault.",
     "Read the raw fault bits in `dxrig status`; clear the cause, then reset.", "SR-41"),
    ("GENERATOR_UNKNOWN", Reaction.ABORT, "The generator reports a code that is not in its manual.",
     "Note the raw code and call service.", "SR-44"),
    ("GENERATOR_IDENTITY", Reaction.INHIBIT, "This is not the generator that the bench names.",
     "Compare model and serial number with the bench file.", "SR-50"),
    ("OVER_VOLTAGE", Reaction.ABORT, "Tube voltage above its limit.",
     "Reset; if it returns, stop using the unit: HV divider or inverter.", "SR-24"),
    ("OVER_CURRENT", Reaction.ABORT, "Tube current above its limit.",
     "Reset; if it returns, run tube conditioning.", "SR-24"),
    ("OVER_POWER", Reaction.ABORT, "Tube power above its limit.",
     "Lower kV or mA.", "SR-14"),
    ("ARC", Reaction.ABORT, "The tube arced.",
     "Repeat once; if it returns, run `dxrig warmup --conditioning`.", "SR-26"),
    ("OVER_TEMPERATURE", Reaction.ABORT, "The tube housing is too hot.",
     "Let it cool; see the oil temperature in `dxrig status`.", "SR-09"),
    ("UNDER_TEMPERATURE", Reaction.WARN, "The tube housing is cold.",
     "Warm up longer.", "SR-16"),
    ("INTERLOCK_OPEN", Reaction.ABORT, "The generator's interlock pair is open.",
     "`dxrig why` says which of its contacts read closed; measure what is left.", "SR-09"),
    ("REGULATION", Reaction.ABORT, "kV or mA out of regulation, or the X-ray lamp failed.",
     "Check the X-ray-on lamp first, then the supply.", "SR-24"),
    ("BATTERY_LOW", Reaction.ABORT, "The battery is low.",
     "Charge it; its voltage is in `dxrig status`.", "SR-29"),
    ("BATTERY_WARNING", Reaction.WARN, "The unit's battery should be charged soon.",
     "Connect the charger; `dxrig status` shows the charge.", "SR-29"),
    ("BATTERY_EMPTY", Reaction.INHIBIT, "The unit's battery is too low for another exposure.",
     "Connect the charger; the bench file's battery section has the limit (least_pct).", "SR-29"),
    ("KV_OUT_OF_BAND", Reaction.ABORT, "Indicated kV is not what was asked for.",
     "Compare with an independent meter; run the kV accuracy test.", "SR-24"),
    ("MA_OUT_OF_BAND", Reaction.ABORT, "Indicated mA is not what was asked for.",
     "Run the mA accuracy test; check the filament.", "SR-24"),
    ("OVER_MAS", Reaction.ABORT, "More mAs than planned were measured.",
     "Compare with an independent meter before the next exposure.", "SR-25"),
    ("OVER_MAS_SERVICE", Reaction.LOCK, "Far more mAs than planned were measured.",
     "Stop using the unit: measure mA and exposure time with an independent meter.", "SR-25"),
    ("ARCS", Reaction.LOCK, "The tube arced in three of its last ten beams.",
     "Run `dxrig warmup --conditioning` after service; look at its record of arcs.", "SR-26"),
    ("BACKUP_TIME", Reaction.ABORT, "The beam did not end by itself; the back-up time ended it.",
     "The generator's own timer failed: service before the next exposure.", "SR-21"),
    ("BEAM_ENDED_EARLY", Reaction.ABORT, "The generator ended the beam before its time.",
     "Read its fault list; check interlock pair and watchdog.", "SR-39"),
    ("GENERATOR_ACCOUNT", Reaction.ABORT,
     "How the beam ended is not known: the generator did not say what it made, or can't have.",
     "Dose is unknown, with a bound. Read its own display; check the line and its mAs counter.",
     "SR-53"),
    ("BEAM_OFF_NOT_CONFIRMED", Reaction.ABORT, "The beam may still be on. Open the breaker.",
     "Enable and contactor are dropped. Do not enter before the lamp and a meter say off.",
     "SR-33"),
    ("STRAY_BEAM", Reaction.LOCK, "Radiation without a command.",
     "Contactor is open. Service key; find out why before anything else.", "SR-34"),
    # --- automatic exposure control
    ("AEC_BACKUP", Reaction.WARN, "AEC back-up: the chambers did not end the beam. AEC is locked.",
     "Check selection, centring and grid. Reset frees AEC; if it returns: chambers, cable, supply.",
     "SR-22"),
    ("AEC_IMPLAUSIBLE", Reaction.WARN, "AEC ended the beam far too early. AEC is locked.",
     "A chamber in the open beam, or stuck high: expose each alone. Reset frees AEC.", "SR-23"),
    ("AEC_LOCKED", Reaction.INHIBIT, "AEC is locked since its last exposure ended wrongly.",
     "Find out why, then press reset; manual technique (mAs, or mA and ms) works all the same.",
     "SR-22"),
    ("AEC_SETTING", Reaction.INHIBIT, "This bench can't make such an automatic exposure.",
     "See `dxrig plan --aec` for chambers, density, sensitivity and back-up.", "SR-22"),
    # --- panel
    ("PANEL_LINK_LOST", Reaction.ABORT, "The panel does not answer.",
     "Check its battery and network.", "SR-10"),
    ("PANEL_NOT_READY", Reaction.ABORT, "The panel did not become ready in time.",
     "Restart the panel; check temperature and battery.", "SR-10"),
    ("PANEL_ERROR", Reaction.ABORT, "The panel reports an error.",
     "Read its log; if its memory is full: `dxrig recover --fetch`; restart it.", "SR-30"),
    ("PANEL_WRONG", Reaction.INHIBIT, "Another panel answers than the one selected.",
     "Select the panel that is in the beam; compare the serial numbers.", "SR-10"),
    ("PANEL_BATTERY_WARNING", Reaction.WARN, "The panel's battery should be charged soon.",
     "Dock the panel, or change its battery; `dxrig status` shows the charge.", "SR-10"),
    ("PANEL_BATTERY_EMPTY", Reaction.INHIBIT,
     "The panel's battery is too low for another exposure, or does not tell its charge.",
     "Dock the panel, or change its battery. Limit: least_pct of the bench file's panel.battery.",
     "SR-10"),
    ("WINDOW_REFUSED", Reaction.ABORT, "The panel did not open its exposure window in time.",
     "Restart the panel; see the window request time in `dxrig doctor --bounds`.", "SR-10"),
    ("WINDOW_ENDED", Reaction.ABORT, "The exposure window closed during the beam.",
     "Use a longer window or a shorter exposure.", "SR-30"),
    ("WINDOW_TOO_SHORT", Reaction.INHIBIT, "The panel's window is too short for this exposure.",
     "Raise mA, lower mAs, or use a panel with a longer window.", "SR-10"),
    ("FRAME_MISSING", Reaction.ABORT, "No whole frame came from the panel after the exposure.",
     "Do not repeat: `dxrig recover --fetch` asks the panel's memory for it.", "SR-56"),
    # --- recorder, technique, unit
    ("RECORDER_LOST", Reaction.INHIBIT, "The recorder does not answer.",
     "See its log in the run folder; free disk space; restart.", "SR-11"),
    ("DISK", Reaction.INHIBIT, "The store can't take another exposure.",
     "Free space or check the disk; nothing recorded is lost.", "SR-11"),
    ("INTENT_NOT_DURABLE", Reaction.ABORT, "The exposure could not be written down beforehand.",
     "Check the disk: no beam without a durable intent.", "SR-52"),
    ("PANEL_SET_MISSING", Reaction.INHIBIT, "No valid calibration set for this panel.",
     "Run `dxrig calibrate`, or select the panel that was calibrated.", "SR-10"),
    ("INCOMPLETE_EXPOSURE", Reaction.INHIBIT, "An exposure is without its dose or image.",
     "Look at it with `dxrig recover`, then acknowledge it there.", "SR-53"),
    ("NO_SHOT", Reaction.INHIBIT, "No exposure is programmed.",
     "Choose technique and exam first.", "SR-05"),
    ("SHOT_USED", Reaction.INHIBIT, "This exposure was already made.",
     "Programme the next one.", "SR-04"),
    ("TECHNIQUE", Reaction.INHIBIT, "The technique is outside what this unit may do.",
     "See `dxrig plan` for the limits.", "SR-05"),
    ("SID", Reaction.INHIBIT, "The receptor can't stand at this distance.",
     "See `dxrig plan --sid-mm` for the distances of this place.", "SR-05"),
    ("SID_WRONG", Reaction.ABORT, "The tube is not at the distance that was planned.",
     "Move it there, or plan with the distance that `dxrig status` shows: `--sid-mm`.", "SR-09"),
    ("FIELD_OFF_PANEL", Reaction.ABORT, "The collimator is open beyond the receptor.",
     "Close it: a fifth of the field may miss the panel; `dxrig status` shows it.", "SR-09"),
    ("COLLIMATOR_LOST", Reaction.ABORT, "The collimator does not say where it stands.",
     "Check its cable and supply: unknown counts as wrong.", "SR-09"),
    ("DAP_LOST", Reaction.WARN, "No dose-area product from the meter: it is only computed.",
     "Check the meter's cable and supply; `dxrig status` shows it.", "SR-53"),
    ("DAP_DEVIATES", Reaction.WARN, "The measured dose-area product is not the computed one.",
     "Check field and meter: compare both with an independent dosemeter.", "SR-53"),
    ("DAP_METER", Reaction.INHIBIT, "The meter in the beam does not answer, or is in trouble.",
     "Check its cable and supply; `dap.required = false` in the bench file goes without.", "SR-53"),
    ("NOT_TEST", Reaction.INHIBIT, "A shot without an image belongs to no patient.",
     "Programme it under the TEST exam.", "SR-13"),
    ("RECEPTOR_NOT_CLEAR", Reaction.INHIBIT, "Nobody confirmed that no panel is in the beam.",
     "Take the panel out of the beam or close the collimator, then confirm it.", "SR-10"),
    ("TUBE_COLD", Reaction.INHIBIT, "The tube is not warmed up for this kV.",
     "Run `dxrig warmup`; in an emergency `dxrig expose --defer-warmup REASON`, with less kV.",
     "SR-16"),
    ("DOSE_NOT_SAVED", Reaction.ABORT, "The dose could not be written down in time.",
     "Check disk and recorder; `dxrig recover` shows what was recorded.", "SR-53"),
    ("TUBE_HEAT", Reaction.INHIBIT, "The tube is too hot for this exposure.",
     "Wait; `dxrig plan` shows for how long.", "SR-14"),
    ("DUTY", Reaction.INHIBIT, "The tube needs a pause before this exposure.",
     "Wait; the bench file's tube section states gap and duty.", "SR-16"),
    ("RESETS", Reaction.LOCK, "Faults were reset too often in a short time.",
     "Find the cause before going on: `dxrig why` names the first fault of each run.", "SR-43"),
    ("SELF_TEST_ENABLE", Reaction.TRIP, "Self-test: the enable relay did not drop by itself.",
     "Replace the I/O module: its timed pulse holds no longer.", "SR-46"),
    ("SELF_TEST_LAMP", Reaction.TRIP, "Self-test: the beam lamp draws no current.",
     "Replace the lamp. Lamp current: room input 7.", "SR-38"),
    ("SELF_TEST_TIMEOUT", Reaction.TRIP, "Self-test: a device did not answer in time.",
     "See `dxrig doctor`.", "SR-46"),
    ("SHOT_CHANGED", Reaction.WARN, "The programmed exposure changed; press again.",
     "None: the frozen technique is never edited under a pressed switch.", "SR-07"),
    ("SCAN_LATE", Reaction.ABORT, "The unit's scan was too late during the beam.",
     "Free the computer of other work; see `dxrig doctor`.", "SR-28"),
    ("UNIT_LOST", Reaction.WARN, "The unit or its recorder died in the middle of an exposure.",
     "Look at the exposure: `dxrig recover`; the run folder tells which process ended.", "SR-53"),
    ("UNIT_BUG", Reaction.TRIP, "The unit stopped on an internal error; outputs are safe.",
     "Send the run folder to the developers.", "SR-44"),
)
# fmt: on

FAULTS: dict[str, Fault] = {
    code: Fault(code=code, reaction=reaction, text=text, action=action, sr=sr)
    for code, reaction, text, action, sr in _ROWS
}
