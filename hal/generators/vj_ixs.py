"""VJ X-Ray IXS portable source: a battery monoblock on 9600 8N1 or raw TCP.

Modelled on the public firmware ICD SPC-P314 (R3 of 2018-04-03, R4 of 2023-10-10) and on the
product specification SPC-P366 R4; not checked against hardware. Section numbers in this
file are those of the project's protocol reference.

This file is the unit's side. Beside it: vj_ixs_wire.py (commands, fault bits, frames both
ways), vj_ixs_ratings.py (what may be asked for, what is promised), vj_ixs_desk.py (the device).

What shapes this driver:
- Frames are `STX text CR` without a checksum, and query replies carry no mnemonic. A flipped
  digit shows in the echo of a set command (compared before `confirmed`), and *cannot* be
  seen in a query reply: a wrong STAT, FLT or MON digit is believed until the next one.
- A late reply can be mistaken for the next one's, so after a time-out nothing counts before
  `WDTE` -> `OK`, a pair that looks like nothing else.
- "Not started" and the echo of "stop" are the same bytes, and so is "entered pre-warning":
  pre-warning is set to 0 and verified before each beam.
- Exposure time 0 means *continuous* and is the power-up default: OT is never 0, and it is
  set before kV and mA, so that a longer time of earlier meets no new loading. VP and CP do
  nothing before ENBL1, which waits for all echoes.
- The watchdog is set to 2 s (the least it can) and verified before each beam. WDOG0 is
  never sent.
- Bit 8 (interlock) is open whenever stage 2 is, which is wired into the pair: alone it is no
  fault. After an early release it stays latched until CLR, which goes out only when the
  controller orders it (`clear_faults_from_us`), never by itself.
- The unit has no mA.s mode. For `mas` the caller integrates MON reads and orders OFF; OT is
  the back-up (time rounded up to 10 ms, plus the ramp). For `ms` OT itself ends the beam.
"""

from __future__ import annotations

from hal.exchange import Answer, Exchange
from hal.generators._orders import Orders
from hal.generators._silence import SILENCE_US, Silence
from hal.generators._steps import Steps
from hal.generators.vj_ixs_ratings import (
    Step,
    capabilities,
    effective,
    maximum_mas,
    preparation,
)
from hal.generators.vj_ixs_wire import (
    ALIVE,
    CLEAR,
    FAULT_BITS,
    INTERLOCK_BIT,
    OFF,
    ON,
    READ_FAULTS,
    READ_MONITOR,
    STATUS,
    Codec,
    Dialect,
    Monitor,
    Question,
    Reply,
    exchange_us,
    question,
)
from hal.now import Now
from hal.ports import ByteLink
from hal.types import GeneratorSample, Outputs, Technique

SOURCE = "SPC-P314 R3 and R4 (firmware ICD), SPC-P366 R4 (product specification)"
VERIFIED = "from vendor documents, never checked against a device"
DRIVES_BEAM = True
INTERLOCK_PAIR = "J3-7 to J3-8"  # section 2, fault bit 8: where to measure it

ON_ECHO = b"\x02ENBL1\r"  # "STX text CR", section 2


class Driver:
    """Levels in, samples out: each scan it sends what is missing between ordered and confirmed."""

    def __init__(
        self,
        link: ByteLink,
        *,
        dialect: Dialect = "R3",
        baud: int = 9600,
        status_poll_us: int = 20_000,
        monitor_poll_us: int = 100_000,
        standby_poll_us: int = 500_000,
    ) -> None:
        self.capabilities = capabilities(baud)
        self._baud = baud
        self._dialect: Dialect = dialect
        self._status_poll_us = status_poll_us
        self._monitor_poll_us = monitor_poll_us
        self._standby_poll_us = standby_poll_us
        self._exchange: Exchange[Question, Reply] = Exchange(
            link, Codec(), timeout_us=exchange_us(ALIVE, baud), resync_question=ALIVE
        )
        self._orders = Orders()
        self._silence = Silence()
        self._steps: Steps[Step] = Steps()
        self._asked_us: dict[str, int] = {}
        self._last = ALIVE
        self._turn = 0
        self._turned_us: int | None = None
        self._strange = b""  # the newest bytes that answered nothing
        self._shut_down = False
        self._bit_codes: tuple[str, ...] = ()
        self._bit_text = ""
        self._forget()

    @property
    def sample(self) -> GeneratorSample:
        return self._orders.sample

    def effective(self, technique: Technique) -> Technique:
        return effective(technique)

    def maximum_mas(self, technique: Technique) -> float:
        return maximum_mas(technique)

    def read(self, now: Now) -> GeneratorSample:
        asked, lost_count = self._exchange.waiting_for, self._exchange.timeouts_count
        answer = self._exchange.read(now)
        if answer is not None:
            self._take(now, answer)
        elif self._exchange.timeouts_count != lost_count:
            self._probe(asked)
            self._orders.lost_reply(now)
        self._watch_link(now)
        self._hear_stranger(now)
        self._show(now)
        return self.sample

    def _hear_stranger(self, now: Now) -> None:
        """An ON that nobody here sent was obeyed: its echo comes when the ramp is over.

        Status questions may wait as long for their answers, so the echo tells it first, or alone.
        It comes in pieces. It may be a late one: of our own last ON, while that has none, or of
        the unit's before this one, as long as this one is getting to know the generator.
        """
        if self._hello or not self._exchange.unasked:
            return
        self._strange = (self._strange + self._exchange.unasked)[-2 * len(ON_ECHO) :]
        if ON_ECHO not in self._strange:
            return
        self._strange = b""
        is_owed = self.sample.on_sent_us is not None and self.sample.on_answered_us is None
        if not self._orders.beam_ordered and not is_owed:
            self._orders.saw_beam(now, True, now.t_us)

    def write(self, now: Now, outputs: Outputs) -> None:
        orders = self._orders
        if orders.follow_technique(now, outputs.technique):
            self._steps = Steps()
        orders.follow_beam(now, outputs.expose_from_us)
        orders.follow_clear(outputs.clear_faults_from_us)
        if orders.off_due:
            self._exchange.preempt(now, OFF, exchange_us(OFF, self._baud))
        self._exchange.settle(now)
        if self._exchange.free:
            self._ask(now, self._next(now))
        waiting_for = self._exchange.waiting_for
        if waiting_for is not None:
            self._silence.owed(now, self._patience_us(waiting_for))
        self._show(now)

    # what is asked next

    def _next(self, now: Now) -> Question | None:
        orders = self._orders
        if orders.on_open:
            return orders.start(now, ON, look=STATUS)  # nothing else may take the line now
        if self.sample.beam_on is not False:
            return self._next_in_beam(now)
        if orders.clear_due:
            return CLEAR
        if self._hello:
            return self._hello_question()
        if self._faults_due:
            return READ_FAULTS[self._dialect]
        if orders.technique is not None:
            return self._next_step(orders.technique) or self._next_armed(now)
        return self._next_idle(now)

    def _next_in_beam(self, now: Now) -> Question | None:
        """Status and monitor take turns when both are due, so neither starves the other."""
        monitor = READ_MONITOR[self._dialect]
        monitoring = self._orders.beam_ordered and self.sample.on_answered_us is not None
        if monitoring and self._last == STATUS and self._due(now, monitor, self._monitor_poll_us):
            return monitor
        return STATUS if self._due(now, STATUS, self._status_poll_us) else None

    def _hello_question(self) -> Question:
        name = self._hello[0]
        return READ_MONITOR[self._dialect] if name == "MON" else question(name)

    def _next_step(self, technique: Technique) -> Question | None:
        if self._orders.prepared or self._orders.beam_ordered:
            return None
        steps = self._steps
        step = steps.next(lambda: preparation(technique, again=steps.tries_count > 0))
        return None if step is None else step[0]

    def _next_armed(self, now: Now) -> Question | None:
        """Status and fault list in turn: a beam that nobody ordered shows before ours (SR-34)."""
        faults = READ_FAULTS[self._dialect]
        first, second = (STATUS, faults) if self._last != STATUS else (faults, STATUS)
        return next((q for q in (first, second) if self._due(now, q, self._status_poll_us)), None)

    def _next_idle(self, now: Now) -> Question | None:
        if self._turned_us is not None and not now.reached(self._turned_us + self._standby_poll_us):
            return None
        self._turned_us = now.t_us
        self._turn += 1
        turns = (READ_FAULTS[self._dialect], STATUS, READ_MONITOR[self._dialect], STATUS)
        return turns[self._turn % len(turns)]

    def _due(self, now: Now, question: Question, period_us: int) -> bool:
        asked_us = self._asked_us.get(question.command.name)
        return asked_us is None or now.reached(asked_us + period_us)

    def _ask(self, now: Now, question: Question | None) -> None:
        if question is None:
            return
        self._last = question
        self._asked_us[question.command.name] = now.t_us
        self._monitoring = self.sample.beam_on is True
        self._exchange.ask(now, question, exchange_us(question, self._baud))

    # what is answered

    def _take(self, now: Now, answer: Answer[Question, Reply]) -> None:
        self._silence.answered()
        self._orders.set(now, taken_us=answer.asked_us)
        name = answer.question.command.name
        if self._hello and name in (self._hello[0], self._hello_question().command.name):
            self._took_hello(now, answer.reply)
        taker = self._TAKERS.get(name)
        if taker is not None:
            taker(self, now, answer)
        elif self._steps.first is not None and answer.question == self._steps.first[0]:
            self._took_step(now, self._steps.first, answer.reply)

    def _took_status(self, now: Now, answer: Answer[Question, Reply]) -> None:
        if self._orders.saw_beam(now, answer.reply == 1, answer.asked_us):
            self._faults_due = True  # why it ended, or the final look

    def _took_enable(self, now: Now, answer: Answer[Question, Reply]) -> None:
        if answer.question == ON:
            self._took_on(now, answer)
        elif answer.reply == 0:
            self._orders.off_answered(now)

    def _took_on(self, now: Now, answer: Answer[Question, Reply]) -> None:
        if answer.reply == 1:
            self._orders.accept(now, beam_on=True, beam_taken_us=answer.asked_us)
        elif self._orders.beam_ordered:  # else OFF overtook it, and this may be OFF's echo
            self._orders.refuse(now)

    def _took_monitor(self, now: Now, answer: Answer[Question, Reply]) -> None:
        monitor = answer.reply
        assert isinstance(monitor, Monitor)
        self._orders.set(now, battery_v=monitor.battery_v, oil_c=monitor.oil_c)
        if self._monitoring:
            self._orders.set(now, kv=monitor.kv, ma=monitor.ma, monitor_taken_us=answer.asked_us)

    def _took_faults(self, now: Now, answer: Answer[Question, Reply]) -> None:
        assert isinstance(answer.reply, tuple)
        bits = [bit for bit, is_set in enumerate(answer.reply) if is_set]
        closed = INTERLOCK_BIT not in bits
        named = [bit for bit in bits if bit != INTERLOCK_BIT or self._orders.ended_alone]
        self._faults_due = False
        self._shut_down = any(FAULT_BITS[bit].shuts_down for bit in named)
        self._bit_codes = tuple(dict.fromkeys(FAULT_BITS[bit].code for bit in named))
        self._bit_text = ", ".join(f"bit {bit} {FAULT_BITS[bit].name}" for bit in bits)
        self._orders.set(now, interlock_closed=closed, interlock_taken_us=answer.asked_us)

    def _took_clear(self, now: Now, answer: Answer[Question, Reply]) -> None:
        self._orders.cleared()
        self._faults_due = True

    def _took_hello(self, now: Now, reply: Reply) -> None:
        name = self._hello.pop(0)
        if name == "MNUM":
            self._model = str(reply)
        if name == "SNUM":
            self._orders.set(now, identity=f"{self._model} {reply}")

    def _took_step(self, now: Now, step: Step, reply: Reply) -> None:
        asked, expected = step
        wrong = f"{asked.text} was answered {reply}, not {expected}" if reply != expected else ""
        if self._steps.took(wrong):
            self._orders.confirm(now)

    _TAKERS = {  # noqa: RUF012 (a constant)
        "STAT": _took_status,
        "ENBL": _took_enable,
        "MON": _took_monitor,
        "MOD": _took_monitor,
        "FLT": _took_faults,
        "FLD": _took_faults,
        "CLR": _took_clear,
    }

    # the link

    def _patience_us(self, question: Question) -> int:
        if question == ON:
            return exchange_us(ON, self._baud) + self.capabilities.status_age_us
        return self.capabilities.status_age_us if self._orders.in_beam else SILENCE_US

    def _watch_link(self, now: Now) -> None:
        if self._silence.lost(now, port_down=bool(self._exchange.down)):
            self._forget()
            self._steps = Steps()
            self._orders.lost_device(now)

    def _forget(self) -> None:
        """Whoever answers next may be another device, or the same one after a power cycle."""
        self._hello = ["FREV", "MNUM", "SNUM", "MON"]
        self._model = ""
        self._faults_due = True
        self._monitoring = False

    def _probe(self, lost: Question | None) -> None:
        """Section 2.2: which dialect a unit ships with is not known; try the other monitor."""
        if self._hello == ["MON"] and lost == READ_MONITOR[self._dialect]:
            self._dialect = "R4" if self._dialect == "R3" else "R3"

    # what is shown

    def _show(self, now: Now) -> None:
        failed = self._steps.failed
        codes = (*self._bit_codes, *(("GENERATOR_FAULT",) if failed else ()))
        words = (self._exchange.down or "", failed, self._bit_text)
        raw = "; ".join(word for word in words if word)
        faulty = self._shut_down or bool(failed)
        state = self._orders.state(offline=self._silence.offline, faulty=faulty)
        self._orders.set(now, state=state, faults=codes, raw_faults=raw)
