"""Where a request wants its servers: a zone, a host, a group, the scheduler's hints; and the hosts that they get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from stackyard.core.call import Call
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.services.compute import hosts, scheduler, server_groups, zones
from stackyard.services.compute.scheduler import NoValidHost, Request
from stackyard.services.compute.servers.bodies import NewServer, group_of

FORCED_HOST = "os_compute_api:servers:create:forced_host"
REQUESTED_DESTINATION = "compute:servers:create:requested_destination"


class Destination(msgspec.Struct, kw_only=True):
    """`zone` and `host` as asked for (None: any), `forced`: as zone:host; `group_id` the server group."""

    zone: str | None = None
    host: str | None = None
    group_id: str | None = None
    hints: dict[str, Any] = {}
    forced: bool = False


def read(tx: Transaction, call: Call, body: NewServer, hints: dict[str, Any]) -> Destination:
    """What the request says; raises BadRequest for a zone, host or group that is not there, Forbidden."""
    zone, host, node = _parse(body.availability_zone if body.availability_zone is not UNSET else "")
    forced = host or node
    if forced:
        call.require(FORCED_HOST)
        if zone and hosts.find(tx, forced) and zones.zone_of(tx, call.runtime, forced) != zone:
            zone = ""  # the host's own zone goes before what was asked for
    asked = _requested(tx, call, body, forced)
    if zone and not forced and zone not in _available(tx, call):
        raise BadRequest("The requested availability zone is not available", kind="InvalidRequest")
    group_id = group_of(hints)
    if group_id is not None:
        try:
            server_groups.find(tx, call, group_id)
        except NotFound as error:
            raise BadRequest(error.message, kind=error.kind) from None
    return Destination(zone=zone or None, host=forced or asked, group_id=group_id, hints=hints, forced=bool(forced))


def _parse(text: str) -> tuple[str, str, str]:
    parts = text.split(":")
    if len(parts) > 3:
        raise BadRequest("Invalid input received: Unable to parse availability_zone")
    zone, host, node = (*parts, "", "")[:3]
    return zone, host, node


def _requested(tx: Transaction, call: Call, body: NewServer, forced: str) -> str | None:
    names = [name for name in (body.host, body.hypervisor_hostname) if name is not UNSET]
    if not names:
        return None
    call.require(REQUESTED_DESTINATION)
    if forced:
        raise BadRequest(
            "One mechanism with host and/or hypervisor_hostname and another mechanism with zone:host:node are mutually "
            "exclusive."
        )
    for name in names:
        if hosts.find(tx, str(name)) is None or name != names[0]:
            raise BadRequest(f"Compute host {name} could not be found.", kind="ComputeHostNotFound")
    return str(names[0])


def _available(tx: Transaction, call: Call) -> set[str]:
    of_hosts, default = zones.of_hosts(tx), zones.default(call.runtime)
    rows = hosts.rows(tx)
    return {of_hosts.get(row.host, default) for row in rows if hosts.is_up(row, tx.now) and not row.disabled}


def request(
    project_id: str, user_id: str, kind: str, flavor: Mapping[str, Any], image: Mapping[str, Any], wanted: Destination
) -> Request:
    """What the scheduler is asked for a server of this flavor and image."""
    disk = flavor["disk"] + flavor["ephemeral"] + -(-flavor["swap"] // 1024)
    return Request(
        vcpus=flavor["vcpus"],
        memory=flavor["ram"],
        disk=disk,
        project_id=project_id,
        user_id=user_id,
        kind=kind,
        zone=wanted.zone,
        host=wanted.host,
        forced=wanted.forced,
        hints=wanted.hints,
        server_group_id=wanted.group_id,
        image_properties=image.get("properties") or {},
        extra_specs=flavor["extra_specs"],
    )


def place(tx: Transaction, call: Call, asked: Request, server_ids: Sequence[str]) -> tuple[list[str], str]:
    """A host for each server, or none at all and why."""
    try:
        return list(scheduler.place(tx, call.runtime, asked, server_ids)), ""
    except NoValidHost as error:
        return [], str(error)
