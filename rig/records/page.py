"""A record as one HTML file to print and sign: verdict first, and nothing from elsewhere.

The same record and pictures give the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rig.records import words
from rig.records.charts import legend, shots_svg
from rig.records.record import RoutineRecord, Value


def page(record: RoutineRecord, pngs: Mapping[str, bytes], *, sha256: str) -> str:
    """`pngs`: caption to PNG; `sha256`: of record.json as written."""
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            record=record,
            sha256=sha256,
            failed=[value for value in record.values if value.verdict == "failed"],
            unverified=[value for value in record.values if value.unverified],
            judged_count=sum(value.verdict != "not judged" for value in record.values),
            marks={mark: text for mark, text in words.MARKS.items() if _used(mark, record.values)},
            pictures=[(caption, _data_url(png)) for caption, png in pngs.items()],
            chart=Markup(shots_svg(record)),  # our own drawing, nobody's text in it
            chart_legend=legend(record),
            duration=words.duration(record.ended - record.started),
        )
    )


def _used(mark: str, values: tuple[Value, ...]) -> bool:
    return any(value.mark == mark and (value.has_limit or value.source) for value in values)


def _data_url(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("rig.records", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {
        "value_text": words.value_text,
        "limit_text": words.limit_text,
        "asked_text": words.asked_text,
        "number": words.number_text,
        "moment": words.moment,
        "clock": words.clock,
    }
    return environment


def _printable(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return words.printable(value) if is_text else value
