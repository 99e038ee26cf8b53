"""A benchmark as a table for people."""

from __future__ import annotations

from collections.abc import Mapping

from tools.bench.timing import Benchmark, Measured

HEAD = ("", "median", "p10", "p90", "x floor", "turns")


def table(benchmark: Benchmark) -> str:
    rows = [HEAD, *(_row(case) for case in benchmark.cases)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [f"{benchmark.name}: {benchmark.about}"]
    for row in rows:
        name, *numbers = (
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append(f"  {name}  {'  '.join(numbers)}")
    figures = [f"  {c.name}: {_figures(c.figures)}" for c in benchmark.cases if c.figures]
    return "\n".join([*lines, *figures, ""])


def _row(case: Measured) -> tuple[str, ...]:
    times = (span(us) for us in (case.median_us, case.p10_us, case.p90_us))
    return (case.name, *times, f"{case.ratio:.2f}", str(case.turns_count))


def span(us: float) -> str:
    return f"{us:.1f} us" if us < 1000 else f"{us / 1000:.2f} ms"


def _figures(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
