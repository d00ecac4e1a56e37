"""A few facts of the whole cloud, by name: that it has been seeded, when."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.db import Transaction, metadata

facts = sa.Table(
    "facts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

_READ = sa.select(facts.c.value).where(facts.c.name == bindparam("n"))
_DROP = sa.delete(facts).where(facts.c.name == bindparam("n"))


def get(tx: Transaction, name: str) -> str | None:
    """The fact, or None when it is not known."""
    value: str | None = tx.scalar(_READ, {"n": name})
    return value


def put(tx: Transaction, name: str, value: str) -> None:
    """Write a fact down, over an earlier one."""
    tx.execute(_DROP, {"n": name})
    tx.execute(sa.insert(facts), {"name": name, "value": value})
