"""An import as one HTML file to print: verdict and calibration first, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rig.instruments import words
from rig.instruments.chart import deviations_svg
from rig.records.words import printable
from rig.version import version_line


def page(bench: str, number: int | None, content: Mapping[str, Any]) -> str:
    """`content`: as it is kept; `number`: of the import, None: it was not kept."""
    findings = content["findings"]
    environment = Environment(
        loader=PackageLoader("rig", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    template = environment.get_template("instruments/page.html.j2")
    return template.render(
        bench=bench,
        number=number,
        content=content,
        head=list(words.head(content))[2:],
        calibration=words.calibration(content),
        instrument=words.instrument(content["instrument"]),
        verdict=words.verdict(content),
        per_exposure=words.per_exposure(findings),
        per_exposure_headings=words.PER_EXPOSURE,
        per_series=words.per_series(findings),
        per_series_headings=words.PER_SERIES,
        reasons=list(words.reasons(findings)),
        chart=Markup(deviations_svg(findings)),  # our own drawing, nobody's text in it
        pictures=[Markup(svg) for svg in content.get("pictures", ())],
        software=version_line(),
    )


def _printable(value: Any) -> Any:
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value) if is_text else value
