"""What was done to a server: its actions, newest first, and the events of each."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core import ids
from stackyard.core.call import Call, Query
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists, times
from stackyard.services.compute.faults import not_found
from stackyard.services.compute.rules import ADMIN, READER
from stackyard.services.compute.servers import finding
from stackyard.services.compute.servers.views import host_id
from stackyard.services.compute.tables import instance_actions, instance_events, servers

_a, _e = instance_actions.c, instance_events.c
_KNOWN = sa.select(servers).where(servers.c.id == bindparam("key"))
_ONE = (
    sa.select(instance_actions)
    .where(_a.server_id == bindparam("server"), _a.request_id == bindparam("request"))
    .order_by(_a.started_at.desc())
)
_EVENTS = sa.select(instance_events).where(_e.action_id == bindparam("action")).order_by(_e.started_at.desc())
_LISTING = Listing(
    instance_actions,
    {
        "changes-since": Filter(where=lambda value: _a.updated_at >= value, read=times.moment, many=False),
        "changes-before": Filter(where=lambda value: _a.updated_at <= value, read=times.moment, many=False),
    },
    sort_keys=("started_at",),
    default_sort=(("started_at", "desc"), ("id", "desc")),
    unknown="refuse",
    page_size=lists.MAX_LIMIT,
)
_OF_SERVER = _a.server_id == bindparam("of_server")

_RULE = "os_compute_api:os-instance-actions:"


def load(tx: Transaction, call: Call) -> Any:
    """The server of the path, deleted or not since 2.21."""
    if not call.since(2, 21):
        return finding.load(tx, call)
    server_id = call.path["server_id"]
    row = tx.first(_KNOWN, {"key": server_id}) if ids.is_uuid(server_id) else None
    if row is None or not (call.caller.is_admin or row.project_id == call.caller.project_id):
        raise not_found("Instance", server_id)
    return row


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../os-instance-actions."""
    scope = Scope("server", _OF_SERVER, {"of_server": call.target.id})
    if not call.since(2, 58):
        return {"instanceActions": [_view(call, row) for row in _LISTING.page(tx, Query(b""), scope).rows]}
    names = ["limit", "marker", "changes-since", *(["changes-before"] if call.since(2, 66) else [])]
    query = lists.query_of(call, names, strict=call.since(2, 66))
    _check_moments(query)
    page = _LISTING.page(tx, _by_id(tx, call, query), scope)
    views = [_view(call, row) for row in page.rows]
    found: dict[str, Any] = {"instanceActions": views}
    if page.marker is not None:
        path = f"/servers/{call.target.id}/os-instance-actions"
        found["links"] = lists.next_links(call, path, views[-1]["request_id"])
    return found


def _check_moments(query: Query) -> None:
    since, before = (query.get(name) for name in ("changes-since", "changes-before"))
    if since and before and times.moment("changes-before", before) < times.moment("changes-since", since):
        raise BadRequest("The value of changes-since must be less than or equal to changes-before.")


def _by_id(tx: Transaction, call: Call, query: Query) -> Query:
    """Pages' markers are request ids here."""
    marker = query.get("marker")
    if marker is None:
        return query
    row = tx.first(_ONE, {"server": call.target.id, "request": marker})
    if row is None:
        raise BadRequest(f"Marker {marker[:80]} could not be found.", kind="MarkerNotFound")
    return Query(urlencode([*(pair for pair in query.pairs() if pair[0] != "marker"), ("marker", row.id)]))


def _view(call: Call, row: Any) -> dict[str, Any]:
    found = {
        "action": row.action,
        "instance_uuid": row.server_id,
        "request_id": row.request_id,
        "user_id": row.user_id,
        "project_id": row.project_id,
        "start_time": times.naive(row.started_at),
        "message": row.message,
    }
    return found | {"updated_at": times.naive(row.updated_at)} if call.since(2, 58) else found


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET .../os-instance-actions/{request_id}, with the events that the caller may see."""
    finding.refuse_query(call)
    request_id = call.path["request_id"]
    row = tx.first(_ONE, {"server": call.target.id, "request": request_id})
    if row is None:
        raise NotFound(f"Action {request_id[:80]} not found")
    found = _view(call, row)
    all_of_it = call.allows(f"{_RULE}events", call.target)
    if all_of_it or call.since(2, 51):
        details = call.since(2, 84) and call.allows(f"{_RULE}events:details", call.target)
        events = tx.all(_EVENTS, {"action": row.id})
        found["events"] = [_event(call, event, all_of_it=all_of_it, details=details) for event in events]
    return {"instanceAction": found}


def _event(call: Call, row: Any, *, all_of_it: bool, details: bool) -> dict[str, Any]:
    found = {
        "event": row.event,
        "start_time": times.naive(row.started_at),
        "finish_time": times.naive_or_none(row.finished_at),
        "result": row.result,
    }
    if all_of_it:
        found["traceback"] = None
    if call.since(2, 62):
        if all_of_it:
            found["host"] = row.host
        found["hostId"] = host_id(row.host, call.target.project_id)
    if details:
        found["details"] = row.details
    return found


_PATH = "/v2.1/servers/{server_id}/os-instance-actions"

ROUTES = (
    Route("GET", _PATH, list_, f"{_RULE}list", target=load),
    Route("GET", f"{_PATH}/{{request_id}}", show, f"{_RULE}show", target=load),
)

POLICIES = (
    Rule(f"{_RULE}list", READER, "See what was done to a server."),
    Rule(f"{_RULE}show", READER, "See one thing that was done to a server."),
    Rule(f"{_RULE}events", ADMIN, "See all of the steps of what was done to a server."),
    Rule(f"{_RULE}events:details", ADMIN, "See what went wrong in the steps of what was done to a server."),
)
