"""A simulated room without a unit: the unit's ends of its links are in the test's hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hal.frame_pipes import frame_pipe
from hal.links import pipe
from hal.ports import ByteLink, FrameLink
from sim.build import Ends, Setting, build_world
from sim.script import do
from sim.world import World

MS = 1_000


@dataclass
class SimWorld:
    world: World
    generator: ByteLink
    room: ByteLink
    panel: FrameLink
    frames: FrameLink

    def do(self, verb: str, **args: Any) -> None:
        do(self.world, verb, args)

    def at(self, t_us: int) -> SimWorld:
        """Let time pass to there; what is done now comes after all that falls due there."""
        self.world.advance(t_us)
        return self

    def after_ms(self, ms: float) -> SimWorld:
        return self.at(self.world.t_us + round(ms * MS))

    @property
    def t_us(self) -> int:
        return self.world.t_us

    def ask(self, text: bytes, within_ms: float = 20.0) -> bytes:
        """What the generator says within that time."""
        self.generator.write(self.t_us, b"\x02" + text + b"\r")
        self.after_ms(within_ms)
        return self.generator.read(self.t_us)

    def beam(self, *, kv: float = 80.0, ma: float = 0.5, ms: float | None = None) -> int:
        """A beam without a unit: contacts and set points by hand. When it began."""
        self.supplied(kv=kv, ma=ma, ms=ms)
        assert self.world.generator.start(self.t_us)
        self.world.poke()
        self.at(self.t_us)
        return self.t_us

    def supplied(self, *, kv: float = 80.0, ma: float = 0.5, ms: float | None = None) -> None:
        """Contactor and pair closed, set points told, watchdog off: a start would be honoured."""
        model = self.world.generator
        model.set_watchdog(self.t_us, on=False)
        model.set_kv(self.t_us, kv)
        model.set_ma(self.t_us, ma)
        model.set_time_us(self.t_us, None if ms is None else round(ms * MS))
        self.contactor(True)
        self.world.wiring.drive_enable(self.t_us, True)
        self.do("press")
        self.after_ms(50)

    def contactor(self, closed: bool) -> None:
        """Its coil, as if the room I/O had driven it."""
        self.world.wiring.drive_contactor(self.t_us, closed)
        self.world.poke()

    def moves(self, net: str) -> list[tuple[int, bool]]:
        """Each move of a net of the wiring after the first moment."""
        return [(t_us, closed) for t_us, name, closed in self.world.wiring.log if name == net][1:]


def sim_world(**setting: Any) -> SimWorld:
    """Links without delay, so that a time that is seen is the device's own."""
    (generator, generator_end), (room, room_end) = pipe(), pipe()
    (panel, panel_end), (frames, frames_end) = frame_pipe(), frame_pipe()
    ends = Ends(
        generator=generator_end,
        room=room_end,
        panel_control=panel_end,
        panel_data=frames_end,
    )
    size = {"rows_px": 64, "columns_px": 64} | setting
    made = build_world(Setting(**size), ends)
    made.advance(0)
    return SimWorld(made, generator, room, panel, frames)
