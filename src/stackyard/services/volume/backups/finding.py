"""The backup that a call is about, and what is known of backups together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.volume.owned import OwnedRows
from stackyard.services.volume.tables import backups

KEPT_AS = "kept_as"
"""In a backup's `volume`: the id under which its content is kept, when that is not its own (an imported record)."""

_rows = OwnedRows(backups, "Backup", "backup_id")
by_id, find, load = _rows.by_id, _rows.find, _rows.load

_b = backups.c
_OF_VOLUME = (
    sa.select(backups)
    .where(_b.volume_id == bindparam("volume"), _b.project_id == bindparam("project"))
    .order_by(_b.data_timestamp.desc(), _b.created_at.desc())
)
_PARENTS = sa.select(_b.parent_id).where(_b.parent_id.in_(bindparam("keys", expanding=True)))
_OTHERS = sa.select(backups).where(_b.id != bindparam("key"))


def of_volume(tx: Transaction, volume_id: str, project_id: str | None) -> list[Any]:
    """A project's backups of a volume, the newest content first."""
    return list(tx.all(_OF_VOLUME, {"volume": volume_id, "project": project_id}))


def with_dependents(tx: Transaction, backup_ids: Iterable[str]) -> set[str]:
    """Those of them that incremental ones go on from."""
    keys = sorted(set(backup_ids))
    return {row.parent_id for row in tx.all(_PARENTS, {"keys": keys})} if keys else set()


def kept_as(row: Any) -> str:
    """The id under which the content of a backup is kept."""
    return str((row.volume or {}).get(KEPT_AS) or row.id)


def shares_content(tx: Transaction, row: Any) -> bool:
    """Whether the content of a backup is another one's too, and so must stay when it goes."""
    return any(kept_as(other) == kept_as(row) for other in tx.all(_OTHERS, {"key": row.id}))
