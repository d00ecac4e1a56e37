"""Asking for a snapshot of a volume, and for its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from stackyard.core import ids, timeline
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.runtime import Runtime
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.snapshots import finding, removal
from stackyard.services.volume.tables import snapshots
from stackyard.services.volume.volumes import finding as volume_finding

_INSERT = sa.insert(snapshots)


def require_possible(volume: Any, allowed: tuple[str, ...]) -> None:
    """Raise BadRequest (InvalidVolume) when no snapshot can be made of the volume now."""
    if not volume.host:
        reason = "The snapshot cannot be created because volume has not been scheduled to any host."
    elif volume.status == statuses.MAINTENANCE:
        reason = "The snapshot cannot be created when the volume is in maintenance mode."
    elif statuses.is_migrating(volume):
        reason = "Snapshot cannot be created while volume is migrating."
    elif volume.status == statuses.ERROR:
        reason = "The snapshot cannot be created when the volume is in error status."
    elif volume.status not in allowed:
        reason = f"Volume {volume.id} status must be {', '.join(allowed)}, but current status is: {volume.status}."
    else:
        return
    raise BadRequest(f"Invalid volume: {reason}", kind="InvalidVolume")


def create(
    tx: Transaction,
    runtime: Runtime,
    caller: Caller,
    volume: Any,
    *,
    name: str | None,
    description: str | None = None,
    metadata: Mapping[str, str] | None = None,
    in_use: bool = False,
    group_snapshot_id: str | None = None,
) -> Any:
    """Have a snapshot made, and return its row; of a volume that is in use when `in_use`.

    It is the caller's project's. Raises BadRequest for the volume's state, 413 for quotas.
    """
    require_possible(volume, statuses.READY if in_use else (statuses.AVAILABLE,))
    volume_finding.hold(tx, volume.id)  # it is not deleted meanwhile
    project_id = caller.project_id or volume.project_id
    usage.reserve(tx, runtime, project_id, volume.volume_type_id, snapshots=1, gigabytes=volume.size)
    row = {
        "id": ids.new_uuid(), "project_id": project_id, "user_id": caller.user_id, "volume_id": volume.id,
        "volume_size": volume.size, "volume_type_id": volume.volume_type_id, "name": name, "description": description,
        "metadata": dict(metadata or {}), "image_metadata": volume.image_metadata, "bootable": volume.bootable,
        "encryption_key_id": volume.encryption_key_id, "group_snapshot_id": group_snapshot_id, "host": volume.host,
        "backend": volume.backend, "status": statuses.CREATING, "progress": "0%", "task": {"name": "create"},
        "fault": None, "use_quota": True, "created_at": tx.now, "updated_at": None,
    }  # fmt: skip
    tx.execute(_INSERT, row)
    timeline.record(tx, tasks.SNAPSHOT, row["id"], "create asked", f"of volume {volume.id}")
    tasks.mark(tx, runtime, row["id"], volume.host, kind=tasks.SNAPSHOT)
    return finding.by_id(tx, row["id"])


def delete(tx: Transaction, runtime: Runtime, row: Any, *, force: bool = False, of_group: bool = False) -> None:
    """Have a snapshot deleted; raises BadRequest (InvalidSnapshot) for its state, unless `force`.

    One of a group's snapshot goes only with that (`of_group`).
    """
    allowed = (statuses.AVAILABLE, statuses.ERROR, statuses.ERROR_DELETING)
    if (not force and row.status not in allowed) or (row.group_snapshot_id and not of_group):
        words = "" if force else f"status must be {' or '.join(allowed)} and it "
        raise BadRequest(
            f"Invalid snapshot: Snapshot {words}must not be part of a group; its status is {row.status}.",
            kind="InvalidSnapshot",
        )
    if row.host is None:
        removal.forget(tx, runtime, row)
        return
    tasks.begin(tx, runtime, row, "delete", kind=tasks.SNAPSHOT, columns={"status": statuses.DELETING})
