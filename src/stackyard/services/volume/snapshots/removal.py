"""When a snapshot is gone: its row, and what was counted for it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.volume import tasks
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.tables import snapshots

_DELETE = sa.delete(snapshots).where(snapshots.c.id == bindparam("key"))


def forget(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Forget a snapshot that its host has removed; its quota is free."""
    tx.execute(_DELETE, {"key": row.id})
    if row.use_quota:
        usage.reserve(tx, runtime, row.project_id, row.volume_type_id, snapshots=-1, gigabytes=-row.volume_size)
    timeline.record(tx, tasks.SNAPSHOT, row.id, "gone")
