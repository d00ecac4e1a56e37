"""User messages (3.3): why something that was accepted has failed, told to the project that asked for it."""

from __future__ import annotations

from datetime import timedelta

import sqlalchemy as sa

from stackyard.core import ids
from stackyard.core.db import Transaction
from stackyard.services.volume.tables import messages

KEPT_DAYS = 30

VOLUME, SNAPSHOT, BACKUP = "VOLUME", "VOLUME_SNAPSHOT", "VOLUME_BACKUP"
"""Kinds of resources that messages are about."""

ACTIONS = {
    "001": "schedule allocate volume",
    "002": "attach volume",
    "003": "copy volume to image",
    "004": "update attachment",
    "005": "copy image to volume",
    "006": "unmanage volume",
    "007": "extend volume",
    "008": "create volume from backend storage",
    "009": "create snapshot",
    "010": "delete snapshot",
    "011": "update snapshot",
    "012": "update snapshot metadata",
    "013": "create backup",
    "014": "delete backup",
    "015": "restore backup",
    "016": "reimage volume",
}
DETAILS = {
    "001": "An unknown error occurred.",
    "002": "Driver is not initialized at present.",
    "003": "Could not find any available weighted backend.",
    "004": "Failed to upload volume to image at backend.",
    "005": "Volume's attach mode is invalid.",
    "006": "Not enough quota resource for operation.",
    "007": "Image used for creating volume exceeds available space.",
    "008": "Unmanaging encrypted volumes is not supported.",
    "009": "Compute service failed to extend volume.",
    "010": "Volume Driver failed to extend volume.",
    "011": "Image signature verification failed.",
    "012": "Driver failed to create the volume.",
    "013": "Snapshot failed to create.",
    "014": "Volume snapshot update metadata failed.",
    "015": "Snapshot is busy.",
    "016": "Snapshot failed to delete.",
    "017": "Backup status is invalid.",
    "018": "Backup service is down.",
    "019": "Failed to get backup device from the volume service.",
    "020": "Backup driver failed to create backup.",
    "021": "Failed to attach volume.",
    "022": "Failed to detach volume.",
    "023": "Cleanup of temporary volume/snapshot failed.",
    "024": "Backup failed to schedule. Service not found for creating backup.",
    "025": "Backup driver failed to delete backup.",
    "026": "Backup driver failed to restore backup.",
    "027": "Volume status is invalid.",
    "028": "Compute service failed to reimage volume.",
    "029": "The image disk format must be the same as the volume format for the volume type you are requesting.",
    "030": "Incremental backup not possible, forcing full backup.",
}
"""What messages say, by Cinder's numbers: clients find them by these."""

_ADD = sa.insert(messages)


def write(
    tx: Transaction,
    *,
    project_id: str,
    request_id: str,
    resource_type: str,
    resource_id: str,
    action: str,
    detail: str,
    level: str = "ERROR",
    reason: str = "",
) -> None:
    """Tell a project what went wrong: `action` and `detail` are keys of ACTIONS and DETAILS, `reason` our own words."""
    told = f"{ACTIONS[action]}:{DETAILS[detail]} {reason}".strip()
    row = {
        "id": ids.new_uuid(), "project_id": project_id, "request_id": request_id,
        "resource_type": resource_type, "resource_id": resource_id,
        "event_id": f"VOLUME_{resource_type}_{action}_{detail}", "action_id": action, "detail_id": detail,
        "user_message": told[:1000], "message_level": level,
        "created_at": tx.now, "guaranteed_until": tx.now + timedelta(days=KEPT_DAYS),
    }  # fmt: skip
    tx.execute(_ADD, row)
