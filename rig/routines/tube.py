"""The tube's warmth on this bench, and the plans of warm-up and conditioning."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from firmware_py.config import BatteryConfig, UnitConfig, WarmupConfig
from firmware_py.recorder.store.database import JournalError
from firmware_py.recorder.store.tube_use import beam_dates
from firmware_py.routines.conditioning import ConditioningPlan, ladder
from firmware_py.routines.idle import Warmth, minutes_after, warmth
from firmware_py.routines.spec import Spec
from firmware_py.routines.supply import Supply
from firmware_py.routines.warmup import plan_for
from rig import announce
from rig.bench import Bench
from rig.exit_codes import UsageError
from rig.guards import Ports
from rig.recovery import journal_of
from rig.state_dir import state_home, write_private

if TYPE_CHECKING:
    from rig.routines.place import Place

TUBE_FILE = "tube.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedRest:
    """What a simulator says of its tube: when it was started, and how long it had rested."""

    started_at: datetime
    idle_s: float

    @property
    def warmed_at(self) -> datetime:
        return self.started_at - timedelta(seconds=self.idle_s)


def warmth_on(bench: Bench, place: Place | None, ambient_c: float | None) -> Warmth:
    """Of the bench's tube now; `place`: None looks at what the bench keeps, and announces."""
    if place is None:
        simulator = announce.running(bench.name)
        return tube_warmth(
            bench.unit,
            state_home() / bench.name,
            datetime.now(UTC),
            ambient_c=ambient_c,
            rest=rest_of(simulator),
        )
    if place.ports is None:  # a model room begins with a tube that is warm
        at = datetime.now(UTC)
        rest = SimulatedRest(started_at=at, idle_s=0.0)
        return tube_warmth(bench.unit, place.state, at, ambient_c=ambient_c, rest=rest)
    return warmth_at(place.ports, place.state, datetime.now(UTC), ambient_c)


def ambient_of(bench: Bench, place: Place | None, table: WarmupConfig) -> float:
    """Of a simulated room, or as the bench file says."""
    simulated = place is not None and (place.ports is None or place.ports.simulated)
    return bench.sim.ambient_c if simulated else table.ambient_c


def warmth_at(ports: Ports, state: Path, at: datetime, ambient_c: float | None = None) -> Warmth:
    """A simulated tube has rested as long as its simulator says."""
    rest = rest_of(ports.simulator)
    return tube_warmth(ports.unit, state, at, ambient_c=ambient_c, rest=rest)


def rest_of(facts: dict[str, Any] | None) -> SimulatedRest | None:
    """`facts`: a simulator's announcement."""
    if facts is None:
        return None
    started_at = datetime.fromisoformat(str(facts["started_at"]))
    return SimulatedRest(started_at=started_at, idle_s=float(facts["idle_s"]))


def tube_warmth(
    unit: UnitConfig,
    state: Path,
    at: datetime,
    *,
    ambient_c: float | None = None,
    rest: SimulatedRest | None = None,
) -> Warmth:
    """`rest`: of a simulated tube; older than its simulator nothing counts."""
    table = unit.warmup
    if table is None:
        return Warmth(idle_s=None, minutes=0.0, why="this tube needs no warm-up")
    found = ambient_c if ambient_c is not None else table.ambient_c
    try:
        beams = beam_dates(journal_of(state))
        warmed_at = _warmed_at(state, unit.site.serial)
    except (JournalError, ValueError) as error:
        minutes = minutes_after(table, None, found)
        return Warmth(idle_s=None, minutes=minutes, why=f"its history can't be read: {error}")
    if rest is not None:
        beams = [beam for beam in beams if beam >= rest.started_at]
        own = warmed_at if warmed_at is not None and warmed_at >= rest.started_at else None
        warmed_at = own or rest.warmed_at
    return warmth(table, warmed_at=warmed_at, beams=beams, at=at, ambient_c=found)


def note_warmed(state: Path, unit: UnitConfig, at: datetime, routine_id: str) -> None:
    facts = {"schema": 1, "unit_serial": unit.site.serial, "warmed_at": at.isoformat(),
             "routine": routine_id}  # fmt: skip
    write_private(state / TUBE_FILE, json.dumps(facts) + "\n")


def _warmed_at(state: Path, serial: str) -> datetime | None:
    """Raises ValueError."""
    try:
        facts: dict[str, Any] = json.loads((state / TUBE_FILE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if not isinstance(facts, dict) or facts.get("unit_serial") != serial:
        return None
    at = datetime.fromisoformat(str(facts.get("warmed_at")))
    if at.tzinfo is None:
        raise ValueError(f"{TUBE_FILE}: a date without a time zone")
    return at


# --- plans


def warmup_spec(unit: UnitConfig, minutes: float, *, charge: float = 1.0) -> Spec:
    """Raises UsageError where the bench has no table."""
    table = unit.warmup
    if table is None:
        raise UsageError(f"bench {unit.name} has no [warmup] section: its tube needs none")
    plan = plan_for(minutes, kv=table.kv, ma=table.ma, on_s=table.on_s, off_s=table.off_s)
    return Spec(kind="warmup", plan=plan, supply=supply_of(unit.battery, charge))


def conditioning_spec(unit: UnitConfig, *, charge: float = 1.0) -> Spec:
    rules = unit.conditioning
    if rules is None:
        raise UsageError(f"bench {unit.name} has no [conditioning] section")
    plan = ConditioningPlan(
        kv=ladder(rules.kv_from, rules.kv_to, rules.kv_step),
        ma=rules.ma,
        on_s=rules.on_s,
        pause_s=rules.pause_s,
        shots=rules.shots,
        most_arcs_at_kv=rules.most_arcs_at_kv,
        most_arcs=rules.most_arcs,
    )
    return Spec(kind="conditioning", plan=plan, supply=supply_of(unit.battery, charge))


def supply_of(battery: BatteryConfig | None, charge: float) -> Supply | None:
    if battery is None:
        return None
    return Supply(
        capacity_j=battery.capacity_wh * 3600,
        efficiency=battery.efficiency,
        standby_w=battery.standby_w,
        reserve=battery.reserve,
        charge_h=battery.charge_h,
        charge=charge,
    )
