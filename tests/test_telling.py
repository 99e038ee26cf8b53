"""SR-35 to SR-39: what people see and hear, from the room's own coils and the program's screens.

The lamp follows what the generator indicates and stays long enough to be seen; the two sounds
differ; no colour is alone; whatever ends a beam is told with its words and its mAs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import click
import pytest
from click.testing import CliRunner

from firmware_py.config import UnitConfig
from firmware_py.decide.controller import step
from firmware_py.decide.memory import State
from firmware_py.runner import _told
from hal.faults import FAULTS
from hal.generators.vj_ixs_ratings import capabilities
from hal.room_io.mapped_table import COILS
from hal.types import EndReason, Technique
from rig.exposure_view import COLOURS, coloured, tell_result
from rig.fault_words import all_words
from rig.run_folder import as_dict, summary
from rig.scenario import ShotSection
from rig.unit_view import WORDS, tell_status
from rig.why import in_words
from tests.model_runs import bench
from tests.state_table import START
from tests.whole_unit import SCAN_US, Whole, a_shot, brought_to

S = State
COIL_US = 2 * SCAN_US  # decided, written, and answered by the module
RATED = capabilities(bench().unit.generator.baud)
SHORT = ShotSection(kv=80.0, ma=0.5, ms=10.0)


class Coils:
    """What the room's lamp and buzzer did, by the room's own log: (t_us, on) of each change."""

    def __init__(self, whole: Whole) -> None:
        self._log: dict[str, list[tuple[int, bool]]] = {name: [] for name in COILS}
        self._set = whole.world.room.set_coil
        whole.world.room.set_coil = self._note  # type: ignore[method-assign]

    def _note(self, t_us: int, coil_index: int, closed: bool) -> None:
        log = self._log[COILS[coil_index]]
        if not log or log[-1][1] is not closed:
            log.append((t_us, closed))
        self._set(t_us, coil_index, closed)

    def periods(self, name: str) -> list[tuple[int, int]]:
        """(from, to) of each time that it was on."""
        log = self._log[name]
        on = [(at_us, end_us) for (at_us, is_on), (end_us, _) in pairwise(log) if is_on]
        assert not log or not log[-1][1], f"{name} is still on"
        return on


def watched(asked: ShotSection | None = None) -> tuple[Whole, Coils]:
    whole = brought_to(S.STANDBY, shot=a_shot(asked) if asked else a_shot())
    return whole, Coils(whole)


# --- SR-35: the lamp


@pytest.mark.req("SR-35")
@pytest.mark.parametrize(
    "asked", [a_shot().technique, a_shot(SHORT).technique], ids=["0.3 mAs", "10 ms"]
)
def test_the_lamp_is_lit_once_within_the_bound_and_for_300_ms(asked: Technique) -> None:
    whole, coils = watched(SHORT if asked.ms is not None else None)
    whole.do("press")
    whole.until(S.RELEASE_WAIT).pass_us(2_000_000)
    (course,) = whole.world.generator.courses
    ((lit_us, dark_us),) = coils.periods("beam_lamp")
    assert course.on_us < lit_us <= course.on_us + RATED.status_age_us + COIL_US
    assert dark_us - lit_us >= 300_000


@pytest.mark.req("SR-35")
def test_on_this_bench_the_lamp_is_lit_50_ms_after_full_kv() -> None:
    """The goal's 50 ms hold from the end of the ramp on; the answer to ON comes no sooner."""
    whole, coils = watched()
    whole.do("press")
    whole.until(S.RELEASE_WAIT).pass_us(2_000_000)
    (course,) = whole.world.generator.courses
    ((lit_us, _),) = coils.periods("beam_lamp")
    assert lit_us <= course.on_us + course.ramp_us + 50_000


@pytest.mark.req("SR-35")
def test_an_order_without_kv_lights_nothing() -> None:
    whole, coils = watched()
    whole.do("generator", refuse_start=True)
    whole.do("press")
    whole.until(S.FAULT).pass_us(3_000_000)
    assert whole.unit.memory.faults == ("GENERATOR_REFUSED",)
    assert (whole.beams, coils.periods("beam_lamp")) == (0, [])


@pytest.mark.req("SR-35", "SR-34", "F03")
@pytest.mark.parametrize("phase_us", [0, 200_000, 700_000, 1_200_000])
def test_kv_without_an_order_lights_the_lamp_at_the_next_status(phase_us: int) -> None:
    """In STANDBY the status is the third of three questions that take turns."""
    whole, coils = watched()
    whole.pass_us(phase_us)
    generator, begin_us = whole.world.generator, whole.t_us
    generator.set_kv(begin_us, 80.0)
    generator.set_ma(begin_us, 0.5)
    generator._begin(begin_us)
    whole.world.poke()
    whole.until(S.LOCKED).pass_us(5_000_000)
    assert whole.unit.memory.faults == ("STRAY_BEAM",)
    lit_us, _ = coils.periods("beam_lamp")[0]
    turns_us = 3 * bench().unit.generator.standby_poll_ms * 1000
    assert lit_us <= begin_us + turns_us + RATED.status_age_us + COIL_US


# --- SR-36: the sounds


def sound_of(end: Callable[[Whole], object]) -> tuple[int, int]:
    """(from the scan that saw the end to the sound, its length)"""
    whole, coils = watched()
    whole.do("press")
    whole.until(S.EXPOSE).pass_us(400_000)
    end(whole)
    whole.until_any(S.READOUT, S.FAULT)
    ended_us = whole.t_us
    whole.pass_us(5_000_000)
    ((from_us, to_us),) = coils.periods("buzzer")
    return from_us - ended_us, to_us - from_us


NORMAL: dict[str, Callable[[Whole], object]] = {
    "planned end": lambda whole: None,
    "release": lambda whole: whole.do("release"),
    "stop": lambda whole: whole.request(stop=True),
}
ABNORMAL: dict[str, Callable[[Whole], object]] = {
    "door": lambda whole: whole.do("open door"),
    "generator trips": lambda whole: whole.do("trip generator", bit="over_current"),
    "panel silent": lambda whole: whole.do("line", device="panel", silent=True),
}


@pytest.mark.req("SR-36")
@pytest.mark.parametrize("end", NORMAL)
def test_a_normal_end_sounds_once_for_half_a_second(end: str) -> None:
    late_us, length_us = sound_of(NORMAL[end])
    assert 0 <= late_us <= 100_000
    assert length_us == pytest.approx(500_000, abs=2 * COIL_US)


@pytest.mark.req("SR-36")
@pytest.mark.parametrize("end", ABNORMAL)
def test_an_abnormal_end_sounds_four_times_as_long(end: str) -> None:
    late_us, length_us = sound_of(ABNORMAL[end])
    assert 0 <= late_us <= 100_000
    assert length_us == pytest.approx(2_000_000, abs=4 * COIL_US)


# --- SR-37: state and indicator, the whole table

# State -> colour on the screen, words beside it, lamps and sound of the room.
INDICATORS: dict[State, tuple[str | None, str, tuple[str, ...]]] = {
    S.BOOT: (None, "waiting for its devices", ()),
    S.SELF_TEST: (None, "self-test", ("buzzer",)),  # the lamp was tried in its first half
    S.STANDBY: ("green", "waiting for the handswitch", ()),
    S.PREP: (None, "preparing", ()),
    S.READY: ("green", "ready for exposure", ("ready_lamp",)),
    S.INTERLOCK_CHECK: (None, "last check", ("ready_lamp",)),
    S.EXPOSE: ("yellow", "X-RAYS ON", ("beam_lamp",)),
    S.READOUT: (None, "reading the image out", ()),
    S.RELEASE_WAIT: (None, "waiting for both stages to be open", ()),
    S.FAULT: ("red", "latched fault; no beam until a local reset", ()),
    S.LOCKED: ("red", "locked; key switch and reset", ("buzzer",)),  # there was a stray beam
}
LAMPS = ("ready_lamp", "beam_lamp", "buzzer")
ANSI = {"green": 32, "yellow": 33, "red": 31}


@pytest.mark.req("SR-37")
@pytest.mark.parametrize("state", State)
def test_each_state_has_its_colour_its_words_and_its_lamps(state: State) -> None:
    colour, words, lamps = INDICATORS[state]
    _, outputs = step(*START[state][1])
    assert COLOURS.get(state.value) == colour
    assert WORDS[state.value] == words
    assert tuple(name for name in LAMPS if getattr(outputs, name)) == lamps


def test_the_table_of_indicators_has_every_state() -> None:
    assert set(INDICATORS) == set(State)
    assert set(WORDS) == {state.value for state in State}
    assert set(COLOURS) <= set(WORDS)
    assert len({words for _, words, _ in INDICATORS.values()}) == len(State)


def shown(call: Callable[[], None], *, colour: bool) -> str:
    command = click.Command("x", callback=call)
    done = CliRunner().invoke(command, color=colour, env={"NO_COLOR": "", "TERM": "xterm"})
    assert done.exit_code == 0, done.output
    return done.output


def status_of(state: State, fault: str | None = None) -> dict[str, Any]:
    faults = _told([fault] if fault else [])
    return {
        "pid": 7, "state": state.value, "why": "power up", "faults": faults, "inhibits": [],
        "scans": 1, "skipped_scans": 0, "latest_us": 250,
    }  # fmt: skip


@pytest.mark.req("SR-37")
@pytest.mark.parametrize("state", State)
def test_what_is_coloured_says_the_same_without_colour(state: State) -> None:
    def told() -> None:
        tell_status("portable", status_of(state))

    plain, bright = shown(told, colour=False), shown(told, colour=True)
    colour, words, _ = INDICATORS[state]
    assert f"{state.value}  {words}" in plain
    assert "\x1b" not in plain
    assert re.findall(r"\x1b\[(3\d)m", bright) == ([str(ANSI[colour])] if colour else [])
    assert click.unstyle(bright) == plain


@pytest.mark.req("SR-37", "SR-43")
def test_each_fault_is_shown_with_the_word_fault_its_code_its_text_and_what_to_do() -> None:
    for code, fault in FAULTS.items():
        state = S.LOCKED if fault.reaction.value == "lock" else S.FAULT

        def told(state: State = state, code: str = code) -> None:
            tell_status("portable", status_of(state, code))

        lines = shown(told, colour=False).splitlines()
        assert f"fault {code}: {fault.text} {fault.action}" in lines
        assert fault.text.endswith(".")
        assert fault.action.endswith(".")


def test_a_colour_without_a_word_would_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "READY" in click.unstyle(coloured("READY"))
    monkeypatch.delitem(WORDS, "READY")
    with pytest.raises(AssertionError):
        test_the_table_of_indicators_has_every_state()


# --- SR-39: whatever ends a beam says why, and how much


def _gap_in_the_line(device: str) -> Callable[[Whole], object]:
    return lambda whole: whole.do("line", device=device, silent=True)


LONG = a_shot(ShotSection(kv=80.0, ma=0.5, mas=0.8))
# What happens in mid-beam -> the fault, or None where the reason alone says it; is the mAs known?
ENDS: dict[str, tuple[Callable[[Whole], object], str | None, EndReason, bool]] = {
    "planned": (lambda whole: None, None, EndReason.PLANNED, True),
    "release": (lambda whole: whole.do("release"), None, EndReason.RELEASED, True),
    "stop": (lambda whole: whole.request(stop=True), None, EndReason.STOPPED, True),
    "door": (lambda whole: whole.do("open door"), "DOOR_OPEN", EndReason.FAULT, True),
    "e-stop": (lambda whole: whole.do("press e-stop"), "ESTOP", EndReason.FAULT, True),
    "key": (lambda whole: whole.do("key off"), "KEY_OFF", EndReason.FAULT, True),
    "generator silent": (_gap_in_the_line("generator"), "GENERATOR_STATUS_OLD",
                         EndReason.FAULT, False),
    "room silent": (_gap_in_the_line("room"), "ROOM_IO_LOST", EndReason.FAULT, True),
    "panel silent": (_gap_in_the_line("panel"), "PANEL_LINK_LOST", EndReason.FAULT, True),
}  # fmt: skip


def ended_by(what: str) -> tuple[Whole, int, int]:
    """The unit, when it left EXPOSE, and when the report came."""
    whole = brought_to(S.EXPOSE, shot=LONG)
    whole.pass_us(400_000)
    ENDS[what][0](whole)
    whole.until_any(S.READOUT, S.FAULT)
    ended_us = whole.t_us
    whole.rung.run_until(lambda: bool(whole.of("report")), whole.t_us + 20_000_000)
    return whole, ended_us, whole.of("report")[0].t_us


@pytest.mark.req("SR-39", "SR-53")
@pytest.mark.parametrize("what", ENDS)
def test_whatever_ends_a_beam_stands_in_the_trace_with_its_mas_within_the_bound(what: str) -> None:
    _, fault, reason, known = ENDS[what]
    whole, ended_us, told_us = ended_by(what)
    report = whole.of("report")[0].data
    assert (report["reason"], report["beam"]) == (reason.value, True)
    assert report["fault"] == fault
    state = [line for line in whole.of("state") if line.t_us == ended_us][-1].data
    assert state.get("faults", [None])[0] == fault
    assert told_us <= ended_us + whole.unit.memory.limits.off_confirm_us + SCAN_US
    (course,) = whole.world.generator.courses
    true_mas = course.charge_mas(course.on_us, whole.t_us)
    if known:
        assert report["mas"] == pytest.approx(true_mas, abs=LONG.technique.ma * 0.06)
    else:
        assert report["mas"] is None
    assert report["maximum_mas"] >= true_mas


@pytest.mark.req("SR-39")
@pytest.mark.parametrize("what", ENDS)
def test_the_screen_says_the_cause_in_words_and_the_mas_or_that_it_is_unknown(what: str) -> None:
    _, fault, reason, known = ENDS[what]
    whole, _, _ = ended_by(what)
    made = summary([as_dict(line) for line in whole.lines], LONG.technique)
    screen = shown(lambda: tell_result(made | {"run": "runs/1", "files": {}}), colour=False)
    assert f"Ended by: {reason.value}" in screen
    mas = whole.of("report")[0].data["mas"]
    dose = f"{mas:.3f}" if known else "unknown, at most"
    (row,) = (line for line in screen.splitlines() if line.strip().startswith("mAs"))
    assert dose in row
    if fault is not None:
        assert fault in screen
        (words, *_) = all_words([fault], _unit(), {})
        assert words.startswith(FAULTS[fault].text.removesuffix("."))
    else:
        assert in_words(whole.of("state")[8].data["why"]) in screen


def tripped() -> list[Whole]:
    """The generator trips in mid-beam, at several phases of its polls."""
    found = []
    for phase_us in range(0, 120_000, 10_000):
        whole = brought_to(S.EXPOSE, shot=LONG)
        whole.pass_us(400_000 + phase_us)
        whole.do("trip generator", bit="over_current")
        found.append(whole.until(S.FAULT).pass_us(1_000_000))
    return found


@pytest.mark.req("SR-39", "SR-41")
def test_the_generator_s_own_reason_for_an_end_is_in_its_line_of_the_trace() -> None:
    for whole in tripped():
        own = [line.data["faults"] for line in whole.of("generator") if line.data.get("faults")]
        assert own[-1] == ["OVER_CURRENT"]
        assert whole.unit.inputs is not None
        assert "over_current" in whole.unit.inputs.generator.raw_faults


@pytest.mark.req("SR-39")
def test_a_generator_that_ended_the_beam_is_never_told_as_kv_out_of_band() -> None:
    told = {whole.unit.memory.faults[0] for whole in tripped()}
    assert told <= {"BEAM_ENDED_EARLY", "OVER_CURRENT"}


def _unit() -> UnitConfig:
    return bench().unit
