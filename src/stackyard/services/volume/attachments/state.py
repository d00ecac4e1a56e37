"""What attaching and detaching does to a volume: one row an attachment, and the volume's status that follows from them.

An attachment is reserved, then attaching (who attaches has said from where), then attached; when it is gone its row is
gone. The volume is `reserved`, `attaching`, `in-use` or `available` as its attachments have it.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, reconcile, timeline
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.tables import attachments
from stackyard.services.volume.volumes import finding

_BY_ID = sa.select(attachments).where(attachments.c.id == bindparam("key"))
_OF_VOLUME = (
    sa.select(attachments)
    .where(attachments.c.volume_id == bindparam("volume"))
    .order_by(attachments.c.created_at, attachments.c.id)
)
_OF_VOLUMES = (
    sa.select(attachments)
    .where(attachments.c.volume_id.in_(bindparam("volumes", expanding=True)))
    .order_by(attachments.c.created_at, attachments.c.id)
)
_INSERT = sa.insert(attachments)
_DELETE = sa.delete(attachments).where(attachments.c.id == bindparam("key"))
_updates: dict[tuple[str, ...], sa.Update] = {}

_ATTACHABLE = (
    statuses.AVAILABLE, statuses.RESERVED, statuses.ATTACHING, statuses.IN_USE, statuses.DETACHING,
)  # fmt: skip
_FOLLOWS = (("attached", statuses.IN_USE), ("attaching", statuses.ATTACHING), ("reserved", statuses.RESERVED))


def by_id(tx: Transaction, attachment_id: str) -> Any:
    """An attachment's row; None when there is none."""
    return tx.first(_BY_ID, {"key": attachment_id}) if ids.is_uuid(attachment_id) else None


def get(tx: Transaction, attachment_id: str) -> Any:
    """An attachment's row; raises VolumeAttachmentNotFound."""
    row = by_id(tx, attachment_id)
    if row is None:
        raise not_found(attachment_id)
    return row


def not_found(attachment_id: str) -> NotFound:
    """No such attachment, or the caller may not know of it."""
    return NotFound(
        f"Volume attachment could not be found with filter: attachment_id = {attachment_id[:80]}.",
        kind="VolumeAttachmentNotFound",
    )


def of_volume(tx: Transaction, volume_id: str) -> list[Any]:
    """A volume's attachments, the oldest first."""
    return list(tx.all(_OF_VOLUME, {"volume": volume_id}))


def of_volumes(tx: Transaction, volume_ids: list[str]) -> dict[str, list[Any]]:
    """The same of many, by the volumes' ids."""
    found: dict[str, list[Any]] = {}
    for row in tx.all(_OF_VOLUMES, {"volumes": volume_ids}) if volume_ids else ():
        found.setdefault(row.volume_id, []).append(row)
    return found


def update(tx: Transaction, attachment_id: str, **values: Any) -> None:
    """Write columns of an attachment."""
    shape = tuple(sorted(values))
    statement = _updates.get(shape)
    if statement is None:
        named: dict[str, sa.ColumnElement[Any]] = {name: bindparam(f"new_{name}") for name in shape}
        named["updated_at"] = bindparam("at")
        statement = _updates[shape] = sa.update(attachments).where(attachments.c.id == bindparam("key")).values(named)
    given = {f"new_{name}": value for name, value in values.items()}
    tx.execute(statement, {"key": attachment_id, "at": tx.now, **given})


def insert(tx: Transaction, volume: Any, **values: Any) -> Any:
    """Write a new attachment of a volume, and return its row."""
    row = {
        "id": ids.new_uuid(), "volume_id": volume.id, "project_id": volume.project_id, "user_id": None,
        "instance_id": None, "attached_host": None, "mountpoint": None, "attach_mode": "null",
        "attach_status": "reserved", "connector": None, "connection_info": None, "attached_at": None,
        "created_at": tx.now, "updated_at": tx.now, **values,
    }  # fmt: skip
    tx.execute(_INSERT, row)
    return by_id(tx, row["id"])


def require_reservable(tx: Transaction, volume: Any, instance_id: str | None) -> None:
    """Raise BadRequest (InvalidVolume) unless one more may be attached: it is free, or may have several.

    A server that has it already may reserve it once more (it moves to another host).
    """
    statuses.require_settled(volume, "reserve")
    allowed = [statuses.AVAILABLE, statuses.DOWNLOADING]
    if volume.multiattach:
        allowed.append(statuses.IN_USE)
    if volume.status in allowed:
        return
    in_use = volume.status == statuses.IN_USE and instance_id is not None
    if in_use and any(one.instance_id == instance_id for one in of_volume(tx, volume.id)):
        return
    raise BadRequest(
        f"Invalid volume: Volume {volume.id} status must be {' or '.join(allowed)} to reserve, "
        f"but the current status is {volume.status}.",
        kind="InvalidVolume",
    )


def reserve(tx: Transaction, volume: Any, *, user_id: str | None, instance_id: str | None, **values: Any) -> Any:
    """Make an attachment that nobody else can make any more, and return its row; raises BadRequest."""
    require_reservable(tx, volume, instance_id)
    row = insert(tx, volume, user_id=user_id, instance_id=instance_id, **values)
    _write(tx, volume, statuses.RESERVED)
    timeline.record(tx, tasks.VOLUME, volume.id, "reserved", f"for {instance_id}" if instance_id else "")
    return row


def require_mode(volume: Any, mode: str) -> None:
    """Raise BadRequest (InvalidVolumeAttachMode) when a volume that is read only is to be written to."""
    if volume.admin_metadata.get("readonly") == "True" and mode != "ro":
        raise BadRequest(f"Invalid attaching mode '{mode}' for volume {volume.id}.", kind="InvalidVolumeAttachMode")


def complete(tx: Transaction, attachment: Any, **values: Any) -> None:
    """It is attached now: the volume is in use."""
    volume = finding.by_id(tx, attachment.volume_id)
    mode = values.get("attach_mode", attachment.attach_mode)
    mode = "rw" if mode == "null" else mode
    given = {"attached_at": tx.now, **values, "attach_mode": mode, "attach_status": statuses.ATTACHED}
    update(tx, attachment.id, **given)
    kept = {"readonly": "False", **volume.admin_metadata, "attached_mode": mode}
    _write(tx, volume, statuses.IN_USE, admin_metadata=kept)
    timeline.record(tx, tasks.VOLUME, volume.id, "attached", f"to {attachment.instance_id or attachment.attached_host}")


def begin_detaching(tx: Transaction, volume: Any) -> None:
    """Say that it is about to be detached; raises BadRequest (InvalidVolume)."""
    if statuses.is_migrating(volume):
        return
    if volume.status != statuses.IN_USE:
        raise BadRequest(
            "Invalid volume: Unable to detach volume. Volume status must be 'in-use' and attach_status must be "
            f"'attached' to detach; it is {volume.status}.",
            kind="InvalidVolume",
        )
    tasks.update(tx, volume.id, status=statuses.DETACHING)


def roll_detaching(tx: Transaction, volume: Any) -> None:
    """It could not be detached after all."""
    if volume.status == statuses.DETACHING:
        tasks.update(tx, volume.id, status=statuses.IN_USE)


def remove(tx: Transaction, attachment: Any, *, broken: bool = False) -> None:
    """The attachment is gone; the volume's status follows from those that are left, with `broken` that in error too."""
    tx.execute(_DELETE, {"key": attachment.id})
    settle(tx, attachment.volume_id, broken=broken)
    where = attachment.instance_id or attachment.attached_host
    timeline.record(tx, tasks.VOLUME, attachment.volume_id, "detached", f"from {where}" if where else "")


def settle(tx: Transaction, volume_id: str, *, broken: bool = False) -> None:
    """Write the status that follows from a volume's attachments; with `broken` also to one in error."""
    volume = finding.by_id(tx, volume_id)
    left = {one.attach_status for one in of_volume(tx, volume_id)}
    status = next((status for word, status in _FOLLOWS if word in left), statuses.AVAILABLE)
    columns: dict[str, Any] = {}
    if statuses.ATTACHED not in left and "attached_mode" in volume.admin_metadata:
        columns["admin_metadata"] = {k: v for k, v in volume.admin_metadata.items() if k != "attached_mode"}
    _write(tx, volume, status, broken=broken, **columns)


def _write(tx: Transaction, volume: Any, status: str, *, broken: bool = False, **columns: Any) -> None:
    """Give a volume its status; one that is busy with a task gets it when that is done.

    One in error stays so unless `broken`.
    """
    if volume.task is not None and "status" in volume.task:
        columns["task"] = {**volume.task, "status": status}
        reconcile.mark(tx, reconcile.kind_on(tasks.VOLUME, volume.host), volume.id)  # whoever is at it starts again
    elif volume.status in _ATTACHABLE or (broken and volume.status == statuses.ERROR):
        columns["status"] = status
    if columns:
        tasks.update(tx, volume.id, **columns)
