"""The endpoints that a project is associated with, by themselves or through groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from stackyard.core.db import Transaction
from stackyard.services.identity.catalog.tables import endpoints
from stackyard.services.identity.endpoint_filter import tables

_ALL = sa.select(endpoints).order_by(endpoints.c.created_at, endpoints.c.id)


def in_group(rows: Iterable[Row[Any]], filters: Mapping[str, Any]) -> list[Row[Any]]:
    """The endpoints that have all that a group asks for."""
    return [row for row in rows if all(row._mapping[name] == value for name, value in filters.items())]


def endpoints_of_group(tx: Transaction, group: Row[Any]) -> list[Row[Any]]:
    """A group's endpoints."""
    return in_group(tx.all(_ALL), group.filters)


def endpoints_of_project(tx: Transaction, project_id: str) -> list[Row[Any]]:
    """A project's endpoints, each once; none where nobody associated any, which then means every one."""
    found = {row.id: row for row in tx.all(tables.ENDPOINTS_OF_PROJECT, {"project_id": project_id})}
    groups = tx.all(tables.GROUPS_OF_PROJECT, {"project_id": project_id})
    if groups:
        everything = tx.all(_ALL)
        for group in groups:
            found |= {row.id: row for row in in_group(everything, group.filters) if row.id not in found}
    return list(found.values())
