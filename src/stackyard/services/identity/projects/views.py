"""Projects and domains as the API shows them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.services.identity.projects import tables


def view(tx: Transaction, call: Call, row: Row[Any]) -> dict[str, Any]:
    """One project."""
    return _view(call, row, [tag.name for tag in tx.all(tables.TAGS, {"id": row.id})])


def views(tx: Transaction, call: Call, rows: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    """Several projects, their tags read at once."""
    rows = list(rows)
    tags = _tags(tx, rows)
    return [_view(call, row, tags.get(row.id, [])) for row in rows]


def domain_view(tx: Transaction, call: Call, row: Row[Any]) -> dict[str, Any]:
    """One domain."""
    return _domain_view(call, row, [tag.name for tag in tx.all(tables.TAGS, {"id": row.id})])


def domain_views(tx: Transaction, call: Call, rows: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    """Several domains."""
    rows = list(rows)
    tags = _tags(tx, rows)
    return [_domain_view(call, row, tags.get(row.id, [])) for row in rows]


def _tags(tx: Transaction, rows: Sequence[Row[Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if rows:
        for tag in tx.all(tables.TAGS_OF, {"ids": [row.id for row in rows]}):
            found.setdefault(tag.project_id, []).append(tag.name)
    return found


def _view(call: Call, row: Row[Any], tags: list[str]) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "domain_id": row.domain_id or None,
        "description": row.description,
        "enabled": row.enabled,
        "parent_id": row.parent_id,
        "is_domain": row.is_domain,
        "tags": tags,
        "options": row.options,
        "links": {"self": call.url(f"/v3/projects/{row.id}")},
    }


def _domain_view(call: Call, row: Row[Any], tags: list[str]) -> dict[str, Any]:
    return {
        **row.extra,
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "enabled": row.enabled,
        "tags": tags,
        "options": row.options,
        "links": {"self": call.url(f"/v3/domains/{row.id}")},
    }
