"""Beginning an operation on a volume or a snapshot: written down in its row with its arguments, one at a time.

The reconciler of the host that keeps it finds the row's `task`, has the driver do it, and writes the outcome with
`finish` (which writes nothing when the row has another task by then). Kinds of marks: VOLUME, SNAPSHOT and BACKUP, each
on the row's host (`reconcile.kind_on`).

Tasks of volumes: `task` is `{"name": ..., **arguments}`. `status` is always the one to go back to (available, in-use,
reserved, error).

| name | arguments | status meanwhile | done | failed |
|---|---|---|---|---|
| create | source: blank, image, snapshot, volume, backup; source_id (not with blank) | creating; a backup is \
restoring | available, launched_at; the backup available | error; the backup available |
| delete | cascade: bool (wait until it has no snapshots) | deleting | `volumes.removal.forget` | error_deleting |
| extend | size: new GiB; status | extending | size; status; servers told (keys.VOLUME_EVENTS, in use only) | \
error_extending; the quota of the difference given back |
| upload | image_id (reserved), disk_format, container_format; status | uploading | image active; status | image \
discarded; status |
| retype | volume_type_id; host, backend (where it shall be: maybe where it is); status | retyping | volume_type_id, \
host, backend; status; `volumes.retype.settle(tx, runtime, row, done=True)` | status; `settle(..., done=False)` |
| migrate | host, backend; status | unchanged, or maintenance; migration_status migrating | host, backend; \
migration_status success; status | migration_status error; status |
| revert | snapshot_id; status | reverting, its snapshot restoring | status; snapshot available | error; snapshot \
available |
| reimage | image_id; status | downloading | status | error |
| restore | backup_id; status | restoring-backup | available; backup available | error_restoring; backup available |
| manage | reference (an id in the back end) | creating | available, size counted | error_managing |

What the API knows already it writes itself when the task begins: bootable, image_metadata, encryption, quota. A volume
that a task of another one reads (its snapshot's, its clone's source) may be asked to be deleted meanwhile: its
delete waits until no row `creating` names it.

Tasks of snapshots: create (status creating; done: available, progress 100%; failed: error) and delete (status deleting;
done: `snapshots.removal.forget`; failed: error_deleting), and manage (status creating; as create). None has
arguments. Tasks of backups: create, delete, import.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import reconcile, timeline
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.log import request_id_var
from stackyard.core.runtime import Runtime
from stackyard.services import keys
from stackyard.services.volume.tables import snapshots, volumes

VOLUME = "volume"
SNAPSHOT = "volume_snapshot"
BACKUP = "volume_backup"

_TABLES = {VOLUME: volumes, SNAPSHOT: snapshots}
_updates: dict[tuple[str, tuple[str, ...]], sa.Update] = {}
_read = {kind: sa.select(table.c.task).where(table.c.id == bindparam("key")) for kind, table in _TABLES.items()}


def update(tx: Transaction, row_id: str, *, kind: str = VOLUME, **values: Any) -> None:
    """Write columns of a volume (or of a snapshot, by `kind`), and that it was changed now."""
    shape = (kind, tuple(sorted(values)))
    statement = _updates.get(shape)
    if statement is None:
        table = _TABLES[kind]
        named: dict[str, sa.ColumnElement[Any]] = {name: bindparam(f"new_{name}") for name in shape[1]}
        named["updated_at"] = bindparam("at")
        statement = _updates[shape] = sa.update(table).where(table.c.id == bindparam("key")).values(named)
    tx.execute(statement, {"key": row_id, "at": tx.now, **{f"new_{name}": value for name, value in values.items()}})


def begin(
    tx: Transaction,
    runtime: Runtime,
    row: Any,
    name: str,
    *,
    kind: str = VOLUME,
    columns: dict[str, Any] | None = None,
    **arguments: Any,
) -> None:
    """Have the row's host do the task `name` with these arguments; `columns` are written with it (its new status).

    The caller has checked its state already.
    """
    values = {"task": {"name": name, **arguments}, "fault": None, **(columns or {})}
    if kind == VOLUME:
        values["task_request_id"] = request_id_var.get(None)
    update(tx, row.id, kind=kind, **values)
    timeline.record(tx, kind, row.id, f"{name} asked")
    mark(tx, runtime, row.id, row.host, kind=kind)


def begin_for(tx: Transaction, call: Call, row: Any, name: str, meanwhile: str, **arguments: Any) -> None:
    """`begin` of what a call asks of a volume: its status is `meanwhile` until it is done."""
    begin(tx, call.runtime, row, name, columns={"status": meanwhile, "previous_status": row.status}, **arguments)


def mark(tx: Transaction, runtime: Runtime, row_id: str, host: str | None, *, kind: str = VOLUME) -> None:
    """Have the host look at it (this one, when it has no host yet)."""
    reconcile.mark(tx, reconcile.kind_on(kind, host or runtime[keys.HOST_NAME]), row_id)


def is_current(tx: Transaction, row: Any, *, kind: str = VOLUME) -> bool:
    """Whether the row still has the task that it had when `row` was read."""
    found = tx.first(_read[kind], {"key": row.id})
    return found is not None and found.task == row.task


def finish(tx: Transaction, row: Any, event: str, *, kind: str = VOLUME, detail: str = "", **columns: Any) -> bool:
    """The task of the row, as it was read, has ended: write columns, no task any more, and the event on its timeline.

    False when it has another task by now, or is gone; then nothing is written.
    """
    if not is_current(tx, row, kind=kind):
        return False
    update(tx, row.id, kind=kind, **{"task": None, **columns})
    timeline.record(tx, kind, row.id, event, detail)
    return True
