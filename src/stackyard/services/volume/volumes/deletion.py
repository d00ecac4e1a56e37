"""Asking for a volume's end."""

from __future__ import annotations

from typing import Any

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.runtime import Runtime
from stackyard.services.volume import statuses, tasks
from stackyard.services.volume.attachments import state
from stackyard.services.volume.snapshots import creation as snapshot_creation
from stackyard.services.volume.snapshots import finding as snapshot_finding
from stackyard.services.volume.volumes import abandoning, removal

_SNAPSHOT_STATUSES = (statuses.AVAILABLE, statuses.ERROR, statuses.DELETING, statuses.ERROR_DELETING)


def delete(
    tx: Transaction,
    runtime: Runtime,
    row: Any,
    *,
    caller: Caller | None = None,
    force: bool = False,
    cascade: bool = False,
    of_group: bool = False,
) -> None:
    """Have a volume deleted, its snapshots with it when `cascade`; whatever its status when `force`.

    Raises BadRequest (InvalidVolume) for one that is attached, moves, has snapshots or belongs to a group (unless it
    goes with the group: `of_group`). `caller` None: the cloud itself.
    """
    if not row.host:
        removal.forget(tx, runtime, row)
        return
    taken = snapshot_finding.of_volume(tx, row.id)
    attached = any(one.attach_status == statuses.ATTACHED for one in state.of_volume(tx, row.id))
    sound = (force or row.status in statuses.DELETABLE) and not attached and not statuses.is_migrating(row)
    if not sound or (row.group_id and not of_group) or (taken and not cascade):
        words = "" if force else f"status must be {' or '.join(statuses.DELETABLE)} and "
        raise BadRequest(
            f"Invalid volume: Volume {words}must not be migrating, attached, belong to a group, have snapshots, "
            f"awaiting a transfer, or be disassociated from snapshots after volume transfer; its status is "
            f"{row.status}, it has {len(taken)} snapshots.",
            kind="InvalidVolume",
        )
    abandoning.abandon(tx, runtime, row)
    _delete_snapshots(tx, runtime, row, taken, caller=caller, force=force)
    tasks.begin(tx, runtime, row, "delete", columns={"status": statuses.DELETING}, cascade=cascade)


def _delete_snapshots(
    tx: Transaction, runtime: Runtime, row: Any, taken: list[Any], *, caller: Caller | None, force: bool
) -> None:
    """Those of a volume that goes with all of them."""
    for one in taken:
        foreign = caller is not None and not caller.is_admin and one.project_id != row.project_id
        if one.group_snapshot_id or foreign or (not force and one.status not in _SNAPSHOT_STATUSES):
            raise BadRequest(
                f"Invalid volume: Snapshot {one.id} of volume {row.id} cannot be deleted with it: its status is "
                f"{one.status}{', it is part of a group snapshot' if one.group_snapshot_id else ''}.",
                kind="InvalidVolume",
            )
    for one in taken:
        if one.status != statuses.DELETING:
            snapshot_creation.delete(tx, runtime, one, force=True)
