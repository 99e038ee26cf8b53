"""Who stands at the bench: what a person is told, and how a person confirms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import IO

import pytest

from rig.exit_codes import UsageError
from rig.routines.people import RealPerson, SimulatedPerson


class Room:
    """Notes what is done in it."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.t_s = 0.0

    def do(self, verb: str, args: object) -> None:
        self.done.append(f"{verb} {args}" if args else verb)

    def now_s(self) -> float:
        return self.t_s


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[IO[str]]:
    """What the person types."""
    reader, writer = os.pipe()
    with os.fdopen(reader) as stdin, os.fdopen(writer, "w") as typed:
        monkeypatch.setattr("sys.stdin", stdin)
        yield typed


def person() -> tuple[RealPerson, list[str]]:
    said: list[str] = []
    return RealPerson(said.append, "A. Meier"), said


def test_a_person_is_told_what_to_press_and_how_long() -> None:
    one, said = person()
    one.wanted("40 kV, 1 of 10", 15.0)
    for state in ("PREP", "READY", "INTERLOCK_CHECK", "EXPOSE", "READOUT"):
        one.entered(state)
    assert said == [
        "40 kV, 1 of 10: press stage 1 and hold it",
        "ready: press stage 2 and hold it, 15 s, until the beam ends",
        "the beam has ended: release the handswitch",
    ]


def test_enter_confirms_under_the_operators_name_and_only_what_was_asked(
    keyboard: IO[str],
) -> None:
    one, said = person()
    keyboard.write("\n")
    keyboard.flush()
    assert one.answer() is None  # nothing was asked
    one.asked("no receptor", "Panel out of the beam.")
    assert said == ["Panel out of the beam. Then press Enter."]
    assert one.answer() == "A. Meier"
    assert one.answer() is None


def test_nobody_has_confirmed_before_enter(keyboard: IO[str]) -> None:
    one, _ = person()
    one.asked("no receptor", "Panel out of the beam.")
    assert one.answer() is None


def test_a_keyboard_that_is_gone_ends_it(keyboard: IO[str]) -> None:
    one, _ = person()
    one.asked("no receptor", "Panel out of the beam.")
    keyboard.close()
    with pytest.raises(UsageError, match="nobody is there to confirm"):
        one.answer()


def test_what_a_reset_waits_for_is_said_once() -> None:
    one, said = person()
    for told in ("Close the door.", "Close the door.", "", ""):
        one.latched(told)
    assert said == ["Close the door.", "press reset"]


def test_a_simulated_person_presses_stage_2_only_when_the_unit_is_ready() -> None:
    room = Room()
    one = SimulatedPerson(room)
    one.wanted("40 kV", 15.0)
    one.wanted("40 kV", 15.0)
    one.entered("PREP")
    assert room.done == ["press {'stage': 1}"]
    one.entered("READY")
    one.entered("READOUT")
    assert room.done[1:] == ["press {'stage': 2}", "release"]


def test_a_simulated_person_does_what_is_asked_and_tidies_up() -> None:
    room = Room()
    one = SimulatedPerson(room, "somebody")
    one.asked("open field", "Nothing on the panel.")
    assert one.answer() == "somebody"
    assert room.done == ["panel {'in_beam': True}", "phantom {'name': 'none'}"]
    room.done.clear()
    one.leave()
    assert room.done == ["panel {'in_beam': True}", "phantom {'name': 'hand'}"]
    with pytest.raises(UsageError, match="can't do what is asked: Fetch a meter"):
        one.asked("meter", "Fetch a meter.")


def test_a_simulated_person_holds_reset_for_a_moment_once_the_cause_is_gone() -> None:
    room = Room()
    one = SimulatedPerson(room)
    one.latched("Close the door.")
    assert room.done == []
    one.latched("")
    one.latched("")
    assert room.done == ["press reset"]
    room.t_s = 0.3
    one.latched("")
    assert room.done == ["press reset", "release reset"]
