"""The bench `cabinet`: a shuttered source without a timer, a room module that its map tells."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from firmware_py.bounds import PROGRAMME_ALONE_US, UNIT_DEAD, dead_us
from hal.now import Now
from hal.ports import RoomCapabilities
from hal.types import EndReason, Technique
from rig.bench import Bench, bench_of, load_bench
from rig.bench_names import BENCHES
from rig.doctor_bounds import bounds_of
from rig.drivers import generator_of, nobody
from rig.exit_codes import ConfigError
from rig.judge import Seen
from rig.matrix.bounds import bounded, parts_of
from rig.run_model import ModelRun
from rig.scenario import Scenario
from rig.unit_lost import _outputs
from sim.cabinet import CabinetModel
from tests.model_runs import run, scenario, trace_of

CABINET = (BENCHES / "cabinet.toml").read_text(encoding="utf-8")
PORTABLE = (BENCHES / "portable.toml").read_text(encoding="utf-8")
README = (BENCHES.parents[1] / "hal" / "README.md").read_text(encoding="utf-8")


@cache
def cabinet() -> Bench:
    return load_bench("cabinet")


def told_on_it(name: str, mas: float = 1.5) -> Scenario:
    told = scenario(name)
    changes = {"kv": 50.0, "ma": 0.6, "mas": mas, "ms": None}
    return told.model_copy(update={"shot": told.shot.model_copy(update=changes)})


def played(name: str, *, on: Bench | None = None, jump: bool = True) -> tuple[ModelRun, Seen]:
    return run(told_on_it(name), on=on or cabinet(), jump=jump)


def states(seen: Seen) -> list[str]:
    return [line["to"] for line in seen.lines if line["kind"] == "state"]


def mistakes(text: str, folder: Path = Path()) -> list[str]:
    with pytest.raises(ConfigError) as told:
        bench_of(text, folder / "mine.toml")
    return [re.sub(r".*mine.toml:\d+: ", "", line) for line in told.value.messages]


def with_room(text: str, **keys: str) -> str:
    """The bench with another [room], made of these keys and "sim"."""
    lines = {"url": '"sim"'} | {key: f'"{value}"' for key, value in keys.items()}
    room = "[room]\n" + "".join(f"{key} = {value}\n" for key, value in lines.items()) + "\n"
    return re.sub(r"\[room\].*?(?=\[panel\])", lambda _: room, text, flags=re.DOTALL)


# --- exposures -----------------------------------------------------------------------------------


# `dxrig run --bench all` plays them all; these are the ways of a source that starts differently.
@pytest.mark.parametrize(
    "name",
    [
        "both_stages_at_once", "dark_frame", "door_opens_in_expose", "generator_ignores_off",
        "generator_refuses", "generator_silent_in_beam", "released_in_prep", "window_ends_early",
    ],
)  # fmt: skip
def test_every_story_takes_the_way_that_it_takes_on_the_portable(name: str) -> None:
    assert states(played(name)[1]) == list(told_on_it(name).expect.path)


@pytest.mark.e2e
def test_a_whole_exposure_from_the_handswitch_to_the_image() -> None:
    _, seen = played("clean_by_mas")
    (report,) = [line for line in seen.lines if line["kind"] == "report"]
    (beam,) = seen.beams
    assert (report["reason"], report["fault"]) == (EndReason.PLANNED.value, None)
    assert beam.mas == pytest.approx(0.6, rel=0.02)  # a second at full power
    assert report["mas"] == pytest.approx(beam.mas, rel=0.02)
    assert report["maximum_mas"] >= beam.mas
    assert seen.image_count == 1


@pytest.mark.req("SR-28")
@pytest.mark.parametrize("name", ["unit_killed_in_beam", "unit_stopped_in_beam"])
def test_without_the_unit_the_relay_pulse_ends_the_beam_within_its_bound(name: str) -> None:
    _, seen = played(name)
    (beam,) = seen.beams
    assert beam.gone_us is not None
    at_us = next(t_us for t_us, verb in seen.actions if verb in ("kill unit", "stop unit"))
    (dead,) = [bound for bound in bounds_of(cabinet()) if bound.what == UNIT_DEAD]
    assert dead.layer == "relay pulse"
    assert beam.gone_us - at_us <= dead.bound_us  # us-compare: two spans


@pytest.mark.parametrize("name", ["released_in_expose", "off_lost_once"])
def test_time_that_jumps_shows_what_every_scan_shows(name: str) -> None:
    assert trace_of(played(name, jump=False)[0]) == trace_of(played(name)[0])


def test_a_bench_with_a_module_of_its_own_map_exposes(tmp_path: Path) -> None:
    """Literally the example of hal/README.md: nothing but that file, and its name in the bench."""
    (example,) = re.findall(r"```toml\n# mine\.toml\n(.*?)```", README, flags=re.DOTALL)
    (tmp_path / "mine.toml").write_text(example, encoding="utf-8")
    bench = bench_of(with_room(CABINET, driver="mapped", map="mine.toml"), tmp_path / "mine.toml")
    assert bench.unit.room.map == example  # a recorded run needs the file no more
    (beam,) = played("clean_by_mas", on=bench)[1].beams
    assert beam.mas == pytest.approx(0.6, rel=0.02)
    changed = example.replace("0x0010", "0x0020")
    (tmp_path / "mine.toml").write_text(changed, encoding="utf-8")
    other = bench_of(with_room(CABINET, driver="mapped", map="mine.toml"), tmp_path / "mine.toml")
    assert other.hash != bench.hash


def test_the_portable_exposes_with_a_module_without_a_pulse() -> None:
    """It has a timer and a watchdog of its own."""
    text = with_room(PORTABLE, driver="adam")
    bench = bench_of(text, Path("mine.toml"))
    (beam,) = run(scenario("clean_by_mas"), on=bench)[1].beams
    assert beam.mas == pytest.approx(0.5, rel=0.05)


# --- what a bench file may not say ---------------------------------------------------------------


def test_a_source_that_nothing_ends_is_refused() -> None:
    (told,) = mistakes(with_room(CABINET, driver="adam"))
    assert told == (
        "room.driver: Advantech ADAM-6050 has no self-timed pulse, and the generator (genix3d) "
        "neither timer nor watchdog: nothing would end a beam when the unit dies; "
        "take a module with a pulse"
    )


def without_pulse(tmp_path: Path) -> str:
    text = Path("hal/room_io/maps/iologik-e1213.toml").read_text(encoding="utf-8")
    cut = re.sub(r"\[pulse\].*?(?=\[watchdog\])", "", text, flags=re.DOTALL)
    (tmp_path / "dog.toml").write_text(cut, encoding="utf-8")
    return with_room(CABINET, driver="mapped", map="dog.toml")


def test_the_modules_own_watchdog_is_another_end(tmp_path: Path) -> None:
    text = without_pulse(tmp_path)
    (told,) = mistakes(text, tmp_path)
    assert told.startswith("room.map: Moxa ioLogik E1213 has no self-timed pulse")
    assert told.endswith("take a module with a pulse or set watchdog_ms")
    set_up = text.replace("[room]\n", "[room]\nwatchdog_ms = 1000\n")
    bench = bench_of(set_up, tmp_path / "mine.toml")
    (dead,) = [bound for bound in bounds_of(bench) if bound.what == UNIT_DEAD]
    assert (dead.layer, dead.bound_us) == ("module watchdog", 1_070_000)
    assert "by the room module's watchdog: kV off within 1070 ms" in _outputs(bench)
    (beam,) = played("unit_killed_in_beam", on=bench)[1].beams
    assert beam.off_us is not None
    assert 800_000 < beam.off_us - beam.on_us - 700_000 < dead.bound_us  # us-compare: spans


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"driver": "adam", "map": "adam-6060"},
         "room.map: Advantech ADAM-6060 has no channel for reset, lamp_current; a room needs them"),
        ({"driver": "iologik", "map": "iologik-e1219"},
         "room.map: no map 'iologik-e1219' in hal/room_io/maps; did you mean 'iologik-e1214'?"),
        ({"driver": "iologik", "map": "none.toml"},
         "room.map: none.toml: can't be read: no such file or directory"),
        ({"driver": "mapped"},
         'room.map: is missing: driver = "mapped" is told by its map what the module is'),
        ({"driver": "adam", "url": "/dev/ttyUSB0"},
         'room.url: "/dev/ttyUSB0" is Modbus RTU; Advantech ADAM-6050 speaks TCP'),
    ],
)  # fmt: skip
def test_a_module_that_does_not_fit_is_told(keys: dict[str, str], told: str) -> None:
    assert told in mistakes(with_room(PORTABLE, **keys))


@pytest.mark.parametrize(
    ("driver", "line", "told"),
    [
        ("adam", "watchdog_ms = 1000", "room.watchdog_ms: the map of Advantech ADAM-6050 has no"),
        ("iologik", "watchdog_ms = 500", "room.watchdog_ms: 500 is outside 1000 to 65000 of Moxa"),
    ],
)
def test_a_watchdog_that_is_not_there_is_told(driver: str, line: str, told: str) -> None:
    text = with_room(PORTABLE, driver=driver).replace("[room]\n", f"[room]\n{line}\n")
    assert any(one.startswith(told) for one in mistakes(text))


def test_a_pulse_that_the_module_can_t_time_is_told(tmp_path: Path) -> None:
    text = Path("hal/room_io/maps/waveshare-8.toml").read_text(encoding="utf-8")
    (tmp_path / "slow.toml").write_text(text.replace("unit_ms = 100", "unit_ms = 150"), "utf-8")
    (told,) = mistakes(with_room(PORTABLE, driver="mapped", map="slow.toml"), tmp_path)
    assert told.startswith("room.enable_pulse_ms: 200 is no pulse of Waveshare")


def test_mistakes_of_a_map_are_told_with_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("[module]\nname = 3\n", "utf-8")
    told = mistakes(with_room(PORTABLE, driver="mapped", map="bad.toml"), tmp_path)
    assert 'room.map: bad.toml:2: module.name: expected a text in "quotes", got 3' in told


# --- bounds where nothing lapses -----------------------------------------------------------------

PLAIN = RoomCapabilities(reply_us=5_000, pulse_us=None, sample_age_us=30_000)


def test_without_a_pulse_the_next_layer_is_the_bound() -> None:
    bench = bench_of(with_room(PORTABLE, driver="adam"), Path("mine.toml"))
    (dead,) = [bound for bound in bounds_of(bench) if bound.what == UNIT_DEAD]
    assert (dead.layer, dead.bound_us) == ("watchdog", 2_050_000)
    assert "the generator's watchdog ends a beam" in _outputs(bench)
    assert parts_of(bench).room.lapse_us is None


def test_a_generator_with_a_timer_alone_is_bounded_by_its_longest_beam() -> None:
    text = with_room(PORTABLE, driver="adam").replace('driver = "vj_ixs"', 'driver = "r2cp"')
    bench = bench_of(text, Path("mine.toml"))
    (dead,) = [bound for bound in bounds_of(bench) if bound.what == UNIT_DEAD]
    assert (dead.layer, dead.bound_us) == ("device timer", 4_520_000)


def test_last_words_know_no_end_where_nothing_lapses() -> None:
    portable, r2cp = (
        generator_of(load_bench("portable").unit.generator.model_copy(update=change), nobody())
        for change in ({}, {"driver": "r2cp"})
    )
    assert dead_us(r2cp.capabilities, PLAIN) == PROGRAMME_ALONE_US
    able = portable.capabilities
    beam_us = able.longest_exchange_us["beam"]
    assert dead_us(able, PLAIN) == 2 * 2_000_000 + beam_us + able.kv_fall_us


def test_the_matrix_bounds_a_dead_unit_by_what_is_there() -> None:
    technique = Technique(kv=80.0, ma=0.5, mas=0.25)
    plain = parts_of(bench_of(with_room(PORTABLE, driver="adam"), Path("mine.toml")))
    own_end_us = bounded("own end", plain, technique).bound_us
    assert bounded("dead unit", plain, technique).bound_us == min(2_050_000, own_end_us)


# --- the simulated source ------------------------------------------------------------------------


def test_its_kv_is_there_before_the_shutter_is_open() -> None:
    model = CabinetModel()
    model.set_interlock(0, True)
    assert "no_supply" in model.fault_bits(0)
    model.set_supply(0, True)
    assert "no_supply" not in model.fault_bits(0)
    model.set_kv(0, 50.0)
    model.set_ma(0, 0.6)
    assert model.start(0)
    assert model.reading(20_000).kv == pytest.approx(50.0, rel=0.02)
    assert model.exposure(0, 200_000)[0] == pytest.approx(0.6 * 0.1)  # half open in the middle
    model.advance(Now(10_000_000))
    assert model.beam_on(10_000_000)  # no timer, no watchdog


# --- a beam by time ------------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.req("SR-20")
@pytest.mark.parametrize("ms", [500.0, 1500.0, 4000.0])
def test_a_beam_by_time_is_ended_by_the_unit_in_its_time(ms: float) -> None:
    told = scenario("clean_by_mas")
    shot = told.shot.model_copy(update={"mas": None, "beam_s": None, "ms": ms})
    _, seen = run(told.model_copy(update={"shot": shot}), on=cabinet())
    (report,) = [line for line in seen.lines if line["kind"] == "report"]
    (beam,) = seen.beams
    assert [s["why"] for s in seen.of("state") if s["from"] == "EXPOSE"] == ["planned_time_reached"]
    assert report["reason"] == EndReason.PLANNED.value
    assert report["beam_ms"] == pytest.approx(ms, abs=20)  # a scan, OFF's way, a status' age
    assert beam.mas == pytest.approx(0.6 * ms / 1000, rel=0.02, abs=0.03)
    assert report["mas"] == pytest.approx(beam.mas, rel=0.02, abs=0.03)
    assert beam.mas <= report["maximum_mas"]
