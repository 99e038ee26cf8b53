"""The benchmarks run, with tiny numbers, and say what they promise to say. No seconds judged."""

from __future__ import annotations

import functools
import itertools
import json
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec

import pytest

from tools.bench import frame, image, journal, report, spectrum
from tools.bench.__main__ import BENCHMARKS, find, main
from tools.bench.timing import Benchmark, Case, Measured, in_turn, one_core

CASES = {
    "decision": ["transitions, 4 callbacks", "controller.step in STANDBY",
                 "controller.step in PREP", "controller.step in EXPOSE"],
    "exposures": ["its decisions alone", "room polled every 20 ms",
                  "room polled every 20 ms, recorded", "room polled every scan",
                  "room polled every scan, no jumping"],
    "serial": ["os.write, os.read", "SerialLink"],
    "exchange": ["raw bytes", "ours"],
    "modbus_tcp": ["raw bytes", "ours", "pymodbus, synchronous"],
    "modbus_rtu": ["raw bytes", "ours", "pymodbus, synchronous",
                   *(["minimalmodbus"] if find_spec("minimalmodbus") else [])],
    "image": ["memory copy", "correct, no kernel here: numpy", "... and linearity, lag",
              "correct, numpy", "... and linearity, lag", "OpenCV, float32", "OpenCV, Q15"],
    "frame": ["a Gaussian number a pixel", "two of them", "dark", "flat", "hand",
              "hand, of a new kV", "flat, 1 s after a hand",
              "hand, corrected, and its preview"],
    "tube_day": ["1200 exponentials", "an anode of order 1", "an anode of order 2"],
    "release": ["contact -> the room's answer that shows it",
                "contact -> the first byte of OFF", "contact -> HV below 10 %, by the chain"],
    "startup": ["python -c pass", "dxrig --help"],
    "journal": ["list, of 100", "list, of 120", "show, of 100", "show, of 120"],
    "spectrum": ["exp and sum of 298 numbers", "spectrum", "... and kerma", "... at another anode",
                 "... and 1st half-value layer", "kerma asked again", "64 x 64: a copy of its map",
                 "... through water, bone and lead"],
}  # fmt: skip


def clock_of(*spans_us: int) -> Callable[[], int]:
    """A clock, in ns, by which the calls took these times one after the other."""
    ticks_us = itertools.accumulate(us for span_us in spans_us for us in (0, span_us))
    return (us * 1000 for us in ticks_us).__next__


@functools.cache
def tiny(name: str) -> Benchmark:
    if name == "image":
        return image.image(0, size_px=64)
    if name == "frame":
        return frame.frame(0, size_px=64)
    if name == "journal":
        return journal.journal(0, many_count=120)
    if name == "spectrum":
        return spectrum.spectrum(0, size_px=64)
    return find(name)(0)


def test_every_benchmark_is_listed_here() -> None:
    assert list(CASES) == list(BENCHMARKS)


@pytest.mark.wire
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_measures_its_floor_first_and_in_the_same_run(name: str) -> None:
    result = tiny(name).as_dict()
    assert result["name"] == name
    assert [case["name"] for case in result["cases"]] == CASES[name]
    assert [case["turns_count"] for case in result["cases"]] == [3] * len(CASES[name])
    assert result["cases"][0]["ratio"] == 1.0
    assert all(case["p10_us"] <= case["median_us"] <= case["p90_us"] for case in result["cases"])
    assert all(case["p10_us"] > 0 for case in result["cases"])


def test_exposures_are_told_per_second_and_in_simulated_time() -> None:
    jumping, recorded, every_scan, no_jump = tiny("exposures").cases[1:]
    for case in (jumping, recorded, every_scan, no_jump):
        one_s = case.median_us / 1e6
        assert case.figures["exposures_per_s"] == pytest.approx(1 / one_s)
        simulated_s = case.figures["simulated_ms"] / 1000
        assert case.figures["simulated_s_per_s"] == pytest.approx(simulated_s / one_s)
    # Which scans polls fall on differs a little between exposures of a running unit.
    assert recorded.figures["scans"] == pytest.approx(jumping.figures["scans"], rel=0.1)
    assert jumping.figures["scans"] < no_jump.figures["scans"]
    assert no_jump.figures["scans"] * 5 == no_jump.figures["simulated_ms"]


def test_without_opencv_its_row_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    assert image.image(0, size_px=64).cases[-1].name == "OpenCV is not installed"


# --- the timing itself


def test_ways_are_timed_in_turn_and_not_one_after_the_other() -> None:
    order: list[str] = []
    in_turn(
        Case(name="a", run=lambda: order.append("a"), calls_count=2),
        Case(name="b", run=lambda: order.append("b")),
        seconds=0,
    )
    assert "".join(order) == "ab" + "aab" * 3


def test_the_ratio_is_taken_turn_by_turn() -> None:
    """The machine gets slower from turn to turn; that ours takes twice as long stays true."""
    floor, ours = in_turn(
        Case(name="floor", run=int),
        Case(name="ours", run=int),
        seconds=0,
        clock_ns=clock_of(1, 2, 10, 20, 100, 200),
    )
    assert (floor.median_us, ours.median_us) == (10.0, 20.0)
    assert (ours.p10_us, ours.p90_us) == (5.6, 164.0)
    assert (floor.ratio, ours.ratio) == (1.0, 2.0)


def test_a_turn_is_the_median_of_its_calls_and_a_time_that_of_one() -> None:
    case = Case(
        name="pairs",
        run=int,
        calls_count=3,
        per_call_count=2,
        figures=lambda one_us: {"per_s": 1e6 / one_us},
    )
    (measured,) = in_turn(case, seconds=0, clock_ns=clock_of(*(40, 8000, 20) * 3))
    assert measured.median_us == 20.0
    assert measured.figures == {"per_s": 50_000.0}


def test_the_process_is_let_off_its_one_core_again() -> None:
    if not hasattr(os, "sched_getaffinity"):
        pytest.skip("this system does not pin processes")
    before = os.sched_getaffinity(0)
    with one_core():
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


# --- what people and programs read


def test_json_is_one_object_and_nothing_else_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decision", "--json", "--seconds", "0"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["schema", "machine", "benchmarks"]
    assert told["schema"] == 1
    assert list(told["machine"]) == ["cores_count", "system", "python"]
    (benchmark,) = told["benchmarks"]
    assert list(benchmark) == ["name", "about", "cases"]
    assert list(benchmark["cases"][0]) == [
        "name", "turns_count", "median_us", "p10_us", "p90_us", "ratio", "figures",
    ]  # fmt: skip


def test_the_table_shows_times_in_a_readable_unit_and_the_ratio() -> None:
    floor = Measured(name="raw", turns_count=7, median_us=9.96, p10_us=8, p90_us=12, ratio=1)
    ours = Measured(
        name="ours", turns_count=7, median_us=1234, p10_us=1100, p90_us=1500, ratio=123.9,
        figures={"per_s": 810.37},
    )  # fmt: skip
    benchmark = Benchmark(name="demo", about="a thing", cases=(floor, ours))
    assert report.table(benchmark).splitlines() == [
        "demo: a thing",
        "         median      p10      p90  x floor  turns",
        "  raw   10.0 us   8.0 us  12.0 us     1.00      7",
        "  ours  1.23 ms  1.10 ms  1.50 ms   123.90      7",
        "  ours: per_s 810.4",
    ]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["exposure"], "no benchmark 'exposure'; did you mean 'exposures'?"),
        (["zzz"], "no benchmark 'zzz'; there are decision, exposures, serial"),
        (["--seconds", "soon"], "must be a number from 0 to 600, got 'soon'"),
        (["--seconds", "601"], "must be a number from 0 to 600, got '601'"),
        (["--seconds", "nan"], "must be a number from 0 to 600, got 'nan'"),
    ],
)
def test_a_wrong_argument_is_told_with_what_would_be_right(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert told in capsys.readouterr().err


def test_the_memory_of_a_command_is_its_own_and_not_that_of_who_measures_it() -> None:
    ballast = b"x" * (300 << 20)
    assert journal.peak_mib([sys.executable, "-c", "pass"], os.environ) < 100
    taking = journal.peak_mib([sys.executable, "-c", "b'x' * (200 << 20)"], os.environ)
    assert 200 < taking < 300
    assert len(ballast) == 300 << 20
