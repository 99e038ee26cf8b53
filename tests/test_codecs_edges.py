"""Edges of the codecs that their own files' tests leave open."""

from __future__ import annotations

import pytest

from hal.generators import vj_ixs_ratings
from hal.generators.vj_ixs_ratings import effective
from hal.now import NEVER_US, earliest_us
from hal.ports import WireError
from hal.stream_v1 import decode
from hal.stream_v1_header import StreamStart
from hal.types import Outputs, Technique
from tests.test_waveshare import Bench

# SIMPLON API reference 1.8, 5.4.3, header data, part 1: none, basic or all.
START = b'{"htype":"dheader-1.0","series":1,"header_detail":"%s"}'


@pytest.mark.req("SR-44")
@pytest.mark.parametrize("detail", [b"some", b"None", b"ALL", b""])
def test_a_start_message_with_another_header_detail_is_refused(detail: bytes) -> None:
    assert decode([START % b"none"]) == StreamStart(series=1, header_detail="none")
    with pytest.raises(WireError, match="header_detail"):
        decode([START % detail])


@pytest.mark.req("SR-05", "SR-14")
def test_the_power_is_limited_by_itself_and_not_by_kv_and_ma_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The ranges of SPC-P366 end at 120 W, so the guard is for a source of less power."""
    strong = Technique(kv=120.0, ma=1.0, ms=100.0)
    assert effective(strong) == strong
    monkeypatch.setattr(vj_ixs_ratings, "POWER_MAX_W", 100.0)
    assert effective(Technique(kv=100.0, ma=1.0, ms=100.0)).kv == 100.0
    with pytest.raises(ValueError, match=r"kv x ma must be at most 100 W .* got 120"):
        effective(strong)


def test_a_coil_is_unknown_until_the_module_has_confirmed_it() -> None:
    """What `dxrig io` shows: by echo or read-back, never by what was ordered."""
    bench = Bench()
    assert set(bench.driver.coils().values()) == {None}
    bench.run(Outputs(), 500)
    assert set(bench.driver.coils().values()) == {False}
    bench.line.cut = True
    bench.run(Outputs(contactor=True), 5)
    assert bench.driver.coils()["contactor"] is False
    bench.line.cut = False
    bench.run(Outputs(contactor=True), 500)
    assert bench.driver.coils()["contactor"] is True


def test_of_no_times_the_earliest_never_comes() -> None:
    assert earliest_us() == NEVER_US
    assert earliest_us(7, 3, 5) == 3
