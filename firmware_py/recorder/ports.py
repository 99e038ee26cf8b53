"""The unit's plug to the recorder: inline with modelled latency, or over the bus.

Both converge: what the unit still asks for and the recorder has not acknowledged is sent
again, so a restarted recorder or a disk that has room again needs no one to repeat it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from firmware_py.recorder.messages import (
    SCHEMA,
    intent_to_dict,
    report_to_dict,
    same_news,
    sample_from_dict,
)
from firmware_py.recorder.recorder import Recorder
from hal.now import Now
from hal.ports import FrameLink, LinkError
from hal.types import ExposureReport, Intent, RecorderSample

RENEW_US = 250_000  # a sample without news is renewed so often: its age is the unit's proof
RETRY_US = 200_000
SILENCE_US = 500_000  # ten missing heartbeats
KEPT_US = 1_000_000  # a recorder that began anew hears so soon what the panel keeps
News = str | int | tuple[str, ...] | None


class InlineRecorder:
    """The recorder in the unit's own process, its slowness modelled (model rung).

    The work is done when it is asked for, and shows when its latency has passed: intent
    and dose after a commit, the image after correction and writing.
    """

    def __init__(
        self,
        recorder: Recorder,
        frame_link: FrameLink,
        *,
        durable_us: int = 5_000,
        dose_us: int = 5_000,
        image_us: int = 40_000,
        t_us: int = 0,
    ) -> None:
        self._recorder = recorder
        self._frame_link = frame_link
        self._latency_us = {
            "intent_durable": durable_us,
            "dose_saved": dose_us,
            "image_saved": image_us,
            "image_failed": image_us,
            "level_counts": image_us,
            "frames_safe": image_us,
            "frames_wanted": 0,
        }
        self._done = recorder.sample(t_us)  # what the recorder has done
        self.sample = self._done  # what the unit sees of it
        self._due: deque[tuple[int, str, News]] = deque()
        self._intent: Intent | None = None
        self._report: ExposureReport | None = None
        self._retry_us = 0

    def read(self, now: Now) -> RecorderSample:
        for message in self._messages(now.t_us):
            self._recorder.frame(message, now.t_us)
        self._retry(now)
        self._schedule(now)
        self._show(now)
        return self.sample

    def write(
        self,
        now: Now,
        intent: Intent | None,
        report: ExposureReport | None,
        kept: tuple[str, ...],
    ) -> None:
        if intent is not None and not _is_of(self._intent, intent):
            self._recorder.intent(intent)
            self._retry_us = now.t_us + RETRY_US
        if report is not None and not _is_of(self._report, report):
            self._recorder.report(report)
            self._retry_us = now.t_us + RETRY_US
        self._recorder.kept(kept)
        self._intent, self._report = intent, report
        self._retry(now)
        self._schedule(now)
        for due_us, _, _ in self._due:
            now.wake(due_us)

    def _messages(self, t_us: int) -> Sequence[list[bytes]]:
        try:
            return self._frame_link.read(t_us)
        except LinkError:
            return ()  # the panel's own sample says that it is gone

    def _retry(self, now: Now) -> None:
        done = self._recorder.sample(now.t_us)
        intent = _unless(self._intent, done.intent_durable)
        report = _unless(self._report, done.dose_saved)
        if (intent is None and report is None) or not now.reached(self._retry_us):
            return
        self._retry_us = now.t_us + RETRY_US
        now.reached(self._retry_us)
        if intent is not None:
            self._recorder.intent(intent)
        if report is not None:
            self._recorder.report(report)

    def _schedule(self, now: Now) -> None:
        """Each field that the recorder has changed becomes visible after its own latency."""
        done = self._recorder.sample(now.t_us)
        for name, latency_us in self._latency_us.items():
            value = getattr(done, name)
            if value != getattr(self._done, name):
                self._due.append((now.t_us + latency_us, name, value))
        self._done = done

    def _show(self, now: Now) -> None:
        changed: dict[str, Any] = {
            name: getattr(self._done, name)
            for name in ("disk_ok", "panel_set_ok", "incomplete_count")
        }
        waiting = deque[tuple[int, str, News]]()
        for due_us, name, value in self._due:
            if now.reached(due_us):
                changed[name] = value
            else:
                waiting.append((due_us, name, value))
        self._due = waiting
        found = replace(self.sample, taken_us=now.t_us, **changed)
        if now.reached(self.sample.taken_us + RENEW_US) or not same_news(self.sample, found):
            self.sample = found
            now.reached(found.taken_us + RENEW_US)


class Bus(Protocol):
    """What the unit needs of `hal.bus.BusClient`: JSON objects, never waiting."""

    def poll(self) -> Sequence[Mapping[str, Any]]: ...

    def send(self, message: Mapping[str, Any]) -> object: ...


class BusRecorder:
    """The recorder in a process of its own: heartbeats in, intents and reports out."""

    def __init__(self, bus: Bus, *, t_us: int = 0) -> None:
        self._bus = bus
        self.sample = RecorderSample(taken_us=t_us)
        self._heard_us = t_us
        self._sent: dict[str, tuple[str, int]] = {}  # kind -> (shot, when it may be sent again)
        self._kept: tuple[str, ...] = ()
        self._kept_us = t_us  # when it is told again
        self.nonsense_count = 0

    def read(self, now: Now) -> RecorderSample:
        with suppress(LinkError):  # silence says the same, after its time
            for message in self._bus.poll():
                self._take(now, message)
        if self.sample.alive and now.reached(self._heard_us + SILENCE_US):
            self.sample = replace(self.sample, taken_us=now.t_us, alive=False)
        return self.sample

    def write(
        self,
        now: Now,
        intent: Intent | None,
        report: ExposureReport | None,
        kept: tuple[str, ...],
    ) -> None:
        if intent is not None and intent.shot.shot_id != self.sample.intent_durable:
            self._send(now, "intent", intent.shot.shot_id, intent_to_dict(intent))
        if report is not None and report.shot.shot_id != self.sample.dose_saved:
            self._send(now, "report", report.shot.shot_id, report_to_dict(report))
        self._tell_kept(now, kept)

    def _take(self, now: Now, message: Mapping[str, Any]) -> None:
        if message.get("schema") != SCHEMA or message.get("kind") != "recorder":
            return
        try:
            found = sample_from_dict(message.get("sample"), taken_us=now.t_us)
        except ValueError:
            self.nonsense_count += 1
            return
        self._heard_us = now.t_us
        if not same_news(self.sample, found) or now.reached(self.sample.taken_us + RENEW_US):
            self.sample = found

    def _tell_kept(self, now: Now, kept: tuple[str, ...]) -> None:
        """At once when it changes, and while there is anything now and then."""
        again = bool(kept) and now.reached(self._kept_us)
        if kept == self._kept and not again:
            return
        self._kept, self._kept_us = kept, now.t_us + KEPT_US
        now.reached(self._kept_us)
        with suppress(LinkError):
            self._bus.send({"schema": SCHEMA, "kind": "kept", "shots": list(kept)})

    def _send(self, now: Now, kind: str, shot_id: str, content: dict[str, Any]) -> None:
        sent, again_us = self._sent.get(kind, ("", 0))
        if sent == shot_id and not now.reached(again_us):
            return
        self._sent[kind] = (shot_id, now.t_us + RETRY_US)
        now.reached(now.t_us + RETRY_US)
        with suppress(LinkError):  # it is sent again until it is acknowledged
            self._bus.send({"schema": SCHEMA, "kind": kind, kind: content})


def _is_of(known: Intent | ExposureReport | None, new: Intent | ExposureReport) -> bool:
    """The scan may repeat an intent with a later time: the shot says whether it is new."""
    return known is not None and known.shot.shot_id == new.shot.shot_id


def _unless(asked: Any, acknowledged: str | None) -> Any:
    """What was asked for and is not acknowledged yet."""
    return None if asked is None or asked.shot.shot_id == acknowledged else asked
