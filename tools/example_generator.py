"""EXAMPLE: an invented generator, to be replaced line by line with what the manual says.

**Synthetic**: no such device exists. It is a monoblock on 9600 8N1 that speaks lines of text,
`:` text CR. A set command is echoed, a query answered by its own word and values; nothing has
a checksum. Name here the document, its revision and section, and what it leaves open.

What shapes this driver:
- A flipped digit shows in the echo of a set command (compared before `confirmed`), and *can't*
  be seen in a status, which is believed until the next one.
- A late status looks like the next one, so after a time-out nothing counts before `ALIVE` has
  been answered.
- START is answered when the ramp is over, or at once where it is refused: from its answer on the
  controller expects the ordered kV and mA. A STOP that overtakes it takes its answer.
- TIME ends a beam and comes first: VOLT and CURR meet no longer time of earlier. START waits
  for all echoes.
- The device ends a beam alone when it hears nothing for WATCH seconds: set to 2 before each beam.
- It has no mAs mode: for `mas` the caller adds up the status and orders OFF, and TIME is the
  back-up.
"""

from __future__ import annotations

from dataclasses import replace

from hal.exchange import Answer, Exchange
from hal.generators._orders import Orders
from hal.generators._silence import SILENCE_US, Silence
from hal.generators._steps import Steps
from hal.line_codec import Ended, Line, LineCodec, Number, Row, Word
from hal.now import Now
from hal.ports import ByteLink, Direction, GeneratorCapabilities, Kind
from hal.types import GeneratorSample, Outputs, Technique

SOURCE = "none: an invented device; name the maker's document here"
VERIFIED = "synthetic example, never checked against a device"
DRIVES_BEAM = True
LINE = "9600 8N1"

# --- 1 the table: one row per line of the manual ------------------------------------------------

TO, FROM = Direction.TO_DEVICE, Direction.FROM_DEVICE
RANGES = {"kv": (30.0, 120.0, "kV"), "ma": (0.2, 10.0, "mA"), "ms": (1.0, 60_000.0, "ms")}
WATCHDOG_S = 2
BEAM_WORDS = {"0": "X-ray off", "1": "X-ray on"}
PAIR_WORDS = {"0": "interlock open", "1": "interlock closed"}
FAULTS = (  # bit 0 first: the device's own name, our code (hal/faults.py), does it end the beam
    ("over_voltage", "OVER_VOLTAGE", True),
    ("over_current", "OVER_CURRENT", True),
    ("over_temperature", "OVER_TEMPERATURE", True),
    ("arc", "ARC", False),
)

_S = "synthetic: invented for this example"
_KV = Number(unit="kV", per_unit=10, digits=4, high=120)
_MA = Number(unit="mA", per_unit=1000, digits=5, high=10)
_MS = Number(unit="ms", digits=5, low=1, high=60_000)
_SECONDS = Number(unit="s", digits=2, low=1, high=10)
_BITS = Number(digits=3, high=255, bits=tuple(name for name, _, _ in FAULTS))
_STATUS = (Word(words=BEAM_WORDS), Word(words=PAIR_WORDS), _BITS, _KV, _MA)

# name of the command, its line, kind, values; its echo is the same line
_SETTINGS = (
    ("voltage", "VOLT{}", Kind.SET, (_KV,)),
    ("current", "CURR{}", Kind.SET, (_MA,)),
    ("exposure time", "TIME{}", Kind.SET, (_MS,)),
    ("watchdog", "WATCH{}", Kind.ACT, (_SECONDS,)),
    ("clear faults", "CLEAR", Kind.ACT, ()),
    ("start", "START", Kind.BEAM, ()),
    ("stop", "STOP", Kind.STOP, ()),
    ("alive", "ALIVE", Kind.QUERY, ()),
)
_ROWS = [
    Row(name="status?", form="STATE", kind=Kind.QUERY, source=_S),
    Row(
        name="status", form="STATE{} {} {} {} {}", kind=Kind.REPLY,
        values=_STATUS, to=("status?",), source=_S,
    ),
    Row(name="identity?", form="IDENT", kind=Kind.QUERY, source=_S),
    Row(
        name="identity", form="IDENT {}", kind=Kind.REPLY,
        values=(Word(),), to=("identity?",), source=_S,
    ),
    Row(name="refused", form="REFUSED", kind=Kind.REPLY, to=("start",), source=_S),
]  # fmt: skip
for _name, _form, _kind, _values in _SETTINGS:
    _to = (_name, "start") if _name == "stop" else (_name,)
    _ROWS.append(Row(name=_name, form=_form, kind=_kind, values=_values, source=_S))
    _ROWS.append(
        Row(
            name=f"echo: {_name}", form=_form, kind=Kind.REPLY,
            values=_values, to=_to, source=_S,
        )
    )  # fmt: skip

_FRAMING = Ended(start=b":", end=b"\r")
CODEC = LineCodec(_ROWS, commands=_FRAMING, replies=_FRAMING)
COMMANDS = CODEC.rows
listener = CODEC.listener

# --- 2 bytes both ways --------------------------------------------------------------------------


def question(name: str, *values: float | str) -> Line:
    return Line(row=CODEC.row(TO, name), values=values)


class Wire:
    """The unit's end: a reply counts only where its row names the question (`to`)."""

    def encode(self, question: Line) -> bytes:
        return CODEC.encode(question.row, *question.values)

    def decode(self, question: Line, buffer: bytearray) -> Line | None:
        text = CODEC.take(FROM, buffer)
        return None if text is None else CODEC.read(FROM, text, question.row.name)


ON, OFF = question("start"), question("stop")
STATUS, IDENTITY = question("status?"), question("identity?")
CLEAR, ALIVE = question("clear faults"), question("alive")

# --- 3 what it can do ---------------------------------------------------------------------------

REPLY_US = 50_000  # the longest that the manual allows
RAMP_US = 500_000  # START -> within tolerance, worst case
FALL_US = 20_000
LONGEST_BYTES = 40  # a question and its reply
SCAN_US = 5_000  # a reply is seen, and the next question asked, at the next scan
TIME_STEP_MS = 1
MAS_DECIMALS = 3  # the unit's own step: the wire has no mAs


def exchange_us(baud: int, asked: Line | None = None) -> int:
    """The longest permitted question and reply, at ten bits a character."""
    ramp_us = RAMP_US if asked == ON else 0
    return LONGEST_BYTES * 10_000_000 // baud + REPLY_US + ramp_us


def capabilities(baud: int, status_poll_us: int) -> GeneratorCapabilities:
    longest_us = exchange_us(baud)
    phases = dict.fromkeys(("standby", "prepare", "beam"), longest_us)
    return GeneratorCapabilities(
        drives_beam=True,
        has_own_timer=True,
        has_mas_mode=False,
        has_rotor=False,
        has_aec=False,
        has_readback=False,
        watchdog_us=WATCHDOG_S * 1_000_000,
        off_latency_us=longest_us,
        off_typical_us=longest_us - REPLY_US,
        kv_rise_us=RAMP_US,
        kv_fall_us=FALL_US,
        longest_exchange_us=phases | {"start": exchange_us(baud, ON)},
        status_age_us=2 * longest_us + status_poll_us + 2 * SCAN_US,
        time_step_ms=TIME_STEP_MS,
    )


def device_time_ms(technique: Technique) -> int:
    """What TIME is set to: the planned time in whole steps, plus the ramp where mAs end it."""
    steps = -(-round(technique.planned_ms * 1000) // (TIME_STEP_MS * 1000))
    return steps * TIME_STEP_MS + (RAMP_US // 1000 if technique.mas is not None else 0)


def effective(technique: Technique) -> Technique:
    """The technique in this device's steps. Raises ValueError with field, range and value."""
    problems = technique.problems()
    if problems:
        raise ValueError("; ".join(problems))
    if technique.aec is not None:
        raise ValueError("aec: this generator ends no beam by chambers; use mas, or ma with ms")
    mas = None if technique.mas is None else round(technique.mas, MAS_DECIMALS)
    if mas == 0:
        raise ValueError(f"mas must be at least {10**-MAS_DECIMALS:g} mAs, got {technique.mas!r}")
    wanted = replace(technique, kv=round(technique.kv, 1), ma=round(technique.ma, 3), mas=mas)
    time_ms = device_time_ms(wanted)
    for name, value in (("kv", wanted.kv), ("ma", wanted.ma), ("ms", time_ms)):
        least, most, unit = RANGES[name]
        if not least <= value <= most:
            asked = "mas" if name == "ms" and technique.mas is not None else name
            raise ValueError(f"{asked} makes {value:g} {unit}, must be {least:g}-{most:g} {unit}")
    return wanted if wanted.ms is None else replace(wanted, ms=float(time_ms))


def preparation(technique: Technique) -> list[Line]:
    """What must be echoed as it was sent before START may leave."""
    return [
        question("watchdog", WATCHDOG_S),
        question("exposure time", device_time_ms(technique)),
        question("voltage", technique.kv),
        question("current", technique.ma),
    ]


# --- 4 the driver -------------------------------------------------------------------------------


class Driver:
    """Levels in, samples out: each scan it sends what is missing between ordered and confirmed."""

    def __init__(
        self,
        link: ByteLink,
        *,
        dialect: str = "",  # a bench file has it; this device has only one
        baud: int = 9600,
        status_poll_us: int = 20_000,
        monitor_poll_us: int = 100_000,  # the status holds kV and mA: nothing else to ask for
        standby_poll_us: int = 500_000,
    ) -> None:
        self.capabilities = capabilities(baud, status_poll_us)
        self._exchange: Exchange[Line, Line] = Exchange(
            link, Wire(), timeout_us=exchange_us(baud), resync_question=ALIVE
        )
        self._baud = baud
        self._status_poll_us, self._standby_poll_us = status_poll_us, standby_poll_us
        self._status_asked_us: int | None = None
        self._orders = Orders()
        self._silence = Silence()
        self._steps: Steps[Line] = Steps()
        self._fault_bits = 0

    @property
    def sample(self) -> GeneratorSample:
        return self._orders.sample

    def effective(self, technique: Technique) -> Technique:
        return effective(technique)

    def maximum_mas(self, technique: Technique) -> float:
        return technique.ma * device_time_ms(technique) / 1000

    def read(self, now: Now) -> GeneratorSample:
        lost_count = self._exchange.timeouts_count
        answer = self._exchange.read(now)
        if answer is not None:
            self._take(now, answer)
        elif self._exchange.timeouts_count != lost_count:
            self._orders.lost_reply(now)
        self._watch_link(now)
        self._show(now)
        return self.sample

    def write(self, now: Now, outputs: Outputs) -> None:
        orders = self._orders
        if orders.follow_technique(now, outputs.technique):
            self._steps = Steps()
        orders.follow_beam(now, outputs.expose_from_us)
        orders.follow_clear(outputs.clear_faults_from_us)
        if orders.off_due:
            self._exchange.preempt(now, OFF)
        self._exchange.settle(now)
        if self._exchange.free:
            self._ask(now, self._next(now))
        waiting_for = self._exchange.waiting_for
        if waiting_for is not None:
            self._silence.owed(now, self._patience_us(waiting_for))
        self._show(now)

    # what is asked next

    def _next(self, now: Now) -> Line | None:
        orders = self._orders
        if orders.on_open:
            return orders.start(now, ON, look=STATUS)  # nothing else may take the line now
        if self.sample.beam_on is not False:
            return self._status(now, self._status_poll_us)
        if orders.clear_due:
            return CLEAR
        if self.sample.identity is None:
            return IDENTITY
        if orders.technique is None:
            return self._status(now, self._standby_poll_us)
        return self._next_step(orders.technique) or self._status(now, self._status_poll_us)

    def _status(self, now: Now, period_us: int) -> Line | None:
        asked_us = self._status_asked_us
        return STATUS if asked_us is None or now.reached(asked_us + period_us) else None

    def _next_step(self, technique: Technique) -> Line | None:
        if self._orders.prepared or self._orders.beam_ordered:
            return None
        return self._steps.next(lambda: preparation(effective(technique)))

    def _ask(self, now: Now, question: Line | None) -> None:
        if question is None:
            return
        if question == STATUS:
            self._status_asked_us = now.t_us
        self._exchange.ask(now, question, exchange_us(self._baud, question))

    # what is answered

    def _take(self, now: Now, answer: Answer[Line, Line]) -> None:
        self._silence.answered()
        self._orders.set(now, taken_us=answer.asked_us)
        asked = answer.question
        if asked == STATUS:
            self._took_status(now, answer)
        elif asked == ON:
            self._took_on(now, answer)
        elif asked == OFF:
            self._orders.off_answered(now)
        elif asked == IDENTITY:
            self._orders.set(now, identity=str(answer.reply.values[0]))
        elif asked == CLEAR:
            self._orders.cleared()
        elif asked == self._steps.first:
            self._took_step(now, asked, answer.reply)

    def _took_status(self, now: Now, answer: Answer[Line, Line]) -> None:
        beam, pair, bits, kv, ma = answer.reply.values
        is_on, asked_us = beam == "1", answer.asked_us
        self._fault_bits = int(bits)
        self._orders.saw_beam(now, is_on, asked_us)
        self._orders.set(now, interlock_closed=pair == "1", interlock_taken_us=asked_us)
        if is_on and self.sample.on_answered_us is not None:
            self._orders.set(now, kv=float(kv), ma=float(ma), monitor_taken_us=asked_us)

    def _took_on(self, now: Now, answer: Answer[Line, Line]) -> None:
        reply = answer.reply.row.name
        if reply == "refused":
            self._orders.refuse(now)
        elif reply == "echo: start":
            self._orders.accept(now, beam_on=True, beam_taken_us=answer.asked_us)

    def _took_step(self, now: Now, asked: Line, reply: Line) -> None:
        differs = reply.values != asked.values
        if self._steps.took(f"{asked.text} was answered {reply.text}" if differs else ""):
            self._orders.confirm(now)

    # the link

    def _patience_us(self, asked: Line) -> int:
        if asked == ON:
            return exchange_us(self._baud, ON) + self.capabilities.status_age_us
        return self.capabilities.status_age_us if self._orders.in_beam else SILENCE_US

    def _watch_link(self, now: Now) -> None:
        if self._silence.lost(now, port_down=bool(self._exchange.down)):
            self._steps = Steps()
            self._orders.lost_device(now)
            self._orders.set(now, identity=None)

    # what is shown

    def _show(self, now: Now) -> None:
        bits = [row for bit, row in enumerate(FAULTS) if self._fault_bits >> bit & 1]
        codes = dict.fromkeys(code for _, code, _ in bits)
        if self._fault_bits >> len(FAULTS):
            codes["GENERATOR_UNKNOWN"] = None
        failed = self._steps.failed
        if failed:
            codes["GENERATOR_FAULT"] = None
        named = f"fault bits {self._fault_bits}" if self._fault_bits else ""
        raw = "; ".join(word for word in (self._exchange.down or "", failed, named) if word)
        faulty = bool(failed) or self._shuts_down()
        state = self._orders.state(offline=self._silence.offline, faulty=faulty)
        self._orders.set(now, state=state, faults=tuple(codes), raw_faults=raw)

    def _shuts_down(self) -> bool:
        """A bit that the table does not have counts as one that does."""
        harmless = sum(1 << bit for bit, row in enumerate(FAULTS) if not row[2])
        return bool(self._fault_bits & ~harmless)
