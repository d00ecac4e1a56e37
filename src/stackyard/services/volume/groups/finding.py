"""The group, or the snapshot of a group, that a call is about, and what belongs to it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.tables import group_snapshots, groups, snapshots, volumes

_GROUP = sa.select(groups).where(groups.c.id == bindparam("key"))
_SNAPSHOT = sa.select(group_snapshots).where(group_snapshots.c.id == bindparam("key"))
_SNAPSHOTS = (
    sa.select(group_snapshots)
    .where(group_snapshots.c.group_id == bindparam("key"))
    .order_by(group_snapshots.c.created_at, group_snapshots.c.id)
)
_VOLUMES = sa.select(volumes).where(volumes.c.group_id == bindparam("key")).order_by(volumes.c.created_at, volumes.c.id)
_MEMBERS = (
    sa.select(snapshots)
    .where(snapshots.c.group_snapshot_id == bindparam("key"))
    .order_by(snapshots.c.created_at, snapshots.c.id)
)
_MADE_FROM = sa.select(groups.c.id).where(
    sa.or_(groups.c.group_snapshot_id == bindparam("key"), groups.c.source_group_id == bindparam("key")),
    groups.c.status == "creating",
)


def by_id(tx: Transaction, group_id: str) -> Any:
    """A group's row, whoever's it is; None when there is none."""
    return tx.first(_GROUP, {"key": group_id})


def snapshot_by_id(tx: Transaction, snapshot_id: str) -> Any:
    """A group snapshot's row, whoever's it is; None when there is none."""
    return tx.first(_SNAPSHOT, {"key": snapshot_id})


def find(tx: Transaction, caller: Caller, group_id: str) -> Any:
    """A group that the caller may know of; raises GroupNotFound."""
    return _of_caller(by_id(tx, group_id) if ids.is_uuid(group_id) else None, caller, "Group", group_id)


def find_snapshot(tx: Transaction, caller: Caller, snapshot_id: str) -> Any:
    """A group snapshot that the caller may know of; raises GroupSnapshotNotFound."""
    row = snapshot_by_id(tx, snapshot_id) if ids.is_uuid(snapshot_id) else None
    return _of_caller(row, caller, "GroupSnapshot", snapshot_id)


def _of_caller(row: Any, caller: Caller, what: str, key: str) -> Any:
    if row is None or (row.project_id != caller.project_id and not caller.is_admin):
        raise not_found(what, key[:80])
    return row


def load(tx: Transaction, call: Call) -> Any:
    """The group of the path's `group_id`; raises GroupNotFound."""
    return find(tx, call.caller, call.path["group_id"])


def load_snapshot(tx: Transaction, call: Call) -> Any:
    """The group snapshot of the path's `group_snapshot_id`; raises GroupSnapshotNotFound."""
    return find_snapshot(tx, call.caller, call.path["group_snapshot_id"])


def volumes_of(tx: Transaction, group_id: str) -> list[Any]:
    """A group's volumes."""
    return list(tx.all(_VOLUMES, {"key": group_id}))


def snapshots_of(tx: Transaction, group_id: str) -> list[Any]:
    """The snapshots of a whole group."""
    return list(tx.all(_SNAPSHOTS, {"key": group_id}))


def members_of(tx: Transaction, group_snapshot_id: str) -> list[Any]:
    """The snapshots of volumes that a group's snapshot consists of."""
    return list(tx.all(_MEMBERS, {"key": group_snapshot_id}))


def is_being_copied(tx: Transaction, key: str) -> bool:
    """Whether a group is being made from this group, or from this group's snapshot."""
    return tx.first(_MADE_FROM, {"key": key}) is not None
