"""The tree of projects: what is above one, what is below it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.engine import Row

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.services.identity.assignments import effective, reach
from stackyard.services.identity.limits import tables as limit_tables
from stackyard.services.identity.limits.models import STRICT_TWO_LEVEL
from stackyard.services.identity.projects import views
from stackyard.services.identity.projects.tables import projects

PARAMETERS = ("parents_as_list", "parents_as_ids", "subtree_as_list", "subtree_as_ids", "include_limits")
"""What a query for one project may ask beside."""

_TWO_LEVELS = 2

_LEVEL = (
    sa.select(projects)
    .where(projects.c.parent_id.in_(bindparam("ids", expanding=True)))
    .order_by(projects.c.name, projects.c.id)
)
_LIMITS = limit_tables.ALL_LIMITS.where(
    limit_tables.limits.c.project_id.in_(bindparam("ids", expanding=True))
).order_by(limit_tables.limits.c.created_at, limit_tables.limits.c.id)


def max_depth(call: Call) -> int:
    """How many projects may stand above one another here: fewer where limits are two levels."""
    settings = call.runtime.settings
    deepest = settings.hierarchy.max_project_tree_depth
    return min(deepest, _TWO_LEVELS) if settings.unified_limit.enforcement_model == STRICT_TWO_LEVEL else deepest


def subtree(tx: Transaction, project_id: str) -> list[Row[Any]]:
    """All projects below one, level by level."""
    found: list[Row[Any]] = []
    level = [project_id]
    while level:
        rows = tx.all(_LEVEL, {"ids": level})
        found += rows
        level = [row.id for row in rows]
    return found


def add_relatives(tx: Transaction, call: Call, project: Row[Any], body: dict[str, Any]) -> None:
    """Add to a project's body what the query asks of parents and subtree."""
    for kind in ("parents", "subtree"):
        if _asked(call, f"{kind}_as_list") and _asked(call, f"{kind}_as_ids"):
            raise BadRequest(f"Cannot use {kind}_as_list and {kind}_as_ids query params at the same time.")
    if _asked(call, "parents_as_list"):
        body["parents"] = _visible(tx, call, effective.ancestors(tx, project))
    elif _asked(call, "parents_as_ids"):
        body["parents"] = _parent_ids(effective.ancestors(tx, project))
    if _asked(call, "subtree_as_list"):
        body["subtree"] = _visible(tx, call, subtree(tx, project.id))
    elif _asked(call, "subtree_as_ids"):
        body["subtree"] = _subtree_ids(project.id, subtree(tx, project.id))


def _asked(call: Call, name: str) -> bool:
    value = call.query.get(name)
    return value is not None and value.lower() not in ("0", "false", "no")


def _visible(tx: Transaction, call: Call, rows: list[Row[Any]]) -> list[dict[str, Any]]:
    """Those where the caller has a role himself, as Keystone shows them."""
    own = {row.id for row in reach.projects_of_user(tx, call.caller.user_id)}
    bodies = views.views(tx, call, [row for row in rows if row.id in own])
    if bodies and _asked(call, "include_limits"):
        limits = _limits(tx, call, [body["id"] for body in bodies])
        for body in bodies:
            body["limits"] = limits.get(body["id"], [])
    return [{"project": body} for body in bodies]


def _limits(tx: Transaction, call: Call, ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    from stackyard.services.identity.limits.limits import LIMITS

    found: dict[str, list[dict[str, Any]]] = {}
    for row in tx.all(_LIMITS, {"ids": ids}):
        found.setdefault(row.project_id, []).append({"id": row.id, **LIMITS.view(call, row)})
    return found


def _parent_ids(rows: list[Row[Any]]) -> dict[str, Any] | None:
    nested: dict[str, Any] | None = None
    for row in reversed(rows):
        nested = {row.id: nested}
    return nested


def _subtree_ids(project_id: str, rows: list[Row[Any]]) -> dict[str, Any] | None:
    children = [row.id for row in rows if row.parent_id == project_id]
    return {child: _subtree_ids(child, rows) for child in children} or None
