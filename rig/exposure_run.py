"""An exposure's surroundings: its ports and state before, its folder afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from firmware_py.config import TubeConfig
from firmware_py.decide.tube_load import energy_j
from firmware_py.recorder.store.tube_heat import stored_heat
from firmware_py.runner import FULL
from hal.types import Shot, Technique
from rig.aec_plan import Asked
from rig.bench import Bench
from rig.distance import sid_of
from rig.drivers import generator_of, nobody
from rig.exit_codes import DeviceError, DxrigError, Ended, Refused, UsageError
from rig.exposure import Exposure, Outcome
from rig.exposure_view import LiveLines
from rig.fault_words import all_words, what_was_heard
from rig.guards import Ports, permit_exposure, room_on_disk
from rig.hand import Hand, PersonsHand, SimulatedHand
from rig.panel_sets import set_for_exposure
from rig.plan import asked_technique, heat_warning, plan
from rig.recovery import journal_of, refuse_if_open
from rig.routines.tube import warmth_at
from rig.run_folder import finish, lives
from rig.session import Session
from rig.simulator import ask
from rig.state_dir import new_folder, run_folder
from rig.unit_lost import what_follows


def technique_of(
    bench: Bench,
    kv: float,
    *,
    ma: float | None,
    mas: float | None,
    ms: float | None,
    aec: Asked | None = None,
    sid_mm: float | None = None,
) -> Technique:
    """As the generator can make it. Raises UsageError with every reason why not."""
    generator = generator_of(bench.unit.generator, nobody())
    asked = asked_technique(
        bench.unit, generator, kv, ma=ma, mas=mas, ms=ms, aec=aec, sid_mm=sid_mm
    )
    return plan(bench.unit, generator, asked, sid_mm=sid_mm).effective


def check_hand(hand: str | None, ports: Ports) -> None:
    if hand == "auto" and not ports.simulated:
        raise UsageError(
            "--hand auto: the simulated hand exists only in a simulated room; "
            "radiation has no remote start, a person presses the handswitch"
        )


def check_phantom(name: str | None, ports: Ports) -> None:
    if name is None:
        return
    if not ports.simulated:
        raise UsageError(
            "--phantom: only a simulated beam can be given one; on a real bench a person places it"
        )
    from sim.phantoms import known

    try:
        known(name)
    except ValueError as error:
        raise UsageError(f"--phantom: {error}") from error


def folder_for(bench: Bench, state: Path, out: Path | None) -> Path:
    if out is not None:
        return new_folder(out)
    return run_folder(state / "runs", bench.name, datetime.now(UTC), uuid4().hex[:6])


def expose(
    bench: Bench,
    ports: Ports,
    technique: Technique,
    *,
    state: Path,
    out: Path | None,
    by_hand: bool,
    wait_s: float,
    allowed: bool,
    view: LiveLines,
    deferred: str | None = None,
    sid_mm: float | None = None,
    phantom: str | None = None,
) -> tuple[Outcome, dict[str, Any]]:
    """The bench must be held. `deferred`: why the warm-up waits; `sid_mm`: of this exposure;
    `phantom`: what is put into a simulated beam, left out: what stands there.

    Returns what was seen, too.
    """
    refuse_if_open(state, bench.name)
    permit_exposure(ports, allowed=allowed)
    with _disk_told(state):
        room_on_disk([state], ports.unit)
        _warn(ports.unit.tube, technique, state)
        folder = folder_for(bench, state, out)
    with _disk_told(folder):
        room_on_disk([folder], ports.unit)
        (folder / "work").mkdir()
        at = datetime.now(UTC)
        session = session_for(
            bench,
            ports,
            folder,
            state,
            panel_set=set_for_exposure(bench, ports, folder, state, at),
            warm=warmth_at(ports, state, at).warm,
        )
        stands = _phantom(ports, phantom)  # what was refused has moved nothing
        exposure = Exposure(
            session,
            _shot(ports, technique, deferred, sid_mm),
            _hand(ports, view, sid_mm, by_hand=by_hand),
            wait_s=wait_s,
            patient=by_hand,
            say=view.say,
            show=view.show,
        )
        try:
            outcome = exposure.make()
        except DxrigError as error:
            lost = isinstance(error, DeviceError)
            next_ = what_follows(bench, state, session.lines) if lost else ""
            raise type(error)(f"{error}{next_} (run folder: {folder})") from error
        if outcome.interrupted and not _has_lived(folder):
            raise Ended(f"ended by the operator before the unit ran; run folder: {folder}")
        return outcome, _answer(bench, ports, session, technique, outcome, stands)


def _warn(tube: TubeConfig, technique: Technique, state: Path) -> None:
    """Too hot is the unit's to refuse; nearly so is told here."""
    heat = stored_heat(journal_of(state), tube, datetime.now(UTC))
    after_j = heat.heat_j + energy_j(technique.kv, technique.planned_mas)
    for told in heat_warning(after_j, tube):
        click.echo(f"dxrig: warning: {told}", err=True)


def _has_lived(folder: Path) -> bool:
    """The unit got as far as its record and its trace."""
    files = [file for life in lives(folder) for file in life]
    return bool(files) and all(file.is_file() for file in files)


def session_for(
    bench: Bench,
    ports: Ports,
    folder: Path,
    state: Path,
    *,
    panel_set: Path | None,
    warm: bool,
) -> Session:
    (folder / "work").mkdir(exist_ok=True)
    return Session(
        bench=bench,
        unit=ports.unit,
        folder=folder,
        state=state,
        simulated=ports.simulated,
        panel_set=panel_set,
        started_at=datetime.now(UTC),
        warm=warm,
    )


def _shot(ports: Ports, technique: Technique, deferred: str | None, sid_mm: float | None) -> Shot:
    return Shot(
        shot_id=f"x-{uuid4().hex[:12]}",
        technique=technique,
        exam_id="TEST",
        panel_id=ports.unit.panel.panel_id,
        deferred=deferred,
        sid_mm=sid_mm,
    )


def _hand(ports: Ports, view: LiveLines, sid_mm: float | None, *, by_hand: bool) -> Hand:
    """Who presses also sets the distance."""
    if by_hand or ports.simulator is None:
        if sid_mm is not None:
            view.say(f"set the distance from source to detector: {sid_mm:g} mm")
        return PersonsHand(view.say)
    place = {"sid_mm": sid_of(ports.unit, sid_mm)}
    ask(ports.simulator, {"kind": "do", "verb": "geometry", "args": place})
    contacts = ask(ports.simulator, {"kind": "show"})["contacts"]
    if contacts["stage_1"] or contacts["stage_2"]:  # a killed run could not let go
        ask(ports.simulator, {"kind": "do", "verb": "release", "args": {}})
        click.echo("dxrig: the simulated handswitch was still pressed: released", err=True)
    return SimulatedHand(ports.simulator)


def _phantom(ports: Ports, name: str | None) -> dict[str, Any]:
    """What a simulated beam meets, and how, for run.json; nobody knows it of a real one."""
    if ports.simulator is None:
        return {}
    if name is not None:
        ask(ports.simulator, {"kind": "do", "verb": "phantom", "args": {"name": name}})
    shown = ask(ports.simulator, {"kind": "show"})
    return {name: shown[name] for name in ("phantom", "optics")}


def _answer(
    bench: Bench,
    ports: Ports,
    session: Session,
    technique: Technique,
    outcome: Outcome,
    stands: dict[str, Any],
) -> dict[str, Any]:
    """As `dxrig demo` answers; `faults` are sentences for people. `stands`: see `_phantom`."""
    folder = session.folder.resolve()
    written = finish(
        folder,
        bench,
        technique=technique,
        rung=ports.unit.rung,
        simulated=ports.simulated,
        seed=(ports.simulator or {}).get("seed"),
        scenario=None,
        started_at=session.started_at.isoformat(),
        **stands,
    )
    record, _ = lives(folder)[0]
    why = outcome.told
    names = ("bench", "rung", "simulated", "end_reason", "fault", "technique", "measured", "dap")
    return {
        "run": str(folder),
        **{name: written[name] for name in names if name in written},
        "timeline": written["timeline"],
        "files": _files(folder),
        "faults": all_words(why, ports.unit, what_was_heard(record)) + _simulated_cure(why, ports),
    }


def _simulated_cure(why: list[str], ports: Ports) -> list[str]:
    if ports.simulated and "HANDSWITCH_STUCK" in why:
        return ["The hand is simulated: `dxrig sim press --release` lets it go."]
    return []


def _files(folder: Path) -> dict[str, str]:
    """What people open, by name; only what there is."""
    exposure = next((folder / "exposures").glob("x-*"), folder / "exposures")
    places = {
        "presentation": exposure / "presentation.dcm",
        "processing": exposure / "processing.dcm",
        "preview": exposure / "preview.png",
        "curve": folder / "curve.svg",
        "trace": folder / "trace.txt",
        "record": folder / "record.bin",
    }
    return {name: str(path) for name, path in places.items() if path.is_file()}


@contextmanager
def _disk_told(folder: Path) -> Iterator[None]:
    """A disk that fills up meanwhile is no bug; what was recorded stays."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        why = (error.strerror or str(error)).lower()
        text = f"{folder}: {why}; free space, then look with `dxrig recover`"
        beamed = (folder / "exposures").exists()
        raise (DeviceError if beamed else Refused)(text) from error
