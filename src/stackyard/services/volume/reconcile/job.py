"""One task at work on one volume, snapshot or backup: its row, the driver of its back end, how outcomes are written.

A task may run again after a crash at any instant; drivers take what is done for done. Nothing is written once a newer
request has put another task in the row: then `Superseded` is raised, and the older task is simply left.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.db import Transaction
from stackyard.core.log import request_id_var
from stackyard.core.runtime import Runtime
from stackyard.host.disks import VolumeDriver
from stackyard.host.errors import SpecError
from stackyard.services import keys
from stackyard.services.volume import messages, tasks
from stackyard.services.volume.tables import backups, snapshots, volumes

Change = Callable[[Transaction, Any], dict[str, Any]]
"""Given the row as it is now: the columns to write."""


class Told(NamedTuple):
    """What a user message says of a failure: numbers of messages.ACTIONS and messages.DETAILS."""

    action: str
    detail: str


class Kind(NamedTuple):
    """A kind of work: its name in marks and timelines, and where its rows are."""

    name: str
    table: sa.Table

    def read(self, tx: Transaction, resource_id: str) -> Any:
        """The row, or None."""
        return tx.first(sa.select(self.table).where(self.table.c.id == bindparam("key")), {"key": resource_id})

    def update(self, tx: Transaction, resource_id: str, **columns: Any) -> None:
        """Change columns of a row."""
        columns = {"updated_at": tx.now, **columns}
        mine = self.table.c.id == bindparam("key")
        tx.execute(sa.update(self.table).where(mine).values(columns), {"key": resource_id})

    def delete(self, tx: Transaction, resource_id: str) -> None:
        """Remove a row."""
        tx.execute(sa.delete(self.table).where(self.table.c.id == bindparam("key")), {"key": resource_id})


VOLUME = Kind(tasks.VOLUME, volumes)
SNAPSHOT = Kind(tasks.SNAPSHOT, snapshots)
BACKUP = Kind(tasks.BACKUP, backups)

_MESSAGES_OF = {tasks.VOLUME: messages.VOLUME, tasks.SNAPSHOT: messages.SNAPSHOT, tasks.BACKUP: messages.BACKUP}


class Superseded(Exception):
    """A newer request has changed what is wanted: whoever works on an older one stops, and looks again."""


class Job:
    """`row` has the columns as attributes, as last read or written; `arguments` are the task's."""

    def __init__(self, runtime: Runtime, kind: Kind, row: Any) -> None:
        self.runtime = runtime
        self.kind = kind
        self.row: Any = SimpleNamespace(**row._mapping)
        self.task: str = row.task["name"]
        self.arguments: dict[str, Any] = {key: value for key, value in row.task.items() if key != "name"}

    @property
    def id(self) -> str:
        """Of the volume, snapshot or backup."""
        return str(self.row.id)

    @property
    def driver(self) -> VolumeDriver:
        """The back end that keeps it. Raises SpecError when this host has none of that name."""
        return driver_of(self.runtime, self.row.backend)

    def write(self, name: str, change: Change) -> None:
        """Run `change` in a transaction and write the columns that it returns. Raises Superseded."""

        def run(tx: Transaction) -> dict[str, Any]:
            now = self.kind.read(tx, self.id)
            if now is None or now.task != self.row.task:
                raise Superseded(self.id)
            columns = change(tx, now)
            if columns:
                self.kind.update(tx, self.id, **columns)
            return columns

        vars(self.row).update(self.runtime.database.write(f"{self.kind.name}.{name}", run))

    def is_wanted(self) -> bool:
        """Whether the row still has this task."""
        now = self.runtime.database.read(f"{self.kind.name}.wanted", self.kind.read, self.id)
        return now is not None and now.task == self.row.task

    def finish(self, change: Change) -> None:
        """The task is done: write the columns that `change` returns, and that there is no task any more."""

        def end(tx: Transaction, now: Any) -> dict[str, Any]:
            columns = {"task": None, **change(tx, now)}
            timeline.record(tx, self.kind.name, self.id, f"{self.task} done")
            return columns

        self.write("finish", end)

    def fail(self, reason: str, change: Change, told: Told) -> None:
        """The task can never be done: write the columns that `change` returns; the reason goes to the timeline, and
        its project is told.
        """

        def end(tx: Transaction, now: Any) -> dict[str, Any]:
            columns = {"task": None, **change(tx, now)}
            timeline.record(tx, self.kind.name, self.id, f"{self.task} failed", reason)
            asked = getattr(now, "task_request_id", None) or request_id_var.get(None)
            messages.write(
                tx,
                project_id=now.project_id,
                request_id=asked or ids.new_request_id(),
                resource_type=_MESSAGES_OF[self.kind.name],
                resource_id=self.id,
                action=told.action,
                detail=told.detail,
                reason=reason,
            )
            return columns

        self.write("fail", end)

    def gone(self, forget: Callable[[Transaction, Any], object]) -> None:
        """The task was to delete it, and it is: `forget` removes the row."""

        def end(tx: Transaction, now: Any) -> dict[str, Any]:
            forget(tx, now)
            return {}

        self.write("gone", end)


def driver_of(runtime: Runtime, backend: str | None) -> VolumeDriver:
    """The back end of that name on this host. Raises SpecError when there is none."""
    found = runtime[keys.VOLUMES].get(backend or "")
    if found is None:
        host = runtime[keys.HOST_NAME]
        raise SpecError(f"Host {host} has no back end of volumes named {backend!r}; its settings may have changed.")
    return found
