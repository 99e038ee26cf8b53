"""Nothing beams for real by mistake (design.md, section 6).

A port is simulated only when the simulator that serves it says so itself, now. Any other
needs three things, each given on purpose: `rung = "bench"` in the bench file,
`--allow-exposure` on this run, and a key switch in the room that reads closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from firmware_py.config import UnitConfig
from firmware_py.recorder.store.disk import needed_bytes
from firmware_py.recorder.store.files import free_bytes
from rig import announce
from rig.bench import Bench
from rig.bench_checks import OBSERVED
from rig.drivers import must_drive_beam
from rig.exit_codes import DeviceError, Refused
from rig.simulator import OPTIONAL, ask, with_ports

RealTime = Literal["wire", "bench"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where a unit's devices are. `simulator`: its own announcement; None = a real bench."""

    unit: UnitConfig
    simulator: dict[str, Any] | None

    @property
    def simulated(self) -> bool:
        return self.simulator is not None


def ports_of(bench: Bench, *, at: Path | None = None, rung: str | None = None) -> Ports:
    """The bench's own ports, or those of the simulator that runs for it.

    Raises UsageError for a bench that only observes, Refused for a port that is neither simulated
    nor on a bench of rung "bench", DeviceError when no simulator runs.
    """
    if bench.unit.generator.driver == OBSERVED:  # not even its lamps are ours to switch
        must_drive_beam(OBSERVED)
    if (rung or bench.unit.rung) == "bench":
        _must_be_a_real_bench(bench)
        return Ports(unit=bench.unit, simulator=None)
    own = {name: url for name, url in urls(bench.unit).items() if url not in ("sim", "none")}
    if own and rung != "wire":
        return _own_ports(bench, own, at)
    facts = ask_itself(announce.found(bench.name, at))
    return Ports(unit=with_ports(bench.unit, facts), simulator=facts)


def _must_be_a_real_bench(bench: Bench) -> None:
    if bench.unit.rung != "bench":
        raise Refused(
            f'{bench.path}: bench.rung is "{bench.unit.rung}"; real ports need rung = "bench" '
            "in the bench file, so that nothing beams for real by mistake"
        )


def _own_ports(bench: Bench, own: dict[str, str], at: Path | None) -> Ports:
    """A bench file that names ports without being a real bench: they must be a simulator's."""
    try:
        facts = ask_itself(announce.found(bench.name, at))
    except DeviceError:
        facts = None
    announced = urls(with_ports(bench.unit, facts)) if facts else {}
    for name, url in own.items():
        if announced.get(name) != url:
            raise Refused(
                f"{bench.path}: {name} {url} is not announced by a running `dxrig sim up`; "
                'a real port needs rung = "bench", the key switch on, and --allow-exposure'
            )
    assert facts is not None
    return Ports(unit=with_ports(bench.unit, facts), simulator=facts)


def ask_itself(facts: dict[str, Any]) -> dict[str, Any]:
    """What the simulator says now of its ports, not what a file says. Raises DeviceError."""
    answer = ask(facts, {"kind": "announcement"})
    return {key: value for key, value in answer.items() if key not in ("schema", "kind")}


def urls(unit: UnitConfig) -> dict[str, str]:
    return {
        "generator.url": unit.generator.url,
        "room.url": unit.room.url,
        "panel.control_url": unit.panel.control_url,
        "panel.data_url": unit.panel.data_url,
        **{f"{name}.url": own.url for name in OPTIONAL if (own := getattr(unit, name)) is not None},
    }


def permit_exposure(ports: Ports, *, allowed: bool) -> None:
    """The flag and the key of a real bench; before a generator's port is opened. Refused."""
    if ports.simulated:
        return
    _must_allow(allowed, "--allow-exposure", "this run would make X-rays")
    _key_must_be_closed(ports.unit)


def permit_outputs(ports: Ports, *, allowed: bool) -> None:
    """For relay and lamp tests of a real bench."""
    if not ports.simulated:
        _must_allow(allowed, "--allow-outputs", "this test switches real relays")


def _must_allow(allowed: bool, flag: str, why: str) -> None:
    if not allowed:
        raise Refused(f"the ports are real and {why}: clear the room, then add {flag}")


def _key_must_be_closed(unit: UnitConfig) -> None:
    from rig.room_watch import RoomWatch

    with RoomWatch(unit) as room:
        sample = room.first_sample()
    if not sample.key:
        raise Refused(
            f"the key switch reads open (room I/O {unit.room.url}, input 5); "
            "turn the key on: a real bench exposes only while it is"
        )


def room_on_disk(folders: list[Path], unit: UnitConfig) -> None:
    """SR-11: asked before anything is started. Raises Refused."""
    needed = needed_bytes(unit.panel.rows_px, unit.panel.columns_px)
    for folder in folders:
        free = free_bytes(folder)
        if free < needed:
            raise Refused(
                f"{folder}: the disk is full ({free / 1e6:.0f} MB free, {needed / 1e6:.0f} MB "
                "needed for an exposure); free space, nothing recorded is lost"
            )
