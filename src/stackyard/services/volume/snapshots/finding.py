"""The snapshot that a call is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.tables import snapshots

_BY_ID = sa.select(snapshots).where(snapshots.c.id == bindparam("key"))
_OF_PROJECT = _BY_ID.where(snapshots.c.project_id == bindparam("project"))
_ALL_OF_PROJECT = (
    sa.select(snapshots)
    .where(snapshots.c.project_id == bindparam("project"))
    .order_by(snapshots.c.created_at.desc(), snapshots.c.id.desc())
)
_BY_IDS = sa.select(snapshots).where(snapshots.c.id.in_(bindparam("keys", expanding=True)))
_OF_VOLUME = (
    sa.select(snapshots)
    .where(snapshots.c.volume_id == bindparam("volume"))
    .order_by(snapshots.c.created_at.desc(), snapshots.c.id.desc())
)


def by_id(tx: Transaction, snapshot_id: str) -> Any:
    """A snapshot's row, whoever's it is; None when there is none."""
    return tx.first(_BY_ID, {"key": snapshot_id})


def by_ids(tx: Transaction, snapshot_ids: Iterable[str]) -> dict[str, Any]:
    """The rows of those that are there, by id."""
    keys = sorted(set(snapshot_ids))
    return {row.id: row for row in tx.all(_BY_IDS, {"keys": keys})} if keys else {}


def of_volume(tx: Transaction, volume_id: str) -> list[Any]:
    """All snapshots of a volume, the newest first."""
    return list(tx.all(_OF_VOLUME, {"volume": volume_id}))


def find(tx: Transaction, caller: Caller, snapshot_id: str) -> Any:
    """A snapshot that the caller may know of; raises SnapshotNotFound."""
    row = None
    if ids.is_uuid(snapshot_id):
        if caller.is_admin:
            row = tx.first(_BY_ID, {"key": snapshot_id})
        else:
            row = tx.first(_OF_PROJECT, {"key": snapshot_id, "project": caller.project_id})
    if row is None:
        raise not_found("Snapshot", snapshot_id[:80])
    return row


def of_project(tx: Transaction, project_id: str | None) -> list[Any]:
    """A project's snapshots, the newest first."""
    return list(tx.all(_ALL_OF_PROJECT, {"project": project_id}))


def load(tx: Transaction, call: Call) -> Any:
    """The snapshot of the path's `snapshot_id`; raises SnapshotNotFound."""
    return find(tx, call.caller, call.path["snapshot_id"])
