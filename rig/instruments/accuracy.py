"""Indicated against independent, exposure by exposure: kV, time, mA, mAs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from rig.instruments.findings import NOT_STATED, Finding, at_most
from rig.instruments.limits import Limit, LimitSet, Test
from rig.instruments.pairing import Pair
from rig.instruments.quantities import QUANTITIES

# test, of the meter, of the unit, asked for
_TESTS: tuple[tuple[Test, str, str, str], ...] = (
    ("kv", "kv", "kv", "kv"),
    ("time", "time_ms", "time_ms", "ms"),
    ("ma", "ma", "ma", "ma"),
    ("mas", "mas", "mas", "mas"),
)


def accuracy(
    pairs: Sequence[Pair], limits: LimitSet, uncertainty_pct: Mapping[str, float]
) -> Iterator[Finding]:
    """Deviations are of the independent from the indicated value, in % of the indicated one."""
    for test, quantity, indicated, commanded in _TESTS:
        for pair in pairs:
            measured = pair.row.values.get(quantity)
            if measured is None:
                continue
            against, word = pair.shot.indicated.get(indicated), "indicated"
            if against is None:
                against, word = pair.shot.commanded.get(commanded), "asked for"
            found = _deviation(test, quantity, pair, measured, against, word)
            if not against:
                yield found
                continue
            # None of these limits depends on another, so each is a line of its own.
            rows: list[Limit | None] = [*limits.of(test)] or [None]
            u_pct = uncertainty_pct.get(quantity)
            yield from (_judged(found, limit, measured, against, u_pct) for limit in rows)


def _deviation(
    test: Test, quantity: str, pair: Pair, measured: float, against: float | None, word: str
) -> Finding:
    about = QUANTITIES[quantity]
    return Finding(
        test=test,
        what=about.word if word == "indicated" else f"{about.word} ({word})",
        exposures=(pair.shot.number,),
        found=100.0 * (measured - against) / against if against else None,
        found_unit="%",
        verdict="not judged",
        indicated=against,
        independent=measured,
        unit=about.unit,
        why="" if against else f"the unit indicated no {about.word}",
    )


def _judged(
    found: Finding, limit: Limit | None, measured: float, against: float, u_pct: float | None
) -> Finding:
    # The meter's uncertainty is of its own reading, the finding in % of the indicated value.
    uncertainty = None if u_pct is None else u_pct * measured / against
    found = replace(found, uncertainty=uncertainty)
    if limit is None or limit.pct is None:
        return replace(found, why="these limits have none for it")
    allowed = limit.pct + 100.0 * limit.plus / against
    plus = f" + {limit.plus:g} {found.unit}" if limit.plus else ""
    found = replace(
        found,
        limit=allowed,
        limit_text=f"±{limit.pct:g} %{plus}",
        source=limit.source,
        mark=limit.mark,
    )
    if limit.above is not None and against <= limit.above:
        return replace(
            found, limit=None, why=f"this limit holds above {limit.above:g} {found.unit}"
        )
    if uncertainty is None or found.found is None:
        return replace(found, verdict="not decided", why=NOT_STATED)
    size = abs(found.found)
    return replace(found, verdict=at_most(size - uncertainty, size + uncertainty, allowed))
