"""A bench for properties of `step`: devices that do as they are told, until a test spoils one.

No wire and no physics: each scan the samples follow the last outputs as good drivers
would show it. A spoil is one method of `Plant` whose name begins with `spoil_`; each
lasts until `heal`. The switch is the plant's own: what the controller remembers of it
is never asked (a ghost variable, safety-requirements.md 8.2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from firmware_py.decide.memory import State
from firmware_py.decide.technique import timer_us
from hal.now import grid_us
from hal.types import (
    GeneratorSample,
    GeneratorState,
    Inputs,
    Outputs,
    PanelSample,
    PanelState,
    RecorderSample,
    Requests,
    RoomSample,
    Shot,
    ShotKind,
    Technique,
)
from tests.samples import LIMITS

SCAN_US = 5_000
RAMP_US = 20_000
TECHNIQUES = (
    Technique(kv=80.0, ma=0.5, mas=0.05),
    Technique(kv=120.0, ma=1.0, ms=60.0),
    Technique(kv=60.0, ma=0.4, mas=0.2),
)


class Plant:
    def __init__(self) -> None:
        self.t_us = 0
        self.outputs = Outputs()
        # the hand and the room
        self.stage_1 = self.stage_2 = False
        self.contacts = {"door": True, "estop": True, "chain": True, "key": True, "reset": False}
        self._room: RoomSample | None = None
        self._enable_until_us = 0
        # generator, panel, recorder
        self._order_us: int | None = None
        self._sent_us: int | None = None
        self._answered_us: int | None = None
        self._off_us: int | None = None
        self._beam = False
        self._beam_seen = False
        self._beam_taken_us: int | None = None
        self._window_open_us: int | None = None
        self._window_us: int | None = None
        self._window_shot: str | None = None
        self._image: str | None = None
        self._dose: str | None = None
        self._intent: str | None = None
        # requests
        self._shot_count = 1
        self._kind = ShotKind.IMAGING
        self.stop = self.reset = False
        self.late_us = 0
        self.broken: set[str] = set()

    # --- the hand

    def press(self) -> None:
        self.stage_1 = self.stage_2 = True

    def press_stage_1(self) -> None:
        self.stage_1 = True

    def release(self) -> None:
        self.stage_1 = self.stage_2 = False

    def release_stage_2(self) -> None:
        self.stage_2 = False

    def program(self, kind: ShotKind = ShotKind.IMAGING) -> None:
        """The next exposure is chosen."""
        self._shot_count += 1
        self._kind = kind

    def program_without_receptor(self) -> None:
        self.program(ShotKind.NO_RECEPTOR)

    def program_dark(self) -> None:
        self.program(ShotKind.DARK)

    def heal(self) -> None:
        """Everything is as it should be again, but for the switch."""
        self.contacts = {"door": True, "estop": True, "chain": True, "key": True, "reset": False}
        self.broken.clear()
        self.stop = self.reset = False
        self.late_us = 0

    # --- what may go wrong

    def spoil(self, name: str) -> None:
        if name in self.contacts:
            self.contacts[name] = not self.contacts[name]
        elif name == "stop":
            self.stop = not self.stop
        elif name == "reset request":
            self.reset = not self.reset
        elif name == "late scan":
            self.late_us = LIMITS.late_us + 1
        else:
            self.broken ^= {name}

    # --- one scan

    def inputs(self) -> Inputs:
        return Inputs(
            t_us=self.t_us,
            room=self._room_sample(),
            generator=self._generator_sample(),
            panel=self._panel_sample(),
            recorder=self._recorder_sample(),
            requests=Requests(shot=self._shot(), stop=self.stop, reset=self.reset),
            late_us=self.late_us,
        )

    def obey(self, outputs: Outputs) -> None:
        self.outputs = outputs
        if outputs.enable:
            self._enable_until_us = self.t_us + LIMITS.enable_pulse_us
        elif not outputs.enable_lapse:
            self._enable_until_us = self.t_us

    def pass_scans(self, count: int = 1) -> None:
        self.t_us += count * SCAN_US

    def pass_to(self, t_us: int) -> None:
        self.t_us = max(grid_us(t_us, SCAN_US), self.t_us + SCAN_US)

    # --- samples

    def _shot(self) -> Shot | None:
        if "no shot" in self.broken:
            return None
        kv_more = 1.0 if "shot edited" in self.broken else 0.0
        technique = TECHNIQUES[self._shot_count % len(TECHNIQUES)]
        technique = replace(technique, kv=technique.kv - kv_more)
        cleared = self._kind is ShotKind.NO_RECEPTOR and "not clear" not in self.broken
        return Shot(
            shot_id=f"shot-{self._shot_count}",
            technique=technique,
            exam_id="E-7" if "a patient's" in self.broken else "TEST",
            panel_id="P1",
            kind=self._kind,
            clear_by="A. Physicist" if cleared else None,
        )

    def _room_sample(self) -> RoomSample:
        if self._room is not None and "room stale" in self.broken:
            return self._room
        enabled = self._enabled()
        self._room = RoomSample(
            taken_us=self.t_us - 1_000,
            link_ok="room link" not in self.broken,
            stage_1=self.stage_1,
            stage_2=self.stage_2,
            **self.contacts,
            lamp_current=self.outputs.beam_lamp and "lamp" not in self.broken,
            enable_readback=enabled,
            enable_taken_us=self.t_us - 1_000,
        )
        return self._room

    def _enabled(self) -> bool:
        return self._enable_until_us - self.t_us > 0 or "enable welded" in self.broken

    def _pair(self) -> bool:
        loop = self.contacts["door"] and self.contacts["estop"] and self.contacts["chain"]
        return loop and self.stage_2 and self._enabled()

    def _generator_sample(self) -> GeneratorSample:
        self._follow_order()
        beam = self._beam or "stray beam" in self.broken
        if "status stale" not in self.broken:
            self._beam_seen, self._beam_taken_us = beam, self.t_us - 1_000
        technique = self.outputs.technique
        mistaken = technique is not None and "echo" in self.broken
        shown = self.outputs.technique or TECHNIQUES[0]
        off = 1.5 if "out of band" in self.broken else 1.0
        return GeneratorSample(
            taken_us=self.t_us - 1_000,
            state=self._generator_state(beam),
            confirmed=replace(shown, kv=shown.kv + 0.1) if mistaken else technique,
            interlock_closed=self._pair() and "pair" not in self.broken,
            interlock_taken_us=self.t_us - 1_000,
            beam_on=self._beam_seen,
            beam_taken_us=self._beam_taken_us,
            on_sent_us=self._sent_us,
            on_answered_us=self._answered_us,
            refused="refuse" in self.broken and self._order_us is not None,
            off_confirmed_us=self._off_us,
            kv=shown.kv * off if beam else None,
            ma=shown.ma * off if beam else None,
            monitor_taken_us=self.t_us - 1_000 if beam else None,
            faults=self._generator_faults(),
        )

    def _generator_state(self, beam: bool) -> GeneratorState:
        if "generator silent" in self.broken:
            return GeneratorState.OFFLINE
        if beam:
            return GeneratorState.BEAM
        if self.outputs.technique is None:
            return GeneratorState.STANDBY
        slow = "generator slow" in self.broken
        return GeneratorState.PREPARING if slow else GeneratorState.READY

    def _generator_faults(self) -> tuple[str, ...]:
        names = {"arc": "ARC", "unknown bit": "bit 13", "cold": "UNDER_TEMPERATURE"}
        found = [code for name, code in names.items() if name in self.broken]
        return tuple(found if self._pair() else [*found, "INTERLOCK_OPEN"])

    def _follow_order(self) -> None:
        ordered_us = self.outputs.expose_from_us
        if ordered_us is None:
            if self._order_us is not None and "off lost" not in self.broken:
                self._off_us, self._beam = self.t_us, False
                self._order_us = self._sent_us = self._answered_us = None
            return
        if ordered_us != self._order_us:
            self._order_us, self._off_us = ordered_us, None
            self._sent_us = ordered_us if "refuse" not in self.broken else None
        if self._sent_us is None or "on unanswered" in self.broken:
            return
        age_us = self.t_us - self._sent_us
        if self._answered_us is None and age_us >= RAMP_US:
            self._answered_us, self._beam = self.t_us - 1_000, True
        technique = self.outputs.technique
        if technique is not None and "timer dead" not in self.broken:
            is_over = age_us >= timer_us(technique, LIMITS)
            self._beam = self._beam and not is_over
        self._beam = self._beam and self._pair() and "beam ends early" not in self.broken

    def _panel_sample(self) -> PanelSample:
        if self._window_us != self.outputs.window_from_us:
            self._window_us = self.outputs.window_from_us
            if self._window_us is None:
                self._image = self._window_shot
            self._window_open_us = self.t_us - 1_000 if self._window_us is not None else None
            self._window_shot = self.outputs.window_shot_id
        return PanelSample(
            taken_us=0 if "panel stale" in self.broken else self.t_us - 1_000,
            state=self._panel_state(),
            panel_id="P2" if "another panel" in self.broken else "P1",
            window_us=1_000 if "short window" in self.broken else 5_000_000,
            window_open_us=self._window_open_us,
        )

    def _panel_state(self) -> PanelState:
        rules: tuple[tuple[bool, PanelState], ...] = (
            ("panel gone" in self.broken, PanelState.DISCONNECTED),
            ("panel error" in self.broken, PanelState.ERROR),
            ("panel slow" in self.broken, PanelState.PREPARING),
            (self._window_us is not None and "no window" not in self.broken,
             PanelState.INTEGRATING),
            ("panel integrates" in self.broken, PanelState.INTEGRATING),
            (self.outputs.prepare_panel, PanelState.READY),
        )  # fmt: skip
        return next((state for holds, state in rules if holds), PanelState.IDLE)

    def _recorder_sample(self) -> RecorderSample:
        works = "recorder hangs" not in self.broken
        if works and self.outputs.intent is not None:
            self._intent = self.outputs.intent.shot.shot_id
        if works and self.outputs.report is not None:
            self._dose = self.outputs.report.shot.shot_id
        no_frame = "no frame" in self.broken
        return RecorderSample(
            taken_us=self.t_us - 1_000,
            alive="recorder dead" not in self.broken,
            disk_ok="disk" not in self.broken,
            panel_set_ok="maps" not in self.broken,
            incomplete_count=int("incomplete" in self.broken),
            intent_durable=self._intent,
            dose_saved=self._dose,
            image_saved=None if no_frame else self._image,
            image_failed=self._image if no_frame else None,
        )


HAND: dict[str, Callable[[Plant], None]] = {
    "press": Plant.press,
    "press stage 1": Plant.press_stage_1,
    "release": Plant.release,
    "release stage 2": Plant.release_stage_2,
    "program": Plant.program,
    "program without receptor": Plant.program_without_receptor,
    "program dark": Plant.program_dark,
    "heal": Plant.heal,
}
SPOILS = (
    "door", "estop", "chain", "key", "reset", "stop", "reset request", "late scan", "no shot",
    "shot edited", "room stale", "room link", "lamp", "enable welded", "stray beam",
    "status stale", "echo", "out of band", "pair", "refuse", "generator silent",
    "generator slow", "arc", "unknown bit", "cold", "off lost", "on unanswered", "timer dead",
    "beam ends early", "panel stale", "another panel", "short window", "panel gone",
    "panel error", "panel slow", "no window", "recorder hangs", "recorder dead", "disk", "maps",
    "incomplete", "no frame", "not clear", "a patient's", "panel integrates",
)  # fmt: skip


def act(plant: Plant, name: str) -> None:
    if name in HAND:
        HAND[name](plant)
    else:
        plant.spoil(name)


def helping(plant: Plant, state: State) -> tuple[str, ...]:
    """What a sensible operator may do next; () = wait."""
    pressed = plant.stage_1 or plant.stage_2
    if state is State.STANDBY:
        return ("release",) if pressed else ("press",)
    if state in (State.RELEASE_WAIT, State.FAULT, State.LOCKED) and pressed:
        return ("release",)
    if state is State.FAULT:
        return ("heal", "reset")
    if state is State.LOCKED:
        return ("heal", "key", "reset")
    return ()
