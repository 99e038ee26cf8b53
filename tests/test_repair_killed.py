"""A repair that is killed, or whose disk fails, at each of its steps: nothing is ever lost.

The rotten file and the sound content stay findable, and a second repair ends what the first began.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rig.cli import main
from rig.exposures import quarantine
from tests.rotten import Bench, answer, told

STEPS = ("fsync", "link", "replace", "unlink", "rmdir")


class Killed(BaseException):
    """Nothing that is there for an error runs on a kill."""


class Operations:
    """Counts what changes a disk for good, and ends the `nth` of them by `raised`."""

    def __init__(self, nth: int, raised: Callable[[], BaseException], *, after: bool) -> None:
        self.count = 0
        self._nth, self._raised, self._after = nth, raised, after

    def wrap(self, patch: pytest.MonkeyPatch) -> None:
        for name in STEPS:
            patch.setattr(os, name, partial(self._do, getattr(os, name)))

    def _do(self, operation: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        self.count += 1
        if self.count == self._nth and not self._after:
            raise self._raised()
        result = operation(*arguments, **named)
        if self.count == self._nth:
            raise self._raised()
        return result


@pytest.fixture
def original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An image that is rotten, and a half of a frame."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("DXRIG_BENCH", raising=False)
    bench = Bench(tmp_path / "dxrig" / "portable")
    bench.rot("S2", "presentation.dcm")
    bench.path("S1", "frame.stream.part").write_bytes(b"DXFRAME1 half")
    shutil.copytree(tmp_path / "dxrig", tmp_path / "before")
    return bench


def again(bench: Bench, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "dxrig")
    shutil.copytree(tmp_path / "before", tmp_path / "dxrig")


def everything(bench: Bench) -> set[bytes]:
    """All content that somebody could find."""
    return {path.read_bytes() for path in bench.run.rglob("*") if path.is_file()}


def sweep(
    bench: Bench, tmp_path: Path, raised: Callable[[], BaseException], *, after: bool
) -> Iterator[int]:
    """Before or after every operation of a repair, one run each; until none is left."""
    for nth in range(1, 200):
        again(bench, tmp_path)
        operations = Operations(nth, raised, after=after)
        with pytest.MonkeyPatch.context() as patch:
            operations.wrap(patch)
            with suppress(Killed):
                CliRunner().invoke(main, ["exposures", "repair"])
        if operations.count < nth:
            assert nth > 10  # it did something
            return
        yield nth
    raise AssertionError("it never ended")


@pytest.mark.req("F79")
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_step_both_files_are_findable_and_a_second_repair_ends_it(
    original: Bench, tmp_path: Path, after: bool
) -> None:
    rotten = original.path("S2", "presentation.dcm").read_bytes()
    place = original.path("S2", "presentation.dcm")
    for nth in sweep(original, tmp_path, Killed, after=after):
        found = everything(original)
        assert {rotten, b"DXFRAME1 half"} <= found, nth
        assert place.exists(), nth  # at no time is there nothing under its name
        told("repair")
        assert original.sha256sum() == original.sums, nth
        assert sorted(original.kept()) == sorted([rotten, b"DXFRAME1 half"]), nth
        assert {event["event"] for event in original.log()} >= {"put aside"}, nth
        assert answer("repair")["findings"] == [], nth
        ended = [e["event"] for e in original.log() if e["file"].endswith("presentation.dcm")]
        assert ended in (["put aside", "replaced"], ["put aside", "as saved again"]), nth
        told("verify")


@pytest.mark.req("F79")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_at_any_step_loses_nothing_and_is_told(
    original: Bench, tmp_path: Path, number: int
) -> None:
    rotten = original.path("S2", "presentation.dcm").read_bytes()

    def failing() -> OSError:
        return OSError(number, os.strerror(number))

    for nth in sweep(original, tmp_path, failing, after=False):
        assert {rotten, b"DXFRAME1 half"} <= everything(original), nth
        told("repair")
        assert original.sha256sum() == original.sums, nth
        assert sorted(original.kept()) == sorted([rotten, b"DXFRAME1 half"]), nth
        told("verify")


@pytest.mark.req("F79")
def test_a_full_disk_is_a_row_with_a_reason_and_the_rotten_file_stays(
    original: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> str:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rotten = original.path("S2", "presentation.dcm").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(quarantine, "write_file", full)
        found = {row["file"]: row for row in answer("repair", code=1)["findings"]}
    assert found["presentation.dcm"]["why"] == (
        "no space left on device; nothing is lost. Free space, or check the disk, then repair again"
    )
    assert original.path("S2", "presentation.dcm").read_bytes() == rotten
    told("repair")
    told("verify")


def test_a_disk_that_knows_no_second_names_gets_a_copy(
    original: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    rotten = original.path("S2", "presentation.dcm").read_bytes()
    monkeypatch.setattr(os, "link", no_link)
    told("repair")
    assert sorted(original.kept()) == sorted([rotten, b"DXFRAME1 half"])
    told("verify")


def test_a_disk_that_is_mounted_for_reading_alone_is_told_before_anything_is_tried(
    original: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    text = told("repair", code=3).stderr
    assert "can't be written; nothing was changed" in text
    assert not original.quarantine.exists()
