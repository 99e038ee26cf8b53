"""A maker's own generator, console and room, beyond anything that dxrig could command.

**Synthetic.** The console is dialled and pressed by the simulated person. Its X-ray-on lamp is
led to the input "lamp current" of a remote I/O, which is all that anybody else sees of it. The
module's relays lead nowhere; whoever drives one is found out by `driven`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hal.modbus_server import RefusedError
from hal.now import NEVER_US, Now
from hal.ports import ByteLink
from hal.room_io import open_room_desk
from hal.types import CONTACTS
from sim.device import WireDevice
from sim.generator import MonoblockModel, Ratings
from sim.makers_tool import MakersTool

LAMP_ON_US, LAMP_OFF_US = 8_000, 12_000  # chosen: a relay beside the lamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialled:
    kv: float
    ma: float
    ms: float


class MakersRoom:
    """A RoomModel: eight inputs, of which the lamp's is the only one that moves."""

    def __init__(self) -> None:
        self.lamp = False
        self.refuses = False  # a fault: each request is answered with an exception
        self.driven: list[tuple[int, str]] = []  # every attempt to switch something

    def inputs(self, t_us: int) -> Sequence[bool]:
        if self.refuses:
            raise RefusedError(4)
        return [name == "lamp_current" and self.lamp for name in CONTACTS]

    def coils(self, t_us: int) -> Sequence[bool]:
        return [False] * 8

    def set_coil(self, t_us: int, coil_index: int, closed: bool) -> None:
        self.driven.append((t_us, f"coil {coil_index} {'on' if closed else 'off'}"))

    def pulse_coil(self, t_us: int, coil_index: int, duration_us: int) -> None:
        self.driven.append((t_us, f"coil {coil_index} pulse"))


class MakersWorld:
    """Time, the generator, its lamp, and the module on its line."""

    def __init__(self, link: ByteLink, room_driver: str = "waveshare", *, seed: int = 1) -> None:
        self.generator = MonoblockModel(
            seed=seed, ratings=Ratings(supply="mains", watchdog_us=None, ramp_us=5_000)
        )
        self.generator.set_supply(0, True)
        self.generator.set_interlock(0, True)
        self.room = MakersRoom()
        self.device = WireDevice(link, open_room_desk(room_driver, self.room), lambda now: None)
        self.tool: MakersTool | None = None  # what makes an image of each beam
        self.t_us = 0
        self._actions: list[tuple[int, Callable[[int], None]]] = []
        self._generator_us = 0

    def at(self, t_us: int, action: Callable[[int], None]) -> None:
        self._actions = sorted([*self._actions, (t_us, action)], key=lambda entry: entry[0])

    def press(self, dialled: Dialled, at_us: int) -> None:
        """The simulated person: sets, presses, and lets go once the generator's timer is over."""

        def begin(t_us: int) -> None:
            self.generator.set_kv(t_us, dialled.kv)
            self.generator.set_ma(t_us, dialled.ma)
            self.generator.set_time_us(t_us, round(dialled.ms * 1000))
            if self.generator.start(t_us):
                self.at(t_us + LAMP_ON_US, self._light)
                self._generator_us = t_us

        self.at(at_us, begin)

    def advance(self, to_us: int) -> None:
        """Every event by `to_us`, in order."""
        while Now(to_us).reached(t_us := self._next_us()):
            self.t_us = max(t_us, self.t_us)
            self._event(self.t_us)
        self.t_us = to_us

    def _next_us(self) -> int:
        action_us = self._actions[0][0] if self._actions else NEVER_US
        return min(action_us, self._generator_us, self.device.due_us())

    def _event(self, t_us: int) -> None:
        now = Now(t_us)
        if self._actions and now.reached(self._actions[0][0]):
            self._actions.pop(0)[1](t_us)
        if now.reached(self._generator_us):
            self._follow_generator(t_us)
        if now.reached(self.device.due_us()):
            self.device.poll(now)

    def _follow_generator(self, t_us: int) -> None:
        was_on = self.generator.beam_on(t_us)
        now = Now(t_us)
        self.generator.advance(now)
        if was_on and not self.generator.beam_on(t_us):
            self.at(t_us + LAMP_OFF_US, self._darken)
            self._image(t_us)
        self._generator_us = now.next_us

    def _image(self, t_us: int) -> None:
        course = self.generator.courses[-1]
        if self.tool is not None:
            mas = course.charge_mas(course.on_us, t_us)
            self.tool.exposed(t_us, on_us=course.on_us, kv=course.kv, mas=mas)

    def _light(self, t_us: int) -> None:
        self.room.lamp = True

    def _darken(self, t_us: int) -> None:
        self.room.lamp = False
