"""Statuses of volumes, snapshots and attachments in Cinder's words, and what may be asked in which."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from stackyard.core.errors import BadRequest

AVAILABLE = "available"
IN_USE = "in-use"
RESERVED = "reserved"
ATTACHING = "attaching"
DETACHING = "detaching"
CREATING = "creating"
DELETING = "deleting"
EXTENDING = "extending"
UPLOADING = "uploading"
DOWNLOADING = "downloading"
RETYPING = "retyping"
REVERTING = "reverting"
RESTORING = "restoring"
RESTORING_BACKUP = "restoring-backup"
BACKING_UP = "backing-up"
MAINTENANCE = "maintenance"
AWAITING_TRANSFER = "awaiting-transfer"
MANAGING = "managing"
ERROR = "error"
ERROR_DELETING = "error_deleting"
ERROR_EXTENDING = "error_extending"
ERROR_RESTORING = "error_restoring"
ERROR_MANAGING = "error_managing"

DELETABLE = (AVAILABLE, ERROR, ERROR_RESTORING, ERROR_EXTENDING, ERROR_MANAGING, ERROR_DELETING)
"""Of volumes (and of snapshots: available, error)."""

VOLUME_STATUSES = (
    CREATING, AVAILABLE, DELETING, ERROR, ERROR_DELETING, ERROR_MANAGING, MANAGING, ATTACHING, IN_USE, DETACHING,
    MAINTENANCE, RESTORING_BACKUP, ERROR_RESTORING, RESERVED, AWAITING_TRANSFER, BACKING_UP, "error_backing-up",
    ERROR_EXTENDING, DOWNLOADING, UPLOADING, RETYPING, EXTENDING,
)  # fmt: skip
"""Those that an administrator may reset a volume to."""

ATTACHED = "attached"
DETACHED = "detached"

READY = (AVAILABLE, IN_USE)
"""What is on it may be read."""

BROKEN = (ERROR, ERROR_DELETING, ERROR_RESTORING, ERROR_EXTENDING, ERROR_MANAGING)

MOVING = (None, "", "error", "success", "none")
"""migration_status of a volume that is not on its way to another place."""


def is_ready(row: Any) -> bool:
    """Whether the volume has its content, nothing else being under way."""
    return row.status in READY


def has_failed(row: Any) -> bool:
    """Whether it will never be ready by itself."""
    return row.status in BROKEN


def is_migrating(row: Any) -> bool:
    """Whether it is on its way to another back end."""
    return row.migration_status not in MOVING


def require(row: Any, allowed: Collection[str], action: str, *, what: str = "Volume", kind: str | None = None) -> None:
    """Raise BadRequest (InvalidVolume) unless the volume, or snapshot, has one of these statuses."""
    if row.status not in allowed:
        raise BadRequest(
            f"Invalid {what.lower()}: {what} {row.id} status must be {' or '.join(allowed)} to {action}, "
            f"but current status is: {row.status}.",
            kind=kind or f"Invalid{what}",
        )


def require_settled(row: Any, action: str) -> None:
    """Raise BadRequest (InvalidVolume) while the volume migrates."""
    if is_migrating(row):
        raise BadRequest(
            f"Invalid volume: Volume {row.id} must not be migrating to {action} "
            f"(migration_status {row.migration_status}).",
            kind="InvalidVolume",
        )
