"""What outlives a run: where it lies, who may read it, and one owner per bench."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from rig.bench_lock import Owner, hold_bench, owner_of
from rig.exit_codes import DeviceError, UsageError
from rig.state_dir import bench_state, fresh_state, run_folder, state_home, write_private


@pytest.fixture(autouse=True)
def _state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- folders ---------------------------------------------------------------------------------


def test_a_bench_has_a_private_folder_of_its_own(tmp_path: Path) -> None:
    folder = bench_state("portable")
    assert folder == tmp_path / "state" / "dxrig" / "portable"
    assert mode_of(folder) == 0o700


def test_a_state_folder_that_others_could_read_is_closed_again() -> None:
    folder = bench_state("portable")
    folder.chmod(0o755)
    assert mode_of(bench_state("portable")) == 0o700


def test_a_relative_state_home_is_ignored(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_home() == tmp_path / ".local" / "state" / "dxrig"


def test_a_state_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file is in the way")
    with pytest.raises(UsageError) as told:
        bench_state("portable")
    where = tmp_path / "state" / "dxrig" / "portable"
    assert str(told.value) == (
        f"{where}: can't be used (not a directory); set XDG_STATE_HOME to a folder of yours"
    )


def test_a_state_folder_without_permission_to_write_is_the_users_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Asked of the system: whoever runs the tests as root may write anywhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UsageError, match="can't be used \\(permission denied\\)"):
        bench_state("portable")


def test_fresh_state_stays_with_its_run_and_else_is_thrown_away(tmp_path: Path) -> None:
    with fresh_state(tmp_path / "run") as kept:
        (kept / "journal").touch()
    with fresh_state() as thrown:
        assert mode_of(thrown) == 0o700
    assert (tmp_path / "run" / "state" / "journal").exists()
    assert not thrown.exists()


def test_a_run_folder_says_when_and_where_in_utc(tmp_path: Path) -> None:
    started = datetime(2026, 11, 21, 21, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    folder = run_folder(tmp_path / "runs", "portable", started, "1a2b3c")
    assert folder == tmp_path / "runs" / "20261121T200405Z-portable-1a2b3c"
    assert mode_of(folder) == 0o700


def test_a_run_never_overwrites_another(tmp_path: Path) -> None:
    started = datetime(2026, 11, 21, tzinfo=UTC)
    folder = run_folder(tmp_path, "portable", started, "1a2b3c")
    with pytest.raises(DeviceError) as told:
        run_folder(tmp_path, "portable", started, "1a2b3c")
    assert str(told.value) == f"{folder}: exists already; a run never overwrites another"


def test_a_private_file_is_whole_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    write_private(file, "old")
    write_private(file, "new")
    assert file.read_text() == "new"
    assert mode_of(file) == 0o600
    assert list(tmp_path.iterdir()) == [file]


# --- one owner -------------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from rig.bench_lock import hold_bench
with hold_bench(Path(sys.argv[1]), "dxrig run door_opens"):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(state: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str], number: signal.Signals) -> None:
    process.send_signal(number)
    process.communicate()


def test_the_owner_is_named_while_it_holds_the_bench() -> None:
    state = bench_state("portable")
    with hold_bench(state, "dxrig sim up") as owner:
        assert owner_of(state) == owner
        assert (owner.pid, owner.command) == (os.getpid(), "dxrig sim up")
        assert mode_of(state / "owner.json") == 0o600
    assert owner_of(state) is None


def test_a_second_owner_is_refused_with_the_name_of_the_first() -> None:
    state = bench_state("portable")
    first = holder(state)
    try:
        since = owner_of(state)
        with pytest.raises(DeviceError) as told, hold_bench(state, "dxrig expose"):
            pass
    finally:
        end(first, signal.SIGTERM)
    assert isinstance(since, Owner)
    assert str(told.value) == (
        f"bench portable is in use by `dxrig run door_opens` "
        f"(process {first.pid}, since {since.since}); end that first"
    )


def test_the_bench_of_a_killed_process_is_free_at_once() -> None:
    state = bench_state("portable")
    first = holder(state)
    end(first, signal.SIGKILL)
    left = owner_of(state)
    assert left is not None
    assert left.pid == first.pid
    with hold_bench(state, "dxrig expose") as owner:
        assert owner_of(state) == owner


def test_a_bench_is_let_go_when_its_owner_fails() -> None:
    state = bench_state("portable")
    with pytest.raises(KeyError), hold_bench(state, "dxrig run"):
        raise KeyError
    with hold_bench(state, "dxrig run"):
        pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', '{"pid": 1}', "\x00"])
def test_an_owner_file_that_is_nonsense_names_nobody(text: str) -> None:
    state = bench_state("portable")
    (state / "owner.json").write_text(text)
    assert owner_of(state) is None


def test_two_benches_have_two_owners() -> None:
    with hold_bench(bench_state("portable"), "a"), hold_bench(bench_state("mobile"), "b"):
        assert owner_of(bench_state("portable")) != owner_of(bench_state("mobile"))
