"""The compiled kernel: the very pixels of plain numpy, and never a reason to lose a picture."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from firmware_py.recorder.image import correct as chain
from firmware_py.recorder.image.codes import coded
from firmware_py.recorder.image.correct import Earlier, correct, linear_signal
from firmware_py.recorder.image.maps import PanelSet
from tests.panel_sets import a_set
from tests.peers import require_library
from tests.project import ROOT

SHAPES = [(1, 1), (7, 13), (64, 64), (129, 65), (200, 333)]
BITS = 14


@pytest.fixture
def numba(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kernel is used for frames of any size."""
    found = require_library("numba")
    monkeypatch.setattr(chain, "KERNEL_PX", 1)
    monkeypatch.setattr(chain, "_kernel", None)
    assert chain.warm_up((1, 1))
    return found


def random_set(shape: tuple[int, int], seed: int, **changes: object) -> PanelSet:
    rng = np.random.default_rng(seed)
    facts: dict[str, object] = {
        "offset": rng.normal(300.0, 30.0, shape).astype(np.float32),
        "gain": rng.normal(1.0, 0.05, shape).astype(np.float32),
        "defects": rng.random(shape) < (0.05 if shape[0] * shape[1] > 50 else 0.0),
    }
    return a_set(**(facts | changes))


def random_frame(shape: tuple[int, int], seed: int, bits: int = BITS) -> chain.Pixels:
    """Every value of the ADC, and both its ends a little more often."""
    rng = np.random.default_rng(seed)
    full_scale = (1 << bits) - 1
    return np.clip(
        rng.integers(-full_scale // 8, full_scale + full_scale // 8, shape), 0, full_scale
    ).astype(np.uint16)


def assert_same(raw: chain.Pixels, panel_set: PanelSet, *earlier: Earlier) -> None:
    ours, plain = (correct(raw, panel_set, earlier, fast=fast) for fast in (True, False))
    assert ours.pixels.tobytes() == plain.pixels.tobytes()
    assert ours.saturated.tobytes() == plain.saturated.tobytes()
    assert ours.pixels.dtype == np.uint16
    assert ours.pixels.shape == raw.shape


# --- the same bytes


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("linearity", [(0.0, 0.0), (0.01, 0.0002), (-0.2, 0.05)], ids=str)
@pytest.mark.parametrize("frames_count", [0, 1, 3])
@pytest.mark.usefixtures("numba")
def test_kernel_and_numpy_make_the_same_bytes(
    shape: tuple[int, int], linearity: tuple[float, float], frames_count: int
) -> None:
    panel_set = random_set(shape, 1, linearity=linearity, lag=(0.02, 0.007, 0.004))
    earlier = [
        Earlier(ago, linear_signal(random_frame(shape, ago), panel_set))
        for ago in range(1, frames_count + 1)
    ]
    assert_same(random_frame(shape, 9), panel_set, *earlier)


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.usefixtures("numba")
def test_any_depth_of_the_adc_makes_the_same_bytes(bits: int) -> None:
    assert_same(random_frame((99, 77), 3, bits), random_set((99, 77), 4, bits_stored=bits))


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.usefixtures("numba")
def test_extreme_maps_make_the_same_bytes(scale: float) -> None:
    rng = np.random.default_rng(5)
    panel_set = random_set(
        (60, 90),
        6,
        gain=(scale * 10.0 ** rng.uniform(-3, 3, (60, 90))).astype(np.float32),
        offset=rng.uniform(-40_000, 40_000, (60, 90)).astype(np.float32),
        linearity=(3.0, 3.0),
    )
    assert_same(random_frame((60, 90), 7), panel_set)


@pytest.mark.parametrize("value", [0, 16382, 16383])
@pytest.mark.usefixtures("numba")
def test_a_black_a_bright_and_a_saturated_frame_make_the_same_bytes(value: int) -> None:
    panel_set = random_set((40, 50), 8)
    raw = np.full((40, 50), value, np.uint16)
    assert_same(raw, panel_set)
    saturated = correct(raw, panel_set).saturated
    assert np.array_equal(saturated, ~panel_set.defects & (value == 16383))


@pytest.mark.usefixtures("numba")
def test_halves_are_rounded_to_even_by_both() -> None:
    """Pixels of n + 1/2 exactly: offset in halves, gain one."""
    shape = (64, 64)
    plain = {"gain": np.ones(shape, np.float32), "defects": np.zeros(shape, np.bool_)}
    panel_set = random_set(shape, 1, offset=np.full(shape, 100.5, np.float32), **plain)
    raw = np.arange(101, 101 + 64 * 64, dtype=np.uint16).reshape(shape)
    assert_same(raw, panel_set)
    assert correct(raw, panel_set).pixels[0, :4].tolist() == [32, 34, 34, 36]


@pytest.mark.usefixtures("numba")
def test_a_frame_may_lie_in_memory_as_it_likes() -> None:
    panel_set, raw = random_set((33, 44), 2), random_frame((33, 44), 2)
    wanted = correct(raw, panel_set, fast=False).pixels
    read_only = np.frombuffer(raw.tobytes(), "<u2").reshape(raw.shape)
    unaligned = np.frombuffer(b"x" + raw.tobytes(), "<u2", offset=1).reshape(raw.shape)
    strided = np.repeat(raw, 2, axis=1)[:, ::2]
    for frame in (read_only, unaligned, strided, np.asfortranarray(raw)):
        assert np.array_equal(correct(frame, panel_set).pixels, wanted)


@pytest.mark.usefixtures("numba")
def test_an_earlier_signal_may_lie_in_memory_as_it_likes() -> None:
    panel_set, raw = random_set((33, 44), 2, lag=(0.5,)), random_frame((33, 44), 2)
    signal = linear_signal(raw[::-1].copy(), panel_set)
    wanted = correct(raw, panel_set, [Earlier(1, signal)]).pixels
    for like in (np.asfortranarray(signal), np.repeat(signal, 2, axis=1)[:, ::2]):
        assert np.array_equal(correct(raw, panel_set, [Earlier(1, like)]).pixels, wanted)


@pytest.mark.usefixtures("numba")
def test_a_frame_of_more_bits_than_the_panel_has_is_refused_by_the_kernel_too() -> None:
    raw = np.full((8, 8), 16384, np.uint16)
    with pytest.raises(ValueError, match="the frame has a pixel of 16384: over 14 bits"):
        correct(raw, random_set((8, 8), 1))


def test_a_map_in_16_bits_is_off_by_half_a_step_at_most() -> None:
    values = np.random.default_rng(1).uniform(0.8, 1.3, (50, 50)).astype(np.float32)
    good = np.ones((50, 50), np.bool_)
    good[3, 4] = False
    codes = coded(values, good)
    assert np.argwhere(codes.codes == 0).tolist() == [[3, 4]]
    assert np.abs(codes.values(slice(None)) - values)[good].max() < 0.51 * 0.5 / 65534
    flat = coded(np.full((50, 50), 0.1, np.float32), good)
    assert np.all(flat.values(slice(None))[good] == np.float32(0.1))


# --- when it is used


def test_two_threads_are_the_most(numba: ModuleType) -> None:
    correct(random_frame((64, 64), 1), random_set((64, 64), 1))
    assert numba.get_num_threads() <= 2
    assert numba.config.NUMBA_NUM_THREADS <= 2
    assert numba.threading_layer() == "workqueue"


def said_by(code: str, **environment: str) -> str:
    """What a Python of its own prints, or its error."""
    done = subprocess.run(
        [sys.executable, "-c", PRELUDE + code],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr).strip()


PRELUDE = """
import sys
import numpy as np
from datetime import UTC, datetime
from firmware_py.recorder.image.correct import correct, warm_up
from firmware_py.recorder.image.maps import PanelSet, all_parts
def mean(size):
    at, ones = datetime(2026, 1, 1, tzinfo=UTC), np.ones((size, size), np.float32)
    dates = all_parts(created=at, valid_until=at)
    maps = PanelSet(panel_id="P", unit_serial="U", offset=ones, gain=ones, defects=ones < 0,
                    parts=dates)
    return correct(np.full((size, size), 101, np.uint16), maps).pixels.mean()
"""


def test_nobody_imports_numba_for_small_frames_or_without_asking() -> None:
    code = "print(warm_up((1000, 1000)), mean(1000), mean(1024), 'numba' in sys.modules)"
    assert said_by(code) == "False 132.0 132.0 False"


def test_without_numba_large_frames_are_corrected_all_the_same() -> None:
    code = "sys.modules['numba'] = None; print(warm_up((1024, 1024)), mean(1024))"
    assert said_by(code) == "False 132.0"


def test_a_compiler_that_fails_leaves_the_work_to_numpy() -> None:
    code = """
import types
broken = types.ModuleType("numba")
broken.__getattr__ = lambda name: 1 / 0
sys.modules["numba"] = broken
print(warm_up((1024, 1024)), mean(1024))"""
    assert said_by(code) == "False 132.0"


@pytest.mark.parametrize("has_cache", [True, False])
def test_a_package_that_can_not_be_written_to_has_its_cache_elsewhere_or_none(
    tmp_path: Path, has_cache: bool
) -> None:
    require_library("numba")
    image = tmp_path / "firmware_py/recorder/image"
    shutil.copytree(ROOT / "firmware_py/recorder/image", image, ignore=lambda *_: ["__pycache__"])
    for package in (image.parent.parent, image.parent):  # else an installed dxrig comes first
        (package / "__init__.py").touch()
    (image / "__pycache__").touch()  # a file: not even root can make a folder of it
    home = str(tmp_path / "home") if has_cache else "/dev/null/none"
    code = "print(warm_up((1024, 1024)), mean(1024)); print(__import__('firmware_py').__path__)"
    said = said_by(code, PYTHONPATH=str(tmp_path), XDG_CACHE_HOME=home, PYTHONSAFEPATH="1")
    assert said.splitlines()[0] == "True 132.0"
    assert str(tmp_path) in said
    assert bool(list(tmp_path.rglob("*.nbc"))) is has_cache
