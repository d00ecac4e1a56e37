"""Services of hosts (os-services): list, enable and disable, force down, forget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import sqlalchemy as sa
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import bindparam

from stackyard.core import ids, timeline
from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, Conflict, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute import hosts, lists, zones
from stackyard.services.compute.fields import Flag, HostName, number, truth
from stackyard.services.compute.hosts import providers
from stackyard.services.compute.rules import ADMIN
from stackyard.services.compute.tables import (
    aggregate_hosts,
    compute_nodes,
    compute_services,
    migrations,
    servers,
)
from stackyard.services.compute.times import naive
from stackyard.services.placement import api as placement_api

KIND = "compute_service"

Reason = Annotated[str, Meta(min_length=1, max_length=255)]


class NamedService(Body, kw_only=True):
    """PUT /os-services/{action} until 2.10."""

    host: HostName
    binary: Reason
    disabled_reason: Reason | UnsetType = UNSET


class ForcedService(NamedService, kw_only=True):
    """The same from 2.11 to 2.52: a service may be told to be down."""

    forced_down: Flag | UnsetType = UNSET


class ChangedService(Body, kw_only=True):
    """PUT /os-services/{service_id} since 2.53."""

    status: Literal["enabled", "disabled"] | UnsetType = UNSET
    disabled_reason: Reason | UnsetType = UNSET
    forced_down: Flag | UnsetType = UNSET


def body_of(version: Microversion | None) -> type[Body]:
    """The body of an update at a microversion."""
    if version is None or version >= (2, 53):
        return ChangedService
    return ForcedService if version >= (2, 11) else NamedService


_s = compute_services.c
_ALL = sa.select(compute_services).order_by(_s.id)
_NAMED = sa.select(compute_services).where(_s.host == bindparam("at"), _s.binary == bindparam("called"))
_BY_UUID = sa.select(compute_services).where(_s.uuid == bindparam("key"))
_BY_ID = sa.select(compute_services).where(_s.id == bindparam("key"))
_CHANGE = (
    sa.update(compute_services)
    .where(_s.uuid == bindparam("key"))
    .values(
        disabled=bindparam("off"),
        disabled_reason=bindparam("why"),
        forced_down=bindparam("down"),
        updated_at=bindparam("at"),
    )
)
_DELETE = sa.delete(compute_services).where(_s.uuid == bindparam("key"))
_DELETE_NODE = sa.delete(compute_nodes).where(compute_nodes.c.host == bindparam("key"))
_LEAVE_AGGREGATES = sa.delete(aggregate_hosts).where(aggregate_hosts.c.host == bindparam("key"))
_SERVERS = sa.select(sa.func.count()).where(servers.c.host == bindparam("key"), servers.c.deleted_at.is_(None))
_ENDED = ("completed", "confirmed", "reverted", "error", "failed", "cancelled", "done")
_MOVES = sa.select(sa.func.count()).where(
    sa.or_(migrations.c.source_compute == bindparam("key"), migrations.c.dest_compute == bindparam("key")),
    migrations.c.status.not_in(_ENDED),
)
_EVACUATED = sa.select(sa.func.count()).where(
    migrations.c.source_compute == bindparam("key"),
    migrations.c.status == "done",
    migrations.c.migration_type == "evacuation",
)


def _view(tx: Transaction, call: Call, row: Any, of_hosts: Mapping[str, str]) -> dict[str, Any]:
    default = zones.default(call.runtime)
    zone = of_hosts.get(row.host, default) if row.binary == hosts.COMPUTE else zones.INTERNAL
    found = {
        "binary": row.binary,
        "host": row.host,
        "id": row.uuid if call.since(2, 53) else row.id,
        "zone": zone,
        "status": "disabled" if row.disabled else "enabled",
        "state": "up" if hosts.is_up(row, tx.now) else "down",
        "updated_at": naive(row.last_seen_at),
        "disabled_reason": row.disabled_reason,
    }
    if call.since(2, 11):
        found["forced_down"] = row.forced_down
    return found


def rows(tx: Transaction) -> Sequence[Any]:
    """Every service of every host, the oldest first."""
    return tx.all(_ALL)


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-services."""
    query = lists.query_of(call, ("host", "binary"), strict=call.since(2, 75))
    host, binary = query.get("host"), query.get("binary")
    of_hosts = zones.of_hosts(tx)
    found = [row for row in rows(tx) if (not host or row.host == host) and (not binary or row.binary == binary)]
    return {"services": [_view(tx, call, row, of_hosts) for row in found]}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-services/{service_id}: until 2.52 the service is named in the body, and the path says what to do."""
    if not call.since(2, 53):
        return _act(tx, call, call.path["service_id"])
    row = _find(tx, call)
    if row.binary != hosts.COMPUTE:
        raise _not_compute(row.binary)
    body = call.body
    values: dict[str, Any] = {}
    if body.status == "enabled":
        if body.disabled_reason is not UNSET:
            raise BadRequest("Specifying 'disabled_reason' with status 'enabled' is invalid.")
        values = {"disabled": False, "disabled_reason": None}
    elif body.status == "disabled":
        reason = None if body.disabled_reason is UNSET else body.disabled_reason
        values = {"disabled": True, "disabled_reason": reason}
    if body.forced_down is not UNSET:
        values["forced_down"] = truth(body.forced_down)
    if not values:
        raise BadRequest("No updates were requested. Fields 'status' or 'forced_down' should be specified.")
    _change(tx, call, row, values)
    return {"service": _view(tx, call, _find(tx, call), zones.of_hosts(tx))}


def _act(tx: Transaction, call: Call, action: str) -> dict[str, Any]:
    body = call.body
    shown: dict[str, Any]
    if action == "enable":
        values, shown = {"disabled": False, "disabled_reason": None}, {"status": "enabled"}
    elif action == "disable":
        values, shown = {"disabled": True, "disabled_reason": None}, {"status": "disabled"}
    elif action == "disable-log-reason":
        if body.disabled_reason is UNSET:
            raise BadRequest("Missing disabled reason field")
        values = {"disabled": True, "disabled_reason": body.disabled_reason}
        shown = {"status": "disabled", "disabled_reason": body.disabled_reason}
    elif action == "force-down" and call.since(2, 11):
        if body.forced_down is UNSET:
            raise BadRequest("Missing forced_down field")
        values = shown = {"forced_down": truth(body.forced_down)}
    else:
        raise NotFound("Unknown action")
    if body.binary != hosts.COMPUTE:
        raise _not_compute(body.binary)
    row = tx.first(_NAMED, {"at": body.host, "called": body.binary})
    if row is None:
        raise NotFound(f"Host '{body.host}' is not mapped to any cell", kind="HostMappingNotFound")
    _change(tx, call, row, values)
    return {"service": {"host": body.host, "binary": body.binary} | shown}


def _not_compute(binary: str) -> BadRequest:
    return BadRequest(f"Updating a {binary} service is not supported. Only {hosts.COMPUTE} services can be updated.")


def _change(tx: Transaction, call: Call, row: Any, values: dict[str, Any]) -> None:
    if values.get("forced_down") is False and tx.scalar(_EVACUATED, {"key": row.host}):
        raise BadRequest(
            f"Unable to force up host {row.host} as `done` evacuation migration records remain associated with the "
            "host. Ensure the compute service has been restarted, allowing these records to move to `completed` "
            "before retrying this request."
        )
    state = {"disabled": row.disabled, "disabled_reason": row.disabled_reason, "forced_down": row.forced_down} | values
    new = {"off": state["disabled"], "why": state["disabled_reason"], "down": state["forced_down"]}
    tx.execute(_CHANGE, {"key": row.uuid, "at": tx.now, **new})
    changes = ", ".join(f"{name} is {value}" for name, value in values.items())
    timeline.record(tx, KIND, row.uuid, f"changed: {changes}")
    host = hosts.find(tx, row.host)
    if host is not None:
        providers.provide(tx, call.runtime, host, hosts.capacity(host))


def set_enabled(tx: Transaction, call: Call, host: str, *, enabled: bool) -> None:
    """Let new servers be placed on a host, or not; raises HostNotFound."""
    row = tx.first(_NAMED, {"at": host, "called": hosts.COMPUTE})
    if row is None:
        raise NotFound(f"Compute host {host[:255]} could not be found.", kind="ComputeHostNotFound")
    _change(tx, call, row, {"disabled": not enabled, "disabled_reason": None})


def _find(tx: Transaction, call: Call) -> Any:
    given = call.path["service_id"]
    if call.since(2, 53):
        if not ids.is_uuid(given):
            raise BadRequest(f"Invalid uuid {given[:255]}")
        row = tx.first(_BY_UUID, {"key": given})
    else:
        key = number("id", given)
        row = None if key is None else tx.first(_BY_ID, {"key": key})
    if row is None:
        raise NotFound(f"Service {given} could not be found.", kind="ServiceNotFound")
    return row


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /os-services/{service_id}: forget it; a compute service with its node. One that lives beats, and is back.

    Raises Conflict while servers are there, or moves that begin or end there are under way.
    """
    row = _find(tx, call)
    if row.binary == hosts.COMPUTE:
        if tx.scalar(_SERVERS, {"key": row.host}):
            raise Conflict(
                "Unable to delete compute service that is hosting instances. Migrate or delete the instances first."
            )
        if tx.scalar(_MOVES, {"key": row.host}):
            raise Conflict(
                "Unable to delete compute service that has in-progress migrations. Complete the migrations or delete "
                "the instances first."
            )
        host = hosts.find(tx, row.host)
        if host is not None:
            placement_api.remove_provider(tx, host.id)
        tx.execute(_LEAVE_AGGREGATES, {"key": row.host})
        tx.execute(_DELETE_NODE, {"key": row.host})
    tx.execute(_DELETE, {"key": row.uuid})
    timeline.record(tx, KIND, row.uuid, "deleted")


_ONE = "/v2.1/os-services/{service_id}"

ROUTES = (
    Route("GET", "/v2.1/os-services", list_, "os_compute_api:os-services:list", query=("host", "binary")),
    Route("PUT", _ONE, update, "os_compute_api:os-services:update", body=body_of),
    Route("DELETE", _ONE, delete, "os_compute_api:os-services:delete", status=204),
)

POLICIES = (
    Rule("os_compute_api:os-services:list", ADMIN, "List the services of hosts."),
    Rule("os_compute_api:os-services:update", ADMIN, "Enable, disable or force down a compute service."),
    Rule("os_compute_api:os-services:delete", ADMIN, "Forget a service."),
)
