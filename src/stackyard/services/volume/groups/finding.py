"""The group, or the snapshot of a group, that a call is about, and what belongs to it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.services.volume.owned import OwnedRows
from stackyard.services.volume.tables import group_snapshots, groups, snapshots, volumes

_groups = OwnedRows(groups, "Group", "group_id")
by_id, find, load = _groups.by_id, _groups.find, _groups.load
_group_snapshots = OwnedRows(group_snapshots, "GroupSnapshot", "group_snapshot_id")
snapshot_by_id, find_snapshot = _group_snapshots.by_id, _group_snapshots.find
load_snapshot = _group_snapshots.load

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
