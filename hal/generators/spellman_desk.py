"""The device's side of the Spellman wire, for XRV, uX and uXMAN. Physics is the model's.

Modelled on the same public sources as `spellman.py`, and on the same tables. Where they are silent
this desk chooses, and each choice is *synthetic*:
- commands are answered in their order, `reply_us` after they came; what they do is done at once;
- an unknown opcode and a wrong number of values get no answer, as a wrong checksum does (3.3);
- a value outside its range is answered 1, by the uXMAN over TCP `E#1`; so is an XRV's ON that does
  nothing, whose codes are not public, and a uX's with 2, the uXMAN's `E#2` (interlock);
- ON needs the filament switched on where the model has opcode 70, and remote mode;
- `98,$` comes at once; HV then rises as the model has it. Both interlocks and the internal one are
  the one pair of the model; "supply ready" is shown always;
- pre-warning and watchdog of 27 are 0, its other values plain numbers; 69 and 65 are fixed counts;
- a uX shows interlock and over-voltage once, unasked, and in its list (32) until they are cleared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hal.generators.spellman_framing import Checksum, Dsp
from hal.generators.spellman_opcodes import Does, Field, OutOfRangeError, Question, Scale
from hal.generators.spellman_tables import MODELS, UXMAN, XRV
from hal.now import Now
from hal.ports import GeneratorModel, WireError

# The model's names for what a generator reports -> the flag that shows it.
XRV_FLAGS = {
    "over_voltage": "over_voltage", "anode_over_voltage": "over_voltage",
    "cathode_over_voltage": "over_voltage", "power_limit": "over_power",
    "over_current": "over_current", "arc": "arc_anode", "regulation": "kv_difference",
    "over_temperature": "over_temperature_anode", "battery_low": "ac_line_anode",
    "watchdog": "watchdog",
}  # fmt: skip
UX_FLAGS = {
    "over_voltage": "over_voltage", "anode_over_voltage": "over_voltage",
    "cathode_over_voltage": "over_voltage", "power_limit": "over_power",
    "over_current": "over_power", "arc": "configuration", "regulation": "configuration",
    "over_temperature": "configuration", "battery_low": "supply_24_v_low",
}  # fmt: skip
TOLD_ONCE = frozenset(("interlock_open", "over_voltage"))  # 3.6: afterwards the flag reads 0
NO_FAULT = frozenset(("interlock_open", "under_temperature", "duty_cycle"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    at_us: int
    frame: bytes


class Desk:
    """`wrong_readback` and its neighbours are faults of a device; each does nothing when empty."""

    def __init__(
        self,
        model: GeneratorModel,
        *,
        kind: str = "XRV",
        full_scale_kv: float = 160.0,
        full_scale_ma: float = 30.0,
        checksum: Checksum = "inclusive",
        reply_us: int = 3_000,
    ) -> None:
        """`reply_us`: command complete -> first byte of the reply; pymeasure reads after 150 ms."""
        self._model = model
        self._kind = MODELS[kind]
        self._framing = Dsp(checksum)
        self._scale = Scale(kv=full_scale_kv, ma=full_scale_ma)
        self._reply_us = reply_us
        self._buffer = bytearray()
        self._due: list[Due] = []
        self._was_on = False
        self._told: set[str] = set()  # what an unasked frame has told already
        self.local = False
        self.prewarning_count = 0  # what 27 shows
        self.deaf_to = ""  # this command gets no answer and does nothing
        self.wrong_readback = ""  # "kv" or "ma": it is set and shown two counts off
        self.status_stuck: bool | None = None  # HV as the status shows it, whatever is so
        self._power_up()

    def _power_up(self) -> None:
        self._counts: dict[str, tuple[int, ...]] = {
            row.name: tuple(0 for _ in row.sends)
            for row in self._kind.opcodes
            if row.does is Does.SET
        }

    def receive(self, now: Now, data: bytes) -> None:
        self._buffer += data
        while self._buffer:
            try:
                text = self._framing.take(self._buffer)
                if text is None:
                    return
                self._obey(now, self._kind.read(text))
            except OutOfRangeError:
                assert text is not None
                self._refuse(now, int(text[:2]), "1")
            except WireError:
                continue

    def poll(self, now: Now) -> bytes:
        self._tell_unasked(now)
        leaving = [due for due in self._due if now.reached(due.at_us)]
        self._due = [due for due in self._due if due not in leaving]
        return b"".join(due.frame for due in leaving)

    # what it is told

    def _obey(self, now: Now, asked: Question) -> None:
        opcode = asked.opcode
        if opcode.name == self.deaf_to:
            return
        self._model.command_seen(now.t_us)
        if opcode.name == "hv":
            self._switch(now, on=asked.counts == (1,))
        elif opcode.does is Does.ASK:
            self._reply(now, opcode.number, *self._shown(opcode.name, now.t_us))
        else:
            self._set(now.t_us, asked)
            self._reply(now, opcode.number, "$")

    def _switch(self, now: Now, *, on: bool) -> None:
        number = self._kind.by_name["hv"].number
        if not on:
            self._model.stop(now.t_us)
        elif not self._may_start() or not self._model.start(now.t_us):
            self._refuse(now, number, "1" if self._kind is XRV else "2")
            return
        self._was_on = self._model.beam_on(now.t_us)
        self._reply(now, number, "$")

    def _may_start(self) -> bool:
        heated = "filament" not in self._counts or self._counts["filament"] == (1,)
        return heated and not self.local

    def _set(self, t_us: int, asked: Question) -> None:
        name, counts = asked.opcode.name, asked.counts
        if asked.opcode.does is Does.SET:
            self._counts[name] = counts
        if name == "set_kv":
            self._model.set_kv(t_us, asked.opcode.sends[0].value(counts[0], self._scale))
        elif name == "set_ma":
            self._model.set_ma(t_us, asked.opcode.sends[0].value(counts[0], self._scale))
        elif name == "clear":
            self._told.clear()
            self._model.clear_faults(t_us)

    # what it shows

    def _shown(self, name: str, t_us: int) -> tuple[object, ...]:
        if name.startswith("get_"):
            return self._read_back(name.removeprefix("get_"))
        if name in self._FLAGS:
            raised = self._FLAGS[name](self, t_us)
            return tuple(int(made.name in raised) for made in self._kind.by_name[name].answers)
        return self._SHOW[name](self, t_us)

    def _read_back(self, name: str) -> tuple[object, ...]:
        counts = self._counts[f"set_{name}"]
        return tuple(count + 2 for count in counts) if name == self.wrong_readback else counts

    def _status(self, t_us: int) -> set[str]:
        bits, on = self._model.fault_bits(t_us), self._model.beam_on(t_us)
        on = on if self.status_stuck is None else self.status_stuck
        raised = {"hv_on"} if on else set()
        raised |= {"fault"} if bits - NO_FAULT - self._told else set()
        if "interlock_open" in bits:
            return raised | {"interlock_open", "ready"}
        closed = {"interlock_1_closed", "interlock_2_closed", "internal_closed", "ready"}
        return raised | closed | self._modes()

    def _modes(self) -> set[str]:
        raised = {"local"} if self.local else set()
        return raised | ({"filament_on"} if self._counts.get("filament") == (1,) else set())

    def _faults(self, t_us: int) -> set[str]:
        bits = self._model.fault_bits(t_us)
        if self._kind is XRV:
            return {XRV_FLAGS[bit] for bit in bits if bit in XRV_FLAGS}
        raised = {UX_FLAGS[bit] for bit in bits if bit in UX_FLAGS}
        raised |= {"hv_on"} if self._model.beam_on(t_us) else set()
        return raised | ({"interlock_open"} if "interlock_open" in bits else set())

    def _monitor(self, t_us: int) -> tuple[object, ...]:
        reading = self._model.reading(t_us)
        values = {"kv": reading.kv, "ma": reading.ma, "filament": reading.filament_a * 1000}
        fields = self._kind.by_name["monitor"].answers
        return tuple(self._count(made, values.get(made.name, 0.0)) for made in fields)

    def _count(self, made: Field, value: float) -> int:
        """What leaves the converter's range shows its end."""
        top = made.value(made.most_count, self._scale)
        return made.count(max(0.0, min(top, value)), self._scale)

    def _configuration(self) -> tuple[object, ...]:
        full = (round(self._scale.kv), round(self._scale.ma))
        return (0, 110, 0, 0, self.prewarning_count, 0, 0, 0, 0, *full, 0)

    # what it says

    def _refuse(self, now: Now, number: int, code: str) -> None:
        if self._kind is UXMAN and self._framing.checksum == "none":
            self._send(now, f"E#{code}".encode("ascii"))  # 3.4: no STX, no ETX
        else:
            self._reply(now, number, code)

    def _reply(self, now: Now, number: int, *values: object) -> None:
        self._send(now, self._framing.frame(",".join((f"{number:02d}", *map(str, values), ""))))

    def _send(self, now: Now, frame: bytes) -> None:
        at_us = max([now.t_us + self._reply_us, *(due.at_us for due in self._due)])
        self._due.append(Due(at_us=at_us, frame=frame))
        now.wake(at_us)

    def _tell_unasked(self, now: Now) -> None:
        """3.6: once, when the interlock opens while HV is on, or on over-voltage."""
        was_on, self._was_on = self._was_on, self._model.beam_on(now.t_us)
        if self._kind is XRV or not was_on or self._was_on:
            return
        bits = self._model.fault_bits(now.t_us) & TOLD_ONCE
        if bits:
            self._told |= bits
            self._reply(now, 22, 0, int("interlock_open" in bits), 1)

    _FLAGS: dict[str, Callable[[Desk, int], set[str]]] = {  # noqa: RUF012 (a constant)
        "status": _status,
        "faults": _faults,
    }
    _SHOW: dict[str, Callable[[Desk, int], tuple[object, ...]]] = {  # noqa: RUF012 (a constant)
        "monitor": _monitor,
        "kv_now": lambda desk, t_us: desk._monitor(t_us)[:1],
        "identity": lambda desk, _t_us: (desk._model.model_number, desk._model.serial_number),
        "model": lambda desk, _t_us: (desk._model.model_number,),
        "fpga": lambda _desk, _t_us: ("SWM00199-001", 3261),  # pymeasure's example
        "scaling": lambda desk, _t_us: (f"{desk._scale.kv:g}", f"{desk._scale.ma:g}", 0),
        "configuration": lambda desk, _t_us: desk._configuration(),
        "hours": lambda desk, _t_us: (f"{desk._model.on_time_s() / 3600:.2f}",),
        "power_limits": lambda desk, _t_us: (*desk._counts["set_power_limits"], 0, 0, 0, 0),
        "supply_minus_15_v": lambda _desk, _t_us: (1768,),  # pymeasure's example, as in 69:
        "voltages": lambda _desk, _t_us: (507, 0, 0, 0, 2596, 2850, 2596, 2850, 3510, 2601),
    }
