"""The two DX objects of one exposure, without their pixels.

For Processing is the corrected image (linear, more signal = larger), For Presentation
what a person looks at (logarithmic, bone white). `write` puts header and pixels together.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from firmware_py.recorder.dicom import beam, detector, modules
from firmware_py.recorder.dicom.facts import Facts
from firmware_py.recorder.dicom.values import Fields, merged

if TYPE_CHECKING:
    from pydicom.dataset import Dataset as Dataset  # others get the name from here


def for_processing(facts: Facts) -> Dataset:
    """Raises ValueError, TypeError or OverflowError for a value that DICOM can't carry."""
    return dataset(merged(_common(facts, presentation=False)))


def for_presentation(facts: Facts, *, center: float, width: float) -> Dataset:
    """`center`, `width`: the linear window over the pixel values. Raises as `for_processing`."""
    own = [modules.derivation(facts), detector.voi_lut(center, width)]
    return dataset(merged([*_common(facts, presentation=True), *own]))


def _common(facts: Facts, *, presentation: bool) -> list[Fields]:
    exam, unit = facts.exam, facts.unit
    return [
        modules.sop_common(facts, presentation=presentation),
        modules.patient(exam),
        modules.study(facts),
        modules.series(facts, presentation=presentation),
        modules.equipment(facts),
        modules.acquisition(facts),
        modules.general_image(facts, presentation=presentation),
        beam.anatomy(exam),
        beam.positioning(facts),
        beam.generation(facts),
        beam.dose(facts),
        beam.filtration(unit),
        beam.collimator(facts),
        detector.detector(facts),
        detector.image_pixel(unit.panel),
        detector.dx_image(presentation=presentation),
    ]


def dataset(fields: Fields) -> Dataset:
    """Checked attribute by attribute; pydicom alone would only warn (dicom.md 2.6)."""
    with _strict():
        return _dataset(fields)


def _dataset(fields: Fields) -> Dataset:
    # Here, not above: pydicom takes 190 ms to import and the light path needs none of it.
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    found = Dataset()
    for keyword, value in fields.items():
        if tag_for_keyword(keyword) is None:
            raise ValueError(f"{keyword} is no DICOM attribute")
        if keyword.endswith("Sequence"):
            assert isinstance(value, list)
            value = Sequence([_dataset(item) for item in value])
        setattr(found, keyword, value)
    return found


@contextmanager
def _strict() -> Iterator[None]:
    """Assignment is checked through the *reading* mode, in spite of its name."""
    from pydicom import config

    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE
    try:
        yield
    finally:
        config.settings.reading_validation_mode = before
