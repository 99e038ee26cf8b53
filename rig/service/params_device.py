"""What a device keeps and tells: its name, its settings, its counters; and what may be put back.

Only what the protocol reference documents is asked. A setting that the wire can't read back is
named as such and goes onto the sheet that a person fills in. What switches a protection off is
never written: that is done by hand, by somebody who sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from firmware_py.config import UnitConfig
from hal.ports import Direction, Heard, Kind
from rig.exit_codes import DeviceError, UsageError
from rig.service.phrases import bytes_of
from rig.service.talk import Reply, Talker

WAIT_S = 0.3  # an IXS answers within 100 ms (protocols.md 2.1), the others sooner
Value = int | float | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """`silent`: asked, and not answered; `unread`: settings that the wire can't tell.

    `serial` = "": the wire tells none, and a person reads it off the plate.
    """

    driver: str
    model: str = ""
    serial: str = ""
    firmware: str = ""
    values: Mapping[str, Value] = field(default_factory=dict)
    counters: Mapping[str, Value] = field(default_factory=dict)
    silent: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    hv_on: bool = False  # by its own word; where the driver asks for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """`by_hand`: why it is not written but told."""

    name: str
    now: Value | None
    then: Value
    data: bytes = b""
    by_hand: str = ""


class Asker:
    """Asks by the words of `rig.service.phrases`; what stays silent is noted by its name."""

    def __init__(self, unit: UnitConfig, link: str, talker: Talker) -> None:
        self.unit, self._link, self._talker = unit, link, talker
        self.silent: list[str] = []

    def raw(self, text: str) -> bytes:
        """The bytes of the replies; b"" = silent."""
        reply = self.reply(text)
        found = b"".join(one.raw for one in reply.heard if one.kind is Kind.REPLY)
        if not found:
            self.silent.append(text)
        return found

    def reply(self, text: str) -> Reply:
        data = bytes_of(self.unit, self._link, text)
        return self._talker.ask(data, settings=False, wait_s=WAIT_S)


def read_device(unit: UnitConfig, link: str, talker: Talker) -> Known:
    """Raises DeviceError when nothing answers, UsageError where the driver has no settings here."""
    driver = unit.generator.driver if link == "generator" else unit.room.driver
    reader = _reader(driver)
    if reader is None:
        raise UsageError(f"{driver}: its documents in the reference name no settings to save")
    return reader(Asker(unit, link, talker))


def _reader(driver: str) -> Callable[[Asker], Known] | None:
    from hal.room_io.mapped_table import DEFAULTS
    from rig.service import params_modbus, params_spellman

    others = {"spellman": params_spellman.read, "genix3d": params_modbus.read_genix3d}
    modules = dict.fromkeys(DEFAULTS, params_modbus.read_module)
    return (_READERS | others | modules).get(driver)


def writes(unit: UnitConfig, saved: Mapping[str, Value], now: Known) -> list[Write]:
    """What differs from the file, as commands; by hand where it can't or must not be sent."""
    wanted = [name for name, value in saved.items() if now.values.get(name) != value]
    if now.driver == "spellman":
        from rig.service.params_spellman import write

        return [write(unit, name, now.values.get(name), saved) for name in wanted]
    planner = _WRITERS.get(now.driver, by_hand)
    return [planner(name, now.values.get(name), saved) for name in wanted]


def send(talker: Talker, write: Write) -> Reply:
    frame = Heard(
        t_us=0, direction=Direction.TO_DEVICE, raw=write.data, kind=Kind.SET, text=write.name
    )  # fmt: skip
    return talker.exchange(frame, write.data, WAIT_S)


def by_hand(name: str, now: Value | None, saved: Mapping[str, Value]) -> Write:
    return Write(name=name, now=now, then=saved[name], by_hand="no command for it is documented")


# --- VJ IXS: protocols.md 2.3

_IXS_ASKED = {
    "prewarning_s": "PTST",
    "watchdog_on": "WSTAT",
    "buzzer_on": "BUZZENBLSTAT",
    "temperature_cut_off_on": "CDENSTAT",  # R4 only
}
IXS_UNREAD = (  # and FREV answers 2000 in R3 and R4 alike: it tells no version
"VP tube voltage, kV", "CP tube current, mA", "OT exposure time, s",
              "WDOG watchdog time, s")  # fmt: skip


def _read_ixs(asker: Asker) -> Known:
    from hal.generators.vj_ixs_wire import COMMANDS, parse_reply, take_text

    def asked(name: str) -> Value | None:
        raw = bytearray(asker.raw(name))
        text = take_text(raw) if raw else None
        reply = None if text is None else parse_reply(COMMANDS[name], text)
        return reply if isinstance(reply, int | str) else None

    texts = {name: str(asked(name) or "") for name in ("MNUM", "SNUM", "FREV", "XTM")}
    if not any(texts.values()):
        raise DeviceError(f"{asker.unit.generator.url}: no IXS answers; check power and cable")
    found = {name: asked(command) for name, command in _IXS_ASKED.items()}
    values = {
        name: bool(value) if name.endswith("_on") else value
        for name, value in found.items()
        if value is not None
    }
    hours, _, minutes = texts["XTM"].partition(" ")
    on_min = {"xray_on_min": 60 * int(hours) + int(minutes)} if minutes else {}
    return Known(
        driver="vj_ixs", model=texts["MNUM"], serial=texts["SNUM"],
        firmware=f"FREV {texts['FREV']}", values=values, counters=on_min,
        silent=tuple(asker.silent), unread=IXS_UNREAD,
    )  # fmt: skip


def _write_ixs(name: str, now: Value | None, saved: Mapping[str, Value]) -> Write:
    from hal.generators.vj_ixs_wire import frame, question

    then = saved[name]
    if name.endswith("_on") and then is not True:
        return Write(name=name, now=now, then=then, by_hand="it would switch a protection off")
    commands: dict[str, Callable[[], str]] = {
        "prewarning_s": lambda: question("PTM", float(then)).text,
        "watchdog_on": lambda: "WDOG1",
        "buzzer_on": lambda: "BUZZENBL1",
        "temperature_cut_off_on": lambda: "CDEN1",
    }
    if name not in commands:
        return by_hand(name, now, saved)
    try:
        return Write(name=name, now=now, then=then, data=frame(commands[name]()))
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


# --- R2CP: protocols.md 4.4, 4.5; unverified against a device

DATABANKS = (1, 2, 3)  # the host's: pre-pulse, pulse, skip-pulse


def _read_r2cp(asker: Asker) -> Known:
    from hal.generators.r2cp_layouts import DATABANK, POST_EXPOSURE, unpacked
    from hal.generators.r2cp_wire import ANSWER, frames_of

    def data_of(text: str) -> bytes:
        raw = asker.raw(text)
        frames = frames_of(bytearray(raw))
        data = next((frame.data for frame in frames if frame.function is ANSWER), b"")
        if raw and not data:
            asker.silent.append(f"{text}: refused, the generator has none")
        return data

    def text_of(name: str) -> str:
        return data_of(name).rstrip(b"\0 ").decode("ascii", "replace")

    values: dict[str, Value] = {}
    for number in DATABANKS:
        if data := data_of(f"databank {number}"):
            fields = unpacked(DATABANK, data)
            values |= {f"databank_{number}.{name}": value for name, value in fields.items()}
    post = data_of("post_exposure")
    counters = {"exposure_count": unpacked(POST_EXPOSURE, post)["exposure_count"]} if post else {}
    version = data_of("version")
    if not (version or values or post):
        raise DeviceError(f"{asker.unit.generator.url}: no R2CP generator answers")
    return Known(
        driver="r2cp", model=text_of("description"), serial=text_of("serial"),
        firmware=f"protocol {version[0]}.{version[1]}{version[2:].decode('ascii', 'replace')}"
        if len(version) == 3 else "",
        values=values, counters=counters, silent=tuple(asker.silent),
        unread=("power limits 0x20/132 and 134, switch activation 0x20/148: layouts not stated",),
    )  # fmt: skip


def _write_r2cp(name: str, now: Value | None, saved: Mapping[str, Value]) -> Write:
    """A databank goes as a whole: the write of its first differing field carries all of them."""
    from hal.generators.r2cp_layouts import DATABANK, packed
    from hal.generators.r2cp_wire import SET, Question, encode

    bank, _, _ = name.partition(".")
    fields = {f.name: saved.get(f"{bank}.{f.name}") for f in DATABANK}
    numbers = {n: v for n, v in fields.items() if isinstance(v, int | float)}
    if len(numbers) != len(DATABANK):
        return Write(name=name, now=now, then=saved[name], by_hand="the file lacks a field of it")
    try:
        data = encode(Question("databank", SET, packed(DATABANK, numbers)).framed(1))
    except ValueError as error:
        raise UsageError(f"{bank}: {error}") from error
    return Write(name=name, now=now, then=saved[name], data=data)


_READERS: dict[str, Callable[[Asker], Known]] = {"vj_ixs": _read_ixs, "r2cp": _read_r2cp}
_WRITERS: dict[str, Callable[[str, Value | None, Mapping[str, Value]], Write]] = {
    "vj_ixs": _write_ixs,
    "r2cp": _write_r2cp,
}
