"""The whole unit with an R2CP generator on the model rung: real bytes, the monoblock's physics.

No bench ships with it. This one is the portable bench with another generator section, so its
loading is what that tube can have: 1 mA, the least that R2CP can be asked for.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from hal.types import EndReason
from rig.bench import Bench, bench_of
from rig.bench_names import BENCHES
from rig.judge import Seen
from rig.run_model import ModelRun
from rig.scenario import Scenario
from tests.model_runs import run, scenario, told_on, trace_of

GENERATOR = """[generator]
driver = "r2cp"
url = "{url}"
baud = 115200          # a pace for the modelled line; TCP has none
identity = "SIM-RAD32 R32-00001"
status_poll_ms = 50
standby_poll_ms = 100

"""
PORTABLE = Path("rig/benches/portable.toml")
# Its story is told for a beam that the unit must end; this one ends by the generator's timer.
BY_TIMER_ANYWAY = {"generator_ignores_off"}


def text_with(url: str) -> str:
    text = (Path(__file__).parents[1] / PORTABLE).read_text(encoding="utf-8")
    return re.sub(r"\[generator\].*?(?=\[room\])", GENERATOR.format(url=url), text, flags=re.DOTALL)


@cache
def r2cp_bench() -> Bench:
    return bench_of(text_with("sim"), Path("r2cp.toml"))


def timed(name: str, ms: float = 2500.0) -> Scenario:
    """The story with a beam that the generator's own timer ends."""
    told = scenario(name)
    shot = told.shot.model_copy(update={"ma": 1.0, "ma_times": 1.0, "beam_s": None, "ms": ms})
    return told.model_copy(update={"shot": shot})


def played(name: str, ms: float = 2500.0, *, jump: bool = True) -> tuple[ModelRun, Seen]:
    return run(timed(name, ms), on=r2cp_bench(), jump=jump)


def states(seen: Seen) -> tuple[str, ...]:
    return tuple(line["to"] for line in seen.lines if line["kind"] == "state")


@pytest.mark.parametrize("name", sorted(set(told_on("portable")) - BY_TIMER_ANYWAY))
def test_every_story_takes_the_way_that_it_takes_with_the_other_generator(name: str) -> None:
    told, (_, seen) = timed(name), played(name)
    assert states(seen) == tuple(told.expect.path)


@pytest.mark.e2e
def test_a_whole_exposure_from_the_handswitch_to_the_image() -> None:
    _, seen = played("clean_by_time", 200.0)
    (report,) = [line for line in seen.lines if line["kind"] == "report"]
    assert (report["reason"], report["fault"]) == (EndReason.PLANNED.value, None)
    (beam,) = seen.beams
    assert beam.off_us is not None
    assert beam.off_us - beam.on_us == 200_000  # its own timer
    assert (seen.image_count, seen.incomplete_count) == (1, 0)
    # Nothing reads mA in this beam: the generator's own account tells of it (200 ms at 1 mA,
    # half the ramp of 3 ms less, and 0.1 nF at 70 kV in a fall of 7 ms).
    assert report["mas"] == pytest.approx(0.2055, rel=0.01)
    assert (report["beam_ms"], report["maximum_mas"]) == (200.0, pytest.approx(0.21))
    assert beam.mas <= report["maximum_mas"]


@pytest.mark.req("SR-24")
@pytest.mark.parametrize(
    ("kv", "ma", "reached_ma", "fault"),
    [(60.0, 200.0, 200.0, None), (40.0, 350.0, 261.0, "MA_OUT_OF_BAND")],
)
def test_what_the_small_filament_can_not_give_is_found_in_the_generators_account(
    kv: float, ma: float, reached_ma: float, fault: str | None
) -> None:
    text = (BENCHES / "room.toml").read_text(encoding="utf-8")
    small = bench_of(text.replace('focus = "large"', 'focus = "small"'), Path("room.toml"))
    told = scenario("clean_by_time")
    changes = {"kv": kv, "ma": ma, "ma_times": None, "beam_s": None, "ms": 200.0}
    shot = told.shot.model_copy(update=changes)
    _, seen = run(told.model_copy(update={"shot": shot}), on=small)
    (report,) = [line for line in seen.lines if line["kind"] == "report"]
    assert report["fault"] == fault
    assert report["ma"] == pytest.approx(reached_ma, rel=0.03)


@pytest.mark.parametrize("name", ["released_in_expose", "door_opens_in_expose", "emergency_stop"])
def test_whatever_ends_the_beam_early_ends_it_here(name: str) -> None:
    _, seen = played(name)
    (beam,) = seen.beams
    assert beam.off_us is not None
    assert beam.off_us - beam.on_us == 700_000


def test_a_refused_start_is_no_beam() -> None:
    _, seen = played("generator_refuses")
    assert seen.beams == []


@pytest.mark.parametrize("name", ["clean_by_time", "released_in_expose", "off_lost_once"])
def test_time_that_jumps_shows_what_every_scan_shows(name: str) -> None:
    assert trace_of(played(name, jump=False)[0]) == trace_of(played(name)[0])


def test_a_real_one_is_named_by_its_address() -> None:
    bench = bench_of(text_with("tcp://192.6.1.201:10000"), Path("r2cp.toml"))
    assert (bench.unit.generator.driver, bench.unit.generator.url) == (
        "r2cp", "tcp://192.6.1.201:10000",
    )  # fmt: skip
