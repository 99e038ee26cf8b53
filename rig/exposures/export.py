"""Exposures in a folder for others: the files as they were saved, a table, and their sums.

    OUT/0012-x-0123456789ab/     frame, DICOM images, preview, exposure.json
    OUT/exposures.csv            one row each, doses in mAs
    OUT/exposures.json           the same with all that the journal says
    OUT/SHA256SUMS               `sha256sum -c SHA256SUMS` checks the lot

Files that are not what was saved are left out, and told.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rig.exit_codes import DeviceError
from rig.exposures.quarantine import AGAIN
from rig.exposures.stored import Stored
from rig.exposures.verify import wrong_files

COLUMNS = (
    "number", "shot_id", "at", "exam_id", "kind", "outcome", "mas", "maximum_mas", "planned_mas",
    "reason", "acknowledged_by", "acknowledged_why",
)  # fmt: skip


@dataclass(slots=True)
class Exported:
    exposures_count: int = 0  # whose files are there, or that have none
    files_count: int = 0
    left_out: list[str] = field(default_factory=list)


def export(chosen: Sequence[Stored], out: Path) -> Exported:
    """`out`: empty. Raises DeviceError when it can't be written."""
    done = Exported()
    try:
        for one in chosen:
            _copy(one, out, done)
        _write_table(chosen, out / "exposures.csv")
        text = json.dumps([_whole(one) for one in chosen], indent=1, sort_keys=True) + "\n"
        (out / "exposures.json").write_text(text, encoding="utf-8")
        _write_sums(out)
    except OSError as error:
        where, why = error.filename or out, (error.strerror or str(error)).lower()
        raise DeviceError(f"{where}: {why}; the export is not complete") from error
    return done


def _copy(one: Stored, out: Path, done: Exported) -> None:
    wrong = list(wrong_files(one))
    if wrong:
        done.left_out += [f"{one.exposure.shot_id}: {what}" for what in wrong]
        return
    done.exposures_count += 1
    if one.folder is None:
        return
    folder = out / f"{one.exposure.number:04d}-{one.exposure.shot_id}"
    folder.mkdir()
    for file in sorted(one.folder.iterdir()):
        if file.suffix not in (".part", AGAIN):
            shutil.copy2(file, folder / file.name)
            done.files_count += 1


def _write_table(chosen: Sequence[Stored], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([getattr(one.exposure, name) for name in COLUMNS] for one in chosen)


def _whole(one: Stored) -> dict[str, object]:
    exposure = asdict(one.exposure) | {"outcome": one.exposure.outcome}
    del exposure["image"]
    return exposure | {"intent": one.intent, "dose": one.dose, "image": one.image}


def _write_sums(out: Path) -> None:
    lines = []
    for path in sorted(out.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            lines.append(f"{digest}  {path.relative_to(out)}\n")
    (out / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")
