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

from hal.links import SerialLink
from hal.types import Outputs
from rig.commands.io import TESTED
from rig.io_view import ALONE, Contacts
from tests.live_bench import ROOT, LiveBench, live_bench
from tests.samples import room

OFF = dict.fromkeys(
    ("ready_lamp", "beam_lamp", "buzzer", "enable", "contactor", "prep", "expose"), False
)
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
    assert found == {
        "schema": 1,
        "bench": "portable",
        "contacts": {
            "stage_1": False, "stage_2": False, "door": True, "estop": True, "chain": True,
            "key": True, "reset": False, "lamp_current": False,
        },
        "outputs": OFF,
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
    assert lines[:2] == ["Room of bench portable", "pin      contact             is"]
    assert lines[4] == "input 2  door                closed"
    assert lines[-4:] == [
        "coil 3   enable              off",
        "coil 4   contactor           off",
        "coil 5   prep                off",
        "coil 6   expose              off",
    ]


@pytest.mark.parametrize("output", TESTED)
def test_each_output_is_switched_alone_and_read_back(live: LiveBench, output: str) -> None:
    found = answer(live, "test", output)
    lamp = True if output == "beam_lamp" else None
    assert found == {
        "schema": 1, "bench": "portable", "output": output, "on": True, "off_again": True,
        "lamp_current": lamp, "good": True,
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
    seen = _read_until(master, "beam inhibited")
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
    contacts = Contacts()
    contacts.take(room())
    contacts.take(room(door=False))
    clock[0] = 12.5
    rows = contacts.rows({})
    assert rows[2] == ("input 2", "door", "OPEN", "2.5 s ago")
    assert rows[3] == ("input 3", "emergency stop", "pulled out", "")
    assert rows[8] == ("coil 0", "ready lamp", "not known", "")
