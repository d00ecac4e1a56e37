"""Changing one row by its id, for the nouns that have no tasks of their own."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction

_updates: dict[tuple[str, tuple[str, ...]], sa.Update] = {}
_deletes: dict[str, sa.Delete] = {}


def update(tx: Transaction, table: sa.Table, row_id: str | int, **values: Any) -> None:
    """Write columns, and that the row was changed now."""
    write(tx, table, row_id, **(values | ({"updated_at": tx.now} if "updated_at" in table.c else {})))


def write(tx: Transaction, table: sa.Table, row_id: str | int, **values: Any) -> None:
    """Write columns, and nothing else."""
    shape = tuple(sorted(values))
    statement = _updates.get((table.name, shape))
    if statement is None:
        named: dict[str, sa.ColumnElement[Any]] = {name: bindparam(f"new_{name}") for name in shape}
        statement = sa.update(table).where(table.c.id == bindparam("key")).values(named)
        _updates[table.name, shape] = statement
    tx.execute(statement, {"key": row_id, **{f"new_{name}": value for name, value in values.items()}})


def delete(tx: Transaction, table: sa.Table, row_id: str | int) -> None:
    """Forget the row."""
    statement = _deletes.get(table.name)
    if statement is None:
        statement = _deletes[table.name] = sa.delete(table).where(table.c.id == bindparam("key"))
    tx.execute(statement, {"key": row_id})
