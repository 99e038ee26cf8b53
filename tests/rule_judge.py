"""What must hold of every beam, by the simulator's own word and the journal's.

Ghost variables only: the courses of the generator, the contacts of the wiring, the states
of the panel, the rows of the journal. The controller is asked nothing; of its trace only
the states are read that it claims to be in (LOCKED, and those without high voltage).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from firmware_py.recorder.store.exposures import Exposure
from firmware_py.trace import Line
from hal.now import since
from hal.types import Outputs, Shot, ShotKind
from rig.doctor_bounds import bounds_of
from sim.beamline import BeamCourse
from tests.rule_bench import MS, RuleBench, wired

WITHOUT_HV = ("BOOT", "STANDBY", "RELEASE_WAIT", "FAULT", "LOCKED")
HV_COILS = ("enable", "contactor", "prep", "expose")
PROTECTIVE = ("door", "estop", "key")
SEEN_OPEN_US = 50 * MS  # SR-03, SR-04
BLIP_US = 45 * MS  # a press so short may fall between two samples
DELIVERED = 1.02  # the simulated current is the set one; its indication has 0.2 % noise
LATE_MAS, LATE_PART = 0.2, 0.1  # IEC 60601-2-54 203.6.4 (unverified clause)
INDICATED_MAS = 0.04  # ramp and tail are a triangle to the unit, and its reads are 100 ms apart


@cache
def bound_us(words: str) -> int:
    """A bound that `dxrig doctor --bounds` promises, by the beginning of its name."""
    (found,) = [row.bound_us for row in bounds_of(wired("chain")) if row.what.startswith(words)]
    return found


@dataclass(frozen=True, slots=True)
class Cause:
    """A reason for which a beam must end, and the limits within which the unit learns of it."""

    name: str
    true: Callable[[frozenset[str]], bool]
    learnt_by: tuple[str, ...] = ()


CAUSES = (
    Cause("the switch is released", lambda words: not {"stage_1", "stage_2"} <= words),
    Cause("a protective contact is open", lambda words: not words.issuperset(PROTECTIVE)),
    Cause("a stop is requested", lambda words: "stop" in words),
    Cause("the unit does not run", lambda words: "unit runs" not in words),
    Cause("the room is silent", lambda words: "room silent" in words, ("room_age_us",)),
    Cause("the generator is silent", lambda words: "generator silent" in words,
          ("beam_start_us", "status_age_us")),
)  # fmt: skip
PANEL_SILENT = Cause(
    "the panel is silent", lambda words: "panel silent" in words, ("panel_age_us",)
)
AT_START = CAUSES[:3]


@dataclass(slots=True)
class Beam:
    course: BeamCourse
    shot: Shot | None  # what the journal said when it began
    timer_us: int  # the generator's own, as it was written down before the beam
    window_lost_us: int | None = None  # the panel was first seen not to integrate
    silent_window: bool = False
    ended_checked: bool = False

    @property
    def on_us(self) -> int:
        return self.course.on_us


class RuleJudge:
    """Looks at every beam of a bench; `problems()` says what was broken, in words."""

    def __init__(self, bench: RuleBench) -> None:
        self.bench = bench
        self.beams: list[Beam] = []
        self._limits = bench.limits
        self._broken: list[str] = []
        self._state_us = 0
        self._locked_us: int | None = None
        self._window_us: int | None = None  # the panel was last seen to integrate
        bench.world.on_event = self._world_event
        bench.after_scan = self._scanned

    def problems(self) -> list[str]:
        """Everything that was broken so far; each beam that is on is looked at anew."""
        for beam in self.beams:
            if not beam.ended_checked:
                beam.ended_checked = beam.course.off_us is not None
                self._broken += self._end(beam)
        self._broken += self._doses()
        self._broken += self._coils()
        return list(dict.fromkeys(self._broken))

    # --- as it happens

    def _world_event(self, t_us: int, name: str) -> None:
        if name != "beam_on":
            return
        newest = max(self.bench.exposures(), key=lambda row: row.number, default=None)
        shot = self.bench.shots.get(newest.shot_id) if newest else None
        course = self.bench.world.generator.courses[-1]
        beam = Beam(course, shot, self._timer_us(newest.shot_id) if newest else 0)
        self._broken += self._start(t_us, beam, newest)
        self.beams.append(beam)

    def _timer_us(self, shot_id: str) -> int:
        detail = self.bench.journal.detail("intent", shot_id)
        return int(str(detail["timer_us"])) if detail and "timer_us" in detail else 0

    def _scanned(self, lines: Sequence[Line]) -> None:
        bench = self.bench
        for line in lines:
            if line.kind == "state":
                self._broken += self._left(line)
        unit = bench.rung.unit
        if unit is not None and bench.state in WITHOUT_HV:
            self._broken += _unsafe(bench.state, unit.outputs)
        self._follow_window(bench.t_us)

    def _follow_window(self, t_us: int) -> None:
        if self.bench.world.panel.state(t_us) == "integrating":
            self._window_us = t_us
        elif self.beams and self.bench.beam_on() and self.beams[-1].window_lost_us is None:
            self.beams[-1].window_lost_us = t_us

    # --- the start of a beam

    def _start(self, t_us: int, beam: Beam, newest: Exposure | None) -> Iterator[str]:
        shot = beam.shot
        if newest is None or shot is None:
            yield "a beam without any intent"
            return
        if newest.beam is not None or newest.acknowledged_by is not None:
            yield f"a beam without a durable intent of its own: {newest.shot_id} has its dose"
        if any(earlier.shot is shot for earlier in self.beams):
            yield f"two beams of one shot, {shot.shot_id}"
        yield from self._receptor(t_us, shot)
        yield from self._technique(beam, shot)
        yield from self._contacts(t_us)
        if not self._released(t_us):
            yield "a beam without a release of the switch before it"
        if not self._relay_opened(t_us):
            yield "a beam over a welded enable relay"

    def _receptor(self, t_us: int, shot: Shot) -> Iterator[str]:
        panel = self.bench.world.panel.state(t_us)
        if shot.kind is ShotKind.DARK:
            yield f"a beam for a dark frame, {shot.shot_id}"
        seen = since(self._window_us, t_us - self._limits.panel_age_us)  # all that a unit can know
        if shot.kind is ShotKind.IMAGING and panel != "integrating" and not seen:
            yield f"an imaging beam onto a panel that is {panel}"
        if shot.kind is ShotKind.NO_RECEPTOR and panel == "integrating":
            yield "a beam without a receptor onto a panel that integrates"

    def _technique(self, beam: Beam, shot: Shot) -> Iterator[str]:
        generator, course, asked = self.bench.world.generator, beam.course, shot.technique
        real = (course.kv / generator.kv_factor, course.ma / generator.ma_factor)
        if any(abs(r - a) > 0.01 * a for r, a in zip(real, (asked.kv, asked.ma), strict=True)):
            yield f"a beam of {real[0]:g} kV and {real[1]:g} mA, not as programmed: {asked}"

    def _contacts(self, t_us: int) -> Iterator[str]:
        """What was open for longer than the unit may take to see it must have kept the beam off."""
        history = self.bench.history
        for cause in AT_START:
            for from_us, to_us in history.spans(cause.true, 0, t_us):
                late_us = bound_us("release -> kV off, by the enable output")
                if self._disturbed(from_us, to_us):
                    late_us += self._limits.room_age_us
                if to_us == t_us and to_us - from_us > late_us:  # us-compare: two durations
                    yield f"a beam began while {cause.name}, for {(to_us - from_us) // MS} ms"

    def _disturbed(self, from_us: int, to_us: int) -> bool:
        cut_off = "room cut off" in self.bench.history.ever(from_us, to_us)
        return cut_off or self._stood(from_us, to_us)

    def _stood(self, from_us: int, to_us: int) -> bool:
        """The unit did not run for a while."""
        moments = self.bench.history.between(from_us, to_us)
        return any("unit runs" not in moment.words for moment in moments)

    def _released(self, t_us: int) -> bool:
        """Both stages were open, seen so for 50 ms, since the beam before this one."""
        from_us = self.beams[-1].on_us if self.beams else 0
        history = self.bench.history
        spans = history.spans(lambda words: not words & {"stage_1", "stage_2"}, from_us, t_us)
        merged: list[tuple[int, int]] = []
        for start_us, end_us in spans:
            if merged:
                blip_us = BLIP_US
                if self._disturbed(merged[-1][1], start_us):
                    blip_us += self._limits.room_age_us
                if start_us - merged[-1][1] <= blip_us:  # us-compare: two durations
                    start_us = merged.pop()[0]
            merged.append((start_us, end_us))
        longest_us = max((end_us - start_us for start_us, end_us in merged), default=0)
        return since(longest_us, SEEN_OPEN_US)

    def _relay_opened(self, t_us: int) -> bool:
        """SR-46: its contact closed after this press began, so it was open before."""
        pressed_us = self._pressed_us(t_us)
        log = self.bench.world.wiring.log
        return any(
            name == "enable" and closed and at_us >= pressed_us  # us-compare: the wiring's log
            for at_us, name, closed in log
        )

    def _pressed_us(self, t_us: int) -> int:
        history = self.bench.history
        spans = history.spans(lambda words: "stage_2" in words, 0, t_us)
        return spans[-1][0] if spans else 0

    # --- its end

    def _end(self, beam: Beam) -> Iterator[str]:
        gone_us = beam.course.gone_us()
        end_us = self.bench.t_us if gone_us is None else gone_us
        for name, from_us, to_us, learn_us in self._reasons(beam, end_us):
            most_us = self._bound_us(from_us, to_us)
            if most_us is None:
                continue
            limit_us = from_us + most_us + learn_us
            if to_us > limit_us:  # us-compare: the judge's own clock
                late_ms = (to_us - limit_us) / MS
                yield f"{name}, and the beam lasted {late_ms:g} ms more than this bench's bound"
        yield from self._watchdog(beam, end_us)

    def _reasons(self, beam: Beam, end_us: int) -> Iterator[tuple[str, int, int, int]]:
        """(what, from, to, how long to learn it), while the beam was on."""
        history = self.bench.history
        imaging = beam.shot is not None and beam.shot.has_frame
        for cause in (*CAUSES, PANEL_SILENT) if imaging else CAUSES:
            for from_us, to_us in history.spans(cause.true, beam.on_us, end_us):
                if to_us == end_us:  # an opening that closed again may not have been seen
                    learn_us = sum(getattr(self._limits, name) for name in cause.learnt_by)
                    yield cause.name, from_us, to_us, learn_us
        if beam.shot is None:
            return
        timer_us = beam.on_us + beam.timer_us * 11 // 10 + 10 * MS + self._limits.status_age_us
        if end_us > timer_us:  # us-compare: the judge's own clock
            yield "the back-up time is over", timer_us, end_us, 0
        if imaging and beam.window_lost_us is not None:
            yield "the window has closed", beam.window_lost_us, end_us, self._limits.panel_age_us

    def _bound_us(self, from_us: int, to_us: int) -> int | None:
        """Of the quickest layer that was whole; None: no layer was."""
        before_us = max(0, from_us - self._limits.room_age_us)
        words = self.bench.history.ever(before_us, to_us)
        runs = not self._stood(before_us, to_us)
        relay_us = bound_us("release -> kV off, by the enable output")
        layers = []
        if runs and not words & {"room cut off", "enable useless"}:
            layers.append(relay_us)
        if runs and not words & {"generator cut off", "OFF ignored"}:
            room_us = self._limits.room_age_us if "room cut off" in words else 0
            layers.append(bound_us("release -> kV off, by the OFF command") + room_us)
        if not words & {"enable useless", "pulse timer dead"}:
            layers.append(relay_us + bound_us("unit dead or stopped"))
        return min(layers, default=None)

    def _watchdog(self, beam: Beam, end_us: int) -> Iterator[str]:
        """Nobody speaks to the generator: it ends the beam itself."""
        limit_us = bound_us("line silent -> kV off") + bound_us("release -> kV off, by the OFF")

        def alone(words: frozenset[str]) -> bool:
            fed = "generator silent" not in words and "unit runs" in words
            return not fed and "watchdog dead" not in words

        for from_us, to_us in self.bench.history.spans(alone, beam.on_us, end_us):
            if to_us - from_us > limit_us:  # us-compare: two durations
                yield "a beam outlived the generator's watchdog"

    # --- what was written down

    def _doses(self) -> Iterator[str]:
        rows = {row.shot_id: row for row in self.bench.exposures()}
        beamed = {beam.shot.shot_id: beam for beam in self.beams if beam.shot is not None}
        for shot_id, beam in beamed.items():
            row = rows.get(shot_id)
            if row is None:
                yield f"the intent of {shot_id} is gone"
            elif beam.course.off_us is not None:
                yield from self._dose(beam, row)

    def _dose(self, beam: Beam, row: Exposure) -> Iterator[str]:
        """A known dose is near the truth, an unknown one has a bound that covers it."""
        end_us = beam.course.gone_us()
        assert end_us is not None
        words = self.bench.history.ever(beam.on_us, end_us)
        really_mas = beam.course.charge_mas(beam.on_us, end_us + 10 * MS)
        if row.beam is False:
            yield f"{row.shot_id} is written down as no beam, and had {really_mas:.3f} mAs"
        detail = self.bench.journal.detail("dose", row.shot_id)
        most_mas = float(str(detail["maximum_mas"])) if detail else row.maximum_mas
        if self._within_promise(beam, words) and really_mas > most_mas * DELIVERED:
            yield f"{row.shot_id}: at most {most_mas:.3f} mAs, and it had {really_mas:.3f}"
        if row.mas is None:
            return
        more_mas = less_mas = INDICATED_MAS + 0.03 * really_mas
        heard_us = end_us + self._limits.off_confirm_us
        if "generator silent" in self.bench.history.ever(beam.on_us, heard_us):
            # The proof came late: charged up to it, as long as that adds no more than this.
            more_mas += LATE_MAS + LATE_PART * row.mas
        if not really_mas - less_mas <= row.mas <= really_mas + more_mas:
            yield f"{row.shot_id}: {row.mas:.3f} mAs indicated, and it had {really_mas:.3f}"

    def _within_promise(self, beam: Beam, words: frozenset[str]) -> bool:
        """False: the generator gave more than its settings allow; then no bound holds."""
        if beam.shot is None or words & {"timer dead", "mA off"}:
            return False
        return beam.course.ma <= beam.shot.technique.ma * DELIVERED

    # --- states that the unit claims

    def _left(self, line: Line) -> Iterator[str]:
        locked_us = self._locked_us
        left = locked_us is not None and line.data["to"] != "LOCKED"
        if left and locked_us is not None and not self._key_and_reset(locked_us, line):
            yield f"LOCKED was left to {line.data['to']} without key and reset"
        self._locked_us = line.t_us if line.data["to"] == "LOCKED" else None
        self._state_us = line.t_us

    def _key_and_reset(self, locked_us: int, line: Line) -> bool:
        history, t_us = self.bench.history, line.t_us
        if line.data["to"] == "BOOT" and self._stood(locked_us, t_us):
            return True  # another life of the unit
        turned = any("key" not in moment.words for moment in history.between(locked_us, t_us))
        now = history.ever(max(locked_us, t_us - self._limits.room_age_us), t_us)
        return turned and "key" in now and bool(now & {"reset", "reset asked"})

    def _coils(self) -> Iterator[str]:
        """In a state without high voltage the room's own coils are off, once that was heard."""
        bench, t_us = self.bench, self.bench.t_us
        settled_us = self._state_us + bound_us("unit dead or stopped")
        if bench.state not in WITHOUT_HV or t_us < settled_us:  # us-compare: the judge's own clock
            return
        words = bench.history.ever(self._state_us, t_us)
        if self._stood(self._state_us, t_us) or words & {"room cut off", "pulse timer dead"}:
            return
        lit = [name for name in HV_COILS if bench.world.room.lit()[name]]
        if lit:
            yield f"in {bench.state} the room's coils {', '.join(lit)} are on"


def _unsafe(state: str, outputs: Outputs) -> Iterator[str]:
    levels = ("enable", "contactor", "prep_line", "expose_line", "ready_lamp", "prepare_panel")
    held = [name for name in levels if getattr(outputs, name)]
    orders = ("expose_from_us", "window_from_us", "technique", "intent")
    held += [name for name in orders if getattr(outputs, name) is not None]
    if held:
        yield f"in {state} the unit holds {', '.join(held)}"
