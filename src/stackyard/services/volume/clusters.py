"""Clusters of services (3.7) and the cleaning up after dead ones (workers, 3.24).

Each back end is of one host here, so there are no clusters; and what a host has not finished it finishes by itself when
it is there again, so there is nothing to clean up for others.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType

from stackyard.core.body import Body
from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.microversion import Microversion
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import hosts
from stackyard.services.volume.fields import Flag, Host, Name, Text, Uuid, flag, truth
from stackyard.services.volume.rules import ADMIN

_KEYS = ("name", "binary", "is_up", "disabled", "num_hosts", "num_down_hosts")
_REPLICATION = ("replication_status", "frozen", "active_backend_id")
_CLEANABLE = ("Volume", "Snapshot", "Backup")

Reason = Annotated[str, Meta(max_length=255)]


class NamedCluster(Body, kw_only=True):
    """PUT /clusters/enable."""

    name: Name
    binary: Text | None = None


class DisabledCluster(NamedCluster, kw_only=True):
    """PUT /clusters/disable."""

    disabled_reason: Reason | None = None


class Cleanup(Body, kw_only=True):
    """POST /workers/cleanup: whose work."""

    cluster_name: Host | None = None
    disabled: Flag | UnsetType = UNSET
    host: Host | None = None
    is_up: Flag | UnsetType = UNSET
    binary: Literal["cinder-volume", "cinder-scheduler"] | UnsetType = UNSET
    resource_id: Uuid | None = None
    resource_type: Annotated[str, Meta(max_length=40)] | None = None
    service_id: int | Annotated[str, Meta(max_length=11, pattern=r"\A[0-9]*\Z")] | None = None


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /clusters and /clusters/detail."""
    del tx
    known = (*_KEYS, *_REPLICATION) if call.since(3, 26) else _KEYS
    unknown = sorted(set(call.query.keys()) - set(known))
    if unknown:
        raise BadRequest(f"Invalid filter keys: {', '.join(unknown)[:255]}", kind="InvalidInput")
    for name in ("is_up", "disabled"):
        flag(name, call.query.get(name) or "false")
    return {"clusters": []}


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /clusters/{name}."""
    del tx
    raise _no_cluster(call.path["name"])


def change(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /clusters/enable and /clusters/disable."""
    del tx
    raise _no_cluster(call.body.name)


def _no_cluster(name: str) -> NotFound:
    return NotFound(f"Cluster {name[:255]} could not be found.", kind="ClusterNotFound")


def cleanup(tx: Transaction, call: Call) -> dict[str, Any]:
    """POST /workers/cleanup: the services that are meant, none of which another one can clean up for."""
    body: Cleanup = call.body
    if body.resource_type and body.resource_type.title() not in _CLEANABLE:
        raise BadRequest(
            f"Resource type {body.resource_type} not valid, must be {' or '.join(_CLEANABLE)}", kind="InvalidInput"
        )
    if body.resource_id and not (body.service_id or body.cluster_name or body.host):
        raise BadRequest(f"There is no resource with UUID {body.resource_id} pending cleanup.", kind="InvalidInput")
    is_up = False if body.is_up is UNSET else truth(body.is_up)
    found = [
        {"id": row.id, "host": hosts.shown(row), "binary": row.binary, "cluster_name": None}
        for row in hosts.rows(tx)
        if hosts.is_up(row, tx.now) == is_up and _is_meant(row, body)
    ]
    return {"cleaning": [], "unavailable": found}


def _is_meant(row: Any, body: Cleanup) -> bool:
    return (
        row.binary == (hosts.VOLUME if body.binary is UNSET else body.binary)
        and (body.disabled is UNSET or row.disabled == truth(body.disabled))
        and (not body.host or body.host in (row.host, hosts.shown(row)))
        and not body.cluster_name
        and (body.service_id in (None, "") or row.id == int(str(body.service_id)))
    )


_SINCE = Microversion(3, 7)
_BASE = "/v3/clusters"

ROUTES = (
    Route("GET", _BASE, list_, "clusters:get_all", since=_SINCE, query=_KEYS),
    Route("GET", f"{_BASE}/detail", list_, "clusters:get_all", since=_SINCE, query=_KEYS),
    Route("GET", f"{_BASE}/{{name}}", show, "clusters:get", since=_SINCE),
    Route("PUT", f"{_BASE}/enable", change, "clusters:update", since=_SINCE, body=NamedCluster),
    Route("PUT", f"{_BASE}/disable", change, "clusters:update", since=_SINCE, body=DisabledCluster),
    Route(
        "POST", "/v3/workers/cleanup", cleanup, "workers:cleanup", since=Microversion(3, 24), body=Cleanup, status=202
    ),
)

POLICIES = (
    Rule("clusters:get_all", ADMIN, "List clusters of services."),
    Rule("clusters:get", ADMIN, "See a cluster of services."),
    Rule("clusters:update", ADMIN, "Enable and disable a cluster of services."),
    Rule("workers:cleanup", ADMIN, "Have the work of dead services be cleaned up."),
)
