"""Exposure handshakes over lines, and detection without: each documented time at its edge."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from hal import handshakes
from hal.handshake_lines import QUIET_US, LineHandshake, Trouble, Wish
from hal.handshakes import HANDSHAKES, TO_PANEL, Ends, Handshake, Signal, level
from hal.knocks import FEEDBACK_US, Detection, Feedback, KnockJudge
from hal.now import Now
from hal.types import PanelState
from sim.line_panel import LineTimes, SimAedPanel, SimLinePanel

DOCUMENTS = tomllib.loads((Path(__file__).parent / "vectors" / "handshakes.toml").read_text())
FACTS: list[dict[str, Any]] = DOCUMENTS["handshake"]
CANON = HANDSHAKES["canon_cxdi_80c"]
MS = 1000
STEP_US = 5 * MS
REST = Wish(prepare=True)
ASK = Wish(prepare=True, request=True)
BEAM = Wish(prepare=True, request=True, beam=True)


def as_printed(table: Handshake) -> dict[str, Any]:
    """A table in the words of the vectors."""
    found: dict[str, Any] = {
        "to_panel": [name for signal, name in table.lines.items() if signal in TO_PANEL],
        "from_panel": [name for signal, name in table.lines.items() if signal not in TO_PANEL],
        "ends": [one.value for one in table.ends],
    }
    for signal in (Signal.REQUEST, Signal.GRANT):
        if signal in table.lines:
            found[signal.name.lower()] = table.lines[signal]
    for time in ("grant", "beam", "past", "drop", "arm"):
        value = getattr(table, f"{time}_us")
        if value is not None:
            found[f"{time}_ms"] = [one / 1000 for one in value]
    for time in ("lockout", "recover"):
        if (value := getattr(table, f"{time}_us")) is not None:
            found[f"{time}_ms"] = value / 1000
    return found | ({"active_low": True} if table.active_low else {})


def differing() -> list[str]:
    """The tables that no longer say what their documents say."""
    return [
        fact["name"]
        for fact in FACTS
        if as_printed(HANDSHAKES[fact["name"]])
        != {key: value for key, value in fact.items() if key not in ("name", "source")}
    ]


class Pair:
    """A unit and a panel on the same lines, stepped by the scan."""

    def __init__(
        self, name: str = "canon_cxdi_80c", grant_us: int = 120 * MS, **times: int
    ) -> None:
        table = HANDSHAKES[name]
        self.unit = LineHandshake(table, grant_limit_us=None if table.grant_us else 300 * MS)
        self.panel = SimLinePanel(table, LineTimes(grant_us=grant_us, **times))
        self.t_us = 0
        self.step(Wish())

    def step(self, wish: Wish, after_us: int = 0) -> PanelState:
        self.t_us += after_us
        self.unit.step(Now(self.t_us), wish, self.panel.levels(self.t_us))
        self.panel.set_levels(self.t_us, self.unit.drives())
        return self.unit.state

    def run(self, wish: Wish, for_us: int) -> PanelState:
        end_us = self.t_us + for_us
        while self.t_us != end_us:
            self.step(wish, STEP_US)
        return self.unit.state

    def opened(self) -> PanelState:
        """The window is open when this returns."""
        self.step(REST)
        self.step(ASK, STEP_US)
        return self.run(ASK, 150 * MS)

    def line(self, name: str) -> bool:
        return self.unit.drives()[name]


# --- the tables


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: fact["name"])
def test_a_table_says_what_its_document_says_and_nothing_more(fact: dict[str, Any]) -> None:
    assert len(fact["source"]) > 20
    assert fact["name"] not in differing()


def test_every_table_has_its_document() -> None:
    assert [fact["name"] for fact in FACTS] == list(HANDSHAKES)


def planted() -> list[tuple[str, str, Handshake]]:
    """(what, of which table, the table with that mistake)."""
    found = []
    for name, table in HANDSHAKES.items():
        for field in fields(table):
            value = getattr(table, field.name)
            wrong: Any = None
            if isinstance(value, tuple) and value and isinstance(value[0], int):
                wrong = (value[0], value[1] * 10)
            elif isinstance(value, bool):
                wrong = not value
            elif isinstance(value, int):
                wrong = value // 10
            elif field.name == "ends":
                wrong = () if Ends.DROP in value else (Ends.DROP,)
            elif field.name == "lines" and len(value) > 1:
                names = list(value.values())
                wrong = dict(zip(value, [*names[1:], names[0]], strict=True))
            if wrong is not None:
                changes: dict[str, Any] = {field.name: wrong}
                found.append((f"{name} {field.name}", name, replace(table, **changes)))
    return found


@pytest.mark.parametrize(
    ("name", "wrong"), [p[1:] for p in planted()], ids=[p[0] for p in planted()]
)
def test_a_mistake_planted_into_a_table_is_found_by_the_documents_alone(
    name: str, wrong: Handshake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(handshakes.HANDSHAKES, name, wrong)
    assert differing() == [name]


def test_a_line_with_a_trailing_underscore_is_active_low_and_the_others_are_not() -> None:
    siemens = HANDSHAKES["siemens_novation"]
    assert level(siemens, Signal.REQUEST, True) is False
    assert level(siemens, Signal.ERROR, True) is True
    assert level(CANON, Signal.REQUEST, True) is True


# --- the window over lines


def test_the_lines_of_a_whole_exposure_in_their_order() -> None:
    pair = Pair()
    assert (pair.step(REST), pair.line("RX_REQ")) == (PanelState.READY, False)
    assert (pair.step(ASK, STEP_US), pair.line("RX_REQ")) == (PanelState.READY, True)
    assert pair.run(ASK, 115 * MS) is PanelState.READY
    assert pair.run(ASK, 5 * MS) is PanelState.INTEGRATING
    assert pair.run(BEAM, 200 * MS) is PanelState.INTEGRATING
    assert pair.step(ASK, STEP_US) is PanelState.INTEGRATING
    assert (pair.step(REST, STEP_US), pair.line("RX_REQ")) == (PanelState.READOUT, False)
    assert pair.run(REST, 300 * MS) is PanelState.READOUT  # no line tells its end
    assert pair.panel.frames_count == 1
    assert pair.step(replace(REST, frame_came=True), STEP_US) is PanelState.IDLE
    assert pair.unit.troubles == []


@pytest.mark.req("SR-10")
@pytest.mark.parametrize(
    ("grant_us", "state", "troubles"),
    [
        (0, PanelState.INTEGRATING, []),
        (300 * MS, PanelState.INTEGRATING, []),
        (300 * MS + 1, PanelState.RECOVER, [Trouble.GRANT_LATE]),
    ],
)
def test_a_grant_counts_up_to_300_ms_and_not_a_microsecond_later(
    grant_us: int, state: PanelState, troubles: list[Trouble]
) -> None:
    unit = LineHandshake(CANON)
    unit.step(Now(0), ASK, {"RX_COM": False})
    unit.step(Now(grant_us), ASK, {"RX_COM": True})
    assert (unit.state, unit.troubles) == (state, troubles)


def test_the_wait_for_a_grant_is_a_deadline_that_the_scan_can_jump_to() -> None:
    unit, now = LineHandshake(CANON), Now(1000)
    unit.step(now, ASK, {"RX_COM": False})
    assert now.next_us == 301_000
    waiting = Now(2000)
    unit.step(waiting, ASK, {"RX_COM": False})
    assert waiting.next_us == 301_001


@pytest.mark.parametrize(
    ("name", "quiet_us"), [("canon_cxdi_80c", 1_000_000), ("rayence", QUIET_US)]
)
def test_a_request_that_was_too_short_locks_the_panel_and_no_other_is_sent_meanwhile(
    name: str, quiet_us: int
) -> None:
    pair = Pair(name)
    request = HANDSHAKES[name].lines[Signal.REQUEST]
    pair.step(REST)
    pair.run(ASK, 50 * MS)
    assert pair.step(REST, STEP_US) is PanelState.RECOVER
    assert pair.unit.troubles == [Trouble.REQUEST_SHORT]
    assert pair.run(ASK, quiet_us - STEP_US) is PanelState.RECOVER
    assert pair.line(request) is False
    pair.run(ASK, 3 * STEP_US)
    assert pair.line(request) is True
    assert pair.run(ASK, 200 * MS) is PanelState.INTEGRATING


def test_a_panel_that_never_grants_gets_its_request_back_down() -> None:
    pair = Pair()
    pair.panel.never_grants = True
    pair.step(REST)
    pair.step(ASK, STEP_US)
    assert pair.run(ASK, 300 * MS) is PanelState.READY
    assert (pair.run(ASK, STEP_US), pair.line("RX_REQ")) == (PanelState.RECOVER, False)
    assert pair.unit.troubles == [Trouble.GRANT_LATE]


@pytest.mark.req("F29")
def test_a_grant_that_nobody_asked_for_opens_no_window_and_holds_the_request_back() -> None:
    pair = Pair()
    pair.panel.grants_unasked = True
    pair.run(ASK, 500 * MS)
    assert (pair.unit.state, pair.line("RX_REQ")) == (PanelState.READY, False)
    assert pair.unit.troubles == [Trouble.GRANT_UNASKED]


def test_a_grant_that_sticks_after_the_read_out_is_told_at_the_next_exposure() -> None:
    pair = Pair(readout_us=5_000 * MS)
    pair.panel.stuck_grant = True
    pair.opened()
    pair.run(REST, 50 * MS)
    pair.step(replace(REST, frame_came=True), STEP_US)
    pair.run(ASK, 50 * MS)
    assert (pair.unit.state, pair.unit.troubles) == (PanelState.READY, [Trouble.GRANT_UNASKED])


@pytest.mark.req("F31")
def test_a_window_that_the_panel_ends_itself_is_a_read_out_though_the_request_stands() -> None:
    pair = Pair(window_us=200 * MS)
    assert pair.opened() is PanelState.INTEGRATING
    assert pair.run(ASK, 200 * MS) is PanelState.READOUT


@pytest.mark.parametrize("name", ["rayence", "careray_external"])
def test_a_fixed_window_goes_on_when_the_request_is_dropped(name: str) -> None:
    pair = Pair(name, window_us=1_000 * MS)
    assert pair.opened() is PanelState.INTEGRATING
    assert pair.run(REST, 500 * MS) is PanelState.INTEGRATING
    assert pair.run(REST, 600 * MS) is PanelState.READOUT
    assert pair.unit.troubles == []


@pytest.mark.parametrize(
    ("after_us", "told"), [(100 * MS, []), (100 * MS + 1, [Trouble.BEAM_LATE])]
)
def test_x_rays_begin_within_100_ms_of_the_grant(after_us: int, told: list[Trouble]) -> None:
    unit = granted()
    unit.step(Now(after_us), ASK, {"RX_COM": True})
    assert (unit.state, unit.troubles) == (PanelState.INTEGRATING, told)


@pytest.mark.req("F31")
@pytest.mark.parametrize(
    ("after_us", "told"), [(100 * MS, []), (100 * MS + 1, [Trouble.BEAM_PAST_WINDOW])]
)
def test_x_rays_end_within_100_ms_of_the_window(after_us: int, told: list[Trouble]) -> None:
    unit = granted()
    unit.step(Now(50_000), BEAM, {"RX_COM": True})
    unit.step(Now(90_000), BEAM, {"RX_COM": False})
    unit.step(Now(90_000 + after_us), BEAM, {"RX_COM": False})
    assert (unit.state, unit.troubles) == (PanelState.READOUT, told)


@pytest.mark.parametrize(
    ("after_us", "told"), [(100 * MS, []), (100 * MS + 1, [Trouble.DROP_LATE])]
)
def test_the_request_is_dropped_within_100_ms_of_the_x_rays(
    after_us: int, told: list[Trouble]
) -> None:
    unit = granted()
    unit.step(Now(50_000), BEAM, {"RX_COM": True})
    unit.step(Now(90_000), ASK, {"RX_COM": True})
    unit.step(Now(90_000 + after_us), ASK, {"RX_COM": True})
    assert unit.troubles == told


def granted() -> LineHandshake:
    """The window opened at 0."""
    unit = LineHandshake(CANON)
    unit.step(Now(-1000), ASK, {"RX_COM": False})
    unit.step(Now(0), ASK, {"RX_COM": True})
    return unit


def test_x_rays_without_a_window_are_told() -> None:
    unit = LineHandshake(CANON)
    unit.step(Now(0), replace(REST, beam=True), {"RX_COM": False})
    assert unit.troubles == [Trouble.BEAM_EARLY]


def test_all_seven_lines_of_the_novation_in_an_exposure() -> None:
    pair = Pair("siemens_novation")
    assert pair.unit.drives() == {
        "GEN_POWERED_ON_": False, "PREP_DR_DET_": True, "GEN_RDY_FOR_DR_EXP_": True,
        "X_RAY_ON_": True,
    }  # fmt: skip
    assert pair.opened() is PanelState.INTEGRATING
    pair.step(BEAM, STEP_US)
    assert not any(pair.unit.drives().values())
    assert pair.panel.levels(pair.t_us)["DR_DET_RDY_FOR_EXP_"] is False
    pair.panel.error = True
    assert pair.step(BEAM, STEP_US) is PanelState.ERROR
    assert (pair.line("GEN_RDY_FOR_DR_EXP_"), pair.unit.troubles) == (True, [Trouble.ERROR])
    pair.panel.error = False
    assert pair.step(Wish(), STEP_US) is PanelState.IDLE


def test_a_panel_that_is_not_ready_keeps_the_unit_preparing() -> None:
    unit = LineHandshake(HANDSHAKES["siemens_novation"], grant_limit_us=300 * MS)
    levels = {"DR_SYST_RDY_": True, "DR_DET_RDY_FOR_EXP_": True, "DR_DET_ERR": False}
    unit.step(Now(0), ASK, levels)
    assert (unit.state, unit.drives()["GEN_RDY_FOR_DR_EXP_"]) == (PanelState.PREPARING, True)


def test_a_line_that_was_not_read_is_not_active() -> None:
    unit = LineHandshake(CANON)
    unit.step(Now(0), ASK, {})
    unit.step(Now(5000), ASK, {})
    assert unit.state is PanelState.READY


@pytest.mark.parametrize("name", ["siemens_novation", "rayence", "careray_external"])
def test_where_no_time_is_public_a_limit_must_be_given(name: str) -> None:
    with pytest.raises(ValueError, match="give a limit"):
        LineHandshake(HANDSHAKES[name])


def test_a_panel_without_lines_has_no_handshake() -> None:
    with pytest.raises(ValueError, match="has no lines"):
        LineHandshake(HANDSHAKES["rayence_aed"])


# --- detection by itself

AED = HANDSHAKES["pzmedical_aed"]
NOTHING, SEEN, NOT_SEEN = Feedback(), Feedback(kv_seen=True), Feedback(kv_seen=False)


class Detecting:
    """A judge and a panel that detects by itself, stepped by the scan."""

    def __init__(self) -> None:
        self.judge, self.panel, self.t_us = KnockJudge(AED), SimAedPanel(AED), 0
        self.images_count = 0

    def run(self, for_us: int, feedback: Feedback = NOT_SEEN) -> Detection:
        end_us = self.t_us + for_us
        while self.t_us != end_us:
            self.t_us += STEP_US
            frames_before = self.panel.frames_count
            triggered = self.panel.triggered(self.t_us)
            came = self.panel.frames_count != frames_before
            self.images_count += came and self.judge.state is Detection.EXPOSED
            self.judge.step(Now(self.t_us), triggered=triggered, frame_came=came, feedback=feedback)
        return self.judge.state

    def armed(self) -> Detecting:
        assert self.run(5_000 * MS) is Detection.ARMING
        assert self.run(5 * MS) is Detection.ARMED
        return self


def test_a_trigger_with_kv_is_an_image() -> None:
    bench = Detecting().armed()
    bench.panel.shaken(bench.t_us)
    assert bench.run(200 * MS, SEEN) is Detection.EXPOSED
    bench.run(1_200 * MS)
    assert (bench.judge.knocks_count, bench.judge.missed_count, bench.images_count) == (0, 0, 1)


@pytest.mark.req("F42")
@pytest.mark.parametrize("feedback", [NOTHING, NOT_SEEN], ids=["unknown", "none"])
def test_a_trigger_without_kv_or_dose_is_a_knock_whose_frame_is_no_image(
    feedback: Feedback,
) -> None:
    bench = Detecting().armed()
    bench.panel.shaken(bench.t_us)
    assert bench.run(STEP_US, feedback) is Detection.JUDGING
    assert bench.run(FEEDBACK_US - STEP_US, feedback) is Detection.JUDGING
    assert bench.run(STEP_US, feedback) is Detection.RECOVERING
    assert bench.run(9_995 * MS, feedback) is Detection.RECOVERING
    assert bench.run(STEP_US, feedback) is Detection.ARMING
    assert bench.run(5_000 * MS, feedback) is Detection.ARMED
    assert (bench.judge.knocks_count, bench.panel.frames_count, bench.images_count) == (1, 1, 0)


@pytest.mark.req("F42")
def test_after_a_knock_the_next_exposure_is_an_image() -> None:
    bench = Detecting().armed()
    bench.panel.shaken(bench.t_us)
    bench.run(20_000 * MS)
    assert bench.judge.state is Detection.ARMED
    bench.panel.shaken(bench.t_us)
    bench.run(100 * MS, Feedback(dose_seen=True))
    bench.run(1_400 * MS)
    assert (bench.judge.knocks_count, bench.images_count) == (1, 1)


def test_a_beam_that_is_seen_before_its_trigger_is_an_image() -> None:
    bench = Detecting().armed()
    bench.run(FEEDBACK_US - STEP_US, SEEN)
    bench.panel.shaken(bench.t_us)
    assert bench.run(STEP_US, SEEN) is Detection.EXPOSED
    assert bench.judge.missed_count == 0


@pytest.mark.parametrize("before_us", [1_000 * MS, 5_005 * MS])
def test_a_beam_that_triggers_nothing_is_counted(before_us: int) -> None:
    """The panel still arms, or its field is too small: irradiated, and no image of it."""
    bench = Detecting()
    bench.run(before_us)
    bench.run(500 * MS, SEEN)
    assert (bench.judge.missed_count, bench.images_count) == (1, 0)


def test_a_beam_while_the_panel_recovers_is_counted() -> None:
    bench = Detecting().armed()
    bench.panel.shaken(bench.t_us)
    bench.run(1_000 * MS)
    assert bench.run(100 * MS, SEEN) is Detection.RECOVERING
    assert bench.judge.missed_count == 1


def test_a_shaken_panel_that_is_not_armed_does_nothing() -> None:
    panel = SimAedPanel(AED)
    panel.shaken(3_999_999)
    assert panel.triggered(4_000_000) is False
    panel.shaken(4_000_000)
    assert panel.triggered(4_000_000) is True


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: KnockJudge(CANON), "asked for its window"),
        (lambda: KnockJudge(HANDSHAKES["rayence_aed"]), "give arm_us and recover_us"),
        (lambda: KnockJudge(HANDSHAKES["careray_f2aed"], arm_us=1), "give arm_us and recover_us"),
    ],
)
def test_a_judge_needs_an_automatic_panel_and_its_times(
    make: Callable[[], KnockJudge], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        make()


def test_times_that_the_maker_keeps_to_himself_may_be_given() -> None:
    judge = KnockJudge(HANDSHAKES["rayence_aed"], arm_us=1000, recover_us=2000)
    judge.step(Now(0), triggered=False, frame_came=False, feedback=NOTHING)
    judge.step(Now(1000), triggered=False, frame_came=False, feedback=NOTHING)
    assert judge.state is Detection.ARMED
