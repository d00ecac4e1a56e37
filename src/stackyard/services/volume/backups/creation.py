"""Asking for a backup of a volume, or of a snapshot of it: whole, or what has changed since the one before."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stackyard.core import ids, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField, ServiceUnavailable
from stackyard.services.volume import hosts, statuses, tasks
from stackyard.services.volume.backups import bodies, finding
from stackyard.services.volume.fields import stripped, truth
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.snapshots import finding as snapshot_finding
from stackyard.services.volume.tables import backups
from stackyard.services.volume.volumes import finding as volume_finding

_ADD = sa.insert(backups)


def create(tx: Transaction, call: Call, body: bodies.NewBackup) -> Any:
    """Have it made by the host that keeps the volume; its row."""
    volume = volume_finding.find(tx, call.caller, body.volume_id)
    call.require("backup:create", volume)
    snapshot = snapshot_finding.find(tx, call.caller, body.snapshot_id) if body.snapshot_id else None
    _require_possible(volume, snapshot, force=truth(body.force))
    project_id = str(call.caller.project_id or volume.project_id)
    zone = _require_service(tx, volume.host, getattr(body, "availability_zone", None))
    parent = _parent(tx, call, volume, snapshot) if truth(body.incremental) else None
    usage.reserve_backups(tx, call.runtime, project_id, backups=1, gigabytes=volume.size)
    row = {
        "id": ids.new_uuid(), "project_id": project_id, "user_id": call.caller.user_id, "name": stripped(body.name),
        "description": stripped(body.description), "volume_id": volume.id, "snapshot_id": body.snapshot_id,
        "parent_id": None if parent is None else parent.id, "metadata": dict(getattr(body, "metadata", None) or {}),
        "volume": _remembered(volume), "size": volume.size, "container": body.container, "object_count": 0,
        "availability_zone": zone, "encryption_key_id": volume.encryption_key_id,
        "data_timestamp": tx.now if snapshot is None else snapshot.created_at, "host": volume.host,
        "status": statuses.CREATING, "fail_reason": None, "restore_volume_id": None, "task": {"name": "create"},
        "created_at": tx.now, "updated_at": None,
    }  # fmt: skip
    tx.execute(_ADD, row)
    if snapshot is None:
        tasks.update(tx, volume.id, status=statuses.BACKING_UP, previous_status=volume.status)
    else:
        tasks.update(tx, snapshot.id, kind=tasks.SNAPSHOT, status=statuses.BACKING_UP)
    timeline.record(tx, tasks.BACKUP, str(row["id"]), "create asked", f"of volume {volume.id}")
    tasks.mark(tx, call.runtime, str(row["id"]), volume.host, kind=tasks.BACKUP)
    return finding.by_id(tx, str(row["id"]))


def _remembered(volume: Any) -> dict[str, Any]:
    names = ("name", "description", "size", "volume_type_id", "bootable", "metadata", "image_metadata")
    return {name: getattr(volume, name) for name in names}


def _require_possible(volume: Any, snapshot: Any, *, force: bool) -> None:
    if snapshot is not None:
        if snapshot.volume_id != volume.id:
            raise BadRequest(
                f"Invalid volume: Volume {volume.id} does not match with snapshot.volume_id {snapshot.volume_id}.",
                kind="InvalidVolume",
            )
        statuses.require(snapshot, (statuses.AVAILABLE,), "be backed up", what="Snapshot")
        return
    if volume.status not in statuses.READY or not volume.host:
        raise BadRequest(
            "Invalid volume: Volume to be backed up must be available or in-use, but the current status is "
            f'"{volume.status}".',
            kind="InvalidVolume",
        )
    if volume.status == statuses.IN_USE and not force:
        raise BadRequest("Invalid volume: Backing up an in-use volume must use the force flag.", kind="InvalidVolume")


def _require_service(tx: Transaction, host: str, zone: str | None) -> str:
    """The zone of the backup service of the host, which has to be up."""
    row = hosts.find(tx, host, "", hosts.BACKUP)
    if row is None or row.disabled or not hosts.is_up(row, tx.now):
        raise ServiceUnavailable(
            f"Service cinder-backup could not be found: that of host {host}, which keeps the volume, is not up.",
            kind="ServiceNotFound",
        )
    if zone and zone != row.zone:
        raise InvalidField("backup.availability_zone", f"the volume's host makes backups in {row.zone}, not in {zone}")
    return str(row.zone)


def _parent(tx: Transaction, call: Call, volume: Any, snapshot: Any) -> Any:
    """The newest backup that the new one may go on from; raises InvalidBackup."""
    for row in finding.of_volume(tx, volume.id, call.caller.project_id):
        older = snapshot is None or (row.data_timestamp is not None and row.data_timestamp < snapshot.created_at)
        reachable = row.host == volume.host or call.runtime.settings.volume.shared
        if row.status == statuses.AVAILABLE and older and reachable:
            return row
    raise BadRequest("Invalid backup: No backups available to do an incremental backup.", kind="InvalidBackup")
