"""A scenario on a bench: its shot and what must be seen of it in that bench's numbers.

Shipped scenarios name no kV and no mA; a bench's `[typical]` has them. What a bench can't show
of a scenario is a reason not to run it there: it is told, and counted as not run.
"""

from __future__ import annotations

from collections.abc import Callable

from hal.ports import Generator, GeneratorCapabilities
from hal.types import AecSetting, ShotKind, Technique
from rig.aec_plan import asked_for, data_of, setting_for
from rig.bench import Bench, TypicalConfig
from rig.distance import sid_problems
from rig.drivers import generator_of, must_drive_beam, nobody
from rig.exit_codes import UsageError
from rig.plan import technique_problems
from rig.scenario import ExpectSection, OffSection, Scenario, ShotSection

NO_CHARGE = "the generator tells no mA in the beam and has no account of it afterwards"
NO_TYPICAL = "bench {name} has no [typical] shot, and the scenario no {missing} of its own"


def on_bench(scenario: Scenario, bench: Bench) -> Scenario:
    """The same scenario with numbers. Raises ValueError where the bench lacks them."""
    technique = technique_on(scenario.shot, bench)
    shot = scenario.shot.model_copy(
        update={
            "kv": technique.kv, "kv_times": 1.0, "ma": technique.ma, "ma_times": 1.0,
            "mas": technique.mas, "ms": technique.ms, "beam_s": None,
        }
    )  # fmt: skip
    expect = _expected(scenario.expect, bench, technique)
    return scenario.model_copy(update={"shot": shot, "expect": expect})


def technique_on(shot: ShotSection, bench: Bench) -> Technique:
    """As it is asked for. Raises ValueError where neither shot nor bench say kV or mA, and
    UsageError for an automatic exposure that the bench does not make."""
    kv = shot.kv if shot.kv is not None else _typical(bench, "kv").kv * shot.kv_times
    ma = shot.ma if shot.ma is not None else _story_ma(_typical(bench, "mA")) * shot.ma_times
    mas = shot.mas if shot.beam_s is None else ma * shot.beam_s
    return Technique(kv=kv, ma=ma, mas=mas, ms=shot.ms, aec=_aec_on(shot, bench, kv))


def _aec_on(shot: ShotSection, bench: Bench, kv: float) -> AecSetting | None:
    if shot.aec is None:
        return None
    generator = generator_of(bench.unit.generator, nobody())
    wanted = asked_for(**shot.aec.model_dump())
    assert wanted is not None
    return setting_for(bench.unit, generator.capabilities, kv, wanted, shot.sid_mm)


def _typical(bench: Bench, missing: str) -> TypicalConfig:
    if bench.typical is None:
        raise ValueError(NO_TYPICAL.format(name=bench.name, missing=missing))
    return bench.typical


def _story_ma(typical: TypicalConfig) -> float:
    return typical.ma if typical.story_ma is None else typical.story_ma


def _expected(expect: ExpectSection, bench: Bench, technique: Technique) -> ExpectSection:
    changes: dict[str, object] = {}
    if expect.dose_known and _tells_no_charge(bench):
        expect = expect.without("dose_known", NO_CHARGE)
    if expect.true_s is not None:
        changes |= {"true_mas": expect.true_s * technique.ma, "true_s": None}
    if expect.true_aec is not None and technique.aec is not None:
        aec = technique.aec
        mas = aec.expected_mas if expect.true_aec == "expected" else aec.backup_mas
        changes |= {"true_mas": mas, "true_aec": None}
    if expect.off is not None and expect.off.bound is not None:
        changes["off"] = _off_on(expect.off, expect.off.bound, bench, technique)
    return expect.model_copy(update=changes)


def _off_on(off: OffSection, bound: str, bench: Bench, technique: Technique) -> OffSection:
    """The bench's promise in ms, or what it is known to do better."""
    from rig.matrix.bounds import bounded, parts_of  # drivers: most scenarios need none

    promised_ms = bounded(bound, parts_of(bench), technique).bound_us / 1000
    sharp_ms = off.ms_on.get(bench.name, promised_ms)
    return OffSection(after=off.after, ms=min(sharp_ms, promised_ms))


def _tells_no_charge(bench: Bench) -> bool:
    generator = generator_of(bench.unit.generator, nobody()).capabilities
    return not generator.has_monitor and generator.account_us is None


def makes_no_beam(bench: Bench) -> str | None:
    """Why its generator can only be listened to, or watched; None: it makes a beam."""
    try:
        must_drive_beam(bench.unit.generator.driver)
    except UsageError as error:
        return str(error)
    return None


def cannot_show(scenario: Scenario, bench: Bench) -> str | None:
    """Why this bench can't show the scenario, in one line; None: it can.

    A shot with numbers of its own that the bench can't make is a mistake of the file, not this.
    """
    generator = generator_of(bench.unit.generator, nobody())
    for need in scenario.needs:
        reason = NEEDS[need](bench, generator.capabilities)
        if reason is not None:
            return reason
    if problems := sid_problems(bench.unit, scenario.shot.sid_mm):
        return f"its receptor can't stand there: {'; '.join(problems)}"
    return _out_of_range(scenario.shot, bench, generator)


def _out_of_range(shot: ShotSection, bench: Bench, generator: Generator) -> str | None:
    if shot.kv is not None or shot.ma is not None:
        return None
    try:
        technique = generator.effective(technique_on(shot, bench))
    except ValueError as error:
        return f"its generator can't make the shot: {error}"
    if shot.kind == ShotKind.DARK.value:
        return None
    problems = technique_problems(technique, bench.unit.tube)
    return f"its tube can't make the shot: {'; '.join(problems)}" if problems else None


def _off_by_the_unit(_: Bench, generator: GeneratorCapabilities) -> str | None:
    if not generator.has_mas_mode:
        return None
    return "the generator itself ends a beam by mAs, so no OFF of the unit's is what ends it"


def _aec(bench: Bench, generator: GeneratorCapabilities) -> str | None:
    try:
        data_of(bench.unit, generator)
    except UsageError as error:
        return str(error).removeprefix("aec: ")
    return None


def _sensed_geometry(bench: Bench, _: GeneratorCapabilities) -> str | None:
    return None if bench.unit.geometry.sid == "sensed" else "nothing senses its SID and field"


def _capacitors(bench: Bench, _: GeneratorCapabilities) -> str | None:
    return None if bench.sim.supply == "capacitors" else "this bench has no capacitors"


NEEDS: dict[str, Callable[[Bench, GeneratorCapabilities], str | None]] = {
    "OFF by the unit": _off_by_the_unit,
    "AEC": _aec,
    "sensed geometry": _sensed_geometry,
    "capacitors": _capacitors,
}
