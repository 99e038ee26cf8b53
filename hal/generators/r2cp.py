"""Sedecal R2CP v6: a radiographic generator behind a "SmartHub", TCP port 10000. The unit's side.

Modelled on the host side of a public third-party program (MCPU_MASTER 9ba0caac, from which only
interface facts are taken). **Unverified against a device; may need the vendor's ICD.** Section
numbers are those of the project's protocol reference; "silent: chosen" is what it leaves open.

Beside it: r2cp_wire.py (entries, frames), r2cp_layouts.py (databank, status, ...), r2cp_block.py,
r2cp_exchange.py (one question at a time), r2cp_stop.py (OFF), r2cp_rx.py (the RX disable),
r2cp_hello.py (connection), r2cp_preparation.py (before a beam), r2cp_account.py (after it),
r2cp_messages.py, r2cp_results.py (its no, our words), r2cp_ratings.py (what may be asked),
r2cp_desk.py (the device).

What shapes this driver:
- Two keys. System message 500074 "general RX disable" is kept active (4.7); ON first clears it,
  then sends start (0x20/142 = 1), within the 200 ms that ON lives. OFF is stop at once, again each
  100 ms until it is answered, and then RX disable again, which is a second way to end the beam.
- Each preparation loads the databank, reads it back and compares it within half a count, assigns
  and activates the procedure. Then the generator must say Ready (state 4) by itself: that is rotor
  and filament. Whatever is prepared and not wanted any more is deactivated, so no rotor runs on.
- The answer to start is no beam: it counts as accepted when the status says ExpInProgress, or when
  it is over already. ExpReq (5) and Invalid (0) are never "off".
- No kV or mA can be read in the beam, nor what its chambers see. After it, the post-exposure values
  are the generator's own account: believed as its own (decide/own_account.py), once its exposure
  number is another. Its end code says nothing: nobody knows what it means.
- mAs and chambers are the generator's to count: it ends such a beam, and the account tells how.
- The status is asked for; an event that looks like one is only a reason to ask.

Silent: chosen:
- Procedures are of activation 0, software. Activating one starts the preparation; byte 1 = 0 of
  the activation ends it (result codes 5 and 6 name an invalid activation and deactivation).
- The exposure-switch bit of the status is the interlock pair: the hard-wired chain stands in series
  with that input. No read-back of X-RAY ENABLE itself is known.
- A stop that is answered "wrong state" counts when a later status shows no beam.
- The token is not requested: the host's sequence never does. Result 201 is then a fault.
- The X-ray battery's level (0x12/1) is asked of the generator, where the bench says how often: in
  standby only, and at once after each system message. Percent; who refuses it has none.
- Time-outs in the device (0x00/5, 0x20/143) have no known layout and are left as they are.
"""

from __future__ import annotations

from contextlib import suppress

from hal.generators._orders import Orders
from hal.generators._silence import Silence
from hal.generators.r2cp_account import Account
from hal.generators.r2cp_exchange import Answer, Exchange, Processed
from hal.generators.r2cp_hello import Hello
from hal.generators.r2cp_layouts import (
    EXPOSURE_SWITCH,
    PostExposure,
    State,
    Status,
    read_battery,
    read_message,
    read_status,
)
from hal.generators.r2cp_messages import Messages
from hal.generators.r2cp_preparation import Preparation
from hal.generators.r2cp_ratings import (
    DEACTIVATE,
    PROCEDURE_ID,
    REPLY_US,
    RX_DISABLE,
    RX_ENABLE,
    capabilities,
    effective,
    maximum_mas,
)
from hal.generators.r2cp_results import (
    OK,
    STATE_FAULTS,
    is_forgotten,
    message_fault,
    message_words,
    result_words,
)
from hal.generators.r2cp_rx import RxKey
from hal.generators.r2cp_stop import Stop
from hal.generators.r2cp_wire import (
    ASK_BATTERY,
    ASK_MESSAGES,
    ASK_POST,
    ASK_STATUS,
    CONNECT,
    START,
    Frame,
    Node,
    Question,
)
from hal.now import Now
from hal.ports import ByteLink, WireError
from hal.types import GeneratorSample, Outputs, Technique

SOURCE = "MCPU_MASTER 9ba0caac, a public third-party program, the host side only"
VERIFIED = (
    "unverified, may need the vendor's ICD: third-party source, never checked against a device"
)
DRIVES_BEAM = True

_ON_ITS_WAY = (State.PREPARATION, State.READY, State.EXPOSURE_REQUESTED)
_ROTATING = (State.PREPARATION, State.READY)


class Driver:
    """Levels in, samples out: each scan it sends what is missing between ordered and confirmed."""

    _battery_asked_us: int | None
    _battery_refused: bool  # it has none, or no such entry

    def __init__(
        self,
        link: ByteLink,
        *,
        dialect: str = "",
        baud: int = 0,
        status_poll_us: int = 50_000,
        monitor_poll_us: int = 0,
        standby_poll_us: int = 100_000,
        timeout_us: int = REPLY_US,
        focus_index: int = 1,
        battery_poll_us: int | None = None,
    ) -> None:
        """4.7: status each 50 ms in the exposure, 100 ms idle. `focus_index`: 0 small, 1 large.
        `battery_poll_us`: None asks for no battery.

        `dialect`, `baud`, `monitor_poll_us`: of other wires, nothing here.
        """
        self.capabilities = capabilities(status_poll_us)
        self.status: Status | None = None  # the newest, for service: heat units, rotor, switches
        self.post_exposure: PostExposure | None = None  # of the last beam
        self._exchange = Exchange(link, timeout_us=timeout_us)
        self._status_poll_us = status_poll_us
        self._standby_poll_us = standby_poll_us
        self._focus_index = focus_index
        self._battery_poll_us = battery_poll_us
        self._asked_us: int | None = None  # the newest status question
        self._orders = Orders()
        self._silence = Silence()
        self._plan = Preparation()
        self._forget()

    @property
    def sample(self) -> GeneratorSample:
        return self._orders.sample

    def effective(self, technique: Technique) -> Technique:
        return effective(technique)

    def maximum_mas(self, technique: Technique) -> float:
        return maximum_mas(technique)

    def read(self, now: Now) -> GeneratorSample:
        lost_count, asked = self._exchange.timeouts_count, self._exchange.waiting_for
        for heard in self._exchange.read(now):
            with suppress(WireError):  # nonsense behind a good header: not believed, asked again
                self._hear(now, heard)
        if self._exchange.timeouts_count != lost_count:
            self._battery_refused = self._battery_refused or asked is ASK_BATTERY
            self._lost_one(now)
        self._watch_link(now)
        self._show(now)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        orders = self._orders
        if orders.follow_technique(now, outputs.technique):
            self._plan = Preparation()
        if orders.follow_beam(now, outputs.expose_from_us, ready=self._is_ready()):
            self._stop.order_changed(begins=orders.beam_ordered)
        orders.follow_clear(outputs.clear_faults_from_us)
        off_left = orders.off_due and self._stop.send(now, self._exchange)
        if not off_left:  # else nothing more leaves in this scan
            self._exchange.settle(now)
            if self._exchange.free:
                self._ask(now, self._next(now))
        if self._exchange.waiting_for is not None:
            self._silence.owed(now, self.capabilities.status_age_us)
        self._show(now)

    # what is asked next

    def _next(self, now: Now) -> Question | None:
        if not self._hello.connected:
            return self._hello.next(now)
        if self._orders.on_open:
            return self._start(now)  # nothing else may take the line now
        if self.sample.beam_on is not False:
            return self._next_in_beam(now)
        if self._rx.due(now, self._status_poll_us):
            return RX_DISABLE
        if not self._hello.done:
            return self._hello.next(now)
        return self._next_owed() or self._next_wanted(now) or self._look(now)

    def _start(self, now: Now) -> Question | None:
        enable = None if self._rx.disabled is False else RX_ENABLE
        ready = self._is_ready()
        asked = self._orders.start(now, START, look=ASK_STATUS, first=enable, ready=ready)
        if asked is START:
            self._account.begin(self._plan.databank)
        return asked

    def _next_in_beam(self, now: Now) -> Question | None:
        turn = not self._orders.beam_ordered and not self._status_stale
        if turn and self._rx.due(now, self._status_poll_us):
            return RX_DISABLE  # the second way to end it; status and it take turns
        if self._status_stale or self._due(now, self._status_poll_us):
            return ASK_STATUS
        return None

    def _next_owed(self) -> Question | None:
        if self._status_stale:
            return ASK_STATUS
        if self._messages.due:
            return ASK_MESSAGES
        if self._orders.clear_due:
            self._orders.cleared()
            self._plan.failed = self._account.otherwise = None
            self._messages.order_clear()
        return self._messages.next_clear()

    def _next_wanted(self, now: Now) -> Question | None:
        orders, plan = self._orders, self._plan
        if self._account.tries_count:
            now_due = self._account.untried or self._due(now, self._status_poll_us)
            return ASK_POST if now_due else None
        state = self.status.state if self.status is not None else None
        if not plan.begun and state in _ROTATING and not orders.beam_ordered:
            return DEACTIVATE if self._due(now, self._status_poll_us) else None
        if orders.technique is None or plan.active or plan.failed or orders.beam_ordered:
            return None
        if self._rx.disabled is not True:
            return None  # nothing is prepared before the first of the two keys is known to be out
        if not plan.begun and state is State.STANDBY:
            plan.begin(orders.technique, self._focus_index)
        return plan.next()

    def _look(self, now: Now) -> Question | None:
        armed = self._orders.technique is not None
        if not armed and self._battery_due(now):
            return ASK_BATTERY
        period_us = self._status_poll_us if armed else self._standby_poll_us
        return ASK_STATUS if self._due(now, period_us) else None

    def _battery_due(self, now: Now) -> bool:
        if self._battery_poll_us is None or self._battery_refused:
            return False
        asked_us = self._battery_asked_us
        return asked_us is None or now.reached(asked_us + self._battery_poll_us)

    def _due(self, now: Now, period_us: int) -> bool:
        return self._asked_us is None or now.reached(self._asked_us + period_us)

    def _ask(self, now: Now, question: Question | None) -> None:
        if question is None:
            return
        if question is CONNECT:
            self._exchange.tell(now, question)
            self._hello.told(now)
            now.wake(now.t_us)
            return
        if question is ASK_STATUS:
            self._asked_us, self._status_stale = now.t_us, False
        elif question is ASK_MESSAGES:
            self._messages.asked()
        elif question is ASK_BATTERY:
            self._battery_asked_us = now.t_us
        elif question in (RX_DISABLE, RX_ENABLE):
            self._rx.asked(now, question)
        self._exchange.ask(now, question)

    # what is heard

    def _hear(self, now: Now, heard: Answer | Processed | Frame) -> None:
        if isinstance(heard, Frame):
            self._hear_event(now, heard)
        elif isinstance(heard, Processed):
            self._took_off(now, heard)
        else:
            self._take(now, heard)

    def _hear_event(self, now: Now, event: Frame) -> None:
        if event.is_of("message"):
            self._messages.event(read_message(event.data))
            self._battery_asked_us = None  # it may be what the message is about
        elif event.is_of("status"):
            self._status_stale = True
        elif event.is_of("connection"):
            node, connected = event.data[0], event.data[1] == 1
            if node == Node.SERVICE_TOOL:
                self._service_tool = connected
            elif node in (Node.GENERATOR, Node.APPLICATION) and not connected:
                self._go_offline(now)

    def _took_off(self, now: Now, answer: Processed) -> None:
        obeyed = None if self._orders.beam_ordered else self._stop.answered(now, answer)
        if obeyed is not None:
            self._status_stale = True
        if obeyed:
            self._orders.off_answered(now)

    def _take(self, now: Now, answer: Answer) -> None:
        self._silence.answered()
        self._orders.set(now, taken_us=answer.asked_us)
        if not self._hello.done and answer.question is self._hello.next(now):
            self._hello.take(now, answer)
            if self._hello.identity:
                self._orders.set(now, identity=self._hello.identity)
        taker = self._TAKERS.get(answer.question.name)
        if taker is not None:
            taker(self, now, answer)
        if answer.question == self._plan.next():
            self._took_step(now, answer)

    def _took_status(self, now: Now, answer: Answer) -> None:
        if answer.result_code != OK:
            return
        status = read_status(answer.data)
        self.status = status
        self._messages.status(status.messages_index)
        closed = bool(status.switches_index & EXPOSURE_SWITCH)
        self._orders.set(now, interlock_closed=closed, interlock_taken_us=answer.asked_us)
        self._see_beam(now, status.state, answer.asked_us)

    def _see_beam(self, now: Now, state: State, asked_us: int) -> None:
        orders, beam_on = self._orders, self._shows_beam(state)
        if state in (State.EXPOSING, State.EXPOSURE_REQUESTED) and not orders.beam_ordered:
            orders.off_wanted = True  # SR-33: OFF again until the feedback says so
        if beam_on is not None and orders.beam_awaited:
            orders.set(now, on_answered_us=now.t_us if beam_on else orders.acked_us)
        if beam_on:
            self._account.lit_us = asked_us
        if orders.saw_beam(now, beam_on, asked_us):
            self._account.end()
        off = beam_on is False and not orders.beam_ordered
        if off and self._stop.shown_off(asked_us):
            orders.off_answered(now)

    def _shows_beam(self, state: State) -> bool | None:
        """None: the generator may be about to make one, or does not know."""
        if state is State.EXPOSING:
            return True
        if state in (State.EXPOSURE_REQUESTED, State.INVALID):
            return None
        return None if self._orders.beam_awaited and state in _ON_ITS_WAY else False

    def _took_exposure(self, now: Now, answer: Answer) -> None:
        """Of START: STOP never comes this way."""
        self._status_stale = True
        if answer.result_code == OK:
            self._orders.acked_us = now.t_us
            return
        self._orders.refusal = result_words("exposure", answer.result_code)
        if self._orders.beam_ordered:
            self._orders.set(now, refused=True)

    def _took_message(self, now: Now, answer: Answer) -> None:
        if self._rx.take(answer):
            self._status_stale = self._status_stale or answer.question is RX_DISABLE
        elif answer.question == self._messages.next_clear():
            self._messages.cleared()

    def _took_messages(self, now: Now, answer: Answer) -> None:
        self._messages.answered()
        self._status_stale = True  # its answer ends the list

    def _took_post(self, now: Now, answer: Answer) -> None:
        if not self._account.tries_count:
            return
        self._status_stale = True  # if it must be asked again, then at the status' pace
        post = self._account.take(answer, self._hello.last_post)
        if post is None:
            return
        self.post_exposure = self._hello.last_post = post
        self._orders.set(
            now, kv=post.kv, ma=post.ma, monitor_taken_us=self._account.lit_us,
            beam_mas=post.mas, beam_ms=post.ms, account_taken_us=answer.asked_us,
        )  # fmt: skip

    def _took_battery(self, now: Now, answer: Answer) -> None:
        self._battery_refused = answer.result_code != OK
        self._orders.set(now, battery_pct=read_battery(answer.data))

    def _took_activate(self, now: Now, answer: Answer) -> None:
        self._status_stale = True
        if answer.question is DEACTIVATE and answer.result_code != OK:
            self._orders.refusal = result_words("deactivate", answer.result_code)

    def _took_step(self, now: Now, answer: Answer) -> None:
        if is_forgotten(answer.question.name, answer.result_code):
            self._go_offline(now)  # who is it now? (SR-50)
            self._orders.refusal = result_words(answer.question.name, answer.result_code)
        elif not self._plan.take(answer):
            self._status_stale = True
        elif self._plan.active:
            self._orders.confirm(now)

    _TAKERS = {  # noqa: RUF012 (a constant)
        "status": _took_status,
        "exposure": _took_exposure,
        "message": _took_message,
        "messages": _took_messages,
        "post_exposure": _took_post,
        "activate": _took_activate,
        "battery": _took_battery,
    }

    # the link

    def _lost_one(self, now: Now) -> None:
        self._status_stale = True
        self._plan.start_over()
        self._orders.lost_reply(now)
        if self._silence.offline:
            self._forget()  # nobody has ever answered: connect again

    def _watch_link(self, now: Now) -> None:
        if self._silence.lost(now, port_down=bool(self._exchange.down)):
            self._go_offline(now)

    def _go_offline(self, now: Now) -> None:
        self._silence.offline = True
        self._forget()
        self._plan = Preparation()
        self._orders.lost_device(now)
        self._orders.set(now, battery_pct=None)

    def _forget(self) -> None:
        """Whoever answers next may be another device, or the same one after a power cycle."""
        self._exchange.start_anew()
        self._hello, self._messages = Hello(), Messages()
        self.status = None
        self._silence.forget()
        self._stop, self._rx, self._account = Stop(), RxKey(), Account()
        self._orders.off_wanted, self._orders.acked_us = True, None
        self._status_stale = True
        self._service_tool = False
        self._battery_asked_us = None
        self._battery_refused = False

    # what is shown

    def _is_ready(self) -> bool:
        return self._says_ready() and not self._faults()

    def _says_ready(self) -> bool:
        """In its status, and of our procedure."""
        shown = self.status
        mine = shown is not None and shown.procedure_id == PROCEDURE_ID
        return mine and shown is not None and shown.state is State.READY

    def _faults(self) -> list[tuple[str, str]]:
        """(code of hal.faults, words) of all that keeps the beam off."""
        found = [(message_fault(m), message_words(m)) for m in self._messages.inhibiting]
        state = self.status.state if self.status is not None else None
        explained = bool(found) and state is State.ERROR  # by its messages
        if state in STATE_FAULTS and not explained:
            found.append((STATE_FAULTS[state], f"state {state.value} {state.name}"))
        if self._service_tool:
            found.append(("GENERATOR_FAULT", "the service tool (node 9) is connected"))
        own = (self._hello.failed, self._rx.refused, self._plan.failed, self._account.otherwise)
        return found + [each for each in own if each is not None]

    def _show(self, now: Now) -> None:
        orders, faults = self._orders, self._faults()
        told = [message_words(m) for m in self._messages.others]
        words = (self._exchange.down or "", orders.refusal, *(w for _, w in faults), *told)
        raw = "; ".join(word for word in words if word)
        codes = tuple(dict.fromkeys(code for code, _ in faults))
        offline = self._silence.offline or not self._hello.connected
        ready = orders.spent or self._says_ready()
        state = orders.state(offline=offline, faulty=bool(faults), ready=ready)
        orders.set(now, state=state, faults=codes, raw_faults=raw)
