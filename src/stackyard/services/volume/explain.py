"""What `stackyard why`, `status` and `doctor` tell of volumes, their snapshots and backups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.explain import Explanation
from stackyard.services.network import api as network_api
from stackyard.services.volume import hosts, statuses
from stackyard.services.volume.backups.finding import kept_as
from stackyard.services.volume.tables import attachments, backups, snapshots, volumes

_KINDS = {"volume": volumes, "volume snapshot": snapshots, "backup": backups}
_ONE = {kind: sa.select(table).where(table.c.id == bindparam("id")) for kind, table in _KINDS.items()}
_NAMED = {kind: sa.select(table.c.id).where(table.c.name == bindparam("name")) for kind, table in _KINDS.items()}
_ALL = {kind: sa.select(table) for kind, table in _KINDS.items()}
_COUNT = {
    kind: sa.select(table.c.status, sa.func.count().label("number")).group_by(table.c.status)
    for kind, table in _KINDS.items()
}
_ATTACHED = sa.select(attachments).where(attachments.c.volume_id == bindparam("volume"))
_SNAPSHOTS = sa.select(snapshots.c.id).where(snapshots.c.volume_id == bindparam("volume"))
_LATER = sa.select(backups.c.id).where(backups.c.parent_id == bindparam("backup"))
_UNSURE = (statuses.CREATING, statuses.DELETING, statuses.ERROR, statuses.ERROR_DELETING, statuses.MANAGING)


def explain(tx: Transaction, resource_id: str) -> list[Explanation]:
    """The volume, snapshot or backup of this id."""
    found = []
    for kind, statement in _ONE.items():
        row = tx.first(statement, {"id": resource_id})
        if row is not None:
            found.append(_explained(tx, kind, row))
    return found


def _explained(tx: Transaction, kind: str, row: Any) -> Explanation:
    task = (row.task or {}).get("name")
    where = hosts.address(row.host, getattr(row, "backend", None))
    return Explanation(
        kind=kind,
        id=row.id,
        name=row.name or "",
        project_id=row.project_id,
        status=row.status + (f", task: {task}" if task else ""),
        reason=(row.fail_reason if kind == "backup" else row.fault) or "",
        owners=(f"project {row.project_id}", f"user {row.user_id}"),
        uses=(*((f"host {where}",) if where else ()), *_uses(kind, row)),
        blockers=tuple(_blockers(tx, kind, row)),
    )


def _uses(kind: str, row: Any) -> Iterator[str]:
    if kind != "volume":
        yield f"volume {row.volume_id}"
        return
    for name, what in (("image_id", "image"), ("snapshot_id", "snapshot"), ("source_volid", "volume")):
        if getattr(row, name):
            yield f"{what} {getattr(row, name)} (made from it)"


def _blockers(tx: Transaction, kind: str, row: Any) -> Iterator[str]:
    if kind == "volume":
        for one in tx.all(_ATTACHED, {"volume": row.id}):
            yield f"attachment {one.id} ({one.attach_status}) of server {one.instance_id or '-'}"
        for one in tx.all(_SNAPSHOTS, {"volume": row.id}):
            yield f"snapshot {one.id}"
    if kind == "backup":
        for one in tx.all(_LATER, {"backup": row.id}):
            yield f"backup {one.id} (goes on from it)"


def named(tx: Transaction, name: str) -> list[str]:
    """Ids of what has this name."""
    return [row.id for statement in _NAMED.values() for row in tx.all(statement, {"name": name})]


def counts(tx: Transaction) -> dict[str, int]:
    """Volumes, snapshots and backups by status."""
    return {f"{kind}s {row.status}": row.number for kind, what in _COUNT.items() for row in tx.all(what)}


def expected(tx: Transaction) -> dict[str, set[str]]:
    """What this host should keep, by kind; under `<kind>?` what may be there or not (in error, being made)."""
    here = network_api.local_host(tx)
    found: dict[str, set[str]] = {}
    for kind, statement in _ALL.items():
        sure, unsure = found.setdefault(kind, set()), found.setdefault(f"{kind}?", set())
        for row in tx.all(statement):
            key = kept_as(row) if kind == "backup" else str(row.id)
            mine = row.host is not None and (not here or row.host == here)
            (sure if mine and row.status not in _UNSURE and row.task is None else unsure).add(key)
    return found
