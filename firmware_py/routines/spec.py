"""A routine in plain values: what goes to the unit's process, and what a resumed run needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from firmware_py.routines import calibration
from firmware_py.routines.calibration import PanelPlan
from firmware_py.routines.conditioning import ConditioningPlan, conditioning
from firmware_py.routines.steps import Routine
from firmware_py.routines.supply import Supply, split
from firmware_py.routines.warmup import WarmupPlan, warmup

_PLANS = {
    "warmup": WarmupPlan,
    "conditioning": ConditioningPlan,
    "offset": PanelPlan,
    "gain": PanelPlan,
    "defects": PanelPlan,
    "lag": PanelPlan,
}
_PANEL = {
    "offset": calibration.offset,
    "gain": calibration.gain,
    "defects": calibration.defects,
    "lag": calibration.lag,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """`supply`: None where nothing has to be split."""

    kind: str
    plan: WarmupPlan | ConditioningPlan | PanelPlan
    supply: Supply | None = None

    def routine(self) -> Routine:
        """From the beginning."""
        if isinstance(self.plan, WarmupPlan):
            made = warmup(self.plan)
        elif isinstance(self.plan, ConditioningPlan):
            made = conditioning(self.plan)
        else:
            made = _PANEL[self.kind](self.plan)
        return split(made, self.supply) if self.supply is not None else made

    def to_dict(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "plan": asdict(self.plan),
            "supply": asdict(self.supply) if self.supply else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Spec:
        """Raises KeyError, TypeError, ValueError."""
        kind, supply = data["kind"], data.get("supply")
        if kind not in _PLANS:
            raise ValueError(f"no routine {kind!r}; there are {', '.join(_PLANS)}")
        values = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data["plan"].items()
        }
        plan = _PLANS[kind](**values)
        return cls(kind=kind, plan=plan, supply=Supply(**supply) if supply else None)
