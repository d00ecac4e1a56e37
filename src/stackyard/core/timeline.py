"""Every resource's timeline: what was asked, what was tried, what came of it, by whom and when.

Written in the transaction that makes it true. `stackyard why` prints it; it is kept after the resource is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.db import Moment, Transaction, metadata
from stackyard.core.log import request_id_var

timeline = sa.Table(
    "timeline",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("resource_id", sa.String(64), nullable=False, index=True),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Column("event", sa.String(96), nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("request_id", sa.String(64), nullable=True),
)

_INSERT = sa.insert(timeline)
_READ = sa.select(timeline).where(timeline.c.resource_id == bindparam("resource")).order_by(timeline.c.id)


def record(tx: Transaction, kind: str, resource_id: str, event: str, detail: str = "") -> None:
    """Add an entry: `event` is a short verb phrase (create asked, start failed), `detail` says the rest."""
    record_all(tx, kind, (resource_id,), event, detail)


def record_all(tx: Transaction, kind: str, resource_ids: Iterable[str], event: str, detail: str = "") -> None:
    """Add the same entry to many resources at once."""
    same = {"kind": kind, "at": tx.now, "event": event, "detail": detail, "request_id": request_id_var.get(None)}
    entries = [{"resource_id": resource_id, **same} for resource_id in resource_ids]
    if entries:
        tx.execute(_INSERT, entries)


def read(tx: Transaction, resource_id: str) -> Sequence[Row[Any]]:
    """A resource's entries, oldest first."""
    return tx.all(_READ, {"resource": resource_id})
