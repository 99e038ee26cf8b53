"""Collimator and DAP meter on their synthetic lines: bytes both ways, cut, flipped, lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hal.collimators import blade_lines
from hal.links import pipe
from hal.meters import dap_lines
from hal.now import Now
from hal.ports import BladesSeen, DoseSeen, Kind, WireError
from hal.summed_lines import Summed, check
from hal.types import DoseSample, GeometrySample, Outputs
from tests.line_vectors import assert_holds, direction_of, lines, meant
from tests.samples import TECHNIQUE
from tests.vectors_loader import Vector, load

TABLES = {"blade_lines": blade_lines.TABLE, "dap_lines": dap_lines.TABLE}
VECTORS = [(name, vector) for name in TABLES for vector in load(name)]
each_vector = pytest.mark.parametrize(("name", "vector"), VECTORS, ids=lambda one: str(one))

# --- bytes


@each_vector
def test_each_vector_holds_both_ways(name: str, vector: Vector) -> None:
    assert_holds(TABLES[name], vector)


@each_vector
def test_a_line_may_come_in_any_pieces_and_between_noise(name: str, vector: Vector) -> None:
    table, wanted = TABLES[name], meant(TABLES[name], vector)
    single = (bytes((byte,)) for byte in vector.bytes)
    for at in range(len(vector.bytes)):
        assert lines(table, vector, vector.bytes[:at], vector.bytes[at:]) == [wanted]
    assert lines(table, vector, *single) == [wanted]
    noisy = b"\x00zz$A" + vector.bytes + b"\r\n$$*00\r\n" + vector.bytes
    assert lines(table, vector, noisy) == [wanted, wanted]


@each_vector
def test_each_flipped_bit_is_seen(name: str, vector: Vector) -> None:
    data = vector.bytes
    for at in range(len(data)):
        for bit in range(8):
            flipped = data[:at] + bytes((data[at] ^ 1 << bit,)) + data[at + 1 :]
            assert lines(TABLES[name], vector, flipped) == [], (at, bit)


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_vector(name: str) -> None:
    have = {(direction_of(v), v.fields.get("command") or v.fields["reply"]) for v in load(name)}
    assert have == {(row.direction, row.name) for row in TABLES[name].rows}


def test_the_check_is_that_of_nmea_0183() -> None:
    """The example of its public descriptions."""
    sentence = "GPGGA,123519,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
    assert check(sentence) == "47"


def test_a_line_without_a_check_or_with_a_small_one_is_none() -> None:
    for line in (b"$POS?\r\n", b"$POS?*7\r\n", b"$POS?*073\r\n"):
        buffer = bytearray(line)
        with pytest.raises(WireError):
            Summed().take(buffer)


# --- what they do


class Room:
    """A driver, its desk, and a line of 19200 baud between them; times in steps of a scan."""

    def __init__(self, module: Any, model: Any) -> None:
        near, self.far = pipe(baud=19200)
        self.driver, self.desk = module.Driver(near), module.Desk(model)
        self.outputs, self.t_us = Outputs(), 0
        self.deaf = False
        self.heard: list[bytes] = []

    def pass_ms(self, ms: int) -> Room:
        for _ in range(ms):
            self.t_us += 1000
            now = Now(self.t_us)
            data = self.far.read(self.t_us)
            if data:
                self.heard.append(data)
            if data and not self.deaf:
                self.desk.receive(now, data)
            if reply := self.desk.poll(now):
                self.far.write(self.t_us, reply)
            if self.t_us % 5000 == 0:
                self.driver.read(Now(self.t_us))
                self.driver.write(Now(self.t_us), self.outputs)
        return self

    @property
    def sample(self) -> Any:
        return self.driver.sample


class Blades:
    name, serial_number = "SIM-COLLIMATOR", "C0001"
    shown = BladesSeen(sid_mm=1150.0, rows_mm=304.3, columns_mm=200.0)

    def seen(self, t_us: int) -> BladesSeen:
        return self.shown


class Dose:
    name, serial_number = "SIM-DAP", "D0001"
    shown = DoseSeen(dap_dgycm2=6.666)
    reset_count = 0

    def seen(self, t_us: int) -> DoseSeen:
        return self.shown

    def reset(self, t_us: int) -> None:
        self.reset_count += 1
        self.shown = DoseSeen(dap_dgycm2=0.0)


PREPARING = Outputs(technique=TECHNIQUE, dose_shot_id="S1", dose_reset=True)
EXPOSING = replace(PREPARING, dose_reset=False, expose_from_us=1)
OVER = Outputs(dose_shot_id="S1")


def test_a_device_answers_what_it_knows_and_nothing_else() -> None:
    desk = blade_lines.Desk(Blades())
    desk.receive(Now(0), b"zz$POS?*00\r\n$POZ?*7A\r\n$PO")
    assert desk.poll(Now(10_000)) == b""
    desk.receive(Now(10_000), b"S?*73\r\n")
    assert desk.poll(Now(10_000 + blade_lines.REPLY_US)) == b"$POS,1150,3043,2000,R*1D\r\n"
    assert desk.poll(Now(99_000)) == b""


def test_a_collimator_tells_its_field_on_the_receptor() -> None:
    sample: GeometrySample = Room(blade_lines, Blades()).pass_ms(400).sample
    assert sample.link_ok
    assert sample.identity == "SIM-COLLIMATOR C0001"
    assert sample.sid_mm == 1150.0
    assert sample.field_rows_mm == pytest.approx(349.945)
    assert sample.field_columns_mm == pytest.approx(230.0)


@pytest.mark.parametrize(
    ("shown", "sid_mm", "moving"),
    [
        (BladesSeen(sid_mm=None, rows_mm=300.0, columns_mm=300.0), None, False),
        (BladesSeen(sid_mm=1150.0, rows_mm=300.0, columns_mm=300.0, failed=True), None, False),
        (BladesSeen(sid_mm=1150.0, rows_mm=300.0, columns_mm=300.0, moving=True), 1150.0, True),
    ],
)
def test_what_it_does_not_know_is_not_known(
    shown: BladesSeen, sid_mm: float | None, *, moving: bool
) -> None:
    model = Blades()
    model.shown = shown
    sample = Room(blade_lines, model).pass_ms(400).sample
    assert sample.link_ok
    assert (sample.sid_mm, sample.field_rows_mm is None) == (sid_mm, sid_mm is None)
    assert sample.moving is moving


def test_it_is_asked_often_from_prep_on_and_seldom_at_rest() -> None:
    room = Room(blade_lines, Blades()).pass_ms(1000)
    room.heard.clear()
    room.pass_ms(1000)
    at_rest = len(b"".join(room.heard).split(b"\n")) - 1
    room.heard.clear()
    room.outputs = PREPARING
    room.pass_ms(1000)
    assert at_rest == 5
    assert 15 <= len(b"".join(room.heard).split(b"\n")) - 1 <= 25


@pytest.mark.req("SR-09")
def test_a_collimator_that_falls_silent_is_lost_within_half_a_second_and_comes_back() -> None:
    room = Room(blade_lines, Blades()).pass_ms(400)
    room.outputs, room.deaf = PREPARING, True
    room.pass_ms(500)
    assert room.sample == GeometrySample(taken_us=room.sample.taken_us)
    room.deaf = False
    room.pass_ms(500)
    assert (room.sample.link_ok, room.sample.sid_mm) == (True, 1150.0)


def test_the_meter_is_reset_for_the_shot_and_then_read() -> None:
    model = Dose()
    room = Room(dap_lines, model).pass_ms(600)
    before: DoseSample = room.sample
    assert (before.dap_dgycm2, before.shot_id) == (6.666, None)
    room.outputs = PREPARING
    room.pass_ms(200)
    assert (room.sample.dap_dgycm2, room.sample.shot_id, model.reset_count) == (0.0, "S1", 1)
    model.shown = DoseSeen(dap_dgycm2=1.2344)
    room.outputs = OVER
    room.pass_ms(100)
    assert (room.sample.dap_dgycm2, room.sample.shot_id, model.reset_count) == (1.234, "S1", 1)


def test_a_meter_is_never_reset_in_the_beam() -> None:
    model = Dose()
    room = Room(dap_lines, model).pass_ms(600)
    room.outputs = EXPOSING
    room.pass_ms(1500)
    assert (model.reset_count, room.sample.shot_id) == (0, None)


def test_a_meter_that_was_lost_in_between_has_no_value_of_the_shot() -> None:
    room = Room(dap_lines, Dose()).pass_ms(600)
    room.outputs = PREPARING
    room.pass_ms(200)
    room.outputs, room.deaf = OVER, True
    room.pass_ms(500)
    assert not room.sample.link_ok
    room.deaf = False
    room.pass_ms(1000)
    assert (room.sample.link_ok, room.sample.shot_id) == (True, None)


def test_a_meter_in_trouble_says_so_and_has_no_value() -> None:
    model = Dose()
    model.shown = DoseSeen(dap_dgycm2=3.0, failed=True)
    sample = Room(dap_lines, model).pass_ms(600).sample
    assert (sample.dap_dgycm2, sample.trouble) == (None, "its chamber has no voltage")


def test_whoever_begins_or_changes_something_is_known_by_its_row() -> None:
    kinds = {row.name: row.kind for row in dap_lines.TABLE.rows}
    assert kinds["reset"] is Kind.ACT
    assert {row.kind for row in blade_lines.TABLE.rows} == {Kind.QUERY, Kind.REPLY}
