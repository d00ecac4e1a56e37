"""What `stackyard why` and `status` tell of containers."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction
from stackyard.core.explain import Explanation
from stackyard.services.containers.containers.tables import containers
from stackyard.services.network import api as network_api

_ONE = sa.select(containers).where(containers.c.uuid == bindparam("id"))
_NAMED = sa.select(containers.c.uuid).where(containers.c.name == bindparam("name"))
_COUNT = sa.select(containers.c.status, sa.func.count().label("number")).group_by(containers.c.status)
_MADE = sa.select(containers.c.uuid, containers.c.host).where(
    containers.c.status.not_in(("Creating", "Deleting", "Deleted", "Error")), containers.c.wanted != "deleted"
)


def explain(tx: Transaction, resource_id: str) -> list[Explanation]:
    """The container of this id."""
    row = tx.first(_ONE, {"id": resource_id})
    if row is None:
        return []
    ports = tuple(f"port {interface['port']}" for interface in row.interfaces if interface.get("port"))
    return [
        Explanation(
            kind="container",
            id=row.uuid,
            name=row.name,
            project_id=row.project_id,
            status=f"{row.status}, wanted: {row.wanted}" + (f", task: {row.task_state}" if row.task_state else ""),
            reason=row.status_reason or "",
            owners=(f"project {row.project_id}", f"user {row.user_id}"),
            uses=(f"image {row.image}", *ports),
        )
    ]


def named(tx: Transaction, name: str) -> list[str]:
    """Ids of the containers of this name."""
    return [row.uuid for row in tx.all(_NAMED, {"name": name})]


def counts(tx: Transaction) -> dict[str, int]:
    """Containers by state."""
    return {f"containers {row.status}": row.number for row in tx.all(_COUNT)}


def expected(tx: Transaction) -> dict[str, set[str]]:
    """Containers that this host's engine should have: all that were made here and are not being deleted."""
    here = network_api.local_host(tx)
    return {"container": {row.uuid for row in tx.all(_MADE) if not here or row.host == here}}
