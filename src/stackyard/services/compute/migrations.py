"""Migrations: the record of every move of a server between hosts or flavors."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.compute.tables import migrations

_ADD = sa.insert(migrations)
_BY_UUID = sa.select(migrations).where(migrations.c.uuid == bindparam("key"))
_OPTIONAL = (
    "source_compute", "source_node", "dest_compute", "dest_node", "dest_host", "old_instance_type_id",
    "new_instance_type_id", "memory_total", "memory_processed", "memory_remaining", "disk_total", "disk_processed",
    "disk_remaining",
)  # fmt: skip
_updates: dict[tuple[str, ...], sa.Update] = {}


def record(tx: Transaction, call: Call, server: Any, kind: str, **columns: Any) -> str:
    """Write a move down; its uuid. `kind` is migration, resize, live-migration or evacuation.

    `columns` are those of the table; `status` is "pre-migrating" and `source_compute` the server's host unless given.
    """
    move_id = ids.new_uuid()
    row = {
        "uuid": move_id, "server_id": server.id, "project_id": server.project_id, "user_id": call.caller.user_id,
        "migration_type": kind, "status": "pre-migrating", "details": {}, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    given = {"source_compute": server.host, "source_node": server.host} | columns
    tx.execute(_ADD, dict.fromkeys(_OPTIONAL) | row | given)
    return move_id


def update(tx: Transaction, move_id: str, **columns: Any) -> None:
    """Change columns of a move, by its uuid: its status above all."""
    shape = tuple(sorted(columns))
    statement = _updates.get(shape)
    if statement is None:
        named: dict[str, Any] = {name: bindparam(f"new_{name}") for name in shape}
        named["updated_at"] = bindparam("at")
        statement = _updates[shape] = sa.update(migrations).where(migrations.c.uuid == bindparam("key")).values(named)
    tx.execute(statement, {"key": move_id, "at": tx.now, **{f"new_{name}": value for name, value in columns.items()}})


def find(tx: Transaction, move_id: str) -> Any:
    """A move's row by its uuid, or None."""
    return tx.first(_BY_UUID, {"key": move_id})
