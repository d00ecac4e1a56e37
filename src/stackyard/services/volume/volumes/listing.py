"""GET /volumes, /volumes/detail and /volumes/summary: filters, order, pages, sums."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.paging import Filter, Listing, Scope, integer
from stackyard.services.volume import conditions, lists
from stackyard.services.volume.fields import flag
from stackyard.services.volume.tables import volumes
from stackyard.services.volume.volumes import finding, views

_v = volumes.c
_OWNED = lists.Owned(_v.project_id)

SORT_KEYS = (
    "id", "name", "description", "status", "size", "created_at", "updated_at", "bootable", "availability_zone",
    "volume_type_id", "user_id", "migration_status", "host", "launched_at",
)  # fmt: skip


def _place(parameter: sa.BindParameter[Any]) -> sa.ColumnElement[bool]:
    name = _v.host + "@" + _v.backend + "#" + _v.backend
    return sa.or_(_v.host.in_(parameter), name.in_(parameter), (_v.host + "@" + _v.backend).in_(parameter))


_FILTERS = {
    "name": Filter(_v.name),
    "status": Filter(_v.status),
    "bootable": Filter(_v.bootable, flag),
    "migration_status": Filter(_v.migration_status),
    "availability_zone": Filter(_v.availability_zone),
    "size": Filter(_v.size, integer),
}
_LIKE = {
    "name~": lists.like(_v.name),
    "status~": lists.like(_v.status),
    "availability_zone~": lists.like(_v.availability_zone),
}
_ADMIN_FILTERS = {
    "id": Filter(_v.id),
    "user_id": Filter(_v.user_id),
    "description": Filter(_v.description),
    "volume_type_id": Filter(_v.volume_type_id),
    "snapshot_id": Filter(_v.snapshot_id),
    "source_volid": Filter(_v.source_volid),
    "multiattach": Filter(_v.multiattach, flag),
    "host": Filter(where=_place),
}
_SINCE = {"group_id": ((3, 10), Filter(_v.group_id)), "consumes_quota": ((3, 65), Filter(_v.use_quota, flag))}
_LATER = {"glance_metadata": (3, 4), "created_at": (3, 60), "updated_at": (3, 60)}
_listings: dict[tuple[bool, bool, bool, bool], Listing] = {}


def _listing(call: Call) -> Listing:
    """What may be asked at the call's microversion, of one that this caller may ask."""
    shape = (call.caller.is_admin, call.since(3, 10), call.since(3, 34), call.since(3, 65))
    found = _listings.get(shape)
    if found is None:
        filters = dict(_FILTERS) | {name: one for name, (since, one) in _SINCE.items() if call.since(*since)}
        others = ["metadata", *_LATER]
        if call.since(3, 34):
            filters |= _LIKE
        if call.caller.is_admin:
            filters |= _ADMIN_FILTERS
            others.append("project_id")
        others += [name for name in _SINCE if name not in filters]
        found = _listings[shape] = Listing(volumes, filters, sort_keys=SORT_KEYS, others=others)
    return found


LISTING_PARAMETERS = tuple(
    sorted({*_FILTERS, *_LIKE, *_ADMIN_FILTERS, *_SINCE, *_LATER, "metadata", "project_id", *lists.COMMON})
)
"""For the API's description."""


def _scope(tx: Transaction, call: Call) -> Scope:
    marker = call.query.get("marker")
    if marker is not None:
        finding.find(tx, call.caller, marker)
    scope = conditions.by_metadata(_OWNED.scope(call), call, "metadata", _v.metadata)
    if call.since(*_LATER["glance_metadata"]):
        scope = conditions.by_metadata(scope, call, "glance_metadata", _v.image_metadata)
    if call.since(*_LATER["created_at"]):
        scope = conditions.by_time(scope, call, "created_at", _v.created_at)
        scope = conditions.by_time(scope, call, "updated_at", _v.updated_at)
    return scope


def index(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /volumes: ids and names."""
    found = lists.find(tx, call, _listing(call), "volumes", _scope(tx, call), counts=True)
    return found.answer("volumes", [views.summary(call, row) for row in found.rows])


def detail(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /volumes/detail: all of each."""
    found = lists.find(tx, call, _listing(call), "volumes/detail", _scope(tx, call), counts=True)
    return found.answer("volumes", views.details(tx, call, found.rows))


def summary(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /volumes/summary (3.12): how many, how large together, and (3.36) all their metadata."""
    scope = _OWNED.scope(call)
    count = sa.select(sa.func.count().label("count"), sa.func.coalesce(sa.func.sum(_v.size), 0).label("size"))
    kept = sa.select(_v.metadata)
    if scope.where is not None:
        count, kept = count.where(scope.where), kept.where(scope.where)
    row = tx.all(count.select_from(volumes), dict(scope.parameters))[0]
    told: dict[str, Any] = {"total_count": int(row._mapping["count"]), "total_size": int(row._mapping["size"])}
    if call.since(3, 36):
        words: dict[str, list[str]] = {}
        for one in tx.all(kept, dict(scope.parameters)):
            for key, value in one.metadata.items():
                values = words.setdefault(key, [])
                if value not in values:
                    values.append(value)
        told["metadata"] = words
    return {"volume-summary": told}
