"""Snapshots as Cinder shows them, at each microversion."""

from __future__ import annotations

from typing import Any

from stackyard.core.call import Call
from stackyard.core.clock import iso_naive


def summary(row: Any) -> dict[str, Any]:
    """Of lists without details."""
    return {
        "id": row.id,
        "created_at": iso_naive(row.created_at),
        "updated_at": None if row.updated_at is None else iso_naive(row.updated_at),
        "name": row.name,
        "description": row.description,
        "volume_id": row.volume_id,
        "status": row.status,
        "size": row.volume_size,
        "metadata": row.metadata,
    }


def plain(call: Call, row: Any) -> dict[str, Any]:
    """What creates and updates answer: without the extensions."""
    view = summary(row)
    if call.since(3, 14):
        view["group_snapshot_id"] = row.group_snapshot_id
    if call.since(3, 41):
        view["user_id"] = row.user_id
    if call.since(3, 65):
        view["consumes_quota"] = row.use_quota
    return view


def detail(call: Call, row: Any) -> dict[str, Any]:
    """All that may be seen of it."""
    view = plain(call, row)
    if call.allows("volume_extension:extended_snapshot_attributes", row):
        view["os-extended-snapshot-attributes:project_id"] = row.project_id
        view["os-extended-snapshot-attributes:progress"] = row.progress
    return view
