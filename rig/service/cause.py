"""One sentence: which layer refused or ended, by which contact or device, and what to do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

from hal.faults import FAULTS
from rig.bench import Bench
from rig.service.attempts import Attempt
from rig.service.layers import (
    COIL_OF,
    CONTACT_OF,
    GENERATOR,
    LAYERS,
    PERSON,
    TIMER,
    UNIT,
    ends_by_wire,
)
from rig.service.pair import open_in, where_to_measure
from rig.service.pins import Pin, pins
from rig.unit_states import IN_SEQUENCE
from rig.why import in_words

HOLD = "Programme the exposure again and hold both stages until the unit says that it is over."
NOTHING = "Nothing: this is how it was asked for."
STAGE_2 = (
    "Press it through. If you did: `dxrig io` shows while you press whether it closes; if it does "
    "not, look at the handswitch, its cable and its terminal."
)
LIVES = "Look at what it left: `dxrig recover`; its words are in the run folder's work/*.stderr."


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a bench knows of its wires."""

    pins: Mapping[str, Pin]
    pair: tuple[str, ...]  # contacts in the generator's interlock pair
    relay: tuple[str, ...]  # contacts in the loop of the safety relay
    plug: str = ""  # where the generator's maker says to measure the pair; "" = not stated


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """`after_on_ms`: from the unit's first word of a beam to what ended it; None: no beam."""

    layer: str
    verdict: str  # what came of it: PREP refused, beam ended, ...
    sentence: str
    next: str
    codes: tuple[str, ...] = ()
    pin: Pin | None = None  # the contact or relay that it was
    shot: str = ""
    t_ms: float | None = None
    after_on_ms: float | None = None


def place_of(bench: Bench) -> Place:
    wiring, driver = bench.wiring, import_module(f"hal.generators.{bench.unit.generator.driver}")
    return Place(
        pins=pins(bench.terminals.model_dump()), pair=wiring.interlock_pair,
        relay=wiring.safety_relay, plug=getattr(driver, "INTERLOCK_PAIR", ""),
    )  # fmt: skip


def cause_of(attempt: Attempt, place: Place) -> Cause:
    if attempt.codes:
        return _by_fault(attempt, place)
    rule = _BY_ROW.get(attempt.why, _by_other)
    layer, text, next_ = rule(attempt, place)
    return _cause(attempt, layer, text, next_)


def refused_now(codes: Sequence[str], place: Place, *, over: bool = False) -> Cause:
    """Of a unit that waits, or (`over`) waited until its end: why a press would be refused."""
    first = codes[0]
    pin = _pin(first, place)
    said = "Nobody pressed; a press would have been" if over else "A press would be"
    text = f"{said} refused: {_lower(FAULTS[first].text)}{_where(pin)}{_also(codes)}."
    return Cause(
        layer=LAYERS[first], verdict="a press would be refused", sentence=text,
        next=FAULTS[first].action, codes=tuple(codes), pin=pin,
    )  # fmt: skip


def way_out(waits_for: Sequence[str]) -> str:
    """`waits_for`: codes that still keep a reset from counting."""
    if not waits_for:
        return "The cause is gone: `dxrig reset`, or press reset."
    return " ".join(["A reset waits for:", *(FAULTS[code].text for code in waits_for)])


# --- by fault


def _by_fault(attempt: Attempt, place: Place) -> Cause:
    first = _first(attempt)
    if first not in FAULTS:
        text = f"{first}{_when(attempt)}: this version of dxrig does not know that fault."
        return _cause(
            attempt, UNIT, text, "Ask the version that wrote the run.", codes=attempt.codes
        )
    pin = _pin(first, place)
    what = f"{_lower(FAULTS[first].text)}{_where(pin)}{_also(attempt.codes, first)}"
    if attempt.why == "press_refused":
        text = f"PREP refused: {what}."
    else:
        moved = f"{pin.told} {_MOVED[first]}{_also(attempt.codes, first)}" if pin else what
        text = f"{_capital(moved)}{_when(attempt, first)}: {_end(attempt, first, place)}."
    next_ = FAULTS[first].action
    if first in _IN_THE_PAIR:
        pin = pin or place.pins.get(open_in(place.pair, attempt.contacts))
        next_ = where_to_measure(place.pair, attempt.contacts, place.pins, place.plug)
    return _cause(attempt, LAYERS[first], text, next_, codes=attempt.codes, pin=pin)


def _first(attempt: Attempt) -> str:
    """The fault of the report; else the first that says more than that a device is missing.

    A late scan makes every sample look old: it is the cause of what came with it.
    """
    if "SCAN_LATE" in attempt.codes:
        return "SCAN_LATE"
    told = attempt.report.get("fault") if attempt.report else None
    if told:
        return str(told)
    named = [code for code in attempt.codes if code != "SELF_TEST_TIMEOUT"]
    return (named or [*attempt.codes])[0]


def _end(attempt: Attempt, code: str, place: Place) -> str:
    if attempt.from_state not in IN_SEQUENCE:
        return f"the unit latched it in {attempt.from_state or 'BOOT'}, no beam was on"
    if code == "BEAM_OFF_NOT_CONFIRMED":
        return "enable and contactor are dropped, and nothing proves that the beam is off"
    contact = CONTACT_OF.get(code, "")
    if attempt.exposed and contact and ends_by_wire(contact, place.pair, place.relay):
        return f"the hard-wired chain ended the beam{_dose(attempt)}, the unit dropped enable, too"
    who = _ENDED_BY.get(LAYERS[code], "the unit")
    return f"{who} ended {_what(attempt)}{_dose(attempt)}"


def _what(attempt: Attempt) -> str:
    if not attempt.exposed:
        return "the sequence before any beam"
    return "the attempt (ON had left)" if attempt.beam_on_us is None else "the beam"


_MOVED = {  # a contact, and what it did
    "DOOR_OPEN": "opened",
    "ESTOP": "was pressed or is not reset",
    "CHAIN_OPEN": "opened",
    "CHAIN_STUCK": "stays closed although its loop is open",
    "KEY_OFF": "was turned off",
    "LAMP_FAILED": "did not flow",
    "SELF_TEST_LAMP": "did not flow in the self-test",
    "ENABLE_WELDED": "is open, and the interlock pair is closed all the same",
    "SELF_TEST_ENABLE": "did not drop by itself in the self-test",
}
_IN_THE_PAIR = ("INTERLOCK_OPEN",)
_ENDED_BY = {
    "generator": "the unit, on the generator's word,",
    "panel": "the unit, on the panel's word,",
    "collimator": "the unit, on the collimator's word,",
    "supervisor": "the unit's supervisor",
    "recorder": "the unit, for the recorder,",
    "timer": "the unit's back-up timer",
}


# --- by row of the sequence


def _by_release(attempt: Attempt, place: Place) -> tuple[str, str, str]:
    stages = ("stage_1",) if attempt.why == "stage_1_released" else ("stage_2", "stage_1")
    opened = [name for name in stages if not attempt.contacts.get(name, (False, 0))[0]]
    pin = place.pins[(opened or stages)[0]]
    who = f"the person ended {_what(attempt)}{_dose(attempt)}"
    text = f"{_capital(pin.told)} opened{_when(attempt)}: {who}."
    return PERSON, text, HOLD


def _by_stop(attempt: Attempt, place: Place) -> tuple[str, str, str]:
    who = "Somebody asked for a stop (`dxrig stop`, or the end of the program)"
    return PERSON, f"{who}{_when(attempt)}: that ended {_what(attempt)}{_dose(attempt)}.", HOLD


def _by_plan(attempt: Attempt, place: Place) -> tuple[str, str, str]:
    when = _when(attempt) if attempt.beam_on_us is not None else ""  # R2CP shows no beam in it
    who = _PLANNED[attempt.why]
    return TIMER, f"Planned end: {who} ended the beam{when}{_dose(attempt)}.", NOTHING


def _by_ready(attempt: Attempt, place: Place) -> tuple[str, str, str]:
    fault, stage = FAULTS["READY_TIMEOUT"], place.pins["stage_2"]
    if attempt.contacts.get("stage_2", (True, 0))[0]:
        return TIMER, f"{fault.text[:-1]}: the unit ended READY before any beam.", fault.action
    text = f"{_capital(stage.told)} never closed in READY: the unit ended READY before any beam."
    return PERSON, text, STAGE_2


def _by_change(attempt: Attempt, place: Place) -> tuple[str, str, str]:
    fault = FAULTS["SHOT_CHANGED"]
    return PERSON, f"{fault.text[:-1]}: the unit ended the sequence before any beam.", fault.action


def _by_dark(attempt: Attempt, place: Place) -> tuple[str, str, str]:
    return TIMER, "Planned end: a dark frame was read out; it needs no press and no beam.", NOTHING


def _by_death(attempt: Attempt, place: Place) -> tuple[str, str, str]:
    text = f"The trace ends in {attempt.from_state}: the unit was killed or died there"
    after = ", in a beam that its wires and the generator's timer end" if attempt.exposed else ""
    return UNIT, f"{text}{after}.", LIVES


def _by_other(attempt: Attempt, place: Place) -> tuple[str, str, str]:
    refused = attempt.report is not None and attempt.report["reason"] == "generator refused"
    if refused:
        fault = FAULTS["GENERATOR_REFUSED"]
        return GENERATOR, fault.text, fault.action
    return UNIT, f"{_capital(in_words(attempt.why))}{_when(attempt)}{_dose(attempt)}.", NOTHING


_PLANNED = {
    "planned_charge_reached": "the unit's count of mAs",
    "generator_timer_ended": "the generator's own timer",
    "planned_time_reached": "the unit, at the planned time,",
    "generator_charge_ended": "the generator, at its mAs or by its chambers,",
}
_BY_ROW = {
    "stage_1_released": _by_release,
    "handswitch_released": _by_release,
    "stop_requested": _by_stop,
    "planned_charge_reached": _by_plan,
    "generator_timer_ended": _by_plan,
    "planned_time_reached": _by_plan,
    "generator_charge_ended": _by_plan,
    "ready_held_too_long": _by_ready,
    "shot_changed": _by_change,
    "trace_ends": _by_death,
    "dark_frame": _by_dark,
}

# --- words


def _cause(
    attempt: Attempt,
    layer: str,
    text: str,
    next_: str,
    *,
    codes: Sequence[str] = (),
    pin: Pin | None = None,
) -> Cause:
    return Cause(
        layer=layer, verdict=_verdict(attempt), sentence=text, next=next_, codes=tuple(codes),
        shot=attempt.shot_id, t_ms=attempt.t_us / 1000, after_on_ms=_after_on_ms(attempt), pin=pin,
    )  # fmt: skip


def _verdict(attempt: Attempt) -> str:
    if attempt.why == "press_refused":
        return "PREP refused"
    if attempt.report is not None:
        return str(attempt.report["reason"])
    return "cut off" if attempt.why == "trace_ends" else "latched"


def _after_on_ms(attempt: Attempt) -> float | None:
    return None if attempt.beam_on_us is None else (attempt.t_us - attempt.beam_on_us) / 1000


def _when(attempt: Attempt, code: str = "") -> str:
    """A contact has its own moment; everything else that of the scan that decided."""
    if attempt.from_state != "EXPOSE":
        return f" in {attempt.from_state}" if attempt.from_state in IN_SEQUENCE else ""
    if attempt.beam_on_us is None:
        return " before the generator had said that its beam was on"
    changed_us = attempt.contacts.get(CONTACT_OF.get(code, ""), (False, attempt.t_us))[1]
    return f" {(changed_us - attempt.beam_on_us) / 1000:.0f} ms after beam on"


def _dose(attempt: Attempt) -> str:
    report = attempt.report
    if report is None or not report["beam"]:
        return ""
    if report["mas"] is None:
        return f"; dose unknown, at most {report['maximum_mas']:.3g} mAs"
    return f" after {report['mas']:.3g} mAs"


def _pin(code: str, place: Place) -> Pin | None:
    return place.pins.get(CONTACT_OF.get(code, "") or COIL_OF.get(code, ""))


def _where(pin: Pin | None) -> str:
    return "" if pin is None else f" ({', '.join(filter(None, (pin.place, pin.terminal)))})"


def _also(codes: Sequence[str], first: str = "") -> str:
    others = [code for code in codes if code != (first or codes[0])]
    return f" (and {', '.join(others)})" if others else ""


def _lower(text: str) -> str:
    """The first sentence of a fault's text, to go on with."""
    return text[0].lower() + text[1:].partition(". ")[0].rstrip(".")


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
