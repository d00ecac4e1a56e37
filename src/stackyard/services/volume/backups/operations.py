"""Backups: list, see, make, change, delete, and what administrators do to them."""

from __future__ import annotations

from typing import Any

from stackyard.core import timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, InvalidField
from stackyard.core.paging import Filter, Listing
from stackyard.services.volume import lists, rows, statuses, tasks
from stackyard.services.volume.backups import bodies, creation, finding, views
from stackyard.services.volume.fields import stripped
from stackyard.services.volume.tables import backups

STATUSES = (
    statuses.ERROR, statuses.AVAILABLE, statuses.CREATING, statuses.DELETING, statuses.RESTORING,
    statuses.ERROR_DELETING,
)  # fmt: skip
DELETABLE = (statuses.AVAILABLE, statuses.ERROR)

_b = backups.c
LISTING = Listing(
    backups,
    {
        "name": Filter(_b.name),
        "name~": lists.like(_b.name),
        "status": Filter(_b.status),
        "volume_id": Filter(_b.volume_id),
        "snapshot_id": Filter(_b.snapshot_id),
        "parent_id": Filter(_b.parent_id),
        "id": Filter(_b.id),
        "project_id": Filter(_b.project_id),
    },
    sort_keys=(
        "id", "name", "status", "volume_id", "size", "created_at", "updated_at", "availability_zone", "container",
        "data_timestamp",
    ),
    default_sort=(("created_at", "desc"),),
)  # fmt: skip
_OWNED = lists.Owned(_b.project_id)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /backups."""
    found = lists.find(tx, call, LISTING, "backups", _OWNED.scope(call), counts=True)
    return found.answer("backups", [views.brief(call, row) for row in found.rows])


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /backups/detail."""
    found = lists.find(tx, call, LISTING, "backups/detail", _OWNED.scope(call), counts=True)
    return found.answer("backups", views.full(tx, call, found.rows))


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /backups/{backup_id}."""
    return {"backup": views.full(tx, call, [call.target])[0]}


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /backups."""
    return {"backup": views.brief(call, creation.create(tx, call, call.body))}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /backups/{backup_id} (3.9): name, description, and metadata since 3.43."""
    values = dict(call.body.given())
    for name in ("name", "description"):
        if name in values:
            values[name] = stripped(values[name])
    if not values:
        raise BadRequest("Invalid input for backup: there is nothing to change in it.")
    rows.update(tx, backups, call.target.id, **values)
    return {"backup": views.brief(call, finding.by_id(tx, call.target.id))}


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /backups/{backup_id}."""
    remove(tx, call, call.target)


def remove(tx: Transaction, call: Call, row: Any, *, force: bool = False) -> None:
    """Have it deleted; raises InvalidBackup for its status, unless `force`, and while others go on from it."""
    if not force and row.status not in DELETABLE:
        raise BadRequest(
            f"Invalid backup: Backup status must be available or error, but it is {row.status}.", kind="InvalidBackup"
        )
    if finding.with_dependents(tx, [row.id]):
        raise BadRequest("Invalid backup: Incremental backups exist for this backup.", kind="InvalidBackup")
    rows.update(tx, backups, row.id, status=statuses.DELETING, task={"name": "delete"})
    timeline.record(tx, tasks.BACKUP, row.id, "delete asked")
    tasks.mark(tx, call.runtime, row.id, row.host, kind=tasks.BACKUP)


def force_delete(tx: Transaction, call: Call, body: Any) -> None:
    """os-force_delete."""
    del body
    remove(tx, call, call.target, force=True)


def reset_status(tx: Transaction, call: Call, body: bodies.Reset) -> None:
    """os-reset_status."""
    status = body.status.lower()
    if status not in STATUSES:
        raise InvalidField("os-reset_status.status", f"'{status}' is none of {', '.join(STATUSES)}")
    rows.update(tx, backups, call.target.id, status=status)
    timeline.record(tx, tasks.BACKUP, call.target.id, "status reset", status)
