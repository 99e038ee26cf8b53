"""Traces of an oscilloscope: what is measured, and what is told instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rig.exit_codes import ConfigError, UsageError
from rig.instruments import scope_file
from rig.instruments.scope_file import ScopeFile, read_scope
from rig.instruments.scope_import import chosen_beam
from rig.instruments.scope_map import SCOPE_MAPS, ScopeMap
from rig.instruments.scope_picture import trace_svg
from rig.instruments.trace import Beam, beams_in
from tests.scope_files import KV, MA, line, samples, write_tek

TEK = SCOPE_MAPS.load("tek-like")


def beams(folder: Path, layout: ScopeMap = TEK, **waves: object) -> list[Beam]:
    path = write_tek(folder / "beam.csv", samples(**waves))  # type: ignore[arg-type]
    return beams_in(read_scope(path, layout), layout)


def test_a_beam_is_measured_by_its_definitions(tmp_path: Path) -> None:
    """75 % of 80 kV is crossed at 1.5 and 101 ms, 10 % at 0.2 and 103.6 ms; a sample is 0.1 ms."""
    (beam,) = beams(tmp_path)
    assert beam.level == pytest.approx(80.0, abs=1e-3)
    assert beam.values["kv"] == beam.level
    assert beam.values["time_ms"] == pytest.approx(99.5, abs=0.11)
    assert beam.values["ma"] == pytest.approx(2.0, abs=1e-4)
    assert beam.start_us / 1000 == pytest.approx(1.5, abs=0.11)
    assert beam.end_us / 1000 == pytest.approx(101.0, abs=0.11)
    assert beam.rise_ms == pytest.approx(1.3, abs=0.11)
    assert beam.tail_ms == pytest.approx(2.6, abs=0.11)
    assert beam.delay_ms == pytest.approx(6.5, abs=0.11)  # the sync edge is at -5 ms
    assert beam.overshoot_pct == pytest.approx(0.0, abs=0.01)
    assert beam.ripple_pct == pytest.approx(0.0, abs=0.01)
    # 2 mA for 98 ms, and triangles of 2 ms and 0.2 ms: 0.1982 mAs, less what is below 10 %.
    assert beam.values["mas"] == pytest.approx(0.1982, abs=3e-4)
    assert beam.notes == ()


def test_75_pct_is_of_the_plateau_however_slowly_it_was_reached(tmp_path: Path) -> None:
    """80 kV within 40 ms, then level to 100 ms: kVp is 79.84 kV, 75 % of it at 29.94 ms."""
    slow = line([(0.0, 0.0), (40.0, 80.0), (100.0, 80.0), (101.0, 0.0)])
    (beam,) = beams(tmp_path, kv=slow)
    assert beam.level == pytest.approx((3 * 77 + 53.2 * 80) / 56.2, abs=0.02)
    assert beam.start_us / 1000 == pytest.approx(29.94, abs=0.11)
    assert beam.values["time_ms"] == pytest.approx(70.3, abs=0.15)


def test_overshoot_and_ripple_are_of_the_plateau(tmp_path: Path) -> None:
    """88 kV at first (10 %); then 80 with dips to 76: ripple (80 - 76) / 80 = 5 %."""

    def wavy(ms: float) -> float:
        if 2.0 <= ms <= 5.0:
            return 88.0
        dip = 50.0 <= ms <= 51.0
        return 76.0 if dip else KV(ms)

    (beam,) = beams(tmp_path, kv=wavy)
    assert beam.ripple_pct == pytest.approx(5.0, abs=0.01)
    assert beam.overshoot_pct == pytest.approx(100 * (88 - beam.level) / beam.level)
    assert beam.level == pytest.approx(80.0 - 4.0 * 1.1 / 79.6, abs=0.01)  # the dip is in the mean


def test_a_zero_that_is_off_is_taken_off(tmp_path: Path) -> None:
    (beam,) = beams(tmp_path, kv=lambda ms: KV(ms) + 3.0, ma=lambda ms: MA(ms) - 0.1)
    assert beam.level == pytest.approx(80.0, abs=1e-3)
    assert beam.values["ma"] == pytest.approx(2.0, abs=1e-3)
    assert beam.values["mas"] == pytest.approx(0.1982, abs=4e-4)


def test_noise_moves_nothing_and_is_told_where_it_is_large(tmp_path: Path) -> None:
    chance = np.random.default_rng(7)
    (beam,) = beams(tmp_path, kv=lambda ms: KV(ms) + float(chance.normal(0, 0.4)))
    assert beam.noise == pytest.approx(0.4, rel=0.1)
    assert beam.level == pytest.approx(80.0, abs=0.1)
    assert beam.values["time_ms"] == pytest.approx(99.5, abs=0.3)
    assert beam.notes == ()
    (loud,) = beams(tmp_path, kv=lambda ms: KV(ms) + float(chance.normal(0, 2.0)))
    assert "noise of 2" in loud.notes[0]


def test_a_spike_is_no_beam_and_an_arc_parts_none(tmp_path: Path) -> None:
    (beam,) = beams(tmp_path, kv=lambda ms: 240.0 if abs(ms + 10) < 0.01 else KV(ms))
    assert beam.level == pytest.approx(80.0, abs=1e-3)
    (arc,) = beams(tmp_path, kv=lambda ms: 0.0 if 50.0 <= ms < 50.5 else KV(ms))
    assert arc.values["time_ms"] == pytest.approx(99.5, abs=0.11)
    assert arc.ripple_pct == pytest.approx(100.0, abs=0.1)


def test_ma_alone_is_measured_by_itself(tmp_path: Path) -> None:
    layout = TEK.model_copy(update={"channel": [TEK.channel[1]]})
    (beam,) = beams(tmp_path, layout)
    assert "kv" not in beam.values
    assert beam.level_unit == "mA"
    assert beam.values["ma"] == pytest.approx(2.0, abs=1e-4)
    assert beam.values["time_ms"] == pytest.approx(98.55, abs=0.11)  # 1.5 mA at 1.5 and 100.05 ms


def test_a_falling_edge_may_be_the_sync(tmp_path: Path) -> None:
    sync = TEK.sync.model_copy(update={"edge": "falling"})
    layout = TEK.model_copy(update={"sync": sync})
    pulse = line([(-15.0, 0.0), (-14.95, 5.0), (-5.0, 5.0), (-4.95, 0.0)])
    (beam,) = beams(tmp_path, layout, sync=pulse)
    assert beam.delay_ms == pytest.approx(6.5, abs=0.11)
    (risen,) = beams(tmp_path, sync=pulse)
    assert risen.delay_ms == pytest.approx(16.5, abs=0.11)
    (none,) = beams(tmp_path, layout, sync=lambda _ms: 5.0)
    assert (none.delay_ms, none.notes) == (None, ("the sync channel has no edge",))


# --- what is told instead


def test_two_beams_are_told_and_each_can_be_named(tmp_path: Path) -> None:
    twice = line([(0, 0), (1, 70), (20, 70), (21, 0), (60, 0), (61, 80), (100, 80), (101, 0)])
    path = write_tek(tmp_path / "two.csv", samples(kv=twice))
    file = read_scope(path, TEK)
    with pytest.raises(UsageError, match=r"two.csv: 2 beams, from 0.8 ms, 60.8 ms; say --beam N"):
        chosen_beam(file, TEK, None)
    assert chosen_beam(file, TEK, 1)[0].level == pytest.approx(70.0, abs=0.1)
    assert chosen_beam(file, TEK, 2)[0].level == pytest.approx(80.0, abs=0.1)
    with pytest.raises(UsageError, match="has 2 beams, and no number 3"):
        chosen_beam(file, TEK, 3)


@pytest.mark.parametrize(
    ("kv", "why"),
    [
        (lambda _ms: 0.0, "no beam in the trace"),
        (lambda ms: 4.0 if 0 < ms < 50 else 0.0, "no beam in the trace"),
        (lambda ms: -KV(ms), "wrong polarity\\? turn the sign of per_volt"),
        (lambda ms: KV(ms + 50), "the trace begins in the beam"),
        (lambda ms: KV(ms - 50), "the trace ends in the beam"),
    ],
    ids=["flat", "4 kV", "upside down", "cut before", "cut behind"],
)
def test_a_trace_without_a_whole_beam_is_told(tmp_path: Path, kv: object, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        beams(tmp_path, kv=kv)


def test_a_negative_divider_is_the_maps_business(tmp_path: Path) -> None:
    channel = TEK.channel[0].model_copy(update={"per_volt": -20.0})
    layout = TEK.model_copy(update={"channel": [channel]})
    (beam,) = beams(tmp_path, layout, kv=lambda ms: -KV(ms))
    assert beam.level == pytest.approx(80.0, abs=1e-3)


def test_a_clipped_trace_is_told_by_the_inputs_range_and_by_its_missing_noise(
    tmp_path: Path,
) -> None:
    chance = np.random.default_rng(3)
    clipped = lambda ms: min(KV(ms) + float(chance.normal(0, 0.4)), 75.0)  # noqa: E731
    (suspected,) = beams(tmp_path, kv=clipped)
    assert suspected.notes == ("CH1 may be CLIPPED: there is no noise on its plateau",)
    channel = TEK.channel[0].model_copy(update={"range_v": (-3.75, 3.75)})
    layout = TEK.model_copy(update={"channel": [channel]})
    (known,) = beams(tmp_path, layout, kv=clipped)
    assert known.notes == ("CH1 is CLIPPED: it reaches the end of the input's range",)


# --- files


def read(folder: Path, text: str | bytes, layout: ScopeMap = TEK) -> ScopeFile:
    path = folder / "scope.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_scope(path, layout)


def body(count: int = 20, form: str = "{n}e-6,{n}.5,0.25,0\n") -> str:
    return "".join(form.format(n=n) for n in range(count))


def test_the_maps_that_ship_are_sound_and_synthetic(tmp_path: Path) -> None:
    assert SCOPE_MAPS.shipped() == ["keysight-like", "rigol-like", "tek-like"]
    for name in SCOPE_MAPS.shipped():
        assert SCOPE_MAPS.load(name).name == name
        assert SCOPE_MAPS.path(name).read_text().startswith("# Synthetic. ")


def test_a_rigol_like_file_has_its_interval_behind_the_header(tmp_path: Path) -> None:
    layout = SCOPE_MAPS.load("rigol-like")
    head = "X,CH1,CH2,Start,Increment,\nSequence,Volt,Volt,-6.0e-03,1.0e-05\n"
    found = read(tmp_path, head + body(form="{n},{n}.5,0.25,\n"), layout)
    assert found.step_us == pytest.approx(10.0)
    assert found.samples_count == 20
    assert list(found.volts["kv"][:2]) == [0.5, 1.5]


def test_a_keysight_like_file_has_a_row_of_units(tmp_path: Path) -> None:
    layout = SCOPE_MAPS.load("keysight-like")
    found = read(tmp_path, "x-axis,1,2\nsecond,Volt,Volt\n" + body(form="{n}e-6,1,2\n"), layout)
    assert found.step_us == pytest.approx(1.0)
    assert list(found.volts["ma"][:2]) == [2.0, 2.0]


def test_decimal_commas_are_read_where_the_map_says_so(tmp_path: Path) -> None:
    layout = TEK.model_copy(update={"decimal": ",", "delimiter": ";"})
    found = read(tmp_path, "TIME;CH1;CH2\n" + body(form="{n}e-6;{n},5;0,25\n"), layout)
    assert list(found.volts["kv"][:2]) == [0.5, 1.5]


def test_pieces_of_any_size_give_the_same_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "TIME,CH1,CH2,CH3\r\n" + body(500).replace("\n", "\r\n") + "500e-6,1,2,3"
    whole = read(tmp_path, text)
    monkeypatch.setattr(scope_file, "PIECE_BYTES", 61)
    pieces: list[int] = []
    path = tmp_path / "scope.csv"
    again = read_scope(path, TEK, lambda: pieces.append(1))
    assert whole.samples_count == again.samples_count == 501
    assert (whole.sha256, whole.step_us) == (again.sha256, again.step_us)
    for name, volts in whole.volts.items():
        assert np.array_equal(volts, again.volts[name])
    assert len(pieces) > 100


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is empty"),
        ("A,B\n1,2\n", "'CH1', 'CH2', 'TIME' missing"),
        ("TIME,CH1\n1,2\n", "'CH2' missing"),
        ("TIME,CH1,CH2\n", "has 0 samples: no trace"),
        ("TIME,CH1,CH2\n" + body(20) + "2e-5,OL,0,0\n", r":22: column 2: 'OL' is no number"),
        ("TIME,CH1,CH2\n" + body(20) + "2e-5,nan,0,0\n", r":22: column 2: 'nan' is no number"),
        ("TIME,CH1,CH2\n" + body(20) + "2e-5\n", r":22: column 2: '' is no number"),
        ("TIME,CH1,CH2\n" + body(20) + "1e-6,0,0,0\n", "run backwards"),
        ("TIME,CH1,CH2\n" + body(20) + "9e-3,0,0,0\n", "have gaps"),
        (b"\x89PNG\x00\x00\r\n", "NUL bytes"),
    ],
    ids=["empty", "other headers", "one header less", "header only", "overload", "nan", "short row",
         "backwards", "gap", "binary"],
)  # fmt: skip
def test_a_bad_file_gets_one_clear_error(tmp_path: Path, text: str | bytes, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        read(tmp_path, text)


def test_a_file_of_one_endless_line_is_no_csv(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope_file, "PIECE_BYTES", 5000)
    with pytest.raises(UsageError, match="a line without an end"):
        read(tmp_path, "TIME,CH1,CH2\n" + "1" * 20_000)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("interval_us = 1.0", "say one of header, interval_header, interval_us"),
        ('heade = "T"', "did you mean 'header'"),
        ('unit = "min"', '"min" is not one of s, ms, us, ns'),
    ],
)
def test_a_wrong_map_is_told(tmp_path: Path, change: str, why: str) -> None:
    text = SCOPE_MAPS.path("tek-like").read_text()
    (tmp_path / "own.toml").write_text(text.replace("[time]", f"[time]\n{change}").replace(
        'unit = "s"\n' if "unit" in change else "\0", ""))  # fmt: skip
    with pytest.raises(ConfigError, match=why):
        SCOPE_MAPS.load(tmp_path / "own.toml")


def test_a_picture_is_the_same_each_time_and_names_no_address(tmp_path: Path) -> None:
    path = write_tek(tmp_path / "beam.csv", samples(step_ms=0.02))
    file = read_scope(path, TEK)
    (beam,) = beams_in(file, TEK)
    svg = trace_svg(file, TEK, beam)
    assert svg == trace_svg(file, TEK, beam)
    assert svg.startswith("<svg")
    assert "xmlns" not in svg
