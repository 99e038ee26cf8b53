"""What a victim is given to record: told by a seed, so that the judge knows it without asking.

Six kinds of exposure in each six, in an order that the seed shuffles. Panels are as small as a
bench allows, because what is tested is the store and not the pictures.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np

from firmware_py.recorder.image.maps import PanelSet, all_parts
from firmware_py.recorder.setup import Setup
from hal.ports import PanelFrame
from hal.stream_v1 import encode_image
from hal.types import EndReason, ExposureReport, Intent, Shot, Technique
from rig.bench import load_bench

SIDE_PX = 64
STARTED = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAMESPACE = UUID("00000000-0000-4000-8000-00000000d15c")
EVERY_US = 10_000_000
WINDOW_US = 4_000_000


class Kind(StrEnum):
    IMAGE = "image"
    RAW = "raw"
    EARLY = "frame before report"
    ABORTED = "aborted"
    UNKNOWN = "unknown dose"
    NO_BEAM = "no beam"


@dataclass(frozen=True, slots=True)
class Planned:
    number: int  # in the story; the journal numbers for itself
    kind: Kind
    intent: Intent
    report: ExposureReport
    frame: PanelFrame | None

    @property
    def shot_id(self) -> str:
        return self.intent.shot.shot_id

    @property
    def message(self) -> list[bytes]:
        return encode_image(self.frame) if self.frame else []


@cache
def setup() -> Setup:
    unit = load_bench("portable").unit
    panel = unit.panel.model_copy(update={"rows_px": SIDE_PX, "columns_px": SIDE_PX})
    return Setup(
        unit=unit.model_copy(update={"panel": panel}),
        started_at=STARTED,
        uid_namespace=NAMESPACE,
        simulated=True,
    )


@cache
def panel_set() -> PanelSet:
    """Maps that change nothing but an offset."""
    shape = (SIDE_PX, SIDE_PX)
    return PanelSet(
        panel_id=setup().unit.panel.panel_id,
        unit_serial=setup().unit.site.serial,
        parts=all_parts(
            created=STARTED - timedelta(days=1), valid_until=STARTED + timedelta(days=30)
        ),
        offset=np.full(shape, 100, np.float32),
        gain=np.ones(shape, np.float32),
        defects=np.zeros(shape, np.bool_),
    )


def shot_id(seed: int, number: int) -> str:
    return f"D{seed}-{number:05d}"


def planned(seed: int, number: int) -> Planned:
    chance = random.Random(f"{seed}/{number}")
    kind = _kind(seed, number)
    made_us = number * EVERY_US
    shot = Shot(
        shot_id=shot_id(seed, number),
        technique=Technique(kv=70.0, ma=0.5, mas=2.0),
        exam_id=setup().exam.exam_id,
        panel_id=setup().unit.panel.panel_id,
        raw=kind not in (Kind.IMAGE, Kind.NO_BEAM),
    )
    bound_mas = 3.0 + chance.randrange(100) / 64.0
    intent = Intent(shot=shot, planned_mas=2.0, maximum_mas=bound_mas, at_us=made_us)
    report = _report(kind, intent, mas=1.0 + chance.randrange(128) / 128.0)
    return Planned(number, kind, intent, report, _frame(kind, shot, made_us, chance))


def _kind(seed: int, number: int) -> Kind:
    block, place = divmod(number - 1, len(Kind))
    kinds = list(Kind)
    random.Random(f"{seed}/kinds/{block}").shuffle(kinds)
    return kinds[place]


def _report(kind: Kind, intent: Intent, mas: float) -> ExposureReport:
    fields: dict[str, Any] = {
        "shot": intent.shot,
        "reason": EndReason.PLANNED,
        "beam": True,
        "mas": mas,
        "maximum_mas": intent.maximum_mas,
        "kv": 70.1,
        "ma": 0.502,
        "beam_ms": 4010.5,
        "start_us": intent.at_us + 1_000_000,
        "end_us": intent.at_us + 5_000_000,
    }
    if kind is Kind.ABORTED:
        fields |= {"reason": EndReason.RELEASED, "mas": mas / 4.0}
    elif kind is Kind.UNKNOWN:
        fields |= {"reason": EndReason.FAULT, "fault": "GENERATOR_SILENT", "mas": None}
    elif kind is Kind.NO_BEAM:
        nothing = dict.fromkeys(("kv", "ma", "beam_ms", "start_us"))
        fields |= {"reason": EndReason.NO_BEAM, "beam": False, "mas": 0.0, **nothing}
    return ExposureReport(**fields)


def _frame(kind: Kind, shot: Shot, made_us: int, chance: random.Random) -> PanelFrame | None:
    if kind is Kind.NO_BEAM:
        return None
    stored = (1 << setup().unit.panel.bits_stored) - 1
    noise = np.frombuffer(chance.randbytes(2 * SIDE_PX * SIDE_PX), "<u2") & np.uint16(stored)
    return PanelFrame(
        series=1,
        frame_index=0,
        rows_px=SIDE_PX,
        columns_px=SIDE_PX,
        pixels=noise.astype("<u2").tobytes(),
        start_us=made_us,
        stop_us=made_us + WINDOW_US,
        panel_id=shot.panel_id,
        shot_id=shot.shot_id,
    )
