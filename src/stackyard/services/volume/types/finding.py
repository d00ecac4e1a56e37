"""Finding a volume type: by id or name, among those that a caller may use; or the one that is used by default."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.caller import Caller
from stackyard.core.db import Transaction
from stackyard.core.errors import NotFound
from stackyard.services.volume.bootstrap import DEFAULT_TYPE
from stackyard.services.volume.tables import default_volume_types, volume_type_projects, volume_types

_t = volume_types.c
_OPEN_TO_PROJECT = sa.exists().where(
    volume_type_projects.c.volume_type_id == _t.id, volume_type_projects.c.project_id == bindparam("project")
)
VISIBLE = sa.or_(_t.is_public, _OPEN_TO_PROJECT)
"""The types that the parameter `project` may use."""

_ALL = sa.select(volume_types).order_by(_t.created_at, _t.id)
_BY_ID = sa.select(volume_types).where(_t.id == bindparam("key"))
_BY_NAME = sa.select(volume_types).where(_t.name == bindparam("key"))
_VISIBLE_BY_ID = _BY_ID.where(VISIBLE)
_VISIBLE_BY_NAME = _BY_NAME.where(VISIBLE)
_DEFAULT = (
    sa.select(volume_types)
    .join(default_volume_types, default_volume_types.c.volume_type_id == _t.id)
    .where(default_volume_types.c.project_id == bindparam("project"))
)


def default(tx: Transaction, project_id: str) -> Any:
    """The type that a project's volumes are of when none is asked for: its own default, else the cloud's."""
    row = tx.first(_DEFAULT, {"project": project_id}) or tx.first(_BY_NAME, {"key": DEFAULT_TYPE})
    if row is None:
        raise NotFound(f"Default volume type {DEFAULT_TYPE} could not be found.", kind="VolumeTypeDefaultMisconfigured")
    return row


def find(tx: Transaction, caller: Caller, name_or_id: str) -> Any:
    """A type that the caller may use; raises VolumeTypeNotFound (404)."""
    if caller.is_admin:
        row = tx.first(_BY_ID, {"key": name_or_id}) or tx.first(_BY_NAME, {"key": name_or_id})
    else:
        values = {"key": name_or_id, "project": caller.project_id}
        row = tx.first(_VISIBLE_BY_ID, values) or tx.first(_VISIBLE_BY_NAME, values)
    if row is None:
        raise not_found(name_or_id)
    return row


def find_by_id(tx: Transaction, caller: Caller, type_id: str) -> Any:
    """The same, by nothing but its id."""
    if caller.is_admin:
        row = tx.first(_BY_ID, {"key": type_id})
    else:
        row = tx.first(_VISIBLE_BY_ID, {"key": type_id, "project": caller.project_id})
    if row is None:
        raise not_found(type_id)
    return row


def row(tx: Transaction, type_id: str | None) -> Any:
    """A type's row, whoever asks; None when there is none (any more)."""
    return None if type_id is None else tx.first(_BY_ID, {"key": type_id})


def by_name(tx: Transaction, name: str) -> Any:
    """The type of that name, whoever asks; None when there is none."""
    return tx.first(_BY_NAME, {"key": name})


def rows(tx: Transaction) -> dict[str, Any]:
    """Every type by its id, the oldest first: there are few, and lists show the name of each volume's."""
    return {one.id: one for one in tx.all(_ALL)}


def name_of(tx: Transaction, type_id: str | None) -> str | None:
    """What a type is called; a type that is gone has its id for a name."""
    found = row(tx, type_id)
    return type_id if found is None else str(found.name)


def not_found(type_id: str) -> NotFound:
    """No such type, or the caller may not know of it."""
    return NotFound(f"Volume type {type_id[:255]} could not be found.", kind="VolumeTypeNotFound")
