"""`dxrig io`: contacts as they are, one output at a time, and never a generator."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from hal.links import SerialLink
from hal.types import Outputs
from rig.cli import main
from rig.commands.io import TESTED
from rig.exit_codes import Refused
from rig.io_view import ALONE, Contacts
from rig.service.expected import expected
from rig.service.inhibited import proof
from rig.service.pins import pins
from rig.unit_states import STATES
from tests.live_bench import ROOT, LiveBench, live_bench
from tests.samples import room

OFF = dict.fromkeys(
    ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor", "prep", "expose"), False
)
PINS = pins({"door": "X1:3"})
pytestmark = pytest.mark.wire


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


def answer(live: LiveBench, *arguments: str) -> dict[str, Any]:
    done = live.run("io", *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_the_contacts_are_those_of_the_room(live: LiveBench) -> None:
    found = answer(live)
    pins = found.pop("pins")
    assert found == {
        "schema": 1,
        "bench": "portable",
        "state": None,
        "contacts": {
            "stage_1": False, "stage_2": False, "door": True, "estop": True, "chain": True,
            "key": True, "reset": False, "lamp_current": False,
        },
        "outputs": OFF,
        "as_expected": True,
    }  # fmt: skip
    assert pins[2] == {
        "name": "door", "pin": "input 2", "terminal": "X1:3", "closed": True, "expected": True,
        "as_expected": True,
    }  # fmt: skip


def test_a_changed_contact_is_seen_and_a_press_makes_nothing(live: LiveBench) -> None:
    live.do("press", stage=2)
    live.do("key off")
    found = answer(live)
    live.do("release")
    live.do("key on")
    contacts = found["contacts"]
    assert (contacts["stage_1"], contacts["stage_2"], contacts["key"]) == (True, True, False)
    assert found["outputs"] == OFF
    assert live.show()["beams"] == []


def test_the_table_names_pin_contact_and_state(live: LiveBench) -> None:
    lines = live.run("io", "--once").stdout.splitlines()
    assert lines[:2] == [
        "Room of bench portable, no unit runs: as before a press, HV inhibited",
        "pin      terminal  contact             is          expected",
    ]
    assert lines[4] == "input 2  X1:3      door                closed      closed      ok"
    assert lines[-4:] == [
        "coil 3   X2:4      enable relay        off         off         ok",
        "coil 4   X2:5      contactor           off         off         ok",
        "coil 5   X2:6      PREP line           off         off         ok",
        "coil 6   X2:7      EXPOSE line         off         off         ok",
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("output", TESTED)
def test_each_output_is_switched_alone_and_read_back(live: LiveBench, output: str) -> None:
    found = answer(live, "test", output)
    lamp = True if output == "beam_lamp" else None
    assert found == {
        "schema": 1, "bench": "portable", "output": output, "on": True, "off_again": True,
        "alone": True, "lamp_current": lamp, "good": True,
    }  # fmt: skip
    shown = live.show()
    assert [name for name, on in shown["coils"].items() if on] == []
    assert shown["relays"] == {"enable": False, "contactor": False}


def test_enable_and_contactor_are_never_closed_together(live: LiveBench) -> None:
    for output in ("enable", "contactor"):
        answer(live, "test", output)
    closed: set[str] = set()
    ever = set()
    for event in live.show()["nets"]:
        if event["net"] in ("enable", "contactor"):
            (closed.add if event["closed"] else closed.discard)(event["net"])
            ever |= closed
            assert len(closed) < 2
    assert ever == {"enable", "contactor"}
    assert list(ALONE) == list(TESTED)
    for output, outputs in ALONE.items():
        assert outputs == Outputs(**{output: True})  # type: ignore[arg-type]


def test_a_lamp_without_current_is_a_failed_check(live: LiveBench) -> None:
    live.do("wiring", lamp_intact=False)
    done = live.run("io", "test", "beam_lamp")
    live.do("wiring", lamp_intact=True)
    assert done.returncode == 1
    assert done.stdout == (
        "beam_lamp: asked for on, reads on, lamp current NONE; then off, reads off\n"
    )


def test_the_generators_line_is_not_even_opened(live: LiveBench) -> None:
    generator = SerialLink(live.facts["generator"]["url"])  # exclusive: a second one is refused
    try:
        answer(live)
        answer(live, "test", "enable")
    finally:
        generator.close()


def test_the_bench_can_be_named_before_the_word_test_as_after(live: LiveBench) -> None:
    file = str(live.bench_file("mine"))
    before = live.run("io", "--bench", file, "test", "ready_lamp")
    after = live.run("io", "test", "ready_lamp", "--bench", file)
    for done in (before, after):
        assert done.returncode == 4
        assert done.stderr == (
            "dxrig: the ports are real and this test switches real relays: clear the room, "
            "then add --allow-outputs\n"
        )
    allowed = live.run("io", "test", "ready_lamp", "--bench", file, "--allow-outputs")
    assert allowed.returncode == 0, allowed.stderr


def test_on_a_terminal_it_lives_until_ctrl_c(live: LiveBench) -> None:
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rig", "io"],
        cwd=ROOT, env=live.environment | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    seen = _read_until(master, "HV inhibited")
    assert "PRESSED" not in seen
    live.do("press e-stop")
    seen = _read_until(master, "PRESSED")
    live.do("pull e-stop")
    live.do("press reset")
    live.do("release reset")
    process.send_signal(2)
    while select.select([master], [], [], 0.2)[0]:
        try:
            if not os.read(master, 4096):
                break
        except OSError:
            break
    assert process.wait(10) == 130
    os.close(master)


def _read_until(master: int, words: str) -> str:
    seen, end_s = "", time.monotonic() + 15
    while words not in seen:
        assert time.monotonic() < end_s, seen
        if select.select([master], [], [], 0.2)[0]:
            seen += os.read(master, 4096).decode(errors="replace")
    return seen


def test_a_change_is_dated(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [10.0]
    monkeypatch.setattr("rig.io_view.time.monotonic", lambda: clock[0])
    contacts = Contacts(PINS)
    contacts.take(room())
    contacts.take(room(door=False))
    clock[0] = 12.5
    rows = contacts.rows({})
    assert rows[2] == ("input 2", "X1:3", "door", "OPEN", "closed", "NOT OK", "2.5 s ago")
    assert rows[3] == ("input 3", "", "emergency stop", "pulled out", "pulled out", "ok", "")
    assert rows[8] == ("coil 0", "", "ready lamp", "not known", "off", "", "")


# --- what is expected, and the proof before anything is switched


@pytest.mark.parametrize(
    ("state", "name", "wanted"),
    [
        ("", "door", True), ("STANDBY", "stage_1", False), ("PREP", "stage_1", True),
        ("PREP", "stage_2", None), ("READY", "ready_lamp", True), ("READY", "enable", False),
        ("EXPOSE", "enable", True), ("EXPOSE", "stage_2", True), ("SELF_TEST", "enable", None),
        ("FAULT", "contactor", False), ("LOCKED", "reset", None), ("READOUT", "contactor", False),
    ],
)  # fmt: skip
def test_what_is_expected_depends_on_the_state(state: str, name: str, wanted: bool | None) -> None:
    assert expected(state)[name] is wanted


@pytest.mark.parametrize("state", STATES)
def test_every_state_says_something_of_every_pin(state: str) -> None:
    assert set(expected(state)) == set(PINS)


@pytest.mark.req("SR-12")
@pytest.mark.parametrize(
    ("coils", "contacts", "told"),
    [
        ({"contactor": True}, {}, "contactor (coil 4) reads ON"),
        ({"enable": None}, {}, "enable relay (coil 3) can't be read back"),
        ({"expose": True}, {}, "EXPOSE line (coil 6) reads ON"),
        ({}, {"stage_2": True}, "handswitch stage 2 (input 1) is pressed"),
        ({}, {"stage_1": True}, "handswitch stage 1 (input 0) is pressed"),
    ],
)
def test_nothing_is_switched_before_high_voltage_is_proved_inhibited(
    coils: dict[str, bool | None], contacts: dict[str, bool], told: str
) -> None:
    with pytest.raises(Refused) as refused:
        proof(room(**contacts), {**OFF, **coils}, PINS)
    assert told in str(refused.value)


def test_a_pressed_handswitch_keeps_the_contactor_from_being_tested(live: LiveBench) -> None:
    live.do("press", stage=2)
    done = live.run("io", "test", "contactor")
    live.do("release")
    assert done.returncode == 4
    assert "handswitch stage 1 (input 0, X1:1) is pressed; release" in done.stderr
    assert live.show()["coils"]["contactor"] is False


def test_all_outputs_and_contacts_are_gone_through_with_a_person(
    live: LiveBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hand in the simulated room does what is asked; what it leaves out has failed."""
    for name, value in live.environment.items():
        monkeypatch.setenv(name, value)
    does: dict[str, tuple[str, dict[str, Any]]] = {
        "Press stage 1": ("press", {"stage": 1}), "Press it through": ("press", {"stage": 2}),
        "Let the handswitch": ("release", {}), "Open the door": ("open door", {}),
        "Close the door": ("close door", {}), "Press reset": ("press reset", {}),
        "Let reset go": ("release reset", {}), "Press the emergency": ("press e-stop", {}),
        "Pull the emergency": ("pull e-stop", {}), "Turn the key on": ("key on", {}),
    }  # fmt: skip
    monkeypatch.setattr("rig.commands.io.PULSE_S", 0.2)
    monkeypatch.setattr("rig.commands.io.click.echo", lambda text, **_: hear(str(text)))
    said: list[str] = []

    def hear(text: str) -> None:
        said.append(text)
        for words, (verb, args) in does.items():
            if text.startswith(words):
                live.do(verb, **args)

    words = ["io", "test", "all", "--contacts", "--wait-s", "0.4"]
    code = CliRunner().invoke(main, words).exit_code
    assert code == 1
    assert said[0] == "proved: no unit runs: this command owns the bench"
    failed = [text for text in said if text.startswith("FAIL     ")]
    assert failed == ["FAIL     Turn the key off: key switch (input 5, X1:6) on"]
    assert "\n15 passed, 1 failed, 2 not judged" in said
    assert live.show()["beams"] == []
