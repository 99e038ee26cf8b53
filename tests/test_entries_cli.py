"""Every command of the program, with nobody at the switch: none begins a beam.

The commands are listed by click itself; one that is not named here fails its test. They run as
people start them, beside a simulated bench that counts beams: first with a unit that waits in
STANDBY, then with none, so that what starts a unit of its own does start one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rig.cli import main
from rig.unit_client import read_unit
from tests.live_bench import LiveBench, live_bench
from tests.test_unit_commands import Standing

NOBODY = ("--hand", "none", "--wait-s", "1")
ROUTINE = (*NOBODY, "--rung", "wire", "--operator", "A. Physicist")
# Leaf of the program -> arguments; `{}` is a folder of the test's own.
ENTRIES: dict[str, tuple[str, ...]] = {
    "calibrate defects": ROUTINE,
    "calibrate gain": ROUTINE,
    "calibrate lag": ROUTINE,
    "calibrate list": (),
    "calibrate offset": ROUTINE,
    "calibrate rollback": (),
    "check durability": ("--kills", "1", "--cuts", "0", "--no-sweep", "--rot", "0"),
    "check search": ("--faults", "0"),
    "config check": ("portable",),
    "config new": ("mine",),
    "config schema": (),
    "config show": (),
    "devices": (),
    "diff": ("{}/a", "{}/b"),
    "doctor": (),
    "expose": ("--kvp", "60", "--ma", "1", "--ms", "100", *NOBODY),
    "exposures export": ("{}/out", "--all"),
    "exposures list": (),
    "exposures show": ("1",),
    "exposures repair": (),
    "exposures verify": (),
    "io": ("--once",),
    "io test": ("enable",),
    "meter import": ("{}/none.csv", "--map", "raysafe-like"),
    "meter list": (),
    "meter live": ("--port", "{}/none", "--count", "1"),
    "meter maps": (),
    "meter show": ("1",),
    "params diff": ("{}/none.toml",),
    "params restore": ("{}/none.toml",),
    "params save": ("{}/params.toml",),
    "plan": ("--kvp", "60", "--ma", "1", "--ms", "100"),
    "recover": (),
    "replay": ("{}/a",),
    "reset": (),
    "scope import": ("{}/none.csv", "--map", "tek-like"),
    "scope maps": (),
    "sim do": ("press reset",),
    "sim meter": ("{}/meter.csv",),
    "sim show": (),
    "sim show beam": ("--kvp", "80"),
    "sim show beams": (),
    "sim show io": (),
    "sim show meter": (),
    "sim show nets": (),
    "sim show panel": (),
    "sim show phantom": (),
    "sim show faults": (),
    "sim show room": (),
    "sim show supply": (),
    "sim show tube": (),
    "snapshot compare": ("{}/a", "{}/b"),
    "snapshot take": ("{}/snapshot.json",),
    "status": (),
    "stop": (),
    "talk": ("generator", "ENBL1"),
    "tap": ("--for-s", "0.2"),
    "trace": (),
    "warmup": (*ROUTINE, "--idle", "40d"),
    "why": (),
}
# These bring a hand of their own into a simulated room of their own, or are that hand.
HANDS: dict[str, str] = {
    "demo": "a room, a unit and a hand of its own, all simulated",
    "matrix": "units, rooms and hands of its own in virtual time, all simulated",
    "observe": "a maker's room and person of its own, all simulated; on real ports it only reads",
    "run": "scenarios: a room, a unit and a hand of its own, all simulated",
    "sim proxy": "a bad line to a simulated device: a fault that is put in, and no client",
    "sim press": "the hand of a simulated room: it is the local switch",
    "sim up": "the simulated room itself: it has no unit",
}


def leaves(command: click.Command, path: str = "") -> Iterator[str]:
    """What can be started: every command without commands below it, and groups that run alone."""
    if not isinstance(command, click.Group):
        yield path
        return
    if command.invoke_without_command:
        yield path
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, f"{path} {name}".strip())


@pytest.mark.req("SR-12")
def test_every_command_of_the_program_is_started_here() -> None:
    unknown = set(leaves(main)) - {*ENTRIES, *HANDS}
    assert unknown == set(), "a new command: say in ENTRIES how nobody starts it"


def test_a_command_that_is_new_is_found() -> None:
    @click.group()
    def program() -> None: ...

    @program.group(invoke_without_command=True)
    def beam() -> None: ...

    @beam.command("now")
    def now() -> None: ...

    assert set(leaves(program)) == {"beam", "beam now"}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench")) as live:
        yield live


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """A unit that waits in STANDBY, on a bench of its own."""
    with live_bench(tmp_path_factory.mktemp("standing")) as live:
        unit = Standing(live)
        try:
            yield unit
        finally:
            unit.end()


def started(bench: LiveBench, entry: str, folder: Path) -> tuple[int, str]:
    """Exit code, and what was said; a traceback is never said."""
    given = [word.format(folder) for word in ENTRIES[entry]]
    done = bench.run(*entry.split(), *given)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


DONE = (
    "stop", "status", "reset", "sim meter", "sim show", "sim show beam", "sim show panel",
    "sim show phantom", "sim show supply", "sim show tube", "sim show faults", "sim do", "plan",
    "devices", "config check", "exposures list", "exposures verify", "meter list", "meter maps",
    "scope maps",
)  # fmt: skip
# No set, no runs, no exposures: usage.
NOTHING_THERE = (
    "calibrate rollback", "diff", "replay", "exposures export", "exposures show", "params diff",
    "params restore", "snapshot compare", "meter import", "meter show", "scope import",
)  # fmt: skip


@pytest.mark.wire
@pytest.mark.req("SR-01", "SR-12")
@pytest.mark.parametrize("entry", [entry for entry in ENTRIES if entry in set(leaves(main))])
def test_no_command_begins_a_beam_beside_a_unit_that_waits(
    standing: Standing, entry: str, tmp_path: Path
) -> None:
    code, said = started(standing.bench, entry, tmp_path)
    assert standing.bench.show()["beams"] == []
    sent = standing.record()
    assert b"STAT" in sent or b"MON" in sent
    assert b"ENBL1" not in sent
    if "--hand" in ENTRIES[entry] or entry == "exposures repair":  # a second owner
        assert code == 3, said
    if entry in DONE:
        assert code == 0, said
    assert (code == 2) is (entry in NOTHING_THERE), said
    standing.until("STANDBY")


@pytest.mark.wire
@pytest.mark.req("SR-01", "SR-12")
@pytest.mark.parametrize(
    ("entry", "code", "said"),
    [("expose", 130, "handswitch"), ("warmup", 2, "nobody is there to confirm")],
)
def test_no_command_that_starts_a_unit_begins_a_beam_with_nobody_there(
    bench: LiveBench, entry: str, code: int, said: str, tmp_path: Path
) -> None:
    found, told = started(bench, entry, tmp_path)
    shown = bench.show()
    assert shown["beams"] == []
    assert (shown["coils"]["enable"], shown["coils"]["expose"]) == (False, False)
    assert (found, said in told) == (code, True), told
    assert read_unit(bench.state) is None
