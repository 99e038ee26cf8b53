"""People's actions and the fault catalogue's injections, as rules in any order.

`RuleMachine` plays on a simulated bench; after each rule the judge says what was broken. At
the end everything is mended, and the unit must find home and make an ordinary exposure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from hal.types import ShotKind
from sim.generator import BITS
from tests.rule_bench import DEVICES, RuleBench
from tests.rule_judge import RuleJudge

WIRINGS = ("chain", "bare")
HOME_MS = 25_000  # the longest deadline of a state, RELEASE_WAIT's 20 s, and then some
DURING = ("PREP", "READY", "INTERLOCK_CHECK", "EXPOSE", "READOUT", "RELEASE_WAIT")

Action = Callable[[RuleBench], None]


def does(verb: str, **args: Any) -> Action:
    return lambda bench: bench.do(verb, **args)


def in_a_pause(**values: float) -> Action:
    """The simulator takes a factor from the next start on, so it is no verb of a beam."""
    return lambda bench: None if bench.beam_on() else bench.do("generator", **values)


def recorder(trouble: str | None) -> Action:
    return lambda bench: bench.recorder_is(trouble)


def restart(bench: RuleBench) -> None:
    bench.kill_unit()
    bench.wait(100)
    bench.start_unit()


def stop_or_go_on(bench: RuleBench, *, stopped: bool) -> None:
    """SIGSTOP and SIGCONT; a dead unit minds neither."""
    if bench.runs and bench.frozen is not stopped:
        bench.freeze_unit(frozen=stopped)


def stands_for(ms: float) -> Action:
    """SIGSTOP, and SIGCONT so much later."""

    def stand(bench: RuleBench) -> None:
        stop_or_go_on(bench, stopped=True)
        bench.wait(ms)
        stop_or_go_on(bench, stopped=False)

    return stand


def silent_for(device: str, ms: float) -> Action:
    def silence(bench: RuleBench) -> None:
        bench.do("line", device=device, silent=True)
        bench.wait(ms)
        bench.do("line", device=device, silent=False)

    return silence


PEOPLE: dict[str, Action] = {
    "press stage 1": does("press", stage=1),
    "press": does("press"),
    "release stage 2": does("release", stage=2),
    "release": does("release"),
    "open door": does("open door"),
    "close door": does("close door"),
    "press e-stop": does("press e-stop"),
    "pull e-stop": does("pull e-stop"),
    "key off": does("key off"),
    "key on": does("key on"),
    "door glitch": does("glitch", contact="door", ms=3.0),
    "switch bounces": does("bounce", contact="stage_2", at_ms=[0.0, 2.0, 5.0, 9.0]),
    "press reset": does("press reset"),
    "release reset": does("release reset"),
    "ask for reset": lambda bench: bench.request(reset=True),
    "ask for no reset": lambda bench: bench.request(reset=False),
    "ask for a stop": lambda bench: bench.request(stop=True),
    "ask for no stop": lambda bench: bench.request(stop=False),
    "programme the next": lambda bench: void(bench.program()),
    "programme a dark frame": lambda bench: void(bench.program(ShotKind.DARK, ms=300.0)),
    "programme without a receptor": lambda bench: void(bench.program(ShotKind.NO_RECEPTOR)),
    "acknowledge": lambda bench: bench.acknowledge(),
}
BREAKS: dict[str, Action] = {
    **{f"{device} silent": does("line", device=device, silent=True) for device in DEVICES},
    **{f"{device} silent for 60 ms": silent_for(device, 60) for device in DEVICES},
    **{f"{device} answers again": does("line", device=device, silent=False) for device in DEVICES},
    **{f"generator trips: {bit}": does("trip generator", bit=bit) for bit in BITS},
    "arc": does("arc"),
    "generator refuses ON": does("generator", refuse_start=True),
    "generator ignores OFF": does("generator", ignore_off=True),
    "generator's timer dead": does("generator", timer_dead=True),
    "OFF lost once": does("lose OFF once"),
    "generator's watchdog dead": does("generator", watchdog_dead=True),
    "generator ignores its pair": does("generator", ignores_pair=True),
    "kV dips": does("generator", kv_off_pct=-30.0),
    "mA rises": does("generator", ma_off_pct=30.0),
    "generator's echo wrong": does("generator", wrong_echo="CP"),
    "generator answers one late": does("generator", late_replies=True),
    "generator reboots": does("reboot", device="generator"),
    "room I/O reboots": does("reboot", device="room"),
    "panel reboots": does("reboot", device="panel"),
    "answer to ON lost": does("lose answer", device="generator", text="ENBL1"),
    "generator answers 40 ms later": does("line", device="generator", delay_ms=40.0),
    "pair bridged": does("wiring", pair_bridged=True),
    "battery low": does("battery", volts=20.5),
    "mA high": in_a_pause(ma_factor=1.5),
    "mA a little high": in_a_pause(ma_factor=1.15),
    "mA low": in_a_pause(ma_factor=0.6),
    "kV drifted": in_a_pause(kv_factor=1.2),
    "panel never ready": does("panel", never_ready=True),
    "panel's window ends early": does("panel", window_ends_after_us=200_000),
    "panel has failed": does("panel", failed=True),
    "panel is stuck": does("panel", stuck=True),
    "panel's window opens late": does("panel", late_window_us=250_000),
    "frame damaged": does("panel", damaged_frames=True),
    "frame twice": does("panel", repeated_frames=True),
    "frame of the shot before": does("panel", frame_of_before=True),
    "frame late": does("panel", late_frame_us=2_000_000),
    "another panel answers": does("panel", wrong_id="P-OTHER"),
    "frame lost": does("panel", drop_frame=True),
    "frame too short": does("panel", short_frame=100),
    "enable relay welds": does("weld", relay="enable"),
    "enable relay is replaced": lambda bench: bench.do("heal", what="wiring"),
    "contactor welds": does("weld", relay="contactor"),
    "a pulse never ends": does("room", pulse_timer_dead=True),
    "beam lamp fails": does("wiring", lamp_intact=False),
    "recorder hangs": recorder("hangs"),
    "recorder is gone": recorder("is gone"),
    "disk full": recorder("disk full"),
    "recorder in order": recorder(None),
    "all is mended": lambda bench: bench.mend(),
    "unit stops": lambda bench: stop_or_go_on(bench, stopped=True),
    "unit goes on": lambda bench: stop_or_go_on(bench, stopped=False),
    "unit started": lambda bench: None if bench.runs else bench.start_unit(),
    "unit killed": lambda bench: bench.kill_unit(),
    "unit killed and started": restart,
    "unit stands for 120 ms": stands_for(120),
    "unit stands for 2 s": stands_for(2_000),
}
ACTIONS = PEOPLE | BREAKS
TECHNIQUES: dict[str, dict[str, float]] = {
    "0.25 mAs": {"mas": 0.25},
    "0.05 mAs": {"mas": 0.05},
    "400 ms": {"ms": 400.0},
    "2 s": {"ms": 2_000.0},
    "1 mA": {"ma": 1.0, "mas": 0.5},
}
kinds = st.sampled_from((ShotKind.IMAGING, ShotKind.NO_RECEPTOR))
techniques = st.sampled_from(sorted(TECHNIQUES))
actions = st.runner().flatmap(lambda machine: st.sampled_from(machine.words))
states = st.sampled_from(DURING)
scans = st.integers(0, 60)
pauses = st.integers(0, 400)
SEEN: Counter[str] = Counter()  # what all examples so far have reached


def void(_: object) -> None:
    return None


class RuleMachine(RuleBasedStateMachine):
    words: tuple[str, ...] = tuple(sorted(ACTIONS))  # fewer for a story that hunts something

    @initialize(wiring=st.sampled_from(WIRINGS))
    def power_up(self, wiring: str) -> None:
        self.bench = RuleBench(wiring)
        self.judge = RuleJudge(self.bench)
        self.bench.wait_for_state("STANDBY", 3_000)

    @rule(ms=st.sampled_from((5, 10, 20, 35, 60, 100, 300, 1_000, 3_000)))
    def wait(self, ms: int) -> None:
        self.bench.wait(ms)

    @rule(what=actions)
    def this_happens(self, what: str) -> None:
        ACTIONS[what](self.bench)

    @rule(kind=kinds, technique=techniques, ms=st.integers(0, 700))
    def make(self, kind: ShotKind, technique: str, ms: int) -> None:
        """As a person does it: release, choose, press, hold."""
        self.bench.do("release")
        self.bench.wait(150)
        self.bench.program(kind, **TECHNIQUES[technique])
        self.bench.do("press")
        if self.bench.wait_for(self.bench.beam_on, 800):
            self.bench.wait(ms)

    @rule(kind=kinds, technique=techniques, what=actions)
    def make_after(self, kind: ShotKind, technique: str, what: str) -> None:
        """Something was wrong before the press, and nothing else."""
        self.go_home()
        ACTIONS[what](self.bench)
        self.make(kind, technique, 0)

    @rule(technique=techniques, state=states, scans=scans, what=actions, ms=pauses, then=actions)
    def make_an_image_while(
        self, technique: str, state: str, scans: int, what: str, ms: int, then: str
    ) -> None:
        """Most orders of rules break something and then never reach a beam: these two do."""
        self._make_while(ShotKind.IMAGING, technique, state, scans, (what, ms, then))

    @rule(technique=techniques, state=states, scans=scans, what=actions, ms=pauses, then=actions)
    def make_a_shot_without_receptor_while(
        self, technique: str, state: str, scans: int, what: str, ms: int, then: str
    ) -> None:
        self._make_while(ShotKind.NO_RECEPTOR, technique, state, scans, (what, ms, then))

    def _make_while(
        self, kind: ShotKind, technique: str, state: str, scans: int, story: tuple[str, int, str]
    ) -> None:
        what, ms, then = story
        self.go_home()
        self.bench.program(kind, **TECHNIQUES[technique])
        self.bench.do("press")
        if self.bench.wait_for_state(state, 3_000):
            self.bench.wait(5 * scans)
        ACTIONS[what](self.bench)
        self.bench.wait(ms)
        ACTIONS[then](self.bench)

    # --- the way home

    @rule()
    def mend_and_reset_without_the_key(self) -> None:
        self.bench.mend()
        self.bench.do("release")
        self.bench.wait(200)
        for verb in ("press reset", "release reset"):
            self.bench.do(verb)
            self.bench.wait(100)

    @rule()
    def go_home(self) -> None:
        self.bench.go_home()

    @invariant()
    def nothing_is_broken(self) -> None:
        problems = self.judge.problems()
        assert not problems, problems

    def teardown(self) -> None:
        if not hasattr(self, "judge"):
            return
        self.go_home()
        assert self.bench.state == "STANDBY", f"mended and reset, and still {self.bench.state}"
        before = len(self.judge.beams)
        self.bench.wait(3_000)  # a panel that was dark boots for 2 s
        self.make(ShotKind.IMAGING, "0.25 mAs", 700)
        self.bench.do("release")
        assert len(self.judge.beams) == before + 1, "mended and reset, and no beam"
        self.nothing_is_broken()
        self._count()

    def _count(self) -> None:
        SEEN.update(line.data["to"] for line in self.bench.lines if line.kind == "state")
        SEEN.update(f"{b.shot.kind} beam" for b in self.judge.beams[:-1] if b.shot is not None)
