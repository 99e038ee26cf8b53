"""Which calibration set a panel is corrected with, and why it may not be used."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from firmware_py.config import UnitConfig
from firmware_py.recorder.image import maps
from firmware_py.recorder.image.maps import PanelSet, PanelSetError
from firmware_py.recorder.image.sets import SetStore, panel_folder
from rig.bench import Bench
from rig.exit_codes import Refused
from rig.guards import Ports
from rig.model import setting_of
from rig.run_model import valid_set
from sim.build import pixel_model


def store_of(state: Path, unit: UnitConfig) -> SetStore:
    return SetStore(panel_folder(state, unit.panel.panel_id))


def current_set(state: Path, unit: UnitConfig) -> tuple[PanelSet, Path] | None:
    """As calibration left it; None = never calibrated. Raises Refused where it is damaged."""
    store = store_of(state, unit)
    try:
        number = store.current_number()
        return None if number is None else (store.load(number), store.path(number))
    except PanelSetError as error:
        raise Refused(str(error)) from error


def set_for_exposure(bench: Bench, ports: Ports, folder: Path, state: Path, at: datetime) -> Path:
    """A set that fits panel, unit and day; refused before anything is started, with the reason.

    A simulated panel starts with a valid one (kept in `folder`), unless it is uncalibrated.
    """
    unit = ports.unit
    current = current_set(state, unit)
    if current is not None:
        refuse_unfit(current[0], unit, at)
        return current[1]
    if ports.simulator is None or ports.simulator.get("uncalibrated"):
        raise Refused(
            f"no calibration set for panel {unit.panel.panel_id}; "
            "run `dxrig calibrate offset`, then gain and defects"
        )
    pixels = pixel_model(setting_of(bench, ports.simulator.get("seed")))
    path = folder / "work" / "panel-set.npz"
    maps.save(valid_set(bench, pixels, at), path)
    return path


def refuse_unfit(panel_set: PanelSet, unit: UnitConfig, at: datetime) -> None:
    problem = unfit(panel_set, unit, at)
    if problem is not None:
        raise Refused(problem)


def unfit(panel_set: PanelSet, unit: UnitConfig, at: datetime) -> str | None:
    """Why no exposure can be made with it on this unit and day; None = it can."""
    try:
        maps.require(
            panel_set,
            panel_id=unit.panel.panel_id,
            rows_px=unit.panel.rows_px,
            columns_px=unit.panel.columns_px,
            at=at,
            unit_serial=unit.site.serial,
        )
    except PanelSetError as error:
        return str(error)
    return None
