"""What keeps a press from counting: each thing alone, and what is none of this shot's business."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from firmware_py.decide import interlocks
from firmware_py.decide.memory import Memory, State
from hal.now import Now
from hal.types import PanelState, Requests, Shot, ShotKind, Technique
from tests.samples import LIMITS, SHOT, T_US, TUBE, inputs, memory, panel

S = State
SECOND_US = 1_000_000
DARK = replace(SHOT, kind=ShotKind.DARK, technique=Technique(kv=80.0, ma=0.5, ms=1000.0))
CLEAR = replace(SHOT, kind=ShotKind.NO_RECEPTOR, clear_by="A. Physicist")
GONE = panel(state=PanelState.DISCONNECTED)


def inhibits(
    shot: Shot = SHOT, now: dict[str, Any] | None = None, **remembered: Any
) -> tuple[str, ...]:
    before = memory(S.STANDBY, tested_us=T_US, **remembered)
    values: dict[str, Any] = {"requests": Requests(shot=shot)}
    seen = inputs(**(values | (now or {})))
    return interlocks.inhibits(before, seen, Now(T_US))


@pytest.mark.req("SR-14")
def test_a_hot_or_tired_tube_is_no_reason_against_a_frame_without_a_beam() -> None:
    hot: dict[str, Any] = {"heat_j": TUBE.heat_max_j, "heat_us": T_US}
    assert inhibits(SHOT, **hot) == ("TUBE_HEAT",)
    assert inhibits(DARK, **hot) == ()


@pytest.mark.req("SR-16")
def test_a_window_that_is_used_up_keeps_the_press_waiting() -> None:
    tube = replace(TUBE, duty_window_us=10 * SECOND_US, duty_beam_us=2 * SECOND_US)
    used: dict[str, Any] = {
        "limits": replace(LIMITS, tube=tube),
        "beams_us": ((SECOND_US, 3 * SECOND_US),),
    }
    assert inhibits(SHOT, **used) == ("DUTY",)
    assert inhibits(DARK, **used) == ()


@pytest.mark.req("SR-10")
@pytest.mark.parametrize(
    ("state", "frozen", "programmed", "causes"),
    [
        (S.PREP, CLEAR, SHOT, []),  # the frozen shot needs no panel
        (S.PREP, SHOT, CLEAR, ["PANEL_LINK_LOST"]),
        (S.STANDBY, CLEAR, SHOT, ["PANEL_LINK_LOST"]),  # what was frozen last is over
        (S.STANDBY, SHOT, CLEAR, []),
    ],
)
def test_a_panel_is_missed_by_the_shot_that_counts_now(
    state: State, frozen: Shot, programmed: Shot, causes: list[str]
) -> None:
    before: Memory = memory(state, shot=frozen)
    now = inputs(panel=GONE, requests=Requests(shot=programmed))
    assert interlocks.panel_causes(before, now, Now(T_US)) == causes


@pytest.mark.req("SR-10")
@pytest.mark.parametrize(
    ("seen", "image", "nothing"),
    [
        (panel(state=PanelState.INTEGRATING), (), ("RECEPTOR_NOT_CLEAR",)),
        (panel(panel_id="P2"), ("PANEL_WRONG",), ()),
        (panel(window_us=1_000), ("WINDOW_TOO_SHORT",), ()),
    ],
)
def test_what_the_panel_shows_matters_to_the_shot_that_it_is_for(
    seen: Any, image: tuple[str, ...], nothing: tuple[str, ...]
) -> None:
    assert inhibits(SHOT, {"panel": seen}) == image
    assert inhibits(CLEAR, {"panel": seen}) == nothing
