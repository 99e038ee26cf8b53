"""`dxrig exposures`: what a person is told of what was made, and what of it is still as it was."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from firmware_py.recorder.store.exposures import LOST
from firmware_py.recorder.store.files import write_file
from firmware_py.recorder.store.journal import Journal
from rig.cli import main

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TECHNIQUE = {"kv": 70.0, "ma": 1.0, "mas": 2.0}


class Made:
    """A bench's state with exposures in it."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.run_dir = state / "runs" / "20260102T030405Z-portable-1a2b3c"
        state.mkdir(parents=True)
        self.journal = Journal(state / "journal.db")

    def intent(self, shot_id: str, **changed: Any) -> None:
        shot = {"kind": "imaging", "technique": TECHNIQUE, "panel_id": "P-1"} | changed
        uids = {"irradiation_event": f"2.25.{int.from_bytes(shot_id.encode(), 'big')}"}
        self.journal.add_intent(
            shot_id=shot_id, at=AT, exam_id="TEST", planned_mas=2.0, maximum_mas=5.0,
            detail={"shot": shot, "uids": uids, "run_dir": str(self.run_dir)},
        )  # fmt: skip

    def dose(self, shot_id: str, mas: float | None, reason: str = "planned end") -> None:
        detail = {"kv": 70.2, "ma": 0.99, "mas": mas}
        self.journal.add_dose(
            shot_id=shot_id, at=AT, beam=True, mas=mas, reason=reason, detail=detail
        )

    def image(self, shot_id: str) -> Path:
        folder = self.run_dir / "exposures" / shot_id
        folder.mkdir(parents=True)
        names = ("frame.stream", "processing.dcm")
        files = {name: write_file(folder / name, [f"{shot_id} {name}".encode()]) for name in names}
        detail = {"folder": f"exposures/{shot_id}", "files": files}
        self.journal.add_image(shot_id=shot_id, at=AT, detail=detail)
        return folder


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Made]:
    """One that is complete, one of which nothing is known, one that was released."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("DXRIG_BENCH", raising=False)
    made = Made(tmp_path / "dxrig" / "portable")
    with closing(made.journal):
        made.intent("hand")
        made.dose("hand", 2.013)
        made.image("hand")
        made.intent("lost")
        made.dose("lost", None, LOST)
        made.intent("foot", kind="no receptor")
        made.dose("foot", 0.4, "handswitch released")
        yield made


def told(*words: str, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["exposures", *words])
    assert result.exit_code == code, result.output
    return result


def answer(*words: str, code: int = 0) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(told(*words, "--json", code=code).stdout)
    return content


# --- list and show


def test_a_list_says_how_each_exposure_ended_and_never_zero_for_an_unknown_dose(made: Made) -> None:
    lines = [re.split("  +", line) for line in told("list").stdout.splitlines()[2:]]
    assert [[*line[:2], *line[4:]] for line in lines] == [
        ["1", "hand", "complete", "2.013 mAs", "saved"],
        ["2", "lost", "unknown dose", "unknown, at most 5 mAs", "missing"],
        ["3", "foot", "aborted", "0.4 mAs", "not asked for"],
    ]


def test_a_list_for_programs_has_the_same(made: Made) -> None:
    found = answer("list", "--last", "2")["exposures"]
    assert [(one["number"], one["outcome"], one["mas"]) for one in found] == [
        (2, "unknown dose", None),
        (3, "aborted", 0.4),
    ]


def test_a_list_of_the_newest_fifty_says_how_many_are_older(made: Made) -> None:
    for number in range(50):
        made.intent(f"more-{number}")
    lines = told("list").stdout.splitlines()
    assert len(lines) == 2 + 50 + 1
    assert lines[2].split()[:2] == ["4", "more-0"]
    assert lines[-1] == "3 older ones: dxrig exposures list --all"
    assert len(told("list", "--all").stdout.splitlines()) == 2 + 53


@pytest.mark.parametrize("words", [("list",), ("show", "1")])
def test_a_look_at_the_journal_imports_nothing_heavy(made: Made, words: tuple[str, ...]) -> None:
    """It is typed often, and read over SSH."""
    heavy = ("pydantic", "numpy", "pydicom", "matplotlib")
    script = (
        f"import sys\nfrom rig.cli import main\n"
        f"try: main(['exposures', *{words!r}])\nexcept SystemExit: pass\n"
        f"print('HEAVY', [name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_a_bench_that_made_none_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert told("list").stdout == "Bench portable: no exposure yet; `dxrig expose` makes one\n"
    assert "this bench has made none" in told("show", "1", code=2).stderr
    assert told("verify").stdout == "0 exposures, 0 files: as saved\n"
    assert "nothing to export" in told("export", str(tmp_path / "out"), "--all", code=2).stderr


def test_one_exposure_is_shown_by_number_and_by_id(made: Made) -> None:
    shown = told("show", "1").stdout
    assert shown == told("show", "hand").stdout
    for words in (
        "Exposure 1, hand: complete",
        "technique  70 kV, 1 mA, 2 mAs",
        "indicated  70.2 kV, 0.99 mA, 2.013 mAs",
        "irradiation event UID  2.25.1751215716",
        str(made.run_dir / "exposures" / "hand"),
    ):
        assert words in shown


def test_a_wrong_name_is_told_with_the_nearest_one(made: Made) -> None:
    assert "no exposure 'hnad'; did you mean 'hand'?" in told("show", "hnad", code=2).stderr
    assert "there are numbers 1 to 3" in told("show", "9", code=2).stderr


def test_a_state_folder_that_was_moved_still_finds_its_files(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.journal.close()
    (tmp_path / "dxrig").rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "moved").rename(tmp_path / "elsewhere" / "dxrig")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    assert answer("show", "hand")["folder"].startswith(str(tmp_path / "elsewhere"))
    assert answer("verify")["findings"] == []


# --- verify


def test_what_is_as_it_was_saved_verifies(made: Made) -> None:
    assert told("verify").stdout == "3 exposures, 2 files: as saved\n"


@pytest.mark.parametrize("name", ["frame.stream", "processing.dcm"])
def test_one_changed_bit_is_found_and_the_file_named(made: Made, name: str) -> None:
    file = made.run_dir / "exposures" / "hand" / name
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    (found,) = answer("verify", code=1)["findings"]
    assert found == {
        "exposure": "hand",
        "what": f"{file}: is not what was saved; keep it, and check the disk",
    }
    assert answer("verify", "foot", "lost")["findings"] == []  # the others are not to blame


def test_files_that_are_gone_are_found_one_by_one_or_with_their_folder(made: Made) -> None:
    folder = made.run_dir / "exposures" / "hand"
    (folder / "frame.stream").unlink()
    (found,) = answer("verify", code=1)["findings"]
    assert found["what"] == f"{folder / 'frame.stream'}: no such file or directory"
    folder.rename(made.state / "aside")
    (found,) = answer("verify", code=1)["findings"]
    assert found["what"] == "its 2 files are not where they were saved"


def test_a_folder_that_the_journal_does_not_know_is_found(made: Made) -> None:
    stranger = made.run_dir / "exposures" / "stranger"
    stranger.mkdir()
    (found,) = answer("verify", code=1)["findings"]
    assert found == {
        "exposure": "stranger",
        "what": f"{stranger}: the journal knows no such exposure",
    }


def test_a_demo_keeps_a_journal_of_its_own_and_is_no_finding(made: Made) -> None:
    run = made.state / "runs" / "20260102T030405Z-portable-d3d3d3"
    (run / "exposures" / "demo-1").mkdir(parents=True)
    (run / "state").mkdir()
    assert answer("verify")["findings"] == []


def test_a_journal_that_is_no_journal_is_told_without_a_traceback(made: Made) -> None:
    made.journal.close()
    (made.state / "journal.db").write_bytes(b"nonsense " * 1000)
    for words in (["verify"], ["list"], ["show", "1"]):
        text = told(*words, code=3).stderr
        assert "Reading the journal" in text
        assert "Traceback" not in text


def test_a_number_that_turned_in_the_journal_is_found_and_not_taken_for_a_dose(made: Made) -> None:
    with closing(sqlite3.connect(made.state / "journal.db")) as connection, connection:
        connection.execute("UPDATE dose SET mas = 0.013 WHERE shot_id = 'hand'")
    (found,) = answer("verify", code=1)["findings"]
    assert found == {"exposure": "journal", "what": "dose of hand: is not what was written"}
    (hand, *_) = answer("list")["exposures"]
    assert (hand["outcome"], hand["missing"]) == ("damaged", "record")
    assert hand["dose"] == "not known, its record is damaged"


@pytest.mark.parametrize("change", ["detail = '{nonsense'", "detail = '[]'", "at = 'nonsense'"])
def test_a_damaged_record_is_shown_as_such_by_every_command(
    made: Made, tmp_path: Path, change: str
) -> None:
    with closing(sqlite3.connect(made.state / "journal.db")) as connection, connection:
        connection.execute(f"UPDATE intent SET {change} WHERE shot_id = 'hand'")
    assert "hand: damaged" in told("show", "hand").stdout
    assert "damaged" in told("list").stdout
    assert answer("verify", code=1)["findings"][0]["exposure"] == "journal"
    done = answer("export", str(tmp_path / "out"), "--all")
    assert (done["exposures"], done["files"]) == (3, 2)
    recovered = CliRunner().invoke(main, ["recover", "--json"])
    assert recovered.exit_code == 1, recovered.output
    missing = {one["shot_id"]: one["missing"] for one in json.loads(recovered.stdout)["open"]}
    assert missing == {"hand": "record", "lost": "dose"}


# --- export


def test_an_export_holds_files_table_and_sums_that_sha256sum_accepts(
    made: Made, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = answer("export", str(out), "--all")
    assert (done["exposures"], done["files"], done["left_out"]) == (3, 2, [])
    assert sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()) == [
        "0001-hand/frame.stream",
        "0001-hand/processing.dcm",
        "SHA256SUMS",
        "exposures.csv",
        "exposures.json",
    ]
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"], cwd=out, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    rows = (out / "exposures.csv").read_text().splitlines()
    assert rows[0].startswith("number,shot_id,at,exam_id,kind,outcome,mas,maximum_mas")
    assert rows[2].split(",")[5:8] == ["unknown dose", "", "5.0"]


def test_what_is_not_as_it_was_saved_stays_behind_and_is_told(made: Made, tmp_path: Path) -> None:
    (made.run_dir / "exposures" / "hand" / "processing.dcm").write_bytes(b"rotten")
    done = answer("export", str(tmp_path / "out"), "hand", "foot", code=1)
    assert (done["exposures"], done["files"]) == (1, 0)
    assert "processing.dcm: is not what was saved" in done["left_out"][0]
    assert not (tmp_path / "out" / "0001-hand").exists()


def test_an_export_never_writes_into_a_folder_that_has_something_in_it(
    made: Made, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "theirs.txt").write_text("theirs")
    assert "is not empty" in told("export", str(out), "--all", code=2).stderr
    assert [path.name for path in out.iterdir()] == ["theirs.txt"]


@pytest.mark.parametrize("words", [[], ["hand", "--all"], ["--last", "2", "--all"]])
def test_an_export_wants_one_choice(made: Made, tmp_path: Path, words: list[str]) -> None:
    assert "say which" in told("export", str(tmp_path / "out"), *words, code=2).stderr
