"""One shot after the other: ask for what to set, wait for the person's press, write down the beam.

dxrig starts nothing and can end nothing here. It says what it saw, what it did not see, and what
it saw without having asked for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from firmware_py.config import TubeConfig
from hal.generators.manual import Beam, BeamWatch
from hal.now import Now
from hal.types import RoomSample
from rig.exit_codes import DeviceError, Ended, UsageError
from rig.observe.answers import Answers, AsAsked
from rig.observe.notes import Claim, Expected, Notes
from rig.observe.picture_process import Imaging
from rig.observe.pictures import News, Unasked
from rig.observe.room import WatchedRoom
from rig.observe.shots import Setting, answered
from sim.console import Dialled

FIRST_US = 3_000_000
LONG_US = 10_000_000  # a beam of which is told that nobody here can end it


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A row of the answer: a shot, or a beam that nobody had asked for."""

    number: int
    shot_id: str
    outcome: str  # "seen" | "no beam seen" | "unasked"
    asked: Setting | None
    set: Setting | None
    how: str | None
    beam: Beam | None
    start: datetime | None
    end: datetime | None
    image: str | None = None  # where images are taken: "saved", "not come" or "not made"

    @property
    def is_clean(self) -> bool:
        return self.outcome == "seen" and self.image in (None, "saved")

    def as_dict(self) -> dict[str, Any]:
        seen_us = self.beam.seen_us if self.beam else None
        return {
            "number": self.number,
            "shot_id": self.shot_id,
            "outcome": self.outcome,
            "asked": self.asked.as_dict() if self.asked else None,
            "set_by_person": self.set.as_dict() if self.set else None,
            "how": self.how,
            "start": self.start.isoformat() if self.start else None,
            "end": self.end.isoformat() if self.end else None,
            "seen_ms": None if seen_us is None else seen_us / 1000,
            "image": self.image,
        }


class Watching:
    """`done` is called with how many shots of the list are behind us."""

    def __init__(
        self,
        room: WatchedRoom,
        watch: BeamWatch,
        notes: Notes,
        tube: TubeConfig,
        answers: Answers,
        *,
        wait_us: int,
        by: str | None = None,
        say: Callable[[str], None] = lambda text: None,
        done: Callable[[int], None] = lambda count: None,
        imaging: Imaging | None = None,
        image_us: int = 0,
    ) -> None:
        """`imaging`: takes the maker's images, each at most `image_us` after its beam."""
        self._room, self._watch, self._notes, self._tube = room, watch, notes, tube
        self._answers, self._wait_us, self._by = answers, wait_us, by
        self._say, self._done = say, done
        self._imaging, self._image_us = imaging, image_us
        self._awaits = False  # an image; that of another beam meanwhile is nobody's
        self._now = Now(0)
        self._told_long_us: int | None = None
        self.shown: list[Shown] = []

    def run(self, settings: Sequence[Setting], done_count: int = 0) -> None:
        """Raises DeviceError when the room falls silent, Ended on Ctrl-C; `shown` stands then."""
        self._first()
        for at in range(done_count, len(settings)):
            self._say(f"shot {at + 1} of {len(settings)}: set {settings[at]}")
            self._shot(self._claim(settings[at]))
            self._done(at + 1)
        self._finish_beam()
        for news in self._imaging.close() if self._imaging is not None else ():
            self._say(news.text)

    def _first(self) -> None:
        while not self._tick_quietly()[1].link_ok:
            if self._now.reached(FIRST_US):
                raise DeviceError(
                    "the room I/O does not answer: no beam could be seen; "
                    "check its power, cable and address"
                )

    # --- one shot

    def _claim(self, asked: Setting) -> Claim:
        """What the person says is set; beams meanwhile are nobody's."""
        if not isinstance(self._answers, AsAsked):
            self._say("press Enter when it is set so, or type what you set")
        while True:
            try:
                line = self._answers.poll()
                if line is not None:
                    return self._said(asked, line)
            except UsageError as error:
                self._say(str(error))
            except EOFError:
                raise UsageError(
                    "nobody answers on standard input; --yes takes each shot as asked"
                ) from None
            self._between()
            self._news()

    def _said(self, asked: Setting, line: str) -> Claim:
        if isinstance(self._answers, AsAsked):
            return Claim(asked=asked, set=asked, how="taken as asked (--yes)", by=self._by)
        said = answered(line, asked, self._tube)
        how = "typed" if line else "confirmed as asked"
        return Claim(asked=asked, set=said, how=how, by=self._by)

    def _shot(self, claim: Claim) -> None:
        self._finish_beam()
        shot_id = self._notes.prompted(claim, self._now.t_us)
        prompted_us = self._now.t_us
        self._say(f"now press the generator's own switch: {claim.set}")
        self._room.prompted(_dialled(claim.set))
        try:
            beam, is_cut = self._next_beam(prompted_us), False
        except KeyboardInterrupt:
            beam, is_cut = self._to_its_end(), True
        self._write(claim, shot_id, beam, prompted_us)
        if is_cut:
            raise Ended("ended by the operator; `dxrig observe --resume` goes on")

    def _next_beam(self, prompted_us: int) -> Beam | None:
        """That of this prompt, for no beam was on when it was given; None: none in time."""
        while True:
            beam = self._tick()
            if beam is not None:
                return beam
            if not self._watch.on and self._now.reached(prompted_us + self._wait_us):
                return None

    def _to_its_end(self) -> Beam | None:
        """After Ctrl-C: a beam that is on is watched until it ends, for dxrig can't end it."""
        if not self._watch.on:
            return None
        self._say("watching this beam to its end: let go of the switch, dxrig can't end it")
        try:
            while (beam := self._tick()) is None:
                pass
        except KeyboardInterrupt:
            raise Ended("ended in a beam whose end was not seen; see `dxrig recover`") from None
        return beam

    def _write(self, claim: Claim, shot_id: str, beam: Beam | None, prompted_us: int) -> None:
        technique = claim.set.as_dict()
        if beam is None:
            self._notes.none_seen(shot_id, technique, self._now.t_us)
            self._say("no beam was seen: recorded as none")
            self._show("no beam seen", shot_id, beam, claim)
            return
        self._notes.seen(shot_id, technique, beam)
        self._show("seen", shot_id, beam, claim)
        if self._imaging is not None:
            expected = self._notes.picture_of(shot_id, claim.set, prompted_us, beam)
            at = len(self.shown) - 1  # beams that nobody asked for may come meanwhile
            self.shown[at] = replace(self.shown[at], image=self._image(self._imaging, expected))

    # --- its image

    def _image(self, imaging: Imaging, expected: Expected) -> str:
        """The room is watched meanwhile, and every beam in it recorded."""
        imaging.expect(expected)
        self._awaits = True
        try:
            return self._awaited(imaging, expected)
        finally:
            self._awaits = False

    def _awaited(self, imaging: Imaging, expected: Expected) -> str:
        shot_id, since_us = expected.report.shot.shot_id, self._now.t_us
        self._say("waiting for its image from the maker's tool")
        while not self._now.reached(since_us + self._image_us):
            self._between()
            for news in self._news():
                if news.shot_id == shot_id:
                    return self._settled(news, shot_id, expected.number)
        imaging.expect(None)
        self._say(
            f"NO IMAGE of exposure {expected.number} came in {self._image_us / 1e6:g} s: look at "
            "the maker's console; `dxrig recover` asks for a reason before the next session"
        )
        return "not come"

    def _settled(self, news: News, shot_id: str, number: int) -> str:
        if news.detail is None:
            self._say(f"the image of exposure {number} can't be made: {news.text}")
            return "not made"
        self._notes.imaged(shot_id, self._now.t_us, news.detail)
        self._say(f"image of exposure {number} saved")
        return "saved"

    def _news(self) -> Sequence[News]:
        """What is not about the awaited image is for the person at once."""
        if self._imaging is None:
            return ()
        news = self._imaging.poll(self._now.t_us)
        for one in news:
            if one.shot_id is None:
                self._say(one.text)
        return news

    # --- beams that nobody asked for

    def _between(self) -> None:
        beam = self._tick()
        if beam is not None:
            self._unasked(beam)

    def _finish_beam(self) -> None:
        while self._watch.on:
            self._between()

    def _unasked(self, beam: Beam) -> None:
        shot_id = self._notes.unasked(beam)
        self._show("unasked", shot_id, beam, None)
        if self._imaging is not None and not self._awaits:
            start_us = beam.end_us if beam.start_us is None else beam.start_us
            self._imaging.expect(Unasked(shot_id=shot_id, start_us=start_us, end_us=beam.end_us))

    # --- the room

    def _tick(self) -> Beam | None:
        beam, sample = self._tick_quietly()
        if not sample.link_ok:
            raise DeviceError(
                "the room I/O fell silent: whether there is a beam can't be seen; "
                "check its power and cable. A shot that was under way stays open: `dxrig recover`"
            )
        return beam

    def _tick_quietly(self) -> tuple[Beam | None, RoomSample]:
        self._now, sample = self._room.tick()
        beam = self._watch.take(self._now, sample)
        self._tell_long()
        return beam, sample

    def _tell_long(self) -> None:
        began_us = self._watch.began_us if self._watch.on else None
        if began_us is None or began_us == self._told_long_us:
            return
        if self._now.reached(began_us + LONG_US):
            self._told_long_us = began_us
            self._say("X-rays are still on after 10 s: let go of the switch; dxrig can't end them")

    def _show(self, outcome: str, shot_id: str, beam: Beam | None, claim: Claim | None) -> None:
        start_us, end_us = (beam.start_us, beam.end_us) if beam else (None, None)
        shown = Shown(
            number=self._notes.number(shot_id),
            shot_id=shot_id,
            outcome=outcome,
            asked=claim.asked if claim else None,
            set=claim.set if claim else None,
            how=claim.how if claim else None,
            beam=beam,
            start=None if start_us is None else self._notes.at(start_us),
            end=None if end_us is None else self._notes.at(end_us),
        )
        self.shown.append(shown)
        if beam is not None:
            self._say(sentence(shown))


def _dialled(setting: Setting) -> Dialled:
    """For the simulated person, whose console knows mA and time."""
    ma = setting.ma or 100.0
    ms = setting.ms or 1000.0 * setting.planned_mas / ma
    return Dialled(kv=setting.kv, ma=ma, ms=ms)


def sentence(shown: Shown) -> str:
    """One line for the person: when, how long, and whose word it is."""
    assert shown.beam is not None
    seen_us = shown.beam.seen_us
    lasted = "nobody saw it begin" if seen_us is None else f"{seen_us / 1000:g} ms"
    when = shown.start or shown.end
    assert when is not None
    stamp = when.astimezone().strftime("%H:%M:%S.%f")[:-3]
    what = "NOBODY WAS ASKED FOR IT" if shown.outcome == "unasked" else f"as set: {shown.set}"
    return f"beam seen at {stamp}, {lasted}; {what}; exposure {shown.number}"
