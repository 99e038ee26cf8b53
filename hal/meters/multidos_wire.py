"""PTW MULTIDOS telegrams: ASCII lines, one answer a question; no I/O, no time.

Modelled on the public RS232 manual D177.131.2/0 (2003-07): general telegrams page 6, telegrams of
the application Dual Dosemeter pages 9-11. Not checked against an instrument. 8N1, 4800 to 38400
baud, CR LF behind each telegram (page 5; either alone is taken, too), strictly question and answer.

Doubts, unverified on an instrument:
- the block check of a D telegram is a 16-bit number over the characters before it; how it is made,
  the pages at hand don't say. `checksum` is *synthetic* (the sum of the characters), the driver
  does not rely on it, and takes a dose when two answers say the same.
- the letter behind a measured value ("resolution indicator") is taken as it is.
Not modelled: the other four applications, correction and calibration telegrams, the password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hal.ports import WireError

# --- 1 COMMANDS --------------------------------------------------------------------------------

_GENERAL = "D177.131.2/0 page 6"
_DUAL = "D177.131.2/0 pages 9-11"


@dataclass(frozen=True, slots=True)
class Telegram:
    word: str
    meaning: str
    pattern: str  # of the answer, whole
    source: str


_DATA = (
    r"D(?P<mode>[01]);(?P<elapsed>(?= *\d+\.[05]s).{7}|OL {5})s;(?P<status>[A-Z]{3});"
    r"(?P<flags>\d\d);(?P<over>\d);(?P<latched>\d);(?P<math>\d);"
    r"(?P<one>[^;]{6,14});[^;]{0,2};(?P<other>[^;]{6,14});[^;]{0,2};"
    r"[ -]?[ \d#.-]{6,7};(?P<check>\d{5})"
)
_STATUS = "RES|STA|HLD|INT|RUN|NUL|ERR"
_ROWS = (
    Telegram("PTW", "device information", r"MULTIDOS (\d\.\d\d)(.*)", _GENERAL),
    Telegram("SER", "serial number", r"SER(\w{6})", _GENERAL),
    Telegram("S", "measurement status", rf"S({_STATUS})", _GENERAL),
    Telegram("RES", "reset", r"RES", _GENERAL),
    Telegram("STA", "start", r"STA", _GENERAL),
    Telegram("HLD", "hold", r"HLD", _GENERAL),
    Telegram("INT", "interval", r"INT", _GENERAL),
    Telegram("NUL", "zero; the answer takes 28 s", r"NUL", _GENERAL),
    Telegram("M0", "mode: dose or charge", r"M0", _GENERAL),
    Telegram("M1", "mode: dose rate or current", r"M1", _GENERAL),
    Telegram("DU", "unit of the measured values", r"DU(Gy(?:/s|/min|/h)?|C|A)", _DUAL),
    Telegram("D", "measured values", _DATA, _DUAL),
)
TELEGRAMS = {telegram.word: telegram for telegram in _ROWS}
STATUSES = tuple(_STATUS.split("|"))

ERRORS = {  # _GENERAL, section 5.5
    "E01": "unknown command or illegal parameter",
    "E02": "command in wrong context",
    "E03": "not allowed at the moment: the meter is in a menu",
    "E06": "error during zeroing",
    "E07": "answer could not be sent: transmission buffer full",
    "E09": "error during write to EEPROM",
    "E10": "parameter out of limits",
}
FLAGS = (  # _DUAL, 7.2.2, bit 0 first
    "a channel is overloaded",
    "math error",
    "data acquisition error",
    "high voltage error",
    "a channel was overloaded since the start",
    "high voltage error since the start",
)
END = b"\r\n"
LONGEST_BYTES = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """One D telegram. `values`: of both channels, in the unit that DU says; None: overloaded."""

    mode: int
    elapsed_s: float | None
    status: str
    flags: tuple[str, ...]
    values: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The meter's no."""

    code: str

    @property
    def words(self) -> str:
        return f"{self.code}: {ERRORS[self.code]}"


Reply = str | Data | Refusal

# --- 2 encode and decode, both ways --------------------------------------------------------------


def encode(text: str) -> bytes:
    return text.encode("ascii") + END


def take_line(buffer: bytearray) -> str | None:
    """The next telegram, consumed; None: more bytes are needed. Raises WireError."""
    while buffer and buffer[0] in END:
        del buffer[:1]
    ends = [at for at in (buffer.find(b"\r"), buffer.find(b"\n")) if at >= 0]
    if not ends:
        if len(buffer) > LONGEST_BYTES:
            raise _dropped(buffer, len(buffer), "longer than any telegram")
        return None
    line = bytes(buffer[: min(ends)])
    if not all(0x20 <= byte <= 0x7E for byte in line):
        raise _dropped(buffer, min(ends) + 1, "bytes that are no text")
    del buffer[: min(ends) + 1]
    return line.decode("ascii")


def parse(word: str, line: str) -> Reply:
    """The answer to a telegram. Raises WireError for what can't be one."""
    if line in ERRORS:
        return Refusal(line)
    match = re.fullmatch(TELEGRAMS[word].pattern, line)
    if match is None:
        raise WireError(f"{line!r} is no answer to {word}")
    if word == "D":
        return _data(match)
    return " ".join(group.strip() for group in match.groups()) or match[0]


def _data(match: re.Match[str]) -> Data:
    bits = int(match["flags"])
    if match["status"] not in STATUSES or bits >= 1 << len(FLAGS):
        raise WireError(f"{match[0]!r}: no such status or flags")
    elapsed = match["elapsed"].strip()
    return Data(
        mode=int(match["mode"]),
        elapsed_s=None if elapsed == "OL" else float(elapsed),
        status=match["status"],
        flags=tuple(name for bit, name in enumerate(FLAGS) if bits >> bit & 1),
        values=(_value(match["one"]), _value(match["other"])),
    )


def _value(text: str) -> float | None:
    """`±m.mmmE±ee`, a blank for plus; `+0L` or `-0L` beyond what can be shown."""
    if re.fullmatch(r"[+-]0L *(E[+-]\d\d)?", text):
        return None
    if not re.fullmatch(r" *[+-]? *\d{1,3}(\.\d{1,3})?E[+-]\d\d", text):
        raise WireError(f"{text!r} is no measured value")
    return float(text.replace(" ", ""))


def data_text(data: Data) -> str:
    """The telegram of a Data, as the device sends it; resolution indicator and ratio are blank."""
    bits = sum(1 << bit for bit, name in enumerate(FLAGS) if name in data.flags)
    elapsed = "OL     " if data.elapsed_s is None else f"{data.elapsed_s:7.1f}"
    over = f"{bits & 1};{bits >> 4 & 1};{bits >> 1 & 1}"
    one, other = (_shown(value) for value in data.values)
    text = f"D{data.mode};{elapsed}s;{data.status};{bits:02d};{over};{one}; ;{other}; ; ----.-;"
    return text + f"{checksum(text):05d}"


def _shown(value: float | None) -> str:
    if value is None:
        return "+0L   E+00"
    sign = "-" if value < 0 else " "
    mantissa, _, exponent = f"{abs(value):.3E}".partition("E")
    return f"{sign}{mantissa}E{int(exponent):+03d}"


def checksum(text: str) -> int:
    """Synthetic: how the block check is made is not known."""
    return sum(text.encode("ascii")) & 0xFFFF


def _dropped(buffer: bytearray, count_bytes: int, why: str) -> WireError:
    noise = bytes(buffer[:count_bytes])
    del buffer[:count_bytes]
    return WireError(f"{why}: {noise[:40].hex(' ')}")


class Codec:
    def encode(self, question: str) -> bytes:
        return encode(question)

    def decode(self, question: str, buffer: bytearray) -> Reply | None:
        line = take_line(buffer)
        return None if line is None else parse(question, line)
