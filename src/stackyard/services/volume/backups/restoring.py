"""Restoring a backup: to a new volume, or over one that is there."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.volume import rows, statuses, tasks
from stackyard.services.volume.backups import bodies
from stackyard.services.volume.fields import stripped
from stackyard.services.volume.tables import backups
from stackyard.services.volume.volumes import creation as volume_creation
from stackyard.services.volume.volumes import finding as volume_finding


def restore(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /backups/{backup_id}/restore."""
    row, body = call.target, call.body
    if row.status != statuses.AVAILABLE:
        raise _invalid("backup", f"Backup status must be available, but it is {row.status}.")
    volume = _over(tx, call, row, body) if body.volume_id else _anew(tx, call, row, body)
    rows.update(tx, backups, row.id, status=statuses.RESTORING, restore_volume_id=volume.id)
    return {"restore": {"backup_id": row.id, "volume_id": volume.id, "volume_name": volume.name or ""}}


def _anew(tx: Transaction, call: Call, row: Any, body: bodies.Restore) -> Any:
    wanted = volume_creation.Request(
        name=stripped(body.name) or f"restore_backup_{row.id}",
        description="auto-created_from_restore_from_backup",
        backup_id=row.id,
    )
    volume = volume_creation.create(tx, call.runtime, call.caller, wanted)
    if volume.status == statuses.ERROR:
        raise _invalid("volume", f"No volume can be made to restore backup {row.id} to: {volume.fault}")
    return volume


def _over(tx: Transaction, call: Call, row: Any, body: bodies.Restore) -> Any:
    volume = volume_finding.find(tx, call.caller, str(body.volume_id))
    if volume.status != statuses.AVAILABLE:
        raise _invalid("volume", f"Volume to be restored to must be available, but it is {volume.status}.")
    if row.size > volume.size:
        raise _invalid("volume", f"volume size {volume.size} is too small to restore backup of size {row.size}.")
    if volume.host != row.host and not call.runtime.settings.volume.shared:
        raise _invalid(
            "volume", f"volume {volume.id} is kept on host {volume.host}, the backup on host {row.host}: restore it "
            "to a new volume, or to one of that host."
        )  # fmt: skip
    tasks.begin_for(tx, call, volume, "restore", statuses.RESTORING_BACKUP, backup_id=row.id)
    return volume


def _invalid(what: str, reason: str) -> BadRequest:
    return BadRequest(f"Invalid {what}: {reason}", kind=f"Invalid{what.capitalize()}")
