"""Xenocs GeniX3D: an X-ray source of a cabinet, behind a shutter, Modbus TCP. The unit's side.

Known from a third party's program only (protocols.md 8.1 [R]): **unverified, from a third-party
source**. Beside it: genix3d_wire.py (coils, registers), genix3d_ratings.py (what it may and can),
genix3d_desk.py (the device).

What shapes this driver:
- It is a source of continuous waves: the tube is brought to its power behind the closed shutter,
  and the shutter makes the beam. ON is the shutter's "open" pulse, OFF is "X-rays 0", one level
  in one frame; the shutter's "close" pulse follows it, and again each 2 s until both sensors agree
  that it is closed. A shutter that is not shown closed counts as open while X-rays are on.
- No timer, no watchdog: the unit ends the beam, the room's relay ends it without the unit.
- Everything but reading is refused without bit 0 (remote), so then nothing is sent, and the
  device is not ready.
- Registers are asked for by FC03; where that is refused, by FC04, and so on in turn.
- Bits 19 and 20 (relay interlock, door) stay latched after an early release, until the
  acknowledgement that the controller orders. Alone they are no fault.

Silent: chosen:
- The identity is the tube's power (bit 7): nothing else tells one device from another.
- Interlock ok (bit 25) is taken for the bench's interlock pair.
- A preparation that leads nowhere within 2 s is tried three times.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress

from hal.exchange import Answer, Exchange
from hal.generators._orders import Orders
from hal.generators._silence import SILENCE_US, Silence
from hal.generators.genix3d_ratings import (
    REPLY_US,
    capabilities,
    effective,
    lacks,
    maximum_mas,
)
from hal.generators.genix3d_wire import (
    ASK_POWER,
    ASK_STATUS,
    BITS,
    CLEAR,
    CLOSE,
    INTERLOCKS,
    OFF,
    ON,
    OPEN_LIFTED,
    SHUTTER_US,
    SOURCE,
    VERIFIED,
    XRAYS_ON,
    Power,
    Status,
    read_power,
    read_status,
)
from hal.modbus import ModbusException, Question, Reply, TcpClientCodec, WriteCoil, Written
from hal.now import Now, since
from hal.ports import ByteLink, WireError
from hal.types import GeneratorSample, Outputs, Technique

__all__ = ["DRIVES_BEAM", "SOURCE", "VERIFIED", "Driver"]
DRIVES_BEAM = True
PATIENCE_US = SHUTTER_US
TRIES = 3


class Driver:
    """Levels in, samples out: each scan it sends what is missing between ordered and confirmed."""

    def __init__(
        self,
        link: ByteLink,
        *,
        dialect: str = "",
        baud: int = 0,
        status_poll_us: int = 20_000,
        monitor_poll_us: int = 100_000,
        standby_poll_us: int = 500_000,
        timeout_us: int = REPLY_US,
        device_id: int = 1,
    ) -> None:
        """`dialect`, `baud`: of other wires, nothing here."""
        self.capabilities = capabilities()
        self.status: Status | None = None  # the newest, for service
        self._exchange: Exchange[Question, Reply] = Exchange(
            link, TcpClientCodec(device_id=device_id), timeout_us=timeout_us
        )
        self._status_poll_us = status_poll_us
        self._monitor_poll_us = monitor_poll_us
        self._standby_poll_us = standby_poll_us
        self._function = 3  # of the registers
        self._last: Question = ASK_STATUS
        self._closing: deque[WriteCoil] = deque()
        self._closing_us: int | None = None  # since when the shutter has been told to close
        self._asked_us: dict[Question, int] = {}
        self._orders = Orders()
        self._silence = Silence()
        self._forget()
        self._start_over()

    @property
    def sample(self) -> GeneratorSample:
        return self._orders.sample

    def effective(self, technique: Technique) -> Technique:
        return effective(technique)

    def maximum_mas(self, technique: Technique) -> float:
        return maximum_mas(technique)

    def read(self, now: Now) -> GeneratorSample:
        lost_count = self._exchange.timeouts_count
        answer = self._exchange.read(now)
        if answer is not None:
            with suppress(WireError):
                self._take(now, answer)
        elif self._exchange.timeouts_count != lost_count:
            self._orders.lost_reply(now)
        self._watch_link(now)
        self._watch_shutter(now)
        self._show(now)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        orders = self._orders
        if orders.follow_technique(now, outputs.technique):
            self._start_over()
        orders.follow_beam(now, outputs.expose_from_us)
        orders.follow_clear(outputs.clear_faults_from_us)
        if orders.off_due and not (self._is_local or self._look_first):
            self._exchange.preempt(now, OFF)
        self._exchange.settle(now)
        if self._exchange.free:
            self._ask(now, self._next(now))
        if self._exchange.waiting_for is not None:
            self._silence.owed(now, self._patience_us())
        self._show(now)

    def _start_over(self) -> None:
        self._writes: deque[WriteCoil] = deque()
        self._lacked: tuple[WriteCoil, ...] = ()
        self._tried_us: int | None = None  # since when what was lacking has been written
        self._cycle_seen = False
        self._tries = 0
        self._power: Power | None = None  # read after the newest write of this preparation
        self._looked = False  # ... and so was the status
        self._failed = ""

    # what is asked next

    def _next(self, now: Now) -> Question | None:
        orders = self._orders
        if orders.on_open:
            return self._start(now)  # nothing else may take the line now
        if self._lift_due:
            return OPEN_LIFTED  # the second half of ON's pulse
        if self.sample.beam_on is not False:
            return self._next_in_beam(now)
        if self._is_local:
            return self._due(now, ASK_STATUS, self._standby_poll_us)
        if orders.clear_due:
            return CLEAR
        if orders.technique is not None:
            return self._next_step(now, orders.technique) or self._next_armed(now)
        return self._next_close(now) or self._due(now, ASK_STATUS, self._standby_poll_us)

    def _start(self, now: Now) -> Question | None:
        asked = self._orders.start(now, ON, look=ASK_STATUS)
        if asked == ON:
            self._lift_due = True
        return asked

    def _next_in_beam(self, now: Now) -> Question | None:
        """Status and power take turns when both are due, so neither starves the other."""
        if not self._orders.beam_ordered and (closing := self._next_close(now)) is not None:
            return closing
        power = ASK_POWER[self._function]
        monitoring = self._orders.beam_ordered and self.sample.on_answered_us is not None
        if monitoring and self._last == ASK_STATUS:
            asked = self._due(now, power, self._monitor_poll_us)
            if asked is not None:
                return asked
        return self._due(now, ASK_STATUS, self._status_poll_us)

    def _next_close(self, now: Now) -> Question | None:
        """The shutter's "close" behind OFF, again when its time has run out in vain."""
        status = self.status
        if self._closing:
            return self._closing[0]
        if status is None or status.shutter_closed is True or self._orders.off_wanted:
            return None
        if self._closing_us is not None and not now.reached(self._closing_us + SHUTTER_US):
            return None
        self._closing_us = now.t_us
        self._closing.extend(CLOSE)
        return self._closing[0]

    def _next_step(self, now: Now, technique: Technique) -> Question | None:
        if self._orders.prepared or self._failed or self._orders.beam_ordered:
            return None
        if self._writes:
            return self._writes[0]
        if not self._looked or self._power is None:
            return ASK_STATUS if not self._looked else ASK_POWER[self._function]
        return self._judge(now, technique)

    def _judge(self, now: Now, technique: Technique) -> Question | None:
        """Status and power are newer than all that was written: is it there?"""
        assert self.status is not None
        assert self._power is not None
        try:
            missing = lacks(technique, self.status, self._power)
        except ValueError as error:
            self._failed = str(error)
            return None
        self._cycle_seen |= self.status.in_cycle
        if missing != self._lacked:
            self._lacked, self._tries, self._tried_us = missing, 0, None
        if missing and not self.status.in_cycle and self._in_vain(now):
            return self._try(now, missing)
        return self._look_again(now)

    def _in_vain(self, now: Now) -> bool:
        """What was written led nowhere: its cycle is over, or its time is."""
        over = self._cycle_seen or self._tried_us is None
        return over or now.reached((self._tried_us or 0) + PATIENCE_US)

    def _try(self, now: Now, missing: tuple[WriteCoil, ...]) -> Question | None:
        self._tries += 1
        if self._tries > TRIES:
            found = f"{self._power.kv:g} kV, {self._power.ma:g} mA" if self._power else "nothing"
            self._failed = f"not where it was sent ({missing[-1].address}); it shows {found}"
            return None
        self._tried_us, self._cycle_seen = now.t_us, False
        self._writes.extend(missing)
        return self._writes[0]

    def _look_again(self, now: Now) -> Question | None:
        asked = self._due(now, ASK_STATUS, self._status_poll_us)
        if asked is not None:
            self._looked, self._power = False, None
        return asked

    def _next_armed(self, now: Now) -> Question | None:
        return self._due(now, ASK_STATUS, self._status_poll_us)

    def _due(self, now: Now, question: Question, period_us: int) -> Question | None:
        asked_us = self._asked_us.get(question)
        due = asked_us is None or now.reached(asked_us + period_us)
        return question if due else None

    def _ask(self, now: Now, question: Question | None) -> None:
        if question is None:
            return
        self._last = question
        self._asked_us[question] = now.t_us
        self._monitoring = self.sample.beam_on is True and self._orders.beam_ordered
        self._exchange.ask(now, question)
        if question == OPEN_LIFTED and self._lift_due:
            self._lift_due = False
        if isinstance(question, WriteCoil):
            self._looked, self._power = False, None

    # what is answered

    def _take(self, now: Now, answer: Answer[Question, Reply]) -> None:
        self._silence.answered()
        self._orders.set(now, taken_us=answer.asked_us)
        question, reply = answer.question, answer.reply
        if isinstance(reply, ModbusException):
            self._refused(now, question, reply)
        elif question == ASK_STATUS and isinstance(reply, tuple):
            self._took_status(now, read_status(reply), answer.asked_us)  # type: ignore[arg-type]
        elif isinstance(reply, tuple):
            self._took_power(now, read_power(reply), answer.asked_us)
        elif isinstance(reply, Written):
            self._took_write(now, question)

    def _refused(self, now: Now, question: Question, reply: ModbusException) -> None:
        if question in ASK_POWER.values():
            self._function = 7 - self._function  # the other one of FC03 and FC04
        elif question == OFF:
            self._look_first = True  # does it take orders at all?
        elif question == ON and self._orders.beam_ordered:
            self._orders.refuse(now)
        elif question == CLEAR:
            self._orders.clear_due = False
        else:
            self._writes.clear()
            self._closing.clear()

    def _took_write(self, now: Now, question: Question) -> None:
        if question == ON:
            return  # the shutter's sensor tells whether it was obeyed
        if question == OFF:
            self._orders.off_answered(now)
        elif question == CLEAR:
            self._orders.cleared()
        else:
            for waiting in (self._closing, self._writes):
                if waiting and question == waiting[0]:
                    waiting.popleft()
                    return

    def _took_power(self, now: Now, power: Power, asked_us: int) -> None:
        self._power = power
        self._conclude(now)
        if self._monitoring and self.sample.on_answered_us is not None:
            self._orders.set(now, kv=power.kv, ma=power.ma, monitor_taken_us=asked_us)

    def _conclude(self, now: Now) -> None:
        """The newest status and this power show what the technique wants: ready for its beam."""
        orders = self._orders
        if orders.technique is None or orders.spent or self._failed or not self._looked:
            return
        assert self.status is not None
        assert self._power is not None
        with suppress(ValueError):  # told by `_judge`
            if not self.status.in_cycle and not lacks(orders.technique, self.status, self._power):
                orders.confirm(now)

    def _took_status(self, now: Now, status: Status, asked_us: int) -> None:
        self.status, self._looked, self._look_first = status, True, False
        if status.shutter_closed is not True and XRAYS_ON in self._writes:
            self._writes.clear()  # never onto a shutter that is not shown closed
        beam_on = self._shows_beam(status)
        self._orders.saw_beam(now, beam_on, asked_us)
        if beam_on and status.shutter_closed is False and self._is_accepted(asked_us):
            self._orders.accept(now)
        power_w = 50 if status.has("tube of 50 W") else 30
        self._orders.set(
            now, identity=f"GeniX3D {power_w} W",
            interlock_closed=status.has("interlock ok"), interlock_taken_us=asked_us,
        )  # fmt: skip

    def _is_accepted(self, asked_us: int) -> bool:
        """The first status that shows the shutter open since ON has left.

        ON's own answer may have been lost: the beam is there, and the unit alone is its timer.
        """
        sent_us = self.sample.on_sent_us
        awaited = self._orders.beam_ordered and self.sample.on_answered_us is None
        return awaited and sent_us is not None and since(asked_us, sent_us)

    def _shows_beam(self, status: Status) -> bool | None:
        """None: a shutter that was told to open may yet do so."""
        if status.has("xray_on") and status.shutter_closed is not True:
            return True
        return None if self._opening and status.has("xray_on") else False

    @property
    def _opening(self) -> bool:
        """ON has left, and neither its beam nor its refusal was seen."""
        sample = self.sample
        sent = self._orders.beam_ordered and sample.on_sent_us is not None
        return sent and sample.on_answered_us is None and not sample.refused

    def _watch_shutter(self, now: Now) -> None:
        """8.1: it opens within 2 s. One that is closed by then was refused."""
        sent_us = self.sample.on_sent_us
        if not self._opening or sent_us is None or self.sample.beam_on is True:
            return
        if now.reached(sent_us + SHUTTER_US):
            self._orders.refuse(now)

    # the link

    @property
    def _is_local(self) -> bool:
        """It takes no orders, and shows no beam that one could end."""
        status = self.status
        return status is not None and not status.has("remote") and self.sample.beam_on is False

    def _patience_us(self) -> int:
        return self.capabilities.status_age_us if self._orders.in_beam else SILENCE_US

    def _watch_link(self, now: Now) -> None:
        if self._silence.lost(now, port_down=bool(self._exchange.down)):
            self._forget()
            self._start_over()
            self._orders.lost_device(now)

    def _forget(self) -> None:
        """Whoever answers next may be another device, or the same one after a power cycle."""
        self.status = None
        self._last = ASK_STATUS
        self._look_first = False  # OFF was refused: a status comes before the next one
        self._lift_due = False
        self._monitoring = False
        self._closing.clear()
        self._closing_us = None
        self._silence.forget()

    # what is shown

    def _faults(self) -> dict[str, str]:
        """{code of hal.faults: word} of all that keeps the beam off."""
        status, found = self.status, {}
        if status is None:
            return {}
        if not status.has("remote"):
            found["GENERATOR_NOT_READY"] = "not in remote mode"
        names = [n for n in status.fault_names if n not in INTERLOCKS or self._orders.ended_alone]
        for name in names:
            found[BITS[name].fault or ""] = name
        if status.has("faults") and not status.fault_names:
            found["GENERATOR_UNKNOWN"] = "bit 9 alone"
        if self._failed:
            found["GENERATOR_FAULT"] = self._failed
        return found

    def _show(self, now: Now) -> None:
        faults = self._faults()
        shown = self.status.fault_names if self.status is not None else []
        words = (self._exchange.down or "", *dict.fromkeys((*faults.values(), *shown)))
        raw = "; ".join(word for word in words if word)
        offline = self._silence.offline or self.status is None
        state = self._orders.state(offline=offline, faulty=bool(faults))
        self._orders.set(now, state=state, faults=tuple(faults), raw_faults=raw)
