"""What a scenario may set in the panel to make it fail; `sim.detector` does it."""

from __future__ import annotations

from sim.injection import Injection
from sim.lag import GHOST_PCT

LONG_US = 60_000_000
TRIGGER_UGY_PER_S = 1.0  # a choice: 80 kV and 1 mA behind 10 cm of acrylic are three times that
INJECTIONS = {
    "never_ready": Injection("the scrub never ends (F30)"),
    "late_ready_us": Injection(
        "the scrub takes so much longer (F30)", 0, between=(0, LONG_US
    )),
    "claims_ready": Injection("says ready without being armed: no window ever opens (F29)"),
    "late_window_us": Injection(
        "the window opens so much later than T_PREP (F30)", 0, between=(0, LONG_US
    )),
    "claims_window": Injection("says integrating and gathers nothing: the frame is dark (F29)"),
    "window_ends_after_us": Injection(
        "the window closes by itself so long after it opened (F31)",
        None, int, between=(0, LONG_US),
    ),
    "late_frame_us": Injection("the read-out takes so much longer", 0, between=(0, LONG_US)),
    "stuck": Injection("stays in its present state: answers, and does nothing that it is told"),
    "failed": Injection("error, at once, also in the window; starts anew when it is taken back"),
    "memory_full": Injection("the next arming ends in error, until this is taken back (F33)"),
    "wrong_id": Injection("answers with this id instead of its own (F40)", None, str),
    "drop_frame": Injection("frames are counted and kept, but what is sent never arrives"),
    "short_frame": Injection(
        "so many bytes are missing at the end of each frame (F34)", 0, between=(0, 1_000_000
    )),
    "long_frame_bytes": Injection(
        "so many bytes too many at the end of each frame (F34)", 0, between=(0, 1_000_000
    )),
    "frame_of_before": Injection("the frame before it once more, with the shot of then (F37)"),
    "zero_frame": Injection("every pixel is 0 (F38)"),
    "saturated_frame": Injection("every pixel stands at full scale (F38)"),
    "dead_rows_count": Injection(
        "so many rows in the middle of each frame are 0 (F39)", 0, between=(0, 4608
    )),
    "warmer_c": Injection(
        "so much warmer than at its calibration: offsets and dark current move",
        0.0, between=(-20.0, 40.0),
    ),
    "aged_pct": Injection(
        "its pixels' gains have moved so far (sigma): any gain map of before is stale",
        0.0, between=(0.0, 20.0),
    ),
    "ghost_pct": Injection(
        "gain that a bright exposure adds at most, for some 20 minutes: its ghost",
        GHOST_PCT, between=(0.0, 20.0),
    ),
    "line_noise_count": Injection(
        "each row of each frame stands off by an amount of its own, of this sigma",
        0.0, between=(0.0, 1000.0),
    ),
    "hot_row_offset_count": Injection(
        "the middle row stands so many counts higher", 0, between=(0, 65535)
    ),
    "knocked": Injection("a knock: a panel that detects by itself triggers without X-rays (F42)"),
    "trigger_ugy_per_s": Injection(
        "of a panel that detects by itself: the kerma rate on it from which it does so",
        TRIGGER_UGY_PER_S, between=(0.001, 1e6),
    ),
    "in_beam": Injection(
        "False: the panel stands aside, no kerma reaches it and its frames are dark",
        True, heals=False,
    ),
}  # fmt: skip
