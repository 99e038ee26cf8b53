"""One exposure on a bad line, and what must hold of it whatever the line does.

The hand holds both stages as long as it can: a beam that nobody ended would last until then.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

from rig.bench import Bench
from rig.judge import PROPERTIES, Seen
from rig.model import setting_of
from rig.run_model import ModelRun
from rig.scenario import Scenario
from sim.build import pixel_model
from sim.mischief_links import MischiefLink, links_of
from sim.pixels import PixelModel
from tests.model_runs import bench

LATER_MS = 4_000  # the hand holds on so long after the end, or after a fault
LIMIT_US = 60_000_000
AFTER_US = {"STANDBY": 600_000, "FAULT": 7_000_000, "LOCKED": 7_000_000}
ENDS = ("STANDBY", "FAULT", "LOCKED")
DEAD_UNIT_US = 270_000  # `dxrig doctor --bounds`: unit dead or stopped -> kV off
HAND: tuple[dict[str, Any], ...] = (
    {"event": "STANDBY", "after_ms": 200, "do": "press", "args": {"stage": 1}},
    {"event": "READY", "after_ms": 100, "do": "press", "args": {"stage": 2}},
    {"event": "READOUT", "after_ms": 300, "do": "release"},
    {"event": "RELEASE_WAIT", "nth": 2, "after_ms": 300, "do": "release"},
    {"event": "FAULT", "after_ms": LATER_MS, "do": "release"},
    {"event": "LOCKED", "after_ms": LATER_MS, "do": "release"},
)


@cache
def small() -> tuple[Bench, PixelModel]:
    """The smallest panel there is: what pixels cost is another matter."""
    panel = bench().unit.panel.model_copy(update={"rows_px": 64, "columns_px": 64})
    made = replace(bench(), unit=bench().unit.model_copy(update={"panel": panel}))
    return made, pixel_model(setting_of(made))


class Story(ModelRun):
    """From power-up to the second STANDBY, a fault, or a lock, and a while longer."""

    def __init__(self, *steps: Mapping[str, Any], mas: float = 0.25, **options: Any) -> None:
        asked = {"kv": 80.0, "ma": 0.5, "mas": mas}
        scenario = Scenario.model_validate(
            {"title": "a bad line", "shot": asked, "step": [*HAND, *steps],
             "expect": {"path": ["BOOT"]}}
        )  # fmt: skip
        on, pixels = small()
        super().__init__(on, scenario, pixels=pixels, **options)

    def run(self) -> Seen:
        self._start_unit()
        self.script.event("start")
        self._run_until(self._over, LIMIT_US)
        after_us = AFTER_US.get(self._states()[-1], 0)
        self._run_until(lambda: False, self.rung.t_us + after_us)
        self._run_until(lambda: self._states()[-1] in ENDS, self.rung.t_us + LIMIT_US)
        self._close()
        return self.seen()

    def _over(self) -> bool:
        states = self._states()
        return bool(states) and (states[-1] in ENDS[1:] or states.count("STANDBY") == 2)

    def _states(self) -> list[str]:
        return [line.data["to"] for line in self.lives[-1].lines if line.kind == "state"]

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """What was done to which line."""
        return {name: dict(link.counts) for name, link in links_of(self.rung.world).items()}


def mischief(
    device: str, event: str = "STANDBY", after_ms: float = 0.0, **args: Any
) -> dict[str, Any]:
    """A step of the script."""
    return {
        "event": event, "after_ms": after_ms, "do": "mischief", "args": {"device": device, **args}
    }  # fmt: skip


def spoiled(device: str, kind: str, seed: int) -> dict[str, Any]:
    """A mischief whose rate, beginning, direction and delay the seed chooses, too."""
    dice = random.Random(f"{device} {kind} {seed}")
    few = device == "frames"  # three messages an exposure, all of them to the unit
    return mischief(
        device,
        event=dice.choice(("start", "STANDBY", "PREP", "READY", "INTERLOCK_CHECK", "EXPOSE")),
        seed=seed,
        toward="unit" if few else dice.choice(("both", "both", "unit", "device")),
        delay_ms=dice.choice((3.0, 20.0, 60.0, 250.0)),
        **{kind: dice.choice((0.3, 0.6, 1.0) if few else (0.02, 0.1, 0.3))},
    )


# --- what must hold


def broken(story: Story, seen: Seen) -> list[str]:
    """Empty: every property held."""
    return [problem for rule in RULES for problem in rule(story, seen)]


def _judged(story: Story, seen: Seen) -> Iterator[str]:
    """SR-01, 09, 10, 52: by the unit's own trace."""
    for property_of in PROPERTIES:
        yield from property_of(seen)


def _ended(story: Story, seen: Seen) -> Iterator[str]:
    last = seen.states()[-1]
    if last not in ENDS:
        yield f"ended in {last}"
    if any(beam.off_us is None for beam in seen.beams):
        yield "a beam that never ended"


def _ordered(story: Story, seen: Seen) -> Iterator[str]:
    """Every beam began in EXPOSE, with all contacts closed, and ended with it or soon after."""
    spans = _exposing(seen)
    for beam in seen.beams:
        span = next((s for s in spans if s[0] <= beam.on_us <= s[1]), None)
        if span is None:
            yield f"a beam at {beam.on_us} us that nobody ordered: EXPOSE was {spans}"
        elif beam.off_us is not None and beam.off_us - span[1] > DEAD_UNIT_US:
            yield f"on for {beam.off_us - span[1]} us after EXPOSE had ended"
        for net in ("stage_1", "stage_2", "door", "estop", "key", "safety_relay", "enable"):
            if not _closed(story, net, beam.on_us):
                yield f"a beam at {beam.on_us} us with {net} open"


def _exposing(seen: Seen) -> list[tuple[int, int]]:
    """From ... to which scan the unit was in EXPOSE; the enable relay drops 5 ms later."""
    states = seen.of("state")
    return [
        (line["t_us"], after["t_us"] + 10_000)
        for line, after in zip(states, [*states[1:], {"t_us": 1 << 62}], strict=True)
        if line["to"] == "EXPOSE"
    ]


def _closed(story: Story, net: str, t_us: int) -> bool:
    moves = [closed for at_us, name, closed in story.rung.world.wiring.log
             if name == net and at_us <= t_us]  # fmt: skip
    return bool(moves) and moves[-1]


def _told(story: Story, seen: Seen) -> Iterator[str]:
    """A press is refused or starts PREP, an order has its report."""
    orders = sum(line.get("expose") is True for line in seen.of("out"))
    reports = seen.of("report")
    if not orders <= len(reports) <= seen.states().count("PREP"):
        yield f"{orders} orders, {len(reports)} reports"
    pressed = any(line.get("stage_1") is True for line in seen.of("room"))
    answers = [*seen.of("refused"), *(s for s in seen.states() if s in ("PREP", "FAULT", "LOCKED"))]
    if pressed and not answers:
        yield "a press that was neither taken nor refused"
    if len(seen.beams) > sum(report["beam"] for report in reports):
        yield f"{len(seen.beams)} beams, and reports {reports}"


def _dose(story: Story, seen: Seen) -> Iterator[str]:
    """SR-53: the bound covers the simulator's own integral, and "indicated" is no less.

    More is reported when the proof of the end came late, but no more than a charge may be off.
    Of a flipped digit the IXS wire says nothing (it has no checksum): then only the bounds count.
    """
    true_mas = sum(beam.mas for beam in seen.beams)
    believable = not links_of(story.rung.world)["generator"].counts["flip"]
    for report in seen.of("report"):
        mas, most_mas = report["mas"], report["maximum_mas"]
        if most_mas < true_mas * 0.999 - 1e-6:
            yield f"bound {most_mas:.4f} mAs, truth {true_mas:.4f}"
        if believable and mas is not None and mas < true_mas * 0.9 - MAS_BAND:
            yield f"reported {mas:.4f} mAs, truth {true_mas:.4f}"
        if believable and mas is not None and mas > true_mas + mas * LATE_PCT / 100 + LATE_MAS:
            yield f"reported {mas:.4f} mAs, far more than the truth {true_mas:.4f}"
        if mas is not None and mas > most_mas:
            yield f"reported {mas:.4f} mAs, above its own bound {most_mas:.4f}"


MAS_BAND = 0.02
LATE_PCT, LATE_MAS = 10.0, 0.2  # IEC 60601-2-54 203.6.4 (unverified clause)
RULES = (_judged, _ended, _ordered, _told, _dose)


def summary(story: Story, seen: Seen) -> str:
    reports: Sequence[dict[str, Any]] = seen.of("report")
    beams = [f"{beam.on_us}-{beam.off_us} {beam.mas:.4f}" for beam in seen.beams]
    told = [f"{r['reason']} {r['fault']} {r['mas']} <= {r['maximum_mas']:.3f}" for r in reports]
    return f"{' '.join(seen.states()[4:])} {seen.faults()} beams {beams} reports {told}"


# --- exact attacks


@cache
def traffic(device: str, event: str = "STANDBY") -> dict[str, list[bytes]]:
    """toward -> the chunks of a clean exposure, from the first `event` on."""
    story = Story(mischief(device, event=event))
    link = links_of(story.rung.world)[device]
    assert isinstance(link, MischiefLink)
    found: dict[str, list[bytes]] = {"unit": [], "device": []}
    read, write, follow = link.read, link.write, link.follow

    def begin(*args: Any) -> None:
        follow(*args)
        found["unit"], found["device"] = [], []

    def hear(t_us: int) -> bytes:
        data = read(t_us)
        found["device"] += [data] if data else []
        return data

    def say(t_us: int, data: bytes) -> None:
        found["unit"].append(data)
        write(t_us, data)

    for name, method in (("read", hear), ("write", say), ("follow", begin)):
        setattr(link, name, method)
    seen = story.run()
    assert not broken(story, seen)
    assert seen.states()[-1] == "STANDBY"
    return found


def attacks(device: str, event: str = "STANDBY") -> list[dict[str, Any]]:
    """Every byte of a clean exposure lost, each of its bits flipped, one more before it."""
    found: list[dict[str, Any]] = []
    for toward, chunks in traffic(device, event).items():
        for number, chunk in enumerate(chunks):
            for byte in range(len(chunk)):
                at = {"toward": toward, "chunk": number, "byte": byte}
                found.append({"once": "lose", **at})
                found += [{"once": "flip", "value": bit, **at} for bit in range(8)]
                found.append({"once": "insert", "value": (37 * len(found)) % 256, **at})
    return found
