"""Forgetting what is under way with a volume: an administrator says what it is instead, or it is deleted meanwhile."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.image import api as image_api
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.tables import backups
from stackyard.services.volume.volumes import retype

_BACKUP = (
    sa.update(backups)
    .where(backups.c.id == bindparam("key"), backups.c.status == statuses.RESTORING)
    .values(status=statuses.AVAILABLE)
)


def abandon(tx: Transaction, runtime: Runtime, volume: Any) -> None:
    """Undo what beginning the volume's task took: quota, the image reserved, the snapshot or backup that is read."""
    task = volume.task or {}
    name = task.get("name")
    if name == "extend" and volume.use_quota:
        less = volume.size - int(task["size"])
        usage.reserve(tx, runtime, volume.project_id, volume.volume_type_id, gigabytes=less)
    elif name == "retype":
        retype.settle(tx, runtime, volume, done=False)
    elif name == "upload":
        row = image_api.find_any(tx, task["image_id"])
        if row is not None and row.status == "queued":
            image_api.discard_image(tx, runtime, row.id)
    elif name == "revert":
        tasks.update(tx, task["snapshot_id"], kind=tasks.SNAPSHOT, status=statuses.AVAILABLE)
    elif name == "restore" or task.get("source") == "backup":
        tx.execute(_BACKUP, {"key": task.get("backup_id") or task["source_id"]})
