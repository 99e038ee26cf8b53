"""A generator that is only watched: what is seen, what is recorded, and that nothing is sent."""

from __future__ import annotations

import ast
import json
import random
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from firmware_py.recorder.setup import Setup
from firmware_py.recorder.store.exposures import Exposure, read_exposure, read_exposures
from firmware_py.recorder.store.journal import Journal
from firmware_py.recorder.store.tube_heat import stored_heat
from hal.device_links import ListenerLink
from hal.generators.manual import Beam, BeamWatch
from hal.links import pipe
from hal.now import Now
from hal.ports import ByteLink, RoomIO
from hal.room_io import open_room_inputs, open_room_io
from hal.tap_link import TapLink
from hal.types import Outputs, RoomSample, Technique
from rig.bench import load_bench
from rig.cli import main
from rig.exit_codes import DeviceError, Ended, UsageError
from rig.instruments.shots import shots_seen
from rig.observe.notes import Notes
from rig.observe.room import PRESS_AFTER_US, RealRoom, SimulatedRoom
from rig.observe.shots import Setting
from rig.observe.watching import Watching
from sim.console import LAMP_OFF_US, LAMP_ON_US, Dialled, MakersWorld
from tests.project import ROOT

BENCH = load_bench("observe")
TUBE = BENCH.unit.tube
STARTED_AT = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)
ASKED = Setting(kv=70.0, mas=10.0)  # 100 ms at the simulated console's 100 mA
SCAN_US = 5_000

# --- nothing is sent ------------------------------------------------------------------------------


class Sent:
    """Everything that leaves for the module."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def got(self, link: str, data: bytes) -> None: ...

    def sent(self, link: str, data: bytes) -> None:
        self.frames.append(data)

    def failed(self, link: str, why: str) -> None: ...

    def not_sent(self, link: str, why: str) -> None: ...


LEVELS = [field.name for field in fields(Outputs) if field.type == "bool"]
ALL_ON: dict[str, Any] = dict.fromkeys(LEVELS, True)


def any_outputs(chance: random.Random) -> Outputs:
    """Whatever a broken program could order, expose line, enable and contactor among it."""
    orders: dict[str, Any] = {name: chance.random() < 0.5 for name in LEVELS}
    orders["technique"] = chance.choice((None, Technique(kv=70.0, ma=100.0, mas=10.0)))
    orders["expose_from_us"] = chance.choice((None, 1))
    return Outputs(**orders)


Opened = Callable[[str, ByteLink, Any], RoomIO]


def driven(opened: Opened, *, url: str, scans_count: int) -> tuple[MakersWorld, Sent]:
    """A module that is ordered about at random, in a room whose generator nobody presses."""
    unit_end, device_end = pipe()
    sent, chance = Sent(), random.Random(11)
    config = BENCH.unit.room.model_copy(update={"url": url})
    room = opened("waveshare", TapLink("room", unit_end, sent), config)
    world = MakersWorld(device_end)
    for scan in range(1, scans_count + 1):
        world.advance(scan * SCAN_US)
        now = Now(scan * SCAN_US)
        room.read(now)
        room.write(now, any_outputs(chance) if scan % 3 else Outputs(**ALL_ON))
    return world, sent


@pytest.mark.parametrize(
    ("url", "frame"),
    [("tcp://room:502", "0000 0006 01 02 0000 0008"), ("/dev/ttyUSB9", "01 02 0000 0008 79cc")],
)
def test_whatever_is_ordered_only_the_inputs_are_asked_for(url: str, frame: str) -> None:
    """TCP: behind the transaction's number; RTU: with its checksum (protocol reference 8.2)."""
    world, sent = driven(open_room_inputs, url=url, scans_count=4_000)
    skip_bytes = 2 if url.startswith("tcp") else 0
    assert {data[skip_bytes:] for data in sent.frames} == {bytes.fromhex(frame)}
    assert len(sent.frames) > 900 or url.startswith("/dev")
    assert (world.room.driven, world.generator.courses) == ([], [])


def test_the_ordinary_driver_would_have_been_found_out() -> None:
    """Else the test above would hold for a room that can't be switched at all."""
    world, _ = driven(open_room_io, url="tcp://room:502", scans_count=200)
    switched = {what for _, what in world.room.driven}
    assert {"coil 3 pulse", "coil 4 on", "coil 6 on"} <= switched


@pytest.mark.parametrize(
    "file",
    [
        "hal/generators/manual.py",
        "hal/room_io/waveshare_inputs.py",
        "hal/detectors/folder.py",
        "rig/observe/room.py",
        "rig/observe/pictures.py",
        "rig/observe/picture_process.py",
    ],
)
def test_no_file_that_observes_knows_how_to_switch(file: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
             for alias in node.names}  # fmt: skip
    assert not named & {"WriteCoil", "WriteCoils", "PulseCoil", "WriteRegister", "WriteRegisters",
                        "open_room_io", "open_generator", "RoomWatch"}  # fmt: skip


# --- a beam, from the samples of one contact ------------------------------------------------------


def watched(levels: dict[int, bool], *, until_us: int, lag_us: int = 5_000) -> list[Beam]:
    """`levels`: the lamp from then on; asked every 5 ms, and known `lag_us` later."""
    watch, beams = BeamWatch(), []
    for t_us in range(0, until_us, SCAN_US):
        lamp = [lit for from_us, lit in sorted(levels.items()) if Now(t_us).reached(from_us)][-1]
        sample = RoomSample(taken_us=t_us, link_ok=True, lamp_current=lamp)
        beam = watch.take(Now(t_us + lag_us), sample)
        beams += [beam] if beam else []
    return beams


def test_a_beam_has_the_stamps_of_its_first_sample_and_of_the_first_without_it() -> None:
    (beam,) = watched({0: False, 101_000: True, 201_000: False}, until_us=400_000)
    assert beam == Beam(
        start_us=105_000, not_before_us=100_000, end_us=205_000, not_after_us=210_000
    )
    assert (beam.seen_us, beam.at_most_us) == (100_000, 110_000)


def test_a_beam_of_one_sample_is_seen() -> None:
    (beam,) = watched({0: False, 100_000: True, 104_000: False}, until_us=400_000)
    assert (beam.start_us, beam.end_us) == (100_000, 105_000)


@pytest.mark.parametrize(("pause_us", "beams_count"), [(45_000, 1), (50_000, 1), (55_000, 2)])
def test_a_short_pause_is_bounce_and_a_longer_one_an_end(pause_us: int, beams_count: int) -> None:
    levels = {0: False, 100_000: True, 200_000: False, 200_000 + pause_us: True, 400_000: False}
    beams = watched(levels, until_us=600_000)
    assert len(beams) == beams_count
    assert (beams[0].start_us, beams[-1].end_us) == (100_000, 400_000)


def test_of_a_beam_that_was_on_before_anybody_looked_the_length_is_not_known() -> None:
    (beam,) = watched({0: True, 100_000: False}, until_us=400_000)
    assert (beam.start_us, beam.seen_us, beam.at_most_us) == (None, None, None)
    assert beam.end_us == 100_000


def test_silence_ends_no_beam() -> None:
    watch = BeamWatch()
    for t_us, lamp in ((0, False), (5_000, True), (10_000, False)):
        sample = RoomSample(taken_us=t_us, link_ok=True, lamp_current=lamp)
        assert watch.take(Now(t_us), sample) is None
    for t_us in range(15_000, 500_000, SCAN_US):
        assert watch.take(Now(t_us), RoomSample(taken_us=10_000)) is None
        assert watch.take(Now(t_us), RoomSample(taken_us=t_us)) is None
    assert watch.on


# --- one shot after the other, in virtual time ----------------------------------------------------


class Lines:
    """What a person types, one line whenever one is asked for; then nobody answers."""

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)

    def poll(self) -> str | None:
        if not self._lines:
            raise EOFError
        return self._lines.pop(0)


class Observed:
    """A simulated room, a journal, and what was said."""

    def __init__(self, folder: Path, *lines: str, hand: bool = True, wait_us: int = 5_000_000):
        self.path = folder / "journal.db"
        self.room = SimulatedRoom(BENCH.unit.room, hand=hand)
        self.said: list[str] = []
        self.done: list[int] = []
        self.journal = Journal(self.path)
        setup = Setup(
            unit=BENCH.unit, started_at=STARTED_AT, uid_namespace=UUID(int=7), simulated=True
        )
        self.watching = Watching(
            self.room, BeamWatch(), Notes(self.journal, setup, "lamp_current"), TUBE, Lines(*lines),
            wait_us=wait_us, by="A. Physicist", say=self.said.append, done=self.done.append,
        )  # fmt: skip

    def run(self, *asked: Setting) -> None:
        self.watching.run(asked)

    def rows(self) -> list[Exposure]:
        return read_exposures(self.path)

    def detail(self, table: str, number: int) -> dict[str, Any]:
        found = read_exposure(self.path, str(number))
        assert found is not None
        return dict(json.loads(found[1][table]))

    @property
    def outcomes(self) -> list[str]:
        return [one.outcome for one in self.watching.shown]


@pytest.fixture
def observed(tmp_path: Path) -> Iterator[Callable[..., Observed]]:
    made: list[Observed] = []

    def make(*lines: str, **options: Any) -> Observed:
        made.append(Observed(tmp_path, *lines, **options))
        return made[-1]

    yield make
    for one in made:
        one.journal.close()


def test_a_shot_is_recorded_with_stamps_to_the_scan(observed: Callable[..., Observed]) -> None:
    seen = observed("")
    seen.run(ASKED)
    (course,) = seen.room.world.generator.courses
    (beam,) = [one.beam for one in seen.watching.shown]
    assert beam is not None
    assert beam.start_us is not None
    assert course.off_us is not None
    # Asked for at the scan after the lamp moved: the grid is 5 ms.
    assert beam.start_us == -(-(course.on_us + LAMP_ON_US) // SCAN_US) * SCAN_US
    assert beam.end_us == -(-(course.off_us + LAMP_OFF_US) // SCAN_US) * SCAN_US
    assert (beam.seen_us, seen.outcomes, seen.done) == (105_000, ["seen"], [1])
    assert course.on_us - PRESS_AFTER_US in range(100_000)


def test_the_journal_says_observed_and_nothing_indicated(
    observed: Callable[..., Observed],
) -> None:
    seen = observed("")
    seen.run(ASKED)
    (row,) = seen.rows()
    assert (row.outcome, row.reason, row.mas, row.incomplete) == (
        "observed",
        "observed",
        None,
        False,
    )
    assert row.dose_text.startswith("unknown, at most 57.5 mAs, by the tube's highest mA")
    intent, dose = seen.detail("intent", 1), seen.detail("dose", 1)
    assert intent["shot"]["technique"] == {"kv": 70.0, "ma": None, "mas": 10.0, "ms": None}
    assert intent["observed"] == {
        "commanded_by_dxrig": False, "asked": ASKED.as_dict(), "how": "confirmed as asked",
        "by": "A. Physicist",
    }  # fmt: skip
    assert [dose[name] for name in ("kv", "ma", "mas", "beam_ms")] == [None] * 4
    assert dose["observed"] == {"by_contact": "lamp_current", "seen_ms": 105.0}
    assert dose["end_us"] - dose["start_us"] == 105_000


def test_what_was_typed_is_what_was_set(observed: Callable[..., Observed]) -> None:
    seen = observed("seventy", "72", "200 10", "72, 8")
    seen.run(ASKED)
    (shown,) = seen.watching.shown
    assert (shown.set, shown.asked, shown.how) == (Setting(kv=72.0, mas=8.0), ASKED, "typed")
    told = "\n".join(seen.said)
    assert "'seventy' is no answer: press Enter, or type kV mAs" in told
    assert "kvp = 200 kV is outside 40 to 150 kV" in told
    assert seen.room.world.generator.courses[0].kv == pytest.approx(72.0)


def test_where_nobody_answers_that_is_said(observed: Callable[..., Observed]) -> None:
    seen = observed()
    with pytest.raises(UsageError, match=r"nobody answers .* --yes"):
        seen.run(ASKED)
    assert seen.rows() == []


def test_a_shot_without_a_beam_is_recorded_as_none(observed: Callable[..., Observed]) -> None:
    seen = observed("", "", hand=False)
    seen.run(ASKED, ASKED)
    assert seen.outcomes == ["no beam seen", "no beam seen"]
    assert [(row.outcome, row.mas, row.incomplete) for row in seen.rows()] == [
        ("no beam", 0.0, False)
    ] * 2


class Thinking(Lines):
    """Nobody answers before this many questions."""

    def __init__(self, polls_count: int) -> None:
        super().__init__("")
        self._polls_count = polls_count

    def poll(self) -> str | None:
        self._polls_count -= 1
        return super().poll() if self._polls_count == 0 else None


def test_a_beam_that_nobody_was_prompted_for_is_recorded_as_unasked(
    observed: Callable[..., Observed],
) -> None:
    seen = observed("")
    seen.watching._answers = Thinking(200)
    seen.room.world.press(Dialled(kv=90.0, ma=50.0, ms=200.0), 100_000)
    seen.run(ASKED)
    assert seen.outcomes == ["unasked", "seen"]
    assert "NOBODY WAS ASKED FOR IT" in "\n".join(seen.said)
    unasked, shot = seen.rows()
    assert (unasked.outcome, shot.outcome) == ("observed", "observed")
    intent = seen.detail("intent", 1)
    assert intent["observed"] == {"commanded_by_dxrig": False, "unasked": True}
    assert set(intent["shot"]["technique"].values()) == {None}


def test_an_unasked_beam_heats_the_tube_with_its_highest_kv(
    observed: Callable[..., Observed],
) -> None:
    seen = observed("")
    seen.watching._answers = Thinking(200)
    seen.room.world.press(Dialled(kv=90.0, ma=50.0, ms=200.0), 100_000)
    seen.run()
    seen.watching._claim(ASKED)
    heat = stored_heat(seen.path, TUBE, STARTED_AT + timedelta(seconds=1))
    assert heat.doubt is None
    assert heat.heat_j == pytest.approx(TUBE.kv_max * seen.rows()[0].at_most_mas, rel=0.01)


def test_a_beam_that_began_before_the_prompt_is_not_taken_for_the_shot(
    observed: Callable[..., Observed],
) -> None:
    seen = observed("")
    seen.watching._answers = Thinking(60)
    seen.room.world.press(Dialled(kv=90.0, ma=50.0, ms=1000.0), 100_000)
    seen.run(ASKED)
    assert seen.outcomes == ["unasked", "seen"]


def test_a_room_that_falls_silent_leaves_the_shot_open_for_a_person(
    observed: Callable[..., Observed],
) -> None:
    seen = observed("")
    seen.room.world.at(500_000, lambda t_us: seen.room.world.device.power(False))
    with pytest.raises(DeviceError, match="the room I/O fell silent"):
        seen.run(ASKED)
    (row,) = seen.rows()
    assert (row.outcome, row.missing) == ("open", "dose")


@pytest.mark.parametrize("how", ["dead from the start", "refuses each request"])
def test_a_room_that_never_answers_is_told(observed: Callable[..., Observed], how: str) -> None:
    seen = observed("")
    seen.room.world.room.refuses = how != "dead from the start"
    if how == "dead from the start":
        seen.room.world.device.power(False)
    with pytest.raises(DeviceError, match="the room I/O does not answer"):
        seen.run(ASKED)
    assert seen.rows() == []


def test_a_beam_that_does_not_end_is_told_once_and_watched_on(
    observed: Callable[..., Observed],
) -> None:
    seen = observed("")
    seen.run(Setting(kv=70.0, ma=1.0, ms=12_000.0))
    assert sum("dxrig can't end them" in text for text in seen.said) == 1
    (shown,) = seen.watching.shown
    assert shown.beam is not None
    assert shown.beam.seen_us == pytest.approx(12_004_000, abs=SCAN_US)


class CtrlC:
    """At these times, in the middle of a scan."""

    def __init__(self, seen: Observed, *times_us: int) -> None:
        self._tick, self._times_us, self._seen = seen.room.tick, list(times_us), seen
        seen.room.tick = self.tick  # type: ignore[method-assign]

    def tick(self) -> tuple[Now, RoomSample]:
        if self._times_us and Now(self._seen.room.world.t_us).reached(self._times_us[0]):
            self._times_us.pop(0)
            raise KeyboardInterrupt
        return self._tick()


def test_ctrl_c_in_a_beam_watches_it_to_its_end(observed: Callable[..., Observed]) -> None:
    seen = observed("", "")
    CtrlC(seen, 760_000)
    with pytest.raises(Ended, match="--resume"):
        seen.run(ASKED, ASKED)
    assert (seen.outcomes, seen.done) == (["seen"], [])
    assert "let go of the switch" in "\n".join(seen.said)
    (row,) = seen.rows()
    assert row.outcome == "observed"


def test_a_second_ctrl_c_leaves_the_shot_open(observed: Callable[..., Observed]) -> None:
    seen = observed("")
    CtrlC(seen, 760_000, 780_000)
    with pytest.raises(Ended, match="whose end was not seen"):
        seen.run(ASKED)
    assert [row.outcome for row in seen.rows()] == ["open"]


def test_ctrl_c_before_the_beam_records_none(observed: Callable[..., Observed]) -> None:
    seen = observed("")
    CtrlC(seen, 300_000)
    with pytest.raises(Ended):
        seen.run(ASKED)
    assert [row.outcome for row in seen.rows()] == ["no beam"]


def test_nothing_that_is_observed_drives_a_line_or_causes_a_beam(
    observed: Callable[..., Observed],
) -> None:
    """Every course of events above, and none: beams are the person's, one for each press."""
    for number, (hand, answers) in enumerate(product((True, False), (("",), ("", ""), ()))):
        seen = observed(*answers, hand=hand, wait_us=1_000_000)
        with suppress(UsageError):
            seen.run(*[ASKED] * 2)
        presses_count = len(answers) if hand else 0
        assert len(seen.room.world.generator.courses) == presses_count, number
        assert seen.room.world.room.driven == []
        seen.journal.close()


@pytest.mark.wire
def test_a_real_port_shows_the_same_beam(observed: Callable[..., Observed]) -> None:
    """The room of the bench rung over TCP; its module is served between the scans."""
    with closing(ListenerLink()) as served:
        world = MakersWorld(served)
        config = BENCH.unit.room.model_copy(update={"url": f"tcp://127.0.0.1:{served.port}"})
        with closing(RealRoom(config)) as real:
            seen = observed("")
            seen.watching._room = Served(real, world)
            seen.run(ASKED)
    (shown,) = seen.watching.shown
    assert (shown.outcome, world.room.driven) == ("seen", [])
    (course,) = world.generator.courses
    assert course.off_us is not None


class Served:
    """A real room whose simulated module lives by the same clock."""

    def __init__(self, real: RealRoom, world: MakersWorld) -> None:
        self._real, self._world = real, world

    def tick(self) -> tuple[Now, RoomSample]:
        now, sample = self._real.tick()
        self._world.advance(now.t_us)
        self._world.device.poll(now)
        return now, sample

    def prompted(self, dialled: Dialled) -> None:
        self._world.press(dialled, self._world.t_us + 200_000)

    def close(self) -> None: ...


# --- as people start it ---------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    return tmp_path / "state" / "dxrig" / "observe"


def dxrig(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="dxrig")


SHOT = ("observe", "--kvp", "70", "--mas", "10", "--yes")


def test_the_answer_as_json_says_that_nothing_was_commanded(home: Path) -> None:
    done = dxrig(*SHOT, "--shots", "2", "--json")
    answer = json.loads(done.stdout)
    assert (done.exit_code, answer["commanded_by_dxrig"], answer["simulated"]) == (0, False, True)
    assert [(one["outcome"], one["how"]) for one in answer["exposures"]] == [
        ("seen", "taken as asked (--yes)")
    ] * 2
    listed = json.loads(dxrig("exposures", "list", "--bench", "observe", "--json").stdout)
    assert [one["outcome"] for one in listed["exposures"]] == ["observed"] * 2
    sheet = dxrig("exposures", "show", "1", "--bench", "observe").stdout
    assert "a person, taken as asked (--yes); not commanded by dxrig" in sheet
    assert "105 ms, by the contact lamp_current" in sheet
    assert not (home / "observe.json").exists()


def test_a_meters_import_finds_observed_shots_like_all_others(home: Path) -> None:
    dxrig(*SHOT, "--shots", "2")
    seen = shots_seen(home)
    assert [one.commanded["kv"] for one in seen] == [70.0, 70.0]
    assert [set(one.indicated.values()) for one in seen] == [{None}, {None}]
    starts = [one.start for one in seen]
    assert starts[0] is not None
    assert starts[1] is not None
    assert 700 < (starts[1] - starts[0]).total_seconds() * 1000 < 1_200


def test_a_shot_that_was_not_seen_is_exit_code_1(home: Path) -> None:
    done = dxrig(*SHOT, "--hand", "none", "--wait-s", "1", "--json")
    assert (done.exit_code, json.loads(done.stdout)["exit_code"]) == (1, 1)


def test_a_plan_that_was_broken_off_is_gone_on_with(home: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        "[[shot]]\nkvp = 60\nmas = 5\n\n[[shot]]\nkvp = 80\nma = 100\nms = 50\nshots = 2\n"
    )
    broken = CliRunner().invoke(main, ["observe", str(plan)], input="\n", prog_name="dxrig")
    assert broken.exit_code == 2  # its input ended after one Enter
    assert json.loads((home / "observe.json").read_text())["done"] == 1
    done = dxrig("observe", "--resume", "--yes", "--json")
    shown = json.loads(done.stdout)["exposures"]
    assert (done.exit_code, [one["set_by_person"]["kv"] for one in shown]) == (0, [80.0, 80.0])
    again = dxrig("observe", "--resume", "--yes")
    assert (again.exit_code, again.stderr) == (
        2, "dxrig: --resume: nothing was broken off on this bench\n",
    )  # fmt: skip


def test_a_plan_tells_all_its_mistakes(home: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text("[[shot]]\nkvp = 200\nmas = 5\n\n[[shot]]\nkvp = 80\n")
    done = dxrig("observe", str(plan), "--yes")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "shot 1: kvp = 200 kV is outside 40 to 150 kV" in done.stderr
    assert "shot 2: give mas, or ma with ms" in done.stderr
    plan.write_text("[[shot]]\nkvp = 80\nmass = 5\n")
    assert "mas" in dxrig("observe", str(plan), "--yes").stderr


@pytest.mark.parametrize(
    "command",
    [
        ("expose", "--kvp", "70", "--mas", "10", "--allow-exposure"),
        ("plan", "--kvp", "70", "--mas", "10"),
        ("demo",),
        ("sim", "up"),
        ("warmup", "--rung", "wire"),
        ("calibrate", "offset", "--operator", "A. Physicist"),
        ("io",),
        ("doctor", "--bounds"),
    ],
    ids=" ".join,
)
def test_no_other_command_makes_a_beam_on_this_bench(home: Path, command: tuple[str, ...]) -> None:
    done = dxrig(*command, "--bench", "observe")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "manual: observe only: a person sets the technique" in done.stderr


def test_the_section_and_the_driver_that_observe_need_each_other(
    home: Path, tmp_path: Path
) -> None:
    text = (ROOT / "rig/benches/observe.toml").read_text()
    file = tmp_path / "mine.toml"
    file.write_text(
        text.replace("[observe]", "").replace("beam_contact", "# ").replace("gap_ms", "# ")
    )
    assert "observe: is missing" in dxrig("config", "check", str(file)).stderr
    file.write_text(text.replace('url = "none" ', 'url = "/dev/ttyUSB0" '))
    assert 'speaks to no generator; write "none"' in dxrig("config", "check", str(file)).stderr
    portable = (ROOT / "rig/benches/portable.toml").read_text()
    file.write_text(portable + '\n[observe]\nbeam_contact = "chain"\n')
    assert 'is for driver = "manual" only' in dxrig("config", "check", str(file)).stderr
    assert dxrig("config", "check", "observe").exit_code == 0


def test_a_bench_that_dxrig_commands_is_not_observed(home: Path) -> None:
    done = dxrig(*SHOT, "--bench", "portable")
    assert done.exit_code == 2
    assert 'observing needs driver = "manual"' in done.stderr


def test_no_output_is_switched_by_hand_either(home: Path, tmp_path: Path) -> None:
    text = (
        (ROOT / "rig/benches/observe.toml")
        .read_text()
        .replace('url = "sim" ', 'url = "tcp://127.0.0.1:1" ')
    )
    real = tmp_path / "real.toml"
    real.write_text(text.replace('rung = "model"', 'rung = "bench"'))
    done = dxrig("io", "test", "contactor", "--bench", str(real), "--allow-outputs")
    assert (done.exit_code, "manual: observe only" in done.stderr) == (2, True)
    watched = dxrig(*SHOT, "--bench", str(real))
    assert watched.exit_code == 3
    assert "room I/O" in watched.stderr
