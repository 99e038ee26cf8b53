"""A repair whose power is cut at each of its steps, on a disk that forgets what was not synced."""

from __future__ import annotations

import errno
import os
import random
import shutil
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rig.durability.mount import Mount
from rig.durability.trouble import Trouble
from rig.exposures.quarantine import Quarantine

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ROTTEN, SOUND = b"rotten" * 2000, b"sound!" * 2000
PLACE = "exposures/S1/preview.png"
MOST_STEPS = 60


def repaired(tmp_path: Path, trouble: Trouble) -> bool:
    """Was the power cut? The disk is mounted for one repair; `after` is what it kept."""
    at = tmp_path / "mount"
    shutil.rmtree(tmp_path / "after", ignore_errors=True)
    mount = Mount(at, trouble, before=tmp_path / "before", after=tmp_path / "after")
    with mount as disk:
        if (pid := os.fork()) == 0:  # a cut ends whoever asked the disk for something
            with suppress(BaseException):
                kept = Quarantine(at, AT)
                kept.replace(at / PLACE, "S1", SOUND, why="rotten", how="made again")
            os._exit(0)
        os.waitpid(pid, 0)
    return disk.is_cut


def quarantined(run: Path) -> Sequence[bytes]:
    return [path.read_bytes() for path in run.glob("quarantine/S1-preview.png-*")]


@pytest.mark.usefixtures("fuse")
@pytest.mark.wire
@pytest.mark.req("F79")
@pytest.mark.parametrize("keeps", [False, True])
def test_the_rotten_file_is_on_the_disk_at_any_cut_and_the_place_is_never_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    def no_link(*_: Any) -> None:  # that disk knows no second names: copied
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", no_link)
    (tmp_path / "before" / PLACE).parent.mkdir(parents=True)
    (tmp_path / "before" / PLACE).write_bytes(ROTTEN)
    seeds = random.Random(7)
    for step in range(MOST_STEPS):
        seed = seeds.randrange(1 << 30) if keeps else None
        was_cut = repaired(tmp_path, Trouble(cut_after_count=step, keeps_seed=seed))
        after = tmp_path / "after"
        place = (after / PLACE).read_bytes()
        assert place in (ROTTEN, SOUND), (step, seed)
        assert place == ROTTEN or ROTTEN in quarantined(after), (step, seed)
        if not was_cut:
            assert place == SOUND
            assert (after / "quarantine" / "quarantine.jsonl").read_text().count("\n") == 2
            return
    raise AssertionError("it never ended")
