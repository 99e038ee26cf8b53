"""The disk that forgets: what is left of files, names and renames after a cut, and as a mount."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from firmware_py.recorder.store.files import sync_folder
from rig.durability import mount
from rig.durability.forgetful import PAGE_BYTES, Forgetful, resize, sync, write_at
from rig.durability.mount import Mount, MountError, why_not
from rig.durability.trouble import Operations, Trouble

needs_fuse = pytest.mark.usefixtures("fuse")


def written(disk: Forgetful, path: str, data: bytes) -> None:
    write_at(disk.create(path), data, 0)


def test_a_file_and_its_name_are_durable_when_both_were_synced() -> None:
    disk = Forgetful()
    written(disk, "/a", b"one")
    sync(disk.file("/a"))
    sync(disk.root)
    disk.cut()
    assert bytes(disk.file("/a").now) == b"one"


def test_a_file_without_a_sync_of_its_folder_was_never_there() -> None:
    disk = Forgetful()
    written(disk, "/a", b"one")
    sync(disk.file("/a"))
    disk.cut()
    with pytest.raises(FileNotFoundError):
        disk.find("/a")


def test_a_file_without_a_sync_of_its_own_is_as_it_was_at_the_last_one() -> None:
    disk = Forgetful()
    written(disk, "/a", b"one")
    sync(disk.root)
    disk.cut()
    assert bytes(disk.file("/a").now) == b""
    write_at(disk.file("/a"), b"two", 0)
    sync(disk.file("/a"))
    write_at(disk.file("/a"), b"more", 3)
    resize(disk.file("/a"), 10)
    disk.cut()
    assert bytes(disk.file("/a").now) == b"two"


@pytest.mark.parametrize("synced", [True, False])
def test_a_rename_and_an_unlink_are_durable_with_their_folder(synced: bool) -> None:
    disk = Forgetful()
    for path in ("/part", "/old", "/gone"):
        written(disk, path, path.encode())
        sync(disk.file(path))
    sync(disk.root)
    disk.rename("/part", "/old")
    disk.remove("/gone")
    if synced:
        sync(disk.root)
    disk.cut()
    assert set(disk.root.now) == ({"old"} if synced else {"part", "old", "gone"})
    assert bytes(disk.file("/old").now) == (b"/part" if synced else b"/old")


def test_a_folder_that_nobody_synced_takes_its_files_along() -> None:
    disk = Forgetful()
    disk.mkdir("/f")
    written(disk, "/f/a", b"one")
    sync(disk.file("/f/a"))
    sync(disk.folder("/f"))
    disk.cut()
    assert disk.root.now == {}


def test_chance_keeps_some_of_what_nobody_synced_and_all_of_what_somebody_did() -> None:
    """Page by page and name by name: nothing else than the old or the new is ever found."""
    lengths, pages, names = set(), set(), set()
    for seed in range(60):
        disk = Forgetful()
        written(disk, "/a", b"o" * (2 * PAGE_BYTES))
        written(disk, "/safe", b"safe")
        for found in (disk.file("/a"), disk.file("/safe"), disk.root):
            sync(found)
        write_at(disk.file("/a"), b"n" * (3 * PAGE_BYTES), 0)
        written(disk, "/new", b"")
        disk.cut(random.Random(seed))
        assert bytes(disk.file("/safe").now) == b"safe"
        content = bytes(disk.file("/a").now)
        lengths.add(len(content))
        pages.add(content[:1] + content[PAGE_BYTES : PAGE_BYTES + 1])
        names.add("new" in disk.root.now)
    assert lengths == {2 * PAGE_BYTES, 3 * PAGE_BYTES}
    assert pages == {b"oo", b"on", b"no", b"nn"}
    assert names == {True, False}


def test_what_a_file_system_refuses_is_refused() -> None:
    disk = Forgetful()
    disk.mkdir("/f")
    written(disk, "/f/a", b"")
    with pytest.raises(FileExistsError):
        disk.mkdir("/f")
    with pytest.raises(OSError, match="not empty"):
        disk.remove("/f")
    with pytest.raises(NotADirectoryError):
        disk.folder("/f/a")
    with pytest.raises(NotADirectoryError):
        disk.find("/f/a/b")
    with pytest.raises(IsADirectoryError):
        disk.file("/f")


def test_a_folder_goes_onto_the_disk_and_comes_back_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "before/deep").mkdir(parents=True)
    (tmp_path / "before/deep/a").write_bytes(b"one")
    disk = Forgetful()
    disk.load(tmp_path / "before")
    disk.cut()
    disk.store(tmp_path / "after")
    assert (tmp_path / "after/deep/a").read_bytes() == b"one"


@pytest.mark.parametrize(("for_good", "failed"), [(False, [2]), (True, [2, 3])])
def test_the_operation_that_was_named_fails(for_good: bool, failed: list[int]) -> None:
    plan = Trouble(fail_kind="sync", fail_nth=2, error="ENOSPC", for_good=for_good)
    operations = Operations(plan)
    found = []
    for nth in (1, 2, 3):
        operations.count("write")
        try:
            operations.count("sync")
        except OSError:
            found.append(nth)
    assert found == failed
    assert operations.failed_count == len(failed)


# --- as a mount


def test_without_fuse_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(mount, "DEVICE", tmp_path / "fuse")
    assert why_not() == f"{tmp_path}/fuse is missing or not ours to use"
    (tmp_path / "fuse").touch()
    monkeypatch.setattr(mount, "TOOL", "no-such-tool")
    assert why_not() == "no-such-tool is missing (Debian package fuse3)"


@contextmanager
def mounted(
    tmp_path: Path,
    trouble: Trouble = Trouble(),  # noqa: B008 - frozen
    *,
    ordinary: bool = False,
) -> Iterator[Path]:
    with disk_of(tmp_path, trouble, ordinary=ordinary) as made:
        yield made.at


def disk_of(tmp_path: Path, trouble: Trouble, *, ordinary: bool) -> Mount:
    (tmp_path / "before").mkdir(exist_ok=True)
    before, after = tmp_path / "before", tmp_path / "after"
    return Mount(tmp_path / "mount", trouble, before=before, after=after, ordinary=ordinary)


kinds_of_disk = pytest.mark.parametrize("ordinary", [False, True])


@needs_fuse
@pytest.mark.wire
@kinds_of_disk
def test_programs_see_a_file_system(tmp_path: Path, ordinary: bool) -> None:
    with mounted(tmp_path, ordinary=ordinary) as at:
        (at / "f").mkdir()
        (at / "f/a").write_bytes(b"0123456789")
        with (at / "f/a").open("r+b") as file:
            file.seek(8)
            file.write(b"xyz")
            file.truncate(10)
        (at / "f/a").rename(at / "f/b")
        assert (at / "f/b").read_bytes() == b"01234567xy"
        assert os.listdir(at / "f") == ["b"]
        (at / "f/b").unlink()
        (at / "f").rmdir()
        assert os.listdir(at) == []
        assert os.statvfs(at).f_bavail != 0


@needs_fuse
@pytest.mark.wire
@kinds_of_disk
def test_after_the_end_nothing_is_mounted_and_only_what_was_synced_is_left(
    tmp_path: Path, ordinary: bool
) -> None:
    with mounted(tmp_path, ordinary=ordinary) as at:
        (at / "unsynced").write_bytes(b"one")
        assert str(at) in Path("/proc/mounts").read_text()
    assert str(at) not in Path("/proc/mounts").read_text()
    assert os.listdir(tmp_path / "after") == []


@needs_fuse
@pytest.mark.wire
def test_a_full_disk_is_told_to_the_program_that_writes(tmp_path: Path) -> None:
    with (
        mounted(tmp_path, Trouble(fail_kind="write", error="ENOSPC")) as at,
        pytest.raises(OSError, match="No space left on device"),
    ):
        (at / "a").write_bytes(b"one")


@needs_fuse
@pytest.mark.wire
@kinds_of_disk
def test_sqlite_keeps_its_own_word_there(tmp_path: Path, ordinary: bool) -> None:
    """WAL and FULL: somebody else's program, whose rules about syncs are known."""
    with (
        mounted(tmp_path, ordinary=ordinary) as at,
        closing(sqlite3.connect(at / "t.db")) as connection,
    ):
        (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t (n)")
        connection.execute("INSERT INTO t VALUES (7)")
        connection.commit()
        assert mode == "wal"
        os.fsync(folder := os.open(at, os.O_RDONLY))
        os.close(folder)
    with closing(sqlite3.connect(tmp_path / "after/t.db")) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(7,)]


@needs_fuse
@pytest.mark.wire
def test_a_disk_that_can_not_be_mounted_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(MountError),
        Mount(tmp_path / "m", Trouble(), before=tmp_path / "missing", after=tmp_path / "after"),
    ):
        pass


@needs_fuse
@pytest.mark.wire
def test_a_mount_goes_with_the_program_that_made_it(tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    program = f"""
import os
from pathlib import Path
from rig.durability.mount import Mount, Trouble
at = Path({str(tmp_path)!r})
with Mount(at / "mount", Trouble(), before=at / "before", after=at / "after") as disk:
    print(os.path.ismount(disk.at), flush=True)
    os.kill(os.getpid(), 9)
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, check=False, timeout=30, text=True)
    # All who had its output are gone, the disk's process with them.
    assert (done.stdout, done.returncode) == ("True\n", -9)
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


@needs_fuse
@pytest.mark.wire
@kinds_of_disk
def test_a_sync_stalls_by_whatever_name_it_is_asked_for(tmp_path: Path, ordinary: bool) -> None:
    """As long as was asked for at least, by the disk's own count."""
    with disk_of(tmp_path, Trouble(sync_stall_ms=20.0), ordinary=ordinary) as made:
        file = os.open(made.at / "a", os.O_CREAT | os.O_WRONLY)
        os.write(file, b"one")
        os.fsync(file)
        os.write(file, b"two")
        os.fdatasync(file)
        os.close(file)
        file = os.open(made.at / "a", os.O_WRONLY | os.O_DSYNC)
        os.write(file, b"three")
        os.close(file)
        sync_folder(made.at)
    assert made.counts["sync"] == len(made.stalled_ms) == 4
    assert min(made.stalled_ms) >= 20.0
    assert (tmp_path / "after/a").read_bytes() == b"threeo"


@needs_fuse
@pytest.mark.wire
def test_a_sync_that_stalls_keeps_nobody_else_waiting_on_an_ordinary_disk(tmp_path: Path) -> None:
    order: list[str] = []

    def synced(file: int) -> None:
        os.fsync(file)
        order.append("synced")

    with disk_of(tmp_path, Trouble(sync_stall_ms=1000.0), ordinary=True) as made:
        one, other = (os.open(made.at / name, os.O_CREAT | os.O_WRONLY) for name in ("a", "b"))
        thread = threading.Thread(target=synced, args=(one,))
        thread.start()
        os.write(other, b"x")
        (made.at / "c").write_bytes(b"y")
        order.append("written")
        thread.join()
        for file in (one, other):
            os.close(file)
    assert order == ["written", "synced"]
