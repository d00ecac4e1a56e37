"""Snapshots of whole groups (3.14): a snapshot of each volume."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stackyard.core import ids, reconcile, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.volume import group_types, rows, statuses
from stackyard.services.volume.fields import stripped
from stackyard.services.volume.groups import bodies, finding
from stackyard.services.volume.groups.changing import invalid
from stackyard.services.volume.snapshots import creation as snapshot_creation
from stackyard.services.volume.tables import group_snapshots

KIND = "volume_group_snapshot"
_ADD = sa.insert(group_snapshots)


def create(tx: Transaction, call: Call, group: Any, body: bodies.NewSnapshot) -> Any:
    """Have a snapshot made of each volume of the group; its row. Raises InvalidGroup, InvalidVolume, and 413s."""
    if group.status != statuses.AVAILABLE:
        raise invalid(f"Group status must be available, but current status is: {group.status}.")
    members = finding.volumes_of(tx, group.id)
    if not members:
        raise invalid(f"Group {group.id} has no volumes to be snapshotted.")
    consistent = group_types.is_consistent(group_types.row(tx, group.group_type_id))
    attached = [one.id for one in members if one.status == statuses.IN_USE]
    if consistent and attached:
        raise BadRequest(
            "Invalid volume: snapshots of all volumes of one moment are made only while none of them is attached; "
            f"attached are: {', '.join(attached)[:500]}.",
            kind="InvalidVolume",
        )
    row = {
        "id": ids.new_uuid(), "project_id": group.project_id, "user_id": call.caller.user_id, "group_id": group.id,
        "group_type_id": group.group_type_id, "name": stripped(body.name), "description": stripped(body.description),
        "status": statuses.CREATING, "created_at": tx.now, "updated_at": None,
    }  # fmt: skip
    tx.execute(_ADD, row)
    for volume in members:
        snapshot_creation.create(
            tx, call.runtime, call.caller, volume, name=row["name"], description=row["description"], in_use=True,
            group_snapshot_id=str(row["id"]),
        )  # fmt: skip
    timeline.record(tx, KIND, str(row["id"]), "create asked", f"of group {group.id}")
    reconcile.mark(tx, KIND, str(row["id"]))
    return finding.snapshot_by_id(tx, str(row["id"]))


def delete(tx: Transaction, call: Call, row: Any) -> None:
    """Have a group's snapshot deleted, with the volumes' that it consists of; raises InvalidGroupSnapshot."""
    if row.status not in (statuses.AVAILABLE, statuses.ERROR) or finding.is_being_copied(tx, row.id):
        raise BadRequest(
            "Invalid GroupSnapshot: GroupSnapshot status must be available or error, and no Group can be currently "
            f"using it as source for its creation; its status is {row.status}.",
            kind="InvalidGroupSnapshot",
        )
    for one in finding.members_of(tx, row.id):
        snapshot_creation.delete(tx, call.runtime, one, force=True, of_group=True)
    rows.update(tx, group_snapshots, row.id, status=statuses.DELETING)
    timeline.record(tx, KIND, row.id, "delete asked")
    reconcile.mark(tx, KIND, row.id)
