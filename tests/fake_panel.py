"""A panel that does what a test tells it: `hal.ports.PanelModel` with times, no physics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hal.now import NEVER_US, Now
from hal.ports import PanelFrame


@dataclass
class FakePanel:
    panel_id: str = "SIM-PANEL-1"
    scrub_us: int = 60_000
    t_prep_us: int = 30_000
    length_us: int = 1_000_000
    readout_us: int = 40_000
    now_state: str = "idle"
    until_us: int = NEVER_US
    shots: list[str] = field(default_factory=list)
    calls: list[tuple[int, str]] = field(default_factory=list)
    changes: list[tuple[int, str]] = field(default_factory=list)
    sent_count: int = 0
    ready_frames: list[PanelFrame] = field(default_factory=list)
    memory: list[str] = field(default_factory=list)
    charge_pct: int | None = None

    def state(self, t_us: int) -> str:
        self.advance(Now(t_us))
        return self.now_state

    def advance(self, now: Now) -> None:
        while now.reached(self.until_us):
            at_us = self.until_us
            match self.now_state:
                case "preparing":
                    self.enter(at_us, "ready")
                case "ready":
                    self.enter(at_us, "integrating", self.length_us)
                case "integrating":
                    self.enter(at_us, "readout", self.readout_us)
                case _:
                    self.sent_count += 1
                    self.enter(at_us, "idle")

    def enter(self, t_us: int, state: str, for_us: int | None = None) -> None:
        self.now_state = state
        self.until_us = NEVER_US if for_us is None else t_us + for_us
        self.changes.append((t_us, state))

    def prepare(self, t_us: int) -> None:
        self.calls.append((t_us, "prepare"))
        if self.now_state == "idle":
            self.enter(t_us, "preparing", self.scrub_us)

    def standby(self, t_us: int) -> None:
        self.calls.append((t_us, "standby"))
        if self.now_state in ("preparing", "ready"):
            self.enter(t_us, "idle")

    def request_window(self, t_us: int, shot_id: str) -> None:
        self.calls.append((t_us, f"request {shot_id}"))
        self.shots.append(shot_id)
        self.until_us = t_us + self.t_prep_us

    def drop_request(self, t_us: int) -> None:
        self.calls.append((t_us, "drop"))
        if self.now_state == "integrating":
            self.enter(t_us, "readout", self.readout_us)
        elif self.now_state == "ready":
            self.until_us = NEVER_US

    def window_us(self) -> int:
        return self.length_us

    def frame_count(self) -> int:
        return self.sent_count

    def battery_pct(self, t_us: int) -> int | None:
        return self.charge_pct

    def take_frames(self, t_us: int) -> Sequence[PanelFrame]:
        taken, self.ready_frames = self.ready_frames, []
        return taken

    def kept(self) -> tuple[str, ...]:
        return tuple(self.memory)

    def resend(self, t_us: int, shot_id: str) -> bool:
        self.calls.append((t_us, f"resend {shot_id}"))
        return shot_id in self.memory

    def free(self, t_us: int, shot_id: str) -> None:
        self.calls.append((t_us, f"free {shot_id}"))
        if shot_id in self.memory:
            self.memory.remove(shot_id)
