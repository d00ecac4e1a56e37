"""Hosts as clients saw them before there were services (os-hosts), with what projects keep there."""

from __future__ import annotations

from typing import Any, Literal

import sqlalchemy as sa
from msgspec import UNSET, UnsetType
from sqlalchemy import bindparam

from stackyard.core.body import OpenBody
from stackyard.core.call import Call
from stackyard.core.clock import iso_naive
from stackyard.core.db import Transaction
from stackyard.core.errors import BadRequest, NotFound
from stackyard.core.policy import Rule
from stackyard.core.routes import Route
from stackyard.services.volume import hosts, rows
from stackyard.services.volume.rules import ADMIN
from stackyard.services.volume.tables import snapshots, volume_services, volumes

_VOLUMES = (
    sa.select(volumes.c.project_id, sa.func.count().label("number"), sa.func.sum(volumes.c.size).label("size"))
    .where(volumes.c.host == bindparam("on"), volumes.c.backend == bindparam("kept_by"))
    .group_by(volumes.c.project_id)
    .order_by(volumes.c.project_id)
)
_SNAPSHOTS = (
    sa.select(
        snapshots.c.project_id, sa.func.count().label("number"), sa.func.sum(snapshots.c.volume_size).label("size")
    )
    .where(snapshots.c.host == bindparam("on"), snapshots.c.backend == bindparam("kept_by"))
    .group_by(snapshots.c.project_id)
)


class ChangedHost(OpenBody, kw_only=True):
    """PUT /os-hosts/{host}."""

    status: Literal["enable", "disable"] | UnsetType = UNSET


def list_(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hosts: the services that are enabled, of one zone if asked for."""
    zone = call.query.get("zone")
    found = [
        {
            "host_name": hosts.shown(row),
            "service": row.binary,
            "zone": row.zone,
            "service-status": "available" if hosts.is_up(row, tx.now) else "unavailable",
            "service-state": "enabled",
            "last-update": iso_naive(row.updated_at),
        }
        for row in hosts.rows(tx)
        if not row.disabled and (not zone or row.zone == zone)
    ]
    return {"hosts": found}


def _of_host(tx: Transaction, call: Call) -> list[Any]:
    shown = call.path["host"]
    found = [row for row in hosts.rows(tx) if hosts.shown(row) == shown]
    if not found:
        raise NotFound(f"Host {shown[:255]} could not be found.", kind="HostNotFound")
    return found


def show(tx: Transaction, call: Call) -> dict[str, Any]:
    """GET /os-hosts/{host}: what is kept there, in all and by project."""
    found = [row for row in _of_host(tx, call) if row.binary == hosts.VOLUME]
    if not found:
        raise NotFound(
            f"Service {hosts.VOLUME} could not be found on host {call.path['host'][:255]}.", kind="ServiceNotFound"
        )
    where = {"on": found[0].host, "kept_by": found[0].backend}
    by_project = tx.all(_VOLUMES, where)
    kept = {row.project_id: (int(row.number), int(row.size)) for row in tx.all(_SNAPSHOTS, where)}
    total = (
        "(total)",
        sum(int(row.number) for row in by_project),
        sum(int(row.size) for row in by_project),
        sum(count for count, _ in kept.values()),
        sum(size for _, size in kept.values()),
    )
    lines = [(row.project_id, int(row.number), int(row.size), *kept.get(row.project_id, (0, 0))) for row in by_project]
    names = ("project", "volume_count", "total_volume_gb", "snapshot_count", "total_snapshot_gb")
    views = [
        {"resource": {"host": call.path["host"], **{name: str(value) for name, value in zip(names, line, strict=True)}}}
        for line in (total, *lines)
    ]
    return {"host": views}


def update(tx: Transaction, call: Call) -> dict[str, Any]:
    """PUT /os-hosts/{host}: enable or disable all of its services."""
    if call.body.status is UNSET:
        raise BadRequest("Invalid input: the body holds no 'status'.")
    disabled = call.body.status == "disable"
    for row in _of_host(tx, call):
        rows.write(tx, volume_services, row.id, disabled=disabled)
    return {"host": call.path["host"], "status": "disabled" if disabled else "enabled"}


_RULE = "volume_extension:hosts"

ROUTES = (
    Route("GET", "/v3/os-hosts", list_, _RULE, query=("zone",)),
    Route("GET", "/v3/os-hosts/{host}", show, _RULE),
    Route("PUT", "/v3/os-hosts/{host}", update, _RULE, body=ChangedHost),
)

POLICIES = (Rule(_RULE, ADMIN, "List hosts of volumes, see what is kept there, enable and disable them."),)
