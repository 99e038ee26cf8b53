"""What a person types, as the bytes of one command; what may leave is decided elsewhere.

Words are the device's own: mnemonics of the IXS, entries of R2CP and its set-points, commands of a
Spellman by name or number, "inputs" and "coils" of an I/O module. `hex 02 4d 4f 4e 0d` is
understood for every driver that has a listener.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module

from firmware_py.config import UnitConfig
from hal.ports import Direction
from hal.room_io.mapped_table import DEFAULTS
from rig.exit_codes import UsageError


def bytes_of(unit: UnitConfig, link: str, text: str) -> bytes:
    """Raises UsageError for what the driver's table does not know."""
    head, _, rest = text.strip().partition(" ")
    if head.lower() == "hex":
        return _hex(rest)
    driver = unit.generator.driver if link == "generator" else unit.room.driver
    encode = _ENCODERS.get(driver)
    return encode(unit, head, rest.strip()) if encode else _line(driver, link, text.strip())


def _line(driver: str, link: str, text: str) -> bytes:
    """A device that speaks in lines: as it stands on the line, framed by its codec."""
    folder = "generators" if link == "generator" else "room_io"
    codec = getattr(import_module(f"hal.{folder}.{driver}"), "CODEC", None)
    if codec is None:
        raise UsageError(f"{driver}: no words are known for it here; type its bytes: hex 02 ...")
    try:
        return bytes(codec.frame(Direction.TO_DEVICE, text))
    except (ValueError, UnicodeEncodeError) as error:
        raise UsageError(f"{text!r}: {error}") from error


def _hex(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError as error:
        raise UsageError(f"hex {text}: {error}") from error
    if not data:
        raise UsageError("hex: no bytes; write them as hex 02 4d 4f 4e 0d")
    return data


def _ixs(unit: UnitConfig, name: str, argument: str) -> bytes:
    """MON; VP0800 as on the wire; VP 80 in the command's unit."""
    from hal.generators.vj_ixs_wire import COMMANDS, frame, parse_command, question
    from hal.ports import WireError

    name = name.upper()
    try:
        if argument and name in COMMANDS:
            return frame(question(name, float(argument)).text)
        return frame(parse_command(name + argument).text)
    except WireError as error:
        raise UsageError(f"{error}; {_near(name, COMMANDS)}") from error
    except ValueError as error:
        raise UsageError(str(error)) from error


def _r2cp(unit: UnitConfig, name: str, argument: str) -> bytes:
    """A word of `r2cp_words`; else status, databank 1, node 6: a GET of an entry."""
    from hal.generators.r2cp_wire import ENTRIES, GET, Node, Question, encode
    from rig.service.r2cp_words import WORDS, word_bytes

    if (said := word_bytes(unit, name.lower(), argument)) is not None:
        return said
    name, argument = ((argument or name), "") if name.lower() == "get" else (name, argument)
    name, _, number = name.partition(" ")
    entry = ENTRIES.get(name.lower())
    if entry is None:
        raise UsageError(f"{name!r} is no entry; {_near(name.lower(), [*WORDS, *ENTRIES])}")
    number = number or argument
    try:
        data = bytes((int(number),)) if number else b""
        node = Node.HUB if entry.name == "node" else Node.GENERATOR
        return encode(Question(entry.name, GET, data, node).framed(1))
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from error


def _spellman(unit: UnitConfig, name: str, argument: str) -> bytes:
    """status; set_kv 80; 22: a command of the bench's model by name or number, in its units."""
    from hal.generators.spellman_framing import Dsp
    from hal.generators.spellman_opcodes import Scale
    from hal.generators.spellman_tables import MODELS

    options = unit.generator.wire_options()
    model = MODELS[str(options["model"])]
    row = model.by_number.get(int(name)) if name.isdigit() else model.by_name.get(name.lower())
    if row is None:
        raise UsageError(f"a {model.name} has no {name!r}; {_near(name.lower(), model.by_name)}")
    scale = Scale(kv=unit.generator.full_scale_kv or 0.0, ma=unit.generator.full_scale_ma or 0.0)
    try:
        values = [float(text) for text in argument.split()]
        question = model.question(row.name, *values, scale=scale)
    except ValueError as error:
        raise UsageError(f"{row.name}: {error}") from error
    return Dsp(options["checksum"]).frame(question.text)  # type: ignore[arg-type]


def _modbus(unit: UnitConfig, name: str, argument: str) -> bytes:
    """inputs; coils: all that the module's map has."""
    from hal.modbus import ReadCoils, RtuClientCodec, TcpClientCodec
    from hal.room_io import speaks_rtu
    from hal.room_io.mapped import ask_inputs
    from hal.room_io.mapped_table import map_name, module_map

    module = module_map(map_name(unit.room.driver, unit.room.map))
    ask_coils = ReadCoils(address=module.outputs.address, count=module.outputs.count)
    questions = {"inputs": ask_inputs(module.inputs), "coils": ask_coils}
    words = f"{name} {argument}".lower().removeprefix("read ").strip()
    if words not in questions:
        raise UsageError(f"{name!r}: write inputs or coils; outputs are `dxrig io test`'s")
    codec = RtuClientCodec if speaks_rtu(unit.room.url) else TcpClientCodec
    return codec(device_id=unit.room.device_id or module.device_id).encode(questions[words])


def _near(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    names = list(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(names)}"


_ENCODERS: dict[str, Callable[[UnitConfig, str, str], bytes]] = {
    "vj_ixs": _ixs,
    "r2cp": _r2cp,
    "spellman": _spellman,
    **dict.fromkeys(DEFAULTS, _modbus),
}
