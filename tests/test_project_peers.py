"""A judge that is not installed never looks like a judge that agreed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from rig.durability import mount
from tests.conftest import missing_peers
from tests.peers import (
    MISSING,
    PACKAGES,
    require_beside,
    require_fuse,
    require_library,
    require_peer,
    require_spekpy,
)
from tests.project import ROOT


def skipped(reason: str) -> pytest.TestReport:
    return pytest.TestReport(
        "test_it", ("", 0, ""), {}, "skipped", ("test_it.py", 1, f"Skipped: {reason}"), "setup"
    )


def test_a_peer_that_is_there_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _, name = sys.executable.rpartition("/")
    monkeypatch.setenv("PATH", folder)
    assert require_peer(name) == sys.executable


def test_a_missing_peer_skips_and_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("DXRIG_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"dciodvfy \(apt install dicom3tools\)"):
        require_peer("dciodvfy")


def test_a_missing_peer_fails_where_peers_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("DXRIG_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="peer missing: mbpoll"):
        require_peer("mbpoll")


def test_a_disk_that_can_not_be_mounted_is_counted_and_its_programs_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DXRIG_REQUIRE_PEERS", "1")
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/nowhere")
        with pytest.raises(pytest.fail.Exception, match=r"fusermount3 \(apt install fuse3\)"):
            require_fuse()
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    monkeypatch.setattr(mount, "DEVICE", ROOT / "no-such-device")
    with pytest.raises(pytest.skip.Exception, match=f"{MISSING}power cuts .*is missing"):
        require_fuse()


def test_ci_installs_every_peer_that_a_test_may_ask_for() -> None:
    script = (ROOT / ".ci" / "run").read_text()
    assert [p for p in sorted(set(PACKAGES.values())) if f" {p}\n" not in script] == []


def test_the_closing_line_counts_missing_peers_and_no_other_skips() -> None:
    reports = [
        skipped(f"{MISSING}mbpoll (apt install mbpoll)"),
        skipped(f"{MISSING}dciodvfy (apt install dicom3tools)"),
        skipped(f"{MISSING}mbpoll (apt install mbpoll)"),
        skipped("needs the bench rung"),
    ]
    assert missing_peers(reports) == (
        "3 tests skipped because a peer is missing: "
        "1 x dciodvfy (apt install dicom3tools); 2 x mbpoll (apt install mbpoll)"
    )


def test_spekpy_is_taken_from_beside_the_environment_or_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.peers.BESIDE", tmp_path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("DXRIG_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="peer missing: spekpy"):
        require_spekpy(monkeypatch)
    (tmp_path / "spekpy").mkdir()
    require_spekpy(monkeypatch)
    assert sys.path[-1] == str(tmp_path)


def test_a_run_that_missed_nobody_says_so() -> None:
    assert missing_peers([]) == "0 tests skipped because a peer is missing"


def test_what_stands_beside_the_environment_is_asked_for_like_any_peer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tests.peers.BESIDE", tmp_path)
    monkeypatch.delenv("DXRIG_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match=r"peer missing: pymeasure \(pip install"):
        require_beside("pymeasure")
    monkeypatch.setenv("DXRIG_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="peer missing: pymeasure"):
        require_beside("pymeasure")
    assert "-r tests/peers.lock" in (ROOT / ".ci" / "run").read_text()


def test_a_package_that_is_missing_is_skipped_here_and_fails_where_peers_are_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DXRIG_REQUIRE_PEERS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="peer missing: no_such_package"):
        require_library("no_such_package")
    monkeypatch.setenv("DXRIG_REQUIRE_PEERS", "1")
    with pytest.raises(pytest.fail.Exception, match="peer missing: no_such_package"):
        require_library("no_such_package")
