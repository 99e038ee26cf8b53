"""How soon HV must be gone after an injection, on this bench: its bound beside the goal.

Names stand in `rig/injections.toml`. A bound is put together from what the drivers say of
themselves (`firmware_py.bounds`, `dxrig doctor --bounds`); the goal is the requirement's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from firmware_py.bounds import RELAY_DROP_US, SAFETY_RELAY_DROP_US, limits
from firmware_py.decide.memory import Limits
from firmware_py.decide.technique import timer_us
from hal.detectors import open_panel
from hal.frame_pipes import frame_pipe
from hal.ports import GeneratorCapabilities, PanelCapabilities, RoomCapabilities
from hal.room_io import open_room_io
from hal.types import Technique
from rig.bench import Bench
from rig.drivers import generator_of, nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a bound is made of."""

    generator: GeneratorCapabilities
    room: RoomCapabilities
    panel: PanelCapabilities
    limits: Limits
    scan_us: int
    monitor_us: int  # between two reads of kV and mA

    @property
    def drop_us(self) -> int:
        """The scan that drops the enable output -> HV below 10 %."""
        return self.room.reply_us + RELAY_DROP_US + self.generator.kv_fall_us

    @property
    def told_us(self) -> int:
        """Something is so -> the scan in which a status that was asked for later shows it."""
        return self.generator.longest_exchange_us["beam"] * 2 + self.scan_us


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounded:
    bound_us: int
    goal_us: int


def parts_of(bench: Bench) -> Parts:
    unit = bench.unit
    generator = generator_of(unit.generator, nobody()).capabilities
    room = open_room_io(unit.room.driver, nobody(), unit.room).capabilities
    panel = open_panel(unit.panel.driver, frame_pipe()[0], **unit.panel.options()).capabilities
    return Parts(
        generator=generator,
        room=room,
        panel=panel,
        limits=limits(unit, generator, room, panel),
        scan_us=unit.limits.scan_ms * 1000,
        monitor_us=unit.generator.monitor_poll_ms * 1000,
    )


def bounded(name: str, parts: Parts, technique: Technique) -> Bounded:
    """`technique`: of the shot whose beam is meant."""
    goal_us, bound = BOUNDS[name]
    return Bounded(bound_us=bound(parts, technique), goal_us=goal_us)


def _hand(parts: Parts, technique: Technique) -> int:
    return RELAY_DROP_US + parts.generator.kv_fall_us


def _chain(parts: Parts, technique: Technique) -> int:
    return SAFETY_RELAY_DROP_US + _hand(parts, technique)


def _dead(parts: Parts, technique: Technique) -> int:
    """By the enable relay, or where that does not lapse by what the generator has of its own."""
    if parts.room.lapse_us is not None:
        return parts.room.lapse_us + _hand(parts, technique)
    own_end_us = _own_end(parts, technique)
    if parts.generator.watchdog_us is None:
        return own_end_us
    return min(_watchdog(parts, technique), own_end_us)


def _status(parts: Parts, technique: Technique) -> int:
    return parts.told_us + parts.drop_us


def _silent_generator(parts: Parts, technique: Technique) -> int:
    """During the ramp nothing is asked: then the start's own deadline counts."""
    oldest_us = max(parts.limits.status_age_us, parts.limits.beam_start_us)
    return oldest_us + parts.scan_us + parts.drop_us


def _silent_room(parts: Parts, technique: Technique) -> int:
    """The relay can't be told: OFF over the wire, or the pulse that nobody re-triggers."""
    off_us = parts.generator.longest_exchange_us["beam"] + parts.generator.off_latency_us
    seen_us = parts.limits.room_age_us + parts.scan_us
    wire_us = seen_us + off_us + parts.generator.kv_fall_us
    return min(wire_us, _dead(parts, technique))


def _panel(parts: Parts, technique: Technique) -> int:
    return parts.panel.sample_age_us + parts.scan_us + parts.drop_us


def _silent_panel(parts: Parts, technique: Technique) -> int:
    return parts.limits.panel_age_us + parts.scan_us + parts.drop_us


def _geometry(parts: Parts, technique: Technique) -> int:
    """The oldest sample that is believed; where nothing is sensed nothing is waited for."""
    geometry = parts.limits.geometry
    assert geometry is not None
    return geometry.age_us + parts.scan_us + parts.drop_us


def _band(parts: Parts, technique: Technique) -> int:
    """From the start of the ramp on no read counts before ramp and settling are over."""
    ramp_us = parts.generator.kv_rise_us + parts.limits.settle_us
    return ramp_us + parts.monitor_us + parts.told_us + parts.drop_us


def _own_end(parts: Parts, technique: Technique) -> int:
    """The beam's longest planned time: the generator's own timer, and HV's fall."""
    return timer_us(technique, parts.limits) + parts.drop_us


def _back_up(parts: Parts, technique: Technique) -> int:
    longest_us = timer_us(technique, parts.limits) * 11 // 10 + 10_000
    return longest_us + parts.limits.status_age_us + parts.scan_us + parts.drop_us


def _off_ignored(parts: Parts, technique: Technique) -> int:
    return _own_end(parts, technique) + parts.limits.off_confirm_us


def _watchdog(parts: Parts, technique: Technique) -> int:
    silence_us = parts.generator.watchdog_us or 0
    return silence_us + parts.generator.kv_fall_us


Bound = Callable[[Parts, Technique], int]
# name -> (the requirement's goal, this bench's bound)
BOUNDS: dict[str, tuple[int, Bound]] = {
    "hand": (50_000, _hand),  # SR-17
    "chain": (15_000, _chain),  # SR-19
    "dead unit": (150_000, _dead),  # SR-28
    "status": (150_000, _status),  # SR-27
    "silent generator": (150_000, _silent_generator),  # SR-27
    "silent room": (150_000, _silent_room),  # SR-27, SR-09
    "panel": (5_000, _panel),  # SR-30
    "silent panel": (20_000, _silent_panel),  # SR-30
    "geometry": (100_000, _geometry),  # SR-09: the age of a sample
    "band": (10_000, _band),  # SR-24
    "own end": (1_100_000, _own_end),  # SR-20
    "back-up time": (1_110_000, _back_up),  # SR-21
    "OFF ignored": (50_000, _off_ignored),  # SR-33
    "watchdog": (150_000, _watchdog),  # SR-28
}
