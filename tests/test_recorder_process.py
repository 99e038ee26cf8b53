"""The recorder as a process: a panel and a unit on real sockets, kills included."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from firmware_py.recorder import __main__ as program
from firmware_py.recorder.archive import differences
from firmware_py.recorder.image import maps
from firmware_py.recorder.ports import BusRecorder
from firmware_py.recorder.process import Process, ScanClock, read_config
from firmware_py.recorder.store.exposures import read_exposures
from hal.bus import BusClient
from hal.clock import WallClock
from hal.frames import PushLink
from hal.now import Now
from hal.types import ExposureReport, Intent, RecorderSample
from tests.exposures import NAMESPACE, STARTED, intent, message, report, unit_config
from tests.test_recorder import SMALL, panel_set

WITHIN_S = 20.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "bus").mkdir(mode=0o700)
    maps.save(panel_set(), tmp_path / "maps.npz")
    content = {
        "state_dir": str(tmp_path / "state"),
        "run_dir": str(tmp_path / "run"),
        "bus": f"ipc://{tmp_path}/bus/recorder",
        "data_url": f"ipc://{tmp_path}/bus/frames",
        "panel_set": str(tmp_path / "maps.npz"),
        "unit": unit_config(panel=SMALL).model_dump(),
        "started_at": STARTED.isoformat(),
        "uid_namespace": str(NAMESPACE),
        "simulated": True,
        "software": "dxrig test",
    }
    path = tmp_path / "recorder.json"
    path.write_text(json.dumps(content))
    return path


class Room:
    """A recorder process, the panel's data socket, and the unit's plug."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.content = json.loads(config.read_text())
        self.panel = PushLink(self.content["data_url"])
        self.clock = WallClock()
        self.client = BusClient(self.content["bus"])
        self.unit = BusRecorder(self.client)
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "firmware_py.recorder", str(self.config)]
        self.processes.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        return self.processes[-1]

    def until(
        self,
        wanted: Callable[[RecorderSample], bool],
        intent_: Intent | None = None,
        report_: ExposureReport | None = None,
        kept: tuple[str, ...] = (),
    ) -> RecorderSample:
        """Scan as the unit does until the recorder's sample is as wanted."""
        end_s = time.monotonic() + WITHIN_S
        while time.monotonic() < end_s:
            now = Now(self.clock.now_us())
            self.panel.read(now.t_us)
            if wanted(self.unit.read(now)):
                return self.unit.sample
            self.unit.write(now, intent_, report_, kept)
            time.sleep(0.002)
        raise AssertionError(f"not within {WITHIN_S} s: {self.unit.sample}, log: {self.log}")

    @property
    def log(self) -> str:
        path = Path(self.content["run_dir"]) / "recorder.log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self.client.close()
        self.panel.close()


@pytest.fixture
def room(config: Path) -> Iterator[Room]:
    room = Room(config)
    yield room
    room.close()


@pytest.mark.wire
def test_an_exposure_over_real_sockets_is_saved_and_replays(room: Room) -> None:
    process = room.start()
    sample = room.until(lambda sample: sample.alive)
    assert (sample.disk_ok, sample.panel_set_ok, sample.incomplete_count) == (True, True, 0)
    room.until(lambda sample: sample.intent_durable == "S1", intent())
    room.panel.write(0, message())
    room.until(lambda sample: sample.image_saved == "S1", None, report())
    folder = Path(room.content["run_dir"]) / "exposures" / "S1"
    assert differences(folder) == []
    process.terminate()
    assert process.wait(WITHIN_S) == 0
    (row,) = read_exposures(Path(room.content["state_dir"]) / "journal.db")
    assert (row.missing, row.mas) == (None, 2.013)
    assert not room.unit.read(Now(room.clock.now_us() + 600_000)).alive


@pytest.mark.wire
def test_the_compiler_is_waited_for_before_anybody_can_connect(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[int, int], bool]] = []
    socket = config.parent / "bus" / "recorder"
    monkeypatch.setattr(
        "firmware_py.recorder.process.warm_up",
        lambda shape: asked.append((shape, socket.exists())),
    )
    Process(read_config(config)).close()
    assert asked == [((64, 64), False)]


@pytest.mark.wire
def test_after_a_kill_between_intent_and_dose_the_exposure_is_completed(room: Room) -> None:
    first = room.start()
    room.until(lambda sample: sample.intent_durable == "S1", intent())
    first.kill()
    first.wait()
    room.start()
    sample = room.until(lambda sample: sample.incomplete_count == 1)
    assert sample.intent_durable is None
    room.until(lambda sample: sample.dose_saved == "S1", None, report())
    room.panel.write(0, message())
    sample = room.until(lambda sample: sample.image_saved == "S1")
    assert sample.incomplete_count == 0


@pytest.mark.wire
def test_an_exposure_that_nobody_completes_is_listed_and_acknowledged(room: Room) -> None:
    first = room.start()
    room.until(lambda sample: sample.intent_durable == "S1", intent())
    first.kill()
    first.wait()
    room.start()
    room.until(lambda sample: sample.incomplete_count == 1)
    (row,) = room.client.ask({"schema": 1, "kind": "incomplete"})["exposures"]
    assert (row["shot_id"], row["missing"]) == ("S1", "dose")
    assert row["dose"] == "unknown, at most 3 mAs"
    answer = room.client.ask(
        {"schema": 1, "kind": "acknowledge", "shot_id": "S1", "who": " ", "why": "power cut"}
    )
    assert answer["kind"] == "error"
    assert "say who does it, and why" in answer["text"]
    answer = room.client.ask(
        {"schema": 1, "kind": "acknowledge", "shot_id": "S1", "who": "Gómez", "why": "power cut"}
    )
    assert answer["kind"] == "done"
    assert room.until(lambda sample: sample.incomplete_count == 0).alive


@pytest.mark.wire
def test_a_second_recorder_is_refused_and_told_who_is_first(room: Room) -> None:
    first = room.start()
    room.until(lambda sample: sample.alive)
    second = room.start()
    _, error = second.communicate(timeout=WITHIN_S)
    assert second.returncode == 3
    assert f"recorder (process {first.pid}) writes it already" in error.decode()


@pytest.mark.wire
def test_nonsense_on_the_bus_is_answered_and_survived(room: Room) -> None:
    room.start()
    room.until(lambda sample: sample.alive)
    for question, text in (
        ({"kind": "weather"}, "is no question for the recorder"),
        ({"kind": "intent"}, "intent: must be an object, got None"),
        ({"kind": "report", "report": {"reason": "bored"}}, "is not a valid EndReason"),
        ({"kind": "intent", "intent": 5}, "intent: must be an object, got 5"),
        ({"kind": "intent", "intent": {"shot": []}}, "shot: must be an object"),
        ({"kind": "acknowledge", "shot_id": 5}, "shot_id: must be a text"),
    ):
        answer: dict[str, Any] = room.client.ask({"schema": 1, **question})
        assert answer["kind"] == "error", question
        assert text in answer["text"]
    room.until(lambda sample: sample.intent_durable == "S1", intent())


def test_the_scan_clock_follows_the_unit_and_never_goes_back() -> None:
    clock = ScanClock()
    clock.follow(5_000_000)
    first_us = clock.now_us()
    clock.follow(1_000_000)
    assert 5_000_000 <= first_us <= clock.now_us() <= 8_000_000  # us-compare: a test's bounds


@pytest.mark.parametrize(
    ("changed", "texts"),
    [
        ({"simulated": False}, ["simulated: must be true on the model rung"]),
        ({"started_at": "2026-01-02T03:04:05"}, ["started_at: Input should have timezone"]),
        ({"colour": 1}, ["colour: Extra inputs are not permitted"]),
        (
            {"uid_namespace": "none", "exam": {"sex": "X"}},
            ["uid_namespace: Input should be", "exam.sex: Input should be"],
        ),
    ],
)
def test_all_mistakes_of_the_configuration_are_told_by_name(
    config: Path, changed: dict[str, Any], texts: list[str]
) -> None:
    config.write_text(json.dumps(json.loads(config.read_text()) | changed))
    with pytest.raises(ValueError, match=r"recorder\.json|simulated") as caught:
        read_config(config)
    for text in texts:
        assert text in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"simulated": true}'])
def test_a_file_that_is_no_configuration_ends_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    path = tmp_path / "recorder.json"
    path.write_text(text)
    assert program.main([str(path)]) == 2
    assert "recorder.json: " in capsys.readouterr().err


def test_no_file_and_a_missing_file_end_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main([]) == 2
    assert capsys.readouterr().err == "usage: python -m firmware_py.recorder CONFIG.json\n"
    assert program.main([str(tmp_path / "missing.json")]) == 2
    assert "No such file" in capsys.readouterr().err
