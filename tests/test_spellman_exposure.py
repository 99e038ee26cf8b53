"""The bench `industrial`: a supply without a timer, whose beams the unit and a relay end."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from firmware_py.bounds import limits
from firmware_py.decide.memory import Limits
from firmware_py.decide.technique import maximum_mas
from hal.detectors import open_panel
from hal.frame_pipes import frame_pipe
from hal.room_io import open_room_io
from hal.types import EndReason, Technique
from rig.bench import Bench, bench_of, load_bench
from rig.doctor_bounds import bounds_of
from rig.drivers import generator_of, nobody
from rig.exit_codes import ConfigError
from rig.judge import Seen
from rig.run_model import ModelRun
from rig.scenario import Scenario
from sim.supply import SUPPLY, SupplyModel
from tests.model_runs import run, scenario, told_on, trace_of

FILE = Path(__file__).parents[1] / "rig" / "benches" / "industrial.toml"
TEXT = FILE.read_text(encoding="utf-8")


@cache
def industrial() -> Bench:
    return load_bench("industrial")


def played(name: str, *, jump: bool = True, **shot: Any) -> tuple[ModelRun, Seen]:
    told = scenario(name)
    changed: Scenario = told.model_copy(
        update={"shot": told.shot.model_copy(update={"beam_s": None} | shot if shot else {})}
    )
    return run(changed, on=industrial(), jump=jump)


def report_of(seen: Seen) -> dict[str, Any]:
    (report,) = [line for line in seen.lines if line["kind"] == "report"]
    return report


@pytest.mark.parametrize("name", told_on("industrial"))
def test_every_story_takes_the_way_that_it_takes_with_the_other_generator(name: str) -> None:
    told, (_, seen) = scenario(name), played(name)
    assert tuple(line["to"] for line in seen.lines if line["kind"] == "state") == tuple(
        told.expect.path
    )


@pytest.mark.e2e
@pytest.mark.req("SR-20")
@pytest.mark.parametrize("ms", [500.0, 800.0, 3000.0])
def test_a_beam_by_time_is_ended_by_the_unit_in_its_time(ms: float) -> None:
    _, seen = played("clean_by_time", ma=2.0, ms=ms)
    report, (beam,) = report_of(seen), seen.beams
    assert (report["reason"], report["fault"]) == (EndReason.PLANNED.value, None)
    assert report["beam_ms"] == pytest.approx(ms, abs=15)  # a scan, OFF's way, a status' age
    tail_mas = 2.0 * SUPPLY.fall_us / 2 / 1e6  # the cable's charge: no reading shows it
    scans_mas = 2.0 * 7_500 / 1e6  # a scan and a half of the unit's, which is the timer
    assert beam.mas == pytest.approx(2.0 * ms / 1000 + tail_mas, abs=scans_mas)
    assert report["mas"] == pytest.approx(beam.mas - tail_mas, abs=scans_mas)
    assert beam.mas <= report["maximum_mas"]
    assert seen.image_count == 1


def test_the_time_is_over_by_the_units_clock_and_the_row_says_so() -> None:
    _, seen = played("clean_by_time")
    assert [s["why"] for s in seen.of("state") if s["from"] == "EXPOSE"] == ["planned_time_reached"]


@pytest.mark.req("SR-21", "SR-28")
@pytest.mark.parametrize("ends", [{"ms": 1000.0, "mas": None}, {"ms": None, "mas": 0.5}])
def test_a_supply_that_ignores_off_is_ended_by_the_relays_pulse(ends: dict[str, Any]) -> None:
    _, seen = played("generator_ignores_off", ma=0.5, **ends)
    report, (beam,) = report_of(seen), seen.beams
    ended_us = next(s["t_us"] for s in seen.of("state") if s["from"] == "EXPOSE")
    (bound,) = [b for b in bounds_of(industrial()) if "though OFF is lost" in b.what]
    assert (bound.layer, bound.bound_us) == ("relay pulse", 5_000 + 200_000 + 20_000 + 100_000)
    assert beam.off_us is not None
    assert 0 <= beam.off_us - ended_us <= bound.bound_us
    assert beam.mas <= report["maximum_mas"]


@pytest.mark.req("SR-28")
@pytest.mark.parametrize("verb", ["kill unit", "stop unit"])
def test_a_unit_that_died_is_ended_by_the_relays_pulse(verb: str) -> None:
    name = {"kill unit": "unit_killed_in_beam", "stop unit": "unit_stopped_in_beam"}[verb]
    _, seen = played(name, ma=0.5, ms=5000.0, mas=None)
    (beam,), died_us = seen.beams, seen.action_us(verb)
    assert beam.off_us is not None
    assert died_us is not None
    assert 0 < beam.off_us - died_us <= own_limits().overrun_us
    assert beam.off_us - beam.on_us < 1_000_000  # long before its planned end


def own_limits() -> Limits:
    unit = industrial().unit
    return limits(
        unit,
        generator_of(unit.generator, nobody()).capabilities,
        open_room_io(unit.room.driver, nobody(), unit.room).capabilities,
        open_panel(unit.panel.driver, frame_pipe()[0]).capabilities,
    )


@pytest.mark.req("SR-53")
def test_what_may_be_given_at_most_counts_the_pulse_of_a_unit_that_dies_last_thing() -> None:
    own = own_limits()
    assert (own.has_own_timer, own.ramp_us) == (False, 1_000_000)
    # Renewed as late as it can be, by a request of 5 ms; relay 20 ms, and HV's fall 100 ms.
    assert own.overrun_us == 200_000 + 5_000 + 200_000 + 20_000 + 100_000
    most_mas = maximum_mas(Technique(kv=70.0, ma=2.0, ms=1000.0), own)
    assert most_mas == pytest.approx(2.0 * (1.0 + 1.0 + 0.525))


@pytest.mark.parametrize("name", ["clean_by_time", "released_in_expose", "off_lost_once"])
def test_time_that_jumps_shows_what_every_scan_shows(name: str) -> None:
    assert trace_of(played(name, jump=False)[0]) == trace_of(played(name)[0])


# --- the model ----------------------------------------------------------------------------------


def test_a_supply_has_neither_timer_nor_watchdog() -> None:
    supply = SupplyModel()
    supply.set_supply(0, True)
    supply.set_interlock(0, True)
    supply.set_kv(0, 100.0)
    supply.set_ma(0, 5.0)
    assert supply.start(0)
    assert not supply.watchdog_on()
    assert supply.reading(SUPPLY.ramp_us // 2).kv == pytest.approx(50.0, rel=0.02)
    assert supply.reading(SUPPLY.ramp_us).kv == pytest.approx(100.0, rel=0.02)
    assert supply.beam_on(60_000_000)


# --- the bench file -----------------------------------------------------------------------------


def refused(text: str) -> str:
    with pytest.raises(ConfigError) as error:
        bench_of(text, FILE)
    return str(error.value)


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ('model = "XRV"  ', "", "generator.model: is missing: spellman speaks for XRV, uX"),
        ('"XRV"  ', '"XRW"  ', 'no Spellman "XRW"; did you mean'),
        ('"XRV"  ', '"SLM"  ', "a Spellman SLM can't expose"),
        ('"XRV"  ', '"695"  ', "a Spellman 695 can't expose"),
        ("full_scale_kv = 160.0", "", "full_scale_kv: is missing: the kV of 4095 counts"),
        ("full_scale_ma = 30.0", "full_scale_ma = 5.0", "10 is above the generator's full scale"),
        ('driver = "spellman"', 'driver = "r2cp"', "generator.model: r2cp has no models"),
    ],
)
def test_a_wrong_generator_is_told_with_its_line(was: str, becomes: str, told: str) -> None:
    assert TEXT.count(was) == 1
    assert told in refused(TEXT.replace(was, becomes))


@pytest.mark.req("SR-28")
def test_a_supply_that_nothing_would_end_is_refused() -> None:
    """Neither timer nor watchdog here, no pulse there: a dead unit's beam would stay on."""
    told = refused(TEXT.replace('driver = "waveshare"', 'driver = "adam"\nmap = "adam-6050"'))
    assert (
        "room.map: Advantech ADAM-6050 has no self-timed pulse, and the generator (spellman)"
        in told
    )
    assert "nothing would end a beam when the unit dies" in told


@pytest.mark.parametrize(
    ("url", "checksum"), [("/dev/ttyUSB0", "inclusive"), ("tcp://192.168.1.4:50000", "none")]
)
def test_the_checksum_goes_with_the_line(url: str, checksum: str) -> None:
    bench = bench_of(TEXT.replace('url = "sim"            # a serial', f'url = "{url}" #'), FILE)
    assert bench.unit.generator.options()["checksum"] == checksum
    generator_of(bench.unit.generator, nobody())  # takes them
