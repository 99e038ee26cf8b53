"""What a bench file says of warm-up, conditioning, battery and flats, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rig.bench import bench_of
from rig.bench_names import bench_path
from rig.exit_codes import ConfigError

TEXT = bench_path("portable").read_text(encoding="utf-8")
MINE = Path("mine.toml")


def mistakes(old: str, new: str) -> list[str]:
    assert old in TEXT
    with pytest.raises(ConfigError) as caught:
        bench_of(TEXT.replace(old, new), MINE)
    return [message.split(": ", 1)[1] for message in caught.value.messages]


def without(section: str) -> str:
    before, _, rest = TEXT.partition(f"[{section}]")
    return before + rest[rest.index("\n[") + 1 :]


@pytest.mark.parametrize("section", ["warmup", "conditioning", "battery"])
def test_a_bench_may_go_without(section: str) -> None:
    assert getattr(bench_of(without(section), MINE).unit, section) is None


def test_a_bench_without_a_calibration_section_has_the_defaults() -> None:
    assert bench_of(without("calibration"), MINE).unit.calibration.flats == 16


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("deferred_kv_max = 90.0", "deferred_kv_max = 190.0",
         ["warmup.deferred_kv_max: 190 is outside the tube's 30 to 120 kV"]),
        ("deferred_ma_max = 0.5", "deferred_ma_max = 5.0",
         ["warmup.deferred_ma_max: 5 is outside the tube's 0.2 to 1 mA"]),
        ("kv_to = 120.0", "kv_to = 35.0",
         ["conditioning.kv_to: 35 must not be below kv_from, which is 40"]),
        ("on_s = 15.0", "on_s = 45.0",
         ["warmup.on_s: 45 s is longer than the tube's longest beam without a receptor, "
          "20 s (tube.time_max_no_receptor_ms)"]),
        ("[[72, 5], [720, 10]", "[[720, 5], [72, 10]",
         ["warmup.minutes: rows must be [idle from, h; minutes], hours rising, none negative"]),
        ("kv = [40.0, 50.0", "kv = [50.0, 40.0", ["warmup.kv: kv must rise: the lowest first"]),
        ("stays_warm_h", "stay_warm_h",
         ["warmup.stay_warm_h: unknown key; did you mean 'stays_warm_h'?"]),
        ("flats = 16", "flats = 4",
         ["calibration.flats: 4 is below the limit 16; allowed: 16 to 500"]),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_key_and_what_is_allowed(
    old: str, new: str, told: list[str]
) -> None:
    assert mistakes(old, new) == told
