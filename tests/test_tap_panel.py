"""The tap of a panel: control and frames pass unchanged, are told without pixels, and kept."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from hal.detectors.stream_panel_heard import SHOWN_BYTES
from hal.frames import DealerLink, PullLink, PushLink, RouterLink
from hal.ports import Direction, FrameLink, Kind, LinkError
from rig.bench import load_bench
from rig.cli import main
from rig.service.hearing import Hearing
from rig.service.middle_panel import PanelMiddle
from rig.service.tape import Passage, Tape

UNIT = load_bench("portable").unit
TO, FROM = Direction.TO_DEVICE, Direction.FROM_DEVICE
# hal/detectors/stream_panel_wire.py: our own words, so there is no document to take them from
ASKED = b'{"v":3,"n":7,"do":"request","shot":"S-1"}'
STATUS = (
    b'"state":"preparing","panel":"SIM-PANEL-1","window_ms":5000,"frames":0,"kept":[],'
    b'"battery_pct":87'
)
SAID = b'{"v":3,"n":7,"ok":true,' + STATUS + b',"error":null}'
CHANGED = b'{"v":3,"event":"state","k":3,' + STATUS + b"}"
START = [b'{"htype":"dheader-1.0","series":3,"header_detail":"none"}']
# Stream V1 (protocols.md 9.2); the hash is `md5sum` of eight zero bytes
IMAGE = [
    b'{"htype":"dimage-1.0","series":3,"frame":0,"hash":"7dea362b3fac8e00956a4952a3d4f474"}',
    b'{"htype":"dimage_d-1.0","shape":[2,2],"type":"uint16","encoding":"<","size":8}',
    bytes(8),
    b'{"htype":"dconfig-1.0","start_time":0,"stop_time":1000000,"real_time":1000000}',
    b'{"shot":"S-1","panel":"SIM-PANEL-1","complete":true}',
]
END = [b'{"htype":"dseries_end-1.0","series":3}']


def told(link: str, way: Direction, *parts: bytes) -> tuple[Kind, str]:
    heard = Hearing(UNIT).message(link, way, 0, list(parts))
    return heard.kind, heard.text


def test_control_is_told_by_its_kind_number_and_shot() -> None:
    standing = "preparing, SIM-PANEL-1, window 5000 ms, 0 frames, battery 87 %"
    assert told("panel", TO, ASKED) == (Kind.ACT, "#7 request S-1")
    assert told("panel", TO, b'{"v":3,"n":8,"do":"status"}') == (Kind.QUERY, "#8 status")
    assert told("panel", FROM, SAID) == (Kind.REPLY, f"#7 ok: {standing}")
    assert told("panel", FROM, CHANGED) == (Kind.REPLY, f"event 3: {standing}")
    refused = b'{"v":3,"event":"refused","error":"busy"}'
    assert told("panel", FROM, refused)[1] == "refused: busy, another controller is served"


def test_a_control_message_that_is_none_is_noise_with_the_reason() -> None:
    assert told("panel", FROM, b"nonsense") == (
        Kind.NOISE, "no valid JSON: Expecting value: line 1 column 1 (char 0)",
    )  # fmt: skip
    assert told("panel", TO, b"{}") == (Kind.NOISE, "v: must be an integer from 3 to 3, got None")


def test_a_frame_is_told_with_series_size_and_hash_and_without_its_pixels() -> None:
    heard = Hearing(UNIT).message("frames", FROM, 0, IMAGE)
    assert heard.text == "series 3 frame 0: 2 x 2 px, 301 bytes, hash ok, S-1"
    assert told("frames", FROM, *START) == (Kind.REPLY, "series 3 starts, header none")
    assert told("frames", FROM, *END) == (Kind.REPLY, "series 3 ends")


def test_a_pixel_that_changed_on_its_way_is_an_error_with_the_reason() -> None:
    kind, text = told("frames", FROM, *IMAGE[:2], b"\1" + bytes(7), *IMAGE[3:])
    assert kind is Kind.NOISE
    assert text.startswith("hash: is not the md5 of the pixels that came (parts of ")


def test_a_long_part_is_never_among_the_bytes_that_are_shown() -> None:
    heard = Hearing(UNIT).message("frames", FROM, 0, [START[0], bytes(SHOWN_BYTES + 1)])
    assert heard.raw == START[0]


# --- in the middle


class Site:
    """Panel, tap and client on ZeroMQ's own sockets, stepped by hand."""

    def __init__(self, folder: Path) -> None:
        at = [f"ipc://{folder}/panel", f"ipc://{folder}/frames"]
        self.router, self.push = RouterLink(at[0]), PushLink(at[1])
        self.passed: list[Passage] = []
        self.middle = PanelMiddle(at[0], at[1], self.passed.append)
        control, _, frames = self.middle.url.partition(" (frames ")
        self.client: list[FrameLink] = [DealerLink(control)]
        self.frames_url = frames.removesuffix(")")
        self.got: dict[str, list[list[bytes]]] = {"client": [], "frames": [], "panel": []}
        self.t_us = 0

    def consume(self) -> None:
        self.client.append(PullLink(self.frames_url))

    def until(self, done: Callable[[], object]) -> None:
        end_s = time.monotonic() + 10
        while not done():
            assert time.monotonic() < end_s
            self.t_us += 1000
            self.got["panel"] += self.router.read(self.t_us)
            self.push.read(self.t_us)
            self.middle.step(self.t_us)
            for name, link in zip(("client", "frames"), self.client, strict=False):
                self.got[name] += self._read(link)
            time.sleep(0.001)

    def _read(self, link: FrameLink) -> list[list[bytes]]:
        try:
            return list(link.read(self.t_us))
        except LinkError:
            return []

    def close(self) -> None:
        self.middle.close()
        for link in (*self.client, self.router, self.push):
            link.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    (tmp_path / "p").mkdir(mode=0o700)
    found = Site(tmp_path / "p")
    yield found
    found.close()


@pytest.mark.wire
def test_every_message_passes_unchanged_both_ways(site: Site, tmp_path: Path) -> None:
    site.consume()
    dealer: Any = site.client[0]
    site.until(lambda: site.push.has_peer and getattr(dealer, "has_peer", False))
    dealer.write(0, [ASKED])
    site.until(lambda: site.got["panel"])
    site.router.write(0, [SAID])
    for message in (START, IMAGE, END):
        site.push.write(0, message)
    site.until(lambda: site.got["client"] and len(site.got["frames"]) == 3)
    assert site.got == {"panel": [[ASKED]], "client": [[SAID]], "frames": [START, IMAGE, END]}

    tape = Tape(tmp_path / "one.tap", ("panel", "frames"), UNIT)
    for passage in site.passed:
        tape.write(passage)
    tape.close()
    words = ["tap", "--read", str(tmp_path / "one.tap"), "--json"]
    again: dict[str, Any] = json.loads(CliRunner().invoke(main, words).stdout)
    assert [(one["link"], one["kind"]) for one in again["frames"]] == [
        (one.link, "act" if one.direction is TO else "reply") for one in site.passed
    ]
    assert "series 3 frame 0: 2 x 2 px, 301 bytes, hash ok, S-1" in {
        one["text"] for one in again["frames"]
    }
    assert again["summary"]["frames"]["frames_from_device"] == 3


@pytest.mark.wire
def test_a_panel_that_nobody_takes_frames_of_has_no_consumer_in_us(site: Site) -> None:
    """Else it would prepare, and the frame would have nowhere to go."""
    dealer: Any = site.client[0]
    site.until(lambda: getattr(dealer, "has_peer", False))
    dealer.write(0, [ASKED])
    site.until(lambda: site.got["panel"])
    assert not site.push.has_peer
    site.consume()
    site.until(lambda: site.push.has_peer)
    site.client.pop().close()
    site.until(lambda: not site.push.has_peer)


@pytest.mark.wire
def test_what_a_panel_that_is_gone_was_asked_is_told_as_lost(site: Site) -> None:
    dealer: Any = site.client[0]
    site.until(lambda: dealer.has_peer and site.middle._dealer.has_peer)
    site.router.close()
    site.router = RouterLink(f"ipc://{site.middle._folder}/other")
    site.until(lambda: site.passed)
    dealer.write(0, [ASKED])
    site.until(lambda: any("was lost" in one.trouble for one in site.passed))
    assert site.passed[0].trouble.endswith("the other side is gone")
