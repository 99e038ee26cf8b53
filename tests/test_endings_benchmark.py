"""The benchmark of releases counts what it says: from the contact, by the devices' own clock."""

from __future__ import annotations

import pytest

from tools.bench.release import Turn, _pdus, cases, histogram


def turn(**changed: int | None) -> Turn:
    times_us = {"shown_us": 105_000, "off_us": 108_000, "gone_us": 103_600} | changed
    return Turn(100_000, [70_000, 80_000, 95_000], **times_us)  # type: ignore[arg-type]


@pytest.mark.req("SR-17")
def test_a_release_is_counted_from_its_contact_beside_the_poll_of_the_same_run() -> None:
    floor, off, gone = cases([turn(), turn(off_us=112_000), turn()])
    assert (floor.median_us, off.median_us, gone.median_us) == (5_000, 8_000, 3_600)
    assert (floor.ratio, off.ratio) == (1.0, 1.6)
    assert (floor.figures["poll_p50_ms"], floor.figures["poll_max_ms"]) == (12.5, 15.0)
    assert off.figures["max_ms"] == 12.0
    assert (off.figures["<10ms"], off.figures["<15ms"]) == (2.0, 1.0)
    assert off.figures["told_as_fault_count"] == 0.0


@pytest.mark.parametrize("missing", ["shown_us", "off_us", "gone_us"])
def test_a_release_without_off_is_no_figure_but_an_error(missing: str) -> None:
    with pytest.raises(ValueError, match="not answered by OFF"):
        cases([turn(), turn(**{missing: None})])


def test_a_time_on_the_edge_counts_as_the_next_five_milliseconds() -> None:
    assert histogram([0, 4_999, 5_000, 14_000]) == {"<5ms": 2.0, "<10ms": 1.0, "<15ms": 1.0}


def test_several_modbus_answers_in_one_read_are_told_apart() -> None:
    inputs = bytes.fromhex("0001 0000 0004 01 02 01 7d")
    written = bytes.fromhex("0002 0000 0006 01 05 0003 0000")
    assert [*_pdus(inputs + written)] == [(2, b"\x01\x7d"), (5, b"\x00\x03\x00\x00")]
    assert [*_pdus(inputs[:7])] == []
