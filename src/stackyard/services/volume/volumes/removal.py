"""When a volume is gone: its row, and what was counted for it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.runtime import Runtime
from stackyard.services.volume import tasks
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.tables import attachments, transfers, volumes

_FORGET = (
    sa.delete(attachments).where(attachments.c.volume_id == bindparam("key")),
    sa.delete(transfers).where(transfers.c.volume_id == bindparam("key")),
    sa.delete(volumes).where(volumes.c.id == bindparam("key")),
)


def forget(tx: Transaction, runtime: Runtime, row: Any) -> None:
    """Forget a volume that its host has removed, or never had: its attachments and transfers too; its quota is free."""
    for statement in _FORGET:
        tx.execute(statement, {"key": row.id})
    if row.use_quota:
        usage.reserve(tx, runtime, row.project_id, row.volume_type_id, volumes=-1, gigabytes=-row.size)
    timeline.record(tx, tasks.VOLUME, row.id, "gone")
