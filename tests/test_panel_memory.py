"""A frame stays in the panel until its image is saved, and is fetched again from there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid5

import pytest

from firmware_py.recorder.messages import sample_from_dict, sample_to_dict
from firmware_py.recorder.ports import BusRecorder
from firmware_py.recorder.recorder import Recorder
from firmware_py.recorder.store.database import MEMORY
from firmware_py.recorder.store.exposures import LOST
from firmware_py.recorder.store.journal import Journal
from hal.now import Now
from hal.types import EndReason, RecorderSample
from rig.judge import Seen
from rig.run_model import ModelRun
from rig.scenario import StepSection, UntilSection
from tests import model_runs
from tests.exposures import NAMESPACE, STARTED, intent, message, report
from tests.test_recorder import MS, FakeBus, Inline, Rig

Step = tuple[str, float, str, dict[str, Any]]  # event, after ms, verb, arguments


# --- a whole unit on the model rung


def run(*steps: Step, until: str = "STANDBY") -> tuple[ModelRun, Seen]:
    """A clean exposure by mAs, and what goes wrong with its frame."""
    clean = model_runs.scenario("clean_by_mas")
    wrong = [
        StepSection(event=event, after_ms=after_ms, do=verb, args=args)
        for event, after_ms, verb, args in steps
    ]
    ended = {
        "STANDBY": clean.until,
        "FAULT": UntilSection(event="FAULT", nth=1),
        "STANDBY after FAULT": UntilSection(event="STANDBY", nth=2, after_ms=3_000),
    }[until]
    changed = {"step": [*wrong, *clean.step], "until": ended, "deadline_s": 60.0}
    return model_runs.run(clean.model_copy(update=changed))


def first(seen: Seen, kind: str, **facts: object) -> Any:
    """When the trace first says so."""
    return next(
        line["t_us"]
        for line in seen.lines
        if line["kind"] == kind and facts.items() <= line.items()
    )


def panel(event: str, after_ms: float, **args: Any) -> Step:
    return (event, after_ms, "panel", args)


SHOT = "clean_by_mas-1"


@pytest.mark.req("SR-56")
def test_the_panel_forgets_a_frame_one_scan_after_its_image_is_saved_and_not_before() -> None:
    _, seen = run()
    kept_us = first(seen, "panel", kept=[SHOT])
    saved_us = first(seen, "recorder", image_saved=SHOT)
    freed_us = next(
        line["t_us"]
        for line in seen.lines
        if line["kind"] == "panel" and line.get("kept") == [] and line["t_us"] > kept_us
    )
    assert (saved_us - kept_us, freed_us - saved_us) == (40 * MS, 5 * MS)


@pytest.mark.req("SR-56")
def test_over_a_weak_radio_the_image_is_late_and_there_is_one_of_it() -> None:
    """131 kB at 0.3 Mbit/s: three seconds and a half."""
    plain, late = run()[1], run(panel("start", 0, link_mbit_per_s=0.3))[1]
    saved_us = [first(seen, "recorder", image_saved=SHOT) for seen in (plain, late)]
    assert saved_us[1] - saved_us[0] == pytest.approx(8 * 131_072 / 0.3, rel=0.02)
    assert late.image_count == 1


@pytest.mark.req("SR-56")
def test_a_radio_so_weak_that_no_frame_comes_in_time_leaves_it_in_the_memory() -> None:
    made, seen = run(panel("start", 0, link_mbit_per_s=0.05), until="FAULT")
    assert first(seen, "state", to="FAULT", faults=["FRAME_MISSING"])
    assert made.rung.world.panel.kept() == (SHOT,)


@pytest.mark.req("SR-56", "F35")
def test_a_frame_that_never_comes_whole_is_asked_for_three_times_and_then_missing() -> None:
    made, seen = run(panel("start", 0, damaged_frames=True), until="FAULT")
    assert (seen.faults(), seen.image_count, len(seen.beams)) == (["FRAME_MISSING"], 0, 1)
    kept_us = first(seen, "panel", kept=[SHOT])
    given_up_us = first(seen, "panel", given_up=[SHOT])
    assert given_up_us - kept_us == 6_000 * MS  # the frame by itself, then three tries
    assert first(seen, "state", to="FAULT") == given_up_us
    assert made.rung.world.panel.kept() == (SHOT,)  # and it is still there


@pytest.mark.req("SR-56", "F35")
@pytest.mark.parametrize(("healed_ms", "tries"), [(900, 1), (1_900, 2), (3_400, 3)])
def test_each_of_the_three_tries_can_bring_the_frame(healed_ms: float, tries: int) -> None:
    healed = panel("READOUT", healed_ms, damaged_frames=False)
    _, seen = run(panel("start", 0, damaged_frames=True), healed)
    assert (seen.faults(), seen.image_count, len(seen.beams)) == ([], 1, 1)
    took_us = first(seen, "recorder", image_saved=SHOT) - first(seen, "panel", kept=[SHOT])
    # asked for every 1.5 s; a scan for the frame's way, and the recorder's 40 ms
    assert took_us == (tries * 1_500 + 5 + 40) * MS


@pytest.mark.req("SR-56")
def test_a_frame_whose_line_was_dead_comes_from_the_memory_in_the_same_read_out() -> None:
    """`drop_frame`: the panel counts and keeps it, and nobody ever hears of it."""
    _, seen = run(panel("start", 0, drop_frame=True), panel("READOUT", 900, drop_frame=False))
    assert (seen.faults(), seen.image_count, len(seen.beams)) == ([], 1, 1)


@pytest.mark.req("SR-56")
@pytest.mark.parametrize(
    ("wrong", "right", "told"),
    [
        ({"short_frame": 1000}, {"short_frame": 0}, "frame of a wrong length (the pixels have "),
        ({"long_frame_bytes": 2}, {"long_frame_bytes": 0}, "frame of a wrong length (the pixels"),
        ({"damaged_frames": True}, {"damaged_frames": False}, "damaged frame (hash: "),
        ({"frame_of_before": True}, {"frame_of_before": False},
         "frame of BEFORE-POWER-UP, an exposure that is not ours"),
        ({"wrong_id": "OTHER-PANEL"}, {"wrong_id": "SIM-PANEL-1"},
         f"frame of {SHOT} by another panel, OTHER-PANEL"),
        ({"repeated_frames": True}, {"repeated_frames": False}, f"frame of {SHOT} came twice"),
    ],
    ids=["short", "long", "corrupt", "of the exposure before", "of another panel", "twice"],
)  # fmt: skip
def test_each_wrong_frame_is_told_by_its_own_words_and_the_memory_has_the_right_one(
    wrong: dict[str, Any], right: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words: list[str] = []
    monkeypatch.setattr(Recorder, "_stray", _noting(words, Recorder._stray))
    monkeypatch.setattr(Recorder, "_twice", _noting_twice(words, Recorder._twice))
    _, seen = run(panel("READOUT", 0, **wrong), panel("READOUT", 900, **right))
    assert (seen.faults(), seen.image_count, len(seen.beams)) == ([], 1, 1)
    assert words[0].startswith(told)


def _noting(words: list[str], honest: Any) -> Any:
    def stray(self: Recorder, message: list[bytes], what: str) -> None:
        words.append(what)
        honest(self, message, what)

    return stray


def _noting_twice(words: list[str], honest: Any) -> Any:
    def twice(self: Recorder, shot_id: str) -> str:
        words.append(honest(self, shot_id))
        return words[-1]

    return twice


@pytest.mark.req("SR-56", "F32")
def test_a_panel_that_loses_power_after_its_read_out_still_has_the_frame_when_it_is_back() -> None:
    """Its battery is changed within the ten seconds of READOUT."""
    _, seen = run(
        panel("start", 0, drop_frame=True),
        ("READOUT", 600, "power off", {"device": "panel"}),
        ("READOUT", 1_500, "power on", {"device": "panel"}),
        panel("READOUT", 1_500, drop_frame=False),
    )
    assert (seen.faults(), seen.image_count, len(seen.beams)) == ([], 1, 1)


@pytest.mark.req("SR-56", "F37")
def test_a_frame_of_the_exposure_before_is_put_aside_and_the_right_one_fetched() -> None:
    _, seen = run(panel("start", 0, frame_of_before=True))
    assert (seen.faults(), seen.image_count) == ([], 1)


@pytest.mark.req("SR-56")
@pytest.mark.parametrize("mended", [False, True])
def test_after_a_lost_frame_a_press_is_refused_until_it_is_fetched(mended: bool) -> None:
    """A reset by a person begins the tries anew: the line may have been mended."""
    mends = [panel("FAULT", 200, damaged_frames=False)] if mended else []
    _, seen = run(
        panel("start", 0, damaged_frames=True),
        *mends,
        ("FAULT", 500, "press reset", {}),
        ("FAULT", 600, "release reset", {}),
        ("FAULT", 2_000, "press", {"stage": 1}),
        ("FAULT", 2_500, "release", {}),
        until="STANDBY after FAULT",
    )
    refused = [line["because"] for line in seen.lines if line["kind"] == "refused"]
    assert (seen.image_count, len(seen.beams)) == (int(mended), 1)
    assert refused == [["SHOT_USED"] if mended else ["INCOMPLETE_EXPOSURE", "SHOT_USED"]]


# --- what the recorder says of them


def said(rig: Rig) -> tuple[tuple[str, ...], tuple[str, ...]]:
    sample = rig.sample()
    return sample.frames_safe, sample.frames_wanted


def test_a_frame_is_wanted_until_it_is_here_and_safe_when_its_image_is_saved(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path)
    rig.recorder.intent(intent())
    rig.recorder.kept(("S1",))
    assert said(rig) == ((), ("S1",))
    rig.recorder.frame(message(), 0)
    assert said(rig) == ((), ())  # on the disk, but its dose is not known: the panel keeps it
    rig.recorder.report(report())
    assert said(rig) == (("S1",), ())
    rig.recorder.kept(())
    assert said(rig) == ((), ())


def test_a_frame_that_could_not_be_written_is_wanted_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = Rig(tmp_path)
    rig.recorder.intent(intent())
    rig.recorder.kept(("S1",))
    with monkeypatch.context() as full:

        def no_room(*_: object) -> None:
            raise OSError(28, "No space left on device")

        full.setattr("firmware_py.recorder.archive.Archive.keep_frame", no_room)
        rig.recorder.frame(message(), 0)
    assert said(rig) == ((), ("S1",))
    rig.recorder.frame(message(), 0)
    rig.recorder.report(report())
    assert said(rig) == (("S1",), ())


def test_a_frame_of_no_beam_may_go_and_one_of_an_unknown_shot_is_not_ours_to_free(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path)
    rig.recorder.intent(intent())
    rig.recorder.report(report(beam=False, mas=0.0, reason=EndReason.NO_BEAM))
    rig.recorder.kept(("S1", "somebody-elses"))
    assert said(rig) == (("S1",), ())


@pytest.mark.parametrize("imaged", [True, False])
def test_a_frame_of_an_earlier_run_may_go_only_if_its_image_is_saved(
    tmp_path: Path, imaged: bool
) -> None:
    """Without one it stays for `dxrig recover --fetch`, whoever has acknowledged what."""
    journal = Journal(MEMORY, durable=False)
    before = Rig(tmp_path / "before", journal=journal)
    before.recorder.intent(intent())
    before.recorder.report(report())
    if imaged:
        before.recorder.frame(message(), 0)
    after = Rig(tmp_path / "after", journal=journal, uid_namespace=uuid5(NAMESPACE, "another run"))
    after.recorder.kept(("S1",))
    assert said(after) == ((("S1",) if imaged else ()), ())


def test_a_lost_dose_as_versions_before_wrote_it_gets_its_image_too(tmp_path: Path) -> None:
    journal = Journal(MEMORY, durable=False)
    Rig(tmp_path, journal=journal).recorder.intent(intent())
    journal.add_dose(
        shot_id="S1", at=STARTED, beam=True, mas=None, reason=LOST, detail={"maximum_mas": 3.0}
    )
    later = Rig(tmp_path, journal=journal)
    later.recorder.kept(("S1",))
    assert said(later) == ((), ("S1",))
    later.recorder.frame(message(), 0)
    assert said(later) == (("S1",), ())
    (row,) = journal.exposures()
    assert (row.outcome, row.image is not None) == ("unknown dose", True)


def test_a_stray_that_is_sent_again_is_kept_aside_once(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    for _ in range(3):
        rig.recorder.frame(message("not-ours"), 0)
    assert [path.name for path in (tmp_path / "exposures").iterdir()] == ["stray-0001.raw"]
    assert rig.told.count("came again, and is kept aside already") == 2


def test_the_verdicts_show_with_the_image_and_not_before() -> None:
    inline = Inline()
    inline.write(0, intent(), kept=("S1",))
    assert inline.read(0).frames_wanted == ("S1",)
    inline.panel.write(10 * MS, message())
    inline.read(10 * MS)
    inline.write(20 * MS, None, report(), kept=("S1",))
    assert inline.read(59_999).frames_safe == ()
    assert inline.read(60 * MS).frames_safe == ("S1",)


# --- over the bus


def kept_told(bus: FakeBus) -> list[Sequence[str]]:
    return [sent["shots"] for sent in bus.sent if sent["kind"] == "kept"]


def test_what_the_panel_keeps_is_told_at_once_and_every_second_while_there_is_any() -> None:
    bus = FakeBus()
    port = BusRecorder(bus)
    for t_us in range(0, 2_500 * MS, 5 * MS):
        port.write(Now(t_us), None, None, ("S1",) if t_us >= 100 * MS else ())
    assert kept_told(bus) == [["S1"]] * 3
    for t_us in range(2_500 * MS, 9_000 * MS, 5 * MS):
        port.write(Now(t_us), None, None, ())
    assert kept_told(bus)[3:] == [[]]


def test_the_lists_of_a_sample_cross_the_bus_as_they_were() -> None:
    sample = RecorderSample(taken_us=5, frames_safe=("S1", "S2"), frames_wanted=("S3",))
    assert sample_from_dict(sample_to_dict(sample) | {"frames_safe": ["S1", "S2"]}, taken_us=5) == (
        sample
    )
    for wrong in ("S1", [1], [["S1"]], None):
        with pytest.raises(ValueError, match="frames_wanted can't be"):
            sample_from_dict(sample_to_dict(sample) | {"frames_wanted": wrong}, taken_us=5)
