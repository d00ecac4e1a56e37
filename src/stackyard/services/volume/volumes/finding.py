"""The volume that a call is about."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.services.volume.owned import OwnedRows
from stackyard.services.volume.tables import volumes

_rows = OwnedRows(volumes, "Volume", "volume_id")
by_id, by_ids, of_project, find, load = _rows.by_id, _rows.by_ids, _rows.of_project, _rows.find, _rows.load

_BY_NAME = sa.select(volumes).where(
    volumes.c.name == bindparam("name"), volumes.c.project_id == bindparam("project")
).order_by(volumes.c.created_at)  # fmt: skip
_HOLD = sa.update(volumes).where(volumes.c.id == bindparam("key")).values(user_id=volumes.c.user_id)


def named(tx: Transaction, caller: Caller, name: str) -> list[Any]:
    """The volumes of the caller's project that have this name."""
    return list(tx.all(_BY_NAME, {"name": name, "project": caller.project_id}))


def hold(tx: Transaction, volume_id: str) -> None:
    """Have a transaction that changes the volume at the same time run again after this one, or this one after it."""
    tx.execute(_HOLD, {"key": volume_id})
