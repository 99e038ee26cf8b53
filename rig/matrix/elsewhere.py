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
    "readings": "this wire tells neither kV nor mA while the beam is on",
    "OFF by the unit": "the generator itself ends a beam by mAs: no OFF of the unit's ends it",
    "IXS": "a fault of the IXS's own commands",
}


def rows_on(
    bench: Bench, rows: Mapping[str, InjectionSection], pixels: PixelModel
) -> dict[str, InjectionSection]:
    """The same rows, expecting what this wire can tell.

    Those that are none of this bench's say why in `not_applicable`.
    """
    has = _had(bench)
    driver = bench.unit.generator.driver
    world = ModelRung(bench, pixels=pixels).world
    found = {}
    for row in rows.values():
        reason = row.not_applicable or _missing(row, has) or _unknown(row, world)
        expect = row.expect | row.expect_on.get(driver, {})
        found[row.id] = row.model_copy(update={"not_applicable": reason, "expect": expect})
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


def _had(bench: Bench) -> dict[Need, bool]:
    generator = generator_of(bench.unit.generator, nobody()).capabilities
    return {
        "rotor": generator.has_rotor,
        "readings": generator.has_monitor,
        "OFF by the unit": not generator.has_mas_mode,
        "IXS": bench.unit.generator.driver == "vj_ixs",
    }


def _steps(row: InjectionSection) -> Iterator[HowSection]:
    for steps in (row.how, row.cure or [], *row.how_in.values()):
        yield from (step for step in steps if step.do in VERBS)
