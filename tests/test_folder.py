"""hal.detectors.folder: what a maker's tool drops, told apart; in virtual time."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_py.config import FolderConfig, PanelConfig
from firmware_py.recorder.folder_files import DiskFolder, folder_link
from hal.detectors.folder import LOOK_US, FolderLink, Verdict, Waiting
from hal.frame_codec import decode
from hal.ports import LinkError, PanelFrame
from rig.observe.makers_file import dicom_file, raw_file
from sim.makers_tool import Drop

STARTED_AT = datetime(2026, 1, 1, 8, 0, tzinfo=UTC)
S = 1_000_000
PANEL = PanelConfig(
    driver="folder", control_url="none", data_url="none", panel_id="MAKERS-1",
    rows_px=64, columns_px=80, pitch_mm=0.2,
)  # fmt: skip
RAW = FolderConfig(path="sim", form="raw", files="*.raw", corrected=True, header_bytes=16)
DICOM = FolderConfig(path="sim", form="dicom", files="*.dcm", corrected=True)
BEAM = Waiting(shot_id="S-1", start_us=10 * S, end_us=10 * S + 100_000)


def pixels(seed: int = 1) -> Any:
    return np.random.default_rng(seed).integers(1, 1 << 14, (64, 80), np.uint16)


def raw(seed: int = 1, **config: Any) -> bytes:
    return raw_file(pixels(seed), RAW.model_copy(update=config))


def dicom(seed: int = 1, *, at_s: float = 10.0, panel_id: str = "MAKERS-1", **more: Any) -> bytes:
    panel = PANEL.model_copy(update={"panel_id": panel_id})
    return dicom_file(pixels(seed), panel, STARTED_AT + timedelta(seconds=at_s), **more)


class Made:
    """A folder in memory, its link, and what came of it."""

    def __init__(self, config: FolderConfig = RAW, *before: Drop) -> None:
        self.t_us = 0
        self.drops = list(before)
        self.broken = False
        self.frames: list[PanelFrame] = []
        self.frame_times_us: list[int] = []
        self.link = folder_link(self, config, PANEL, STARTED_AT)

    def entries(self) -> Any:
        if self.broken:
            raise OSError(5, "Input/output error")
        return [entry for drop in self.drops if (entry := drop.entry(self.t_us)) is not None]

    def read(self, name: str) -> bytes:
        for drop in reversed(self.drops):
            entry = drop.entry(self.t_us)
            if entry is not None and entry.name == name:
                return drop.content(self.t_us)
        raise FileNotFoundError(2, "No such file or directory")

    def drop(self, data: bytes, from_s: float = 12.0, name: str = "a.raw", **facts: Any) -> Made:
        self.drops.append(Drop(name=name, data=data, from_us=round(from_s * S), **facts))
        return self

    def run(self, to_s: float) -> Made:
        while self.t_us < round(to_s * S):
            self.t_us += 50_000
            for message in self.link.read(self.t_us):
                frame = decode(message)
                assert isinstance(frame, PanelFrame)
                self.frames.append(frame)
                self.frame_times_us.append(self.t_us)
        return self

    @property
    def verdicts(self) -> list[tuple[str, Verdict]]:
        return [(aside.name, aside.verdict) for aside in self.link.asides]

    @property
    def why(self) -> str:
        return "; ".join(aside.why for aside in self.link.asides)


def awaited(config: FolderConfig = RAW, *before: Drop) -> Made:
    made = Made(config, *before).run(10.2)
    made.link.expect(BEAM)
    return made


# --- the image


@pytest.mark.parametrize("how", ["rename", "in place", "sized first"])
def test_a_whole_file_becomes_the_exposure_s_frame_however_it_was_written(how: Any) -> None:
    made = awaited().drop(raw(), how=how).run(20)
    (frame,) = made.frames
    assert (frame.shot_id, frame.panel_id) == ("S-1", "MAKERS-1")
    assert (frame.stop_us - frame.start_us, made.link.asides) == (100_000, [])
    assert frame.pixels == pixels().astype("<u2").tobytes()


def test_it_is_taken_once_it_has_not_changed_for_the_settle_time() -> None:
    """Written from 12.0 to 12.8 s, seen so at the look after it, and a second later."""
    made = awaited().drop(raw(), how="in place").run(20)
    whole_us = 12 * S + 800_000
    (taken_us,) = made.frame_times_us
    assert taken_us in range(whole_us + S, whole_us + S + 2 * LOOK_US + 1)


def test_a_slow_writer_is_waited_for() -> None:
    made = awaited().drop(raw(), how="in place", write_us=30 * S).run(60)
    (taken_us,) = made.frame_times_us
    assert (taken_us in range(43 * S, 44 * S), made.link.asides) == (True, [])


def test_bytes_in_the_other_order_are_turned() -> None:
    made = awaited(RAW.model_copy(update={"byte_order": "big"}))
    made.drop(raw(byte_order="big")).run(20)
    assert made.frames[0].pixels == pixels().astype("<u2").tobytes()


def test_a_file_of_another_order_than_declared_is_found_out_by_its_bits() -> None:
    made = awaited().drop(raw(byte_order="big")).run(20)
    assert made.verdicts == [("a.raw", Verdict.GARBAGE)]
    assert "above the 16383 of 14 bits: check byte_order" in made.why


def test_a_dicom_file_is_read_by_what_it_says() -> None:
    made = awaited(DICOM).drop(dicom(), name="a.dcm").run(20)
    assert made.frames[0].pixels == pixels().astype("<u2").tobytes()


# --- what is none: told apart, kept whole, never taken


def test_what_is_half_written_is_told_when_its_writer_has_stalled() -> None:
    made = awaited().drop(raw(), how="in place", stops_bytes=5000).run(26)
    assert (made.frames, made.link.asides) == ([], [])
    assert made.link.unfinished() == ["a.raw"]
    made.run(30)
    assert made.verdicts == [("a.raw", Verdict.HALF_WRITTEN)]
    assert made.link.asides[0].data == raw()[:5000]


def test_a_file_that_got_its_size_before_its_content_is_not_taken_half_empty() -> None:
    made = awaited().drop(raw(), how="sized first", write_us=10 * S).run(21)
    assert (made.frames, made.link.asides) == ([], [])
    made.run(30)
    assert made.frames[0].pixels == pixels().astype("<u2").tobytes()


def test_an_image_that_ends_dark_is_taken_after_the_stall_time() -> None:
    dark = pixels()
    dark[-1] = 0
    made = awaited().drop(raw_file(dark, RAW)).run(27)
    assert made.frames == []
    assert len(made.run(30).frames) == 1


@pytest.mark.parametrize("cut", [200, 3000, -1])
def test_a_cut_dicom_file_is_half_written_and_not_an_image(cut: int) -> None:
    made = awaited(DICOM).drop(dicom()[:cut], name="a.dcm").run(30)
    assert made.verdicts == [("a.dcm", Verdict.HALF_WRITTEN)]


ASIDE: dict[str, tuple[FolderConfig, str, bytes, dict[str, Any], Verdict, str]] = {
    "too long": (RAW, "a.raw", raw() + b"12", {}, Verdict.WRONG_SIZE, "10258 bytes, 10256 are nee"),
    "another matrix": (
        DICOM, "a.dcm",
        dicom_file(np.ones((80, 64), np.uint16), PANEL, STARTED_AT + timedelta(seconds=10)), {},
        Verdict.WRONG_SIZE, "80 x 64 pixels, the panel has 64 x 80",
    ),
    "written before": (
        RAW, "a.raw", raw(), {"dated_us": 7_900_000}, Verdict.EARLIER,
        "written 2.1 s before the beam of S-1",
    ),
    "acquired before": (
        DICOM, "a.dcm", dicom(at_s=-3600), {}, Verdict.EARLIER, "acquired 3610.0 s before the beam",
    ),
    "another panel's": (
        DICOM, "a.dcm", dicom(panel_id="OTHER"), {}, Verdict.OTHER_PANEL, "of panel OTHER, not of",
    ),
    "another panel's name": (
        RAW, "b-0001.img", raw(), {}, Verdict.OTHER_PANEL, "is not named *.raw",
    ),
    "no DICOM": (DICOM, "a.dcm", raw(), {}, Verdict.GARBAGE, "it is no DICOM file"),
}  # fmt: skip


@pytest.mark.parametrize("case", ASIDE)
def test_what_is_not_the_image_is_put_aside_whole_with_the_reason(case: str) -> None:
    config, name, data, facts, verdict, why = ASIDE[case]
    made = awaited(config).drop(data, name=name, **facts).run(35)
    assert (made.frames, made.verdicts) == ([], [(name, verdict)])
    assert why in made.why
    assert made.link.asides[0].data == data
    assert made.link.waiting == BEAM


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PhotometricInterpretation", "MONOCHROME1"),
        ("PixelIntensityRelationship", "LOG"),
        ("PixelRepresentation", 1),
        ("NumberOfFrames", 2),
    ],
)
def test_a_dicom_image_that_would_be_shown_wrongly_is_refused(keyword: str, value: Any) -> None:
    made = awaited(DICOM).drop(dicom(**{keyword: value}), name="a.dcm").run(20)
    assert made.verdicts == [("a.dcm", Verdict.GARBAGE)]
    assert keyword in made.why or "more than one frame" in made.why


def test_a_file_too_large_for_any_image_is_not_read() -> None:
    made = awaited().drop(bytes(40_000)).run(20)
    assert (made.verdicts, made.link.asides[0].data) == ([("a.raw", Verdict.WRONG_SIZE)], None)


def test_what_lay_there_before_is_never_taken() -> None:
    made = Made(RAW, Drop(name="old.raw", data=raw(2), from_us=0, write_us=0))
    made.link.expect(Waiting(shot_id="S-1", start_us=0, end_us=1))
    assert (made.link.before_count, made.run(30).frames, made.link.asides) == (1, [], [])


@pytest.mark.parametrize("second", ["a copy", "the same pixels in another file"])
def test_the_same_image_again_is_a_duplicate_also_for_the_next_exposure(second: str) -> None:
    again = raw() if second == "a copy" else b"other header 16B" + raw()[16:]
    made = awaited().drop(raw()).run(15)
    made.link.expect(Waiting(shot_id="S-2", start_us=15 * S, end_us=15 * S + 1))
    made.drop(again, 17.0, "b.raw").run(20)
    assert [frame.shot_id for frame in made.frames] == ["S-1"]
    assert made.verdicts == [("b.raw", Verdict.DUPLICATE)]
    assert "the same as a.raw" in made.why


def test_a_second_different_image_of_one_exposure_is_put_aside() -> None:
    made = awaited().drop(raw()).drop(raw(2), 15.0, "b.raw").run(20)
    assert [frame.shot_id for frame in made.frames] == ["S-1"]
    assert made.verdicts == [("b.raw", Verdict.SECOND)]


def test_a_file_that_is_changed_after_it_was_taken_is_told() -> None:
    made = awaited().drop(raw()).run(15)
    made.drops = [Drop(name="a.raw", data=raw(3), from_us=15 * S, write_us=0, how="in place")]
    assert made.run(20).verdicts == [("a.raw", Verdict.SECOND)]


def test_an_image_that_nobody_waits_for_is_unasked() -> None:
    assert Made().drop(raw()).run(20).verdicts == [("a.raw", Verdict.UNASKED)]


def test_the_image_of_an_unknown_beam_is_not_the_next_one_s() -> None:
    made = Made().run(10)
    made.link.expect(Waiting(shot_id="U-1", start_us=9 * S, end_us=9 * S, asked=False))
    made.drop(raw()).run(15)
    assert made.verdicts == [("a.raw", Verdict.UNASKED)]
    assert "of U-1, a beam that nobody was asked for" in made.why


# --- an image that never came


def missed(config: FolderConfig) -> Made:
    made = awaited(config).run(70)
    made.link.expect(None)
    made.link.expect(Waiting(shot_id="S-2", start_us=70 * S, end_us=70 * S))
    return made


@pytest.mark.req("F37")
def test_after_a_missed_image_one_without_a_date_is_nobody_s() -> None:
    made = missed(RAW).drop(raw(), 72.0).run(80)
    assert (made.frames, made.verdicts) == ([], [("a.raw", Verdict.UNASKED)])
    assert "it may be of S-1, whose image never came, or of S-2" in made.why


@pytest.mark.req("F37")
def test_after_a_missed_image_one_with_a_date_is_told_by_it() -> None:
    made = missed(DICOM).drop(dicom(1, at_s=10.0), 72.0, "a.dcm").run(74)
    made.drop(dicom(2, at_s=70.0), 75.0, "b.dcm").run(80)
    assert made.verdicts == [("a.dcm", Verdict.EARLIER)]
    assert [frame.shot_id for frame in made.frames] == ["S-2"]


# --- the folder itself


def test_a_share_that_is_gone_is_a_link_error_and_comes_back() -> None:
    made = awaited()
    made.broken = True
    with pytest.raises(LinkError, match="can't be listed: Input/output error"):
        made.link.read(made.t_us + LOOK_US)
    with pytest.raises(LinkError, match="can't be listed"):  # nobody has looked again yet
        made.link.read(made.t_us + LOOK_US + 1)
    made.broken, made.t_us = False, made.t_us + 2 * LOOK_US - 50_000
    assert len(made.drop(raw()).run(20).frames) == 1


def on_disk(path: Path) -> tuple[FolderLink, DiskFolder]:
    folder = DiskFolder(path, STARTED_AT)
    return folder_link(folder, RAW, PANEL, STARTED_AT), folder


def test_a_real_folder_shows_its_plain_files_with_their_dates(tmp_path: Path) -> None:
    link, folder = on_disk(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").write_bytes(b"1")
    (tmp_path / "link.raw").symlink_to(tmp_path / ".hidden")
    (tmp_path / "a.raw").write_bytes(raw())
    stamp = (STARTED_AT + timedelta(seconds=12)).timestamp()
    os.utime(tmp_path / "a.raw", (stamp, stamp))
    (entry,) = folder.entries()
    assert (entry.name, entry.size_bytes, entry.changed_us) == ("a.raw", 10_256, 12 * S)
    link.expect(BEAM)
    messages = [message for t_s in range(13, 17) for message in link.read(t_s * S)]
    assert len(messages) == 1
    assert (tmp_path / "a.raw").read_bytes() == raw()  # nothing of the maker's is touched


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="can't be listed: No such file or directory"):
        on_disk(tmp_path / "none")
