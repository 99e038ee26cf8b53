"""The room I/O's driver and desk on a virtual line: 5 ms scans, a module that answers in 1 ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise

import pytest

from firmware_py.config import RoomConfig
from hal.links import PipeLink, pipe
from hal.modbus_server import RefusedError
from hal.now import NEVER_US, Now
from hal.ports import LinkError
from hal.room_io import mapped, mapped_desk, open_room_io, speaks_rtu
from hal.room_io.mapped import Coil
from hal.room_io.waveshare import Desk, Driver
from hal.types import CONTACTS, Outputs, RoomSample

SCAN_US = 5_000

# PDUs as they are seen on the line (tests/vectors/waveshare.toml has their sources)
READ_INPUTS = "02 00 00 00 08"
READ_COILS = "01 00 00 00 08"
ENABLE_OFF = "05 00 03 00 00"
ENABLE_PULSE = "05 02 03 00 02"
CONTACTOR_OFF = "05 00 04 00 00"
CONTACTOR_ON = "05 00 04 ff 00"

OFF = Outputs()
PREP = Outputs(contactor=True, prep_line=True)
ARMED = Outputs(contactor=True, prep_line=True, enable=True)


def always(reply: bytes) -> bool:
    return True


def never(reply: bytes) -> bool:
    return False


class Room:
    """Eight contacts and eight relays; an ordinary write cancels a running pulse (unverified)."""

    def __init__(self) -> None:
        self.contacts = [False, False, True, True, True, True, False, False]
        self._closed = [False] * 8
        self._until_us: list[int | None] = [None] * 8
        self.refused = False

    def inputs(self, t_us: int) -> Sequence[bool]:
        return list(self.contacts)

    def coils(self, t_us: int) -> Sequence[bool]:
        return [
            closed and (until_us is None or not Now(t_us).reached(until_us))
            for closed, until_us in zip(self._closed, self._until_us, strict=True)
        ]

    def set_coil(self, t_us: int, coil_index: int, closed: bool) -> None:
        self._closed[coil_index], self._until_us[coil_index] = closed, None

    def pulse_coil(self, t_us: int, coil_index: int, duration_us: int) -> None:
        self._closed[coil_index], self._until_us[coil_index] = True, t_us + duration_us


class Line:
    """The unit's end of the line: notes what leaves, loses what it is told to, or fails."""

    def __init__(self, link: PipeLink, *, header_bytes: int, tail_bytes: int) -> None:
        self._link = link
        self._header_bytes, self._tail_bytes = header_bytes, tail_bytes
        self.sent: list[tuple[int, str]] = []
        self.lost: Callable[[str], bool] = lambda pdu: False
        self.cut = False

    def read(self, t_us: int) -> bytes:
        if self.cut:
            raise LinkError("the cable is out")
        return self._link.read(t_us)

    def write(self, t_us: int, data: bytes) -> None:
        pdu = data[self._header_bytes : len(data) - self._tail_bytes].hex(" ")
        self.sent.append((t_us, pdu))
        if not self.lost(pdu):
            self._link.write(t_us, data)

    def arrival_us(self) -> int:
        return self._link.arrival_us()

    def close(self) -> None:
        self._link.close()


class Bench:
    """Scans on a 5 ms grid; the module acts when bytes reach it and when its replies are due."""

    def __init__(
        self,
        *,
        rtu: bool = False,
        baud: int = 9600,
        reply_us: int = 1_000,
        only_when_due: bool = False,
        active_poll_ms: int = 5,
        standby_poll_ms: int = 20,
        module: str = "waveshare",
        room_map: str | None = None,
        watchdog_ms: int | None = None,
    ) -> None:
        unit_end, self.device_end = pipe(latency_us=100, baud=baud if rtu else None)
        self.line = Line(unit_end, header_bytes=1 if rtu else 7, tail_bytes=2 if rtu else 0)
        config = RoomConfig(
            driver=module,
            map=room_map,
            watchdog_ms=watchdog_ms,
            url="sim",
            active_poll_ms=active_poll_ms,
            standby_poll_ms=standby_poll_ms,
            enable_pulse_ms=200,
        )
        opened = import_module(f"hal.room_io.{module}")
        self.driver: mapped.Driver = opened.Driver(self.line, config, rtu=rtu, baud=baud)
        self.room = Room()
        self.desk: mapped_desk.Desk = opened.Desk(
            self.room, room_map, rtu=rtu, baud=baud, reply_us=reply_us, watchdog_ms=watchdog_ms
        )
        self.lost_reply: Callable[[bytes], bool] = never
        self.samples: list[tuple[int, RoomSample]] = []
        self.polls_count = 0
        self.t_us = -SCAN_US
        self._only_when_due = only_when_due
        self._driver_next_us = 0
        self._desk_next_us = NEVER_US
        self._outputs: Outputs | None = None

    def run(self, outputs: Outputs, ms: int) -> None:
        for _ in range(ms * 1000 // SCAN_US):
            self.scan(outputs)

    def scan(self, outputs: Outputs) -> RoomSample:
        self.t_us += SCAN_US
        self._run_desk()
        now = Now(self.t_us)
        is_due = now.reached(self._driver_next_us) or now.reached(self.line.arrival_us())
        if is_due or outputs != self._outputs or not self._only_when_due:
            self._outputs = outputs
            self._poll(Now(self.t_us), outputs)
        return self.driver.sample

    def _poll(self, now: Now, outputs: Outputs) -> None:
        before = self.driver.sample
        sample = self.driver.read(now)
        self.driver.write(now, outputs)
        if sample is not before:
            self.samples.append((now.t_us, sample))
        self._driver_next_us = now.next_us
        self.polls_count += 1

    def _run_desk(self) -> None:
        while True:
            event_us = min(self.device_end.arrival_us(), self._desk_next_us)
            if not Now(self.t_us).reached(event_us):
                return
            now = Now(event_us)
            self.desk.receive(now, self.device_end.read(event_us))
            reply = self.desk.poll(now)
            if reply and not self.lost_reply(reply):
                self.device_end.write(event_us, reply)
            self._desk_next_us = now.next_us

    def sent_from(self, t_us: int) -> list[tuple[int, str]]:
        """Times are relative to `t_us`."""
        return [(at_us - t_us, pdu) for at_us, pdu in self.line.sent if Now(at_us).reached(t_us)]

    def sent_now(self) -> list[str]:
        return [pdu for _, pdu in self.sent_from(self.t_us)]

    def enable_closed(self) -> bool:
        return self.room.coils(self.t_us)[Coil.ENABLE]


@pytest.fixture
def bench() -> Bench:
    """Up for half a second, everything off and confirmed."""
    bench = Bench()
    bench.run(OFF, 500)
    return bench


# --- start and idle ------------------------------------------------------------------------------


def test_at_start_every_coil_is_driven_to_off_the_dangerous_ones_first() -> None:
    bench = Bench()
    bench.run(OFF, 100)
    writes = [(t_us // 1000, pdu) for t_us, pdu in bench.line.sent if pdu.startswith("05")]
    assert writes[:2] == [(0, ENABLE_OFF), (0, CONTACTOR_OFF)]
    assert {pdu for _, pdu in writes} == {f"05 00 {coil:02x} 00 00" for coil in Coil}
    assert bench.room.coils(bench.t_us) == [False] * 8


def test_at_idle_only_reads_leave_and_only_at_their_period(bench: Bench) -> None:
    start_us = bench.t_us + SCAN_US
    bench.run(OFF, 200)
    sent = bench.sent_from(start_us)
    inputs = [t_us for t_us, pdu in sent if pdu == READ_INPUTS]
    coils = [t_us for t_us, pdu in sent if pdu == READ_COILS]
    assert len(inputs) + len(coils) == len(sent)
    assert {b - a for a, b in pairwise(inputs)} == {20_000}
    assert [b - a for a, b in pairwise(coils)] == [100_000]


def test_at_idle_nobody_is_woken_but_for_polls_and_their_answers() -> None:
    bench = Bench(only_when_due=True)
    bench.run(OFF, 500)
    polls_before_count = bench.polls_count
    bench.run(OFF, 1000)
    assert bench.polls_count - polls_before_count == 2 * (
        50 + 10
    )  # 50 + 10 questions, asked, answered


# --- samples -------------------------------------------------------------------------------------


def test_the_contacts_stand_in_the_order_of_the_io_map(bench: Bench) -> None:
    assert CONTACTS == (
        "stage_1", "stage_2", "door", "estop", "chain", "key", "reset", "lamp_current",
    )  # fmt: skip
    for index, name in enumerate(CONTACTS):
        bench.room.contacts = [i == index for i in range(8)]
        bench.run(OFF, 50)
        assert [n for n in CONTACTS if getattr(bench.driver.sample, n)] == [name]


def test_a_sample_is_dated_when_it_was_asked_for(bench: Bench) -> None:
    bench.run(PREP, 100)
    asked_us = [t_us for t_us, pdu in bench.line.sent if pdu == READ_INPUTS]
    for seen_us, sample in bench.samples:
        assert sample.taken_us in asked_us
        assert sample.taken_us != seen_us


def test_the_sample_is_the_same_object_until_an_answer_comes(bench: Bench) -> None:
    seen = [bench.scan(OFF) for _ in range(5)]
    assert len({id(sample) for sample in seen}) == 2
    assert seen[-1].door


def test_no_healthy_sample_gets_older_than_the_capabilities_say(bench: Bench) -> None:
    limit_us = bench.driver.capabilities.sample_age_us
    assert limit_us == 30_000
    oldest_us = 0
    bench.run(PREP, 20)
    lamps = [PREP, ARMED, Outputs(contactor=True, enable=True, beam_lamp=True, buzzer=True)]
    for t in range(400):
        sample = bench.scan(lamps[t // 7 % 3])
        oldest_us = max(oldest_us, bench.t_us - sample.taken_us)
    assert 10_000 <= oldest_us <= limit_us


def test_a_silent_module_is_lost_after_three_timeouts_and_all_contacts_read_open(
    bench: Bench,
) -> None:
    heard_us = bench.driver.sample.taken_us
    bench.lost_reply = always
    while bench.scan(OFF).link_ok:
        assert bench.driver.sample.door
    assert bench.t_us - heard_us in (150_000, 155_000)
    assert bench.driver.sample == RoomSample(taken_us=bench.driver.sample.taken_us)
    assert bench.driver.sample.enable_readback is None
    bench.lost_reply = never
    bench.run(OFF, 100)
    assert bench.driver.sample.link_ok
    assert bench.driver.sample.door


def test_a_broken_link_is_lost_at_once_and_comes_back_by_itself(bench: Bench) -> None:
    bench.line.cut = True
    assert not bench.scan(OFF).link_ok
    bench.run(OFF, 100)
    bench.line.cut = False
    bench.run(OFF, 100)
    assert bench.driver.sample.link_ok


def test_an_exception_proves_the_link_but_brings_no_sample(bench: Bench) -> None:
    bench.desk = Desk(bench.room, device_id=2)  # answers our unit id with exception 0x0b
    taken_us = bench.driver.sample.taken_us
    bench.run(OFF, 400)
    assert bench.driver.sample.link_ok
    assert bench.driver.sample.taken_us - taken_us in range(25_000)


# --- the enable pulse ----------------------------------------------------------------------------


def test_the_enable_pulse_leaves_with_the_command_and_is_seen_in_the_read_back(
    bench: Bench,
) -> None:
    bench.run(PREP, 100)
    bench.scan(ARMED)
    assert bench.sent_now() == [ENABLE_PULSE]
    bench.scan(ARMED)
    assert bench.enable_closed()
    bench.run(ARMED, 110)  # one read-back, every 100 ms
    assert bench.driver.sample.enable_readback is True
    assert bench.driver.sample.enable_taken_us is not None


def test_the_pulse_is_triggered_again_after_half_of_it(bench: Bench) -> None:
    start_us = bench.t_us
    bench.run(ARMED, 1000)
    pulses = [t_us for t_us, pdu in bench.sent_from(start_us) if pdu == ENABLE_PULSE]
    gaps = [b - a for a, b in pairwise(pulses)]
    assert len(gaps) == 9
    assert all(100_000 <= gap <= 105_000 for gap in gaps)
    assert bench.enable_closed()


def test_the_pulse_lapses_when_the_unit_dies(bench: Bench) -> None:
    bench.run(ARMED, 500)
    last_us = max(t_us for t_us, pdu in bench.line.sent if pdu == ENABLE_PULSE)
    died_us = bench.t_us
    assert bench.room.coils(died_us)[Coil.ENABLE]
    assert bench.room.coils(last_us + 199_000)[Coil.ENABLE]
    bench.device_end.read(died_us)
    assert not bench.room.coils(last_us + 201_000)[Coil.ENABLE]
    assert last_us + 201_000 - died_us <= 300_000


def test_a_lost_pulse_is_sent_again_before_the_relay_drops(bench: Bench) -> None:
    bench.run(ARMED, 300)
    losses = iter([True])
    bench.line.lost = lambda pdu: pdu == ENABLE_PULSE and next(losses, False)
    start_us = bench.t_us
    for _ in range(100):
        bench.scan(ARMED)
        assert bench.enable_closed()
    pulses = [t_us for t_us, pdu in bench.sent_from(start_us) if pdu == ENABLE_PULSE]
    assert 50_000 <= pulses[1] - pulses[0] <= 60_000  # the time-out, not half the pulse


def test_a_lapsing_enable_is_neither_triggered_again_nor_dropped(bench: Bench) -> None:
    """SELF_TEST: the module's own timer must open the relay (SR-46)."""
    bench.run(Outputs(enable=True, beam_lamp=True), 60)
    last_us = max(t_us for t_us, pdu in bench.line.sent if pdu == ENABLE_PULSE)
    start_us = bench.t_us + SCAN_US
    readbacks = []
    for _ in range(60):
        sample = bench.scan(Outputs(enable_lapse=True))
        readbacks.append((bench.t_us - last_us, sample.enable_readback))
    sent = {pdu for _, pdu in bench.sent_from(start_us)}
    assert ENABLE_OFF not in sent
    assert ENABLE_PULSE not in sent
    opened_us = next(t_us for t_us, closed in readbacks if closed is False)
    assert 200_000 <= opened_us <= 235_000
    coils = [t_us for t_us, pdu in bench.sent_from(start_us) if pdu == READ_COILS]
    assert all(b - a <= 30_000 for a, b in pairwise(coils))


# --- OFF -----------------------------------------------------------------------------------------


def test_a_dropped_enable_leaves_in_the_same_write_even_with_a_reply_outstanding(
    bench: Bench,
) -> None:
    bench.run(ARMED, 200)
    bench.desk = Desk(bench.room, reply_us=20_000)  # the module is slow just now
    bench.scan(ARMED)
    bench.scan(PREP)
    assert bench.sent_now() == [ENABLE_OFF]
    bench.scan(PREP)
    assert not bench.enable_closed()


def test_off_leaves_again_after_the_reply_that_it_overtook(bench: Bench) -> None:
    bench.run(ARMED, 200)
    bench.desk = Desk(bench.room, reply_us=20_000)
    bench.scan(ARMED)
    bench.scan(PREP)
    released_us = bench.t_us
    bench.run(PREP, 100)
    offs = [t_us for t_us, pdu in bench.sent_from(released_us) if pdu == ENABLE_OFF]
    assert len(offs) == 2
    assert offs[0] == 0
    assert 5_000 <= offs[1] <= 25_000


def test_enable_and_contactor_leave_in_the_same_scan(bench: Bench) -> None:
    bench.run(ARMED, 200)
    bench.scan(OFF)
    assert bench.sent_now() == [ENABLE_OFF, CONTACTOR_OFF]
    bench.scan(OFF)
    assert not bench.enable_closed()
    assert not bench.room.coils(bench.t_us)[Coil.CONTACTOR]


def test_an_off_whose_echo_was_lost_is_sent_until_one_comes(bench: Bench) -> None:
    bench.run(ARMED, 200)
    echo = bytes.fromhex(ENABLE_OFF)
    bench.lost_reply = lambda reply: echo in reply
    bench.scan(PREP)
    released_us = bench.t_us
    bench.run(PREP, 400)
    offs = [t_us for t_us, pdu in bench.sent_from(released_us) if pdu == ENABLE_OFF]
    gaps = [b - a for a, b in pairwise(offs[1:])]
    assert len(offs) >= 6
    assert set(gaps) == {50_000}
    bench.lost_reply = never
    bench.run(PREP, 100)
    done_us = bench.t_us
    bench.run(PREP, 300)
    assert ENABLE_OFF not in [pdu for _, pdu in bench.sent_from(done_us)]


def test_an_off_that_never_arrived_is_sent_until_the_relay_is_open(bench: Bench) -> None:
    bench.run(ARMED, 200)
    losses = iter([True] * 3)
    bench.line.lost = lambda pdu: pdu == ENABLE_OFF and next(losses, False)
    bench.scan(PREP)
    released_us = bench.t_us
    while bench.enable_closed():
        bench.scan(PREP)
    assert bench.t_us - released_us <= 200_000  # by OFF or by its own pulse, whichever is first
    bench.run(PREP, 200)
    assert bench.driver._confirmed[Coil.ENABLE] is False


def test_a_coil_that_opens_by_itself_is_closed_again(bench: Bench) -> None:
    """A module that restarted: the read-back shows it, the driver converges."""
    bench.run(PREP, 200)
    bench.room.set_coil(bench.t_us, Coil.CONTACTOR, False)
    bench.run(PREP, 150)
    assert bench.room.coils(bench.t_us)[Coil.CONTACTOR]


def test_a_coil_that_the_module_refuses_starves_neither_reads_nor_off(bench: Bench) -> None:
    class Refusing(Room):
        def set_coil(self, t_us: int, coil_index: int, closed: bool) -> None:
            if coil_index == Coil.BUZZER:
                raise RefusedError(4)
            super().set_coil(t_us, coil_index, closed)

    bench.desk = Desk(Refusing())
    noisy = Outputs(contactor=True, buzzer=True)
    bench.run(noisy, 50)
    for _ in range(200):
        sample = bench.scan(noisy)
        assert bench.t_us - sample.taken_us <= bench.driver.capabilities.sample_age_us
    assert [pdu for _, pdu in bench.line.sent].count("05 00 02 ff 00") > 50
    bench.scan(Outputs(buzzer=True))
    assert CONTACTOR_OFF in bench.sent_now()


# --- rungs ---------------------------------------------------------------------------------------

STORY = ((OFF, 307), (Outputs(enable=True, beam_lamp=True), 61), (Outputs(enable_lapse=True), 353),
         (PREP, 211), (ARMED, 457), (PREP, 53), (OFF, 401), (ARMED, 109), (OFF, 203))  # fmt: skip


def story(bench: Bench) -> None:
    """Periods coprime with the deadlines, contacts that change, replies lost and late."""
    for index, (outputs, ms) in enumerate(STORY):
        bench.room.contacts[0] = index % 2 == 1
        for scan_index in range(ms * 1000 // SCAN_US):
            is_noisy = scan_index % 37 in (11, 12, 13)
            bench.lost_reply = never if not is_noisy else always
            bench.room.contacts[1] = scan_index % 13 > 6
            bench.scan(outputs)


@pytest.mark.parametrize("rtu", [False, True], ids=["tcp", "rtu"])
@pytest.mark.parametrize(("active_poll_ms", "standby_poll_ms"), [(5, 20), (7, 23), (43, 50)])
def test_polling_only_when_due_equals_polling_every_scan(
    rtu: bool, active_poll_ms: int, standby_poll_ms: int
) -> None:
    benches = [
        Bench(
            rtu=rtu,
            baud=115200,
            only_when_due=only_when_due,
            active_poll_ms=active_poll_ms,
            standby_poll_ms=standby_poll_ms,
            reply_us=1_300,
        )
        for only_when_due in (False, True)
    ]
    for bench in benches:
        story(bench)
    every_scan, due = benches
    assert due.line.sent == every_scan.line.sent
    assert due.samples == every_scan.samples
    assert due.polls_count < every_scan.polls_count


# --- RTU -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("baud", [9600, 115200])
def test_on_rtu_three_and_a_half_characters_of_silence_stand_between_frames(baud: int) -> None:
    bench = Bench(rtu=True, baud=baud)
    silence_us = {9600: 4_010, 115200: 1_750}[baud]
    heard_us = []
    read = bench.line.read

    def noting(t_us: int) -> bytes:
        data = read(t_us)
        if data:
            heard_us.append(t_us)
        return data

    bench.line.read = noting  # type: ignore[method-assign]
    bench.run(ARMED, 500)
    assert len(heard_us) > 10
    for at_us, _ in bench.line.sent[1:]:
        last_us = max(t_us for t_us in heard_us if t_us <= at_us)
        assert at_us - last_us >= silence_us


def test_on_rtu_off_is_the_next_frame_and_never_sent_into_a_reply() -> None:
    """RS-485 is half-duplex: into the reply it would destroy both."""
    bench = Bench(rtu=True, baud=9600)
    bench.run(ARMED, 500)
    while not bench.sent_now():
        bench.scan(ARMED)
    bench.scan(PREP)
    released_us = bench.t_us
    assert bench.sent_now() == []
    bench.run(PREP, 100)
    first_us, first = bench.sent_from(released_us)[0]
    assert first == ENABLE_OFF
    assert first_us <= bench.driver.capabilities.reply_us + 10_000
    assert not bench.enable_closed()


@pytest.mark.parametrize("scans", range(20))
def test_on_rtu_off_waits_for_one_reply_and_one_silence_at_most(scans: int) -> None:
    bench = Bench(rtu=True, baud=115200, only_when_due=True, active_poll_ms=50)
    bench.run(ARMED, 300 + 5 * scans)
    released_us = bench.t_us + SCAN_US
    bench.run(PREP, 50)
    first_us, first = bench.sent_from(released_us)[0]
    assert first == ENABLE_OFF
    assert first_us <= 10_000


def test_on_rtu_a_late_reply_is_not_taken_for_the_next_one() -> None:
    bench = Bench(rtu=True, baud=115200, reply_us=80_000)  # each reply comes after its time-out
    bench.run(OFF, 3000)
    assert not bench.driver.sample.link_ok
    assert bench.samples == []


# --- capabilities and opening --------------------------------------------------------------------


def test_capabilities_follow_the_configuration() -> None:
    tcp = Bench().driver.capabilities
    assert (tcp.reply_us, tcp.pulse_us, tcp.sample_age_us) == (5_000, 200_000, 30_000)
    slow = Bench(rtu=True, baud=9600).driver.capabilities
    assert slow.reply_us == 5_000 + 18_333 + 2 * 4_010
    assert slow.sample_age_us == 6 * 35_000


def test_a_driver_is_opened_by_the_name_of_its_file() -> None:
    config = RoomConfig(driver="waveshare", url="sim")
    driver = open_room_io("waveshare", pipe()[0], config)
    assert isinstance(driver, Driver)
    assert driver.sample == RoomSample(taken_us=0)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("waveshar", "did you mean 'waveshare'?"),
        ("x" * 30, "there are: adam, iologik, mapped, waveshare"),
        ("", "there are: adam, iologik, mapped, waveshare"),
        ("../waveshare", "did you mean 'waveshare'?"),
    ],
)
def test_an_unknown_driver_is_refused_with_the_nearest_name(name: str, hint: str) -> None:
    config = RoomConfig(driver="waveshare", url="sim")
    with pytest.raises(ValueError, match="no room I/O driver") as refused:
        open_room_io(name, pipe()[0], config)
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    ("url", "rtu"),
    [
        ("sim", False),
        ("tcp://192.168.1.12:502", False),
        ("/dev/ttyUSB0", True),
        ("socket://127.0.0.1:4001", True),
        ("COM3", True),
    ],
)
def test_the_url_decides_between_tcp_and_rtu(url: str, rtu: bool) -> None:
    assert speaks_rtu(url) is rtu


# --- desk ----------------------------------------------------------------------------------------


def answer(desk: Desk, pdu: str, t_us: int = 0) -> str:
    data = bytes.fromhex(pdu)
    desk.receive(Now(t_us), b"\x00\x01\x00\x00\x00" + bytes([len(data) + 1]) + b"\x01" + data)
    return desk.poll(Now(t_us + 1_000_000))[7:].hex(" ")


def test_flash_on_closes_a_relay_for_its_time() -> None:
    room = Room()
    assert answer(Desk(room), "05 02 01 00 08") == "05 02 01 00 08"
    assert room.coils(799_999) == [False, True] + [False] * 6
    assert room.coils(800_000) == [False] * 8


def test_00ff_and_fc15_switch_all_relays() -> None:
    room = Room()
    desk = Desk(room)
    assert answer(desk, "05 00 ff ff 00") == "05 00 ff ff 00"
    assert room.coils(0) == [True] * 8
    assert answer(desk, "0f 00 00 00 08 01 a5") == "0f 00 00 00 08"
    assert room.coils(0) == [True, False, True, False, False, True, False, True]
    assert answer(desk, "01 00 00 00 08") == "01 01 a5"


@pytest.mark.parametrize(
    ("request_pdu", "reply"),
    [
        pytest.param("01 00 00 00 09", "81 02", id="nine relays"),
        pytest.param("02 00 08 00 01", "82 02", id="input 8"),
        pytest.param("05 00 08 ff 00", "85 02", id="relay 8"),
        pytest.param("05 02 08 00 01", "85 02", id="flash on relay 8"),
        pytest.param("05 00 00 12 34", "85 03", id="neither on nor off"),
        pytest.param("05 02 00 00 00", "85 03", id="flash on for no time"),
        pytest.param("05 02 00 80 00", "85 03", id="flash on for longer than 7fff"),
        pytest.param("0f 00 04 00 05 01 1f", "8f 02", id="relays 4 to 8"),
        pytest.param("03 10 00 00 08", "83 02", id="output modes, not modelled"),
        pytest.param("06 10 00 00 01", "86 02", id="an output mode, not modelled"),
        pytest.param("04 00 00 00 01", "84 02", id="input registers"),
    ],
)
def test_what_the_module_does_not_have_is_refused(request_pdu: str, reply: str) -> None:
    room = Room()
    assert answer(Desk(room), request_pdu) == reply
    assert room.coils(0) == [False] * 8


def test_replies_leave_one_after_the_other_each_after_its_time() -> None:
    desk = Desk(Room(), reply_us=1_000)
    request = bytes.fromhex("00 01 00 00 00 06 01 02 00 00 00 08")
    now = Now(0)
    desk.receive(now, request + request)
    assert desk.poll(now) == b""
    assert now.next_us == 1_000
    assert len(desk.poll(Now(1_000))) == 10
    later = Now(1_001)
    assert desk.poll(later) == b""
    assert later.next_us == 2_000
    assert len(desk.poll(Now(2_000))) == 10
