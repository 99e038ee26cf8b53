"""How far a generator's wire was checked, for the first screen that people see of a bench."""

from __future__ import annotations

import textwrap

from hal.generators import verified

WIDTH = 79


def wire_line(driver: str) -> str:
    """Such as "R2CP: unverified, ...", in lines that a terminal of 80 columns holds."""
    name = driver.replace("_", " ").upper()
    return textwrap.fill(f"{name}: {verified(driver)}", WIDTH, subsequent_indent="  ")
