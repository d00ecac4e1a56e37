"""What the API does with servers as a whole: create, show, change, delete."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import Conflict
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.compute.rules import ADMIN, MEMBER, READER
from stackyard.services.compute.servers import (
    bodies,
    create,
    destination,
    finding,
    images,
    listing,
    networks,
    removal,
    tasks,
    views,
)
from stackyard.services.network import api as network_api


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /servers/{server_id}."""
    finding.refuse_query(call)
    return {"server": views.show(tx, call, call.target)}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /servers/{server_id}."""
    row, body = call.target, call.body
    bodies.check_changes(call, body)
    changes: dict[str, Any] = {}
    for field, column in (
        ("name", "name"),
        ("description", "description"),
        ("hostname", "hostname"),
        ("accessIPv4", "access_ip_v4"),
        ("accessIPv6", "access_ip_v6"),
        ("disk_config", "disk_config"),
    ):
        value = getattr(body, field)
        if value is not UNSET:
            changes[column] = value
    if "disk_config" in changes:
        images.check_disk_config(row.image | {"id": row.image_id}, changes["disk_config"])
    if body.pinned_availability_zone is not UNSET:
        changes["asked_zone"] = _pinned(row, body.pinned_availability_zone)
    if changes:
        tasks.update(tx, row.id, **changes)
        if "hostname" in changes:
            for interface in row.interfaces:
                network_api.rename_port(tx, call.runtime, interface["port"], changes["hostname"])
    return {"server": views.changed(tx, call, finding.by_id(tx, row.id))}


def _pinned(row: Any, asked: str | None) -> str | None:
    if asked is None or asked == row.asked_zone:
        return asked
    if row.asked_zone is not None:
        raise Conflict(
            "Cannot change pinned availability zone directly. Unpin first by setting pinned_availability_zone to null."
        )
    if asked != row.zone:
        raise Conflict(
            f"Server can only be pinned to its current availability zone '{row.zone}', but '{asked}' was requested."
        )
    return asked


def delete(tx: Transaction, call: Call) -> None:
    """DELETE /servers/{server_id}."""
    begin_delete(tx, call, call.target)


def begin_delete(tx: Transaction, call: Call, server: Any, *, action: str = "delete") -> None:
    """Have a server end: its host's reconciler does it, unless it is on none; then it is gone at once.

    Asked again while that is under way, it changes nothing.
    """
    tasks.require_unlocked(call, server, "delete")
    if server.host is None:
        tasks.record(tx, call, server, action, finished=True)
        removal.forget(tx, call.runtime, server)
        return
    if (server.task or {}).get("name") != "delete":
        tasks.begin(tx, call, server, action, name="delete", task_state="deleting")


_SERVER = "/v2.1/servers/{server_id}"
_RULE = "os_compute_api:servers:"

ROUTES = (
    Route("GET", "/v2.1/servers", listing.index, f"{_RULE}index"),
    Route("GET", "/v2.1/servers/detail", listing.detail, f"{_RULE}detail"),
    Route("POST", "/v2.1/servers", create.create, f"{_RULE}create", status=202, body=bodies.NewServerDocument),
    Route("GET", _SERVER, show, f"{_RULE}show", target=finding.load),
    Route("PUT", _SERVER, update, f"{_RULE}update", target=finding.load, body=bodies.ServerChanges, envelope="server"),
    Route("DELETE", _SERVER, delete, f"{_RULE}delete", target=finding.load, status=204),
)

POLICIES = (
    Rule(f"{_RULE}index", READER, "List servers."),
    Rule(f"{_RULE}detail", READER, "List servers with all that they show."),
    Rule(f"{_RULE}index:get_all_tenants", ADMIN, "List the servers of all projects."),
    Rule(f"{_RULE}detail:get_all_tenants", ADMIN, "List the servers of all projects with all that they show."),
    Rule(f"{_RULE}allow_all_filters", ADMIN, "Filter lists of servers by anything."),
    Rule(f"{_RULE}show", READER, "See a server."),
    Rule(views.EXTRA_SPECS, READER, "See the extra specs of a server's flavor."),
    Rule(views.HOST_STATUS, ADMIN, "See the state of a server's host."),
    Rule(views.HOST_STATUS_UNKNOWN, ADMIN, "See that the state of a server's host is not known."),
    Rule(views.EXTENDED, ADMIN, "See a server's host, kernel, user data and the like."),
    Rule(f"{_RULE}create", MEMBER, "Make a server."),
    Rule(destination.FORCED_HOST, ADMIN, "Make a server on a host by force (zone:host:node)."),
    Rule(destination.REQUESTED_DESTINATION, ADMIN, "Make a server on a host that will do."),
    Rule(create.ATTACH_VOLUME, MEMBER, "Make a server with block devices of its own."),
    Rule(create.ATTACH_NETWORK, MEMBER, "Make a server on networks that the request names."),
    Rule(create.TRUSTED_CERTS, MEMBER, "Make a server with trusted certificates."),
    Rule(images.ZERO_DISK, ADMIN, "Make a server of a flavor without a disk."),
    Rule(networks.ATTACH_EXTERNAL, ADMIN, "Put a server on an external network that is not shared."),
    Rule(f"{_RULE}delete", MEMBER, "Delete a server."),
    Rule(f"{_RULE}update", MEMBER, "Change a server."),
)
