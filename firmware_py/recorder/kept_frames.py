"""What becomes of the frames that the panel still keeps: safe here, wanted, or neither.

The panel may forget a frame once the journal has its image ("saved"), or once it is sure
that nothing was irradiated (security 5 and 6.4, rule 4). A frame of this run that is not
here is wanted (SR-56). Those of other runs and other units are left where they are:
`dxrig recover --fetch` asks for them.
"""

from __future__ import annotations

from collections.abc import Callable

from firmware_py.recorder.earlier_lives import ExposureSoFar
from firmware_py.recorder.store.exposures import Exposure
from hal.types import EndReason, ExposureReport, ShotKind


class KeptFrames:
    def __init__(
        self,
        of_this_run: Callable[[str], ExposureSoFar | None],
        in_journal: Callable[[str], Exposure | None],
        *,
        makes_images: bool,
    ) -> None:
        """Both raise JournalError: then the last word stands.

        `makes_images`: False where nothing but the journal is written; any frame may go then.
        """
        self.shots: tuple[str, ...] = ()
        self.safe: tuple[str, ...] = ()
        self.wanted: tuple[str, ...] = ()
        self._of_this_run = of_this_run
        self._in_journal = in_journal
        self._makes_images = makes_images

    def judge(self, shots: tuple[str, ...]) -> None:
        """Anew whenever the panel keeps others, or something was saved. Raises JournalError."""
        self.shots = shots
        words = {shot: self._word(shot) for shot in shots}
        self.safe = tuple(shot for shot, word in words.items() if word == "safe")
        self.wanted = tuple(shot for shot, word in words.items() if word == "wanted")

    def _word(self, shot_id: str) -> str | None:
        exposure = self._of_this_run(shot_id)
        if exposure is None:
            row = self._in_journal(shot_id)
            if row is None:
                return None
            return "safe" if _done_with(row) or not self._makes_images else None
        if exposure.imaged or _nothing_in_it(exposure.report):
            return "safe"
        return "wanted" if exposure.digest is None else None


def _done_with(row: Exposure) -> bool:
    without_beam = row.beam is False and row.kind != ShotKind.DARK
    return row.sound and (row.image is not None or without_beam)


def _nothing_in_it(report: ExposureReport | None) -> bool:
    """ON never left: the window was opened for nothing."""
    return report is not None and not report.beam and report.reason is not EndReason.DARK
