"""What a link did in a scan, recorded and played again: reads and writes that fail, too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware_py.record import read_record
from hal.ports import LinkError
from rig.replay import replay
from rig.run_model import ModelRun
from tests.model_runs import bench, pixels, scenario


def _with_failing(link: str, call: str, folder: Path, *, nth: int) -> None:
    """A run in which the nth read or write of a link fails, and no other."""
    run = ModelRun(bench(), scenario("clean_by_mas"), folder, pixels=pixels())
    inner = getattr(run.rung._links, link)
    whole, count = getattr(inner, call), 0

    def once(*given: Any) -> Any:
        nonlocal count
        count += 1
        if count == nth:
            raise LinkError(f"{link}: the other side takes nothing")
        return whole(*given)

    setattr(inner, call, once)
    run.run()
    run.finish()


@pytest.mark.parametrize("nth", [1, 30])
@pytest.mark.parametrize("call", ["read", "write"])
@pytest.mark.parametrize("link", ["generator", "room", "panel"])
def test_a_run_with_a_failed_call_replays_equal(
    link: str, call: str, nth: int, tmp_path: Path
) -> None:
    _with_failing(link, call, tmp_path, nth=nth)
    scans = read_record(tmp_path / "record.bin")[1]
    told = [scan.failed if call == "read" else scan.not_sent for scan in scans]
    other = [scan.not_sent if call == "read" else scan.failed for scan in scans]
    assert [link in one for one in told].count(True) == 1
    assert not any(other)
    assert replay(tmp_path).differences == ()
