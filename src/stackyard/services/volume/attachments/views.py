"""Attachments as Cinder shows them."""

from __future__ import annotations

from typing import Any

from stackyard.core.clock import iso_naive


def summary(row: Any) -> dict[str, Any]:
    """Of lists without details."""
    return {"id": row.id, "status": row.attach_status, "instance": row.instance_id, "volume_id": row.volume_id}


def detail(row: Any) -> dict[str, Any]:
    """All of it; how the volume is reached once who attaches it has said from where."""
    told = row.connection_info or {}
    flat = {**told.get("data", {}), **{key: value for key, value in told.items() if key != "data"}}
    if flat:
        flat["attachment_id"] = row.id
    return summary(row) | {
        "attached_at": "" if row.attached_at is None else iso_naive(row.attached_at),
        "detached_at": "",
        "attach_mode": row.attach_mode,
        "connection_info": flat,
    }
