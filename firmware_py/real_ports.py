"""The ports of a unit in real time: serial or TCP for bytes, ZeroMQ for the panel's control."""

from __future__ import annotations

import contextlib

from firmware_py.assemble import OPTIONAL_LINKS, Links
from firmware_py.config import UnitConfig
from hal.frame_pipes import FramesOfBytes
from hal.frames import DealerLink
from hal.line_form import USUAL
from hal.links import SerialLink, TcpLink, tcp_address
from hal.ports import ByteLink, FrameLink

ROOM_BAUD = 9600  # RTU modules: protocols.md 8.2


def open_byte_link(url: str, baud: int, line: str = USUAL) -> ByteLink:
    """tcp://HOST:PORT, else whatever pyserial opens. Raises LinkError with one sentence.

    May block for as long as a host name takes; the link itself never does.
    """
    if not url.startswith("tcp://"):
        return SerialLink(url, baud=baud, line=line)
    return TcpLink(*tcp_address(url))


def _panel_link(config: UnitConfig) -> FrameLink:
    if config.panel.lines is not None:
        return FramesOfBytes(open_byte_link(config.panel.control_url, ROOM_BAUD))
    return DealerLink(config.panel.control_url)


def open_links(config: UnitConfig) -> Links:
    """All or none: a port that can't be opened closes those before it. Raises LinkError."""
    with contextlib.ExitStack() as opened:
        wire = config.generator
        generator = open_byte_link(wire.url, wire.baud, wire.line or USUAL)
        opened.callback(generator.close)
        room = open_byte_link(config.room.url, ROOM_BAUD)
        opened.callback(room.close)
        beside = {}
        for name in OPTIONAL_LINKS:
            own = getattr(config, name)
            if own is not None:
                beside[name] = open_byte_link(own.url, own.baud)
                opened.callback(beside[name].close)
        panel = _panel_link(config)
        opened.pop_all()
    return Links(generator=generator, room=room, panel=panel, **beside)
