"""GET /snapshots and /snapshots/detail: filters, order, pages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.paging import Filter, Listing, Scope
from stackyard.services.volume import conditions, lists
from stackyard.services.volume.fields import flag
from stackyard.services.volume.snapshots import finding, views
from stackyard.services.volume.tables import snapshots, volumes

_s = snapshots.c
_OWNED = lists.Owned(_s.project_id)


def _zone(parameter: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    return _s.volume_id.in_(sa.select(volumes.c.id).where(volumes.c.availability_zone.in_(parameter)))


_FILTERS = {
    "name": Filter(_s.name),
    "status": Filter(_s.status),
    "volume_id": Filter(_s.volume_id),
    "availability_zone": Filter(where=_zone),
}
_LIKE = {"name~": lists.like(_s.name), "status~": lists.like(_s.status)}
_QUOTA = {"consumes_quota": Filter(_s.use_quota, flag)}
_ADMIN = {"id": Filter(_s.id), "user_id": Filter(_s.user_id), "host": Filter(_s.host)}
_SORT_KEYS = ("id", "name", "description", "status", "volume_id", "volume_size", "created_at", "updated_at")
_listings: dict[tuple[bool, bool, bool], Listing] = {}

PARAMETERS = tuple(sorted({*_FILTERS, *_LIKE, *_QUOTA, *_ADMIN, "metadata", "project_id", *lists.COMMON}))
"""For the API's description."""


def _listing(call: Call) -> Listing:
    shape = (call.caller.is_admin, call.since(3, 34), call.since(3, 65))
    found = _listings.get(shape)
    if found is None:
        admin, like, quota = shape
        filters = _FILTERS | (_LIKE if like else {}) | (_QUOTA if quota else {}) | (_ADMIN if admin else {})
        others = ["metadata", *(() if quota else _QUOTA), *(("project_id",) if admin else ())]
        found = _listings[shape] = Listing(snapshots, filters, sort_keys=_SORT_KEYS, others=others)
    return found


def _scope(tx: Transaction, call: Call) -> Scope:
    marker = call.query.get("marker")
    if marker is not None:
        finding.find(tx, call.caller, marker)
    scope = _OWNED.scope(call)
    return conditions.by_metadata(scope, call, "metadata", _s.metadata) if call.since(3, 22) else scope


def index(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /snapshots."""
    found = lists.find(tx, call, _listing(call), "snapshots", _scope(tx, call), counts=True)
    return found.answer("snapshots", [views.summary(row) for row in found.rows])


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /snapshots/detail."""
    found = lists.find(tx, call, _listing(call), "snapshots/detail", _scope(tx, call), counts=True)
    return found.answer("snapshots", [views.detail(call, row) for row in found.rows])
