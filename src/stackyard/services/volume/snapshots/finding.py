"""The snapshot that a call is about."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.volume.owned import OwnedRows
from stackyard.services.volume.tables import snapshots

_rows = OwnedRows(snapshots, "Snapshot", "snapshot_id")
by_id, by_ids, of_project, find, load = _rows.by_id, _rows.by_ids, _rows.of_project, _rows.find, _rows.load

_OF_VOLUME = (
    sa.select(snapshots)
    .where(snapshots.c.volume_id == bindparam("volume"))
    .order_by(snapshots.c.created_at.desc(), snapshots.c.id.desc())
)


def of_volume(tx: Transaction, volume_id: str) -> list[Any]:
    """All snapshots of a volume, the newest first."""
    return list(tx.all(_OF_VOLUME, {"volume": volume_id}))
