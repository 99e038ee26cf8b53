"""The opcodes of each Spellman model: which, what they carry, and who says so.

From section 3 of the project's protocol reference; nothing checked against hardware. Tags: [V] a
manual of the maker, [R] a public third-party program (pymeasure's XRV driver, MIT; a uxMAN driver
class), [I] our inference. What a reference does not give is not here: an opcode that stands in no
table can't be sent.

XRV, uX and uXMAN drive a beam. Of the others ON, OFF or the beam's feedback is not known: their
tables serve the codec, so that a frame can be read and a wrong unit be told by name.
"""

from __future__ import annotations

from hal.generators.spellman_opcodes import FULL_COUNT, Does, Field, Model, Opcode

ASK, SET, ACT = Does.ASK, Does.SET, Does.ACT


def flags(*names: str) -> tuple[Field, ...]:
    return tuple(Field(name, most_count=1) for name in names)


def plain(*names: str) -> tuple[Field, ...]:
    """Counts and numbers whose unit the reference does not state."""
    return tuple(Field(name, most_count=999_999) for name in names)


SWITCH = flags("on")
KV, MA = Field("kv", "kV", of="kv"), Field("ma", "mA", of="ma")
KV_OVER, MA_OVER = Field("kv", "kV", of="kv", over=1.2), Field("ma", "mA", of="ma", over=1.2)
LIMIT, PREHEAT = Field("filament_limit"), Field("filament_preheat")
BAUD = {9600: 1, 19200: 2, 38400: 3, 57600: 4, 115200: 5}  # 3.2

# --- 3.5: XRV, and DXM-style supplies -----------------------------------------------------------

XRV_STATUS = flags(
    "hv_on", "interlock_1_closed", "interlock_2_closed", "regulates_ma", "fault", "local",
    "filament_on", "large_focus", "prewarning", "large_focus_confirmed", "small_focus_confirmed",
    "reserved_11", "reserved_12", "reserved_13", "reserved_14", "ready", "internal_closed",
)  # fmt: skip
XRV_FAULTS = flags(
    "filament_select", "over_temperature_near", "over_voltage", "under_voltage", "over_current",
    "under_current", "over_temperature_anode", "over_temperature_cathode", "inverter_anode",
    "inverter_cathode", "filament_feedback", "arc_anode", "arc_cathode", "cable_anode",
    "cable_cathode", "ac_line_anode", "ac_line_cathode", "dc_rail_anode", "dc_rail_cathode",
    "supply_minus_15_v", "supply_plus_15_v", "watchdog", "board_over_temperature", "over_power",
    "kv_difference", "ma_difference", "inverter_not_ready",
)  # fmt: skip
_XRV = "3.5 [R]"
XRV = Model(
    "XRV",
    (
        Opcode(7, "set_baud", SET, _XRV, (Field("code", least_count=1, most_count=5),)),
        Opcode(10, "set_kv", SET, _XRV, (KV,)),
        Opcode(11, "set_ma", SET, _XRV, (MA,)),
        Opcode(12, "set_filament_limit", SET, _XRV, (LIMIT,)),
        Opcode(13, "set_filament_preheat", SET, _XRV, (PREHEAT,)),
        Opcode(14, "get_kv", ASK, _XRV, answers=(KV,)),
        Opcode(15, "get_ma", ASK, _XRV, answers=(MA,)),
        Opcode(16, "get_filament_limit", ASK, _XRV, answers=(LIMIT,)),
        Opcode(17, "get_filament_preheat", ASK, _XRV, answers=(PREHEAT,)),
        Opcode(19, "monitor", ASK, _XRV, answers=(
            KV_OVER, MA_OVER, *plain("filament", "local_kv", "local_ma", "local_limit",
                                     "local_preheat"),
            Field("anode_ma", "mA", of="ma", over=1.2))),
        Opcode(21, "hours", ASK, _XRV, answers=(Field("hours", "h"),)),
        Opcode(22, "status", ASK, "3.5.1 [R]", answers=XRV_STATUS),
        Opcode(23, "identity", ASK, _XRV, is_text=True),
        Opcode(27, "configuration", ASK, _XRV, answers=plain(
            "reserved_1", "over_voltage_pct", "kv_ramp", "ma_ramp", "prewarning", "arc_count",
            "reserved_7", "quench", "unnamed_9", "kv_max", "ma_max", "watchdog")),
        Opcode(28, "scaling", ASK, _XRV, answers=(
            Field("kv_max", "kV"), Field("ma_max", "mA"), Field("bipolar", most_count=1))),
        Opcode(30, "reset_hours", ACT, _XRV),
        Opcode(31, "clear", ACT, _XRV),
        Opcode(32, "set_focus", SET, _XRV, flags("large")),
        Opcode(38, "power_limits", ASK, _XRV, answers=(
            Field("large_w", "W"), Field("small_w", "W"), *plain("3", "4", "5", "6"))),
        Opcode(43, "fpga", ASK, _XRV, is_text=True),
        Opcode(60, "kv_now", ASK, _XRV, answers=(KV_OVER,)),
        Opcode(65, "supply_minus_15_v", ASK, _XRV, answers=(Field("counts"),)),
        # More than 27 are unknown ones.
        Opcode(68, "faults", ASK, "3.5.2 [R]", answers=XRV_FAULTS, most_count=32),
        Opcode(69, "voltages", ASK, _XRV, answers=(
            Field("temperature_c", "C", 0.05911815), Field("reserved"),
            Field("anode_kv", "kV", of="kv", over=1.2),
            Field("cathode_kv", "kV", of="kv", over=1.2),
            Field("ac_line_cathode_v", "V", 0.088610), Field("dc_rail_cathode_v", "V", 0.11399241),
            Field("ac_line_anode_v", "V", 0.088610), Field("dc_rail_anode_v", "V", 0.11399241),
            Field("plus_15_v", "V", 0.00427407), Field("minus_15_v", "V", 0.00576703))),
        Opcode(70, "filament", SET, _XRV, SWITCH),
        Opcode(97, "set_power_limits", SET, _XRV, (
            Field("large_w", "W", most_count=99_999), Field("small_w", "W", most_count=99_999))),
        Opcode(98, "hv", ACT, _XRV, SWITCH),
    ),
    errors={},  # 13: not known; whatever is not `$` is one
    source="protocol reference 3.5, from pymeasure",
    drives_beam=True,
)  # fmt: skip

# --- 3.6: uX and uXMAN --------------------------------------------------------------------------

UX_STATUS = flags("hv_on", "interlock_open", "fault")
UX_FAULTS = flags(
    "hv_on", "interlock_open", "interlock_fault", "over_voltage", "configuration", "over_power",
    "supply_24_v_low",
)  # fmt: skip
_UX = "3.6 [V] 118153-001"
_RAMP = (*SWITCH, Field("ms", "ms", most_count=10_000))
_UX_ROWS = (
    Opcode(10, "set_kv", SET, _UX, (KV,)),
    Opcode(11, "set_ma", SET, _UX, (MA,)),
    Opcode(12, "set_filament_preheat", SET, _UX, (PREHEAT,)),  # the XRV has these two
    Opcode(13, "set_filament_limit", SET, _UX, (LIMIT,)),  # the other way round
    Opcode(14, "get_kv", ASK, _UX, answers=(KV,)),
    Opcode(15, "get_ma", ASK, _UX, answers=(MA,)),
    Opcode(16, "get_filament_preheat", ASK, _UX, answers=(PREHEAT,)),
    Opcode(17, "get_filament_limit", ASK, _UX, answers=(LIMIT,)),
    # Its scales are not stated. kV and mA are taken as of full scale, without over-range [I].
    Opcode(20, "monitor", ASK, _UX, answers=(
        *plain("board_c", "supply_v"), KV, MA, *plain("filament_a", "filament_v", "hv_board_c"))),
    Opcode(22, "status", ASK, _UX, answers=UX_STATUS),
    Opcode(23, "identity", ASK, "3.14 [I]", is_text=True),
    Opcode(26, "model", ASK, "3.14 [I]", is_text=True),
    # The document lists 7 flags, its own example has 5; more than 7 are unknown ones.
    Opcode(32, "faults", ASK, _UX, answers=UX_FAULTS, fewest_count=5, most_count=12),
    Opcode(47, "set_ramp", SET, _UX, _RAMP),
    Opcode(48, "get_ramp", ASK, _UX, answers=_RAMP),
    Opcode(52, "clear", ACT, _UX),
    Opcode(99, "hv", ACT, _UX, SWITCH),
)  # fmt: skip
_UX_UNKNOWN = frozenset({7, 19, 21, 24, 30, 65, 66})  # "also accepted" (uxMAN class), no meaning
UX = Model(
    "uX", _UX_ROWS, {"1": "out of range"}, "118153-001 Rev B",
    drives_beam=True, unknown=_UX_UNKNOWN,
)  # fmt: skip
UXMAN = Model(
    "uXMAN", _UX_ROWS, {"1": "out of range", "E#1": "out of range", "E#2": "interlock"},
    "118153-001 Rev B and a public uxMAN driver class",
    drives_beam=True, unknown=_UX_UNKNOWN,
)  # fmt: skip

# --- the rest: codec only -----------------------------------------------------------------------

_DSP_ERRORS = {
    "!,1": "format", "!,2": "bad command", "!,3": "parameter out of range", "!,4": "packet overrun",
    "!,5": "flash programming", "!,7": "bootloader",
}  # fmt: skip
_SLM = "3.8 [V] 118080-001"
SLM = Model(
    "SLM",
    (
        Opcode(7, "set_baud", SET, _SLM, plain("code")),
        Opcode(9, "user_configuration", SET, _SLM, plain("1", "2", "3", "4")),
        Opcode(10, "set_kv", SET, _SLM, (KV,)),
        Opcode(11, "set_ma", SET, _SLM, (MA,)),
        Opcode(14, "get_kv", ASK, _SLM, answers=(KV,)),
        Opcode(15, "get_ma", ASK, _SLM, answers=(MA,)),
        Opcode(19, "monitor", ASK, _SLM, is_text=True),
        Opcode(21, "hours", ASK, _SLM, is_text=True),
        Opcode(22, "status", ASK, _SLM, answers=flags(
            "hv_on", "interlock_open", "fault", "remote", "i_mode", "rov_enabled", "aol_enabled",
            "watchdog_enabled")),
        *(Opcode(number, f"identity_{number}", ASK, _SLM, is_text=True) for number in (23, 24, 25)),
        Opcode(26, "model", ASK, _SLM, is_text=True),  # its example prints 25 in the reply
        Opcode(27, "configuration", ASK, _SLM, is_text=True),
        Opcode(28, "scaling", ASK, _SLM, is_text=True),
        Opcode(50, "network", ASK, _SLM, is_text=True),
        Opcode(68, "faults", ASK, _SLM, answers=plain(*(str(n) for n in range(7)))),
        Opcode(99, "remote", SET, _SLM, SWITCH),
    ),
    errors=_DSP_ERRORS,
    source="118080-001 Rev A",
)  # fmt: skip

_ST = "3.9 [V] 101501-565"
_TENS_MS = Field("ms", "ms", 10.0, most_count=1000)
ST = Model(
    "ST",
    (
        Opcode(9, "user_configuration", SET, _ST, (
            _TENS_MS, _TENS_MS, *flags("aol_enabled", "apt_enabled"))),
        Opcode(10, "set_kv", SET, _ST, (KV,)),
        Opcode(11, "set_ma", SET, _ST, (MA,)),
        Opcode(14, "get_kv", ASK, _ST, answers=(KV,)),
        Opcode(15, "get_ma", ASK, _ST, answers=(MA,)),
        Opcode(20, "monitor", ASK, _ST, answers=plain(*(str(n) for n in range(8)))),
        # 17 in the text, 16 in the example and in the stated length: both are taken.
        Opcode(22, "status", ASK, _ST, fewest_count=16, answers=flags(
            "power_on", "hv_on", "arc", "interlock_closed", "over_current", "over_power",
            "over_voltage", "voltage_mode", "fault", "regulation", "current_mode",
            "over_temperature", "power_mode", "ac_fault", "local", "lvps", "hv_inhibit")),
        Opcode(23, "identity", ASK, _ST, is_text=True),
        Opcode(26, "model", ASK, _ST, is_text=True),
        Opcode(27, "configuration", ASK, _ST, is_text=True),
        Opcode(28, "scaling", ASK, _ST, is_text=True),
        Opcode(43, "fpga", ASK, _ST, is_text=True),
        Opcode(60, "kv_now", ASK, _ST, answers=(KV,)),
        Opcode(61, "ma_now", ASK, _ST, answers=(MA,)),
        # 9 words in the text, 13 in the example and in the stated length.
        Opcode(68, "faults", ASK, _ST, answers=tuple(
            Field(str(n), most_count=65_535) for n in range(13)), fewest_count=9),
        Opcode(69, "voltages", ASK, _ST, answers=plain(
            "fpga", "24_v", "15_v", "5_v", "3_3_v", "minus_15_v", "spare")),
        Opcode(74, "clear", ACT, _ST),  # on a PMX the same number sets mAs
        Opcode(99, "remote", SET, _ST, SWITCH),
    ),
    errors=_DSP_ERRORS,
    source="101501-565 Rev C",
)  # fmt: skip

_ESL = "3.10 [V] 118158-001"
ESL = Model(
    "ESL",
    (
        Opcode(10, "set_kv", SET, _ESL, (KV,)),
        Opcode(11, "set_ma", SET, _ESL, (MA,)),
        Opcode(14, "get_kv", ASK, _ESL, answers=(KV,)),
        Opcode(15, "get_ma", ASK, _ESL, answers=(MA,)),
        Opcode(22, "status", ASK, _ESL, answers=flags("hv_on")),
        Opcode(32, "faults", ASK, _ESL, answers=flags(
            "interlock_closed", "hv_inhibited", "over_voltage", "over_current", "over_power",
            "regulator", "arc", "over_temperature", "adjustable_overload", "fault", "remote")),
        Opcode(52, "clear", ACT, _ESL),
    ),
    errors=_DSP_ERRORS,
    source="118158-001 Rev A",
)  # fmt: skip

_XRB = "3.7 [V] 118150-001"
XRB011 = Model(
    "XRB011",
    (
        # Tenths of a kV, not 4095 counts; the range is not stated.
        Opcode(10, "set_kv", SET, _XRB, (Field("kv", "kV", 0.1, most_count=9999),)),
        Opcode(28, "set_watchdog", SET, _XRB, (Field("s", "s", most_count=10),)),  # 0 = off
        Opcode(98, "status", ASK, _XRB, is_text=True),
        Opcode(99, "hv", ACT, _XRB, SWITCH),
    ),
    errors={"1": "receive error", "2": "unrecognised command"},
    source="118150-001 Rev B",
)  # fmt: skip

_PMX = "3.11 [V] 118165-001"
_PMX_KV = Field("kv", "kV", 50 / FULL_COUNT)
_PMX_MA = Field("ma", "mA", 200 / FULL_COUNT)
_PMX_MAS = Field("mas", "mAs", 0.1, most_count=6000)
_FOCUS = Field("large", most_count=1)
_EXPOSURE = (Field("ms", "ms", most_count=12_000), _PMX_KV, _PMX_MA, _FOCUS)
PMX = Model(
    "PMX",
    (
        Opcode(11, "set_ma", SET, _PMX, (_PMX_MA,)),
        Opcode(15, "get_ma", ASK, _PMX, answers=(_PMX_MA,)),
        Opcode(22, "status", ASK, _PMX, answers=flags(
            "xray_on", "interlock_closed", "fault", "prep_active", "status_1", "status_2",
            "status_3", "tube_1", "tube_2", "tube_3", "tube_4", "tube_table", "ready",
            "setup_invalid", "calibrating", "filament_open_loop", "supply_bypass",
            "filament_bypass", "analog", "duty_bypass", "hold_bypass", "22", "23", "24", "25",
            "26")),
        Opcode(33, "set_filament_preheat", SET, _PMX, (Field("a", "A", 6.0 / FULL_COUNT),)),
        # 0-5000, but below 2 s is "improper operation": our table begins there.
        Opcode(34, "set_ready_time", SET, _PMX, (
            Field("ms", "ms", least_count=2000, most_count=5000),)),
        Opcode(50, "set_exposure", SET, _PMX, _EXPOSURE),
        Opcode(51, "get_exposure", ASK, _PMX, answers=_EXPOSURE),
        Opcode(53, "focus", ASK, _PMX, answers=(_FOCUS,)),
        Opcode(55, "set_mode", SET, _PMX, (Field("mode", most_count=2),)),
        Opcode(60, "kv_of_exposure", ASK, _PMX, answers=(Field("kv", "kV", 0.01306),)),
        Opcode(71, "set_charge", SET, _PMX, (_PMX_KV, _PMX_MAS, _PMX_MA, _FOCUS)),
        Opcode(74, "set_mas", SET, _PMX, (_PMX_MAS,)),
        Opcode(78, "auxiliary", ASK, _PMX, answers=flags("battery_ok", "anode_heat_ok")),
        Opcode(84, "rotor_faults", ASK, _PMX, answers=(*flags(
            "bus_low", "phase_current_low", "phase_current_high", "phase_voltage_low",
            "power_feed", "output_shorted", "lvps", "no_load", "not_up_to_speed",
            "too_many_starts"), Field("miswire", most_count=3), *flags("always_0", "link_lost"))),
    ),
    errors={
        "3": "out of bounds", **{str(n): "refused, value ignored" for n in range(4, 9)},
        "9": "X-ray is on", "10": "warning: taken, but the set-up is invalid, no HV",
        "11": "wrong mode",
    },
    source="118165-001 Rev A",
)  # fmt: skip

MODELS = {model.name: model for model in (XRV, UX, UXMAN, SLM, ST, ESL, XRB011, PMX)}

# --- families 2 and 3: texts, not opcodes --------------------------------------------------------

MONOBLOCK_695 = {"faults": "FLT;"}  # 3.12 [V] 101501-695; its other commands are not available
MONOBLOCK_695_FAULTS = {  # what FLT answers: one code, by priority; 11 and 43 end no beam
    0: "none", 1: "temperature", 2: "arc", 3: "high current", 4: "low current", 5: "low voltage",
    6: "high voltage", 7: "watchdog", 8: "power", 9: "interlock", 11: "temperature warning",
    43: "preventive maintenance",
}  # fmt: skip
X2364 = {"version": "V"}  # 3.13 [V] 118044-001; control 000-FFF, monitors 000-3FF hexadecimal
CODEC_ONLY_MODELS = (
    *(name for name, model in MODELS.items() if not model.drives_beam),
    "695",
    "X2364",
)
NAMES = (*MODELS, "695", "X2364")
