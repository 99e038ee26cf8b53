"""How panels and generators agree on an exposure over discrete lines: one table for each maker.

From protocols.md 9.1, by the manuals named in each table; none was checked on a device. A time
that its document does not give is None, never a guess: a bench must then bring its own limit.
`handshake_lines.py` follows these tables, `detectors/line_panel.py` drives the lines of a bench by
them (bench `portable_lines`), `sim/line_panel.py` plays a panel by the tables alone.

| | asks | grants | ends the window |
|---|---|---|---|
| Canon CXDI-80C | RX_REQ | RX_COM, within 300 ms | RX_REQ dropped, or RX_COM's own time |
| Siemens Novation | GEN_RDY_FOR_DR_EXP_ | DR_DET_RDY_FOR_EXP_ | drop, or the panel |
| Rayence DR trigger | EXP_REQ | EXP_OK | a fixed acquisition time |
| CareRay external | GEN_SYNC | DET_SYNC | the integration time: the panel can't stop a beam |
| automatic detection | nobody | nobody: the X-rays do | the panel |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

SOURCE = "protocols.md 9.1: Canon, Siemens, Rayence, CareRay and PZMedical documents"
VERIFIED = "against no device"

T_PREP_MAX_US = 300_000  # Canon: RX_REQ to RX_COM, the only such time that is public


class Signal(Enum):
    """What a line means, whatever its maker calls it."""

    POWERED = "generator powered"
    SYSTEM_READY = "panel takes a preparation"
    PREPARE = "preparation started"
    REQUEST = "exposure wanted"
    GRANT = "exposure enabled"
    BEAM = "X-rays are on"
    ERROR = "panel reports an error"


TO_PANEL = (Signal.POWERED, Signal.PREPARE, Signal.REQUEST, Signal.BEAM)


class Ends(Enum):
    """What ends the window."""

    DROP = "the request is dropped"
    PANEL = "the panel, by its own time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """`_us` ranges are (least, most)."""

    source: str
    lines: dict[Signal, str]
    active_low: bool = False
    ends: tuple[Ends, ...] = ()
    grant_us: tuple[int, int] | None = None  # request -> grant
    beam_us: tuple[int, int] | None = None  # grant -> X-rays
    past_us: tuple[int, int] | None = None  # end of the grant -> end of the X-rays
    drop_us: tuple[int, int] | None = None  # end of the X-rays -> request dropped
    lockout_us: int | None = None  # after a request that was dropped before its grant
    arm_us: tuple[int, int] | None = None  # automatic detection: until a trigger is believed
    recover_us: int | None = None  # ... and after each image

    @property
    def is_automatic(self) -> bool:
        """The X-rays themselves trigger: nobody asks."""
        return Signal.REQUEST not in self.lines


HANDSHAKES = {
    "canon_cxdi_80c": Handshake(
        source="Canon CXDI-80C installation manual, 7.3.2 [V]",
        lines={Signal.REQUEST: "RX_REQ", Signal.GRANT: "RX_COM"},
        ends=(Ends.DROP, Ends.PANEL),  # how long RX_COM lasts by itself is not public
        grant_us=(0, T_PREP_MAX_US),
        beam_us=(0, 100_000),  # T_PRE_DELAY
        past_us=(0, 100_000),  # T_POST_DELAY
        drop_us=(0, 100_000),  # T_RX_REQ_NEG
        lockout_us=1_000_000,  # "about 1 s", worst case
    ),
    "siemens_novation": Handshake(
        source="Siemens MAMMOMAT Novation DR, FFDM-S service manual, Table 2-1 [V]",
        lines={
            Signal.POWERED: "GEN_POWERED_ON_",
            Signal.SYSTEM_READY: "DR_SYST_RDY_",
            Signal.PREPARE: "PREP_DR_DET_",
            Signal.REQUEST: "GEN_RDY_FOR_DR_EXP_",  # anode at speed; stays between two exposures
            Signal.GRANT: "DR_DET_RDY_FOR_EXP_",
            Signal.BEAM: "X_RAY_ON_",
            Signal.ERROR: "DR_DET_ERR",
        },
        active_low=True,  # [I]: of the names with a trailing underscore; the document is silent
        ends=(Ends.DROP, Ends.PANEL),
    ),
    "rayence": Handshake(
        source="Rayence wireless service manual RA14-11A-022, 2.6.1 [V]",
        lines={Signal.REQUEST: "EXP_REQ", Signal.GRANT: "EXP_OK"},
        ends=(Ends.PANEL,),  # "fixed Image Acquisition Time"
    ),
    "careray_external": Handshake(
        source="CareRay CareView 750C operation manual RD-OI-20 A/3 [V]",
        lines={Signal.REQUEST: "GEN_SYNC", Signal.GRANT: "DET_SYNC"},
        ends=(Ends.PANEL,),  # "inside the integration time"
    ),
    "careray_f2aed": Handshake(
        source="CareRay F2AED guidance [V]: no times are public",
        lines={},
        ends=(Ends.PANEL,),
    ),
    "rayence_aed": Handshake(
        source="Rayence wireless service manual RA14-11A-022, 2.6.1 [V]: no cable, no signal",
        lines={},
        ends=(Ends.PANEL,),
    ),
    "pzmedical_aed": Handshake(
        source="PZMedical DetectorWorkflow.txt [R], unverified",
        lines={},
        ends=(Ends.PANEL,),
        arm_us=(4_000_000, 5_000_000),
        recover_us=10_000_000,  # "about 10 s"
    ),
}


def level(table: Handshake, signal: Signal, active: bool) -> bool:
    """The level of its line; of Siemens' lines those with a trailing underscore turn it over."""
    turned = table.active_low and table.lines[signal].endswith("_")
    return active != turned
