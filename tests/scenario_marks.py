"""Scenarios as parameters that speak for what their files say they cover."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from _pytest.mark.structures import ParameterSet

from tests.model_runs import scenario


def speaking(names: Iterable[str]) -> list[ParameterSet]:
    return [
        pytest.param(name, marks=pytest.mark.req(*scenario(name).covers), id=name) for name in names
    ]
