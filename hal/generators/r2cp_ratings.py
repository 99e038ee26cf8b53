"""What an R2CP generator may be asked for, and what it can promise.

Modelled on the host side of a public third-party program; unverified against a device, may need
the vendor's ICD. The limits are those of the protocol (4.5), not of a model: the bench's [tube]
narrows them. Figures that no document states are marked "silent: chosen", and chosen long.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hal.generators.r2cp_layouts import (
    Databank,
    Message,
    Points,
    PostExposure,
    Procedure,
    databank_bytes,
    message_bytes,
    procedure_bytes,
)
from hal.generators.r2cp_results import RX_DISABLE_ID
from hal.generators.r2cp_wire import GET, SET, Node, Question
from hal.ports import AecChoice, GeneratorCapabilities
from hal.types import CHAMBERS, AecSetting, Technique

REPLY_US = 1_000_000  # 10.2: "1000 ms (R2CP host wait)"; 4.2: 100 x 10 ms, then an error
SCAN_US = 5_000  # a reply is seen, and the next question asked, at the next scan
RAMP_US = 10_000  # silent: chosen; 10.2 has 1-5 ms for medical tanks as background only
FALL_US = 10_000  # silent: chosen
HELD_MAS = 0.015  # silent: chosen; 0.1 nF at 150 kV, discharged through the tube
OFF_TYPICAL_US = 10_000  # silent: chosen; one step of the host's wait
POST_TRIES = 20  # statuses that a post-exposure of the beam just made may stay away; chosen

STEPS_PER_MS = 100  # the wire's ms x 100, upwards: a beam is never cut short by a rounding
TIME_RANGE_MS = (1.0, 20_000.0)
MAS_DECIMALS = 3
MA_STEP = 0.01
RANGES = {"kv": (20.0, 150.0, "kV"), "ma": (1.0, 1000.0, "mA")}  # 4.5, "Limits"
MAS_MIN = 0.01
# 4.5 says 32000 mAs, but three bytes at x 1000 end at 16777. The host caps 3-point use at 640.
MAS_MAX = 640.0

PROCEDURE_ID = DATABANK_ID = 1
ON_LINE, OFF_LINE = 1, 0


def capabilities(status_poll_us: int) -> GeneratorCapabilities:
    """All with the reply time that the host waits for. Silent: the device's watchdog, so none.

    0x00/5 is a "master lifetime timeout" and 0x20/143 a "communications-inhibit timeout", but
    neither layout nor time is known: nothing may be built on them, a relay must end the beam.
    `status_age_us`: one status is a reply old when the next is asked for, at the poll's pace.
    """
    return GeneratorCapabilities(
        drives_beam=True,
        has_own_timer=True,
        has_mas_mode=True,
        has_rotor=True,
        has_aec=True,
        has_readback=True,
        has_monitor=False,
        watchdog_us=None,
        off_latency_us=REPLY_US,
        off_typical_us=OFF_TYPICAL_US,
        kv_rise_us=RAMP_US,
        kv_fall_us=FALL_US,
        held_mas=HELD_MAS,
        longest_exchange_us={
            "standby": REPLY_US,
            "prepare": REPLY_US,
            "start": 3 * REPLY_US,  # RX disable cleared, start, and the status that shows a beam
            "beam": REPLY_US,
        },
        backup_mas_max=MAS_MAX,
        account_us=POST_TRIES * (status_poll_us + SCAN_US) + REPLY_US,
        status_age_us=max(REPLY_US, status_poll_us) + REPLY_US + 3 * SCAN_US,
        time_step_ms=1 / STEPS_PER_MS,
    )


def device_time_ms(technique: Technique) -> float:
    """The ms of the databank: the planned time in whole steps; for a charge, the ramp on top.

    In AEC that is the back-up's time at the full current: a second cap beside its mAs.
    """
    steps = -(-round(technique.planned_ms * 1000) // (1000 // STEPS_PER_MS))
    ramp_steps = RAMP_US * STEPS_PER_MS // 1000 if technique.ms is None else 0
    return (steps + ramp_steps) / STEPS_PER_MS


def maximum_mas(technique: Technique) -> float:
    """Full current for as long as the databank's ms allow, and what the fall makes of it."""
    falling_mas = min(HELD_MAS, technique.ma * FALL_US / 1e6)
    return technique.ma * round(device_time_ms(technique) * 1000) / 1e6 + falling_mas


def effective(technique: Technique) -> Technique:
    """The technique in the wire's steps: 0.1 kV, 0.01 mA downwards, 0.01 ms upwards, 0.001 mAs.

    No R10 or R20 series is imposed: the true table is not known (13). What a generator does not
    have it refuses or changes, and the read-back shows it. Raises ValueError with the field.
    """
    problems = technique.problems()
    if problems:
        raise ValueError("; ".join(problems))
    for name, (least, most, unit) in RANGES.items():
        value = getattr(technique, name)
        if not least <= value <= most:
            raise ValueError(f"{name} must be {least:g}-{most:g} {unit} (R2CP 4.5), got {value!r}")
    mas = None if technique.mas is None else round(technique.mas, MAS_DECIMALS)
    made = replace(technique, kv=round(technique.kv, 1), ma=_downwards(technique.ma), mas=mas,
                   aec=_effective_aec(technique.aec))  # fmt: skip
    _check_charge(made)
    time_ms = device_time_ms(made)
    least_ms, most_ms = TIME_RANGE_MS
    if not least_ms <= time_ms <= most_ms:
        field = _field_of(technique)
        raise ValueError(f"{field} makes {time_ms:g} ms, must be {least_ms:g}-{most_ms:g} ms")
    return made if made.ms is None else replace(made, ms=time_ms)


def _downwards(ma: float) -> float:
    """What is just permitted stays so: 32 kW at 110 kV are 290.909 mA."""
    return round(math.floor(round(ma / MA_STEP, 6)) * MA_STEP, 2)


def _field_of(technique: Technique) -> str:
    if technique.aec is not None:
        return "backup_mas"
    return "ms" if technique.ms is not None else "mas"


def _effective_aec(asked: AecSetting | None) -> AecSetting | None:
    """Each in its byte. Which numbers a generator has is not known: it refuses (codes 14, 15)."""
    if asked is None:
        return None
    for name, byte in (
        ("density_index", range(-128, 128)), ("sensitivity_index", range(256)),
    ):  # fmt: skip
        value = getattr(asked, name)
        if value not in byte:
            raise ValueError(f"{name} must be {byte[0]} to {byte[-1]}, got {value!r}")
    return replace(asked, backup_mas=round(asked.backup_mas, MAS_DECIMALS))


def _check_charge(technique: Technique) -> None:
    if technique.ms is None and not technique.planned_mas >= MAS_MIN:
        field, asked_mas = _field_of(technique), technique.planned_mas
        raise ValueError(f"{field} must be at least {MAS_MIN:g} mAs, got {asked_mas!r}")
    if technique.planned_mas > MAS_MAX:
        raise ValueError(
            f"ma x time must be at most {MAS_MAX:g} mAs, got {technique.planned_mas:g}"
        )


def databank_of(technique: Technique, *, focus_index: int = 1) -> Databank:
    """`ms`: 3-point, the generator's timer ends the beam. `mas`: 2-point with mA and ms as caps.

    4.5, "2-point use" and "3-point use". No flag lets the generator change what it was told.
    `aec`: silent: chosen. 1-point (kV is set, the chambers find the mAs), with the back-up's mAs
    and ms, and mA, as caps; the procedure stays 1, standard RAD: 51 and 52 come with a pre-pulse.
    """
    wanted = effective(technique)
    time_ms = device_time_ms(wanted)
    return Databank(
        databank_id=DATABANK_ID,
        points_index=_points_of(wanted),
        kv=wanted.kv,
        mas=MAS_MAX if wanted.ms is not None else wanted.planned_mas,
        ma=wanted.ma,
        ms=time_ms,
        integration_ms_max=math.ceil(time_ms),
        focus_index=focus_index,
        **aec_bytes(wanted.aec),
    )


def _points_of(technique: Technique) -> Points:
    if technique.aec is not None:
        return Points.ONE
    return Points.TWO if technique.ms is None else Points.THREE


def aec_bytes(setting: AecSetting | None) -> dict[str, int]:
    """Bytes 19 to 21. Density below zero: two's complement (silent: chosen)."""
    if setting is None:
        return {}
    bits = (1 << CHAMBERS.index(name) for name in setting.chambers)
    return {
        "sensitivity_index": setting.sensitivity_index,
        "density_index": setting.density_index % 256,
        "chambers_index": sum(bits),
    }


def aec_choice(databank: Databank) -> AecChoice:
    """The other way; a chamber bit that has no name is none."""
    density_index = databank.density_index
    return AecChoice(
        chambers=tuple(
            name for bit, name in enumerate(CHAMBERS) if databank.chambers_index >> bit & 1
        ),
        density_index=density_index - 256 if density_index >= 128 else density_index,
        sensitivity_index=databank.sensitivity_index,
    )


def differences(asked: Databank, made: Databank) -> list[str]:
    """Where the generator's databank is not what was asked for, beyond half a count of the wire.

    1- and 2-point: mA and ms are its choice under their caps. Another mA is another technique than
    the one that the unit has planned, so it counts; a shorter time does not.
    """
    found = [
        f"{name} {getattr(made, name):g}, not {getattr(asked, name):g}"
        for name, step in (("kv", 0.1), ("mas", 0.001), ("ma", 0.01), ("ms", 0.01))
        if not abs(getattr(made, name) - getattr(asked, name)) < step / 2
    ]
    if asked.points_index != Points.THREE and made.ms <= asked.ms:
        found = [text for text in found if not text.startswith("ms ")]
    return found + [
        f"{name} {getattr(made, name)}, not {getattr(asked, name)}"
        for name in _EXACT
        if getattr(made, name) != getattr(asked, name)
    ]


_EXACT = (
    "databank_id", "points_index", "imaging_id", "focus_index", "sensitivity_index",
    "density_index", "chambers_index", "integration_ms_min", "integration_ms_max",
)  # fmt: skip


def account_differences(asked: Databank, told: PostExposure) -> list[str]:
    """Where the beam was controlled by something else than was loaded."""
    return [
        f"{name} {getattr(told, name)}, not {getattr(asked, name)}"
        for name in ("sensitivity_index", "density_index", "chambers_index")
        if getattr(told, name) != getattr(asked, name)
    ]


# --- questions of the sequence (4.7) ----------------------------------------------------------

DEFINE = Question("procedure", SET, procedure_bytes(Procedure(procedure_id=PROCEDURE_ID)))
READ_BACK = Question("databank", GET, bytes((DATABANK_ID,)))
ASSIGN = Question("assign", SET, bytes((PROCEDURE_ID, 1, DATABANK_ID)))


def _activation(on: int) -> Question:
    """4.5: `id, 1, databank index, position, collimator, filter`. 0 for 1: chosen, see r2cp.py."""
    return Question("activate", SET, bytes((PROCEDURE_ID, on, 1, 0, 0, 0)))


ACTIVATE, DEACTIVATE = _activation(ON_LINE), _activation(OFF_LINE)


def load(databank: Databank) -> Question:
    return Question("databank", SET, databank_bytes(databank))


def rx_disable(*, active: bool) -> Question:
    own = Message(node_id=Node.APPLICATION, message_id=RX_DISABLE_ID, active=active)
    return Question("message", SET, message_bytes(own))


def clear(message: Message) -> Question:
    """4.5: "SET with node 6, the id, active 0"; the inhibits as in the worked frame."""
    cleared = Message(node_id=message.node_id, message_id=message.message_id, active=False)
    return Question("message", SET, message_bytes(cleared))


RX_DISABLE, RX_ENABLE = rx_disable(active=True), rx_disable(active=False)
