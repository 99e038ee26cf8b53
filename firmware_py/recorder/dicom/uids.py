"""UIDs fixed at intent time, so that intent, dose and image are tied before the beam (SR-55).

Each is a version-5 UUID of namespace and name, as an integer below the site's root
(2.25 is the root for UUIDs, PS3.5 B.2). The namespace is handed in: one per run on real
benches, the scenario's on the model rung, where two runs then give identical files.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID, uuid5

from firmware_py.config import SiteConfig

UUID_ROOT = "2.25"
_PROJECT = UUID("a731bb6e-aabb-4990-8983-e8bc875f9d30")  # made once for this project
IMPLEMENTATION_UID = f"{UUID_ROOT}.{uuid5(_PROJECT, 'implementation').int}"
IMPLEMENTATION_NAME = "DXRIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureUids:
    study: str
    irradiation_event: str
    acquisition: str
    processing_series: str
    processing: str
    presentation_series: str
    presentation: str


def exposure_uids(
    *, root: str, namespace: UUID, exam_id: str, shot_id: str, study: str | None = None
) -> ExposureUids:
    """`study` is the worklist's; without one, all shots of an exam share a study of their own."""

    def of(role: str) -> str:
        return uid(root, namespace, _name(shot_id, role))

    return ExposureUids(
        study=study or uid(root, namespace, f"exam/{exam_id}/study"),
        irradiation_event=uid(root, namespace, event_name(shot_id)),
        acquisition=of("acquisition"),
        processing_series=of("processing series"),
        processing=of("processing"),
        presentation_series=of("presentation series"),
        presentation=of("presentation"),
    )


def event_name(shot_id: str) -> str:
    """What names an exposure within its run."""
    return _name(shot_id, "irradiation event")


def _name(shot_id: str, role: str) -> str:
    return f"shot/{shot_id}/{role}"


def device_uid(site: SiteConfig) -> str:
    """The same for a unit on every day."""
    return uid(site.uid_root, _PROJECT, f"device/{site.manufacturer}/{site.model}/{site.serial}")


def uid(root: str, namespace: UUID, name: str) -> str:
    """At most 64 characters. Raises ValueError when the root leaves no room."""
    found = f"{root}.{uuid5(namespace, name).int}"
    if len(found) > 64:
        raise ValueError(f"site.uid_root has {len(root)} characters, at most 24 leave room: {root}")
    return found
