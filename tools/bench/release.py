"""How long from the handswitch's contact to the first byte of OFF, on real ports: wire rung.

Unit and recorder are processes of their own; the simulated devices run here, so contact and
bytes have one clock. Each turn is an exposure that is released at a moment of no particular
phase. The floor is what the room I/O takes to tell it: contact -> the answer that shows it.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from firmware_py.recorder.image.maps import save
from hal.generators.vj_ixs_wire import OFF, frame
from hal.ports import ByteLink
from rig.bench import Bench, load_bench
from rig.exit_codes import DeviceError
from rig.model import setting_of
from rig.run_model import shot_of, valid_set
from rig.scenario import ShotSection
from rig.session import Session
from rig.sim_server import SimServer
from rig.simulator import with_ports
from sim.build import pixel_model
from sim.script import do
from tools.bench.timing import LEAST_TURNS_COUNT, Benchmark, Measured

SHOT = ShotSection(kv=60.0, ma=0.5, mas=1.0)
PANEL_PX = 64  # what pixels cost is another matter
BEAM_MS = (200.0, 600.0)  # from EXPOSE to the release
LIMIT_S = 30.0
OFF_BYTES = frame(OFF.text)
READ_INPUTS, STAGE_2 = 2, 0b10  # Modbus function; the bit of the contact in its answer
FINGER_MS = 50.0


@dataclass(slots=True)
class Turn:
    """One release; all by the clock of the simulated devices, in us."""

    contact_us: int
    looked_us: list[int] = field(default_factory=list)  # its inputs were asked for, in the beam
    shown_us: int | None = None  # the room's answer that shows it has left
    off_us: int | None = None  # the first byte of OFF is here
    gone_us: int | None = None  # HV below 10 %
    faulted: bool = False  # the unit told it as a fault, not as a release


class _Noted:
    """A device's end of a link; `heard` and `said` are told what passes."""

    def __init__(
        self, link: ByteLink, heard: Callable[[bytes], None], said: Callable[[bytes], None]
    ) -> None:
        self._link, self._heard, self._said = link, heard, said

    def read(self, t_us: int) -> bytes:
        data = self._link.read(t_us)
        if data:
            self._heard(data)
        return data

    def write(self, t_us: int, data: bytes) -> None:
        self._link.write(t_us, data)
        self._said(data)

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()


class Room(SimServer):
    """The simulated room, in a thread; what is done to it waits for its next look around."""

    def __init__(self, bench: Bench, sockets: Path) -> None:
        super().__init__(bench, sockets)
        self.turn: Turn | None = None
        self.looked_us: list[int] = []
        self._todo: deque[Callable[[], None]] = deque()
        generator, room = self.world.generator_device, self.world.room_device
        generator.link = _Noted(generator.link, self._generator_heard, lambda data: None)
        room.link = _Noted(room.link, self._room_heard, self._room_said)
        self._thread = threading.Thread(target=self.serve, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self.stopping = True
        self._thread.join()

    def later(self, what: Callable[[], None]) -> None:
        self._todo.append(what)

    def press(self, stage: int) -> None:
        self.later(lambda: do(self.world, "press", {"stage": stage}))

    def release(self) -> None:
        self.later(self._release)

    def _release(self) -> None:
        self.turn = Turn(self._clock.now_us(), [*self.looked_us])
        do(self.world, "release", {})

    def _wait(self) -> None:
        while self._todo:
            self._todo.popleft()()
        super()._wait()

    # --- what passes

    def _generator_heard(self, data: bytes) -> None:
        if self.turn is not None and self.turn.off_us is None and OFF_BYTES in data:
            self.turn.off_us = self._clock.now_us()

    def _room_heard(self, data: bytes) -> None:
        if any(function == READ_INPUTS for function, _ in _pdus(data)):
            self.looked_us.append(self._clock.now_us())

    def _room_said(self, data: bytes) -> None:
        if self.turn is None or self.turn.shown_us is not None:
            return
        for function, rest in _pdus(data):
            if function == READ_INPUTS and not rest[-1] & STAGE_2:
                self.turn.shown_us = self._clock.now_us()

    def gone_us(self) -> int | None:
        """When HV of the newest beam was below 10 %; None = it is on."""
        courses = self.world.generator.courses
        return courses[-1].gone_us() if courses else None


def _pdus(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(function, the rest) of each Modbus TCP frame that is whole."""
    while len(data) > 7:
        end = 6 + int.from_bytes(data[4:6], "big")
        yield data[7], data[8:end]
        data = data[end:]


def release(seconds: float) -> Benchmark:
    bench = _small(load_bench("portable"))
    with tempfile.TemporaryDirectory(prefix="dxrig-") as folder, _unit(bench, Path(folder)) as both:
        turns = _turns(bench, *both, seconds)
    return Benchmark(
        name="release",
        about="from the contact to OFF at the generator, unit and devices on real ports",
        cases=cases(turns),
    )


def _small(bench: Bench) -> Bench:
    panel = bench.unit.panel.model_copy(update={"rows_px": PANEL_PX, "columns_px": PANEL_PX})
    return replace(bench, unit=bench.unit.model_copy(update={"panel": panel}))


@contextmanager
def _unit(bench: Bench, folder: Path) -> Iterator[tuple[Room, Session]]:
    """A room, and a unit with its recorder on the room's ports."""
    room = Room(bench, folder)
    room.start()
    session: Session | None = None
    try:
        started_at, panel_set = datetime.now(UTC), folder / "panel-set.npz"
        save(valid_set(bench, pixel_model(setting_of(bench)), started_at), panel_set)
        (folder / "run" / "work").mkdir(parents=True)
        session = Session(
            bench=bench,
            unit=with_ports(bench.unit, room.announcement()),
            folder=folder / "run",
            state=folder / "state",
            simulated=True,
            panel_set=panel_set,
            started_at=started_at,
        )
        session.start()
        yield room, session
    finally:
        if session is not None:
            session.end()
        room.end()


def _turns(bench: Bench, room: Room, session: Session, seconds: float) -> list[Turn]:
    chance, turns = random.Random("release"), list[Turn]()
    end_s = time.monotonic() + seconds
    while len(turns) < LEAST_TURNS_COUNT or time.monotonic() < end_s:
        turn = _exposure(bench, room, session, len(turns), chance.uniform(*BEAM_MS))
        turns.append(turn)
    return turns


def _exposure(bench: Bench, room: Room, session: Session, index: int, beam_ms: float) -> Turn:
    """From STANDBY to STANDBY, released on the way."""
    if index == 0:
        _until(session, "STANDBY")
    room.turn = None
    session.program(shot_of(bench, SHOT, f"release-{index}"))
    time.sleep(FINGER_MS / 1000)
    room.press(1)
    _until(session, "READY")
    room.press(2)
    _until(session, "EXPOSE")
    room.looked_us.clear()
    time.sleep(beam_ms / 1000)
    room.release()
    faults = _until(session, "STANDBY", "FAULT")
    turn = room.turn
    assert turn is not None
    turn.gone_us, turn.faulted = room.gone_us(), bool(faults)
    if faults:
        time.sleep(FINGER_MS / 1000)
        session.ask("reset")
        _until(session, "STANDBY", resetting=True)
    return turn


def _until(session: Session, *states: str, resetting: bool = False) -> list[str]:
    """Wait until the unit enters one of them; the faults it says then.

    Raises DeviceError when it goes elsewhere, is dead, or takes too long.
    """
    end_s = time.monotonic() + LIMIT_S
    while time.monotonic() < end_s:
        for line in session.news(0.01):
            if line["kind"] != "state":
                continue
            faults = list(line.get("faults", ()))
            if line["to"] in states:
                return faults
            if faults and not resetting:
                raise DeviceError(f"{line['to']} instead of {' or '.join(states)}: {faults}")
        session.check()
    raise DeviceError(f"no {' or '.join(states)} within {LIMIT_S:g} s")


# --- figures


def cases(turns: Sequence[Turn]) -> tuple[Measured, ...]:
    """The floor first. A turn whose OFF or answer is missing would be a defect: it raises."""
    shown_us = [_span_us(turn.contact_us, turn.shown_us) for turn in turns]
    off_us = [_span_us(turn.contact_us, turn.off_us) for turn in turns]
    gone_us = [_span_us(turn.contact_us, turn.gone_us) for turn in turns]
    faulted = {"told_as_fault_count": float(sum(turn.faulted for turn in turns))}
    return (
        _measured("contact -> the room's answer that shows it", shown_us, shown_us, _polls(turns)),
        _measured("contact -> the first byte of OFF", off_us, shown_us, faulted),
        _measured("contact -> HV below 10 %, by the chain", gone_us, shown_us, {}),
    )


def _polls(turns: Sequence[Turn]) -> dict[str, float]:
    """From one look at the room to the next, in the beam."""
    looks = [zip(turn.looked_us, turn.looked_us[1:], strict=False) for turn in turns]
    gaps_us = [later_us - sooner_us for pairs in looks for sooner_us, later_us in pairs]
    if not gaps_us:
        return {}
    return {"poll_p50_ms": statistics.median(gaps_us) / 1000, "poll_max_ms": max(gaps_us) / 1000}


def _span_us(from_us: int, to_us: int | None) -> int:
    if to_us is None:
        raise ValueError("a release was not told, not answered by OFF, or left the beam on")
    return max(1, to_us - from_us)


def _measured(
    name: str,
    times_us: Sequence[int],
    floors_us: Sequence[int],
    told: Mapping[str, float],
) -> Measured:
    tenths = statistics.quantiles(times_us, n=10, method="inclusive")
    hundredths = statistics.quantiles(times_us, n=100, method="inclusive")
    ratios = [time_us / floor_us for time_us, floor_us in zip(times_us, floors_us, strict=True)]
    return Measured(
        name=name,
        turns_count=len(times_us),
        median_us=statistics.median(times_us),
        p10_us=tenths[0],
        p90_us=tenths[-1],
        ratio=statistics.median(ratios),
        figures={
            "p50_ms": statistics.median(times_us) / 1000,
            "p99_ms": hundredths[-1] / 1000,
            "max_ms": max(times_us) / 1000,
            **told,
            **histogram(times_us),
        },
    )


def histogram(times_us: Sequence[int], width_ms: int = 5) -> dict[str, float]:
    """How many fell into each 5 ms, by the upper edge: {"<5ms": 3.0, "<10ms": 9.0}."""
    counts: dict[int, int] = {}
    for time_us in times_us:
        edge_ms = (time_us // (width_ms * 1000) + 1) * width_ms
        counts[edge_ms] = counts.get(edge_ms, 0) + 1
    return {f"<{edge_ms}ms": float(counts[edge_ms]) for edge_ms in sorted(counts)}
