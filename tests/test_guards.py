"""Nothing beams for real by mistake: which ports count as simulated, and what real ones need."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hal.device_links import ListenerLink, PtyLink
from rig.bench import Bench, load_bench
from rig.exit_codes import DeviceError, Refused, UsageError
from rig.guards import Ports, permit_exposure, permit_outputs, ports_of, room_on_disk, urls
from tests.live_bench import LiveBench, live_bench

pytestmark = [pytest.mark.wire, pytest.mark.req("SR-12")]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveBench]:
    with live_bench(tmp_path_factory.mktemp("bench")) as bench:
        yield bench


@pytest.fixture(autouse=True)
def _same_state(live: LiveBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", live.environment["XDG_STATE_HOME"])


@pytest.fixture
def pty() -> Iterator[PtyLink]:
    """A serial port that no simulator has announced."""
    link = PtyLink()
    yield link
    link.close()


def bench_of(file: Path | str) -> Bench:
    return load_bench(str(file))


# --- which ports count as simulated


def test_a_bench_without_ports_gets_those_of_its_running_simulator(live: LiveBench) -> None:
    ports = ports_of(bench_of("portable"))
    assert ports.simulated
    assert ports.unit.rung == "wire"
    assert urls(ports.unit) == {
        "generator.url": live.facts["generator"]["url"],
        "room.url": live.facts["room"]["url"],
        "panel.control_url": live.facts["panel"]["control_url"],
        "panel.data_url": live.facts["panel"]["data_url"],
    }


def test_a_serial_port_that_nobody_announced_is_refused(live: LiveBench, pty: PtyLink) -> None:
    file = live.bench_file("portable", rung="wire", generator_url=pty.path)
    with pytest.raises(Refused) as refused:
        ports_of(bench_of(file))
    assert str(refused.value) == (
        f"{file}: generator.url {pty.path} is not announced by a running `dxrig sim up`; "
        'a real port needs rung = "bench", the key switch on, and --allow-exposure'
    )


def test_a_tcp_port_that_nobody_announced_is_refused(live: LiveBench) -> None:
    listener = ListenerLink()
    url = f"tcp://{listener.host}:{listener.port}"
    file = live.bench_file("portable", rung="wire", room_url=url)
    with pytest.raises(Refused, match=f"room.url {url} is not announced"):
        ports_of(bench_of(file))
    listener.close()


def test_real_ports_are_refused_where_no_simulator_runs_either(live: LiveBench) -> None:
    file = live.bench_file("lonely", rung="model")
    with pytest.raises(Refused, match=r"generator\.url .* is not announced"):
        ports_of(bench_of(file))


def test_the_announced_ports_written_into_a_file_are_simulated(live: LiveBench) -> None:
    file = live.bench_file("portable", rung="wire")
    assert ports_of(bench_of(file)).simulated


def test_what_a_file_says_of_a_simulator_is_not_believed(
    live: LiveBench, pty: PtyLink, tmp_path: Path
) -> None:
    """`--at FILE` may be stale or edited: the simulator is asked where it is."""
    at = tmp_path / "sim.json"
    at.write_text(json.dumps({**live.facts, "generator": {"url": pty.path}}))
    assert (
        urls(ports_of(bench_of("portable"), at=at).unit)["generator.url"]
        == (live.facts["generator"]["url"])
    )


def test_a_file_of_a_simulator_that_ended_is_no_permission(live: LiveBench, tmp_path: Path) -> None:
    at = tmp_path / "sim.json"
    at.write_text(json.dumps({**live.facts, "control": f"ipc://{tmp_path}/gone"}))
    with pytest.raises(DeviceError, match="the simulator does not answer"):
        ports_of(bench_of("portable"), at=at)


def test_without_a_simulator_the_words_that_start_one_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    with pytest.raises(DeviceError, match="start one: dxrig sim up --bench portable"):
        ports_of(bench_of("portable"))


def test_a_real_bench_can_be_practised_on_its_simulator(live: LiveBench) -> None:
    file = live.bench_file("portable", rung="bench", generator_url="/dev/ttyUSB0")
    ports = ports_of(bench_of(file), rung="wire")
    assert ports.simulated
    assert ports.unit.generator.url == live.facts["generator"]["url"]


def test_the_flag_alone_makes_no_bench_a_real_one() -> None:
    with pytest.raises(Refused, match=r'bench\.rung is "model"; real ports need rung = "bench"'):
        ports_of(bench_of("portable"), rung="bench")


# --- what a real bench needs


def real(live: LiveBench) -> Ports:
    return ports_of(bench_of(live.bench_file("mine")))


def test_ports_of_a_real_bench_are_real_whoever_serves_them(live: LiveBench) -> None:
    assert not real(live).simulated


def test_a_real_bench_needs_the_permission_of_this_run(live: LiveBench) -> None:
    listener = ListenerLink()
    ports = real(live)
    room = ports.unit.room.model_copy(update={"url": f"tcp://{listener.host}:{listener.port}"})
    ports = replace(ports, unit=ports.unit.model_copy(update={"room": room}))
    with pytest.raises(Refused) as refused:
        permit_exposure(ports, allowed=False)
    assert str(refused.value) == (
        "the ports are real and this run would make X-rays: clear the room, "
        "then add --allow-exposure"
    )
    listener.read(0)
    assert len(listener.filenos()) == 1  # nobody connected: no port was touched
    listener.close()


def test_a_real_bench_needs_a_key_switch_that_reads_closed(live: LiveBench) -> None:
    live.do("key off")
    try:
        with pytest.raises(Refused, match=r"the key switch reads open \(room I/O tcp://.*input 5"):
            permit_exposure(real(live), allowed=True)
    finally:
        live.do("key on")
    permit_exposure(real(live), allowed=True)


def test_relays_of_a_real_bench_need_a_permission_too(live: LiveBench) -> None:
    with pytest.raises(Refused, match="add --allow-outputs"):
        permit_outputs(real(live), allowed=False)
    permit_outputs(real(live), allowed=True)
    permit_outputs(ports_of(bench_of("portable")), allowed=False)  # simulated relays


def test_a_simulated_bench_needs_no_permission(live: LiveBench) -> None:
    permit_exposure(ports_of(bench_of("portable")), allowed=False)


def test_the_simulated_hand_does_not_exist_on_a_real_bench(live: LiveBench) -> None:
    from rig.exposure_run import check_hand

    with pytest.raises(UsageError, match="radiation has no remote start"):
        check_hand("auto", real(live))
    check_hand("none", real(live))
    check_hand(None, real(live))


def test_only_a_simulated_beam_can_be_given_a_phantom(live: LiveBench) -> None:
    from rig.exposure_run import check_phantom

    with pytest.raises(UsageError, match="only a simulated beam can be given one"):
        check_phantom("chest", real(live))
    check_phantom(None, real(live))
    simulated = ports_of(bench_of("portable"))
    check_phantom("chest", simulated)
    with pytest.raises(UsageError, match=r"--phantom: no phantom 'ches'; .*did you mean 'chest'"):
        check_phantom("ches", simulated)


def test_a_disk_without_room_for_an_exposure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rig.guards.free_bytes", lambda folder: 3_000_000)
    with pytest.raises(Refused) as refused:
        room_on_disk([tmp_path], bench_of("portable").unit)
    assert str(refused.value) == (
        f"{tmp_path}: the disk is full (3 MB free, 68 MB needed for an exposure); "
        "free space, nothing recorded is lost"
    )


# --- as people meet them


@pytest.mark.parametrize(
    ("extra", "code", "told"),
    [
        ((), 4, "add --allow-exposure"),
        (("--hand", "auto", "--allow-exposure"), 2, "exists only in a simulated room"),
        (("--phantom", "star", "--allow-exposure"), 2, "only a simulated beam can be given one"),
        (("--rung", "wire"), 3, "no simulator of bench mine runs"),
    ],
)
def test_the_command_says_which_guard_stands(
    live: LiveBench, extra: tuple[str, ...], code: int, told: str
) -> None:
    file = str(live.bench_file("mine"))
    done = live.run("expose", "--bench", file, "--kvp", "60", "--mas", "0.3", *extra)
    assert (done.returncode, done.stdout) == (code, "")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert live.show()["beams"] == []
