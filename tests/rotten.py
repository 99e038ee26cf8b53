"""A bench's state with real exposures in it, made by the real recorder, that a test lets rot."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from firmware_py.recorder.archive import Archive
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.store.journal import Journal
from rig.cli import main
from tests.exposures import NAMESPACE, STARTED, intent, message, report, unit_config
from tests.test_recorder import SMALL, panel_set, setup

SHOTS = ("S1", "S2", "S3")
FILES = ("frame.stream", "exposure.json", "processing.dcm", "presentation.dcm", "preview.png")
IMAGES = FILES[2:]
US = timedelta(microseconds=1)


class Bench:
    """Three exposures one after the other: each has the lag of those before in it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.run = state / "runs" / "20260102T030405Z-portable-1a2b3c"
        (self.run / "work").mkdir(parents=True)
        maps = panel_set(lag=(0.02, 0.01))
        with closing(Journal(state / "journal.db")) as journal:
            recorder = Recorder(setup(), journal, archive=Archive(self.run, maps))
            for number, shot_id in enumerate(SHOTS):
                recorder.intent(intent(shot_id, at_us=1_000_000 + 2_000_000 * number))
                recorder.report(report(shot_id))
                times = {"start_us": 1_000_000, "stop_us": 2_000_000}
                recorder.frame(message(shot_id, **times), 2_500_000 + 2_000_000 * number)
            assert not recorder.told, recorder.told
        self._write_setup()
        self.sums = self.sha256sum()

    @property
    def quarantine(self) -> Path:
        return self.run / "quarantine"

    def path(self, shot_id: str, name: str) -> Path:
        return self.run / "exposures" / shot_id / name

    def rot(self, shot_id: str, name: str, at: float = 0.5) -> bytes:
        """One bit is turned, `at` of the file's length; the whole file afterwards."""
        return flip(self.path(shot_id, name), at)

    def sha256sum(self) -> dict[str, str]:
        """By somebody else's program: each file of each exposure, and the maps."""
        paths = sorted(p for p in self.run.rglob("*") if p.is_file())
        own = [p for p in paths if p.parts[-2] in SHOTS or p.name.startswith("panel-set-")]
        told = subprocess.run(
            ["sha256sum", *map(str, own)], check=True, capture_output=True, text=True
        ).stdout
        lines = (line.split("  ", 1) for line in told.splitlines())
        return {str(Path(name).relative_to(self.run)): sha256 for sha256, name in lines}

    def log(self) -> list[dict[str, Any]]:
        text = (self.quarantine / "quarantine.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]

    def kept(self) -> list[bytes]:
        """The content of all that is in quarantine."""
        paths = sorted(self.quarantine.iterdir()) if self.quarantine.exists() else []
        return [path.read_bytes() for path in paths if path.name != "quarantine.jsonl"]

    def _write_setup(self) -> None:
        """As the session hands it to the recorder's process."""
        config = {
            "state_dir": str(self.state), "run_dir": str(self.run), "bus": "ipc:///nowhere",
            "data_url": "ipc:///nowhere", "simulated": True, "software": "dxrig test",
            "unit": unit_config(panel=SMALL).model_dump(mode="json"),
            "started_at": STARTED.isoformat(), "uid_namespace": str(NAMESPACE),
        }  # fmt: skip
        (self.run / "work" / "recorder.json").write_text(json.dumps(config), encoding="utf-8")


def flip(path: Path, at: float = 0.5) -> bytes:
    data = bytearray(path.read_bytes())
    data[int(at * (len(data) - 1))] ^= 4
    path.write_bytes(data)
    return bytes(data)


def told(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["exposures", *words])
    assert result.exit_code == code, result.output
    return result


def answer(*words: str, code: int = 0) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(told(*words, "--json", code=code).stdout)
    return content
