"""Spellman XRV, uX and uXMAN: continuous HV supplies on RS-232, USB or TCP. The unit's side.

Modelled on public sources: the manual 118153-001 of the uX and, for the XRV, pymeasure's driver
(MIT), which is a **third-party source: unverified**; not checked against hardware. Section numbers
are those of the project's protocol reference.

Beside it: spellman_framing.py (frames, checksum), spellman_opcodes.py (questions and replies),
spellman_tables.py (each model's opcodes), spellman_faults.py (flags), spellman_trouble.py (what it
says is wrong), spellman_unasked.py (frames that answer nothing), spellman_identity.py and
spellman_hello.py (who is there?), spellman_ratings.py (what may be asked, what is promised),
spellman_desk.py (the device).

What shapes this driver:
- Opcodes mean different things on different models (3.14). Until the answers have shown that it is
  the model that the bench names nothing leaves but queries that are queries on every model; not
  even OFF, unless an ON of ours may have been obeyed. 98 is HV on one model and a query on another.
- A frame with a wrong checksum is ignored in silence, and one random corruption in 64 passes it; so
  do transposed digits. Set-points are read back after the last of them was set, within one count.
- `98,$` is the answer to ON and to OFF, and says nothing of HV: a beam is what the status shows. ON
  counts as accepted when its answer, the status and the risen kV have all been seen.
- The supply has no timer: the unit orders OFF (`has_own_timer` is False), and the relay's pulse
  ends what OFF does not. No watchdog either: its unit and setter are not known.
- A reply carries its opcode. After a time-out nothing counts before the answer to opcode 16, which
  is asked for nothing else, so a late reply of any other question is past by then.
- A uX tells once, unasked, that its interlock opened or a fault came, and shows the flag no more
  (3.6): that is kept until faults are cleared. Some answer a bare `E#1`, without a frame.

Silent: chosen:
- A pre-warning (27) must be 0, and the bench's full scale must be what 28 says: else no beam. The
  units of 27 are not known.
- An XRV's filament is switched on (70) before a beam and left on. Limit and preheat, focus, power
  limits, ramps and baud are service's: never written.
- "Supply ready" (status 15) is not waited for: it may need the interlock that stage 2 closes.
- HV that the status does not show 150 ms after ON's answer was refused.
"""

from __future__ import annotations

from contextlib import suppress

from hal.exchange import Answer, Exchange
from hal.generators._orders import Orders
from hal.generators._silence import SILENCE_US, Silence
from hal.generators._steps import Steps
from hal.generators.spellman_faults import status_of
from hal.generators.spellman_framing import Checksum, Dsp
from hal.generators.spellman_hello import Hello
from hal.generators.spellman_opcodes import Codec, Question, Reply, Scale
from hal.generators.spellman_ratings import (
    REPLY_US,
    Step,
    capabilities,
    effective,
    exchange_us,
    is_answered,
    maximum_mas,
    preparation,
)
from hal.generators.spellman_tables import CODEC_ONLY_MODELS, MODELS, NAMES, XRV
from hal.generators.spellman_trouble import Trouble
from hal.generators.spellman_unasked import Unasked
from hal.now import Now, since
from hal.ports import ByteLink, WireError
from hal.types import GeneratorSample, Outputs, Technique

SOURCE = "Spellman 118153-001 Rev B (uX); pymeasure 0.16, spellmanXRV (XRV), third-party"
VERIFIED = (
    "unverified: the XRV from third-party source, the uX from its manual; never checked against a "
    "device"
)
DRIVES_BEAM = True  # XRV, uX, uXMAN; the other models are codec only

RISEN = 0.95  # of the kV set
RESYNC = 16  # harmless everywhere; asked for nothing else


class Driver:
    """Levels in, samples out: each scan it sends what is missing between ordered and confirmed."""

    def __init__(
        self,
        link: ByteLink,
        *,
        model: str = "XRV",
        full_scale_kv: float = 160.0,
        full_scale_ma: float = 30.0,
        checksum: Checksum = "inclusive",
        dialect: str = "",
        baud: int = 9600,
        status_poll_us: int = 20_000,
        monitor_poll_us: int = 100_000,
        standby_poll_us: int = 500_000,
    ) -> None:
        """`full_scale_*`: what 4095 counts are on this unit. `dialect`: of other wires."""
        if model not in MODELS or model in CODEC_ONLY_MODELS:
            raise ValueError(no_beam(model))
        self._model = MODELS[model]
        self._scale = Scale(kv=full_scale_kv, ma=full_scale_ma)
        self._framing = Dsp(checksum)
        self._baud = baud
        self.capabilities = capabilities(self._model, baud, self._framing)
        self._on, self._off = (self._hv(state) for state in (1, 0))
        self._status, self._faults = self._model.query("status"), self._model.query("faults")
        self._monitor = self._model.query("monitor")
        self._status_poll_us = status_poll_us
        self._monitor_poll_us = monitor_poll_us
        self._standby_poll_us = standby_poll_us
        resync = Question(self._model, self._model.by_number[RESYNC])
        self._exchange: Exchange[Question, Reply] = Exchange(
            link,
            Codec(self._model, self._framing),
            timeout_us=self._exchange_us(self._status),
            resync_question=resync,
        )
        self._orders = Orders()
        self._silence = Silence()
        self._steps: Steps[Step] = Steps()
        self._asked_us: dict[str, int] = {}
        self._last = self._status
        self._turn = 0
        self._turned_us: int | None = None
        self._on_left = False  # an ON of ours may be obeyed: nothing has proved HV off since
        self._trouble = Trouble(self._model)
        self._unasked = Unasked(self._framing)
        self._forget()

    @property
    def sample(self) -> GeneratorSample:
        return self._orders.sample

    def effective(self, technique: Technique) -> Technique:
        return effective(technique, self._model, self._scale)

    def maximum_mas(self, technique: Technique) -> float:
        return maximum_mas(technique)

    def read(self, now: Now) -> GeneratorSample:
        asked, lost_count = self._exchange.waiting_for, self._exchange.timeouts_count
        answer = self._exchange.read(now)
        if answer is not None:
            self._take(now, answer)
        elif self._exchange.timeouts_count != lost_count:
            self._lost(now, asked)
        for text in self._unasked.texts(self._exchange.unasked):
            with suppress(WireError):  # no answer of ours: another model's, perhaps
                self._heard(text)
        self._watch_link(now)
        self._show(now)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        orders = self._orders
        if orders.follow_technique(now, outputs.technique):
            self._steps = Steps()
        orders.follow_beam(now, outputs.expose_from_us)
        orders.follow_clear(outputs.clear_faults_from_us)
        if orders.off_due and (self._hello.known or self._on_left):
            self._exchange.preempt(now, self._off, self._exchange_us(self._off))
        self._exchange.settle(now)
        if self._exchange.free:
            self._ask(now, self._next(now))
        waiting_for = self._exchange.waiting_for
        if waiting_for is not None:
            self._silence.owed(now, self._patience_us(waiting_for))
        self._show(now)

    # what is asked next

    def _next(self, now: Now) -> Question | None:
        orders, hello = self._orders, self._hello.next
        if not self._hello.known:
            return self._next_unknown(now)
        if orders.on_open:
            return self._start(now)  # nothing else may take the line now
        if self.sample.beam_on is not False:
            return self._next_in_beam(now)
        if orders.clear_due:
            return self._model.query("clear")
        if hello:
            return self._model.query(hello)
        if self._trouble.list_due:
            return self._faults
        if orders.technique is not None:
            return self._next_step(orders.technique) or self._next_armed(now)
        return self._next_idle(now)

    def _next_unknown(self, now: Now) -> Question | None:
        """A stranger is asked again now and then: it may be replaced by the right one."""
        if self._hello.next is None or (self._hello.problem and not self._turn_is_due(now)):
            return None
        return self._model.query(self._hello.next)

    def _start(self, now: Now) -> Question | None:
        asked = self._orders.start(now, self._on, look=self._status, ready=not self._unable())
        if asked == self._on:
            self._on_left = True
        return asked

    def _next_in_beam(self, now: Now) -> Question | None:
        """Status and monitor take turns: neither starves the other, and kV is seen to rise."""
        if self._last == self._status and self._monitoring(now):
            return self._monitor
        return self._status if self._due(now, self._status, self._status_poll_us) else None

    def _monitoring(self, now: Now) -> bool:
        orders = self._orders
        if not orders.beam_ordered or orders.acked_us is None or self.sample.beam_on is not True:
            return False
        rising = self.sample.on_answered_us is None
        return rising or self._due(now, self._monitor, self._monitor_poll_us)

    def _next_step(self, technique: Technique) -> Question | None:
        if self._orders.prepared or self._orders.beam_ordered:
            return None
        step = self._steps.next(lambda: preparation(technique, self._model, self._scale))
        return None if step is None else step[0]

    def _next_armed(self, now: Now) -> Question | None:
        """Status and fault list in turn: a beam that nobody ordered shows before ours (SR-34)."""
        pair = (self._status, self._faults)
        first, second = pair if self._last != self._status else pair[::-1]
        return next((q for q in (first, second) if self._due(now, q, self._status_poll_us)), None)

    def _next_idle(self, now: Now) -> Question | None:
        if not self._turn_is_due(now):
            return None
        turns = (self._faults, self._status, self._monitor, self._status)
        return turns[self._turn % len(turns)]

    def _turn_is_due(self, now: Now) -> bool:
        if self._turned_us is not None and not now.reached(self._turned_us + self._standby_poll_us):
            return False
        self._turned_us = now.t_us
        self._turn += 1
        return True

    def _due(self, now: Now, question: Question, period_us: int) -> bool:
        asked_us = self._asked_us.get(question.opcode.name)
        return asked_us is None or now.reached(asked_us + period_us)

    def _ask(self, now: Now, question: Question | None) -> None:
        if question is None:
            return
        self._last = question
        self._asked_us[question.opcode.name] = now.t_us
        self._reads_beam = self.sample.beam_on is True
        self._exchange.ask(now, question, self._exchange_us(question))

    # what is answered

    def _take(self, now: Now, answer: Answer[Question, Reply]) -> None:
        self._silence.answered()
        self._orders.set(now, taken_us=answer.asked_us)
        name, reply, step = answer.question.opcode.name, answer.reply, self._steps.first
        if step is not None and answer.question == step[0]:
            self._took_step(step, reply)
        elif reply.accepted and name in self._TAKERS:
            self._TAKERS[name](self, now, answer)
        elif answer.question == self._on:
            self._refuse(now, reply.error)
        elif name == "clear":
            self._orders.clear_due = False  # refused: asked again when it is ordered again
        self._hello.took(name, reply)
        self._orders.set(now, identity=self._hello.identity or self.sample.identity)

    def _took_status(self, now: Now, answer: Answer[Question, Reply]) -> None:
        shown, asked_us = status_of(self._model, answer.reply), answer.asked_us
        self._trouble.took_status(shown)
        self._saw_beam(now, asked_us, shown.hv_on)
        closed = shown.interlock_closed
        self._orders.set(now, interlock_closed=closed, interlock_taken_us=asked_us)

    def _saw_beam(self, now: Now, asked_us: int, is_on: bool) -> None:
        orders = self._orders
        if not is_on and self._is_starting(asked_us):
            return  # HV has its time to come: no "off" yet
        if not is_on and orders.beam_ordered and self.sample.on_answered_us is None:
            self._refuse(now, "no HV after ON")
        if not is_on and not orders.beam_ordered:
            self._on_left = False
        if orders.saw_beam(now, is_on, asked_us):
            self._trouble.list_due = True  # why it ended, or the final look

    def _is_starting(self, asked_us: int) -> bool:
        """ON is on its way, or was answered less than a reply time before this was asked."""
        orders, sample = self._orders, self.sample
        if not orders.beam_ordered or sample.on_sent_us is None or sample.refused:
            return False
        if sample.on_answered_us is not None or sample.beam_on is True:
            return False
        return orders.acked_us is not None and not since(asked_us, orders.acked_us + REPLY_US)

    def _took_hv(self, now: Now, answer: Answer[Question, Reply]) -> None:
        orders = self._orders
        if answer.question == self._on:
            orders.acked_us = now.t_us if orders.beam_ordered else None
        else:
            orders.off_answered(now)

    def _refuse(self, now: Now, why: str) -> None:
        """Not when OFF has overtaken ON: this may be OFF's answer."""
        if self._orders.beam_ordered and self.sample.on_sent_us is not None:
            self._orders.refuse(now, f"ON was refused: {why}")

    def _took_monitor(self, now: Now, answer: Answer[Question, Reply]) -> None:
        orders = self._orders
        if not self._reads_beam or self.sample.beam_on is not True:
            return
        fields = zip(answer.question.opcode.answers, answer.reply.values, strict=True)
        shown = {made.name: made.value(count, self._scale) for made, count in fields}
        kv, ma = shown["kv"], shown["ma"]
        risen = orders.technique is not None and kv >= RISEN * orders.technique.kv
        if self.sample.on_answered_us is None and orders.acked_us is not None and risen:
            orders.accept(now)
        if self.sample.on_answered_us is not None:
            self._orders.set(now, kv=kv, ma=ma, monitor_taken_us=answer.asked_us)

    def _took_faults(self, now: Now, answer: Answer[Question, Reply]) -> None:
        self._trouble.took_list(answer.reply)

    def _took_clear(self, now: Now, answer: Answer[Question, Reply]) -> None:
        self._orders.cleared()
        self._trouble.cleared()

    def _took_step(self, step: Step, reply: Reply) -> None:
        wrong = ""
        if not is_answered(step, reply):
            told = reply.error or f"{reply.values[0]:g} counts, set were {step[1]}"
            wrong = f"{step[0].opcode.name} was answered {told}"
        if self._steps.took(wrong):
            self._orders.prepared = True

    _TAKERS = {  # noqa: RUF012 (a constant)
        "status": _took_status,
        "hv": _took_hv,
        "monitor": _took_monitor,
        "faults": _took_faults,
        "clear": _took_clear,
    }

    # what was not answered, and what answered nothing

    def _lost(self, now: Now, asked: Question | None) -> None:
        self._orders.lost_reply(now)
        if asked is not None:
            self._hello.lost(asked.opcode.name)

    def _heard(self, text: str) -> None:
        """A frame that answered nothing."""
        if not self._hello.known:
            self._hello.overheard(text)
        elif self._model is not XRV:
            reply = self._model.reply(self._status, text)
            if reply.accepted:
                self._trouble.told(status_of(self._model, reply))
                self._asked_us.pop("status", None)  # what is so now?

    # the link

    def _hv(self, state: int) -> Question:
        return self._model.question("hv", state, scale=self._scale)

    def _exchange_us(self, question: Question) -> int:
        return exchange_us(question, self._baud, self._framing)

    def _patience_us(self, question: Question) -> int:
        if self._orders.in_beam or question == self._on:
            return self.capabilities.status_age_us
        return max(SILENCE_US, self._exchange_us(question))

    def _watch_link(self, now: Now) -> None:
        if self._silence.lost(now, port_down=bool(self._exchange.down)):
            self._forget()
            self._steps = Steps()
            self._orders.lost_device(now)

    def _forget(self) -> None:
        """Whoever answers next may be another device, or the same one after a power cycle."""
        self._hello = Hello(self._model, self._scale)
        self._trouble.list_due = True
        self._reads_beam = False

    # what is shown

    def _show(self, now: Now) -> None:
        orders, failed, unable = self._orders, self._steps.failed, self._unable()
        told = (self._hello.problem, failed, orders.refusal, *self._trouble.words)
        raw = "; ".join(word for word in (self._exchange.down or "", *told) if word)
        faulty = bool(failed) or self._trouble.status.fault or unable
        orders.set(
            now, state=orders.state(offline=self._silence.offline, faulty=faulty),
            faults=self._codes(), raw_faults=raw,
            confirmed=orders.technique if orders.prepared and not unable else None,
        )  # fmt: skip

    def _codes(self) -> tuple[str, ...]:
        found = [*self._trouble.codes]
        found += ["GENERATOR_IDENTITY"] if self._hello.problem else []
        found += ["GENERATOR_FAULT"] if self._steps.failed or self._trouble.status.local else []
        alone = self._orders.ended_alone and self.sample.interlock_closed is False
        found += ["INTERLOCK_OPEN"] if alone else []
        return tuple(dict.fromkeys(found))

    def _unable(self) -> bool:
        """Prepared or not, no ON may leave."""
        return bool(self._hello.problem or self._trouble.status.local)


def no_beam(model: str) -> str:
    """Why this model can't stand in a bench."""
    beams = ", ".join(name for name, made in MODELS.items() if made.drives_beam)
    if model not in NAMES:
        return f"no Spellman model {model!r}; there are {', '.join(NAMES)}"
    return f"Spellman {model}: codec only, its ON, OFF or status is not public; beams: {beams}"
