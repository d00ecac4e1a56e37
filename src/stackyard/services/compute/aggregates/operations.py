"""Aggregates (os-aggregates): list, see, make, change, delete, hosts and metadata, images ahead of their use."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from msgspec import UNSET
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.call import Call, Reply
from stackyard.core.db import Transaction
from stackyard.core.errors import ApiError, BadRequest, Conflict, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import hosts, lists
from stackyard.services.compute.aggregates import bodies, caching, rows
from stackyard.services.compute.fields import number
from stackyard.services.compute.rules import ADMIN
from stackyard.services.compute.tables import aggregate_hosts, aggregates
from stackyard.services.compute.times import naive, naive_or_none
from stackyard.services.placement import api as placement_api

KIND = "aggregate"

_INSERT = sa.insert(aggregates)
_CHANGE = (
    sa.update(aggregates)
    .where(aggregates.c.id == bindparam("key"))
    .values(
        name=bindparam("called"), zone=bindparam("in_zone"), metadata=bindparam("about"), updated_at=bindparam("at")
    )
)
_DELETE = sa.delete(aggregates).where(aggregates.c.id == bindparam("key"))
_ADD_HOST = sa.insert(aggregate_hosts)
_REMOVE_HOST = sa.delete(aggregate_hosts).where(
    aggregate_hosts.c.aggregate_id == bindparam("key"), aggregate_hosts.c.host == bindparam("named")
)


def _brief(call: Call, row: Any) -> dict[str, Any]:
    found = {
        "id": row.id,
        "name": row.name,
        "availability_zone": row.zone,
        "created_at": naive(row.created_at),
        "updated_at": naive_or_none(row.updated_at),
        "deleted": False,
        "deleted_at": None,
    }
    return found | {"uuid": row.uuid} if call.since(2, 41) else found


def _full(call: Call, row: Any, of_row: list[str]) -> dict[str, Any]:
    return _brief(call, row) | {"hosts": of_row, "metadata": row.metadata}


def _find(tx: Transaction, call: Call) -> Any:
    given = call.path["aggregate_id"]
    key = number("id", given)
    row = None if key is None else tx.first(rows.BY_ID, {"key": key})
    if row is None:
        raise NotFound(f"Aggregate {given} could not be found.", kind="AggregateNotFound")
    return row


def _shown(tx: Transaction, call: Call) -> dict[str, Any]:
    row = _find(tx, call)
    return {"aggregate": _full(call, row, rows.hosts_of(tx, row.id))}


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-aggregates."""
    lists.query_of(call, (), strict=call.since(2, 102))
    return {"aggregates": [_full(call, row, of_row) for row, of_row in rows.all_(tx)]}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-aggregates/{aggregate_id}."""
    lists.query_of(call, (), strict=call.since(2, 102))
    return _shown(tx, call)


def create(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-aggregates; raises AggregateNameExists."""
    name, zone = call.body.name.strip(), call.body.availability_zone
    _require_free(tx, name)
    row = {
        "uuid": ids.new_uuid(), "name": name, "zone": zone, "metadata": {rows.ZONE: zone} if zone else {},
        "created_at": tx.now, "updated_at": None,
    }  # fmt: skip
    tx.execute(_INSERT, row)
    made: Any = tx.first(rows.BY_NAME, {"called": name})
    timeline.record(tx, KIND, made.uuid, "created")
    return {"aggregate": _brief(call, made)}


def _require_free(tx: Transaction, name: str) -> None:
    if tx.first(rows.BY_NAME, {"called": name}) is not None:
        raise Conflict(f"Aggregate {name} already exists.", kind="AggregateNameExists")


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-aggregates/{aggregate_id}: its name, its zone."""
    body, row = call.body, _find(tx, call)
    if body.name is UNSET and body.availability_zone is UNSET:
        raise BadRequest("Invalid input for aggregate: neither 'name' nor 'availability_zone' is given.")
    name = row.name if body.name is UNSET else body.name.strip()
    if name != row.name:
        _require_free(tx, name)
    changes = {} if body.availability_zone is UNSET else {rows.ZONE: body.availability_zone}
    _change(tx, row, name, changes, "Cannot update aggregate")
    return _shown(tx, call)


def _change(tx: Transaction, row: Any, name: str, changes: dict[str, str | None], refusal: str) -> None:
    reason = rows.zone_conflict(tx, row, rows.hosts_of(tx, row.id), changes, moves=True)
    if reason is not None:
        raise BadRequest(f"{refusal} {row.id}. Reason: {reason}.", kind="InvalidAggregateAction")
    metadata = {key: value for key, value in (row.metadata | changes).items() if value is not None}
    values = {"called": name, "in_zone": metadata.get(rows.ZONE), "about": metadata, "at": tx.now}
    tx.execute(_CHANGE, {"key": row.id, **values})
    timeline.record(tx, KIND, row.uuid, "changed")


def delete(tx: Transaction, call: Call) -> Reply:
    """DELETE /os-aggregates/{aggregate_id}; raises BadRequest while it has hosts."""
    row = _find(tx, call)
    if rows.hosts_of(tx, row.id):
        raise BadRequest(
            f"Cannot remove aggregate {row.id}. Reason: Host aggregate is not empty.", kind="InvalidAggregateAction"
        )
    tx.execute(_DELETE, {"key": row.id})
    timeline.record(tx, KIND, row.uuid, "deleted")
    return Reply(status=200)


def act(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /os-aggregates/{aggregate_id}/action; each action has a rule of its own."""
    given = dict(call.body.given())
    if len(given) != 1:
        raise BadRequest("There is not exactly one action: the body has one of add_host, remove_host, set_metadata.")
    name, body = next(iter(given.items()))
    call.require(f"{_RULE}:{name}")
    row = _find(tx, call)
    if name == "add_host":
        _add_host(tx, row, body.host)
    elif name == "remove_host":
        _remove_host(tx, row, body.host)
    else:
        _change(tx, row, row.name, body.metadata, "Cannot update metadata of aggregate")
    return _shown(tx, call)


def _add_host(tx: Transaction, row: Any, host: str) -> None:
    node = hosts.find(tx, host)
    if node is None:
        raise NotFound(f"Compute host {host} could not be found.", kind="ComputeHostNotFound")
    if host in rows.hosts_of(tx, row.id):
        raise Conflict(f"Aggregate {row.id} already has host {host}.", kind="AggregateHostExists")
    reason = rows.zone_conflict(tx, row, [host], row.metadata, moves=False)
    if reason is None and row.zone is not None:
        reason = _servers_move(tx, row, host, to=row.zone, what="added to")
    if reason is not None:
        raise _zone_conflict(f"Cannot add host to aggregate {row.id}. Reason: {reason}.")
    tx.execute(_ADD_HOST, {"aggregate_id": row.id, "host": host, "added_at": tx.now})
    placement_api.set_aggregate(tx, node.id, row.uuid, member=True)
    timeline.record(tx, KIND, row.uuid, f"host {host} added")


def _remove_host(tx: Transaction, row: Any, host: str) -> None:
    if host not in rows.hosts_of(tx, row.id):
        raise NotFound(f"Cannot remove host {host} in aggregate {row.id}", kind="AggregateHostNotFound")
    if row.zone is not None:
        reason = _servers_move(tx, row, host, to=None, what="removed from")
        if reason is not None:
            raise _zone_conflict(f"Cannot remove host from aggregate {row.id}. Reason: {reason}.")
    tx.execute(_REMOVE_HOST, {"key": row.id, "named": host})
    node = hosts.find(tx, host)
    if node is not None:
        placement_api.set_aggregate(tx, node.id, row.uuid, member=False)
    timeline.record(tx, KIND, row.uuid, f"host {host} removed")


def _servers_move(tx: Transaction, row: Any, host: str, *, to: str | None, what: str) -> str | None:
    """Why a host with servers may not come or go, when its zone would be another one then; None when it may."""
    others = rows.other_zones(tx, [host], row.id)
    kept = others[0] if others else None
    before, after = (kept, to) if to is not None else (row.zone, kept)
    count = rows.servers_on(tx, [host])
    if before == after or not count:
        return None
    return (
        f"The host cannot be {what} the aggregate as the availability zone of the host would change from '{before}' "
        f"to '{after}' but the host already has {count} instance(s). Changing the AZ of an existing instance is not "
        "supported by this action. Move the instances away from this host then try again"
    )


def _zone_conflict(text: str) -> ApiError:
    return Conflict(text, kind="InvalidAggregateAction")


def images(tx: Transaction, call: Call) -> None:
    """POST /os-aggregates/{aggregate_id}/images: have the hosts fetch images before servers need them."""
    row = _find(tx, call)
    wanted = [image.id for image in call.body.cache]
    if len(set(wanted)) != len(wanted):
        raise BadRequest("Duplicate images in request")
    caching.mark(tx, call, rows.hosts_of(tx, row.id), wanted)


_ALL = "/v2.1/os-aggregates"
_ONE = f"{_ALL}/{{aggregate_id}}"
_RULE = "os_compute_api:os-aggregates"

ROUTES = (
    Route("GET", _ALL, list_, f"{_RULE}:index"),
    Route("POST", _ALL, create, f"{_RULE}:create", body=bodies.NewAggregate, envelope="aggregate"),
    Route("GET", _ONE, show, f"{_RULE}:show"),
    Route("PUT", _ONE, update, f"{_RULE}:update", body=bodies.ChangedAggregate, envelope="aggregate"),
    Route("DELETE", _ONE, delete, f"{_RULE}:delete"),
    Route("POST", f"{_ONE}/action", act, "os_compute_api:any", body=bodies.AggregateAction),
    Route(
        "POST", f"{_ONE}/images", images, "compute:aggregates:images", body=bodies.CachedImages, status=202,
        since=Microversion(2, 81),
    ),
)  # fmt: skip

POLICIES = (
    Rule(f"{_RULE}:index", ADMIN, "List aggregates."),
    Rule(f"{_RULE}:create", ADMIN, "Create an aggregate."),
    Rule(f"{_RULE}:show", ADMIN, "See an aggregate."),
    Rule(f"{_RULE}:update", ADMIN, "Change an aggregate's name or zone."),
    Rule(f"{_RULE}:delete", ADMIN, "Delete an aggregate."),
    Rule(f"{_RULE}:set_metadata", ADMIN, "Change an aggregate's metadata."),
    Rule(f"{_RULE}:add_host", ADMIN, "Put a host into an aggregate."),
    Rule(f"{_RULE}:remove_host", ADMIN, "Take a host out of an aggregate."),
    Rule("compute:aggregates:images", ADMIN, "Have an aggregate's hosts fetch images ahead."),
)
