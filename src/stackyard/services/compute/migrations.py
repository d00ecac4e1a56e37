"""Migrations (os-migrations): the record of every move of a server between hosts or flavors."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest
from stackyard.core.paging import EVERYTHING, Filter, Listing, Page
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.rules import ADMIN, MANAGER
from stackyard.services.compute.tables import migrations
from stackyard.services.compute.times import moment, naive

_ADD = sa.insert(migrations)
_BY_UUID = sa.select(migrations).where(migrations.c.uuid == bindparam("key"))
_OPTIONAL = (
    "source_compute", "source_node", "dest_compute", "dest_node", "dest_host", "old_instance_type_id",
    "new_instance_type_id", "memory_total", "memory_processed", "memory_remaining", "disk_total", "disk_processed",
    "disk_remaining",
)  # fmt: skip
_updates: dict[tuple[str, ...], sa.Update] = {}


def record(tx: Transaction, call: Call, server: Any, kind: str, **columns: Any) -> str:
    """Write a move down; its uuid. `kind` is migration, resize, live-migration or evacuation.

    `columns` are those of the table; `status` is "pre-migrating" and `source_compute` the server's host unless given.
    """
    move_id = ids.new_uuid()
    row = {
        "uuid": move_id, "server_id": server.id, "project_id": server.project_id, "user_id": call.caller.user_id,
        "migration_type": kind, "status": "pre-migrating", "details": {}, "created_at": tx.now, "updated_at": tx.now,
    }  # fmt: skip
    given = {"source_compute": server.host, "source_node": server.host} | columns
    tx.execute(_ADD, dict.fromkeys(_OPTIONAL) | row | given)
    return move_id


def update(tx: Transaction, move_id: str, **columns: Any) -> None:
    """Change columns of a move, by its uuid: its status above all."""
    shape = tuple(sorted(columns))
    statement = _updates.get(shape)
    if statement is None:
        named: dict[str, Any] = {name: bindparam(f"new_{name}") for name in shape}
        named["updated_at"] = bindparam("at")
        statement = _updates[shape] = sa.update(migrations).where(migrations.c.uuid == bindparam("key")).values(named)
    tx.execute(statement, {"key": move_id, "at": tx.now, **{f"new_{name}": value for name, value in columns.items()}})


def find(tx: Transaction, move_id: str) -> Any:
    """A move's row by its uuid, or None."""
    return tx.first(_BY_UUID, {"key": move_id})


_m = migrations.c
_FILTERS = {
    "host": Filter(where=lambda named: sa.or_(_m.source_compute.in_(named), _m.dest_compute.in_(named))),
    "instance_uuid": Filter(_m.server_id),
    "source_compute": Filter(_m.source_compute),
    "status": Filter(_m.status),
    "migration_type": Filter(_m.migration_type),
    "user_id": Filter(_m.user_id),
    "project_id": Filter(_m.project_id),
    "changes-since": Filter(where=lambda least: _m.updated_at >= least, read=moment, many=False),
    "changes-before": Filter(where=lambda most: _m.updated_at <= most, read=moment, many=False),
}
_OLDEST_FIRST = Listing(migrations, _FILTERS, default_sort=(("id", "asc"),), key="uuid")
_NEWEST_FIRST = Listing(
    migrations,
    _FILTERS,
    default_sort=(("created_at", "desc"), ("id", "desc")),
    key="uuid",
    page_size=lists.MAX_LIMIT,
)
_AT_FIRST = ("hidden", "host", "instance_uuid", "source_compute", "status", "migration_type")
_UNDER_WAY = ("queued", "preparing", "running", "post-migrating")


def _known(call: Call) -> tuple[str, ...]:
    names: tuple[str, ...] = _AT_FIRST
    if call.since(2, 59):
        names += ("limit", "marker", "changes-since")
    if call.since(2, 66):
        names += ("changes-before",)
    # Before parameters were checked, a project could be named too.
    return (*names, "user_id", "project_id") if call.since(2, 80) or not call.since(2, 59) else names


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-migrations: of the caller's project, when he names it; of all, for an administrator."""
    query = lists.query_of(call, _known(call), strict=call.since(2, 59))
    project_id = query.get("project_id")
    if not project_id or project_id != call.caller.project_id:
        call.require(f"{_RULE}:index:all_projects")
    with_hosts = call.allows(f"{_RULE}:index:host")
    since, before = query.get("changes-since"), query.get("changes-before")
    if since and before and moment("changes-since", since) > moment("changes-before", before):
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")
    if (query.get("hidden") or "").lower() in ("1", "true", "yes", "on"):
        page = Page((), None)
    else:
        page = (_NEWEST_FIRST if call.since(2, 59) else _OLDEST_FIRST).page(tx, query, EVERYTHING)
    views = [_view(call, row, with_hosts=with_hosts) for row in page.rows]
    return lists.page_of(call, "migrations", views, "/os-migrations", page.marker)


def _view(call: Call, row: Any, *, with_hosts: bool) -> dict[str, Any]:
    found = {
        "id": row.id,
        "instance_uuid": row.server_id,
        "status": row.status,
        "old_instance_type_id": row.old_instance_type_id,
        "new_instance_type_id": row.new_instance_type_id,
        "created_at": naive(row.created_at),
        "updated_at": naive(row.updated_at),
    }
    for name in ("source_compute", "source_node", "dest_compute", "dest_node", "dest_host"):
        found[name] = getattr(row, name) if with_hosts else None
    if call.since(2, 23):
        found["migration_type"] = row.migration_type
        if row.migration_type == "live-migration" and row.status in _UNDER_WAY:
            found["links"] = lists.links(call, f"/servers/{row.server_id}/migrations/{row.id}")
    if call.since(2, 59):
        found["uuid"] = row.uuid
    if call.since(2, 80):
        found |= {"user_id": row.user_id, "project_id": row.project_id}
    return found


_RULE = "os_compute_api:os-migrations"

ROUTES = (Route("GET", "/v2.1/os-migrations", list_, f"{_RULE}:index", query=(*_FILTERS, "hidden", "limit", "marker")),)

POLICIES = (
    Rule(f"{_RULE}:index", MANAGER, "List the project's moves of servers, without hosts."),
    Rule(f"{_RULE}:index:all_projects", ADMIN, "List the moves of all projects."),
    Rule(f"{_RULE}:index:host", ADMIN, "See from and to which hosts servers moved."),
)
