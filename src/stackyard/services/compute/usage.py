"""Usage (os-simple-tenant-usage): how many hours servers have run in a period, and what they took meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import bindparam

from stackyard.core.call import Call, Query
from stackyard.core.db import Moment, Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import lists
from stackyard.services.compute.rules import ADMIN, READER
from stackyard.services.compute.tables import servers
from stackyard.services.compute.times import naive, naive_or_none

_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")

_s = servers.c
_ENDED = sa.func.coalesce(_s.terminated_at, _s.deleted_at)
_RAN = (
    sa.select(_s.id, _s.name, _s.project_id, _s.flavor, _s.vm_state, _s.launched_at, _ENDED.label("ended_at"))
    .where(
        _s.launched_at < bindparam("stop", type_=Moment),
        sa.or_(_ENDED.is_(None), bindparam("start", type_=Moment) < _ENDED),
    )
    .order_by(_s.project_id, _s.id)
    .limit(bindparam("most", type_=sa.Integer))
)
_RAN_OF = _RAN.where(_s.project_id == bindparam("project"))
_AFTER = sa.or_(
    _s.project_id > bindparam("after_project"),
    sa.and_(_s.project_id == bindparam("after_project"), _s.id > bindparam("after")),
)
_STATEMENTS = {
    (False, False): _RAN,
    (False, True): _RAN.where(_AFTER),
    (True, False): _RAN_OF,
    (True, True): _RAN_OF.where(_AFTER),
}
_MARKER = sa.select(_s.id, _s.project_id).where(_s.id == bindparam("key"))


@dataclass(frozen=True, slots=True)
class Period:
    """From `start` to `stop`."""

    start: datetime
    stop: datetime

    def hours(self, row: Any) -> float:
        """How long a server ran in it."""
        ended = row.ended_at
        begin = max(row.launched_at, self.start)
        end = self.stop if ended is None else min(self.stop, ended)
        return float(max((end - begin).total_seconds(), 0.0) / 3600)


def _moment(name: str, text: str | None, now: datetime) -> datetime:
    if not text:
        return now
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise BadRequest(f"Invalid datetime string: {name} '{text[:80]}' is in invalid format")


def _period(query: Query, now: datetime) -> Period:
    start, stop = _moment("start", query.get("start"), now), _moment("end", query.get("end"), now)
    if start > stop or (start == stop and query.get("start")):
        raise BadRequest("Invalid start time. The start time cannot occur after the end time.")
    return Period(start, min(stop, now))


def _servers(
    tx: Transaction, query: Query, period: Period, project_id: str | None, *, paged: bool
) -> tuple[Sequence[Any], str | None]:
    """The servers that ran in a period, and the marker of the next page."""
    limit = lists.limit_of(query) if paged else lists.MAX_LIMIT
    values: dict[str, Any] = {"start": period.start, "stop": period.stop, "project": project_id, "most": limit + 1}
    marker = query.get("marker") if paged else None
    if marker is not None:
        row = tx.first(_MARKER, {"key": marker})
        if row is None:
            raise BadRequest(f"Marker {marker[:255]} could not be found.", kind="MarkerNotFound")
        values |= {"after": row.id, "after_project": row.project_id}
    rows = tx.all(_STATEMENTS[project_id is not None, marker is not None], values)
    more = paged and len(rows) > limit
    return rows[:limit], rows[limit - 1].id if more else None


def _of_server(row: Any, hours: float, now: datetime) -> dict[str, Any]:
    ended = row.ended_at
    return {
        "instance_id": row.id,
        "name": row.name,
        "tenant_id": row.project_id,
        "flavor": row.flavor["name"],
        "hours": hours,
        "memory_mb": row.flavor["ram"],
        "local_gb": row.flavor["disk"] + row.flavor["ephemeral"],
        "vcpus": row.flavor["vcpus"],
        "started_at": naive(row.launched_at),
        "ended_at": naive_or_none(ended),
        "state": row.vm_state if ended is None else "terminated",
        "uptime": int(((ended or now) - row.launched_at).total_seconds()),
    }


def _summaries(rows: Iterable[Any], period: Period, now: datetime, *, detailed: bool) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        hours = period.hours(row)
        one = _of_server(row, hours, now)
        total = found.setdefault(row.project_id, _nothing(row.project_id, period, detailed=detailed))
        total["total_hours"] += hours
        total["total_vcpus_usage"] += one["vcpus"] * hours
        total["total_memory_mb_usage"] += one["memory_mb"] * hours
        total["total_local_gb_usage"] += one["local_gb"] * hours
        if detailed:
            total["server_usages"].append(one)
    return list(found.values())


def _nothing(project_id: str, period: Period, *, detailed: bool) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tenant_id": project_id,
        "start": naive(period.start),
        "stop": naive(period.stop),
        "total_hours": 0.0,
        "total_vcpus_usage": 0.0,
        "total_memory_mb_usage": 0.0,
        "total_local_gb_usage": 0.0,
    }
    return found | {"server_usages": []} if detailed else found


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-simple-tenant-usage: of all projects, by server too if `detailed=1`."""
    if call.request.scope["path"].endswith("/"):
        # Clients put a project behind the slash: an empty one is none, and must not come to mean all.
        raise NotFound("The resource could not be found.")
    paged = call.since(2, 40)
    query = lists.query_of(call, _LIST_QUERY if paged else _LIST_QUERY[:3], strict=call.since(2, 75))
    period = _period(query, tx.now)
    rows, marker = _servers(tx, query, period, None, paged=paged)
    usages = _summaries(rows, period, tx.now, detailed=query.get("detailed") == "1")
    return lists.page_of(call, "tenant_usages", usages, "/os-simple-tenant-usage", marker)


def load(tx: Transaction, call: Call) -> dict[str, Any]:
    """What the rule looks at: the project in the path."""
    del tx
    return {"project_id": call.path["project_id"]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-simple-tenant-usage/{project_id}."""
    paged, project_id = call.since(2, 40), call.path["project_id"]
    query = lists.query_of(call, _SHOW_QUERY if paged else _SHOW_QUERY[:2], strict=call.since(2, 75))
    period = _period(query, tx.now)
    rows, marker = _servers(tx, query, period, project_id, paged=paged)
    usages = _summaries(rows, period, tx.now, detailed=True)
    found: dict[str, Any] = {"tenant_usage": usages[0] if usages else {}}
    further = lists.next_links(call, f"/os-simple-tenant-usage/{project_id}", marker)
    return found | {"tenant_usage_links": further} if further else found


_LIST_QUERY = ("start", "end", "detailed", "limit", "marker")
_SHOW_QUERY = ("start", "end", "limit", "marker")
_ROOT = "/v2.1/os-simple-tenant-usage"
_RULE = "os_compute_api:os-simple-tenant-usage"

ROUTES = (
    Route("GET", _ROOT, list_, f"{_RULE}:list", query=_LIST_QUERY),
    Route("GET", f"{_ROOT}/{{project_id}}", show, f"{_RULE}:show", target=load, query=_SHOW_QUERY),
)

POLICIES = (
    Rule(f"{_RULE}:list", ADMIN, "See the usage of all projects."),
    Rule(f"{_RULE}:show", READER, "See the usage of a project."),
)
