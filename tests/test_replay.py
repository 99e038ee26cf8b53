"""A recording run again: equal, or different at a named scan; and where two runs part."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from firmware_py.record import RecordError, ScanRecord, read_record
from rig.cli import main
from rig.diff import compare
from rig.exit_codes import CheckFailed, UsageError
from rig.replay import replay
from tests.model_runs import kept

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kept("clean_by_mas", tmp_path_factory.mktemp("recorded"))


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(recorded, tmp_path / "run"))


def _scan(folder: Path, which: Callable[[ScanRecord], bool]) -> str:
    """How a difference names the first such scan."""
    _, scans, _ = read_record(folder / "record.bin")
    index = next(index for index, scan in enumerate(scans) if which(scan))
    return f"scan {index} at {scans[index].t_us / 1000:.3f} ms: "


def _replace(path: Path, old: bytes, new: bytes, *, nth: int = 0) -> None:
    data = path.read_bytes()
    at = -1
    for _ in range(nth + 1):
        at = data.index(old, at + 1)
    path.write_bytes(data[:at] + new + data[at + len(old) :])


def test_a_recording_replays_equal(recorded: Path) -> None:
    found = replay(recorded)
    manifest = json.loads((recorded / "run.json").read_text())
    assert found.differences == ()
    assert found.scan_count == manifest["scans"]
    assert found.trace_sha256 == manifest["trace_sha256"]["trace.jsonl"]


@pytest.mark.parametrize("name", ["unit_killed_in_beam", "unit_stopped_in_beam", "off_lost_once"])
def test_so_do_killed_stopped_and_disturbed_units(name: str, tmp_path: Path) -> None:
    assert replay(kept(name, tmp_path)).differences == ()


def test_a_changed_sent_byte_is_named_with_its_scan(folder: Path) -> None:
    where = _scan(folder, lambda scan: b"ENBL1" in scan.sent.get("generator", b""))
    _replace(folder / "record.bin", b"ENBL1", b"ENBL0")
    first, *others = replay(folder).differences
    assert first == (
        f"{where}to generator sent 02 45 4e 42 4c 31 0d, recorded 02 45 4e 42 4c 30 0d"
    )
    assert [other.split(":")[0] for other in others] == ["record.bin"]


def test_a_changed_received_byte_that_the_trace_uses_is_named_with_its_scan(folder: Path) -> None:
    reply = b"ENBL1"  # the generator's answer, the second time that these bytes stand there
    where = _scan(folder, lambda scan: reply in scan.got.get("generator", b""))
    _replace(folder / "record.bin", reply, b"ENBL0", nth=1)
    first = replay(folder).differences[0]
    assert first.startswith(where)


def test_a_changed_contact_is_named_with_its_scan(folder: Path) -> None:
    trace = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
    pressed_us = next(line["t_us"] for line in trace if line.get("stage_1") is True)
    _, scans, _ = read_record(folder / "record.bin")
    index = next(index for index, scan in enumerate(scans) if scan.t_us == pressed_us)
    reply = scans[index].got["room"]
    _replace(folder / "record.bin", reply, reply[:-1] + bytes([reply[-1] ^ 0x01]))
    first = replay(folder).differences[0]
    assert first.startswith(f"scan {index} at {pressed_us / 1000:.3f} ms: ")


def test_any_other_change_in_the_record_fails_its_hash(folder: Path) -> None:
    _replace(folder / "record.bin", b'"bench": "portable"', b'"bench": "portablf"')
    (difference,) = replay(folder).differences
    assert difference.startswith("record.bin: its sha256 is ")


@pytest.mark.parametrize("seed", range(12))
def test_no_flipped_bit_of_the_record_passes_and_none_ends_in_a_traceback(
    seed: int, folder: Path
) -> None:
    chance = random.Random(seed)
    path = folder / "record.bin"
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    data[at] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    result = CliRunner().invoke(main, ["replay", str(folder)])
    assert isinstance(result.exception, SystemExit)
    assert result.exit_code == 1


def _flip_in_the_middle(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x04  # in a pixel, below bits stored in either byte
    path.write_bytes(data)


def test_a_changed_line_of_the_trace_is_named_with_its_scan(folder: Path) -> None:
    _replace(folder / "trace.jsonl", b'"ma": 0.5', b'"ma": 0.7')
    first, second = replay(folder).differences
    assert '"ma": 0.7' in first
    assert first.startswith("scan ")
    assert second.startswith("trace.jsonl: its sha256 is ")


@pytest.mark.parametrize(
    ("file", "difference"),
    [
        ("frame.stream", "can't be made again: hash: is not the md5 of the pixels that came"),
        ("processing.dcm", "clean_by_mas-1: processing.dcm: the pixels differ"),
        ("presentation.dcm", "clean_by_mas-1: presentation.dcm: the pixels differ"),
        ("preview.png", "clean_by_mas-1: preview.png: differs"),
    ],
)
def test_a_changed_picture_differs(file: str, difference: str, folder: Path) -> None:
    _flip_in_the_middle(folder / "exposures" / "clean_by_mas-1" / file)
    first, second = replay(folder).differences
    assert first.endswith(difference)
    assert second.startswith(f"exposures/clean_by_mas-1/{file}: its sha256 is ")


def test_a_record_cut_off_by_a_kill_stands_as_far_as_it_goes(folder: Path) -> None:
    """No manifest, and the last scan's lines not yet in the trace."""
    (folder / "run.json").unlink()
    record, trace = folder / "record.bin", folder / "trace.jsonl"
    data = record.read_bytes()
    record.write_bytes(data[: data.index(b"ENBL1") + 5])  # the first one is in a scan that speaks
    _, scans, _ = read_record(record)
    lines = trace.read_text().splitlines(keepends=True)
    before = [line for line in lines if json.loads(line)["t_us"] < scans[-1].t_us]
    trace.write_text("".join(before))
    shutil.rmtree(folder / "exposures")
    found = replay(folder)
    assert all(what.startswith(f"scan {len(scans) - 1} ") for what in found.differences)


def test_what_is_no_run_is_said_in_one_line(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(RecordError, match=r"no record\.bin; is this the folder of a run"):
        replay(tmp_path / "nothing")
    (folder / "run.json").write_text("{")
    (difference,) = replay(folder).differences
    assert difference == f"{folder / 'run.json'}: is no JSON; the file is damaged"
    for other in ("[]", '{"trace_sha256": {}}', '{"record_sha256": 3}'):
        (folder / "run.json").write_text(other)
        (difference,) = replay(folder).differences
        assert difference == (
            f"{folder / 'run.json'}: has no table 'record_sha256' of hashes; the file is damaged"
        )
    (folder / "record.bin").write_bytes(b"hello")
    with pytest.raises(RecordError, match=r"record\.bin: no record header"):
        replay(folder)


def test_a_file_given_as_run_is_told(folder: Path) -> None:
    result = CliRunner().invoke(main, ["replay", str(folder / "run.json")], catch_exceptions=True)
    assert result.exit_code == 2
    assert result.output == (
        f"dxrig: {folder / 'run.json'}: is a file; name the folder of a run, as {folder}\n"
    )


def test_a_record_that_ends_before_its_trace_is_told_with_the_place(folder: Path) -> None:
    """A flipped bit in an entry's size makes the rest of the file a part of that entry."""
    path = folder / "record.bin"
    _, scans, _ = read_record(path)
    data = bytearray(path.read_bytes())
    at = data.index(b"ENBL1", data.index(b"ENBL1") + 1)
    data[at - 3 : at - 1] = b"\xff\xff"  # kind, size, link, \x02 before it: 49 kB more
    path.write_bytes(data)
    left = read_record(path).scans
    first, second = replay(folder).differences
    end_ms = json.loads((folder / "trace.jsonl").read_text().splitlines()[-1])["t_us"] / 1000
    assert first == (
        f"record.bin: it can be read up to scan {len(left) - 1} at {left[-1].t_us / 1000:.3f} ms, "
        f"byte {at - 4} of {len(data)}, but the trace goes on to {end_ms:.3f} ms; "
        "the file is damaged or cut off there"
    )
    assert len(left) < len(scans)
    assert second.startswith("record.bin: its sha256 is ")


_NO_SIM = """
import sys
from importlib.abc import MetaPathFinder

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "sim":
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
from rig.cli import main
main(sys.argv[1:])
"""


def _without_sim(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", _NO_SIM, *arguments],
        capture_output=True, text=True, timeout=50, check=False, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_replay_needs_no_simulator(recorded: Path) -> None:
    done = _without_sim("replay", str(recorded), "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["schema"], answer["equal"]) == (0, 1, True)
    assert _without_sim("run", "clean_by_mas").returncode == 3  # the blocker does block


def test_the_command_says_equal_or_the_first_differing_scan(folder: Path) -> None:
    runner = CliRunner()
    result = runner.invoke(main, ["replay", str(folder)])
    assert (result.exit_code, result.output.split(":")[0]) == (0, "equal")
    where = _scan(folder, lambda scan: b"ENBL1" in scan.sent.get("generator", b""))
    _replace(folder / "record.bin", b"ENBL1", b"ENBL0")
    result = runner.invoke(main, ["replay", str(folder)])
    assert result.exit_code == 1
    assert result.output.splitlines()[1].startswith(f"  {where}to generator sent")
    assert runner.invoke(main, ["replay", str(folder / "nowhere")]).exit_code == 2
    assert runner.invoke(main, ["replay", str(folder / "exposures")]).exit_code == 1


# --- where two runs part


def test_a_run_differs_from_itself_in_nothing(recorded: Path) -> None:
    assert compare(recorded, recorded).equal


def test_the_first_differing_line_comes_with_five_lines_around_it(
    recorded: Path, folder: Path
) -> None:
    lines = (folder / "trace.jsonl").read_text().splitlines(keepends=True)
    (folder / "trace.jsonl").write_text("".join(lines[:20] + lines[21:]))
    found = compare(recorded, folder)
    assert (found.equal, found.line, found.facts) == (False, 21, ())
    assert found.a is not None
    assert found.b is not None
    assert (found.a.first_line, found.a.at, len(found.a.lines)) == (16, 5, 11)
    assert found.a.lines[:5] == found.b.lines[:5]
    assert found.b.lines[5] == found.a.lines[6]


def test_a_trace_that_ends_early_differs_where_it_ends(recorded: Path, folder: Path) -> None:
    lines = (folder / "trace.jsonl").read_text().splitlines(keepends=True)
    (folder / "trace.jsonl").write_text("".join(lines[:-1]))
    assert compare(recorded, folder).line == len(lines)
    result = CliRunner().invoke(main, ["diff", str(recorded), str(folder)])
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == f"> {len(lines):>5}  (the trace ends here)"


def test_other_facts_are_shown_and_make_a_difference(recorded: Path, folder: Path) -> None:
    _replace(folder / "run.json", b'"kv": 80.0', b'"kv": 81.0')
    result = CliRunner().invoke(main, ["diff", str(recorded), str(folder), "--json"])
    answer = json.loads(result.output)
    assert (result.exit_code, answer["line"]) == (1, None)
    assert answer["facts"] == [{"name": "technique.kv", "a": 80.0, "b": 81.0}]


def test_without_times_only_what_happened_counts(recorded: Path, folder: Path) -> None:
    trace = folder / "trace.jsonl"
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    later = [line | {"t_us": line["t_us"] + 5000} for line in lines]
    trace.write_text("".join(json.dumps(line) + "\n" for line in later))
    assert compare(recorded, folder).line == 1
    assert compare(recorded, folder, times=False).equal


def test_a_folder_without_a_run_is_refused(recorded: Path, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        compare(recorded, tmp_path / "nowhere")
    with pytest.raises(UsageError, match="no trace; is this the folder of a run"):
        compare(recorded, tmp_path)
    (folder / "trace.jsonl").write_text("{")
    with pytest.raises(CheckFailed, match="its trace can't be read"):
        compare(recorded, folder)
