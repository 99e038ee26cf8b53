"""What one field of a bench file can't say alone: fields that must fit each other.

Each check is skipped while a field that it needs is itself wrong, so that nothing is
told twice and everything else is still told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from pydantic import BaseModel

from hal.detectors.aed_panel import TRIGGERED as AED_LINE
from hal.generators.spellman_tables import CODEC_ONLY_MODELS, NAMES
from hal.handshakes import HANDSHAKES, TO_PANEL, Handshake
from rig.bench_names import DRIVER_FOLDERS, drivers
from rig.config_errors import Mistake, section_model, shown, suggestion
from rig.toml_lines import Path

OBSERVED = "manual"  # hal/generators/manual.py
FOLDER = "folder"  # hal/detectors/folder.py
LINES = "line_panel"  # hal/detectors/line_panel.py
AED = "aed_panel"  # hal/detectors/aed_panel.py
BY_FOLDER = (FOLDER, LINES, AED)  # their images come that way
WINDOW_MARGIN_MS = 200  # SR-10: window >= planned time + 200 ms
EIGHT_BITS = ("r2cp", "genix3d")  # binary frames: no 7-bit line carries them
_SERIAL = re.compile(r"/dev/\S+|COM\d+|(socket|rfc2217|loop|spy|hwgrep)://\S*")
_TCP = re.compile(r"tcp://(\[[0-9a-fA-F:]+\]|[\w.-]+):(\d{1,5})")
_IPC = re.compile(r"ipc://\S+")
_ENDPOINTS = (
    ("generator", "url", (_SERIAL, _TCP), "/dev/ttyUSB0"),
    ("room", "url", (_TCP, _SERIAL), "tcp://192.168.1.12:502"),
    ("panel", "control_url", (_TCP, _IPC), "tcp://192.168.1.13:9001"),
    ("panel", "data_url", (_TCP, _IPC), "tcp://192.168.1.13:9002"),
    ("collimator", "url", (_SERIAL, _TCP), "/dev/ttyUSB1"),
    ("dap", "url", (_SERIAL, _TCP), "/dev/ttyUSB2"),
)


class Values:
    """The values of a file where they are sound, defaults included; None where they are not."""

    def __init__(self, data: Mapping[str, Any], model: type[BaseModel], wrong: set[Path]) -> None:
        self._data = data
        self._model = model
        self._wrong = wrong

    def number(self, section: str, key: str) -> float | None:
        value = self._value(section, key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if is_number else None

    def text(self, section: str, key: str) -> str | None:
        value = self._value(section, key)
        return value if isinstance(value, str) else None

    def words(self, section: str, key: str) -> tuple[str, ...] | None:
        value = self._value(section, key)
        return tuple(value) if isinstance(value, list | tuple) else None

    def given(self, section: str, key: str | None = None) -> bool:
        """It stands in the file, sound or not."""
        table = self._data.get(section)
        return table is not None if key is None else isinstance(table, Mapping) and key in table

    def rows(self, section: str, key: str) -> list[tuple[float, float]] | None:
        value = self._value(section, key)
        return [(row[0], row[1]) for row in value] if isinstance(value, list) else None

    def table(self, section: str, key: str) -> Mapping[str, Any] | None:
        value = self._value(section, key)
        return value if isinstance(value, Mapping) else None

    def _value(self, section: str, key: str) -> Any:
        if any(path[:2] in ((section,), (section, key)) for path in self._wrong):
            return None
        table = self._data.get(section, {})
        if key in table:
            return table[key]
        field = self._model.model_fields[section]
        if section not in self._data and field.default is None:
            return None  # a section that a bench may go without
        model = section_model(field)
        assert model is not None
        return model.model_fields[key].default


def cross_checks(values: Values) -> list[Mistake]:
    return [mistake for check in _CHECKS for mistake in check(values)]


def _ordered(values: Values) -> Iterator[Mistake]:
    for low, high in (("kv_min", "kv_max"), ("ma_min", "ma_max"), ("time_min_ms", "time_max_ms")):
        least, most = values.number("tube", low), values.number("tube", high)
        if least is not None and most is not None and not least < most:
            text = f"{most:g} must be above {low}, which is {least:g}"
            yield Mistake(path=("tube", high), text=text)


def _power(values: Values) -> Iterator[Mistake]:
    kv, ma = values.number("tube", "kv_min"), values.number("tube", "ma_min")
    power_w = values.number("tube", "power_max_w")
    if kv is None or ma is None or power_w is None:
        return
    if kv * ma > power_w:
        text = f"{power_w:g} allows no exposure: kv_min x ma_min is {kv * ma:g} W"
        yield Mistake(path=("tube", "power_max_w"), text=text)


def _window(values: Values) -> Iterator[Mistake]:
    window_ms, time_ms = values.number("panel", "window_ms"), values.number("tube", "time_max_ms")
    if window_ms is None or time_ms is None or window_ms >= time_ms + WINDOW_MARGIN_MS:
        return
    text = (
        f"{window_ms:g} is too short for tube.time_max_ms = {time_ms:g}; "
        f"allowed: at least {time_ms + WINDOW_MARGIN_MS:g} (the time and {WINDOW_MARGIN_MS} ms)"
    )
    yield Mistake(path=("panel", "window_ms"), text=text)


def _field_fits(values: Values) -> Iterator[Mistake]:
    pitch_mm = values.number("panel", "pitch_mm")
    for field, count in (("field_rows_mm", "rows_px"), ("field_columns_mm", "columns_px")):
        size_mm, pixels = values.number("geometry", field), values.number("panel", count)
        if size_mm is None or pixels is None or pitch_mm is None or size_mm <= pixels * pitch_mm:
            continue
        text = f"{size_mm:g} is larger than the panel; allowed: at most {pixels * pitch_mm:g}"
        yield Mistake(path=("geometry", field), text=text)


def _driver_exists(values: Values) -> Iterator[Mistake]:
    for section, folder in DRIVER_FOLDERS.items():
        name, known = values.text(section, "driver"), drivers(section)
        if name is not None and name not in known:
            text = f"no driver {shown(name)} in hal/{folder}; {suggestion(name, known)}"
            yield Mistake(path=(section, "driver"), text=text)


def _models(values: Values) -> Iterator[Mistake]:
    """One driver speaks for several models; their opcodes and full scales differ."""
    driver, model = values.text("generator", "driver"), values.text("generator", "model")
    if driver is None:
        return
    if driver != "spellman":
        if model is not None:
            yield Mistake(path=("generator", "model"), text=f"{driver} has no models")
        return
    if model is None:
        text = f"is missing: spellman speaks for {', '.join(NAMES)}"
        yield Mistake(path=("generator", "model"), text=text)
    elif model not in NAMES:
        text = f"no Spellman {shown(model)}; {suggestion(model, NAMES)}"
        yield Mistake(path=("generator", "model"), text=text)
    elif model in CODEC_ONLY_MODELS:
        text = f"a Spellman {model} can't expose: not all of its ON, OFF and status is public"
        yield Mistake(path=("generator", "model"), text=text)
    yield from _full_scale(values)


def _full_scale(values: Values) -> Iterator[Mistake]:
    for key, top, unit in (("full_scale_kv", "kv_max", "kV"), ("full_scale_ma", "ma_max", "mA")):
        full, most = values.number("generator", key), values.number("tube", top)
        if full is None:
            text = f"is missing: the {unit} of 4095 counts, as the unit itself has them"
            yield Mistake(path=("generator", key), text=text)
        elif most is not None and most > full:
            text = f"{most:g} is above the generator's full scale, {full:g} {unit}"
            yield Mistake(path=("tube", top), text=text)


def _observed(values: Values) -> bool:
    """Its generator is somebody else's: watched, never commanded, and dxrig is in no chain."""
    return values.text("generator", "driver") == OBSERVED


def _observe(values: Values) -> Iterator[Mistake]:
    is_given = values.text("observe", "beam_contact") is not None
    if _observed(values) is is_given:
        return
    if is_given:
        text = f'is for driver = "{OBSERVED}" only: any other generator is commanded'
    else:
        text = f'is missing: driver = "{OBSERVED}" needs the contact that shows a beam'
    yield Mistake(path=("observe",), text=text)


def _folder(values: Values) -> Iterator[Mistake]:
    """A panel that can't be asked for its window: only beams of others are imaged with it."""
    driver, given = values.text("panel", "driver"), values.text("folder", "form")
    is_folder = driver == FOLDER
    if is_folder and not _observed(values):
        text = f'"{FOLDER}" has no control: a beam is only imaged with it, generator "{OBSERVED}"'
        yield Mistake(path=("panel", "driver"), text=text)
    elif driver in BY_FOLDER and not values.given("folder"):
        text = f'is missing: driver = "{driver}" needs path, form and corrected'
        yield Mistake(path=("folder",), text=text)
    elif values.given("folder") and driver not in BY_FOLDER:
        yield Mistake(path=("folder",), text=f"is for panel.driver = {' or '.join(BY_FOLDER)} only")
    if given == "dicom":
        for key in ("byte_order", "header_bytes"):
            if values.given("folder", key):
                text = 'is for form = "raw"; a DICOM file says it itself'
                yield Mistake(path=("folder", key), text=text)
    path = values.text("folder", "path")
    if path == "sim" and values.text("bench", "rung") == "bench":
        text = '"sim" is no folder; rung = "bench" needs one, such as "/srv/panel"'
        yield Mistake(path=("folder", "path"), text=text)


def _lines(values: Values) -> Iterator[Mistake]:
    """Every line of the maker's table has a channel, and no two lines of one direction the same."""
    lines, driver = values.table("panel", "lines"), values.text("panel", "driver")
    if (driver in (LINES, AED)) is not values.given("panel", "lines"):
        what = "is missing" if driver in (LINES, AED) else "is for these only"
        text = f'{what}: driver = "{LINES}" or "{AED}" needs handshake and channels'
        yield Mistake(path=("panel", "lines"), text=text)
        return
    if lines is None:
        return
    named = lines.get("handshake")
    detects = driver == AED
    known = [name for name, table in HANDSHAKES.items() if table.is_automatic is detects]
    if named not in known:
        text = f"no such table for {driver}: {shown(named)}; {suggestion(str(named), known)}"
        yield Mistake(path=("panel", "lines", "handshake"), text=text)
        return
    table = HANDSHAKES[str(named)]
    yield from _times(table, lines)
    ours = {AED_LINE: False} if detects else {n: s in TO_PANEL for s, n in table.lines.items()}
    channels = lines.get("channels")
    if isinstance(channels, Mapping):
        yield from _channels(ours, channels)


def _times(table: Handshake, lines: Mapping[str, object]) -> Iterator[Mistake]:
    """What the document does not give, the bench must."""
    needed = (
        ("grant_ms", table.grant_us is None and not table.is_automatic),
        ("arm_ms", table.arm_us is None and table.is_automatic),
        ("recover_ms", table.recover_us is None and table.is_automatic),
    )
    for key, is_needed in needed:
        if is_needed and lines.get(key) is None:
            text = f"is missing: {table.source} gives no such time"
            yield Mistake(path=("panel", "lines", key), text=text)


def _channels(lines: Mapping[str, bool], channels: Mapping[str, object]) -> Iterator[Mistake]:
    """`lines`: by name, whether it leads to the panel."""
    for name in lines:
        if name not in channels:
            text = f"{name} is missing: each line needs its channel"
            yield Mistake(path=("panel", "lines", "channels"), text=text)
    taken: dict[tuple[bool | None, object], str] = {}
    for name, channel in channels.items():
        if name not in lines:
            text = f"is no line of this table; {suggestion(name, list(lines))}"
            yield Mistake(path=("panel", "lines", "channels", name), text=text)
        other = taken.setdefault((lines.get(name), channel), name)
        if other != name:
            text = f"{channel} is {other}'s channel already"
            yield Mistake(path=("panel", "lines", "channels", name), text=text)


def _endpoints(values: Values) -> Iterator[Mistake]:
    rung = values.text("bench", "rung")
    for section, key, patterns, example in _ENDPOINTS:
        url = values.text(section, key)
        if key == "data_url" and values.text("panel", "driver") in (LINES, AED):
            if url is not None and url != "none":
                text = f'{shown(url)}: the images come by [folder]; write "none"'
                yield Mistake(path=(section, key), text=text)
            continue
        if _observed(values) and section != "room":
            if url is not None and url != "none":
                text = f'{shown(url)}: driver = "{OBSERVED}" speaks to no {section}; write "none"'
                yield Mistake(path=(section, key), text=text)
            continue
        if url == "sim" and rung == "bench":
            text = f'"sim" is no device; rung = "bench" needs one, such as "{example}"'
            yield Mistake(path=(section, key), text=text)
        elif url is not None and url != "sim" and not _is_endpoint(url, patterns):
            text = f'{shown(url)} is no known address; write "sim" or such as "{example}"'
            yield Mistake(path=(section, key), text=text)


def _line_form(values: Values) -> Iterator[Mistake]:
    line, driver = values.text("generator", "line"), values.text("generator", "driver")
    if line is None:
        return
    if line.startswith("7") and driver in EIGHT_BITS:
        text = (
            f"{shown(line)}: {driver} sends bytes above 127; allowed: 8N1, 8E1, 8O1, 8N2, 8E2, 8O2"
        )
        yield Mistake(path=("generator", "line"), text=text)
    if (values.text("generator", "url") or "").startswith("tcp://"):
        text = f"{shown(line)}: a tcp:// connection has no parity; leave it out"
        yield Mistake(path=("generator", "line"), text=text)


def _is_endpoint(url: str, patterns: tuple[re.Pattern[str], ...]) -> bool:
    if _TCP in patterns and (tcp := _TCP.fullmatch(url)):
        return 1 <= int(tcp.group(2)) <= 65535
    return any(pattern.fullmatch(url) for pattern in patterns if pattern is not _TCP)


def _wired(values: Values) -> Iterator[Mistake]:
    """Door, e-stop, stage 2 and enable relay end the beam without us (design.md section 4)."""
    pair, relay = values.words("wiring", "interlock_pair"), values.words("wiring", "safety_relay")
    if pair is None or relay is None or _observed(values):
        return
    wired = {*pair, *(relay if "safety_relay" in pair else ())}
    for contact in ("door", "estop", "stage_2", "enable"):
        if contact not in wired:
            text = f'"{contact}" is missing: it must open the generator\'s interlock by wire'
            yield Mistake(path=("wiring", "interlock_pair"), text=text)


def _routines(values: Values) -> Iterator[Mistake]:
    """What warm-up, conditioning and flats ask of the tube, the tube can give."""
    for section, key in (
        ("warmup", "cold_kv_max"),
        ("warmup", "deferred_kv_max"),
        ("conditioning", "kv_from"),
        ("conditioning", "kv_to"),
        ("calibration", "kv"),
    ):
        yield from _within(values, section, key, "kv_min", "kv_max", "kV")
    for section, key in (("warmup", "ma"), ("warmup", "deferred_ma_max"), ("conditioning", "ma")):
        yield from _within(values, section, key, "ma_min", "ma_max", "mA")
    kv_from = values.number("conditioning", "kv_from")
    kv_to = values.number("conditioning", "kv_to")
    if kv_from is not None and kv_to is not None and not kv_from <= kv_to:
        text = f"{kv_to:g} must not be below kv_from, which is {kv_from:g}"
        yield Mistake(path=("conditioning", "kv_to"), text=text)
    for section in ("warmup", "conditioning"):
        yield from _beam_time(values, section)


FOCUS_DRIVERS = ("r2cp",)  # hal/generators: whose wire carries the focal spot


def _focus(values: Values) -> Iterator[Mistake]:
    focus, driver = values.text("generator", "focus"), values.text("generator", "driver")
    if focus is None or driver is None:
        return
    if driver in drivers("generator") and driver not in FOCUS_DRIVERS:
        text = f"{driver} can't be told a focal spot; only {', '.join(FOCUS_DRIVERS)} can"
        yield Mistake(path=("generator", "focus"), text=text)
        return
    for key in ("focal_spot_small_mm", "power_small_max_w"):
        if focus == "small" and values.number("tube", key) is None:
            text = f'"small" needs tube.{key}'
            yield Mistake(path=("generator", "focus"), text=text)


BATTERY_DRIVERS = ("r2cp",)  # hal/generators: whose wire carries the battery's level


def _battery(values: Values) -> Iterator[Mistake]:
    driver = values.text("generator", "driver")
    asked = values.number("generator", "battery_poll_ms") is not None
    if asked and driver in drivers("generator") and driver not in BATTERY_DRIVERS:
        text = f"{driver} tells no level of a battery; only {', '.join(BATTERY_DRIVERS)} does"
        yield Mistake(path=("generator", "battery_poll_ms"), text=text)


def _receptor(values: Values) -> Iterator[Mistake]:
    """The panel stands where there is a place for it, at a distance that this place has."""
    place, sid_mm = values.text("geometry", "receptor"), values.number("geometry", "sid_mm")
    if place is None:
        return
    receptor = values.table("receptors", place)
    if receptor is None:
        if place != "free":
            text = f'"{place}" needs the section [receptors.{place}]'
            yield Mistake(path=("geometry", "receptor"), text=text)
        return
    least_mm, most_mm = receptor.get("sid_mm_min"), receptor.get("sid_mm_max")
    if not (_is_number(sid_mm) and _is_number(least_mm) and _is_number(most_mm)):
        return
    if not least_mm <= sid_mm <= most_mm:
        text = f"{sid_mm:g} is outside {least_mm:g} to {most_mm:g}, receptors.{place}"
        yield Mistake(path=("geometry", "sid_mm"), text=text)


def _sensed(values: Values) -> Iterator[Mistake]:
    """Whose word the distance is: a collimator that tells it is believed, and needs to be there."""
    sid, driver = values.text("geometry", "sid"), values.text("collimator", "driver")
    if sid == "sensed" and driver is None:
        yield Mistake(path=("geometry", "sid"), text='"sensed" needs the section [collimator]')
    elif sid == "entered" and driver is not None:
        text = '"entered", but [collimator] tells the distance: write "sensed"'
        yield Mistake(path=("geometry", "sid"), text=text)


def _dap_rows(values: Values) -> Iterator[Mistake]:
    """Its output is known at every kV that the tube makes."""
    rows = values.rows("dap", "output_ugy_per_mas")
    least, most = values.number("tube", "kv_min"), values.number("tube", "kv_max")
    if not rows or least is None or most is None or rows[0][0] <= least <= most <= rows[-1][0]:
        return
    text = f"its kV must reach from the tube's {least:g} to {most:g}"
    yield Mistake(path=("dap", "output_ugy_per_mas"), text=text)


def _grids(values: Values) -> Iterator[Mistake]:
    """A grid has all its figures, or there is none."""
    for place in ("free", "table", "wall"):
        receptor = values.table("receptors", place) or {}
        given = [key for key in GRID if receptor.get(key) is not None]
        for key in GRID:
            if given and key not in given:
                text = f"a grid needs {key} beside {given[0]}"
                yield Mistake(path=("receptors", place, given[0]), text=text)


GRID = ("grid_ratio", "grid_lines_per_cm", "grid_focus_mm")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _typical(values: Values) -> Iterator[Mistake]:
    """The tube can make the shot, and scenarios with it."""
    wrong = list(_within(values, "typical", "kv", "kv_min", "kv_max", "kV"))
    for key in ("ma", "story_ma"):
        wrong += _within(values, "typical", key, "ma_min", "ma_max", "mA")
    yield from wrong or (*_typical_power(values), *_typical_time(values))


def _typical_power(values: Values) -> Iterator[Mistake]:
    small = values.text("generator", "focus") == "small"
    power_w = values.number("tube", "power_small_max_w" if small else "power_max_w")
    kv = values.number("typical", "kv")
    for key in ("ma", "story_ma"):
        ma = values.number("typical", key)
        if kv and ma and power_w and kv * ma > power_w and not [*_power(values)]:
            text = f"{kv:g} kV x {ma:g} mA is above the tube's {power_w:g} W"
            yield Mistake(path=("typical", key), text=text)


def _typical_time(values: Values) -> Iterator[Mistake]:
    ma, mas = values.number("typical", "ma"), values.number("typical", "mas")
    least_ms, most_ms = values.number("tube", "time_min_ms"), values.number("tube", "time_max_ms")
    if not ma or not mas or least_ms is None or most_ms is None:
        return
    if not least_ms <= 1000 * mas / ma <= most_ms:
        text = (
            f"{mas:g} mAs take {1000 * mas / ma:g} ms at {ma:g} mA, outside the tube's "
            f"{least_ms:g} to {most_ms:g} ms"
        )
        yield Mistake(path=("typical", "mas"), text=text)


def _within(
    values: Values, section: str, key: str, low: str, high: str, unit: str
) -> Iterator[Mistake]:
    value = values.number(section, key)
    least, most = values.number("tube", low), values.number("tube", high)
    if value is None or least is None or most is None or least > most:
        return
    if least <= value <= most:
        return
    text = f"{value:g} is outside the tube's {least:g} to {most:g} {unit}"
    yield Mistake(path=(section, key), text=text)


def _beam_time(values: Values, section: str) -> Iterator[Mistake]:
    on_s, most_ms = values.number(section, "on_s"), values.number("tube", "time_max_no_receptor_ms")
    most_ms = values.number("tube", "time_max_ms") if most_ms is None else most_ms
    if on_s is None or most_ms is None or on_s * 1000 <= most_ms:
        return
    text = (
        f"{on_s:g} s is longer than the tube's longest beam without a receptor, "
        f"{most_ms / 1000:g} s (tube.time_max_no_receptor_ms)"
    )
    yield Mistake(path=(section, "on_s"), text=text)


def _supply(values: Values) -> Iterator[Mistake]:
    """What a simulated generator runs on, beside what the unit is told of its battery."""
    supply, driver = values.text("sim", "supply"), values.text("generator", "driver")
    if supply is None or driver is None:
        return
    path = ("sim", "supply")
    if driver != "r2cp":
        yield Mistake(path=path, text=f"{driver} has a supply of its own: only r2cp is asked")
    elif (supply == "battery") != values.given("battery"):
        text = (
            "needs a section [battery]" if supply == "battery" else "leaves no [battery]: drop one"
        )
        yield Mistake(path=path, text=f"{shown(supply)} {text}")


_CHECKS = (
    _ordered, _power, _window, _field_fits, _driver_exists, _models, _endpoints,
    _line_form, _observe, _folder, _lines, _wired, _routines, _typical, _focus, _battery,
    _receptor, _sensed, _dap_rows, _grids, _supply,
)  # fmt: skip
