"""A disk that fills up under a routine is told as that, and costs no step."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rig.cli import main
from rig.exit_codes import DEVICE
from rig.routines import progress
from rig.routines.progress import Progress, load


def test_a_full_disk_ends_it_with_a_sentence_and_it_goes_on_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = Progress.save
    calls = 0

    def full(self: Progress, state: Path) -> None:
        nonlocal calls
        calls += 1
        if calls > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        save(self, state)

    monkeypatch.setattr(progress.Progress, "save", full)
    told = offset(tmp_path)
    assert told.exit_code == DEVICE
    assert "no space left on device; free space and run it again" in told.stderr
    kept = load(tmp_path, "offset")
    assert kept is not None
    done_count = len(kept.results)
    assert done_count >= 1

    monkeypatch.undo()
    again = offset(tmp_path, "--progress", "plain")
    assert again.exit_code == 0, again.stderr
    assert f"goes on with {kept.routine_id} after {done_count} steps" in again.stderr


def offset(state: Path, *options: str) -> Any:
    command = ("calibrate", "offset", "--rung", "model", "--state", str(state), *options)
    return CliRunner().invoke(main, command)
