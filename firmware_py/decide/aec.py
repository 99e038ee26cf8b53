"""Automatic exposure: the generator's chambers end the beam, its back-up if they don't (SR-22).

Here the setting is judged before the beam, and by the generator's own account how it ended. No
wire that we speak carries the chambers' ramp in the beam, so SR-23 is judged after it: what sees
nothing ends at its back-up.
"""

from __future__ import annotations

from hal.types import AecData, ExposureReport, Shot

# 21 CFR 1020.31(a)(3), unverified clause. The law has 60 kWs as another way to the mAs; we keep
# below both, so that it makes no odds which one is asked for.
MOST_J = 60_000.0
HIGH_KV = 51.0  # 51.0 kV itself is on the side of 600 mAs
MOST_MAS, MOST_LOW_KV_MAS = 600.0, 2000.0
BACKUP_PCT = (150.0, 200.0)  # of the expected mAs: design, section 4
REACHED_PCT = 95.0  # ours: from so much of the back-up on, it was the back-up that ended the beam
EARLY_PCT = 20.0  # ours: less of the expected mAs was no patient, or no sound chamber
ROUNDING = 1.001  # a back-up in the generator's steps


def ceilings(kv: float, data: AecData) -> tuple[tuple[float, str], ...]:
    """(mAs, where it comes from) of all that limits an automatic exposure at this kV."""
    law = (MOST_MAS, "law, from 51 kV on") if kv >= HIGH_KV else (MOST_LOW_KV_MAS, "law, < 51 kV")
    found = [law, (MOST_J / kv, "60 kWs"), (data.own_mas, "the generator")]
    return (*found, *([(data.site_mas, "the site")] if data.site_mas is not None else []))


def ceiling(kv: float, data: AecData) -> tuple[float, str]:
    return min(ceilings(kv, data))


def backup_mas(kv: float, expected_mas: float, data: AecData) -> float:
    return min(expected_mas * data.backup_pct / 100, ceiling(kv, data)[0])


def problems(shot: Shot, data: AecData | None) -> tuple[str, ...]:
    """What this bench can't do of an automatic exposure, in words; () for all other shots."""
    setting = shot.technique.aec
    if setting is None:
        return ()
    if data is None:
        return ("aec: this bench has no chambers (no [aec] in its file)",)
    if setting.problems():
        return setting.problems()
    most = data.density_most_index
    numbers = ", ".join(str(index) for index in data.sensitivities_index)
    there = tuple(name for name in setting.chambers if name not in data.chambers)
    checks = (
        (bool(there), f"aec: no chamber {', '.join(there)}; there are {', '.join(data.chambers)}"),
        (shot.panel_id not in data.panels, f"aec: no chambers stand before {shot.panel_id}"),
        (not -most <= setting.density_index <= most, f"density must be {-most:+d} to {most:+d}"),
        (
            setting.sensitivity_index not in data.sensitivities_index,
            f"sensitivity must be one of {numbers}",
        ),
    )
    return tuple(words for wrong, words in checks if wrong) + _backup_problems(shot, data)


def _backup_problems(shot: Shot, data: AecData) -> tuple[str, ...]:
    setting, kv = shot.technique.aec, shot.technique.kv
    assert setting is not None
    most_mas, source = ceiling(kv, data)
    least_mas = min(setting.expected_mas * BACKUP_PCT[0] / 100, most_mas) / ROUNDING
    if not setting.expected_mas <= most_mas:
        return (
            f"expected mAs = {setting.expected_mas:g} are above the ceiling of {most_mas:g} mAs "
            f"({source}): raise kV",
        )
    top_mas = min(setting.expected_mas * BACKUP_PCT[1] / 100, most_mas) * ROUNDING
    if not least_mas <= setting.backup_mas <= top_mas:
        return (f"back-up = {setting.backup_mas:g} mAs must be {least_mas:g} to {top_mas:g} mAs",)
    return ()


def ended_wrongly(report: ExposureReport) -> str | None:
    """The fault of an automatic exposure that the generator ended, of what it says it made."""
    setting, mas, ms = report.shot.technique.aec, report.mas, report.beam_ms
    assert setting is not None
    assert mas is not None
    reached = mas >= setting.backup_mas * REACHED_PCT / 100
    timed_out = ms is not None and ms >= report.shot.technique.planned_ms * REACHED_PCT / 100
    if reached or timed_out:
        return "AEC_BACKUP"
    return "AEC_IMPLAUSIBLE" if mas < setting.expected_mas * EARLY_PCT / 100 else None
