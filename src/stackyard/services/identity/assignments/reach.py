"""Where a user has any role at all: the projects, domains and system that a token could be had for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.identity.assignments import effective, tables
from stackyard.services.identity.projects.tables import projects

_BY_IDS = (
    sa.select(projects)
    .where(projects.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(projects.c.name, projects.c.id)
)
_BELOW = sa.select(projects.c.id).where(projects.c.parent_id.in_(bindparam("ids", expanding=True)))


def projects_of_user(tx: Transaction, user_id: str, further_groups: Iterable[str] = ()) -> list[Row[Any]]:
    """The projects where the user has a role, own, by group or inherited; by name.

    `further_groups`, here and below, are groups that the user counts as a member of beside those that are stored.
    """
    rows = _assignments(tx, user_id, further_groups)
    direct = {row.target_id for row in rows if row.target_kind == tables.PROJECT and not row.inherited}
    heads = {row.target_id for row in rows if row.inherited}
    found = _rows(tx, direct | below(tx, heads))
    return [row for row in found if not row.is_domain or row.id in direct]


def domains_of_user(tx: Transaction, user_id: str, further_groups: Iterable[str] = ()) -> list[Row[Any]]:
    """The domains where the user has a role; by name."""
    rows = _assignments(tx, user_id, further_groups)
    return _rows(tx, {row.target_id for row in rows if row.target_kind == tables.DOMAIN and not row.inherited})


def reaches_system(tx: Transaction, user_id: str, further_groups: Iterable[str] = ()) -> bool:
    """Whether the user has a role on the system."""
    return any(row.target_kind == tables.SYSTEM for row in _assignments(tx, user_id, further_groups))


def below(tx: Transaction, heads: set[str]) -> set[str]:
    """The ids of all projects below these projects and domains."""
    found: set[str] = set()
    level = heads
    while level:
        level = {row.id for row in tx.all(_BELOW, {"ids": sorted(level)})} - found
        found |= level
    return found


def _assignments(tx: Transaction, user_id: str, further_groups: Iterable[str]) -> list[Row[Any]]:
    groups = [*effective.group_ids(tx, user_id), *further_groups]
    return list(tx.all(tables.OF_ACTORS, {"user_id": user_id, "groups": groups}))


def _rows(tx: Transaction, ids: set[str]) -> list[Row[Any]]:
    return list(tx.all(_BY_IDS, {"ids": sorted(ids)})) if ids else []
