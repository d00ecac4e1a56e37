"""The volume that a call is about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.services.volume.faults import not_found
from stackyard.services.volume.tables import volumes

_BY_ID = sa.select(volumes).where(volumes.c.id == bindparam("key"))
_OF_PROJECT = _BY_ID.where(volumes.c.project_id == bindparam("project"))
_BY_NAME = sa.select(volumes).where(
    volumes.c.name == bindparam("name"), volumes.c.project_id == bindparam("project")
).order_by(volumes.c.created_at)  # fmt: skip
_ALL_OF_PROJECT = (
    sa.select(volumes)
    .where(volumes.c.project_id == bindparam("project"))
    .order_by(volumes.c.created_at.desc(), volumes.c.id.desc())
)
_BY_IDS = sa.select(volumes).where(volumes.c.id.in_(bindparam("keys", expanding=True)))

_HOLD = sa.update(volumes).where(volumes.c.id == bindparam("key")).values(user_id=volumes.c.user_id)


def by_id(tx: Transaction, volume_id: str) -> Any:
    """A volume's row, whoever's it is; None when there is none."""
    return tx.first(_BY_ID, {"key": volume_id})


def by_ids(tx: Transaction, volume_ids: Iterable[str]) -> dict[str, Any]:
    """The rows of those that are there, by id."""
    keys = sorted(set(volume_ids))
    return {row.id: row for row in tx.all(_BY_IDS, {"keys": keys})} if keys else {}


def find(tx: Transaction, caller: Caller, volume_id: str) -> Any:
    """A volume that the caller may know of: his project's, any for an administrator; raises VolumeNotFound."""
    row = None
    if ids.is_uuid(volume_id):
        if caller.is_admin:
            row = tx.first(_BY_ID, {"key": volume_id})
        else:
            row = tx.first(_OF_PROJECT, {"key": volume_id, "project": caller.project_id})
    if row is None:
        raise not_found("Volume", volume_id[:80])
    return row


def named(tx: Transaction, caller: Caller, name: str) -> list[Any]:
    """The volumes of the caller's project that have this name."""
    return list(tx.all(_BY_NAME, {"name": name, "project": caller.project_id}))


def of_project(tx: Transaction, project_id: str | None) -> list[Any]:
    """A project's volumes, the newest first."""
    return list(tx.all(_ALL_OF_PROJECT, {"project": project_id}))


def load(tx: Transaction, call: Call) -> Any:
    """The volume of the path's `volume_id`; raises VolumeNotFound."""
    return find(tx, call.caller, call.path["volume_id"])


def hold(tx: Transaction, volume_id: str) -> None:
    """Have a transaction that changes the volume at the same time run again after this one, or this one after it."""
    tx.execute(_HOLD, {"key": volume_id})
