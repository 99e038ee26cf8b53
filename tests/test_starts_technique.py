"""SR-06 and SR-07: what was programmed, recorded, sent and read back is one and the same thing.

A digit of an echo is changed on the wire, and what is frozen at PREP is edited in each scan;
neither ends in a beam.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from firmware_py.decide.memory import State
from firmware_py.runner import status
from hal.types import Shot
from rig.scenario import ShotSection
from tests.whole_unit import ON, SCAN_US, S, Whole, a_shot, brought_to

SETS = {"VP": "tube voltage", "CP": "tube current", "OT": "exposure time"}
GRID = (
    ShotSection(kv=40.0, ma=0.2, ms=10.0),
    ShotSection(kv=61.3, ma=0.3333, ms=123.0),
    ShotSection(kv=79.94, ma=0.5, mas=0.3),
    ShotSection(kv=80.06, ma=0.7, mas=1.234),
    ShotSection(kv=119.9, ma=1.0, mas=2.0),
    ShotSection(kv=120.0, ma=1.0, ms=4000.0),
    ShotSection(kv=100.0, ma=0.20005, mas=0.2),
)


class OneDigit:
    """The generator's line: one digit of the echo of a set command comes as another."""

    def __init__(self, whole: Whole, name: str, digit_index: int, *, times: int) -> None:
        self._device = whole.world.generator_device
        self._link, self._name = self._device.link, name.encode()
        self._digit_index, self._times = digit_index, times
        self.done_count = 0
        self._device.link = self

    def write(self, t_us: int, data: bytes) -> None:
        found = re.search(self._name + rb"(\d+)", data)
        if found and self.done_count < self._times:
            at = found.start(1) + self._digit_index % len(found[1])
            digit = b"%d" % ((data[at] - ord("0") + 1) % 10)
            data = data[:at] + digit + data[at + 1 :]
            self.done_count += 1
        self._link.write(t_us, data)

    def read(self, t_us: int) -> bytes:
        return self._link.read(t_us)

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()


def pressed_with(name: str, digit_index: int, times: int) -> tuple[Whole, OneDigit]:
    whole = brought_to(S.STANDBY)
    wrong = OneDigit(whole, name, digit_index, times=times)
    whole.do("press")
    return whole, wrong


@pytest.mark.req("SR-06", "F15")
@pytest.mark.parametrize("digit_index", range(5))
@pytest.mark.parametrize("name", SETS)
def test_one_digit_of_an_echo_that_stays_wrong_is_a_fault_and_no_beam(
    name: str, digit_index: int
) -> None:
    """The driver asks three times; READY, which says "confirmed", is never reached."""
    whole, wrong = pressed_with(name, digit_index, times=1_000)
    whole.until(S.FAULT)
    assert wrong.done_count == 3
    assert whole.path()[4:] == ["PREP", "FAULT"]
    assert whole.unit.memory.faults == ("GENERATOR_FAULT",)
    assert whole.unit.inputs is not None
    assert re.match(rf"{name}\d+ was answered", whole.unit.inputs.generator.raw_faults)
    assert whole.unit.inputs.generator.confirmed is None
    whole.pass_us(1_000_000)
    assert (whole.beams, whole.sent(ON)) == (0, [])


@pytest.mark.req("SR-06", "F15")
@pytest.mark.parametrize("name", SETS)
def test_one_wrong_echo_is_set_again_and_confirmed_by_the_right_one(name: str) -> None:
    whole, wrong = pressed_with(name, 1, times=1)
    whole.until(S.EXPOSE)
    assert wrong.done_count == 1
    assert whole.unit.inputs is not None
    assert whole.unit.inputs.generator.confirmed == a_shot().technique
    assert len(whole.sent(name.encode())) == 2
    assert whole.sent(ON) == [] or whole.sent(ON)[0] > whole.sent(name.encode())[-1]


def on_the_wire(shot: Shot) -> dict[str, bytes]:
    """By the maker's units: kV x 10, mA x 10000, time in 10 ms; for mAs the ramp on top."""
    technique = shot.technique
    planned_ms = -(-round(technique.planned_ms * 1000) // 10_000) * 10
    ramp_ms = 500 if technique.mas is not None else 0
    return {
        "VP": b"VP%04d" % round(technique.kv * 10),
        "CP": b"CP%05d" % round(technique.ma * 10_000),
        "OT": b"OT%05d" % ((planned_ms + ramp_ms) // 10),
    }


@pytest.mark.req("SR-06")
@pytest.mark.parametrize("asked", GRID, ids=lambda s: f"{s.kv} kV {s.ma} mA {s.mas or s.ms}")
def test_shown_recorded_sent_and_read_back_are_one(asked: ShotSection) -> None:
    shot = a_shot(asked)
    whole = Whole(shot).until(S.STANDBY)
    whole.do("press", stage=1)
    whole.until(S.READY)
    frozen = whole.unit.memory.shot
    assert frozen == shot
    shown = status(whole.unit)["shot"]["technique"]
    intent = whole.journal.detail("intent", shot.shot_id)
    assert intent is not None
    assert whole.unit.inputs is not None
    assert whole.unit.inputs.generator.confirmed == shot.technique
    recorded = intent["shot"]["technique"]  # type: ignore[index]
    assert shown == recorded | {"aec": None}  # the journal keeps the form of manual techniques
    assert (shown["kv"], shown["ma"], shown["mas"], shown["ms"]) == (
        shot.technique.kv, shot.technique.ma, shot.technique.mas, shot.technique.ms
    )  # fmt: skip
    for name, text in on_the_wire(shot).items():
        last = [data for _, link, data in whole.tape.all_sent
                if link == "generator" and name.encode() in data][-1]  # fmt: skip
        assert text in last
    told = [line.data["confirmed"] for line in whole.of("generator") if "confirmed" in line.data]
    ending = f"{shown['mas']:g} mAs" if shown["mas"] is not None else f"{shown['ms']:g} ms"
    assert told[-1] == f"{shown['kv']:g} kV {shown['ma']:g} mA {ending}"


# --- SR-07


def another(shot: Shot, edit: str) -> Shot:
    edits: dict[str, Shot] = {
        "technique": replace(shot, technique=replace(shot.technique, kv=shot.technique.kv + 1)),
        "patient": replace(shot, exam_id="E-7"),
        "panel": replace(shot, panel_id="P-2"),
    }
    return edits[edit]


def pressed_at(stage_2_us: int) -> Whole:
    """Stage 1 in STANDBY, stage 2 at its time."""
    whole = brought_to(S.STANDBY)
    whole.do("press", stage=1)
    whole.at(stage_2_us, "press")
    return whole


def scans_before_the_beam() -> tuple[int, list[tuple[int, State]]]:
    """When stage 2 is pressed, and every scan from PREP to the last one before EXPOSE."""
    first = brought_to(S.READY)
    stage_2_us = first.t_us + 4 * SCAN_US - 1_000
    whole = pressed_at(stage_2_us)
    found: list[tuple[int, State]] = []
    while whole.scan().state is not S.EXPOSE:
        if whole.state is not S.STANDBY:
            found.append((whole.t_us, whole.state))
    assert {state for _, state in found} == {S.PREP, S.READY, S.INTERLOCK_CHECK}
    return stage_2_us, found


@pytest.mark.slow
@pytest.mark.req("SR-07", "F50", "F51")
@pytest.mark.parametrize("edit", ["technique", "patient", "panel"])
def test_an_edit_in_any_scan_before_the_beam_drops_the_preparation_in_the_next(edit: str) -> None:
    stage_2_us, scans = scans_before_the_beam()
    assert len(scans) > 50
    for at_us, state in scans:
        whole = pressed_at(stage_2_us)
        whole.pass_us(at_us - whole.t_us)
        assert whole.state is state, at_us
        whole.request(shot=another(a_shot(), edit))
        whole.scan()
        assert (whole.t_us, whole.state) == (at_us + SCAN_US, S.RELEASE_WAIT), at_us
        assert (whole.unit.memory.why, whole.unit.memory.refused) == (
            "shot_changed", ("SHOT_CHANGED",)
        )  # fmt: skip
        told = whole.of("refused")[-1]
        assert (told.t_us, told.data["because"]) == (at_us + SCAN_US, ["SHOT_CHANGED"])
        whole.pass_us(300_000)
        assert (whole.beams, whole.sent(ON)) == (0, []), at_us


@pytest.mark.req("SR-07")
def test_an_edit_in_the_scan_that_would_have_begun_the_beam_is_in_time() -> None:
    """The last scan above: without the edit, the next one begins the beam."""
    stage_2_us, scans = scans_before_the_beam()
    whole = pressed_at(stage_2_us)
    whole.pass_us(scans[-1][0] - whole.t_us)
    assert whole.scan().state is S.EXPOSE


@pytest.mark.req("SR-07")
def test_after_an_edit_a_new_press_makes_the_new_shot_and_the_old_intent_has_no_dose() -> None:
    whole = brought_to(S.READY)
    edited = replace(another(a_shot(), "technique"), shot_id="shot-2")
    whole.request(shot=edited)
    whole.scan().do("release")
    whole.until(S.STANDBY).do("press")
    whole.until(S.EXPOSE)
    assert whole.unit.memory.shot == edited
    assert whole.unit.inputs is not None
    assert whole.unit.inputs.generator.confirmed == edited.technique
    whole.until(S.RELEASE_WAIT)
    doses = {row.shot_id: row.mas for row in whole.journal.exposures()}
    assert doses["shot-1"] == 0.0
    assert doses["shot-2"] == pytest.approx(0.3, abs=0.05)
