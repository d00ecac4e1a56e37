"""Backups as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.services.volume import lists
from stackyard.services.volume.backups import finding


def brief(call: Call, row: Any) -> dict[str, Any]:
    """A backup in a list."""
    return {"id": row.id, "name": row.name, "links": lists.links(call, f"backups/{row.id}")}


def full(tx: Transaction, call: Call, rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Backups with all that they have."""
    parents = finding.with_dependents(tx, [row.id for row in rows])
    shows_project = call.since(3, 18) and call.allows("backup:backup_project_attribute")
    return [_full(call, row, row.id in parents, shows_project=shows_project) for row in rows]


def _full(call: Call, row: Any, has_dependents: bool, *, shows_project: bool) -> dict[str, Any]:
    found = brief(call, row) | {
        "status": row.status,
        "size": row.size,
        "object_count": row.object_count,
        "availability_zone": row.availability_zone,
        "container": row.container,
        "created_at": iso_naive(row.created_at),
        "updated_at": _moment(row.updated_at),
        "description": row.description,
        "fail_reason": row.fail_reason,
        "volume_id": row.volume_id,
        "is_incremental": row.parent_id is not None,
        "has_dependent_backups": has_dependents,
        "snapshot_id": row.snapshot_id,
        "data_timestamp": _moment(row.data_timestamp),
    }
    if call.since(3, 43):
        found["metadata"] = row.metadata
    if call.since(3, 64) and row.encryption_key_id:
        found["encryption_key_id"] = row.encryption_key_id
    if shows_project:
        found["os-backup-project-attr:project_id"] = row.project_id
        if call.since(3, 56):
            found["user_id"] = row.user_id
    return found


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else iso_naive(moment)
