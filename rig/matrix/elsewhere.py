"""Rows of the fault catalogue that a bench can't have, each with the reason.

A row may say what it needs; and what its steps name may be of another generator's wire, which
the simulator of this bench says when it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rig.bench import Bench
from rig.drivers import generator_of, nobody
from rig.injections import HowSection, InjectionSection, Need
from rig.model import ModelRung
from sim.pixels import PixelModel
from sim.script import VERBS, NotOnThisBenchError, ScriptError, do
from sim.world import World

REASONS: dict[Need, str] = {
    "rotor": "no rotor: the source has a stationary anode",
    "readings": "this wire tells neither kV nor mA, in the beam or after it",
    "OFF by the unit": "the generator itself ends a beam by mAs: no OFF of the unit's ends it",
    "own timer": "the generator has no timer of its own: the unit ends each beam (F01 for its OFF)",
    "battery": "the generator runs on mains",
    "IXS": "a fault of the IXS's own commands",
    "sensed geometry": "no collimator or SID sensor on this bench",
}


def rows_on(
    bench: Bench, rows: Mapping[str, InjectionSection], pixels: PixelModel
) -> dict[str, InjectionSection]:
    """The same rows, expecting what this wire can tell.

    Those that are none of this bench's say why in `not_applicable`.
    """
    driver = bench.unit.generator.driver
    world = ModelRung(bench, pixels=pixels).world
    has = _had(bench, world)
    found = {}
    for row in rows.values():
        here = {
            "how": row.how_on.get(driver, row.how),
            "expect": row.expect | row.expect_on.get(driver, {}),
            "beam_in": row.beam_in | row.beam_in_on.get(driver, {}),
        }
        row = row.model_copy(update=here)
        reason = row.not_applicable or _missing(row, has) or _unknown(row, world)
        found[row.id] = row.model_copy(update={"not_applicable": reason})
    return found


def _missing(row: InjectionSection, has: Mapping[Need, bool]) -> str:
    return next((REASONS[need] for need in row.needs if not has[need]), "")


def _unknown(row: InjectionSection, world: World) -> str:
    """The first step that only another bench has. Each is tried: nothing here runs."""
    for step in _steps(row):
        try:
            do(world, step.do, step.args)
        except NotOnThisBenchError as error:
            return str(error).partition("; there are")[0]
        except ScriptError:
            continue  # it is of this bench, though not of this moment
    return ""


def _had(bench: Bench, world: World) -> dict[Need, bool]:
    generator = generator_of(bench.unit.generator, nobody()).capabilities
    return {
        "rotor": generator.has_rotor,
        "readings": generator.has_monitor or generator.account_us is not None,
        "OFF by the unit": not generator.has_mas_mode,
        "own timer": generator.has_own_timer,
        "battery": world.generator.battery.is_pack,
        "IXS": bench.unit.generator.driver == "vj_ixs",
        "sensed geometry": bench.unit.geometry.sid == "sensed",
    }


def _steps(row: InjectionSection) -> Iterator[HowSection]:
    for steps in (row.how, row.cure or [], *row.how_in.values()):
        yield from (step for step in steps if step.do in VERBS)
