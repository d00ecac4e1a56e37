"""Groups and their snapshots follow what becomes of the volumes and snapshots in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from stackyard.core import timeline
from stackyard.core.db import Transaction
from stackyard.core.reconcile import DONE, Again, Outcome, Reconciler
from stackyard.core.runtime import Runtime
from stackyard.services.volume import rows, statuses
from stackyard.services.volume.groups import creation, finding, snapshots
from stackyard.services.volume.quotas import usage
from stackyard.services.volume.tables import group_snapshots, groups

LOOK_SECONDS = 0.3
DEADLINE = 86400.0
"""A group waits for as long as its volumes take; those have deadlines of their own."""

GONE = "gone"
_FAILED = (statuses.ERROR, statuses.ERROR_DELETING)


def status_of(wanted: str, members: Sequence[str]) -> str | None:
    """What becomes of a group that is `creating` or `deleting`, by its members' statuses; None: wait for them."""
    if wanted == statuses.CREATING:
        if statuses.CREATING in members:
            return None
        return statuses.ERROR if any(one in _FAILED for one in members) else statuses.AVAILABLE
    if wanted == statuses.DELETING:
        if not members:
            return GONE
        return statuses.ERROR if all(one in _FAILED for one in members) else None
    return wanted


class Follower:
    """Waits for what a row's members come to, and writes it to the row.

    `read` finds the row, `members` those whose statuses count, both by the row's id; `gone` is told when the row goes,
    as its last member has.
    """

    deadline = DEADLINE

    def __init__(
        self,
        runtime: Runtime,
        kind: str,
        table: sa.Table,
        *,
        read: Callable[[Transaction, str], Any],
        members: Callable[[Transaction, str], Sequence[Any]],
        gone: Callable[[Transaction, Any], None] | None = None,
    ) -> None:
        self.kind = kind
        self._database, self._table = runtime.database, table
        self._read, self._members, self._gone = read, members, gone

    def reconcile(self, resource_id: str) -> Outcome:
        """Look at the members once."""
        return self._database.write(f"{self.kind}.follow", self._follow, resource_id)

    def _follow(self, tx: Transaction, resource_id: str) -> Outcome:
        row = self._read(tx, resource_id)
        if row is None:
            return DONE
        status = status_of(row.status, [one.status for one in self._members(tx, resource_id)])
        if status is None:
            return Again(LOOK_SECONDS)
        if status == row.status:
            return DONE
        if status == GONE:
            rows.delete(tx, self._table, row.id)
            if self._gone is not None:
                self._gone(tx, row)
        else:
            rows.update(tx, self._table, row.id, status=status)
        timeline.record(tx, self.kind, row.id, status)
        return DONE

    def expire(self, resource_id: str, reason: str) -> None:
        """The members have not come to an end in a day."""

        def write(tx: Transaction) -> None:
            rows.update(tx, self._table, resource_id, status=statuses.ERROR)
            timeline.record(tx, self.kind, resource_id, "given up", reason)

        self._database.write(f"{self.kind}.expire", write)


def reconcilers(runtime: Runtime) -> list[Reconciler]:
    """Of groups, whose quota is free when they are gone, and of their snapshots."""
    return [
        Follower(
            runtime, creation.KIND, groups, read=finding.by_id, members=finding.volumes_of,
            gone=lambda tx, row: usage.reserve_groups(tx, runtime, row.project_id, -1),
        ),
        Follower(
            runtime, snapshots.KIND, group_snapshots, read=finding.snapshot_by_id, members=finding.members_of
        ),
    ]  # fmt: skip
