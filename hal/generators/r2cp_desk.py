"""The device's side of R2CP: hub and generator node behind one TCP port. Physics is the model's.

The reference knows the host's side only, so *all that this desk does beyond its bytes is synthetic*
and unverified against a device. Chosen, where nothing is said:
- Each SET and GET gets MSG_PROCESSED; an ANSWER leaves just before it (4.2 says that the host only
  works so), or behind it with `answer_last`.
- Activating a procedure of activation 0 starts rotor and filament: Preparation, and Ready when the
  model's rotor is at speed, or after `prep_us` where the model has none. Byte 1 = 0 ends it and
  brakes the rotor. An activation also forgets an interlock pair that a release has opened.
- START is honoured in Ready, with no inhibiting message active, 500074 among them; else it is 202.
- STOP is answered OK in every state. Setting 500074 in the beam ends it, too.
- The exposure-switch bit is the interlock pair of the model. After the beam the state is Standby,
  or with `wait_release` WaitFootRelease until that switch is open.
- What the model calls a fault bit is a system message 900000 + n that inhibits RX, and state Error;
  clearing any of them asks the model to clear its faults. An arc and cold oil are only told, until
  they have tripped.
- Silence of the application for `lifetime_us` ends the beam (the timeout of 0x00/5 has no known
  value). The hub asks for a heart-beat each second; nothing follows from a missing one.
- 1-point: the model's chambers end the beam; the back-up is the databank's mAs at its mA, or its
  ms. What the model has not is refused with 6 (chambers), 14 (sensitivity) or 15 (density). The end
  code stays 0 however it ended. 0-point is refused with 6: nothing here finds a kV.
- The X-ray battery's level (0x12/1) is the generator's to tell, one byte, percent; on mains: 203.
- 2-point: the model counts its mAs and ends the beam by them; the databank's ms are the back-up.
- kV of the post-exposure is the beam's mean and mAs the model's own count, ms that of X-ray-on
  time, mA the mAs over the ms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hal.generators.r2cp_layouts import (
    EXPOSURE_SWITCH,
    PREP_SWITCH,
    Databank,
    Message,
    Points,
    PostExposure,
    State,
    Status,
    battery_bytes,
    databank_bytes,
    message_bytes,
    post_bytes,
    read_databank,
    read_message,
    read_procedure,
    status_bytes,
)
from hal.generators.r2cp_ratings import aec_choice
from hal.generators.r2cp_results import (
    ALREADY_CREATED,
    NO_ACCESS,
    OK,
    TOKEN_HELD,
    UNSUPPORTED,
    WRONG_STATE,
    is_our_own,
)
from hal.generators.r2cp_wire import (
    ANSWER,
    ENTRIES,
    GET,
    PROCESSED,
    SEQUENCE_MAX,
    SET,
    Frame,
    Function,
    Node,
    encode,
    frames_of,
)
from hal.now import NEVER_US, Now, latest_us
from hal.ports import GeneratorModel, WireError

HEARTBEAT_US = 1_000_000
MESSAGE_BASE_ID = 900_000
# The model's names for what a generator reports; its place here makes the number.
BITS = (
    "over_voltage", "power_limit", "over_current", "arc", "over_temperature", "anode_over_voltage",
    "cathode_over_voltage", "regulation", "battery_low", "under_temperature",
)  # fmt: skip
_AEC_CODES = {"chambers": UNSUPPORTED, "sensitivity": 14, "density": 15}  # 4.6
_WARNS = frozenset(("arc", "under_temperature"))  # and nothing else, until one trips
LIMITS = {  # 4.5; the result code that says which one was left (4.6)
    "kv": (20.0, 150.0, 7), "mas": (0.01, 16_777.215, 8), "ma": (1.0, 1000.0, 9),
    "ms": (1.0, 20_000.0, 10), "integration_ms_max": (1, 20_000, 11),
    "integration_ms_min": (1, 20_000, 19), "frames_hz": (0.0, 120.0, 18),
}  # fmt: skip


_COUNTED = (Points.ONE, Points.TWO)  # mAs end them; the others' are mA x ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    at_us: int
    data: bytes


class Desk:
    """`holder_node` and its neighbours are faults of a device; each does nothing at its default."""

    def __init__(
        self,
        model: GeneratorModel,
        *,
        reply_us: int = 3_000,
        prep_us: int = 1_500_000,
        lifetime_us: int = 2_000_000,
        answer_last: bool = False,
        wait_release: bool = False,
    ) -> None:
        """`reply_us`: question complete -> its answer; the host waits for 1 s."""
        self._model = model
        self._reply_us, self._prep_us = reply_us, prep_us
        self._answer_last, self._wait_release = answer_last, wait_release
        self._sequence_index = 0
        self._power_up()
        self._post = PostExposure(
            exposure_count=0, procedure_id=0, sequence_number=0, kv=0.0, ma=0.0, ms=0.0, mas=0.0
        )
        self.holder_node = Node.BROADCAST  # another node that holds the token: all is 201
        self.results: dict[str, int] = {}  # entry: what its SET is answered, without doing it
        self.changed: dict[str, float] = {}  # fields of a databank that it makes otherwise
        self.state_stuck: State | None = None  # shown whatever is so
        self.deaf_to = ""  # this entry gets no answer and does nothing
        self.generator_there = True  # the hub's word for node 6
        model.set_watchdog(0, on=True, limit_us=lifetime_us)

    def _power_up(self) -> None:
        """Nothing is defined, loaded, active or still to be said."""
        self._buffer = bytearray()
        self._due: list[Due] = []
        self._databanks: dict[int, Databank] = {}
        self._procedures: set[int] = set()
        self._assigned: dict[int, int] = {}  # procedure: databank
        self._active_id = 0
        self._prep_from_us: int | None = None
        self._messages: dict[tuple[int, int], Message] = {}
        self._beat_us: int | None = None
        self._lit_s: float | None = None  # in a beam: the X-ray-on seconds before it
        self._used: dict[str, int] = {}  # focus and AEC bytes of the beam
        self._held = False  # WaitFootRelease

    def receive(self, now: Now, data: bytes) -> None:
        self._follow(now)
        self._buffer += data
        for frame in frames_of(self._buffer):
            if frame.issuer == Node.APPLICATION:
                self._model.command_seen(now.t_us)
                self._obey(now, frame)
        self._follow(now)

    def poll(self, now: Now) -> bytes:
        if now.t_us == NEVER_US:  # the supply went or came (sim/device.py)
            self._power_up()
            return b""
        self._follow(now)
        if self._beat_us is not None and now.reached(self._beat_us):
            self._beat_us = now.t_us + HEARTBEAT_US
            now.wake(self._beat_us)
            self._say(now, "heartbeat", GET, bytes((Node.APPLICATION, 0x5A)), issuer=Node.HUB)
        leaving = [due for due in self._due if now.reached(due.at_us)]
        self._due = [due for due in self._due if due not in leaving]
        return b"".join(due.data for due in leaving)

    def connection(self, now: Now, node: Node, *, there: bool) -> None:
        """The hub tells that a node came or went."""
        self.generator_there = there if node is Node.GENERATOR else self.generator_there
        self._say(now, "connection", ANSWER, bytes((node, there)), issuer=Node.HUB)

    def message(self, now: Now, message: Message) -> None:
        """A system message of the generator's, or its end."""
        key = message.node_id, message.message_id
        if message.active:
            self._messages[key] = message
        else:
            self._messages.pop(key, None)
        self._say(now, "message", ANSWER, message_bytes(message))

    # --- what it is doing

    def state(self, now: Now) -> State:
        if self.state_stuck is not None:
            return self.state_stuck
        if self._model.beam_on(now.t_us):
            return State.EXPOSING
        if any(m.inhibits_beam for m in self._messages.values() if not is_our_own(m)):
            return State.ERROR
        if self._held:
            return State.WAIT_RELEASE
        if self._prep_from_us is None:
            return State.STANDBY
        rotor = self._model.rotor
        if rotor is not None:
            ready = rotor.at_speed(now)
        else:
            ready = now.reached(self._prep_from_us + self._prep_us)
        return State.READY if ready and self._model.ready(now) else State.PREPARATION

    def _prepare(self, now: Now, procedure_id: int) -> None:
        self._active_id, self._prep_from_us = procedure_id, now.t_us
        if self._model.rotor is not None:
            self._model.rotor.run_up(now.t_us)

    def _unprepare(self, now: Now) -> None:
        self._active_id, self._prep_from_us = 0, None
        if self._model.rotor is not None:
            self._model.rotor.brake(now.t_us)

    def _follow(self, now: Now) -> None:
        """The beam's end, and what the model reports: both happen without a command."""
        on = self._model.beam_on(now.t_us)
        if self._lit_s is not None and not on:
            self._end(now, self._lit_s)
        closed = self._switch_closed(now)
        self._held = self._held and closed
        self._follow_bits(now)

    def _follow_bits(self, now: Now) -> None:
        bits, tripped = self._model.fault_bits(now.t_us), self._model.tripped(now.t_us)
        for number, bit in enumerate(BITS):
            told = Message(
                node_id=int(Node.GENERATOR),
                message_id=MESSAGE_BASE_ID + number,
                active=bit in bits,
                inhibits_beam=bit not in _WARNS or bit in tripped,
            )
            shown = self._messages.get((told.node_id, told.message_id))
            if shown != (told if told.active else None):
                self.message(now, told)

    def _switch_closed(self, now: Now) -> bool:
        return "interlock_open" not in self._model.fault_bits(now.t_us)

    def _begin(self, now: Now) -> bool:
        databank = self._databanks[self._assigned[self._active_id]]
        if not self._model.start(now.t_us):
            return False
        self._lit_s = self._model.on_time_s()
        self._used = {
            name: getattr(databank, name)
            for name in ("focus_index", "sensitivity_index", "density_index", "chambers_index")
        }
        return True

    def _end(self, now: Now, before_s: float) -> None:
        self._lit_s = None
        ms = 1000 * (self._model.on_time_s() - before_s)
        kv, mas = self._model.account(now.t_us)
        count = self._post.exposure_count % 65_535 + 1
        self._post = PostExposure(
            exposure_count=count, procedure_id=self._active_id, sequence_number=1, kv=kv,
            ma=1000 * mas / ms if ms else 0.0, ms=ms, mas=mas, **self._used,
        )  # fmt: skip
        self._unprepare(now)
        self._held = self._wait_release and self._switch_closed(now)

    # --- what it is told

    def _obey(self, now: Now, frame: Frame) -> None:
        entry = next((e for e in ENTRIES.values() if frame.is_of(e.name)), None)
        name = entry.name if entry is not None else ""
        if name == "connect":
            self._beat_us = now.t_us + HEARTBEAT_US
            now.wake(self._beat_us)
        if frame.function not in (SET, GET) or (name and name == self.deaf_to):
            return
        code, data = self._answer(now, frame, name)
        told = [(ANSWER, data)] if data is not None else []
        told.append((PROCESSED, bytes((frame.sequence_index, code))))
        if self._answer_last:
            told.reverse()
        for function, content in told:
            self._reply(now, frame, function, content)
        if name == "messages" and code == OK:
            for message in list(self._messages.values()):
                self._say(now, "message", ANSWER, message_bytes(message))

    def _answer(self, now: Now, frame: Frame, name: str) -> tuple[int, bytes | None]:
        """Result code, and the data of a GET."""
        if name in ("node", "token"):
            return OK, self._network(frame, name)
        if self.holder_node not in (Node.BROADCAST, Node.APPLICATION):
            return TOKEN_HELD, None
        if frame.function is SET:
            return self.results.get(name) or self._set(now, frame, name), None
        shown = self._shown(now, frame, name)
        return (NO_ACCESS if shown is None and name != "messages" else OK), shown

    def _network(self, frame: Frame, name: str) -> bytes | None:
        if name == "token" or frame.function is not GET:
            return None
        node = frame.data[0]
        there = node == Node.APPLICATION or (node == Node.GENERATOR and self.generator_there)
        return bytes((node, there))

    def _shown(self, now: Now, frame: Frame, name: str) -> bytes | None:
        if name == "status":
            return status_bytes(self._status(now))
        if name == "post_exposure":
            return post_bytes(self._post)
        if name == "databank" and frame.data[0] in self._databanks:
            return databank_bytes(self._databanks[frame.data[0]])
        if name == "battery":
            pct = self._model.battery_pct(now.t_us)
            return None if pct is None else battery_bytes(pct)
        texts = {
            "version": b"\x06\x00A",
            "description": self._model.model_number.encode("ascii"),
            "serial": self._model.serial_number.encode("ascii"),
        }
        return texts.get(name)

    def _status(self, now: Now) -> Status:
        active = bool(self._messages)
        inhibits = any(m.inhibits_beam for m in self._messages.values())
        state = self.state(now)
        prepared = state in (State.PREPARATION, State.READY, State.EXPOSING)
        closed = self._switch_closed(now)
        return Status(
            state_index=state,
            messages_index=active | inhibits << 4,
            procedure_id=self._active_id,
            exposure_index=int(state is State.EXPOSING),
            switches_index=PREP_SWITCH * prepared | EXPOSURE_SWITCH * closed,
            rotor_index=self._rotor_index(now),
        )

    def _rotor_index(self, now: Now) -> int:
        """In 100 rpm: 4.5 has "rotor speed" without a unit."""
        rotor = self._model.rotor
        return 0 if rotor is None else round(rotor.rpm(now.t_us) / 100)

    def _set(self, now: Now, frame: Frame, name: str) -> int:
        try:
            return self._SETS[name](self, now, frame.data) if name in self._SETS else NO_ACCESS
        except WireError:
            return NO_ACCESS

    def _set_version(self, now: Now, data: bytes) -> int:
        return OK

    def _set_databank(self, now: Now, data: bytes) -> int:
        databank = read_databank(data)
        for name, (least, most, code) in LIMITS.items():
            if not least <= getattr(databank, name) <= most:
                return code
        if databank.points_index not in set(Points) - {Points.ZERO}:
            return UNSUPPORTED
        if not _mas(databank) <= self._model.most_mas(databank.kv):
            return LIMITS["mas"][2]
        if databank.points_index == Points.ONE:
            refused = self._model.aec_refused(aec_choice(databank))
            if refused:
                return _AEC_CODES[refused]
        self._databanks[databank.databank_id] = replace(databank, **self.changed)  # type: ignore[arg-type]
        return OK

    def _set_assign(self, now: Now, data: bytes) -> int:
        procedure_id, _index, databank_id = data
        if procedure_id not in self._procedures:
            return 1
        if databank_id not in self._databanks:
            return 5
        self._assigned[procedure_id] = databank_id
        return OK

    def _set_procedure(self, now: Now, data: bytes) -> int:
        procedure = read_procedure(data)
        if procedure.procedure_id in self._procedures:
            return ALREADY_CREATED
        self._procedures.add(procedure.procedure_id)
        return OK

    def _set_activate(self, now: Now, data: bytes) -> int:
        procedure_id, on = data[:2]
        if procedure_id not in self._procedures:
            return 1
        if procedure_id not in self._assigned:
            return 4
        if self.state(now) not in (State.STANDBY, State.PREPARATION, State.READY):
            return WRONG_STATE
        if not on:
            self._unprepare(now)
            return OK
        if self._model.fault_bits(now.t_us) <= {"interlock_open"}:
            self._model.clear_faults(now.t_us)
        self._prepare(now, procedure_id)
        self._take_over(now, self._databanks[self._assigned[procedure_id]])
        return OK

    def _take_over(self, now: Now, databank: Databank) -> None:
        """1- and 2-point: full mA under its cap, until the mAs are reached, or by the chambers."""
        counted = databank.points_index in _COUNTED
        by_chambers = databank.points_index == Points.ONE
        self._model.set_aec(now.t_us, aec_choice(databank) if by_chambers else None)
        self._model.set_focus(now.t_us, small=databank.focus_index == 0)
        self._model.set_kv(now.t_us, databank.kv)
        self._model.set_ma(now.t_us, databank.ma)
        self._model.set_time_us(now.t_us, round(databank.ms * 1000))
        self._model.set_charge_mas(now.t_us, databank.mas if counted else None)

    def _set_exposure(self, now: Now, data: bytes) -> int:
        if data == b"\x00":
            self._model.stop(now.t_us)
            return OK
        if data != b"\x01":
            return 2  # 4.6: value out of range
        inhibited = any(m.inhibits_beam for m in self._messages.values())
        if inhibited or self.state(now) is not State.READY:
            return WRONG_STATE
        return OK if self._begin(now) else WRONG_STATE

    def _set_message(self, now: Now, data: bytes) -> int:
        message = read_message(data)
        key = message.node_id, message.message_id
        if message.active:
            self._messages[key] = message
            if message.inhibits_beam:
                self._model.stop(now.t_us)
        elif self._messages.pop(key, None) is not None and not is_our_own(message):
            self._model.clear_faults(now.t_us)
            self._say(now, "message", ANSWER, message_bytes(message))
        return OK

    _SETS = {  # noqa: RUF012 (a constant)
        "version": _set_version,
        "databank": _set_databank,
        "assign": _set_assign,
        "procedure": _set_procedure,
        "activate": _set_activate,
        "exposure": _set_exposure,
        "message": _set_message,
    }

    # --- what it says

    def _reply(self, now: Now, asked: Frame, function: Function, data: bytes) -> None:
        frame = self._next(asked.target)
        frame = replace(frame, index=asked.index, subindex=asked.subindex)
        self._leave(now, replace(frame, function=function, data=data))

    def _say(
        self,
        now: Now,
        name: str,
        function: Function,
        data: bytes,
        issuer: Node = Node.GENERATOR,
    ) -> None:
        entry = ENTRIES[name]
        frame = replace(self._next(issuer), index=entry.index, subindex=entry.subindex)
        self._leave(now, replace(frame, function=function, data=data))

    def _next(self, issuer: int) -> Frame:
        self._sequence_index = self._sequence_index % SEQUENCE_MAX + 1
        return Frame(sequence_index=self._sequence_index, target=Node.APPLICATION, issuer=issuer,
                     index=0, subindex=0, function=ANSWER)  # fmt: skip

    def _leave(self, now: Now, frame: Frame) -> None:
        at_us = latest_us(now.t_us + self._reply_us, *(due.at_us for due in self._due))
        self._due.append(Due(at_us=at_us, data=encode(frame)))
        now.wake(at_us)


def _mas(databank: Databank) -> float:
    if databank.points_index in _COUNTED:
        return databank.mas
    return databank.ma * databank.ms / 1000
