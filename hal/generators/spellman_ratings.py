"""What a Spellman supply may be asked for, and what it can promise.

It is a continuous supply: HV stays on until it is told otherwise. It has no exposure timer and no
mA.s mode, and of its watchdog only the fault flag and a number without a unit are known (13). So
the unit is the timer, and a bench needs an enable relay with a pulse of its own behind it.
Figures that no document states are marked "silent: chosen", and chosen long.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hal.generators.spellman_framing import Dsp
from hal.generators.spellman_opcodes import Model, Question, Reply, Scale
from hal.ports import GeneratorCapabilities
from hal.types import Technique

REPLY_US = 150_000  # 10.2: "150 ms per query at 9600 (pymeasure)" [R]; no manual states a limit
SCAN_US = 5_000  # a reply is seen, and the next question asked, at the next scan
RISE_US = 1_000_000  # silent: chosen; ramps can be set to 10 s, and then a beam is given up
FALL_US = 100_000  # silent: chosen; the cable's charge leaves through tube and divider
OFF_TYPICAL_US = 5_000  # silent: chosen; beside the bytes' own way
TIME_STEP_MS = 5  # OFF leaves in a scan
MAS_DECIMALS = 3
LEAST_COUNT = 1
CLOSE_COUNTS = 1  # 0: "read back every set-point before enabling; compare within one count"
TEXT_BYTES = 40  # of a part number, with its frame
Step = tuple[Question, int | None]  # and the count that it must read back; None: `$`


def exchange_us(question: Question, baud: int, framing: Dsp) -> int:
    """Longest permitted question and reply: characters both ways and the reply time."""
    opcode = question.opcode
    fields = opcode.answers + opcode.answers[-1:] * (opcode.counts.stop - 1 - len(opcode.answers))
    values_bytes = sum(len(str(made.most_count)) + 1 for made in fields) or len("$,")
    reply_bytes = TEXT_BYTES if opcode.is_text else len("\x02..,c\x03") + values_bytes
    characters = len(framing.frame(question.text)) + reply_bytes
    return math.ceil(characters * 10e6 / baud) + REPLY_US


def capabilities(model: Model, baud: int, framing: Dsp) -> GeneratorCapabilities:
    """All with the longest reply time; `start` ends when kV has been seen to be there.

    `status_age_us`: a status is asked for, a monitor read follows, then the next status, each seen
    a scan late. Silent: the watchdog's unit and how it is set, so there is none to build on.
    """
    on = Question(model, model.by_name["hv"], (1,))
    status, monitor, faults = (model.query(name) for name in ("status", "monitor", "faults"))
    on_us, status_us, monitor_us, faults_us = (
        exchange_us(question, baud, framing) for question in (on, status, monitor, faults)
    )
    line_us = math.ceil(len(framing.frame(on.text)) * 10e6 / baud)
    return GeneratorCapabilities(
        drives_beam=True,
        has_own_timer=False,
        has_mas_mode=False,
        has_rotor=False,
        has_aec=False,
        has_readback=True,
        watchdog_us=None,
        off_latency_us=line_us + REPLY_US,
        off_typical_us=line_us + OFF_TYPICAL_US,
        kv_rise_us=RISE_US,
        kv_fall_us=FALL_US,
        longest_exchange_us={
            "standby": max(status_us, monitor_us, faults_us),
            "prepare": max(status_us, faults_us),
            "start": on_us + RISE_US + status_us + 2 * monitor_us,
            "beam": max(status_us, monitor_us),
        },
        status_age_us=2 * status_us + monitor_us + 3 * SCAN_US,
        time_step_ms=TIME_STEP_MS,
    )


def maximum_mas(technique: Technique) -> float:
    """Full current for the planned time and the rise: the unit's own back-up time.

    What the relay's pulse may add to that is the bench's, not the supply's.
    """
    steps = -(-round(technique.planned_ms * 1000) // (TIME_STEP_MS * 1000))
    return technique.ma * (steps * TIME_STEP_MS * 1000 + RISE_US) / 1e6


def effective(technique: Technique, model: Model, scale: Scale) -> Technique:
    """The technique in this unit's counts, 5 ms upwards, mAs in 1 uAs. ValueError else."""
    problems = technique.problems()
    if problems:
        raise ValueError("; ".join(problems))
    kv, ma = (_on_count(model, name, getattr(technique, name), scale) for name in ("kv", "ma"))
    mas = None if technique.mas is None else round(technique.mas, MAS_DECIMALS)
    if mas == 0:
        raise ValueError(f"mas must be at least {10**-MAS_DECIMALS:g} mAs, got {technique.mas!r}")
    made = replace(technique, kv=kv, ma=ma, mas=mas)
    if made.ms is None:
        return made
    steps = -(-round(made.ms * 1000) // (TIME_STEP_MS * 1000))
    return replace(made, ms=float(steps * TIME_STEP_MS))


def _on_count(model: Model, name: str, value: float, scale: Scale) -> float:
    (made,) = model.by_name[f"set_{name}"].sends
    count = made.count(value, scale)
    if count < LEAST_COUNT:
        least = made.value(LEAST_COUNT, scale)
        raise ValueError(f"{name} must be at least {least:.4g} {made.unit}, got {value!r}")
    return round(made.value(count, scale), 6)


def preparation(technique: Technique, model: Model, scale: Scale) -> list[Step]:
    """What must be answered so before ON.

    All that sets stands before all that reads back: a frame that two flipped bits turn into another
    set-point's passes the checksum, and only a read-back after the last one sees it.
    """
    wanted = effective(technique, model, scale)
    setting = [model.question(f"set_{n}", getattr(wanted, n), scale=scale) for n in ("kv", "ma")]
    heater = ["filament"] if "filament" in model.by_name else []
    switched = [model.question(name, 1, scale=scale) for name in heater]
    reading = [model.query(f"get_{name}") for name in ("kv", "ma")]
    checked = [(query, asked.counts[0]) for query, asked in zip(reading, setting, strict=True)]
    return [*((question, None) for question in (*switched, *setting)), *checked]


def is_answered(step: Step, reply: Reply) -> bool:
    """Accepted, and what is read back is what was set, within one count."""
    count = step[1]
    if not reply.accepted or count is None:
        return reply.accepted
    return abs(reply.values[0] - count) <= CLOSE_COUNTS
