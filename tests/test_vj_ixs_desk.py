"""The device's side of the IXS wire: what it answers, when, and where it keeps silent."""

from __future__ import annotations

from typing import Any

import pytest

from hal.generators.vj_ixs_desk import Desk
from hal.generators.vj_ixs_wire import FAULT_BITS, frame
from hal.now import NEVER_US, Now
from tests.fake_generator import FakeModel
from tests.vectors_loader import load

BYTES = {vector.name: vector.bytes for vector in load("vj_ixs")}


def replies(desk: Desk, text: str, t_us: int = 0) -> list[tuple[int, bytes]]:
    """(when, bytes) of all that follows this command."""
    now = Now(t_us)
    desk.receive(now, frame(text))
    found = []
    while now.next_us != NEVER_US:
        now = Now(now.next_us)
        reply = desk.poll(now)
        if reply:
            found.append((now.t_us, reply))
    return found


def said(text: str, model: FakeModel | None = None, **desk: Any) -> bytes:
    return b"".join(data for _, data in replies(Desk(model or FakeModel(), **desk), text))


@pytest.mark.parametrize(
    ("text", "vector"),
    [
        ("VP0800", "echo 80.0 kV"),
        ("CP02000", "echo 0.2000 mA"),
        ("OT00500", "echo 5.00 s"),
        ("PTM00", "echo pre-warning none"),
        ("WDOG02", "echo watchdog 2 s"),
        ("CLR", "echo clear"),
        ("ENBL1", "started"),
        ("ENBL0", "stopped"),
        ("STAT", "X-ray off"),
        ("WDTE", "keep-alive OK"),
        ("PSTAT", "not in pre-warning"),
        ("WSTAT", "watchdog is on"),
        ("FREV", "com port echo 2000"),
        ("SNUM", "serial number of the SSID example"),
        ("MNUM", "model number, 15 characters"),
        ("FLT", "11 bits, none"),
    ],
)
def test_a_reply_is_the_documents_bytes(text: str, vector: str) -> None:
    assert said(text) == BYTES[vector]


def test_set_points_arrive_in_the_models_units() -> None:
    model = FakeModel()
    for text in ("VP0799", "CP02345", "OT00501", "PTM05", "WDOG7"):
        said(text, model)
    assert (model.kv, model.ma, model.time_us) == (79.9, 0.2345, 5_010_000)
    assert (model.prewarning_us(), model.watchdog_us) == (5_000_000, 7_000_000)
    assert said("PTST", model) == BYTES["pre-warning 5 s is set"]


def test_time_zero_is_continuous() -> None:
    model = FakeModel()
    model.set_time_us(0, 5)
    said("OT00000", model)
    assert model.time_us is None


def test_the_watchdog_takes_on_off_and_a_time_in_one_digit_or_two() -> None:
    model = FakeModel()
    assert said("WDOG0", model) == frame("WDOG0")
    assert (model.watchdog_on(), said("WSTAT", model)) == (False, frame("0"))
    assert said("WDOG05", model) == BYTES["watchdog 5 s"]
    assert not model.watchdog_on()  # a new time switches nothing on
    said("WDOG01", model)
    assert (model.watchdog_on(), model.watchdog_us) == (True, 5_000_000)


class Reading(FakeModel):
    def reading(self, t_us: int) -> Any:
        self.kv, self.ma = 79.9, 0.2
        self.starts_us, self.time_us = [0], None
        return super().reading(t_us)


def test_the_monitor_is_the_documents_bytes_in_both_dialects() -> None:
    assert said("MON", Reading()) == BYTES["monitor R3, no sign"]
    r4 = said("MOD", Reading(), dialect="R4")
    assert r4 == BYTES["monitor R4: 79.9 kV, 0.2000 mA, +25.4 C, 1.850 A, 24.62 V"]


@pytest.mark.parametrize(
    ("dialect", "text", "bits", "vector"),
    [
        ("R3", "FLT", {"interlock_open"}, "11 bits, interlock open"),
        ("R4", "FLD", {"interlock_open"}, "12 bits, interlock open"),
        ("R3", "FLT", {"arc", "regulation"}, "11 bits, arc and regulation"),
        ("R4", "FLD", {"under_temperature"}, "12 bits, under-temperature"),
        ("R3", "FLT", {"under_temperature"}, "11 bits, none"),  # R3 has no bit 11
    ],
)
def test_fault_bits_are_the_documents_bytes(
    dialect: str, text: str, bits: set[str], vector: str
) -> None:
    model = FakeModel()
    model.bits = bits
    assert said(text, model, dialect=dialect) == BYTES[vector]


def test_each_fault_bit_stands_in_its_place() -> None:
    model = FakeModel()
    for index, bit in enumerate(FAULT_BITS):
        model.bits = {bit.name}
        assert said("FLD", model, dialect="R4").decode()[1:-1].split().index("1") == index


def test_the_hours_are_hours_and_minutes() -> None:
    assert said("XTM") == frame("00001 02")  # 3725 s


@pytest.mark.parametrize(
    ("dialect", "unknown"), [("R3", ["MOD", "FLD", "CDEN1", "CDENSTAT"]), ("R4", ["MON", "FLT"])]
)
def test_a_unit_does_not_know_the_other_dialect(dialect: str, unknown: list[str]) -> None:
    for text in unknown:
        assert said(text, dialect=dialect) == b""


@pytest.mark.parametrize("text", ["XYZ", "VP800", "VP1201", "CP99999", "PTM61", "ENBL", "STAT1"])
def test_what_is_unknown_or_refused_gets_no_reply_and_feeds_no_watchdog(text: str) -> None:
    model = FakeModel()
    assert said(text, model) == b""
    assert (model.fed_us, model.kv, model.ma) == ([], 0.0, 0.0)


def test_every_command_feeds_the_watchdog() -> None:
    model = FakeModel()
    desk = Desk(model)
    for count, text in enumerate(("WDTE", "STAT", "VP0800", "ENBL0", "SNUM"), start=1):
        replies(desk, text, count * 10_000)
    assert model.fed_us == [10_000, 20_000, 30_000, 40_000, 50_000]


def test_the_buzzer_and_cut_off_switches_remember() -> None:
    desk = Desk(FakeModel(), dialect="R4")
    assert replies(desk, "BUZZENBLSTAT") == [(3_000, frame("1"))]
    assert replies(desk, "BUZZENBL0", 10_000) == [(13_000, frame("BUZZENBL0"))]
    assert replies(desk, "BUZZENBLSTAT", 20_000) == [(23_000, frame("0"))]
    assert replies(desk, "CDEN1", 30_000) == [(33_000, frame("CDEN1"))]
    assert replies(desk, "CDENSTAT", 40_000) == [(43_000, frame("1"))]


def test_the_leakage_warning_can_be_given_only_while_x_ray_is_on() -> None:
    model = FakeModel()
    desk = Desk(model, dialect="R4")
    assert replies(desk, "LRAD1") == []
    model.start(0)
    assert replies(desk, "LRAD1", 10_000) == [(13_000, frame("LRAD1"))]


# --- when ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply_us", [0, 3_000, 99_000])
def test_a_reply_leaves_after_the_reply_time(reply_us: int) -> None:
    desk = Desk(FakeModel(), reply_us=reply_us)
    assert replies(desk, "STAT", 1_000) == [(1_000 + reply_us, frame("0"))]


def test_started_is_said_after_the_ramp_and_not_started_without_it() -> None:
    model = FakeModel()
    assert replies(Desk(model), "ENBL1", 1_000) == [(154_000, frame("ENBL1"))]
    assert model.starts_us == [1_000]
    model.refuses = True
    assert replies(Desk(model), "ENBL1", 1_000) == [(4_000, frame("ENBL0"))]


def test_stop_is_honoured_at_once_during_the_ramp_and_takes_the_starts_reply() -> None:
    model = FakeModel()
    desk = Desk(model)
    desk.receive(Now(0), frame("ENBL1"))
    assert replies(desk, "ENBL0", 50_000) == [(53_000, frame("ENBL0"))]
    assert (model.starts_us, model.ends_us) == ([0], [50_000])
    assert desk.poll(Now(1_000_000)) == b""


def test_stop_behind_a_query_is_honoured_at_once_and_answered_after_it() -> None:
    model = FakeModel()
    model.start(0)
    desk = Desk(model)
    desk.receive(Now(10_000), frame("STAT"))
    assert replies(desk, "ENBL0", 12_000) == [(13_000, frame("1")), (15_000, frame("ENBL0"))]
    assert model.ends_us == [12_000]


def test_any_other_command_that_comes_too_early_is_lost() -> None:
    model = FakeModel()
    desk = Desk(model)
    desk.receive(Now(0), frame("STAT"))
    assert replies(desk, "VP0800", 2_999) == [(3_000, frame("0"))]
    assert (model.kv, model.fed_us) == (0.0, [0])
    assert replies(desk, "VP0800", 3_000) == [(6_000, frame("VP0800"))]


def test_commands_are_found_in_pieces_and_between_garbage() -> None:
    desk = Desk(FakeModel())
    for byte in b"\xff\r\x02VP\x02STAT":
        desk.receive(Now(0), bytes((byte,)))
    assert desk.poll(Now(10_000)) == b""
    desk.receive(Now(20_000), b"\r")
    assert desk.poll(Now(23_000)) == frame("0")
